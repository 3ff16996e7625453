"""Instructions of one prompt that cannot both be followed: values that exclude each other, opposite polarity, other numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

from afere.govern.debt.claims import PLACE, Amount, Claim, Value, claims
from afere.govern.debt.contrast import contrasted, inverse, unsigned
from afere.govern.debt.likeness import Likeness
from afere.govern.debt.wording import Sentence, asking, content, light, manner, opposed, pattern, plain, stem, words

_NEXT = 1  # a condition that follows a ban at once reads as its exception
MOST_HELD = 400  # instructions of one prompt that are held against each other
_SURER = 0.15  # how much more alike two must be that each have words of their own
_SAME_WORD = 0.8  # cosine from which two words are one: photo and picture 0.91, customer and cliente 0.93, morning and evening 0.68


@dataclass(frozen=True, slots=True)
class Clash:
    """Two sentences that exclude each other, and on what."""

    first: Sentence
    second: Sentence
    on: str


def clashes(sentences: Sequence[Sentence], likeness: Likeness, least: float) -> Iterator[Clash]:
    """Every pair that clashes, each sentence's first clash only. `least`: how alike two must be by meaning."""
    asked = [one for one in sentences if one.role in ("system", "user")]
    met: set[int] = set()  # sentences that are found already
    lines: set[tuple[int, int]] = set()  # one finding for two lines
    for a, b in combinations(claims(asked[:MOST_HELD]), 2):
        where = a.said.line, b.said.line
        if b.said.number in met or where in lines or not _together(a.said, b.said):
            continue
        on = _by_axis(a, b) or _by_number(a, b) or _by_polarity(a, b, likeness, least)
        if on:
            met.add(b.said.number)
            lines.add(where)
            yield Clash(a.said, b.said, on)


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


def _titles_apart(a: Sentence, b: Sentence) -> bool:
    """Whether both stand under titles that narrow them down to different things."""
    return bool(a.topic and b.topic and a.topic != b.topic)


def _by_axis(a: Claim, b: Claim) -> str | None:
    if _titles_apart(a.said, b.said):
        return None
    for ours in sorted(a.values, key=lambda one: (one.axis, one.value)):
        for theirs in sorted(b.values, key=lambda one: (one.axis, one.value)):
            if ours.axis != theirs.axis:
                continue
            if (
                ours.value == theirs.value
                and ours.asked != theirs.asked
                and (ours.of == "conduct" or _subject(a, b, ours))
            ):
                return f"{ours.axis}: {ours.value}"
            if ours.value == theirs.value or not (ours.exclusive and ours.asked and theirs.asked):
                continue
            if (
                _ordered(a, b)
                if ours.axis.startswith(PLACE)
                else not _both(ours.axis, a, b) and _same_thing(ours.of, a, b)
            ):
                return f"{ours.axis}: {ours.value} or {theirs.value}".replace("=", "")
    return None


def _same_thing(of: str, a: Claim, b: Claim) -> bool:
    """Whether values of two sentences are about one thing, as the subject asks."""
    if of == "same thing":
        return bool(a.said.content & b.said.content)
    return of == "conduct" or (_object(a, b) and not _each_set_apart(a, b) and not _elsewhere(a.said, b.said))


def _ordered(a: Claim, b: Claim) -> bool:
    """Whether one of two orders speaks of nothing but what the other orders too, or is one of everything."""
    ours, theirs = ([one for one in told.values if one.axis.startswith(PLACE)] for told in (a, b))
    whole = any(len({one.value for one in own}) > 1 for own in (ours, theirs))
    things, others = ({one.axis for one in own} for own in (ours, theirs))
    return whole or things <= others or others <= things


def _both(axis: str, a: Claim, b: Claim) -> bool:
    """Whether one of the two asks for both values itself, so that it has thought of both."""
    return any(len({one.value for one in told.values if one.axis == axis and one.asked}) > 1 for told in (a, b))


def _object(a: Claim, b: Claim) -> bool:
    """Whether both speak of the same thing to be written: the answer, or the same part of it."""
    return a.about == b.about or bool(a.about & b.about)


def _subject(a: Claim, b: Claim, value: Value) -> bool:
    """Whether the one forbids all of what the other asks for: its ban has no words of its own. A narrower ban is an exception."""
    ban, demand = (b, a) if value.asked else (a, b)
    own = _banned(ban.said) - demand.said.content - value.words - light() - manner() - ban.whole
    return _object(a, b) and not own and not _elsewhere(a.said, b.said)


def _banned(said: Sentence) -> frozenset[str]:
    """The words of what a sentence forbids: those of the clause that does."""
    denial = pattern(said.language, "negative")
    clause = next((one for one in re.split(r"[,;:]", said.main) if denial.search(one)), said.main)
    return content(denial.sub(" ", clause)) or said.content


def _elsewhere(a: Sentence, b: Sentence) -> bool:
    """Whether one of the two speaks of the others, or of the rest."""
    return bool(_OTHERS.search(a.plain)) != bool(_OTHERS.search(b.plain))


