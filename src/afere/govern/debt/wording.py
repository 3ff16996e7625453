"""What a prompt tells the model: its sentences with line, language, condition and polarity. Words are data (wording.toml)."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from importlib import resources
from itertools import pairwise
from typing import Any

from afere.govern.prompts import PromptText

_HEADING = re.compile(r"\s{0,3}(#{1,6})\s+(.+?)\s*#*$|\s*\*\*([^*]{2,60})\*\*:?\s*$|([^\W\d_][^.:?!]{1,50}):\s*$")
_BULLET = re.compile(r"\s*(?:[-*•+\u2013]|\(?\d{1,2}[.)]|[a-z][.)])\s+")
_TAG = re.compile(r"\s*<(/?)([A-Za-z][\w-]*)[^<>]*>\s*$")
_FENCE = re.compile(r"\s{0,3}(`{3,}|~{3,})")
_STATEMENT = re.compile(r"\{%-?\s*(\w+)[^%]*%\}")
_COMMENT = re.compile(r"\{#.*?#\}|<!--.*?-->", re.DOTALL)
_FIELD = re.compile(r"\{\{-?\s*([\w.]+)[^}]*\}\}")
_END = re.compile(r"(?<=[.!?;])[\"')\]]*\s+(?=[\"'(\[¿¡<{]*[^\W_])")
# A full stop behind these ends no sentence: before anything, or before a number or a small letter only ("Museo del Mar." ends one).
_SHORT = re.compile(
    r"(?:\b(?:e\.g|i\.e|p\.? ?ex|p\.? ?ej|vs|approx|dr|dra|mr|mrs|ms|sr|sra|prof|art)\.)$", re.IGNORECASE
)
_SHORT_BEFORE = re.compile(
    r"(?:\b(?:etc|no|nr|max|min|ex|inc|ltd|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec)\.)$", re.IGNORECASE
)
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+(?:[.,]\d+)?|%|€|\$")
_TELLING = 20_000  # characters that tell a text's language
_TURN_ENDS = 160  # a line that opens with a speaker's name is an example's turn, up to the next blank line
_SUFFIXES = ("aciones", "aciones", "amente", "mente", "ations", "ation", "acion", "acoes", "acao", "ments", "ment", "ings", "ing", "ando", "endo", "indo", "iendo", "ados", "adas", "ido", "ida", "ado", "ada", "ies", "ar", "er", "ir", "em", "en", "am", "an", "es", "ed", "e", "o", "a", "y")  # fmt: skip


@cache
def words() -> dict[str, Any]:
    """The tables of wording.toml and conflicts.toml."""
    folder = resources.files("afere.govern.debt")
    tables: dict[str, Any] = {}
    for name in ("wording.toml", "conflicts.toml"):
        tables |= tomllib.loads(folder.joinpath(name).read_text(encoding="utf-8"))
    return tables


def plain(text: str) -> str:
    """Lower case, without accents, one kind of apostrophe: what the patterns are written for."""
    if text.isascii():
        return text.casefold()
    folded = unicodedata.normalize("NFKD", text.casefold().replace("\u2019", "'"))
    return "".join(letter for letter in folded if not unicodedata.combining(letter))


def language(text: str) -> str:
    """The language whose small words are most of them, `en` where none is."""
    found = _WORD.findall(plain(text[:_TELLING]))
    counts = {name: sum(word in small for word in found) for name, small in _small().items()}
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else "en"


@cache
def _small() -> dict[str, frozenset[str]]:
    return {name: frozenset(words()[name]["small"].split()) for name in ("en", "pt", "es", "fr", "de")}


@cache
def pattern(name: str, part: str) -> re.Pattern[str]:
    """One of the tables of a language, or of `limits` and `stale`, as whole words."""
    return re.compile(rf"(?<!\w)(?:{words()[name][part]})(?!\w)")


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Without its ending, roughly, and cut: `mencione` and `mencionar` are one, `refunds` and `refund` too."""
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 4:
            return word[: -len(suffix)][:6]
    return word[:6]


@cache
def _dull() -> frozenset[str]:
    return frozenset(words()["dull"]["words"].split())


@cache
def _same() -> dict[str, str]:
    return {
        stem(word): f"={line.split()[0]}" for line in words()["same"]["lines"].strip().splitlines() for word in line.split()
    }  # fmt: skip


def content(text: str) -> frozenset[str]:
    """The words of a plain text that say what it is about, by their stems; words of one meaning are one."""
    same, dull = _same(), _dull()
    found: set[str] = set()
    for word in _WORD.findall(text):
        if word in dull or (len(word) < 3 and not word.isdigit() and word not in "%€$"):
            continue
        root = stem(word)
        found.add(same.get(root, root))
    return frozenset(found)


