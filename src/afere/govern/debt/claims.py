"""What one instruction claims: values on a subject (a language, a tone, a place in the answer), amounts, and which part it speaks of.

The subjects, units and cues are data (conflicts.toml).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from afere.govern.debt.wording import Sentence, content, light, manner, pattern, stem, words

PLACE = "place of "  # the subject of an order: "place of price", with the values first and last
_WORDS = re.compile(r"[^\W\d_]+|\d+(?:[.,]\d+)?")
_THOUSANDS = re.compile(r"\d{1,3}(?:[.,]\d{3})+")
_AWAY = 90  # characters between a word of denial and what it denies
_CLAUSE = re.compile(r"[,;:()]| but | and | e | y | then | mas | pero | depois | luego | e depois | y luego ")


@dataclass(frozen=True, slots=True)
class Value:
    """A value on a subject, and whether it is asked for or forbidden. Values of an exclusive subject exclude each other."""

    axis: str
    value: str
    asked: bool
    exclusive: bool
    form: str = ""  # the words that say it
    of: str = (
        "part"  # what two sentences must both speak of: a part of the answer, the same thing, or the model's conduct
    )

    @property
    def words(self) -> frozenset[str]:
        return content(self.form)


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of a unit. `side` is -1 for at most, 1 for at least, 0 for exactly; `known`: a unit that the tables name."""

    number: float
    unit: str
    side: int
    said: frozenset[str]  # the number's own words
    known: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence as it is compared."""

    said: Sentence
    values: frozenset[Value]
    amounts: tuple[Amount, ...]
    named: str  # how it says its values, in its words
    whole: frozenset[str]  # words of what the prompt is about, and of what it is there to write: they set nothing apart
    about: frozenset[str]  # the parts of the answer that it speaks of; empty for the answer as a whole


def claims(asked: Sequence[Sentence]) -> list[Claim]:
    """The sentences of one prompt, in order, as what they claim."""
    written = frozenset(stem(word) for one in asked[:2] for word in _OBJECTS.findall(_FIELDS.sub(" ", one.plain)))
    subject = content(asked[0].plain) if asked and asked[0].presents else frozenset[str]()
    return [_claim(one, written, subject) for one in asked]


@cache
def _claim(said: Sentence, written: frozenset[str], subject: frozenset[str]) -> Claim:
    """`written`: what the prompt as a whole is there to write, as it says first: a summary, an e-mail. That is the answer."""
    named = _OBJECTS.findall(_FIELDS.sub(" ", _WHOLE.sub(" ", said.main)))
    found = _SUBJECT.match(said.plain)
    if found and not _ANSWER & {*found[1].split()} and not content(found[1]) & manner():
        named += found[1].split()
    values = frozenset((*_values(said), *_places(said)))
    forms = " | ".join(sorted(one.form for one in values))
    amounts = tuple(_amounts(said.told, said.language))
    return Claim(said, values, amounts, forms, written | subject, frozenset(map(stem, named)) - written - subject)


_OBJECTS = re.compile(
    r"\b(?:summar\w+|resum\w+|title\w*|titulo\w*|subject\w*|assunto\w*|asunto\w*|email\w*|e-mail\w*|correo\w*|greeting\w*|saudac\w+|saludo\w*|"
    r"introduc\w+|reason\w*|ration\w+|motivo\w*|field\w*|campo\w*|log\w*|note\w*|notas?|comment\w*|comentari\w+|code|codigo|report\w*|relatorio\w*|informe\w*|"
    r"headline\w*|caption\w*|descri\w+|header\w*|footer\w*|bullet\w*|step\w*|passo\w*|paso\w*|sms|chat|letter\w*|carta\w*|ticket\w*|query|queries|sql|translation\w*|traduc\w+|"
    r"customer\w* name|first message|follow-up\w*|thought\w*|analysis|analise|analisis|tool call\w*|argument\w*)\b"
)
# "The explanation is plain text" speaks of that part only.
_SUBJECT = re.compile(
    r"(?:(?:the|its|a|an|each|every|o|os|as|um|uma|cada|el|la|los|las|un|una) )?(?:field |campo )?((?:\w{3,} )?\w{3,}) (?:is|are|has|have|must|should|contains?|e|sao|tem|deve\w*|es|son|tiene\w*|debe\w*|lleva\w*)\b"
)
_ANSWER = frozenset(["answer", "answers", "reply", "replies", "response", "responses", "message", "messages", "output", "you", "they", "this", "that", "everything", "resposta", "respostas", "mensagem", "mensagens", "saida", "voce", "tudo", "isso", "respuesta", "respuestas", "mensaje", "mensajes", "salida", "usted", "esto", "todo"])  # fmt: skip
# Each step of the answer is all of it, and so is what is written in this chat.
_WHOLE = re.compile(
    r"\b(?:in th(?:is|e) (?:chat|thread)|nest[ea] chat|en est[ea] chat|"
    r"(?:each|every|all(?: the| of the)?|cada|tod[oa]s? [oa]s?|tod[oa]s? l[oa]s) (?:step|passo|paso|bullet)s?)\b"
)
# What a form or object has is not spoken of: "JSON with the fields verdict and comment".
_FIELDS = re.compile(
    r"\b(?:with|com|con|has|tem|tiene) (?:the |os |los |as |las )?(?:fields?|keys?|columns?|campos?|chaves?|claves?|colunas?|columnas?)\b.*"
)
_QUOTED = re.compile(
    r"[\"\u201c\u00ab][^\"\u201c\u201d\u00ab\u00bb]* [^\"\u201c\u201d\u00ab\u00bb]*[\"\u201d\u00bb]"
)  # of several words
_ONE = re.compile(
    r"\b(?:exactly|only|just|a single|exatamente|exactamente|apenas|solo|so) (?:one|uma?|un|una|1)$|\b(?:one single|uma? (?:so|unic[oa])|una? sol[oa]|una? unic[oa])$"
)
# "Never give the price before the closing line" puts it there.
_LATE = re.compile(
    r"\b(?:never|not|don.t|nunca|nao|no|jamas)\b(.*)\b(?:before|antes d\w+) (?:(?:the|la|el|a|o) )?(?:closing|last|end|final|ultim[oa]|fim)\b"
)
# What follows a value and forbids it: "emojis are forbidden".
_BANNED = re.compile(
    r"[\w ]{0,20}?\b(?:(?:is|are|estao|esta|sao|e|fica\w*|estan|son|es|queda\w*) )(?:strictly |totalmente )?(?:forbidden|prohibited|banned|off limits|not (?:allowed|welcome|permitted|wanted)|unwelcome|proibid\w+|prohibid\w+|vedad\w+|fora\b|fuera\b)"
)


@cache
def _axes() -> list[tuple[str, str, re.Pattern[str]]]:
    tongues = words()["languages"]
    named = [
        ("language", name, re.compile(rf"\b(?:in|em|en|into) (?:\w+ )?(?:{form})\b|\b(?:{form}) (?:only|apenas)\b|\b(?:only|solo|so|apenas|somente) (?:{form})\b"))
        for name, form in tongues["names"].items()
    ]  # fmt: skip
    return [
        *named,
        ("language", "user", re.compile(rf"\b(?:{tongues['user']})")),
        *(
            (axis, value, re.compile(rf"(?<!\w)(?:{'|'.join(forms)})(?!\w)"))
            for axis, entry in words()["axes"].items()
            for value, forms in entry["values"].items()
        ),
    ]


@cache
def _spoken() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What a sentence about the answer's language says, and one about another text's."""
    tongues = words()["languages"]
    return re.compile(rf"(?<!\w)(?:{tongues['cues']})(?!\w)"), re.compile(rf"(?<!\w)(?:{tongues['sources']})(?!\w)")


