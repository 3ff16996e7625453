"""Scorers of agents: which tools were called, with which arguments, in which order.

What is expected stands in the row: `expected: {"tool_calls": [{"name": "search", "arguments": {"q": "leave"}}]}`, a list
of such calls or of names, or `tool_calls` in the row's metadata beside another `expected`. What was called is read from
the spans of the trace, or, where there is no trace, from `tool_calls` of the output or of the messages in it, or from the row's
`tools_called`, as DeepEval's test cases have them beside an output of text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from afere.base.canonical import Json, canonical
from afere.base.document import schema_problem
from afere.base.errors import BadInput
from afere.base.score import Score
from afere.base.span import Span, Trace
from afere.data import Row
from afere.evals.scorers.declare import scorer


@dataclass(frozen=True, slots=True)
class Called:
    """A tool with its arguments; None: any."""

    name: str
    arguments: Json = None

    def __str__(self) -> str:
        return f"{self.name}({'' if self.arguments is None else json.dumps(self.arguments, ensure_ascii=False)})"


@scorer(within=(0, 1))
def tool_calls(
    output: Json, row: Row, trace: Trace | None = None, *,
    arguments: Literal["exact", "subset", "schema", "ignore"] = "exact", extra: bool = False,
) -> dict[str, object]:  # fmt: skip
    """Whether the expected tools were called with the right arguments, in any order ; with precision and recall.

    `arguments`: `exact`ly the expected ones; a `subset` of the expected ones must fit; the expected is a JSON `schema`; or
    `ignore` them. `extra: true` allows more calls than expected. A row that expects `[]` expects none.

    >>> right = {"tool_calls": [{"name": "search", "arguments": {"q": "leave"}}]}
    >>> found = scores({"name": "tools", "kind": "tool_calls", "extra": True}, "x", right, trace=trace)
    >>> {name: one.value for name, one in found.items()}
    {'tools': True, 'tools.precision': 0.5, 'tools.recall': 1.0}
    """
    wanted = _expected(row, "tool_calls")
    if wanted is None:
        return {"": _unknown("the row expects no tool_calls")}
    made = _made(output, row, trace)
    fits = _FITS[arguments]
    pairs = _matched(wanted, made, fits)
    missing = [one for i, one in enumerate(wanted) if i not in pairs]
    more = [one for j, one in enumerate(made) if j not in pairs.values()]
    right = not missing and (extra or not more)
    why = "; ".join(
        [*(f"missing: {one}" for one in missing[:2]), *(f"not expected: {one}" for one in more[:2] if not extra)]
    )
    answer: dict[str, object] = {"": Score("case", "right", right, "scorer:tool_calls", why[:300])}
    if made:
        answer["precision"] = len(pairs) / len(made)
    if wanted:
        answer["recall"] = len(pairs) / len(wanted)
    return answer


@scorer(within=(0, 1))
def trajectory(
    output: Json,
    row: Row,
    trace: Trace | None = None,
    *,
    order: Literal["exact", "in_order", "any_order", "subset"] = "in_order",
) -> object:
    """Whether the tools were called along the expected path: names only, from `trajectory` or `tool_calls` of the row.

    `exact`: just these, in this order. `in_order`: these in this order, others between are fine. `any_order`: just these,
    in any order. `subset`: nothing but these was called.

    >>> score("trajectory", "x", ["search", "book"], trace=trace).value
    True
    """
    wanted = _expected(row, "trajectory") or _expected(row, "tool_calls")
    if wanted is None:
        return _unknown("the row expects no trajectory")
    path, made = [one.name for one in wanted], [one.name for one in _made(output, row, trace)]
    rest = iter(made)
    holds = {
        "exact": made == path,
        "in_order": all(name in rest for name in path),
        "any_order": sorted(made) == sorted(path),
        "subset": set(made) <= set(path),
    }[order]
    why = "" if holds else f"called {', '.join(made) or 'nothing'}; expected {', '.join(path) or 'nothing'}"
    return Score("case", "trajectory", holds, "scorer:trajectory", why[:300])


def _expected(row: Row, key: str) -> list[Called] | None:
    held = row.expected
    if isinstance(held, dict):
        held = held.get(key)
    elif not isinstance(held, list) or key in row.metadata:
        held = row.metadata.get(key)
    return None if held is None else [_call(one) for one in (held if isinstance(held, list) else [held])]


def _call(said: Json) -> Called:
    if isinstance(said, str):
        return Called(said)
    if not isinstance(said, dict):
        raise BadInput(f"a tool call is {{name, arguments}} or a name, not {said!r}")
    inner = said.get("function")  # as OpenAI writes it
    said = inner if isinstance(inner, dict) else said
    name, arguments = said.get("name"), said.get("arguments")
    if not isinstance(name, str):
        raise BadInput("an expected tool call has no name")
    return Called(name, _read(arguments))


def _read(value: Json) -> Json:
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _made(output: Json, row: Row, trace: Trace | None) -> list[Called]:
    ran = [_of_span(span) for span in (trace.of_kind("tool") if trace else [])]
    if ran:
        return ran
    if isinstance(output, dict):
        return [call for one in (output, *_listed(output.get("messages"))) for call in _asked_for(one)]
    return [] if trace else [_call(one) for one in _listed(row.metadata.get("tools_called"))]


def _asked_for(message: Json) -> list[Called]:
    """The calls that a message, or an output of that form, asks for."""
    return [_call(one) for one in _listed(message.get("tool_calls"))] if isinstance(message, dict) else []


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _of_span(span: Span) -> Called:
    tool = span.tool or {}
    arguments = tool.get("arguments")
    return Called(str(tool.get("name") or span.name), _read(span.input if arguments is None else arguments))


def _matched(wanted: list[Called], made: list[Called], fits: Callable[[Json, Json], bool]) -> dict[int, int]:
    """Which call answers which expectation, as many as can be (augmenting paths: Kuhn 1955)."""
    fitting = [
        [j for j, call in enumerate(made) if call.name == one.name and (one.arguments is None or fits(one.arguments, call.arguments))]
        for one in wanted
    ]  # fmt: skip
    taken: dict[int, int] = {}

    def place(i: int, seen: set[int]) -> bool:
        for j in fitting[i]:
            if j not in seen:
                seen.add(j)
                if j not in taken or place(taken[j], seen):
                    taken[j] = i
                    return True
        return False

    for i in range(len(wanted)):
        place(i, set())
    return {i: j for j, i in taken.items()}


def _same(wanted: Json, given: Json) -> bool:
    return canonical(wanted) == canonical({} if given is None else given)


def _within(wanted: Json, given: Json) -> bool:
    if isinstance(wanted, dict):
        return isinstance(given, dict) and all(key in given and _within(one, given[key]) for key, one in wanted.items())
    return canonical(wanted) == canonical(given)


def _shaped(wanted: Json, given: Json) -> bool:
    if not isinstance(wanted, dict):
        raise BadInput("with arguments: schema, each expected call's arguments are a JSON Schema")
    return schema_problem(given, wanted) is None


def _any(wanted: Json, given: Json) -> bool:
    return True


_FITS: dict[str, Callable[[Json, Json], bool]] = {"exact": _same, "subset": _within, "schema": _shaped, "ignore": _any}


def _unknown(why: str) -> Score:
    return Score("case", "tools", None, "scorer:tools", why)
