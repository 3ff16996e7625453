"""Instructions of one prompt that cannot both be followed: values that exclude each other, opposite polarity, other numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

from afere.govern.debt.likeness import Likeness
from afere.govern.debt.wording import Sentence, content, light, opposed, pattern, plain, stem, words

_NEXT = 1  # a condition that follows a ban at once reads as its exception
_MOST = 400  # instructions of one prompt that are held against each other
_SURER = 0.15  # how much more alike two must be that each have words of their own
_WORDS = re.compile(r"[^\W\d_]+|\d+(?:[.,]\d+)?")
_THOUSANDS = re.compile(r"\d{1,3}(?:[.,]\d{3})+")
_AWAY = 90  # characters between a word of denial and what it denies


@dataclass(frozen=True, slots=True)
class Clash:
    """Two sentences that exclude each other, and on what."""

    first: Sentence
    second: Sentence
    on: str


def clashes(sentences: Sequence[Sentence], likeness: Likeness, least: float) -> Iterator[Clash]:
    """Every pair that clashes, each sentence's first clash only. `least`: how alike two must be by meaning."""
    asked = [one for one in sentences if one.role in ("system", "user")]
    told = [_read(one, _written(asked)) for one in asked[:_MOST]]
    met: set[int] = set()
    for a, b in combinations(told, 2):
        if b.said.number in met or not _together(a.said, b.said):
            continue
        on = _by_axis(a, b) or _by_number(a, b) or _by_polarity(a, b, likeness, least)
        if on:
            met.add(b.said.number)
            yield Clash(a.said, b.said, on)


@dataclass(frozen=True, slots=True)
class _Told:
    said: Sentence
    values: frozenset[tuple[str, str, bool]]  # (axis, value, whether it is asked for)
    limits: tuple[_Limit, ...]
    about: frozenset[str]  # the parts of the answer that it speaks of; empty for the answer as a whole


@dataclass(frozen=True, slots=True)
class _Limit:
    """`side` is -1 for at most, 1 for at least, 0 for exactly."""

    number: float
    unit: str
    side: int
    said: frozenset[str]  # the number's own words


@cache
def _read(said: Sentence, written: frozenset[str]) -> _Told:
    named = _OBJECTS.findall(_WHOLE.sub(" ", said.main))
    subject = _SUBJECT.match(said.plain)
    if subject and subject[1] not in _ANSWER and not any(form.search(subject[1]) for _, _, form in _axes()):
        named.append(subject[1])
    parts = frozenset(map(stem, named))
    return _Told(said, frozenset(_values(said)), tuple(_limits(said.main)), parts - written)


def _written(told: Sequence[Sentence]) -> frozenset[str]:
    """What the prompt as a whole is there to write, as its first sentence says: a summary, an e-mail. That is the answer."""
    return frozenset(stem(word) for one in told[:2] for word in _OBJECTS.findall(one.plain))


@cache
def _axes() -> list[tuple[str, str, re.Pattern[str]]]:
    return [
        (axis, value, re.compile(form))
        for axis, entry in words()["axes"].items()
        for value, form in entry["values"].items()
    ]


def _values(said: Sentence) -> Iterator[tuple[str, str, bool]]:
    """What a sentence asks for or forbids on each axis. A word of denial before the value, in its clause, forbids it."""
    text = said.main
    denial = pattern(said.language, "negative")
    for axis, value, form in _axes():
        found = form.search(text)
        if found is None:
            continue
        ahead = found[0].rpartition(" ")[0]  # "answer without any" of "answer without any json"
        if denial.match(found[0]) or axis in ("unknown", "pace"):  # phrases that hold their own denial
            ahead = ""
        before = re.split(
            r"[,;:]| but | and instead | mas | pero ", text[max(0, found.start() - _AWAY) : found.start()] + ahead
        )
        yield axis, value, axis in ("unknown", "pace") or not denial.search(before[-1])


def _together(a: Sentence, b: Sentence) -> bool:
    """Whether both hold at once: same branch of the template, no exceptions, no two different conditions or occasions."""
    if a.branch != b.branch or a.excepted or b.excepted:
        return False
    if a.heading != b.heading and (_occasion(a) or _occasion(b)):
        return False
    if a.own_state or b.own_state:
        return not (a.condition and b.condition and a.own_state != b.own_state)
    if a.condition and b.condition:
        ours, theirs = content(a.condition), content(b.condition)
        return bool(ours) and len(ours & theirs) / len(ours | theirs) >= 0.5
    if a.condition or b.condition:
        bare = b if a.condition else a
        return bare.strong and abs(a.number - b.number) > _NEXT
    return True


def _occasion(said: Sentence) -> bool:
    return bool(pattern(said.language, "scope").search(plain(said.heading)))


