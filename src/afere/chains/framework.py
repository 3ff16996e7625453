"""Objects of frameworks as something to run, by their shape: graphs and runnables (`invoke`), agents (`run`), none imported here."""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from afere.base.canonical import Json

Asked = Callable[[Mapping[str, Json]], Awaitable[Any]]


def asked_of(target: object) -> Asked | None:
    """How to ask an object of a framework with a row's input; None where it has no known shape.

    `ainvoke`/`invoke` (LangGraph, LangChain), `run` with `run_sync` (Pydantic AI), an agent of the OpenAI Agents SDK.
    """
    found = cast("Any", target)
    if isinstance(target, type) or callable(target):
        return None
    if hasattr(found, "ainvoke") or hasattr(found, "invoke"):
        return lambda inputs: _invoked(found, inputs)
    if hasattr(found, "run_sync") and hasattr(found, "run"):
        return lambda inputs: _ran(found, inputs)
    if type(found).__module__.partition(".")[0] == "agents" and hasattr(found, "instructions"):
        return lambda inputs: _by_runner(found, inputs)
    return None


async def _invoked(target: Any, inputs: Mapping[str, Json]) -> Any:
    given: Any = dict(inputs)
    channels = getattr(target, "channels", None)
    said = _only_text(inputs)
    if channels is None and list(inputs) == ["input"]:
        given = inputs["input"]
    elif channels is not None and "messages" in channels and said is not None and not inputs.keys() & set(channels):
        given = {"messages": [{"role": "user", "content": said}]}
    made = target.ainvoke(given) if hasattr(target, "ainvoke") else target.invoke(given)
    output = await made if inspect.isawaitable(made) else made
    if isinstance(output, Mapping) and isinstance(held := cast("Any", output).get("messages"), list) and held:
        output = cast("Any", held)[-1]
    return getattr(cast("Any", output), "content", cast("Any", output))


async def _ran(agent: Any, inputs: Mapping[str, Json]) -> Any:
    return (await agent.run(_text(inputs))).output


async def _by_runner(agent: Any, inputs: Mapping[str, Json]) -> Any:
    from agents import Runner  # pyright: ignore[reportMissingImports, reportUnknownVariableType]  the user's own

    return (await cast("Any", Runner).run(agent, _text(inputs))).final_output


def _only_text(inputs: Mapping[str, Json]) -> str | None:
    """The text of an input that holds one text and nothing else."""
    values = list(inputs.values())
    return values[0] if len(values) == 1 and isinstance(values[0], str) else None


def _text(inputs: Mapping[str, Json]) -> str:
    """The only text, or the whole input as JSON."""
    said = _only_text(inputs)
    return json.dumps(dict(inputs), ensure_ascii=False) if said is None else said
