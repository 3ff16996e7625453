"""Rule: one sentence over scores, such as `exact.mean >= 0.8` or `faithful.mean not worse than baseline by 0.05`.

    rule    = measure op number tail | measure ( "not worse than" | "better than" ) against [ "by" number ] tail
            | "drift." name "at" number tail
    tail    = [ "where" filter ] [ "over" number ( "min" | "h" | "d" ) ] [ "for" number "windows" ]
    measure = name { "." name } [ "." ( statistic | value ) ]       a value with other signs in it stands in double quotes
    number  = digits [ "." digits ] [ "%" ]

Here the sentence is only read. What it says about scores is decided where scores are (a gate, an alert).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, NoReturn, cast

from afere.base.errors import BadRule

STATISTICS = ("mean", "p50", "p95", "p99", "sum", "count")
BUILTIN = ("seconds", "cost", "errors", "input_tokens", "output_tokens", "first_token_seconds")  # lower is better

Op = Literal[">=", "<=", ">", "<", "not worse than", "better than", "at"]
Unit = Literal["min", "h", "d"]
_UNITS: dict[str, int] = {"min": 60, "h": 3600, "d": 86400}

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_VALUE = re.compile(r'"((?:[^"\\]|\\.)*)"|[A-Za-z0-9_][A-Za-z0-9_-]*')
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?%?")
_REFERENCE = re.compile(r"[A-Za-z0-9._:@~-]+")
_TAIL = re.compile(
    r"(?:(?<!\S)over\s+(?P<over>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>min|h|d)\s*)?(?:(?<!\S)for\s+(?P<windows>[0-9]+)\s+windows\s*)?$"
)


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured: `exact.mean` is the words ("exact",) and the statistic "mean".

    `thumbs.down` is ("thumbs", "down") without one: only who knows the scores can say whether `down` is one of the
    values of `thumbs` or part of a name. `split` does.
    """

    words: tuple[str, ...]
    statistic: str | None = None

    def __str__(self) -> str:
        words = [word if i == 0 or _plain_value(word) else _quoted(word) for i, word in enumerate(self.words)]
        return ".".join([*words, self.statistic] if self.statistic else words)

    @property
    def name(self) -> str:
        """The words, joined: the score's name, where the last of them is not a value."""
        return ".".join(self.words)

    def split(self, known: Collection[str]) -> tuple[str, str | None]:
        """The score's name and the value asked for (None: the whole score), given the names there are."""
        if self.name in known or len(self.words) == 1:
            return self.name, None
        shorter = ".".join(self.words[:-1])
        return (shorter, self.words[-1]) if shorter in known else (self.name, None)


@dataclass(frozen=True, slots=True)
class Rule:
    """A sentence over scores, read. `number` is the threshold, the margin after `by`, or drift's level, as written."""

    measure: Measure
    op: Op
    number: str | None = None
    against: str | None = None
    where: str = ""
    over: str | None = None  # a number of `unit`s, as written
    unit: Unit | None = None
    windows: int | None = None

    @property
    def amount(self) -> float | None:
        """`number` as a float: `5%` is 0.05."""
        if self.number is None:
            return None
        return float(self.number[:-1]) / 100 if self.number.endswith("%") else float(self.number)

    @property
    def seconds(self) -> float | None:
        """The length of `over`, in seconds."""
        return float(self.over) * _UNITS[self.unit] if self.over and self.unit else None

    def __str__(self) -> str:
        middle = f"{self.op} {self.number}"
        if self.against is not None:
            middle = f"{self.op} {self.against}" + (f" by {self.number}" if self.number else "")
        tail = f" where {self.where}" if self.where else ""
        tail += f" over {self.over} {self.unit}" if self.over else ""
        tail += f" for {self.windows} windows" if self.windows else ""
        return f"{self.measure} {middle}{tail}"


def parse_rule(text: str) -> Rule:
    """Read one rule. BadRule shows the place that does not fit, and the nearest word that would."""
    return _Reader(text).rule()


