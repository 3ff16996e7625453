"""Score: a record that someone judged something."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from afere.base.canonical import Json
from afere.base.clock import new_id, now_ns, rfc3339
from afere.base.errors import BadInput

Value = None | bool | int | float | str
_WHO = ("user", "person", "judge", "scorer", "service")


@dataclass(frozen=True, slots=True)
class Score:
    """`by` judged `target` on `name` as `value`; None is "unknown", and `why` says the reason.

    target: TRACE, TRACE/SPAN, a ref, dataset:qa@7/ROW, or the id of a score.
    by: user:42 (end user), person:ana, judge:faithful@2, scorer:exact@1, service:ci.
    """

    target: str
    name: str
    value: Value
    by: str
    why: str = ""
    at: str = field(default_factory=lambda: rfc3339(now_ns()))
    id: str = field(default_factory=new_id)
    data: dict[str, Json] = field(default_factory=dict[str, Json])

    def __post_init__(self) -> None:
        who, colon, rest = self.by.partition(":")
        if who not in _WHO or not colon or not rest:
            raise BadInput(f"by={self.by!r}: write who judged as one of {', '.join(w + ':NAME' for w in _WHO)}.")
        if not self.target or not self.name:
            raise BadInput("A score needs a target and a name.")
        if isinstance(self.value, float) and not math.isfinite(self.value):
            raise BadInput(
                f"Score {self.name!r} is {self.value}: unknown is None with a reason, never NaN or infinite."
            )

    def to_json(self) -> Json:
        return {
            "id": self.id, "target": self.target, "name": self.name, "value": self.value, "why": self.why, "by": self.by,
            "at": self.at, "data": self.data,
        }  # fmt: skip
