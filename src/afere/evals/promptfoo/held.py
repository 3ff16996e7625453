"""What an assertion of a promptfoo file came to."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Held:
    """`passed` None: not known, and `why` says the reason; `world`: a model, network or process failed. `score`: 0 to 1, as
    promptfoo counts it. `cost`: USD that a grader was paid."""

    passed: bool | None
    score: float
    why: str = ""
    world: bool = False
    cost: float | None = None

    def negated(self) -> Held:
        """What `not-` of it says."""
        if self.passed is None:
            return self
        measured = self.score not in (0.0, 1.0)
        return replace(
            self, passed=not self.passed, score=1 - self.score if measured else float(not self.passed), why=""
        )


def held(passed: bool, score: float | None = None, why: str = "") -> Held:
    """One that is known; its score is 1 or 0 where none is given."""
    return Held(passed, float(passed) if score is None else score, why)


def unknown(why: str, *, world: bool = False) -> Held:
    return Held(None, 0.0, why, world)