def _values(said: Sentence) -> Iterator[Value]:
    """What a sentence asks for or forbids on each subject. A denial before the value, in its clause, or a ban behind it, forbids it."""
    denial = pattern(said.language, "negative")
    told = _QUOTED.sub(" ", said.main)
    for axis, value, form in _axes():
        entry = words()["axes"].get(axis, {"exclusive": True})
        text = said.plain if entry.get("anywhere") else told
        found = form.search(text)
        if found is None:
            continue
        if axis == "language" and not (_spoken()[0].search(text) and not _spoken()[1].search(text[: found.start()])):
            continue
        whole = bool(entry.get("wholes"))
        ahead = "" if denial.match(found[0]) or whole else found[0].rpartition(" ")[0]  # of "answer without any json"
        before = re.split(
            r"[,;:]| but | and instead | mas | pero ", text[max(0, found.start() - _AWAY) : found.start()] + ahead
        )
        denied = bool(denial.search(before[-1]) or (denial.match(found[0]) and axis == "format"))
        denied = denied or bool(_BANNED.match(text, found.end()))
        yield Value(axis, value, whole or not denied, bool(entry.get("exclusive")), found[0], entry.get("of", "part"))


def _places(said: Sentence) -> Iterator[Value]:
    """What is to stand first or last in the answer."""
    tables = words()["places"]
    if found := re.search(tables["sorted"], said.main):
        for place in ("first", "last"):
            yield from (Value(PLACE + word, place, True, True) for word in content(found[place]))
        return
    if found := _LATE.search(said.main):
        thing = content(pattern(said.language, "negative").sub(" ", found[1])) - light()
        yield from (Value(PLACE + word, "last", True, True) for word in thing)
        return
    for clause in _CLAUSE.split(said.main):
        cues = {place: re.search(rf"(?<!\w)(?:{tables[place]})(?!\w)", clause) for place in ("first", "last")}
        if (cues["first"] is None) == (cues["last"] is None) or pattern(said.language, "negative").search(clause):
            continue
        place, cue = next((name, found) for name, found in cues.items() if found)
        thing = content(clause.replace(cue[0], " ")) - light()
        if 1 <= len(thing) <= 3:
            yield from (Value(PLACE + word, place, True, True) for word in thing)