_OTHERS = re.compile(
    r"\b(?:others?|else|another|rest|remaining|after the|outr[oa]s?|demais|resto|restantes|otr[oa]s?|demas|alheias?|ajen[oa]s?)\b"
)


def _each_set_apart(a: Claim, b: Claim) -> bool:
    """Whether each of two sentences is narrowed down by words of its own, besides the values that they name."""
    return _set_apart(a.said, b.said.content | a.whole, a.named) and _set_apart(
        b.said, a.said.content | a.whole, b.named
    )


def _by_number(a: Claim, b: Claim) -> str | None:
    """Amounts of which no number fits both: lengths of the same text, and other amounts of what is otherwise the same."""
    lengths = _object(a, b) and not _titles_apart(a.said, b.said) and not _each_set_apart(a, b)
    for ours in a.amounts:
        for theirs in b.amounts:
            if _length(ours) and _length(theirs):
                if lengths and _apart(ours, theirs):
                    return "length"
            elif _otherwise(a, b, ours, theirs):
                return f"{ours.number:g} or {theirs.number:g} {ours.unit}"
    if lengths and (_lengths_clash(a, b) or _lengths_clash(b, a)):
        return "length"
    return None


def _otherwise(a: Claim, b: Claim, ours: Amount, theirs: Amount) -> bool:
    """Whether two sentences give one thing two amounts."""
    apart = ours.unit == theirs.unit and _apart(ours, theirs) and not _agree(a, b, ours.unit)
    return apart and _same_fact(a.said, b.said, ours, theirs)


def _agree(a: Claim, b: Claim, unit: str) -> bool:
    """Whether they name one number of that unit together: `opens at 10 and closes at 18`, `closes at 18`."""
    ours, theirs = ({one.number for one in told.amounts if one.unit == unit} for told in (a, b))
    return bool(ours & theirs)


def _lengths_clash(limited: Claim, other: Claim) -> bool:
    """Whether a length in numbers excludes one in words."""
    sizes = [(one.side, _size(one)) for one in limited.amounts if _length(one)]
    asked = {one.value for one in other.values if one.axis == "length" and one.asked}
    limits = words()["limits"]
    if asked == {"long"}:
        most = limits["not_long"] if _lengthy().search(other.said.main) else limits["not_detailed"]
        return any(side <= 0 and size <= most for side, size in sizes)
    return asked == {"short"} and any(side >= 0 and size >= limits["not_short"] for side, size in sizes)


@cache
def _lengthy() -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{words()['limits']['lengthy']})(?!\w)")


def _length(limit: Amount) -> bool:
    return limit.unit in _sizes()


@cache
def _sizes() -> dict[str, float]:
    return {stem(name): float(size) for name, size in words()["limits"]["sizes"].items()}


def _size(limit: Amount) -> float:
    """About how many words it allows or demands."""
    return limit.number * _sizes()[limit.unit]


def _apart(ours: Amount, theirs: Amount) -> bool:
    """Whether no number fits both."""
    a, b = sorted((ours, theirs), key=lambda one: one.side)
    same = ours.unit == theirs.unit
    small, large = (a.number, b.number) if same else (_size(a), _size(b) * 0.6)
    return large > small if a.side < b.side else same and a.number != b.number


def _same_fact(a: Sentence, b: Sentence, one: Amount, other: Amount) -> bool:
    """Whether two sentences state the same but for that number. Other numbers tell things apart: model 104, class 2."""
    numbers = frozenset(stem(word) for word in words()["limits"]["numbers"])
    counted = one.said | other.said | {one.unit, other.unit} | numbers | light()
    if one.unit in _money():
        counted |= asking() | content("cost pay")
    ours, theirs = a.content - counted, b.content - counted
    if not one.known:  # how many there are of something in an answer: what else do they say?
        ours, theirs = ours - _saying(), theirs - _saying()
        alike = bool(ours) and ours == theirs
        return not _titles_apart(a, b) and (alike or (_counts(a) and _counts(b) and (not ours or not theirs)))
    if not ours or not theirs:
        return False
    shared = ours & theirs
    return ours == theirs or (len(shared) >= 1 + (one.unit != "scale") and shared in (ours, theirs))


def _counts(said: Sentence) -> bool:
    return bool(said.content & _saying())


@cache
def _saying() -> frozenset[str]:
    """Stems of words about giving an answer."""
    return content("say offer list give choice name exactly suggest write present")


@cache
def _money() -> frozenset[str]:
    return frozenset(stem(word.rstrip("?")) for word in words()["limits"]["money"].split())


