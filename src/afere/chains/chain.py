"""Chain: a function of the user's that is one versioned whole. It stays what it is: sync, async or a generator."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import sys
import threading
import time
import types
import weakref
from collections.abc import AsyncIterator, Callable, Collection, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from opentelemetry import context as otel
from opentelemetry.trace import INVALID_SPAN, set_span_in_context

from afere.base.artifact import Artifact, check_name
from afere.base.errors import BadInput
from afere.base.project import Project, find_project
from afere.base.span import Trace
from afere.chains.component import generation
from afere.chains.standing import in_place, stillness
from afere.data.place import session_of
from afere.store import Session
from afere.tracing import Collected, LiveSpan, collecting, current, trace
from afere.tracing.scope import COLLECTORS, LIVE, PLAYBACK, holding

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger("afere")
_FRESH = 2.0  # seconds for which a revision is taken as current, unless a prompt file changed
_known: weakref.WeakValueDictionary[str, Chain[..., Any]] = weakref.WeakValueDictionary()
_ROOT = otel.create_key("afere-chain-run")
_LATER = otel.create_key("afere-chain-settles-later")

Gathered = dict["Chain[..., Any]", set[tuple[str, str]]]  # references and hashes of what ran, by chain


@dataclass(frozen=True)
class Run(Generic[R]):
    """One run of a chain: its output, where to look it up, what ran, how long it took and what it cost (USD).

    A replay says in `exact` whether all else was as recorded, and in `notes` what was not.
    """

    output: R
    trace_id: str
    revision: str
    seconds: float
    cost: float | None
    exact: bool | None = None
    notes: tuple[str, ...] = ()


class Chain(Generic[P, R]):
    """A function with a revision history. Calling it is a `chain` span that carries its revision."""

    kind = "chain"

    def __init__(self, fn: Callable[P, R], name: str | None = None, state: _State | None = None) -> None:
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.name = check_name(name or _named(fn), "chain")
        self.shape = _shape(fn)
        self._traced: Callable[..., Any] = trace(_noting(self, fn, self.shape), name=self.name, kind=self.kind)
        self._state = state or _State()
        self._states: dict[int, tuple[weakref.ref[Any], _State]] = {}  # of the instances whose method this is

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        self._state.refresh(self)
        return self._traced(*args, **kwargs)

    def run(self, *args: P.args, **kwargs: P.kwargs) -> Run[R]:
        """Run it once, with its trace, revision, time and cost. Awaitable when the function is async.

        What a generator yields is collected: joined if it is all text, else a list.
        """
        if self.shape in ("async", "async generator"):
            return cast("Run[R]", self._arun(args, kwargs))
        roots: list[LiveSpan] = []
        self._state.refresh(self)  # before the clock starts
        with collecting() as collected, holding(_ROOT, roots):
            begun = time.perf_counter()
            output: Any = cast("Callable[..., Any]", self)(*args, **kwargs)
            if self.shape == "generator":
                output = joined(list(cast("Iterator[Any]", output)))
            seconds = time.perf_counter() - begun
        return self._run_of(roots[0], collected.traces, output, seconds)

    async def _arun(self, args: Any, kwargs: Any) -> Run[Any]:
        roots: list[LiveSpan] = []
        self._state.refresh(self)  # before the clock starts
        with collecting() as collected, holding(_ROOT, roots):
            begun = time.perf_counter()
            output: Any = cast("Callable[..., Any]", self)(*args, **kwargs)
            if self.shape == "async generator":
                output = joined([piece async for piece in cast("AsyncIterator[Any]", output)])
            else:
                output = await output
            seconds = time.perf_counter() - begun
        return self._run_of(roots[0], collected.traces, output, seconds)

    def _run_of(self, root: LiveSpan, traces: dict[str, Trace], output: Any, seconds: float) -> Run[Any]:
        whole = traces.get(root.trace_id)
        revision = next((ref for ref, _ in root.record.artifacts if ref.startswith("chain:")), "")
        return Run(output, root.trace_id, revision, seconds, whole.totals.cost if whole else None)

    def revision(self) -> Artifact:
        """The version of the whole chain as it is now: code, prompts, models, tools, indexes. Put if it is new."""
        return self._state.capture(self, session_of(self.project))

    @property
    def project(self) -> Project:
        """Where its names resolve: the declared project of the function's file, else that of the working directory."""
        file = getattr(sys.modules.get(getattr(self.fn, "__module__", "") or ""), "__file__", None)
        found = find_project(file) if file else None
        return found if found is not None and found.declared else find_project()

    @contextmanager
    def noting(self) -> Generator[None]:
        """While it runs: say on its span which revision runs, and before that ends, what ran without being part of it."""
        live = current()
        if live is None:
            yield
            return
        roots = cast("list[LiveSpan] | None", live.context.get(_ROOT))
        if roots is not None and not roots:
            roots.append(live)
        revision = self._state.revision
        if revision is None:
            live.set(**{"afere.revision_problem": self._state.problem})
            yield
            return
        live.use(revision.ref, revision.hash)
        outer, live.ran = live.ran, set()
        try:
            yield
        finally:
            self._settle(live, revision)
            if outer is not None:
                outer |= live.ran

    def _settle(self, live: LiveSpan, revision: Artifact) -> None:
        """Let the span say the revision that has what ran. Never raises."""
        ran = live.ran or set()
        if live.context.get(PLAYBACK) is not None or not self._state.is_news(revision, ran):
            return
        later = cast("Gathered | None", live.context.get(_LATER))
        if later is not None:
            later.setdefault(self, set()).update(ran)
            return
        try:
            now = self._state.capture(self, session_of(self.project), ran)
        except Exception as problem:  # observing never breaks the user's call
            _log.warning("chain %s: what ran could not join its revision: %s", self.name, problem)
            return
        used = live.record.artifacts
        used[:] = [(now.ref, now.hash) if one == (revision.ref, revision.hash) else one for one in used]

    def settle(self, ran: Collection[tuple[str, str]]) -> Artifact:
        """The revision as it is now, with these references and hashes of what ran."""
        return self._state.capture(self, session_of(self.project), ran)

    @property
    def parameters(self) -> tuple[str, ...] | None:
        """The names of what it takes; None when it takes any."""
        return parameters_of(self.fn)

    def __get__(self, instance: object, owner: type | None = None) -> Chain[..., R]:
        if instance is None:
            return self
        return type(self)(types.MethodType(self.fn, instance), self.name, self._state_of(instance))

    def _state_of(self, instance: object) -> _State | None:
        key = id(instance)
        if key not in self._states:
            try:
                seen = weakref.ref(instance, lambda _: self._states.pop(key, None))
            except TypeError:  # its class has slots and no room for this
                return None
            self._states[key] = (seen, _State())
        return self._states[key][1]

    def __reduce__(self) -> str:
        return str(self.__dict__["__qualname__"])  # pickled by its name, as functions are

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name!r}>"


