"""Run a recorded trace again: steps answered from the record, one component swapped, nothing fired."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from afere.base.errors import BadInput, NotFound
from afere.base.project import Project
from afere.base.span import Span, Trace
from afere.chains.chain import Chain, Run, apart, known_chain
from afere.chains.component import Component
from afere.chains.declaring import component_of
from afere.chains.recorded import Record, ReplayStopped
from afere.chains.resolving import resolve_chain
from afere.chains.standing import swapping
from afere.chains.waiting import waited
from afere.data.place import calling_project, session_of
from afere.store import Session
from afere.tracing import Collected, context, flush, playing
from afere.tracing.scope import entered

if TYPE_CHECKING:
    from afere.chains.revision import Change

REPLAY_OF = "afere.replay_of"  # attribute of a replay's spans: the trace that was replayed


def replay(trace_id: str, *, swap: Mapping[str, str] = {}, times: int = 1) -> list[Run[Any]]:
    """Run the chain of a trace again with its recorded input, `times` times.

    Components, tools, searches and `afere.now()` are answered from the record, by name, arguments and nth call. The
    components named in `swap` (`{"answer": "prompts/answer.md"}`, or a reference) run anew, and so do components and
    searches whose input became another by that; tools are never fired. Each Run says in `exact` whether all else was
    as recorded and in `notes` what was not.
    """
    if times < 1:
        raise BadInput(f"times is {times}; a replay runs at least once.")
    return replay_in(calling_project(), trace_id, swap=swap, times=times)


def replay_in(project: Project, trace_id: str, *, swap: Mapping[str, str], times: int = 1) -> list[Run[Any]]:
    """Like `replay`, in a project that is known."""
    session = session_of(project)
    flush()
    trace = session.spans.trace(trace_id)
    if trace is None:
        raise NotFound(f"There is no trace {trace_id!r} in {session.folder}. List them with: afere traces")
    root = _chain_span(trace)
    chain = _chain_of(root, project)
    components = {name: component_of(source, project) for name, source in swap.items()}
    recorded = sorted({span.name for span in trace.of_kind("llm")})
    for name in components:
        if name not in recorded:
            raise NotFound(
                f"The trace has no component {name!r} to swap. Its components: {', '.join(recorded) or 'none'}."
            )
    differences = _differences(root, chain, components, session)
    return [_once(trace, root, chain, components, differences) for _ in range(times)]


def _once(
    trace: Trace, root: Span, chain: Chain[..., Any], components: Mapping[str, Component], differences: list[str]
) -> Run[Any]:
    record = Record(trace, components)
    args, kwargs = _arguments(root, chain)
    about = {"user": root.user, "session": root.session, REPLAY_OF: trace.trace_id}
    try:
        with entered(apart(Collected(trace.project))), context(**about), playing(record), swapping(components):
            run: Any = chain.run(*args, **kwargs)
            run = waited(run) if inspect.isawaitable(run) else run
    except Exception:
        if record.stopped is not None:
            raise record.stopped from None
        raise
    if record.stopped is not None:  # the user's code caught it
        raise record.stopped
    notes = (*differences, *record.notes)
    return replace(cast("Run[Any]", run), exact=record.exact and not differences, notes=notes)


def _chain_span(trace: Trace) -> Span:
    found = [span for span in trace.spans if span.kind in ("chain", "agent")]
    if not found:
        raise ReplayStopped(
            f"trace {trace.trace_id} holds no chain, so there is nothing to run again. Decorate the entry with @afere.chain."
        )
    span = min(found, key=lambda one: one.start)
    spoilt = [mark for mark in span.marks if mark in ("cut", "redacted")]
    if spoilt and (span.input is None or _touched(span)):
        raise ReplayStopped(
            f"the replay stops: the recorded input of {span.name!r} is {spoilt[0]}, so it cannot be given again."
        )
    return span


def _touched(span: Span) -> bool:
    """Whether the input itself may be what was cut or redacted."""
    text = str(span.input)
    return "(cut: " in text or "[" in text


def _chain_of(root: Span, project: Project) -> Chain[..., Any]:
    if root.name in project.section("chains"):
        return resolve_chain(root.name, project)
    return known_chain(root.name) or resolve_chain(root.name, project)


def _arguments(root: Span, chain: Chain[..., Any]) -> tuple[list[Any], dict[str, Any]]:
    """The recorded input as arguments of the chain as it is now."""
    given = dict(cast("dict[str, Any]", root.input or {}))
    if chain.kind == "agent":
        return [], given
    parameters = inspect.signature(chain.fn).parameters.values()
    rest = next((one.name for one in parameters if one.kind is one.VAR_POSITIONAL), None)
    more: list[Any] = given.pop(rest, []) if rest else []
    args: list[Any] = []
    for one in parameters:
        by_place = one.kind is one.POSITIONAL_ONLY or (bool(more) and one.kind is one.POSITIONAL_OR_KEYWORD)
        if by_place and one.name in given:
            args.append(given.pop(one.name))
    return [*args, *more], given


def _differences(
    root: Span, chain: Chain[..., Any], components: Mapping[str, Component], session: Session
) -> list[str]:
    """What differs between the recorded revision and the code here, in words; the swapped components aside."""
    used = next(((ref, hash_) for ref, hash_ in root.artifacts if ref.startswith("chain:")), None)
    if used is None:
        return ["the recorded trace does not say which revision ran"]
    here = chain.revision()
    if here.hash == used[1]:
        return []
    from afere.chains.revision import changes

    was = session.get(f"{used[0].partition('~')[0]}~{used[1].removeprefix('sha256:')}")
    told = [change for change in changes(was, here, session) if not change.setting and not _found_since(change)]
    aside = {f"{kind} {name}" for name in components for kind in ("prompt", "component", "model")}
    return [str(one).splitlines()[0] for one in told if " ".join(one.part.split()[:2]) not in aside]


def _found_since(change: Change) -> bool:
    """Whether other runs have shown more of the same code: what this one did is in its trace."""
    return change.what == "added" and (
        change.part.startswith("found ") or (change.part == "note" and change.detail.endswith(" was found by running"))
    )