def _by_polarity(a: Claim, b: Claim, likeness: Likeness, least: float) -> str | None:
    """Whether one forbids what the other asks for. A ban that is narrower than what is asked for is its exception."""
    if a.said.negative == b.said.negative:
        return None
    ban, demand = (a.said, b.said) if a.said.negative else (b.said, a.said)
    if demand.presents or _PRONOUN.search(demand.main):
        return None
    ours, theirs = _banned(ban), demand.content
    ours, theirs = _telling(ours, theirs), _telling(theirs, ours)
    theirs = _in_words_of(theirs, ours, likeness)
    shared = ours & theirs
    stated = demand.states and (len(shared) < 2 or shared != ours)
    if not shared or stated or (_titles_apart(ban, demand) and len(shared) < 2) or _of_two_things(ban, demand):
        return None
    if (_OURS.search(demand.plain) or shared != ours) and _set_apart(ban, theirs | a.whole):
        return None
    small, large = sorted((len(ours), len(theirs)))
    same = len(shared) == small and (small >= 2 or large <= 3)
    name = ", ".join(sorted(word.lstrip("=") for word in shared))
    return name if same or _alike(ban, demand, ours, theirs, likeness, least) else None


def _of_two_things(ban: Sentence, demand: Sentence) -> bool:
    """Whether words set the two apart however much else they share: opposites, the others, one thing in the place of another."""
    return (
        _elsewhere(ban, demand) or opposed(ban.plain, demand.plain) or inverse(ban, demand) or contrasted(ban, demand)
    )


def _alike(
    ban: Sentence, demand: Sentence, ours: frozenset[str], theirs: frozenset[str], likeness: Likeness, least: float
) -> bool:
    """Whether the two mean the same by likeness, where each has words of its own."""
    shared, only = ours & theirs, min(len(ours - theirs), len(theirs - ours))
    inside = len(shared) / min(len(ours), len(theirs))
    if not likeness.meaning or not ((only <= 1 and inside >= 0.5 and len(shared) >= 2) or inside >= 0.3):
        return False
    return likeness.between(unsigned(ban), unsigned(demand)) >= (least if only <= 1 else least + _SURER)


def _telling(words: frozenset[str], others: frozenset[str]) -> frozenset[str]:
    """The words that tell instructions apart: without light ones, and without `give` or `mention` where it gives something else."""
    told = words - light() or words
    return told - {"=say"} if len(told) > 2 and "=say" not in others else told


def _in_words_of(ours: frozenset[str], theirs: frozenset[str], likeness: Likeness) -> frozenset[str]:
    """Our words, each that means one of theirs as that one."""
    if not likeness.meaning or not ours & theirs:
        return ours
    found = set(ours & theirs)
    likeness.learn([word.lstrip("=") for word in ours ^ theirs])
    for word in ours - theirs:
        same = next(
            (one for one in theirs - ours if likeness.between(word.lstrip("="), one.lstrip("=")) >= _SAME_WORD), word
        )
        found.add(same)
    return frozenset(found)


_PRONOUN = re.compile(r"^(?:\w+ )?(?:for )?(?:it|them|lo|la)$")
_OURS = re.compile(r"\b(?:our|ours|own|noss[oa]s?|propri[oa]s?|nuestr[oa]s?|propi[oa]s?)\b")
# Words before what narrows an instruction down: "refunds for digital goods", "clientes do plano ouro".
_NARROW = {
    "en": r"(?:for|on|of|with|from|to|about|into|in|by|at|before|after|during|through|via|over|between)(?: (?:the|a|an|our|your|their))?",
    "pt": r"(?:para|de|d[ao]s?|em|n[ao]s?|pel[ao]s?|por|com|sobre|aos?|antes|depois|durante|entre)(?: (?:[oa]s?|ums?|uma|seu|sua))?",
    "es": r"(?:para|del?|en|por|con|sobre|al?|antes|tras|durante|entre)(?: (?:el|l[ao]s?|un|una|su))?",
}


def _set_apart(said: Sentence, other: frozenset[str], named: str = "") -> bool:
    """Whether a word of its own narrows a sentence down: a name, or what stands behind `for`, `of` and their like."""
    return any(not own <= other for own in _narrowing(said, named))


@cache
def _narrowing(said: Sentence, named: str) -> tuple[frozenset[str], ...]:
    """The words that narrow a sentence down, but for those that name a value."""
    written = re.findall(r"[^\W_]+", said.text)
    spoken, values = [plain(word) for word in written], re.findall(r"[^\W_]+", named)
    found: list[frozenset[str]] = []
    for number, word in enumerate(spoken):
        own = content(word)
        if not own or word.isdigit() or word in words()["limits"]["numbers"]:  # "to 120 words" is nobody
            continue
        if values.count(word) >= spoken.count(word) > 0 or _PARTS.fullmatch(word) or own <= manner():
            continue
        before = " ".join(spoken[max(0, number - 2) : number])
        if (number and written[number][:1].isupper()) or re.search(
            rf"(?:^|\s)(?:{_NARROW.get(said.language, _NARROW['en'])})$", before
        ):
            found.append(own)
    return tuple(found)


_PARTS = re.compile(r"fields?|keys?|columns?|campos?|chaves?|claves?|colunas?|columnas?")