def _plain_value(word: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", word) is not None and word not in STATISTICS


def _quoted(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


class _Reader:
    """A text and a place in it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def rule(self) -> Rule:
        measure = self.measure()
        self.space()
        drift = measure.words[0] == "drift"
        op = self.op(drift=drift)
        if op in ("not worse than", "better than"):
            start = self.at
            against = self.take(_REFERENCE, "a reference, such as baseline or qa@production")
            if against in ("by", "where", "over", "for"):
                self.at = start
                self.fail(f"{op!r} needs what to compare with, such as baseline or qa@production")
            number = self.take(_NUMBER, "a number such as 0.05 or 5%") if self.word("by") else None
            return self.tail(Rule(measure, op, number, against))
        return self.tail(Rule(measure, op, self.take(_NUMBER, "a number such as 0.8 or 80%")))

    def measure(self) -> Measure:
        self.space()
        words = [self.take(_NAME, "the name of a measure, such as exact.mean")]
        quoted = False
        while self.text.startswith(".", self.at):
            self.at += 1
            found = _VALUE.match(self.text, self.at)
            if found is None:
                self.fail(f"after the dot comes a statistic ({', '.join(STATISTICS)}) or a value")
            self.at = found.end()
            quoted = found[1] is not None
            words.append(re.sub(r"\\(.)", r"\1", found[1]) if quoted else found[0])
        if len(words) > 1 and not quoted and words[-1] in STATISTICS:
            return Measure(tuple(words[:-1]), words[-1])
        return Measure(tuple(words))

    def op(self, *, drift: bool) -> Op:
        if drift:
            if not self.word("at"):
                self.fail("a drift rule reads: drift.NAME at 0.05", near=("at",))
            return "at"
        for phrase in ("not worse than", "better than"):
            found = re.compile(r"\s+".join(phrase.split()) + r"(?=\s|$)").match(self.text, self.at)
            if found:
                self.at = found.end()
                self.space()
                return cast("Op", phrase)
        found = re.compile(r">=|<=|>|<").match(self.text, self.at)
        if found is None:
            known = ("not worse than", "better than", ">=", "<=", ">", "<")
            return self.fail(f"here comes one of {', '.join(known)}", near=known)
        self.at = found.end()
        self.space()
        return cast("Op", found[0])

    def tail(self, rule: Rule) -> Rule:
        end = _TAIL.search(self.text, self.at)
        stop = end.start() if end else len(self.text)
        where = ""
        if self.text[self.at : stop].strip():
            if not self.word("where"):
                self.fail(
                    "after the rule may come: where FILTER, over NUMBER min|h|d, for NUMBER windows",
                    near=("where", "over", "for", "by"),
                )
            where = self.text[self.at : stop].strip()
            if not where:
                self.fail("where needs a filter, such as tag:edge")
        if end is None:
            return Rule(rule.measure, rule.op, rule.number, rule.against, where)
        if end["windows"] and int(end["windows"]) == 0:
            self.at = end.start("windows")
            self.fail("for needs at least 1 window")
        windows = int(end["windows"]) if end["windows"] else None
        return Rule(
            rule.measure, rule.op, rule.number, rule.against, where, end["over"], cast("Unit | None", end["unit"]), windows
        )  # fmt: skip

    def take(self, pattern: re.Pattern[str], wanted: str) -> str:
        found = pattern.match(self.text, self.at)
        if found is None:
            self.fail(f"here comes {wanted}")
        self.at = found.end()
        rest = self.text[self.at : self.at + 1]
        if pattern is _NUMBER and rest and not rest.isspace():
            self.fail(f"{found[0]!r} should end here: a number is digits, a point and digits, or a percentage")
        if pattern is not _NAME:
            self.space()
        return found[0]

    def word(self, word: str) -> bool:
        found = re.compile(rf"\s*{word}(?=\s|$)").match(self.text, self.at)
        if found is None:
            return False
        self.at = found.end()
        self.space()
        return True

    def space(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def fail(self, wanted: str, *, near: tuple[str, ...] = ()) -> NoReturn:
        rest = self.text[self.at :].strip()
        candidates = {phrase: " ".join(rest.split()[: len(phrase.split())]) for phrase in near}
        close = [phrase for phrase, said in candidates.items() if said and get_close_matches(said, [phrase], n=1)]
        hint = f" Did you mean {close[0]!r}?" if close else ""
        line = self.text.replace("\n", " ").replace("\t", " ")
        raise BadRule(f"This rule does not read: {wanted}.{hint}\n  {line}\n  {' ' * self.at}^")
