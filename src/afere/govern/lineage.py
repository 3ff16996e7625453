"""Lineage: what stands behind an answer, a version or a document, and what it touched.

One graph over artifacts, aliases, traces, documents, rows and scores. Up is towards what something was made of, down
towards what was made with it: from an answer to its prompts, models, documents, rows and code; from any of these to the
answers, experiments and releases it touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from afere.base.artifact import copied
from afere.base.clock import rfc3339
from afere.base.errors import BadReference, NotFound
from afere.base.span import EXAMPLES
from afere.chains.replay import REPLAY_OF
from afere.data import Dataset
from afere.evals.references import results_of
from afere.govern.gathering import (
    TRACES,
    Gathering,
    Item,
    Lineage,
    Link,
    Side,
    artifact_of,
    asked,
    commit_of,
    copied_rows,
    experiments_below,
    runs,
)  # fmt: skip
from afere.govern.touched import called, elsewhere, kind_of, releases
from afere.tracing import origin

if TYPE_CHECKING:
    from afere.base.artifact import Artifact
    from afere.base.span import Span, Trace
    from afere.store import Session

_TRACE = re.compile(r"[0-9a-f]{6,32}")
_MOST = 200  # things by name in one direction; the rest is counted


def lineage(session: Session, what: str, *, up: bool = True, down: bool = True, most: int = _MOST) -> Lineage:
    """The lineage of a reference, an alias (`qa@production`), a trace, a row (`dataset:qa@7/e-1`), a document's id, a tool
    (`tool:search`), a model (`openai:gpt-4.1`), or the commit or version of a program.

    NotFound or BadReference for what is nothing of these.
    """
    trace_id, slash, _ = what.partition("/")
    if _TRACE.fullmatch(trace_id) and (trace := session.spans.trace(trace_id)) is not None:
        return _of_trace(session, trace, up=up, down=down, most=most)
    if slash and what.startswith("dataset:"):
        return _of_row(session, what, up=up, down=down)
    try:
        artifact = session.get(what)
    except (NotFound, BadReference) as problem:
        if (found := elsewhere(session, what, up=up, down=down, most=most)) is not None:
            return found
        more = "Nor did any trace here read a document, call a tool, ask a model or run a version of that name."
        raise type(problem)(f"{problem} {more}") from None
    subject = Item(artifact.ref, artifact.kind, 0, artifact.at, artifact.why)
    return Lineage(
        subject,
        _above(session, artifact, most) if up else None,
        _below(session, artifact, most) if down else None,
    )


def _above(session: Session, artifact: Artifact, most: int) -> Side:
    made = Gathering()
    made.reached(session.reach(artifact.ref, up=True, most=most))
    made.models(session)
    made.code(session)
    if artifact.kind == "chain" and (commit := commit_of(artifact, session)):
        made.add(Item(commit, "code", 1, artifact.at), Link(artifact.ref, "commit", commit))
    made.shown(session, [artifact, *made.prompts(session)])
    model, parameters = asked(artifact)
    if model:
        made.add(Item(model, "model", 1, None, parameters), Link(artifact.ref, "model", model))
    if artifact.kind == "experiment":
        traces = [run.trace for run in runs(session, artifact) if run.trace]
        for trace in traces[:TRACES]:
            made.add(Item(trace, "trace", 1), Link(artifact.ref, "case", trace), counted=False)
        made.counts["trace"] = len(traces)
    return made.side()


def _below(session: Session, artifact: Artifact, most: int) -> Side:
    made = Gathering()
    if artifact.kind == "tool":  # chains hold it that never called it
        found = session.reach(artifact.ref, up=False, most=most)
        made.reached(found)
        releases(made, found)
        called(made, session, artifact)
    else:
        _below_of(made, session, [artifact], most=most)
    _scores(made, session, artifact.ref, exact=True)
    return made.side()


def _below_of(
    made: Gathering, session: Session, artifacts: Sequence[Artifact], *, near: int = 0, most: int = _MOST
) -> None:
    """What these artifacts touched: what uses them, releases, and the answers in which they ran."""
    found = session.reach(*(one.ref for one in artifacts), up=False, most=most)
    made.reached(found, near=near)
    releases(made, found)
    made.ran(session, found, near=near)


def _of_trace(session: Session, trace: Trace, *, up: bool, down: bool, most: int) -> Lineage:
    root = trace.root
    subject = Item(trace.trace_id, "trace", 0, rfc3339(root.start), root.name)
    ran = dict.fromkeys((hash_, ref) for span in trace.spans for ref, hash_ in span.artifacts)
    kept = {hash_: one for hash_, _ in ran if (one := artifact_of(session, hash_)) is not None}
    held = [
        (experiment, run)
        for experiment in _holding(session, trace, list(kept.values()))
        for run in runs(session, experiment)
        if run.trace == trace.trace_id
    ]
    above = Gathering()
    if up:
        if kept:
            above.reached(session.reach(*kept, up=True, most=most), near=1)
        for hash_, ref in ran:
            if hash_ not in kept:
                above.add(Item(ref, kind_of(ref), 1, None, "not kept in this store"))
            above.links[Link(trace.trace_id, "ran", kept[hash_].ref if hash_ in kept else ref)] = None
        above.models(session)
        above.code(session)
        above.shown(session, above.prompts(session), always=True)
        _as_told(above, trace)
        for name, parameters in _models(trace):
            above.add(Item(name, "model", 1, None, parameters), Link(trace.trace_id, "asked", name))
        for row, note in _examples(trace):
            above.add(Item(row, "row", 1, None, note), Link(trace.trace_id, "was shown", row))
        for name, note in _read(trace):
            above.add(Item(name, "document", 1, None, note), Link(trace.trace_id, "read", name))
        for experiment, run in held:
            row = f"{results_of(experiment, session).dataset[0]}/{run.row}"
            above.add(Item(row, "row", 1), Link(trace.trace_id, "answers", row))
    below = Gathering()
    if down:
        for experiment, _ in held:
            below.add(
                Item(experiment.ref, "experiment", 1, experiment.at), Link(experiment.ref, "case", trace.trace_id)
            )
        _scores(below, session, trace.trace_id, exact=False)
    return Lineage(subject, above.side() if up else None, below.side() if down else None)


def _as_told(above: Gathering, trace: Trace) -> None:
    """What spans say ran, where no version of ours does: the program, its tools, the trace that this one plays again."""
    about = origin(trace)
    if code := about.revision or about.version:
        note = " ".join(part for part in (about.service, about.version) if part and part != code)
        above.add(Item(code, "code", 1, None, note), Link(trace.trace_id, "ran", code))
    for name in dict.fromkeys(_tool(span) for span in trace.spans if span.kind == "tool" and not _versioned(span)):
        above.add(Item(f"tool:{name}", "tool", 1), Link(trace.trace_id, "called", f"tool:{name}"))
    played = trace.root.attributes.get(REPLAY_OF)
    if isinstance(played, str):
        above.add(Item(played, "trace", 1), Link(trace.trace_id, "replays", played))


def _versioned(span: Span) -> bool:
    return any(ref.startswith("tool:") for ref, _ in span.artifacts)


def _tool(span: Span) -> str:
    return str((span.tool or {}).get("name") or span.name)


def _models(trace: Trace) -> Iterator[tuple[str, str]]:
    """The models that calls without a component of ours asked, as other tools trace them."""
    for span in trace.spans:
        if (
            span.model
            and span.kind in ("llm", "embedding")
            and not any(ref.startswith("component:") for ref, _ in span.artifacts)
        ):
            yield f"{span.provider}:{span.model}" if span.provider else span.model, ""


def _read(trace: Trace) -> Iterator[tuple[str, str]]:
    """The documents that the trace's retrievals brought, once each."""
    seen: set[str] = set()
    for span in trace.spans:
        for one in span.documents:
            name = str(one.get("id") or "") if isinstance(one, dict) else ""
            if name and name not in seen:
                seen.add(name)
                yield name, f"found by {span.name}"


