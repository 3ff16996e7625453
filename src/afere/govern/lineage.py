"""Lineage: what stands behind an answer, a version or a document, and what it touched.

One graph over artifacts, aliases, traces, documents, rows and scores. Up is towards what something was made of, down
towards what was made with it: from an answer to its prompts, models, documents, rows and code; from any of these to the
answers, experiments and releases it touched.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from afere.base.artifact import KINDS, copied
from afere.base.canonical import Json
from afere.base.clock import rfc3339
from afere.base.errors import BadReference, NotFound
from afere.base.span import EXAMPLES
from afere.chains.shots import EXAMPLES as EXAMPLE_ROWS
from afere.chains.shots import rows_held
from afere.data import Dataset
from afere.evals.references import results_of
from afere.evals.results import Result

if TYPE_CHECKING:
    from afere.base.artifact import Artifact, Use
    from afere.base.span import Trace
    from afere.store import Reached, Session

_TRACE = re.compile(r"[0-9a-f]{6,32}")
_MOST = 200  # things by name in one direction; the rest is counted
_TRACES = 20  # answers that are named
_ROWS, _PROMPTS = 50, 50  # rows that one prompt shows of one dataset, by name; prompts whose rows are looked at
_EXPERIMENTS = 20  # whose cases are looked through for a trace or a row


@dataclass(frozen=True, slots=True)
class Item:
    """One thing in the graph: `ref` is how people write it, `distance` how many steps away it is, 0 for where one began."""

    ref: str
    kind: str
    distance: int
    at: str | None = None
    note: str = ""

    def to_json(self) -> Json:
        return {"ref": self.ref, "kind": self.kind, "distance": self.distance, "at": self.at, "note": self.note}


@dataclass(frozen=True, slots=True)
class Link:
    """`source` uses `target`, in a role."""

    source: str
    role: str
    target: str

    def to_json(self) -> Json:
        return {"source": self.source, "as": self.role, "target": self.target}


@dataclass(frozen=True, slots=True)
class Side:
    """One direction: the nearest things by name with the links between them, and of each kind how many there are in all."""

    items: tuple[Item, ...] = ()
    links: tuple[Link, ...] = ()
    counts: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def more(self) -> int:
        """How many are counted and not named."""
        return sum(self.counts.values()) - len(self.items)

    def to_json(self) -> Json:
        return {
            "items": [one.to_json() for one in self.items], "links": [one.to_json() for one in self.links],
            "counts": dict(self.counts), "more": self.more,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where something comes from (`up`) and what it touched (`down`); a direction that was not asked for is None."""

    subject: Item
    up: Side | None
    down: Side | None

    def to_json(self) -> dict[str, Json]:
        return {
            "subject": self.subject.to_json(), "up": self.up.to_json() if self.up else None,
            "down": self.down.to_json() if self.down else None,
        }  # fmt: skip


def lineage(session: Session, what: str, *, up: bool = True, down: bool = True, most: int = _MOST) -> Lineage:
    """The lineage of a reference, an alias (`qa@production`), a trace, a row (`dataset:qa@7/e-1`), a document's id, or a model
    (`openai:gpt-4.1`).

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
        if session.spans.ran([f"document:{what}"], limit=1).count:
            return _of_document(session, what, up=up, down=down)
        if session.spans.ran([f"row:{what}"], limit=1).count:  # of a file of examples, which is no dataset here
            shown = _Gathering()
            _shown(shown, session, what)
            return Lineage(Item(what, "row", 0), Side() if up else None, shown.side() if down else None)
        if found := _of_model(session, what, most=most):
            return found
        more = "Nor did any trace here read a document of that name, or ask a model of it."
        raise type(problem)(f"{problem} {more}") from None
    subject = Item(artifact.ref, artifact.kind, 0, artifact.at, artifact.why)
    return Lineage(
        subject,
        _above(session, artifact, most) if up else None,
        _below(session, artifact, most) if down else None,
    )


class _Gathering:
    """A side in the making: each thing once, with the links to it."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.links: dict[Link, None] = {}
        self.counts: Counter[str] = Counter()

    def add(self, item: Item, *links: Link, counted: bool = True) -> None:
        if item.ref not in self.items:
            self.items[item.ref] = item
            self.counts[item.kind] += counted
        self.links.update(dict.fromkeys(links))

    def reached(self, found: Reached, *, near: int = 0) -> None:
        """What a walk over artifacts met, its beginning left out unless that is `near` steps away itself."""
        for node, distance in found.nodes:
            if distance or near:
                self.add(Item(node.ref, node.kind, distance + near, node.at), counted=False)
        begun = Counter(node.kind for node, distance in found.nodes if not distance and not near)
        self.counts.update({kind: count - begun[kind] for kind, count in found.counts.items()})
        self.links.update(dict.fromkeys(Link(edge.source, edge.role, edge.target) for edge in found.edges))

    def prompts(self, session: Session) -> list[Artifact]:
        """The prompts that are named."""
        named = [one.ref for one in self.items.values() if one.kind == "prompt"][:_PROMPTS]
        return [kept for ref in named if (kept := _kept(session, ref)) is not None]

    def models(self, session: Session) -> None:
        """The models that the components ask, with their parameters."""
        for item in [one for one in self.items.values() if one.kind == "component"]:
            artifact = _kept(session, item.ref)
            model, parameters = _asked(artifact) if artifact else ("", "")
            if model:
                self.add(Item(model, "model", item.distance + 1, None, parameters), Link(item.ref, "model", model))

    def shown(self, session: Session, artifacts: Iterable[Artifact], *, always: bool = False) -> None:
        """The rows that these prompts show, as examples and snippets."""
        for artifact in artifacts:
            prompt = self.items.get(artifact.ref)
            step = (prompt.distance if prompt else 0) + 1
            for use, rows in _copied(session, artifact, always=always):
                self.counts["row"] += max(0, len(rows) - _ROWS)
                for row in rows[:_ROWS]:
                    ref = f"{use.ref}/{row}"
                    self.add(Item(ref, "row", step), Link(artifact.ref, use.role, ref), Link(ref, "row of", use.ref))

    def side(self) -> Side:
        return Side(tuple(self.items.values()), tuple(self.links), {kind: n for kind, n in self.counts.items() if n})