@cache
def light() -> frozenset[str]:
    """Stems of words that set no two instructions apart."""
    return frozenset(
        root for word in words()["light"]["words"].split() for root in (_same().get(stem(word), stem(word)), stem(word))
    )


def opposed(a: str, b: str) -> bool:
    """Whether of a pair of opposites one plain text has the one and the other has the other: before and after."""
    for one, other in _opposites():
        ours, theirs = (bool(one.search(a)), bool(other.search(a))), (bool(one.search(b)), bool(other.search(b)))
        if ours in ((True, False), (False, True)) and theirs == ours[::-1]:
            return True
    return False


@cache
def _opposites() -> list[tuple[re.Pattern[str], re.Pattern[str]]]:
    return [
        (re.compile(rf"(?<!\w)(?:{one})(?!\w)"), re.compile(rf"(?<!\w)(?:{other})(?!\w)"))
        for one, other in words()["opposed"]["pairs"]
    ]


@cache
def _demands() -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{words()['demands']['forms']})(?!\w)")


@cache
def manner() -> frozenset[str]:
    """Stems of words about how to answer."""
    return frozenset(_same().get(stem(word), stem(word)) for word in words()["manner"]["words"].split())


@cache
def _general() -> frozenset[str]:
    """Stems of words of titles such as Rules, Style and Limits."""
    return frozenset(root for word in words()["titles"]["general"].split() for root in content(word))


@cache
def asking() -> frozenset[str]:
    """Stems of words about asking and saying, that no subject is made of."""
    return frozenset(_same().get(stem(word), stem(word)) for word in words()["asking"]["words"].split())


@dataclass(frozen=True)
class Sentence:
    """One sentence of a prompt. `branch` names the template's `{% if %}` it stands in, `heading` the innermost title."""

    line: int
    text: str
    role: str
    heading: str
    branch: str
    language: str
    number: int

    @cached_property
    def plain(self) -> str:
        return plain(self.text)

    @cached_property
    def told(self) -> str:
        """Without its conditional clause."""
        condition = self.condition
        return self.plain.replace(condition, " ").strip(" ,.;") if condition else self.plain

    @cached_property
    def main(self) -> str:
        """What is told without reasons, and without denials that demand."""
        return _demands().sub(" ", _REASON.sub("", self.told)).strip()

    @cached_property
    def presents(self) -> bool:
        """Whether it says what the model is there for, rather than how it must go about it."""
        return not self.strong and (self.number == 0 or bool(_IDENTITY.match(self.plain) or _JOB.match(self.plain)))

    @cached_property
    def states(self) -> bool:
        """Whether it only says what is so: no order, and no rule."""
        return not self.strong and not self.negative and bool(_FACT.match(self.plain))

    @cached_property
    def topic(self) -> str:
        """Its title, where that narrows down what stands under it: `Letters to tenants`, but not `Rules` or `Style`."""
        return self.heading if content(plain(self.heading)) - _general() - manner() else ""

    @cached_property
    def condition(self) -> str:
        """The clause that says when it holds; empty for one that always does."""
        start = pattern(self.language, "condition").match(self.plain.lstrip(" -*"))
        if start:
            text = self.plain.lstrip(" -*")
            found = re.search(r"[,:]", text[max(0, start.end() - 1) :])
            cut = max(0, start.end() - 1) + found.start() if found else -1
            if cut < 0 and (verb := _GOES.search(text, start.end())):
                cut = verb.start() - 1
            return text[: cut + 1] if cut >= 0 else text
        found = re.search(rf"(?<!\w)(?:{_LATE[self.language]})(?!\w).*", self.plain) if self.language in _LATE else None
        return found[0] if found else ""

    @cached_property
    def excepted(self) -> bool:
        """Whether it names exceptions from itself."""
        return bool(pattern(self.language, "exception").search(self.plain) or _NOT_WITHOUT.search(self.plain))

    @cached_property
    def own_state(self) -> bool:
        """Whether its condition is about the model itself: every request may be that."""
        return bool(_OWN_STATE.search(self.condition))

    @cached_property
    def negative(self) -> bool:
        """Whether it forbids."""
        return bool(pattern(self.language, "negative").search(self.main))

    @cached_property
    def strong(self) -> bool:
        return bool(pattern(self.language, "strong").search(self.main))

    @cached_property
    def content(self) -> frozenset[str]:
        """The words that say what it is about, without its condition, its purpose and what makes it a demand or a ban."""
        told = pattern(self.language, "negative").sub(" ", self.main)
        return content(_PURPOSE.sub(" ", told)) or content(told)

    @cached_property
    def all_content(self) -> frozenset[str]:
        """The words that say what it is about, with its condition."""
        return content(self.plain)

    @cached_property
    def instructs(self) -> bool:
        """Whether it tells the model to do or leave something (rather than stating a fact or greeting)."""
        text = re.sub(r"^[\s\-*\"'(]+", "", self.main)
        deeds = pattern(self.language, "deeds")
        return (
            bool(deeds.match(text))
            or self.negative
            or self.strong
            or bool(_ADDRESS.search(self.plain) and deeds.search(text))
        )

    @cached_property
    def topical(self) -> bool:
        """Whether it is about a subject, rather than about how to answer or who the model is."""
        words = content(self.plain)
        how = words & manner()
        return len(words - how) >= 2 and len(how) * 2 <= len(words) and not _IDENTITY.match(self.plain)

    @cached_property
    def occasion(self) -> frozenset[str]:
        """What a request must be about for it to hold; empty for what always holds."""
        condition = self.condition
        if not condition or pattern(self.language, "always").match(condition):
            return frozenset()
        if not self.plain.lstrip(" -*").startswith(condition) and (self.excepted or not self.instructs):
            return frozenset()  # a fact about when, or an exception
        if self.own_state:
            return frozenset()
        return content(condition) - manner() - asking()