def _examples(trace: Trace) -> Iterator[tuple[str, str]]:
    """The rows that were chosen as examples for its calls, once each."""
    seen: set[str] = set()
    for span in trace.spans:
        said = span.attributes.get(EXAMPLES)
        for one in said if isinstance(said, list) else ():
            row = one.get("row") if isinstance(one, dict) else None
            if isinstance(row, str) and row not in seen:
                seen.add(row)
                yield row, f"an example for {span.name}"


def _scores(made: Gathering, session: Session, target: str, *, exact: bool) -> None:
    where: dict[str, Any] = {"target": target} if exact else {"target_prefix": target}
    for score in session.find("scores", limit=_MOST, **where).items:
        note = f"{score.name} {score.value} by {score.by}"
        made.add(Item(score.id, "score", 1, score.at, note), Link(score.id, "judges", target))


def _holding(session: Session, trace: Trace, ran: Iterable[Artifact]) -> list[Artifact]:
    """The experiments that may hold a trace: of what ran in it, and those that scored it later as it was."""
    made = {one.ref: one for one in experiments_below(session, ran, since=rfc3339(trace.root.start))[0]}
    scores = session.find("scores", target=trace.trace_id, limit=1000).items
    named = {ref for one in scores if isinstance(ref := one.data.get("experiment"), str)} - made.keys()
    for ref in sorted(named):
        with suppress(NotFound):
            made[ref] = session.get(ref, kind="experiment")
    return list(made.values())