def _above(session: Session, artifact: Artifact, most: int) -> Side:
    made = _Gathering()
    made.reached(session.reach(artifact.ref, up=True, most=most))
    made.models(session)
    made.shown(session, [artifact, *made.prompts(session)])
    model, parameters = _asked(artifact)
    if model:
        made.add(Item(model, "model", 1, None, parameters), Link(artifact.ref, "model", model))
    if artifact.kind == "experiment":
        traces = [run.trace for run in _runs(session, artifact) if run.trace]
        for trace in traces[:_TRACES]:
            made.add(Item(trace, "trace", 1), Link(artifact.ref, "case", trace), counted=False)
        made.counts["trace"] = len(traces)
    return made.side()


def _below(session: Session, artifact: Artifact, most: int) -> Side:
    made = _Gathering()
    _below_of(made, session, [artifact], most=most)
    _scores(made, session, artifact.ref, exact=True)
    return made.side()


def _below_of(
    made: _Gathering, session: Session, artifacts: Sequence[Artifact], *, near: int = 0, most: int = _MOST
) -> None:
    """What these artifacts touched: what uses them, releases, and the answers in which they ran."""
    found = session.reach(*(one.ref for one in artifacts), up=False, most=most)
    made.reached(found, near=near)
    _releases(made, found)
    ran = session.spans.ran(found.hashes, limit=_TRACES)
    refs = {node.hash: node.ref for node, _ in found.nodes}
    for one in ran.traces:
        links = [Link(one.trace_id, "ran", refs[one.key])] if one.key in refs else []
        made.add(Item(one.trace_id, "trace", near + 1, rfc3339(one.start)), *links, counted=False)
    made.counts["trace"] = ran.count


def _releases(made: _Gathering, found: Reached) -> None:
    for alias, ref, at, now in found.aliases:
        note = "points here now" if now else "pointed here"
        made.add(Item(alias, "alias", 1, at, note), Link(alias, "points to" if now else "pointed to", ref))


