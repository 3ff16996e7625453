"""Conversations: the target is asked turn by turn, with what was said so far; the whole comes out as one answer."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, cast, get_args

from afere.base.canonical import Json
from afere.base.errors import BadData, BadInput
from afere.base.steps import Steps, adrive, drive
from afere.chains.target import Target, as_json, target_of
from afere.data import Row
from afere.data.shapes import messages_in, turns_of
from afere.evals.scorers.case import TURN
from afere.tracing import LiveSpan, span

Turns = Literal["live", "recorded"]  # whose answers stand in the history: the target's own, or those of the row
TURNS: tuple[str, ...] = get_args(Turns)
_MESSAGES, _HISTORY = "messages", "history"
_ROLES = ("user", "assistant", "system", "developer", "tool", "function")


def conversing(target: Callable[..., Any] | str, turns: Turns) -> Callable[..., Any]:
    """The target as something that takes a whole row: a row with `messages` turn by turn, any other as it is.

    The target takes `messages` (all so far, the user's last), or the user's text as its one other parameter and, if it likes,
    `history` (what was said before). BadInput if it takes neither messages nor history: it would not know what was said.
    """
    found = target_of(target)
    _check(found)
    if found.is_async:

        async def talk(**given: Json) -> Json:
            return await adrive(_steps(found, given, turns))

        made: Callable[..., Any] = talk
    else:

        def say(**given: Json) -> Json:
            return drive(_steps(found, given, turns))

        made = say
    made.__name__ = found.name
    if found.parameters is not None:  # so that a row with other arguments is named before it runs
        names = dict.fromkeys((*found.parameters, _MESSAGES))
        kind = inspect.Parameter.KEYWORD_ONLY
        made.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names])  # pyright: ignore[reportFunctionMemberAccess]
    return made


def check_roles(row: Row) -> None:
    """BadData, which names row and message, where a role is none: what a `usr` says would be asked by nobody."""
    for number, one in enumerate(messages_in(row.input.get(_MESSAGES)) or (), 1):
        if one["role"] not in _ROLES:
            near = get_close_matches(str(one["role"]), _ROLES, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise BadData(
                f"row {row.id}: message {number} has the role {one['role']!r}.{hint} Roles: {', '.join(_ROLES)}."
            )


def _check(found: Target) -> None:
    if found.parameters is not None and not {_MESSAGES, _HISTORY} & set(found.parameters):
        raise BadInput(
            f"turns: {found.name} takes {', '.join(found.parameters) or 'nothing'}, so it could not know what was said before. "
            "Let it take messages (all so far), or history beside the user's text."
        )


@dataclass(frozen=True)
class _Call:
    """One call of the target. `turn` counts from 1; 0: no conversation, so that no turn stands in the trace."""

    target: Target
    arguments: dict[str, Json]
    turn: int = 0

    def run(self) -> Json:
        with self._traced() as live:
            return _told(live, self.target.call(self.arguments))

    async def arun(self) -> Json:
        with self._traced() as live:
            answer = self.target.call(self.arguments)
            return _told(live, await answer if inspect.isawaitable(answer) else answer)

    @contextmanager
    def _traced(self) -> Generator[LiveSpan | None]:
        if not self.turn:
            yield None
            return
        with span(TURN, turn=self.turn) as live:
            live.input(self.arguments)
            yield live


def _told(live: LiveSpan | None, answer: object) -> Json:
    said = as_json(answer)
    if live is not None:
        live.output(said)
    return said


def _steps(found: Target, given: Mapping[str, Json], turns: Turns) -> Steps[Json]:
    """Which calls are made; each is answered by what the target said."""
    messages = messages_in(given.get(_MESSAGES))
    if messages is None or not any(one["role"] == "user" for one in messages):
        return (yield _Call(found, dict(given)))
    rest = {key: value for key, value in given.items() if key != _MESSAGES}
    before: list[Json] = []
    said: list[Json] = []
    for number, turn in enumerate(turns_of(messages), 1):
        last = max((i for i, one in enumerate(turn) if one["role"] == "user"), default=len(turn) - 1)
        asked, recorded = (
            [cast("Json", one) for one in turn[: last + 1]],
            [cast("Json", one) for one in turn[last + 1 :]],
        )
        answer: Json = yield _Call(found, _arguments(found, before, asked, rest), number)
        reply: Json = {"role": "assistant", "content": _content(answer)}
        before += [*asked, *(recorded if turns == "recorded" and recorded else [reply])]
        said += [*asked, reply]
    return {_MESSAGES: said}


def _arguments(found: Target, before: list[Json], asked: list[Json], rest: Mapping[str, Json]) -> dict[str, Json]:
    names = found.parameters
    if names is None or _MESSAGES in names:
        return {**rest, _MESSAGES: [*before, *asked]}
    free = [name for name in names if name not in rest and name != _HISTORY]
    if not free:
        raise BadInput(
            f"turns: {found.name} has no parameter left for what the user says; it takes {', '.join(names)}."
        )
    last = cast("dict[str, Json]", asked[-1])
    return {**rest, free[0]: last["content"], _HISTORY: [*before, *asked[:-1]]}


def _content(answer: Json) -> Json:
    """What the target said, as the content of a message; of messages, the assistant's last one."""
    held = answer.get(_MESSAGES) if isinstance(answer, dict) else None
    replies = [one for one in messages_in(held) or () if one["role"] == "assistant"]
    if replies:
        return replies[-1]["content"]
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