@cache
def _numbered(language: str) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    limits = words()["limits"]
    number = rf"(?P<number>\d{{1,3}}(?:[.,]\d{{3}})+|\d+(?:[.,]\d+)?|{'|'.join(limits['numbers'])})"
    return (
        re.compile(rf"(?<![\w.,-]){number}(?!(?<=[^\W\d])[^\W\d])[\s-]*(?:(?:\w+\s+)?(?P<unit>{limits['units']})(?!\w)|(?P<noun>(?!de\b|of\b|a\b|e\b|y\b|o\b)[^\W\d_]{{4,}})(?!\w))"),
        re.compile(rf"(?<!\w)(?:{limits['most']})(?!\w)"),
        re.compile(rf"(?<!\w)(?:{limits['least']})(?!\w)"),
        re.compile(rf"(?<!\w)(?:{limits['oclock'].get(language, 'at')}) (?P<number>\d{{1,2}})(?::\d\d)?(?! ?%|\w)|(?<!\w)(?:{limits['scale']})(?!\w)"),
    )  # fmt: skip


def _amounts(text: str, language: str) -> Iterator[Amount]:
    number, most, least, special = _numbered(language)
    names = words()["limits"]["numbers"]
    taken: list[tuple[int, int]] = []
    for found in special.finditer(text):
        taken.append(found.span())
        said = found["number"] or found["top"] or found["highest"]
        unit = "o'clock" if found["number"] else "scale"
        yield Amount(_number(said), unit, 0, frozenset(map(stem, _WORDS.findall(found[0]))), True)
    for found in number.finditer(text):
        if any(start <= found.start() < end for start, end in taken):
            continue
        said = found["number"]
        if said == words()["limits"]["wrong"].get(language):
            continue
        value = float(names[said]) if said in names else _number(said)
        known = found["unit"] is not None
        one = value == 1 and _ONE.search(text[: found.end("number")])
        if (
            not known and not one and (not 2 <= value < 1000 or found["noun"] in words()["stale"]["months"])
        ):  # "a", a year, a date
            continue
        around = text[max(0, found.start() - 30) : found.start()] + " # " + text[found.end() : found.end() + 16]
        lower = [one.end() for one in least.finditer(around)]
        upper = [one.end() for one in most.finditer(around)]
        side = -1 if upper and (not lower or max(upper) >= max(lower)) else 1 if lower else 0
        unit = stem((found["unit"] or found["noun"]).split()[-1])
        yield Amount(value, unit, side, frozenset(_WORDS.findall(said)), known)


def _number(said: str) -> float:
    """A number as people write it: 5,000 and 5.000 are five thousand, 2,5 is two and a half."""
    return float(re.sub(r"[.,]", "", said) if _THOUSANDS.fullmatch(said) else said.replace(",", "."))