def _of_trace(session: Session, trace: Trace, *, up: bool, down: bool, most: int) -> Lineage:
    root = trace.root
    subject = Item(trace.trace_id, "trace", 0, rfc3339(root.start), root.name)
    ran = dict.fromkeys((hash_, ref) for span in trace.spans for ref, hash_ in span.artifacts)
    kept = {hash_: one for hash_, _ in ran if (one := _kept(session, hash_)) is not None}
    held = [
        (experiment, run)
        for experiment in _holding(session, trace, list(kept.values()))
        for run in _runs(session, experiment)
        if run.trace == trace.trace_id
    ]
    above = _Gathering()
    if up:
        if kept:
            above.reached(session.reach(*kept, up=True, most=most), near=1)
        for hash_, ref in ran:
            if hash_ not in kept:
                above.add(Item(ref, _kind_of(ref), 1, None, "not kept in this store"))
            above.links[Link(trace.trace_id, "ran", kept[hash_].ref if hash_ in kept else ref)] = None
        above.models(session)
        above.shown(session, above.prompts(session), always=True)
        for name, parameters in _models(trace):
            above.add(Item(name, "model", 1, None, parameters), Link(trace.trace_id, "asked", name))
        for row, note in _examples(trace):
            above.add(Item(row, "row", 1, None, note), Link(trace.trace_id, "was shown", row))
        for name, note in _read(trace):
            above.add(Item(name, "document", 1, None, note), Link(trace.trace_id, "read", name))
        for experiment, run in held:
            row = f"{results_of(experiment, session).dataset[0]}/{run.row}"
            above.add(Item(row, "row", 1), Link(trace.trace_id, "answers", row))
    below = _Gathering()
    if down:
        for experiment, _ in held:
            below.add(
                Item(experiment.ref, "experiment", 1, experiment.at), Link(experiment.ref, "case", trace.trace_id)
            )
        _scores(below, session, trace.trace_id, exact=False)
    return Lineage(subject, above.side() if up else None, below.side() if down else None)


def _asked(artifact: Artifact) -> tuple[str, str]:
    """The model of a component, and its parameters in one line."""
    said = artifact.content if artifact.kind in ("component", "judge") and isinstance(artifact.content, dict) else {}
    model, parameters = said.get("model"), said.get("parameters")
    shown = ", ".join(f"{name} {value}" for name, value in parameters.items()) if isinstance(parameters, dict) else ""
    return (model if isinstance(model, str) else "", shown)


def _models(trace: Trace) -> Iterator[tuple[str, str]]:
    """The models that calls without a component of ours asked, as other tools trace them."""
    for span in trace.spans:
        if (
            span.model
            and span.kind in ("llm", "embedding")
            and not any(ref.startswith("component:") for ref, _ in span.artifacts)
        ):
            yield f"{span.provider}:{span.model}" if span.provider else span.model, ""


def _of_model(session: Session, what: str, *, most: int) -> Lineage | None:
    """What touched a model: nothing is known of what it is made of."""
    _, colon, name = what.partition(":")
    wanted = name if colon else what
    calls = session.spans.find(f"model:{json.dumps(wanted)}", limit=_TRACES)
    components: list[Artifact] = []
    cursor: str | None = None
    while colon:
        page = session.find("artifacts", kind="component", limit=1000, cursor=cursor)
        components += [one for one in page.items if _asked(one)[0] == what]
        cursor = page.next
        if cursor is None:
            break
    if not components and not calls.items:
        return None
    made = _Gathering()
    if components:
        found = session.reach(*(one.ref for one in components), up=False, most=most)
        made.reached(found, near=1)
        made.links.update(dict.fromkeys(Link(one.ref, "model", what) for one in components))
        _releases(made, found)
        made.counts["trace"] = session.spans.ran(found.hashes, limit=1).count
    for root in calls.items:
        made.add(
            Item(root.trace_id, "trace", 1, rfc3339(root.start)), Link(root.trace_id, "asked", what), counted=False
        )
    calls_of = session.spans.stats(f"model:{json.dumps(wanted)}")
    note = f"{calls_of[0]['count']:,} calls" if calls_of else ""
    made.counts["trace"] = max(made.counts["trace"], len(calls.items))
    return Lineage(Item(what, "model", 0, None, note), Side(), made.side())


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


def _shown(made: _Gathering, session: Session, row: str) -> None:
    """The answers for which a row was chosen as an example."""
    ran = session.spans.ran([f"row:{row}"], limit=_TRACES)
    for one in ran.traces:
        item = Item(one.trace_id, "trace", 1, rfc3339(one.start))
        made.add(item, Link(one.trace_id, "was shown", row), counted=False)
    made.counts["trace"] += ran.count


def _scores(made: _Gathering, session: Session, target: str, *, exact: bool) -> None:
    where: dict[str, Any] = {"target": target} if exact else {"target_prefix": target}
    for score in session.find("scores", limit=_MOST, **where).items:
        note = f"{score.name} {score.value} by {score.by}"
        made.add(Item(score.id, "score", 1, score.at, note), Link(score.id, "judges", target))


def _experiments(session: Session, artifacts: Iterable[Artifact], *, since: str = "") -> list[Artifact]:
    """The experiments that used any of these and were made after a moment, the first ones first."""
    whole = [one for one in artifacts if one.kind == "chain"] or list(artifacts)
    if not whole:
        return []
    found = session.reach(*(one.hash for one in whole), up=False, most=100_000)
    nodes = sorted((node.at, node.ref) for node, _ in found.nodes if node.kind == "experiment" and node.at >= since)
    return [session.get(ref) for _, ref in nodes[:_EXPERIMENTS]]


