"""Decision: what rules said, with the evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from afere.base.canonical import Json

Answer = Literal["pass", "fail", "open"]


@dataclass(frozen=True, slots=True)
class Ruling:
    """One rule's answer. `low` and `high` are the ends of the 90% interval that decides; `needs` is how many more cases."""

    rule: str
    answer: Answer
    value: float | None = None
    low: float | None = None
    high: float | None = None
    level: float = 0.9
    n: int = 0
    missing: int = 0
    needs: int | None = None
    why: str = ""
    evidence: tuple[str, ...] = ()

    def to_json(self) -> Json:
        return {
            "rule": self.rule, "answer": self.answer, "value": self.value, "low": self.low, "high": self.high,
            "level": self.level, "n": self.n, "missing": self.missing, "needs": self.needs, "why": self.why,
            "evidence": list(self.evidence),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer of a set of rules: fail if any fails, else open if any is open, else pass."""

    subject: str
    rules: tuple[Ruling, ...]
    against: str | None = None
    ref: str | None = None
    by: str = ""
    at: str = ""

    @property
    def answer(self) -> Answer:
        answers = {ruling.answer for ruling in self.rules}
        return "fail" if "fail" in answers else "open" if "open" in answers or not answers else "pass"

    def to_json(self) -> Json:
        return {
            "ref": self.ref, "subject": self.subject, "against": self.against, "answer": self.answer, "by": self.by,
            "at": self.at, "rules": [ruling.to_json() for ruling in self.rules],
        }  # fmt: skip