class _AsyncChain(Chain[P, R]):
    def __init__(self, fn: Callable[P, R], name: str | None = None, state: _State | None = None) -> None:
        super().__init__(fn, name, state)
        mark_async(self)

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - R is the coroutine
        self._state.refresh(self)
        return await self._traced(*args, **kwargs)


class _State:
    """The last captured revision of a chain, and whether it may still be taken as current."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stamp: tuple[int, object, float] | None = None  # edits of prompts, swaps, and time at the last capture
        self._plain: tuple[str, set[tuple[str, str]]] = (
            "",
            set(),
        )  # a revision's hash, and what is known to be no news
        self.revision: Artifact | None = None
        self.problem: str | None = None
        self._seen: object = None  # the `still` in which it was last captured

    def refresh(self, chain: Chain[..., Any]) -> None:
        """Make `revision` that of now: before the call, so that its span does not time this. Never raises."""
        now, stamp = stillness(), self._stamp
        if now is not None and now is self._seen and stamp is not None and stamp[1] == in_place():
            return
        try:
            current = stamp is not None and stamp[:2] == (generation(), in_place())
            if stamp is None or not current or time.monotonic() - stamp[2] > _FRESH:
                self.capture(chain, session_of(chain.project))
            self._seen = now
        except Exception as problem:  # observing never breaks the user's call
            from afere.chains.ready import why_unkept

            said = f"{type(problem).__name__}: {why_unkept(problem)}"
            if said != self.problem:
                _log.warning("chain %s: its revision could not be captured: %s", chain.name, said)
            self.problem, self.revision = said, None

    def capture(self, chain: Chain[..., Any], session: Session, ran: Collection[tuple[str, str]] = ()) -> Artifact:
        """Capture and keep it, with what was found by running, `ran` included."""
        from afere.chains.revision import capture, with_ran

        stamp = (generation(), in_place(), time.monotonic())
        with self._lock:
            self.revision = found = with_ran(capture(chain), ran, session).put(session)
            self._stamp = stamp
            if ran:
                self._plain = (found.hash, set(ran))
        return found

    def is_news(self, revision: Artifact, ran: set[tuple[str, str]]) -> bool:
        """Whether something ran that this revision does not have. Asked after each call: mostly one look at a set."""
        hash_, plain = self._plain
        if hash_ == revision.hash and ran <= plain:
            return False
        from afere.chains.revision import unreached

        if unreached(revision, ran):
            return True
        self._plain = (revision.hash, ran | plain if hash_ == revision.hash else set(ran))
        return False


@overload
def chain(fn: Callable[P, R], /, *, name: str | None = None) -> Chain[P, R]: ...
@overload
def chain(fn: None = None, /, *, name: str | None = None) -> Callable[[Callable[P, R]], Chain[P, R]]: ...
def chain(fn: Callable[..., Any] | None = None, /, *, name: str | None = None) -> Any:
    """Make a function a chain: `@afere.chain`, or `@afere.chain(name="qa")`."""

    def make(fn: Callable[P, R]) -> Chain[P, R]:
        found = _AsyncChain(fn, name) if _shape(fn) == "async" else Chain(fn, name)
        _known[found.name] = found
        return found

    return make if fn is None else make(fn)


def known_chain(name: str) -> Chain[..., Any] | None:
    """The chain of that name that this process has defined; the last one, if there were several."""
    return _known.get(name)


def settling_later(gathered: Gathered) -> AbstractContextManager[None]:
    """Inside, what ran without being part of a chain's revision is gathered, to be settled once: see `Chain.settle`."""
    return holding(_LATER, gathered)


