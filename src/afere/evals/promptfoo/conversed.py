"""promptfoo's `conversation-relevance`: the share of an assistant's turns that fit what was said before, each asked for alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from afere.base.canonical import Json
from afere.evals.judge import NO_MODEL
from afere.evals.promptfoo.grounded import fenced, guarded, put_to
from afere.evals.promptfoo.held import Held, held, unknown
from afere.evals.scorers import Case
from afere.evals.scorers.text import as_text
from afere.models import Model, Request

CONVERSED = "conversation-relevance"
_TURNS = 5  # that are looked at together, unless config.windowSize says otherwise
_TASK = (
    "Is the assistant's last message relevant to what was said before it? Only one that has nothing to do with it is not; a "
    "vague answer to a vague message, such as a greeting, is. Say why in one sentence."
)
_SHAPE: dict[str, Json] = {
    "type": "object", "required": ["why", "relevant"], "additionalProperties": False,
    "properties": {"why": {"type": "string"}, "relevant": {"type": "boolean"}},
}  # fmt: skip


@dataclass(frozen=True)
class Conversing:
    """One such assertion: `turns` are pairs of what was said to the assistant and what it answered; `window`, how many of
    them are shown with each."""

    limit: float | None
    turns: Sequence[tuple[str, str]]
    window: int
    model: Model | None

    def asks(self, _case: Case) -> list[tuple[Model, Request]]:
        """What the model would be asked: once for each turn."""
        return [] if self.model is None else [(self.model, one) for one in self._requests()]

    def of(self, case: Case) -> Held:
        model = self.model
        if model is None:
            return unknown(NO_MODEL)

        def made() -> Held:
            said = [put_to(CONVERSED, model, one, case) for one in self._requests()]
            costs = [cost for _, cost in said if cost is not None]
            wrong = [
                f"turn {i}: {value['why']}"
                for i, (value, _) in enumerate(said, start=1)
                if value["relevant"] is not True
            ]
            share, least = 1 - len(wrong) / len(said), self.limit or 0.0
            why = f"{len(said) - len(wrong)} of {len(said)} turns are relevant, at least {least:g} is asked for; "
            found = held(share >= least - 1e-9, share, f"{why}{'; '.join(wrong)[:300]}".rstrip("; "))
            return Held(found.passed, found.score, found.why, cost=math.fsum(costs) if costs else None)

        return guarded(made)

    def _requests(self) -> list[Request]:
        return [self._request(self.turns[max(0, i - self.window) : i]) for i in range(1, len(self.turns) + 1)]

    def _request(self, shown: Sequence[tuple[str, str]]) -> Request:
        material = {
            f"{who} {i}": text
            for i, turn in enumerate(shown, start=1)
            for who, text in zip(("user", "assistant"), turn, strict=True)
        }
        return fenced(CONVERSED, material, _TASK, _SHAPE)


def conversing(
    one: Mapping[str, Json], values: Mapping[str, Json], prompt: str, case: Case, model: Model | None
) -> Conversing:
    """The assertion about a case: the var `_conversation` (pairs of input and output), else the prompt and its answer."""
    said, config = values.get("_conversation"), one.get("config")
    held_before = said if isinstance(said, list) else []
    pairs = [(each.get("input"), each.get("output")) for each in held_before if isinstance(each, dict)]
    turns = [(as_text(a), as_text(b)) for a, b in pairs] or [(prompt, as_text(case.output))]
    window, limit = config.get("windowSize") if isinstance(config, dict) else None, one.get("threshold")
    return Conversing(
        float(limit) if isinstance(limit, int | float) else None, turns,
        window if isinstance(window, int) and window > 0 else _TURNS, model,
    )  # fmt: skip