# Why something holds: no part of what is asked.
_REASON = re.compile(
    r",? (?:because|since|as) (?:it|they|this|that|we|you|the)\b.*|,? (?:porque|pois|ya que|ja que|puesto que)\b.*|[,:] (?:it|they|this|that|we|nobody|ninguem|nadie|isso|eles|elas|ja|ya|eso|asi)\b.*"
)
_FACT = re.compile(
    r"(?:\w+ ){0,1}(?!not |to )[\w'-]+ (?:[\w'-]+ ){0,2}?(?:is|are|was|were|has|have|had|costs?|lasts?|comes?|lies?|begins?|opens?|closes?|"
    r"e|sao|era|tem|custam?|duram?|vem|ficam?|abrem?|fecham?|comecam?|es|son|esta|estan|tienen?|cuestan?|viene|vienen|abren?|cierran?|empiezan?)(?! (?:to be|to) )\b"
)
_JOB = re.compile(
    r"you (?!are (?:not |only )?(?:allowed|free|to|done|finished)|may|can|must|should|will|need|have|do not|don.t|never|always|only)\w+\b"
)
# Conditions that stand behind what they condition.
_LATE = {
    "en": "if|when|whenever|in case|provided that|as long as",
    "pt": "se|quando|caso|sempre que|desde que",
    "es": "si|cuando|en caso|siempre que",
    "fr": "si|quand|lorsque",
    "de": "wenn|falls|sobald",
}
# Where "requests for admin rights go to the board" says what becomes of them.
_GOES = re.compile(
    r" (?:go|goes|are|is|must|should|need|needs|belong|have to|will|vao|sao|devem|precisam|seguem|van|son|deben|se (?:envian|derivan|pasan))\b"
)
_IDENTITY = re.compile(
    r"(?:you are|your (?:role|job|task|name|goal|mission) is|act as|voce e|seu (?:papel|trabalho|objetivo) e|aja como|eres|usted es|"
    r"su (?:papel|trabajo|tarea) es|tu (?:papel|trabajo|tarea) es|actua como|vous etes|tu es|du bist|sie sind)\b"
)
# Conditions about the model itself, or what it was given: every case is one of them or the other.
_OWN_STATE = re.compile(
    r"\b(?:you(?:.re)? (?:are|do|don.?t|cannot|can.?t|can|have|need|know|find)|(?:se|caso) (?:voce )?nao (?:souber|tiver|conseguir|encontrar|puder)|si no (?:sabe|tiene|puede|encuentra|estas|esta)s?)\b"
)
_PURPOSE = re.compile(r"(?<=\w)[, ]+(?:so that|in order (?:to|that)|para que|a fim de|a fin de|de modo que)\b.*")
_NOT_WITHOUT = re.compile(r"\b(?:no|nao|nunca|not|never|don.t|ne)\b.*\b(?:without|sem|sin|sans)\b")
_ADDRESS = re.compile(r"\b(?:you|your|the assistant|voce|seu|sua|o assistente|usted|su|el asistente|vous|sie)\b")


def sentences(prompt: PromptText) -> list[Sentence]:
    """What a prompt says to the model: without examples, code, template statements and filled-in material."""
    return list(_sentences(prompt.text, prompt.first_line))


@cache
def _sentences(text: str, first_line: int) -> tuple[Sentence, ...]:
    tongue = language(text)
    found: list[Sentence] = []
    for line, role, heading, branch, block in _blocks(text, first_line, tongue):
        for offset, said in _split(block):
            if len(said.split()) > 1:  # a lone word is a field, or a label
                found.append(
                    Sentence(line + block.count("\n", 0, offset), " ".join(said.split()), role, heading, branch, tongue, len(found))
                )  # fmt: skip
    return tuple(found)