def apart(collected: Collected) -> otel.Context:
    """The context around here without its running span, for a trace of its own; `collected` gets its spans."""
    outer = cast("tuple[Collected, ...]", otel.get_value(COLLECTORS) or ())
    return set_span_in_context(
        INVALID_SPAN, otel.set_value(COLLECTORS, (*outer, collected), otel.set_value(LIVE, None))
    )


def mark_async(made: Any) -> None:
    """Let `inspect.iscoroutinefunction` (3.12) or `asyncio.iscoroutinefunction` see an object that is called like one."""
    if sys.version_info >= (3, 12):
        inspect.markcoroutinefunction(made)
    else:
        made._is_coroutine = asyncio.coroutines._is_coroutine  # pyright: ignore[reportAttributeAccessIssue,reportUnknownMemberType] - no public way before 3.12


def parameters_of(fn: Callable[..., Any]) -> tuple[str, ...] | None:
    """The names a call may give; None when the function takes any (`**kwargs`) or its signature is not known."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return tuple(parameter.name for parameter in parameters if parameter.kind in kinds)


def _noting(made: Chain[..., Any], fn: Callable[..., Any], shape: str) -> Callable[..., Any]:
    """`fn`, noting the revision on the span that runs it."""

    def plain(*args: Any, **kwargs: Any) -> Any:
        with made.noting():
            return fn(*args, **kwargs)

    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        with made.noting():
            return await fn(*args, **kwargs)

    def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with made.noting():
            return (yield from cast("Generator[Any, Any, Any]", fn(*args, **kwargs)))

    async def async_generator(*args: Any, **kwargs: Any) -> Any:
        with made.noting():
            async for piece in fn(*args, **kwargs):
                yield piece

    shapes = {"async": coroutine, "generator": generator, "async generator": async_generator}
    return functools.wraps(fn)(shapes.get(shape, plain))


def _shape(fn: Callable[..., Any]) -> str:
    if inspect.isasyncgenfunction(fn):
        return "async generator"
    if inspect.iscoroutinefunction(fn):
        return "async"
    return "generator" if inspect.isgeneratorfunction(fn) else "plain"


def joined(pieces: list[Any]) -> Any:
    """What a generator yielded, as one value: text is joined."""
    return "".join(pieces) if pieces and all(isinstance(piece, str) for piece in pieces) else pieces


def _named(fn: Callable[..., Any]) -> str:
    name = str(getattr(fn, "__name__", "")).strip("_").lower()
    if not name or name == "<lambda>":
        raise BadInput('A chain needs a name: decorate a named function, or give @afere.chain(name="qa").')
    return name
