"""What a document, a tool, a model or a program's version touched, found by the traces in which these stand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afere.base.artifact import KINDS
from afere.base.clock import rfc3339
from afere.govern.gathering import (
    TRACES,
    Gathering,
    Item,
    Lineage,
    Link,
    Side,
    artifact_of,
    asked,
    experiments_below,
    runs,
)  # fmt: skip

if TYPE_CHECKING:
    from afere.base.artifact import Artifact
    from afere.store import Reached, Session

_CALLS = 5000  # the newest calls whose answers are told apart
# What Pydantic AI 1, Vercel's SDK and LlamaIndex call the span of any tool, and where they say which it is.
_NAMELESS = ('"running tool"', "ai.toolCall*", "FunctionTool.*")
_TOOL = ("gen_ai.tool.name", "ai.toolCall.name", "tool.name")
_COMMIT = re.compile(r"[0-9a-f]{6,40}")


@dataclass(frozen=True, slots=True)
class _Met:
    """The answers in which something stands, newest first, each with its start (ns); `cut`: there are older ones."""

    traces: dict[str, int]
    cut: bool = False


def elsewhere(session: Session, what: str, *, up: bool, down: bool, most: int) -> Lineage | None:
    """The lineage of what is no artifact: a document, a row of a file of examples, a tool, a model, or a version of a program."""
    documents, rows = (_tied(session, f"{kind}:{what}") for kind in ("document", "row"))
    if documents.traces:
        above = _index_of(session, what, documents) if up else None
        return Lineage(Item(what, "document", 0), above, _below(session, what, "read", documents) if down else None)
    if rows.traces:
        below = _below(session, what, "was shown", rows) if down else None
        return Lineage(Item(what, "row", 0), Side() if up else None, below)
    for find in (_of_tool, _of_model, _of_code):
        if (found := find(session, what, most)) is not None:
            return Lineage(found.subject, Side() if up else None, found.down if down else None)
    return None


def called(made: Gathering, session: Session, tool: Artifact) -> None:
    """The answers in which a version of a tool was called: those that say so, and of its only version all of its name."""
    met = _tied(session, tool.hash)
    if len(session.find("artifacts", kind="tool", name=tool.name, limit=2).items) == 1:
        server = tool.content.get("server") if isinstance(tool.content, dict) else None
        named = _calls_of(session, tool.name.removeprefix(f"{server}."))
        met = _Met(named.traces | met.traces, named.cut or met.cut)
    _join(made, session, tool.ref, "called", met)


def releases(made: Gathering, found: Reached) -> None:
    """The aliases that a walk met: what they point to, or the decision that let them in."""
    for one in found.aliases:
        note = "points here now" if one.now else "pointed here"
        link = (
            Link(one.alias, "let in by", one.by)
            if one.by
            else Link(one.alias, "points to" if one.now else "pointed to", one.ref)
        )
        made.add(Item(one.alias, "alias", 1, one.at, f"let in by {one.by}" if one.by else note), link)


def _below(session: Session, what: str, role: str, met: _Met) -> Side:
    made = Gathering()
    _join(made, session, what, role, met)
    return made.side()


def _join(made: Gathering, session: Session, what: str, role: str, met: _Met) -> None:
    """The answers, the chains that gave them, and of these the experiments that hold such an answer, and the releases."""
    for trace, start in list(met.traces.items())[:TRACES]:
        made.add(Item(trace, "trace", 1, rfc3339(start)), Link(trace, role, what), counted=False)
    made.counts["trace"] += len(met.traces)
    if met.cut:
        made.notes.append(f"of the newest {_CALLS:,} calls; older ones are not told apart")
    versions = session.spans.among(list(met.traces), ["version"])["version"]
    chains = [one for name in versions if "~" in name and (one := artifact_of(session, f"chain:{name}")) is not None]
    if not chains:
        return
    for chain in chains:
        made.add(Item(chain.ref, "chain", 1, chain.at), Link(chain.ref, role, what))
    releases(made, session.reach(*(one.ref for one in chains), up=False, most=1))
    experiments, cut = experiments_below(session, chains)
    if cut:
        made.notes.append(cut)
    for experiment in experiments:
        held = [run.trace for run in runs(session, experiment) if run.trace in met.traces]
        if held:
            links = [Link(experiment.ref, "case", trace) for trace in held if trace in made.items]
            made.add(
                Item(experiment.ref, "experiment", 2, experiment.at, f"{len(held):,} of its cases"),
                *(links or [Link(experiment.ref, role, what)]),
            )


def _tied(session: Session, key: str) -> _Met:
    ran = session.spans.ran([key], limit=_CALLS)
    return _Met({one.trace_id: one.start for one in ran.traces}, ran.count > len(ran.traces))


def _asked_for(session: Session, *filters: str) -> _Met:
    found: dict[str, int] = {}
    cut = False
    for one in filters:
        page = session.spans.find(one, limit=_CALLS, roots=False, brief=True)
        cut = cut or page.next is not None
        for span in page.items:
            found.setdefault(span.trace_id, span.start)
    return _Met(dict(sorted(found.items(), key=_newest)), cut)


def _newest(met: tuple[str, int]) -> int:
    return -met[1]


def _calls_of(session: Session, name: str) -> _Met:
    """By the names that instrumentations give to spans of calls."""
    names = (name, f"execute_tool {name}", f"{name}.tool")
    met = _asked_for(session, *(f"kind:tool name:{json.dumps(one)}" for one in names))
    for one in _NAMELESS:
        page = session.spans.find(f"kind:tool name:{one}", limit=_CALLS, roots=False)
        called = {
            span.trace_id: span.start for span in page.items if any(span.attributes.get(key) == name for key in _TOOL)
        }
        met = _Met({**called, **met.traces}, met.cut or page.next is not None)
    return _Met(dict(sorted(met.traces.items(), key=_newest)), met.cut)


def _of_tool(session: Session, what: str, most: int) -> Lineage | None:
    name = what.removeprefix("tool:")
    met = _calls_of(session, name)
    ref = f"tool:{name}"
    return Lineage(Item(ref, "tool", 0), None, _below(session, ref, "called", met)) if met.traces else None


def _of_model(session: Session, what: str, most: int) -> Lineage | None:
    """What touched a model: nothing is known of what it is made of."""
    _, colon, name = what.partition(":")
    wanted = f"model:{json.dumps(name if colon else what)}"
    met = _asked_for(session, wanted)
    components = list(_components(session, what)) if colon else []
    if not components and not met.traces:
        return None
    made = Gathering()
    if components:
        found = _users(made, session, components, "model", what, most)
        tied = session.spans.ran(found.hashes, limit=_CALLS)
        made.counts["trace"] = len({one.trace_id for one in tied.traces} - met.traces.keys())
    _join(made, session, what, "asked", met)
    calls = session.spans.stats(wanted)
    return Lineage(Item(what, "model", 0, None, f"{calls[0]['count']:,} calls" if calls else ""), None, made.side())


def _users(
    made: Gathering, session: Session, artifacts: Sequence[Artifact], role: str, what: str, most: int
) -> Reached:
    """The artifacts that name it themselves, what uses these, and their releases."""
    found = session.reach(*(one.ref for one in artifacts), up=False, most=most)
    made.reached(found, near=1)
    made.links.update(dict.fromkeys(Link(one.ref, role, what) for one in artifacts))
    releases(made, found)
    return found


def _components(session: Session, model: str) -> Iterable[Artifact]:
    cursor: str | None = None
    while True:
        page = session.find("artifacts", kind="component", limit=1000, cursor=cursor)
        yield from (one for one in page.items if asked(one)[0] == model)
        cursor = page.next
        if cursor is None:
            return


def _of_code(session: Session, what: str, most: int) -> Lineage | None:
    """A commit, or the version that a program says of itself."""
    wanted = what.removeprefix("version:")
    chains = list(_at_commit(session, wanted)) if _COMMIT.fullmatch(wanted) else []
    met = _asked_for(session, f"version:{json.dumps(wanted)}")
    if not chains and not met.traces:
        return None
    made = Gathering()
    if chains:
        found = _users(made, session, chains, "commit", wanted, most)
        made.ran(session, found, near=1)
    _join(made, session, wanted, "ran", met)
    return Lineage(Item(wanted, "code", 0), None, made.side())


def _at_commit(session: Session, commit: str) -> Iterable[Artifact]:
    """The revisions that ran at a commit, whole or its first digits."""
    cursor: str | None = None
    seen: set[str] = set()
    while True:
        page = session.find("scores", name="setting", limit=1000, cursor=cursor)
        for score in page.items:
            at = score.data.get("commit")
            if isinstance(at, str) and at.startswith(commit) and score.target not in seen:
                seen.add(score.target)
                if (chain := artifact_of(session, score.target)) is not None:
                    yield chain
        cursor = page.next
        if cursor is None:
            return


def _index_of(session: Session, what: str, met: _Met) -> Side:
    """The index that a document is a part of, as the newest trace that read it says."""
    made = Gathering()
    trace = session.spans.trace(next(iter(met.traces)))
    for span in trace.spans if trace else ():
        if span.kind == "retrieval" and any(isinstance(one, dict) and one.get("id") == what for one in span.documents):
            for ref, _ in span.artifacts:
                made.add(Item(ref, kind_of(ref), 1), Link(what, "chunk in", ref))
    return made.side()


def kind_of(ref: str) -> str:
    kind = ref.partition(":")[0]
    return kind if kind in KINDS else "component"