def _holding(session: Session, trace: Trace, ran: Iterable[Artifact]) -> list[Artifact]:
    """The experiments that may hold a trace: of what ran in it, and those that scored it later as it was."""
    made = {one.ref: one for one in _experiments(session, ran, since=rfc3339(trace.root.start))}
    scores = session.find("scores", target=trace.trace_id, limit=1000).items
    named = {ref for one in scores if isinstance(ref := one.data.get("experiment"), str)} - made.keys()
    for ref in sorted(named):
        with suppress(NotFound):
            made[ref] = session.get(ref, kind="experiment")
    return list(made.values())


def _runs(session: Session, experiment: Artifact) -> tuple[Result, ...]:
    try:
        return results_of(experiment, session).runs
    except (NotFound, KeyError, TypeError):  # an experiment that another tool made has no cases here
        return ()


def _copied(session: Session, artifact: Artifact, *, always: bool = False) -> Iterator[tuple[Use, list[str]]]:
    """The datasets that a prompt's content was copied from, each with the ids of the rows it shows. `always`: without those
    of which each call shows the nearest; its trace tells which."""
    content = artifact.content if isinstance(artifact.content, dict) else {}
    chosen = always and isinstance(content.get(EXAMPLE_ROWS), dict)
    for use in artifact.uses:
        if (
            copied(use.role)
            and not (chosen and use.role == EXAMPLE_ROWS)
            and (kept := _kept(session, use.hash)) is not None
        ):
            rows = rows_held(artifact.content, use.role, Dataset(kept, session).rows)
            yield use, [row.id for row in rows]


def _showing(session: Session, dataset: Artifact, row: str) -> list[Artifact]:
    """The prompts that show a row of this version."""
    edges = [edge for edge in session.down(dataset.ref) if edge.depth == 1 and copied(edge.role)]
    prompts = [session.get(ref) for ref in dict.fromkeys(edge.source for edge in edges)]
    return [
        one
        for one in prompts
        if any(use.hash == dataset.hash and row in rows for use, rows in _copied(session, one, always=True))
    ]


def _of_row(session: Session, what: str, *, up: bool, down: bool) -> Lineage:
    dataset = session.get(what.partition("/")[0], kind="dataset")
    row = what.partition("/")[2]
    ref = f"{dataset.ref}/{row}"
    above = Side((Item(dataset.ref, "dataset", 1, dataset.at),), (Link(ref, "row of", dataset.ref),), {"dataset": 1})
    below = _Gathering()
    if down:
        if prompts := _showing(session, dataset, row):
            _below_of(below, session, prompts, near=1)
            below.links.update(dict.fromkeys(Link(one.ref, "shows", ref) for one in prompts))
        for experiment in reversed(_experiments(session, [dataset])):
            traces = [run.trace for run in _runs(session, experiment) if run.row == row]
            if traces:
                below.add(Item(experiment.ref, "experiment", 1, experiment.at), Link(experiment.ref, "case", ref))
            for trace in traces:
                if trace:
                    below.add(Item(trace, "trace", 1), Link(trace, "answers", ref), Link(experiment.ref, "case", trace))
        _shown(below, session, ref)
        _scores(below, session, ref, exact=True)
    return Lineage(Item(ref, "row", 0), above if up else None, below.side() if down else None)


def _of_document(session: Session, what: str, *, up: bool, down: bool) -> Lineage:
    ran = session.spans.ran([f"document:{what}"], limit=_TRACES)
    first = session.spans.trace(ran.traces[0].trace_id) if up else None
    above = _Gathering()
    for span in first.spans if first else ():
        if span.kind == "retrieval" and any(isinstance(one, dict) and one.get("id") == what for one in span.documents):
            for ref, _ in span.artifacts:
                above.add(Item(ref, _kind_of(ref), 1), Link(what, "chunk in", ref))
    below = _Gathering()
    for one in ran.traces:
        below.add(Item(one.trace_id, "trace", 1, rfc3339(one.start)), Link(one.trace_id, "read", what), counted=False)
    below.counts["trace"] = ran.count
    return Lineage(Item(what, "document", 0), above.side() if up else None, below.side() if down else None)


def _kept(session: Session, ref: str) -> Artifact | None:
    try:
        return session.get(ref)
    except NotFound:
        return None


def _kind_of(ref: str) -> str:
    kind = ref.partition(":")[0]
    return kind if kind in KINDS else "component"