def _by_axis(a: _Told, b: _Told) -> str | None:
    for axis, value, asked in sorted(a.values):
        exclusive = bool(words()["axes"][axis].get("exclusive"))
        for other_axis, other, also in sorted(b.values):
            if axis != other_axis:
                continue
            if value == other and asked != also and _subject(a, b):
                return f"{axis}: {value}"
            if exclusive and value != other and asked and also and not _both(axis, a, b) and _object(a, b):
                return f"{axis}: {value} or {other}"
    return None


def _both(axis: str, a: _Told, b: _Told) -> bool:
    """Whether one of the two asks for both values itself, so that it has thought of both."""
    return any(len({value for of, value, asked in told.values if of == axis and asked}) > 1 for told in (a, b))


_OBJECTS = re.compile(
    r"\b(?:summar\w+|resum\w+|title\w*|titulo\w*|subject\w*|assunto\w*|asunto\w*|email\w*|e-mail\w*|correo\w*|greeting\w*|saudac\w+|saludo\w*|"
    r"introduc\w+|reason\w*|ration\w+|log\w*|note\w*|notas?|comment\w*|comentari\w+|code|codigo|report\w*|relatorio\w*|informe\w*|"
    r"headline\w*|caption\w*|descri\w+|header\w*|footer\w*|bullet\w*|step\w*|passo\w*|paso\w*|sms|chat|ticket\w*|query|queries|sql|translation\w*|traduc\w+|"
    r"customer\w* name|first message|follow-up\w*|thought\w*|analysis|analise|analisis|tool call\w*|argument\w*)\b"
)


# "The explanation is plain text" speaks of that part only.
_SUBJECT = re.compile(
    r"(?:(?:the|its|a|an|each|every|o|os|as|um|uma|cada|el|la|los|las|un|una) )?(?:field |campo )?(\w{3,}) (?:is|are|has|have|must|should|contains?|e|sao|tem|deve\w*|es|son|tiene\w*|debe\w*|lleva\w*)\b"
)
_ANSWER = frozenset(["answer", "answers", "reply", "replies", "response", "responses", "message", "messages", "output", "you", "they", "this", "that", "everything", "resposta", "respostas", "mensagem", "mensagens", "saida", "voce", "tudo", "isso", "respuesta", "respuestas", "mensaje", "mensajes", "salida", "usted", "esto", "todo"])  # fmt: skip
# Each step of the answer is all of it, and so is what is written in this chat.
_WHOLE = re.compile(
    r"\b(?:in th(?:is|e) (?:chat|thread)|nest[ea] chat|en est[ea] chat|"
    r"(?:each|every|all(?: the| of the)?|cada|tod[oa]s? [oa]s?|tod[oa]s? l[oa]s) (?:step|passo|paso|bullet)s?)\b"
)


def _object(a: _Told, b: _Told) -> bool:
    """Whether both speak of the same thing to be written: the answer, or the same part of it."""
    return a.about == b.about or bool(a.about & b.about)


def _subject(a: _Told, b: _Told) -> bool:
    """Whether nothing sets the two apart: one has no words of its own, or they share most of them."""
    ours, theirs = a.said.content, b.said.content
    own = min(len(ours - theirs), len(theirs - ours))
    return _object(a, b) and (own <= 2 or len(ours & theirs) >= 0.5 * min(len(ours), len(theirs)))


@cache
def _numbered() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    limits = words()["limits"]
    number = rf"(?P<number>\d{{1,3}}(?:[.,]\d{{3}})+|\d+(?:[.,]\d+)?|{'|'.join(limits['numbers'])})"
    units = rf"(?P<unit>{limits['units']})"
    return (
        re.compile(rf"(?<![\w.,-]){number}[\s-]*(?:\w+\s+)?{units}(?!\w)"),
        re.compile(rf"(?<!\w)(?:{limits['most']})(?!\w)"),
        re.compile(rf"(?<!\w)(?:{limits['least']})(?!\w)"),
    )


def _limits(text: str) -> Iterator[_Limit]:
    number, most, least = _numbered()
    names = words()["limits"]["numbers"]
    for found in number.finditer(text):
        said = found["number"]
        value = float(names[said]) if said in names else _number(said)
        around = text[max(0, found.start() - 30) : found.start()] + " # " + text[found.end() : found.end() + 12]
        lower = [one.end() for one in least.finditer(around)]
        upper = [one.end() for one in most.finditer(around)]
        side = -1 if upper and (not lower or max(upper) >= max(lower)) else 1 if lower else 0
        yield _Limit(value, stem(found["unit"].split()[-1]), side, frozenset(_WORDS.findall(said)))


def _number(said: str) -> float:
    """A number as people write it: 5,000 and 5.000 are five thousand, 2,5 is two and a half."""
    return float(re.sub(r"[.,]", "", said) if _THOUSANDS.fullmatch(said) else said.replace(",", "."))


