"""Past traces as cases: what happened already, chosen by a filter, is scored; nothing is run again."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from afere.base.canonical import Json
from afere.base.errors import BadInput, NotFound
from afere.base.filter import parse_filter
from afere.base.project import Project
from afere.base.span import Span, Trace
from afere.chains.runner import Outcome
from afere.data import Dataset
from afere.data import dataset as dataset_of
from afere.data.place import session_of
from afere.data.rows import RowProblem, encode, read_row
from afere.evals.stopping import SEED
from afere.evals.subject import Subject

if TYPE_CHECKING:
    from afere.store import Session

MOST = 200  # traces that are taken where nobody says how many
OUTSIDE = "-environment:evaluation -environment:playground"  # what evaluations and tries ran, unless a filter names one
_PAGE = 1000
SUBJECT = Subject("traces", None)


@dataclass(frozen=True)
class Wanted:
    """Which past traces: a filter as of `afere traces`, and the newest `most` of it or `sample` at random (a fixed seed)."""

    filter: str
    most: int | None = None
    sample: int | None = None

    def __post_init__(self) -> None:
        parse_filter(self.filter)
        for name, value in (("most", self.most), ("sample", self.sample)):
            if value is not None and value < 1:
                raise BadInput(f"{name}: {value} traces are none. Give a number from 1.")
        if self.most is not None and self.sample is not None:
            raise BadInput("most and sample: take the newest traces, or some at random; give one of them.")

    @property
    def asked(self) -> str:
        """The filter that is asked: without what evaluations ran, where it names no environment."""
        named = any(term.field == "environment" for term in parse_filter(self.filter).terms)
        return self.filter if named else f"{self.filter} {OUTSIDE}".strip()

    def to_json(self) -> dict[str, Json]:
        return {
            "filter": self.filter, "asked": self.asked, "most": self.most or MOST if self.sample is None else None,
            "sample": self.sample, "seed": SEED if self.sample is not None else None,
        }  # fmt: skip


@dataclass(frozen=True)
class Past:
    """The traces that were taken, as a dataset whose rows have their ids; `left_out` counts the others by reason."""

    wanted: Wanted
    data: Dataset
    left_out: dict[str, int]

    def to_json(self) -> dict[str, Json]:
        """What an experiment keeps of it."""
        return {**self.wanted.to_json(), "taken": len(self.data), "left_out": dict(self.left_out)}


def told(said: dict[str, Json]) -> str:
    """One line of what `Past.to_json` says: how many traces, which, and what was left out."""
    count = cast("int", said["taken"])
    which = (
        f"{count} of them at random (seed {said['seed']})"
        if said["sample"] is not None
        else f"the newest {count}"
        if count > 1
        else "the newest"
    )
    left = cast("dict[str, int]", said["left_out"])
    without = f"; left out: {', '.join(f'{n} {why}' for why, n in left.items())}" if left else ""
    return f"traces {said['asked']}: {which}; nothing is run again{without}"


def past(wanted: Wanted, name: str, project: Project) -> Past:
    """Read the traces that are wanted. NotFound where none of them can be scored, with the reason.

    What still runs, and what has no output, is left out and counted; so is what cannot be a row. A trace that failed is a case
    with an error, as a target that raises is.
    """
    session = session_of(project)
    left: Counter[str] = Counter()
    rows: list[dict[str, Json]] = []
    enough = wanted.sample or wanted.most or MOST
    for trace_id in ids_of(wanted, session):
        trace = session.spans.trace(trace_id)
        found = row_of(trace) if trace is not None else "removed meanwhile"
        if isinstance(found, str):
            left[found] += 1
        else:
            rows.append(found)
        if len(rows) == enough:
            break
    if not rows:
        why = f": left out {', '.join(f'{n} {why}' for why, n in left.items())}" if left else ""
        apart = (
            "" if wanted.asked == wanted.filter else " Those of evaluations are not asked; environment:evaluation does."
        )
        raise NotFound(
            f"No trace of {wanted.asked!r} can be scored{why}. Look at them with: afere traces {wanted.asked!r}.{apart}"
        )
    return Past(wanted, dataset_of(rows, name=f"{name}-traces", shape="afere"), dict(sorted(left.items())))


def outcome_of(outcome: Outcome, session: Session) -> Outcome:
    """The outcome of a row that is a past trace, with the trace itself: what it gave, took and cost, or how it failed."""
    trace = session.spans.trace(outcome.row.id)
    if trace is None:
        return replace(outcome, error="the trace was removed meanwhile", world=True)
    root = trace.root
    failed = _failure(root) if outcome.output is None else None
    return replace(
        outcome, error=failed, trace=trace, trace_id=trace.trace_id, seconds=root.seconds, cost=trace.totals.cost
    )


def ids_of(wanted: Wanted, session: Session) -> Iterator[str]:
    """Ids of all that match: newest first, or in random order (the same one for the same traces)."""
    if wanted.sample is None:
        yield from _newest(wanted.asked, session, min(_PAGE, wanted.most or MOST))
        return
    ids = sorted(_newest(wanted.asked, session, _PAGE))
    random.Random(SEED).shuffle(ids)  # noqa: S311 - a sample, no secret
    yield from ids


def _newest(filter: str, session: Session, size: int) -> Iterator[str]:
    cursor: str | None = None
    while True:
        page = session.spans.find(filter, limit=size, cursor=cursor)
        yield from (root.trace_id for root in page.items)
        if (cursor := page.next) is None:
            return


def row_of(trace: Trace) -> dict[str, Json] | str:
    """A trace as a row; or why it is none."""
    root = trace.root
    if root.status in ("running", "paused"):
        return f"still {root.status}"
    output = _output(root)
    if output is None and root.status != "error":
        return "without output"
    given: Json = root.input
    if given is None and root.input_messages:
        given = {"messages": root.input_messages}
    metadata = {"chain": root.name, "environment": root.environment, "status": root.status, "model": root.model}
    row: dict[str, Json] = {
        "id": trace.trace_id, "input": given, "output": output, "group": root.session,
        "metadata": {name: value for name, value in metadata.items() if value is not None},
    }  # fmt: skip
    try:
        encode(read_row(row))
    except RowProblem:
        return "without output" if output is None else "that cannot be a row"
    return row


def _output(root: Span) -> Json:
    """What the first span gave: its output, or the text of the last message that a model said."""
    if root.output is not None or not root.output_messages:
        return root.output
    last = root.output_messages[-1]
    return (last.get("text") or last.get("content") or last) if isinstance(last, dict) else last


def _failure(root: Span) -> str:
    return root.error or "the trace failed without a reason"