def _split(block: str) -> Iterator[tuple[int, str]]:
    start = 0
    for end in _END.finditer(block):
        said, following = block[start : end.start()], block[end.end() : end.end() + 1]
        if _SHORT.search(said) or (_SHORT_BEFORE.search(said) and not following.isupper()):
            continue
        yield start + _lead(block[start:]), block[start : end.start()].strip()
        start = end.end()
    if block[start:].strip():
        yield start + _lead(block[start:]), block[start:].strip()


def _lead(text: str) -> int:
    return len(text) - len(text.lstrip())


class _Reader:
    """Where a reading of a prompt's lines stands: role, titles, example, fence and template branch."""

    def __init__(self, tongue: str) -> None:
        self.tongue = tongue
        self.heading = ""
        self.example = False  # under a title or in a tag that says so
        self.tag = ""  # the tag that opened the example
        self.turn = False
        self.fence = ""
        self.branches: list[str] = []
        self.count = 0

    @property
    def branch(self) -> str:
        return "/".join(self.branches)

    def title(self, text: str) -> None:
        self.heading = text
        self.example = bool(pattern(self.tongue, "examples").search(plain(text)))
        self.turn = False

    def step(self, word: str) -> None:
        """A template statement opens, changes or closes a branch."""
        if word in ("if", "for", "raw", "macro", "filter"):
            self.count += 1
            self.branches.append(f"{word}{self.count}")
        elif word in ("else", "elif") and self.branches:
            self.count += 1
            self.branches[-1] = f"{self.branches[-1].split('.')[0]}.{self.count}"
        elif word.startswith("end") and word != "endset" and self.branches:
            self.branches.pop()


def _blocks(text: str, first_line: int, tongue: str) -> Iterator[tuple[int, str, str, str, str]]:
    """(line, role, heading, branch, text) of each paragraph or bullet, its lines kept apart by line breaks."""
    quiet = _COMMENT.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    shots = _shot_lines(quiet)
    reader, role = _Reader(tongue), "user"
    start, lines, branch = 0, list[str](), ""

    def close() -> Iterator[tuple[int, str, str, str, str]]:
        if lines:
            yield start, role, reader.heading, branch, "\n".join(lines)
            lines.clear()

    for number, raw in enumerate(quiet.split("\n")):
        if found := re.fullmatch(r"# (system|user|assistant|tool)[ \t]*", raw):
            yield from close()
            role = found[1]
            reader.title("")
            continue
        at = 0
        for statement in (*_STATEMENT.finditer(raw), None):
            line = _FIELD.sub(r"\1", raw[at : statement.start() if statement else None])
            at = statement.end() if statement else at
            skipped = number in shots or role in ("assistant", "tool") or _skips(reader, line)
            heading = None if skipped else _HEADING.fullmatch(line)
            if skipped or heading or not line.strip() or _TAG.fullmatch(line):
                yield from close()
                if heading:
                    reader.title(next(part for part in heading.groups()[1:] if part))
            else:
                bullet = _BULLET.match(line)
                if bullet or branch != reader.branch:
                    yield from close()
                if not lines:
                    start, branch = first_line + number, reader.branch
                lines.append(line[bullet.end() :] if bullet else line)
            if statement:
                reader.step(statement[1])
    yield from close()


def _skips(reader: _Reader, line: str) -> bool:
    """Whether a line belongs to code or to an example; moves the reader on."""
    if fence := _FENCE.match(line):
        if not reader.fence:
            reader.fence = fence[1]
        elif fence[1].startswith(reader.fence):
            reader.fence = ""
        return True
    if reader.fence:
        return True
    examples = pattern(reader.tongue, "examples")
    if tag := _TAG.fullmatch(line):
        if tag[1] and tag[2] == reader.tag:
            reader.tag = ""
            return True
        if not tag[1] and not reader.tag and examples.search(plain(tag[2].replace("_", " ").replace("-", " "))):
            reader.tag = tag[2]
        elif not tag[1] and not reader.tag:
            reader.title(tag[2].replace("_", " "))
    if reader.tag:
        return True
    if not line.strip():
        reader.turn = False
        return False
    if re.match(
        rf"[\s\-*>]*(?:\*\*)?(?:{words()[reader.tongue]['speakers']})(?: \d+)?(?:\*\*)?\s*:", plain(line[:_TURN_ENDS])
    ):
        reader.turn = True
    return reader.turn or (reader.example and not re.match(r"\s{0,3}#{1,6}\s", line))


@cache
def _shot_lines(text: str) -> frozenset[int]:
    """Lines under `# user` that a `# assistant` follows: an example pair."""
    marks = [
        (number, found[1])
        for number, line in enumerate(text.split("\n"))
        if (found := re.fullmatch(r"# (system|user|assistant|tool)[ \t]*", line))
    ]
    return frozenset(
        line
        for (start, role), (end, following) in pairwise(marks)
        if role == "user" and following == "assistant"
        for line in range(start + 1, end)
    )