def _by_number(a: _Told, b: _Told) -> str | None:
    alike = _object(a, b) and not (_set_apart(a.said, b.said.content) and _set_apart(b.said, a.said.content))
    for ours in a.limits:
        for theirs in b.limits:
            if _length(ours) and _length(theirs):
                if alike and _apart(ours, theirs):
                    return "length"
            elif ours.unit == theirs.unit and _apart(ours, theirs) and _same_fact(a.said, b.said, ours, theirs):
                return f"{ours.number:g} or {theirs.number:g} {ours.unit}"
    if alike and (_lengths_clash(a, b) or _lengths_clash(b, a)):
        return "length"
    return None


def _lengths_clash(limited: _Told, other: _Told) -> bool:
    """Whether a length in numbers excludes one in words: 40 words are nothing detailed, and 150 nothing long."""
    sizes = [(one.side, _size(one)) for one in limited.limits if _length(one)]
    asked = {value for axis, value, wanted in other.values if axis == "length" and wanted}
    if asked == {"long"}:
        most = 150 if _lengthy().search(other.said.main) else 40
        return any(side <= 0 and size <= most for side, size in sizes)
    return asked == {"short"} and any(side >= 0 and size >= 100 for side, size in sizes)


@cache
def _lengthy() -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{words()['limits']['lengthy']})(?!\w)")


def _length(limit: _Limit) -> bool:
    return limit.unit in _sizes()


@cache
def _sizes() -> dict[str, float]:
    return {stem(name): float(size) for name, size in words()["limits"]["sizes"].items()}


def _size(limit: _Limit) -> float:
    """About how many words it allows or demands."""
    return limit.number * _sizes()[limit.unit]


def _apart(ours: _Limit, theirs: _Limit) -> bool:
    """Whether no number fits both."""
    a, b = sorted((ours, theirs), key=lambda one: one.side)
    same = ours.unit == theirs.unit
    small, large = (a.number, b.number) if same else (_size(a), _size(b) * 0.6)
    return large > small if a.side < b.side else same and a.number != b.number


def _same_fact(a: Sentence, b: Sentence, one: _Limit, other: _Limit) -> bool:
    """Whether two sentences state the same fact but for that number. Other numbers tell things apart: model 104, class 2."""
    numbers = frozenset(stem(word) for word in words()["limits"]["numbers"])
    counted = one.said | other.said | {one.unit, other.unit} | numbers
    ours, theirs = (said.content - counted - light() for said in (a, b))
    if not ours or not theirs:
        return False
    shared = ours & theirs
    return ours == theirs or (len(shared) >= 2 and shared in (ours, theirs))


def _by_polarity(a: _Told, b: _Told, likeness: Likeness, least: float) -> str | None:
    ours, theirs = a.said.content, b.said.content
    shared = ours & theirs
    if a.said.negative == b.said.negative or not shared or opposed(a.said.plain, b.said.plain):
        return None
    small = min(len(ours), len(theirs))
    only = min(len(ours - theirs), len(theirs - ours))
    inside = len(shared) / small
    name = ", ".join(sorted(word.lstrip("=") for word in shared))
    longer, shorter = (a.said, b.said) if len(ours) > len(theirs) else (b.said, a.said)
    if _OURS.search(shorter.plain) and _set_apart(longer, shorter.content):
        return None
    if inside == 1.0 and (small >= 2 or (small == 1 and max(len(ours), len(theirs)) <= 3)):
        return name
    if only and _set_apart(a.said, theirs) and _set_apart(b.said, ours):
        return None
    if likeness.meaning and ((only <= 1 and inside >= 0.5 and len(shared) >= 2) or inside >= 0.3):
        alike = likeness.between(_unsigned(a.said), _unsigned(b.said))
        return name if alike >= (least if only <= 1 else least + _SURER) else None
    return None


_OURS = re.compile(r"\b(?:our|ours|own|noss[oa]s?|propri[oa]s?|nuestr[oa]s?|propi[oa]s?)\b")
# Words before what narrows an instruction down: "refunds for digital goods", "clientes do plano ouro".
_NARROW = re.compile(
    r"(?:for|on|of|with|from|to|about|in|by|para|de|da|do|das|dos|em|no|na|nos|nas|por|com|sobre|en|del|con|al)"
    r"(?: (?:the|a|an|our|your|their|o|a|os|as|um|uma|el|la|los|las|un|una|seu|sua|su))?"
)


def _set_apart(said: Sentence, other: frozenset[str]) -> bool:
    """Whether a word of its own narrows a sentence down: a name, or what stands behind `for`, `of` and their like."""
    written = re.findall(r"[^\W_]+", said.text)
    for number, word in enumerate(written):
        own = content(plain(word)) - other
        if not own or word.isdigit() or plain(word) in words()["limits"]["numbers"]:  # "to 120 words" is nobody
            continue
        before = plain(" ".join(written[max(0, number - 2) : number]))
        if (number and word[:1].isupper()) or (
            _NARROW.search(before) and re.search(rf"(?:^|\s){_NARROW.pattern}$", before)
        ):
            return True
    return False


def _unsigned(said: Sentence) -> str:
    """Without the words that forbid or demand."""
    return " ".join(pattern(said.language, "negative").sub(" ", said.main).split())
