"""One call to a model as a component makes it: answered from the cache of an evaluation where one is around, and
held to the output's JSON Schema, with one second chance.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from opentelemetry import context as otel

from afere.base.canonical import Json, compact
from afere.base.document import schema_problem
from afere.base.errors import ModelFailed
from afere.base.message import Message, Part, ToolCall, Usage, message
from afere.base.steps import Steps
from afere.models import Model, Paces, Reply, Request, ask

if TYPE_CHECKING:
    from afere.store.cache import Cache

CACHED = "afere.cached"  # attribute of a span whose answer came from the cache

_MEMORY = otel.create_key("afere-remembered-calls")
_ANEW = otel.create_key("afere-asking-anew")
_FENCED = re.compile(r"\s*```[a-zA-Z]*\n(.*?)\n?```\s*", re.DOTALL)


@dataclass
class Memory:
    """Answers of models kept for one row of an evaluation: keyed by the whole request, the number of the repeat, and
    how often the row has asked just that (so that asking twice for two opinions stays two answers).
    """

    cache: Cache
    repeat: int = 1
    paces: Paces | None = None  # of the run
    paid: float = 0.0  # USD of the calls that were really made
    served: int = 0  # calls answered from the cache
    _asked: dict[str, int] = field(default_factory=dict[str, int])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def key(self, model: Model, request: Request, since: str | None = None) -> str:
        """`since`: only what was answered under the same is remembered."""
        where = model.provider, model.name, getattr(model.settings, "base_url", None) or ""
        whole = compact([*where, *request.key, self.repeat, *([] if since is None else [since])], sort_keys=True)
        digest = hashlib.sha256(whole).hexdigest()
        with self._lock:
            nth = self._asked[digest] = self._asked.get(digest, 0) + 1
        return f"call/{digest}/{nth}"

    def forget_asked(self) -> None:
        """What is asked from now on is asked for the first time."""
        with self._lock:
            self._asked.clear()


def remembering(memory: Memory) -> AbstractContextManager[None]:
    """Answer the model calls made inside from `memory`, and add to it."""
    from afere.tracing.scope import holding

    return holding(_MEMORY, memory)


def asking_anew(since: str) -> AbstractContextManager[None]:
    """Inside, only what was answered under the same `since` is remembered: what is measured was asked for."""
    from afere.tracing.scope import holding

    return holding(_ANEW, since)


def with_memory(context: otel.Context, memory: Memory) -> otel.Context:
    """The context, with `memory` for the model calls made in it."""
    return otel.set_value(_MEMORY, memory, context)


def once(model: Model, request: Request) -> Steps[tuple[Reply, bool]]:
    """The model's answer, and whether it came from the cache."""
    here = otel.get_current()
    memory = cast("Memory | None", here.get(_MEMORY))
    if memory is None:
        return (yield from ask(model, request)), False
    key = memory.key(model, request, cast("str | None", here.get(_ANEW)))
    kept = memory.cache.get(key)
    if isinstance(kept, dict):
        memory.served += 1
        return reply_from_json(kept), True
    reply = yield from ask(model, request, paces=memory.paces)
    memory.paid += reply.cost or 0.0
    memory.cache.put(key, reply_to_json(reply))
    return reply, False


def answer(name: str, model: Model, request: Request) -> Steps[tuple[Reply, bool]]:
    """Like `once`, with `value` set where an output is asked for. An answer that does not fit is asked for once more,
    with what is wrong; then ModelFailed shows what came.
    """
    reply, cached = yield from once(model, request)
    if request.output is None or reply.calls:
        return reply, cached
    value, problem = read_value(reply.text, request.output)
    if problem is None:
        return reply.holding(value), cached
    again = (
        f"That answer does not fit: {problem}. Answer again with nothing but JSON that fits this JSON Schema:\n"
        f"{json.dumps(dict(request.output), ensure_ascii=False)}"
    )
    second, cached_too = yield from once(
        model, replace(request, messages=(*request.messages, *reply.messages, message("user", again)))
    )
    value, problem = read_value(second.text, request.output)
    if problem is not None:
        shown = second.text if len(second.text) <= 200 else second.text[:200] + "…"
        raise ModelFailed(
            f"{name}: the model {second.model!r} answered twice with something that does not fit `output`: {problem}. "
            f"It said: {shown!r}. Simplify the schema, ask for JSON in the prompt, or use a model that supports it."
        )
    both = replace(
        second, value=value, usage=_sum(reply.usage, second.usage),
        cost=None if reply.cost is None or second.cost is None else reply.cost + second.cost,
    )  # fmt: skip
    return both, cached and cached_too


def read_value(text: str, schema: Mapping[str, Json]) -> tuple[Json, str | None]:
    """The JSON in a model's answer (a code fence around it is taken off), and what is wrong with it, if anything."""
    fenced = _FENCED.fullmatch(text)
    try:
        value: Json = _DECODE(fenced[1] if fenced else text)
    except (ValueError, RecursionError) as problem:
        return None, "it is empty" if not text.strip() else f"it is not JSON ({problem})"
    return value, schema_problem(value, schema)


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not a JSON number")


_DECODE = json.JSONDecoder(parse_constant=_refuse).decode


def _sum(a: Usage, b: Usage) -> Usage:
    def both(x: int | None, y: int | None) -> int | None:
        return None if x is None or y is None else x + y

    return Usage(
        both(a.input_tokens, b.input_tokens), both(a.output_tokens, b.output_tokens),
        both(a.cached_input_tokens, b.cached_input_tokens), both(a.reasoning_tokens, b.reasoning_tokens),
    )  # fmt: skip


def reply_to_json(reply: Reply) -> Json:
    """A reply as the cache keeps it."""
    return {
        "messages": [said.to_json() for said in reply.messages], "usage": reply.usage.to_json(), "cost": reply.cost,
        "finish": reply.finish, "model": reply.model, "first_token_seconds": reply.first_token_seconds,
        **({"logprobs": list(reply.logprobs)} if reply.logprobs else {}),
    }  # fmt: skip


def reply_from_json(kept: Mapping[str, Json]) -> Reply:
    """The reply that `reply_to_json` kept."""
    messages = tuple(message_from_json(said) for said in cast("list[dict[str, Any]]", kept["messages"]))
    return Reply(
        "".join(said.text for said in messages), messages, tuple(call for said in messages for call in said.tool_calls),
        Usage(**cast("dict[str, int | None]", kept["usage"])), cast("float | None", kept["cost"]), str(kept["finish"]),
        str(kept["model"]), first_token_seconds=cast("float | None", kept["first_token_seconds"]),
        logprobs=tuple(cast("list[float]", kept.get("logprobs") or [])),
    )  # fmt: skip


def message_from_json(said: Mapping[str, Any]) -> Message:
    """The message that `Message.to_json` wrote."""
    parts = [
        Part(part["type"], part.get("text", ""), part.get("media_type", ""), part.get("blob"), part.get("url"))
        for part in said.get("parts") or ()
    ]
    if not parts and said.get("text"):
        parts = [Part("text", said["text"])]
    calls = tuple(ToolCall(call["id"], call["name"], call["arguments"]) for call in said.get("tool_calls") or ())
    return Message(said["role"], tuple(parts), calls, said.get("tool_call_id"), said.get("name"))
