"""What a prompt says that time has overtaken: dates that bound something, people who left, retired models."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

from afere.govern.debt.facts import Person
from afere.govern.debt.wording import Sentence, pattern, plain, words

_NEAR = 60  # characters before a date in which a word says what the date is for
_NOW = 180  # days after which "as of" a date is old
_AHEAD = re.compile(
    r"\b(?:will|shall|(?:ser|estar|sair|abrir|chegar|lancar|saldr|llegar)a[on]?)\b"
)  # what was still to come
_KEYED = re.compile(r"^[\w ]{0,25}(?:date|deadline|expir\w*|valid\w*|prazo|vencimento|vence|plazo)\b.{0,10}$")


@dataclass(frozen=True, slots=True)
class Overtaken:
    """A place that is out of date: what it says, why it is over, and since which day."""

    line: int
    said: str
    why: str
    since: str
    fix: str


def overtaken(sentences: Sequence[Sentence], people: Sequence[Person], today: date, days: float) -> Iterator[Overtaken]:
    """Everything out of date by that day. `days`: how long ago a date must lie."""
    for sentence in sentences:
        if sentence.role not in ("system", "user"):
            continue
        found = next(
            iter((*_dates(sentence, today, days), *_gone(sentence, people, today), *_models(sentence, today))), None
        )
        if found:
            yield found


def retired(model: str, today: date) -> str | None:
    """The day a model was retired, if that has come."""
    name = plain(model).rpartition(":")[2]
    return next((day for form, day in _retired() if form.search(name) and day <= today.isoformat()), None)


def _dates(sentence: Sentence, today: date, days: float) -> Iterator[Overtaken]:
    text = sentence.plain
    limit = today - timedelta(days=days)
    for start, end, day, exact in dates(text):
        before, after = text[max(0, start - _NEAR) : start], text[end : end + _NEAR]
        if day > limit:
            continue
        bound = _says("until", before[-20:]) or _AHEAD.search(before)
        if (_says("lasting", before[-45:]) or _says("lasting", after[:12])) and not bound:
            continue
        if _says("made", before):  # "sold before 2015" stays true
            continue
        role = _meaning(before, after, text)
        if role == "now" and day > today - timedelta(days=_NOW) and exact:
            continue
        if role:
            yield Overtaken(
                sentence.line, text[start:end], _WHY[role].format(day=text[start:end]), day.isoformat(), "take it out or write what holds now"
            )  # fmt: skip


_WHY = {
    "until": "it is bound to {day}, which has passed",
    "coming": "it announces {day}, which has passed, as still to come",
    "now": "it takes {day} for the present",
    "offer": "it speaks of {day} as current, and that is over",
}


def _meaning(before: str, after: str, text: str) -> str | None:
    if _says("until", before) or _KEYED.match(before):
        return "until"
    if _says("now", before) or _says("now", after[:20]):
        return "now"
    if _says("coming", before) or _says("coming", after[:30]):
        return "coming"
    if _says("offer", before) or _says("offer", after[:40]) or _says("offer", text):
        return "offer"
    return None


def _says(part: str, text: str) -> bool:
    return bool(pattern("stale", part).search(text))


@cache
def _forms() -> list[re.Pattern[str]]:
    months = "|".join(sorted(words()["stale"]["months"], key=len, reverse=True))
    return [
        re.compile(r"(?<![\d\w/.-])(?P<y>20\d\d)[-/.](?P<m>\d{1,2})(?:[-/.](?P<d>\d{1,2}))?(?![\d\w])"),
        re.compile(r"(?<![\d\w/.-])(?P<a>\d{1,2})[/.-](?P<b>\d{1,2})[/.-](?P<y>20\d\d|\d\d)(?![\d\w])"),
        re.compile(rf"(?<!\w)(?P<d>\d{{1,2}})(?:st|nd|rd|th|o|º)?\.?(?: of| de)? (?P<month>{months})\.?,?(?: of| de| del)? ?(?P<y>20\d\d)(?!\d)"),
        re.compile(rf"(?<!\w)(?P<month>{months})\.? (?P<d>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<y>20\d\d)(?!\d)"),
        re.compile(rf"(?<!\w)(?P<month>{months})\.?,?(?: of| de| del|/)? ?(?P<y>20\d\d)(?!\d)"),
        re.compile(r"(?<!\w)q(?P<q>[1-4])[ /-]?(?P<y>20\d\d)|(?<!\w)(?P<y2>20\d\d)[ /-]?q(?P<q2>[1-4])(?!\w)"),
        re.compile(r"(?<![\w./#$€-])(?P<y>20[0-4]\d)(?![\w%]|[.,]\d)"),
    ]  # fmt: skip


def dates(text: str) -> list[tuple[int, int, date, bool]]:
    """(start, end, the last day it can mean, whether it names a day) of every date in plain text, in order."""
    found: list[tuple[int, int, date, bool]] = []
    for form in _forms():
        for match in form.finditer(text):
            if any(start < match.end() and match.start() < end for start, end, _, _ in found):
                continue
            day = _day(match.groupdict())
            if day:
                found.append((match.start(), match.end(), *day))
    return sorted(found)


def _day(said: dict[str, str | None]) -> tuple[date, bool] | None:
    year = int(said.get("y") or said.get("y2") or 0)
    year += 2000 if year < 100 else 0
    try:
        if quarter := said.get("q") or said.get("q2"):
            return _last(year, int(quarter) * 3), False
        if said.get("a"):
            a, b = int(said["a"] or 0), int(said["b"] or 0)
            # 3/4/2025 may be either; the later of the two is the safer reading
            return max(date(year, m, d) for m, d in ((b, a), (a, b)) if 1 <= m <= 12 and 1 <= d <= 31), True
        month = words()["stale"]["months"][said["month"]] if said.get("month") else int(said.get("m") or 0)
        if not month:
            return date(year, 12, 31), False
        return (date(year, month, int(said["d"] or 0)), True) if said.get("d") else (_last(year, month), False)
    except ValueError:
        return None


def _last(year: int, month: int) -> date:
    return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)


def _gone(sentence: Sentence, people: Sequence[Person], today: date) -> Iterator[Overtaken]:
    """People who left, by handle, by full name, or by first name where the sentence turns to them."""
    here = {plain(one.name).split(".")[0] for one in people if not one.left or one.left > today.isoformat()}
    for person in people:
        if not person.left or person.left > today.isoformat():
            continue
        handle = plain(person.name)
        parts = [part for part in re.split(r"[ ._-]+", handle) if part]
        full = " ".join(parts)
        spoken = rf"(?<![\w]){re.escape(handle)}(?![\w])|(?<!\w){re.escape(full)}(?!\w)"
        if parts and len(parts[0]) > 2 and parts[0] not in here and _says("contact", sentence.plain):
            spoken += rf"|(?<!\w){re.escape(parts[0])}(?!\w)"
        found = re.search(spoken, sentence.plain)
        if found and (len(parts) > 1 or re.search(rf"(?<!\w){re.escape(parts[0].capitalize())}", sentence.text)):
            yield Overtaken(
                sentence.line, found[0], f"{person.name} left on {person.left}", person.left, "name who does it now, or better a team"
            )  # fmt: skip


@cache
def _retired() -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(rf"(?<![\w.-])(?:{form})(?![\w-]|\.\d)"), day) for form, day in words()["models"].items()]


def _models(sentence: Sentence, today: date) -> Iterator[Overtaken]:
    for form, day in _retired():
        found = form.search(sentence.plain)
        if found and day <= today.isoformat():
            yield Overtaken(
                sentence.line,
                found[0],
                f"{found[0]} was retired on {day}",
                day,
                "name the model that runs now, or none",
            )
