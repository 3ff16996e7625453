"""What can be run over rows: a chain, a component, any function, or an address that answers JSON."""

from __future__ import annotations

import errno
import inspect
import json
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from afere.base.canonical import Json, plain
from afere.base.errors import BadInput, WorldFailed
from afere.chains.chain import Chain, joined, parameters_of
from afere.chains.component import Component
from afere.chains.framework import Asked, asked_of
from afere.net import Call, asend
from afere.tracing import headers, span
from afere.tracing.capture import Capture

_PASSING = frozenset({408, 425, 429})
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE})


class AddressFailed(WorldFailed):
    """The address under evaluation did not answer, or said that it cannot now."""


class AddressRefused(Exception):
    """The application at the address answered with an error of its own."""


@dataclass(frozen=True)
class Target:
    """Something that takes a row's input. `call` gives the output, or an awaitable of it when `is_async`."""

    name: str
    parameters: tuple[str, ...] | None
    is_async: bool
    call: Callable[[Mapping[str, Json]], Any]


def target_of(target: Callable[..., Any] | str) -> Target:
    """Read what is to be run. Functions that are not chains get a span of their own, so that each row has a trace."""
    if isinstance(target, str):
        if not target.startswith(("http://", "https://")):
            raise BadInput(
                f"{target!r} is not an address. Give a function, a chain, a component, or http(s)://host/path."
            )
        return Target(_label(target), None, True, lambda inputs: _post(target, inputs))
    if isinstance(target, Chain):
        chain = cast("Chain[..., Any]", target)
        is_async = chain.shape in ("async", "async generator")
        call = _awaited(chain) if is_async else _called(chain)
        return Target(chain.name, chain.parameters, is_async, call)
    if isinstance(target, Component):
        return Target(target.name, target.inputs, True, lambda inputs: target.aio(**inputs))
    if (asked := asked_of(target)) is not None:
        return _framework(target, asked)
    return _function(target)


def _framework(target: object, asked: Asked) -> Target:
    name = str(getattr(target, "name", None) or type(target).__name__)

    async def acall(inputs: Mapping[str, Json]) -> Any:
        with span(name, kind="chain") as live:
            live.input(inputs)
            output = as_json(await asked(inputs))
            live.output(output)
            return output

    return Target(name, None, True, acall)


def _function(fn: Callable[..., Any]) -> Target:
    name = str(getattr(fn, "__name__", type(fn).__name__)).strip("<>")
    body: Any = fn if inspect.isroutine(fn) else getattr(fn, "__call__", fn)  # noqa: B004 - the method itself is wanted
    if inspect.iscoroutinefunction(body) or inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(body):
        inner = _awaited(fn)

        async def acall(inputs: Mapping[str, Json]) -> Any:
            with span(name, kind="chain") as live:
                live.input(inputs)
                output = await inner(inputs)
                live.output(output)
                return output

        return Target(name, parameters_of(fn), True, acall)
    plain_call = _called(fn)

    def call(inputs: Mapping[str, Json]) -> Any:
        with span(name, kind="chain") as live:
            live.input(inputs)
            output = plain_call(inputs)
            live.output(output)
            return output

    return Target(name, parameters_of(fn), False, call)


def _called(fn: Callable[..., Any]) -> Callable[[Mapping[str, Json]], Any]:
    def call(inputs: Mapping[str, Json]) -> Any:
        output = fn(**inputs)
        return joined(list(cast("Iterator[Any]", output))) if inspect.isgenerator(output) else output

    return call


def _awaited(fn: Callable[..., Any]) -> Callable[[Mapping[str, Json]], Any]:
    async def call(inputs: Mapping[str, Json]) -> Any:
        output = fn(**inputs)
        if inspect.isasyncgen(output):
            return joined([piece async for piece in cast("AsyncIterator[Any]", output)])
        return await output

    return call


async def _post(url: str, inputs: Mapping[str, Json]) -> Json:
    """POST the input as JSON. The answer's `output`, where it is an object with one; else the whole JSON, or the text."""
    with span(_label(url), kind="chain", **{"url.full": url}) as live:
        live.input(inputs)
        body = json.dumps(dict(inputs)).encode()
        answer = await asend(Call("POST", url, {"content-type": "application/json", **headers()}, body))
        text = answer.body.decode("utf-8", "replace")
        if answer.status >= 500 or answer.status in _PASSING:
            raise AddressFailed(f"{url} answered {answer.status}: {text[:200]!r}")
        if answer.status >= 400:
            raise AddressRefused(f"{url} answered {answer.status}: {text[:200]!r}")
        try:
            output: Json = json.loads(text)
        except ValueError:
            output = text
        if isinstance(output, dict) and "output" in output:
            output = output["output"]
        live.output(output)
        return output


def as_json(output: object) -> Json:
    """An output as plain JSON; an object that is none is described by its fields."""
    try:
        return plain(output, where="output")
    except BadInput:
        return Capture(output).value


def is_world(error: BaseException) -> bool:
    """Whether the model, the network or the disk failed, rather than the user's code; told by the error or its cause."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        if isinstance(at, WorldFailed | ConnectionError | TimeoutError | socket.gaierror):
            return True
        if isinstance(at, OSError) and at.errno in _DISK:
            return True
        status = getattr(at, "status_code", None) or getattr(getattr(at, "response", None), "status_code", None)
        if isinstance(status, int) and (status >= 500 or status in _PASSING):
            return True
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    return False


def _label(url: str) -> str:
    """`http://host:3000/api/chat` -> `host:3000/api/chat`; no user name, no query."""
    return re.sub(r"^https?://(?:[^/@]*@)?", "", url).partition("?")[0]