def _showing(session: Session, dataset: Artifact, row: str) -> list[Artifact]:
    """The prompts that show a row of this version."""
    edges = [edge for edge in session.down(dataset.ref) if edge.depth == 1 and copied(edge.role)]
    prompts = [session.get(ref) for ref in dict.fromkeys(edge.source for edge in edges)]
    return [
        one
        for one in prompts
        if any(use.hash == dataset.hash and row in rows for use, rows in copied_rows(session, one, always=True))
    ]


def _of_row(session: Session, what: str, *, up: bool, down: bool) -> Lineage:
    dataset = session.get(what.partition("/")[0], kind="dataset")
    row = what.partition("/")[2]
    ref = f"{dataset.ref}/{row}"
    held = next((one for one in Dataset(dataset, session).rows if one.id == row), None)
    if held is None:
        raise NotFound(f"{dataset.ref} has no row {row!r}. See its rows: afere show {dataset.ref}")
    above = Gathering()
    above.add(Item(dataset.ref, "dataset", 1, dataset.at), Link(ref, "row of", dataset.ref))
    if isinstance(trace := held.metadata.get("trace"), str):
        above.add(Item(trace, "trace", 1, None, "the answer it was made of"), Link(ref, "made of", trace))
    below = Gathering()
    if down:
        if prompts := _showing(session, dataset, row):
            _below_of(below, session, prompts, near=1)
            below.links.update(dict.fromkeys(Link(one.ref, "shows", ref) for one in prompts))
        experiments, cut = experiments_below(session, [dataset])
        below.notes += [cut] * bool(cut)
        for experiment in experiments:
            traces = [run.trace for run in runs(session, experiment) if run.row == row]
            if traces:
                below.add(Item(experiment.ref, "experiment", 1, experiment.at), Link(experiment.ref, "case", ref))
            for trace in traces:
                if trace:
                    below.add(Item(trace, "trace", 1), Link(trace, "answers", ref), Link(experiment.ref, "case", trace))
        if experiments:
            releases(
                below, session.reach(*(one.ref for one in experiments if one.ref in below.items), up=False, most=1)
            )
        if (shown := elsewhere(session, ref, up=False, down=True, most=_MOST)) is not None and shown.down is not None:
            for item in shown.down.items:
                below.add(item, counted=item.kind != "trace")
            below.counts["trace"] += shown.down.counts.get("trace", 0)
            below.links.update(dict.fromkeys(shown.down.links))
        _scores(below, session, ref, exact=True)
    return Lineage(Item(ref, "row", 0), above.side() if up else None, below.side() if down else None)
