"""`@afere.trace`: record that a function ran, what went in and what came out. The function stays what it is."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, ParamSpec, TypeVar, cast, overload

from opentelemetry import context as otel
from opentelemetry.context import Context

from afere.tracing.live import LiveSpan, begin

P = ParamSpec("P")
R = TypeVar("R")

_PIECES = 1_000  # of what a generator yields, kept as its output


@overload
def trace(fn: Callable[P, R], /, *, name: str | None = None, kind: str = "step") -> Callable[P, R]: ...
@overload
def trace(*, name: str | None = None, kind: str = "step") -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def trace(fn: Any = None, /, *, name: str | None = None, kind: str = "step") -> Any:
    """Trace a function: plain, async, generator or async generator; also a method.

    @afere.trace
    def rank(passages): ...

    @afere.trace(name="search again", kind="retrieval")
    async def search(query): ...
    """
    if fn is None:
        return functools.partial(trace, name=name, kind=kind)
    if isinstance(fn, staticmethod | classmethod):
        method = cast("Any", fn)
        return type(method)(trace(method.__func__, name=name, kind=kind))
    return _Traced(fn, name or getattr(fn, "__name__", type(fn).__name__), kind).wrapper()


class _Traced:
    def __init__(self, fn: Callable[..., Any], name: str, kind: str) -> None:
        self.fn, self.name, self.kind = fn, name, kind
        self._names, self._rest = _parameters(fn)

    def wrapper(self) -> Callable[..., Any]:
        fn: Any = self.fn
        call: Any = (
            fn if hasattr(fn, "__code__") or hasattr(fn, "func") else type(fn).__call__
        )  # an object with __call__
        if inspect.isasyncgenfunction(call):
            made = self._async_generator()
        elif inspect.isgeneratorfunction(call):
            made = self._generator()
        elif inspect.iscoroutinefunction(call):
            made = self._coroutine()
        else:
            made = self._plain()
        return functools.update_wrapper(made, fn)

    def begin(self, parent: Context, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveSpan:
        inputs = dict(zip(self._names, args, strict=False))
        inputs.pop("self", None)
        inputs.pop("cls", None)
        if len(args) > len(self._names):
            inputs[self._rest] = args[len(self._names) :]
        inputs.update(kwargs)
        return begin(self.name, self.kind, parent, {}, inputs)

    def _plain(self) -> Callable[..., Any]:
        def traced(*args: Any, **kwargs: Any) -> Any:
            live = self.begin(otel.get_current(), args, kwargs)
            otel.attach(live.context)
            try:
                output = self.fn(*args, **kwargs)
            except BaseException as error:
                live.fail(error)
                raise
            else:
                live.output(output)
                return output
            finally:
                live.end()

        return traced

    def _coroutine(self) -> Callable[..., Any]:
        async def traced(*args: Any, **kwargs: Any) -> Any:
            live = self.begin(otel.get_current(), args, kwargs)
            otel.attach(live.context)
            try:
                output = await self.fn(*args, **kwargs)
            except BaseException as error:
                live.fail(error)
                raise
            else:
                live.output(output)
                return output
            finally:
                live.end()

        return traced

    def _generator(self) -> Callable[..., Any]:
        def traced(*args: Any, **kwargs: Any) -> Any:
            return self._run(
                otel.get_current(), args, kwargs
            )  # the caller of now is the parent, whoever iterates later

        return traced

    def _run(self, parent: Context, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Generator[Any, Any, Any]:
        live = self.begin(parent, args, kwargs)
        pieces = _Pieces(live)
        try:
            generator = cast("Generator[Any, Any, Any]", self.fn(*args, **kwargs))
            step: Callable[[], Any] = functools.partial(next, generator)
            while True:
                # The span is current only while the generator's own code runs, never in the code that iterates over it.
                with live.active():
                    piece = step()
                pieces.add(piece)
                try:
                    sent = yield piece
                except GeneratorExit:
                    with live.active():
                        generator.close()
                    live.event("closed early")
                    raise
                except BaseException as error:
                    step = functools.partial(generator.throw, error)
                else:
                    step = functools.partial(generator.send, sent)
        except StopIteration as stop:
            return stop.value
        except GeneratorExit:
            raise
        except BaseException as error:
            live.fail(error)
            raise
        finally:
            pieces.done()
            live.end()

    def _async_generator(self) -> Callable[..., Any]:
        def traced(*args: Any, **kwargs: Any) -> Any:
            return self._arun(otel.get_current(), args, kwargs)

        return traced

    async def _arun(self, parent: Context, args: tuple[Any, ...], kwargs: dict[str, Any]) -> AsyncGenerator[Any, Any]:
        live = self.begin(parent, args, kwargs)
        pieces = _Pieces(live)
        try:
            generator = cast("AsyncGenerator[Any, Any]", self.fn(*args, **kwargs))
            step: Callable[[], Any] = generator.__anext__
            while True:
                with live.active():
                    piece = await step()
                pieces.add(piece)
                try:
                    sent = yield piece
                except GeneratorExit:
                    with live.active():
                        await generator.aclose()
                    live.event("closed early")
                    raise
                except BaseException as error:
                    step = functools.partial(generator.athrow, error)
                else:
                    step = functools.partial(generator.asend, sent)
        except StopAsyncIteration:
            return
        except GeneratorExit:
            raise
        except BaseException as error:
            live.fail(error)
            raise
        finally:
            pieces.done()
            live.end()


class _Pieces:
    """What a generator yielded, as its output: text that comes in pieces is joined."""

    def __init__(self, live: LiveSpan) -> None:
        self._live = live
        self._kept: list[Any] = []
        self._count = 0

    def add(self, piece: Any) -> None:
        if self._count == 0:
            self._live.first()
        self._count += 1
        if len(self._kept) < _PIECES or isinstance(piece, str):
            self._kept.append(piece)

    def done(self) -> None:
        if self._kept and all(isinstance(piece, str) for piece in self._kept):
            self._live.output("".join(self._kept))
        elif self._count:
            self._live.output(self._kept)


def _parameters(fn: Callable[..., Any]) -> tuple[list[str], str]:
    """The names that positional arguments take, and the name that takes the rest."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):  # some built-in functions do not tell
        return [], "args"
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return positional, next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "args")
