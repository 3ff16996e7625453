"""Traces become rows of a dataset: what was asked and answered, with where it comes from. Whether an answer is right is for people to say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from afere.base.canonical import Json
from afere.base.errors import NotFound
from afere.data import Dataset
from afere.data.editing import Edit, edit
from afere.data.reading import Placed
from afere.evals.past import MOST, Wanted, ids_of, row_of

if TYPE_CHECKING:
    from afere.store import Session

UNREVIEWED = "unreviewed"  # the tag of a row whose right answer nobody has said yet


@dataclass(frozen=True)
class Harvest:
    """Which traces, and how their rows are marked. `right`: who adds them vouches for the answers, as expected ones."""

    traces: Sequence[str] = ()
    wanted: Wanted | None = None
    tags: Sequence[str] = ()
    split: str | None = None
    right: bool = False


@dataclass
class Harvested:
    """The version that was made (None: there was nothing new), how many rows came, and what was left out by reason."""

    data: Dataset | None = None
    added: int = 0
    left_out: Counter[str] = field(default_factory=Counter[str])

    def to_json(self) -> dict[str, Json]:
        return {"ref": self.data.ref if self.data else None, "added": self.added, "left_out": dict(self.left_out)}


def harvest(session: Session, name: str, what: Harvest, *, why: str) -> Harvested:
    """Add the rows of traces to a dataset, which is made if there is none. A trace that is a row there already is left out.

    A row has the trace's id and its chain, model and environment in `metadata`. Its answer is the row's `output`; where
    nobody vouches for it, the row is tagged `unreviewed` and has no expected answer. NotFound names a trace that is not there.
    """
    try:
        there = Dataset(session.get(f"dataset:{name}"), session)
    except NotFound:
        there = None
    known = {row.id for row in there.rows} if there else set[str]()
    done = Harvested()
    rows: list[Placed] = []
    enough = 0 if what.wanted is None else what.wanted.sample or what.wanted.most or MOST
    for wanted in (*what.traces, *(ids_of(what.wanted, session) if what.wanted else ())):
        trace = session.spans.trace(wanted)
        if trace is None:
            if wanted in what.traces:
                raise NotFound(f"No trace begins with {wanted!r}. List traces: afere traces")
            continue
        found = "there already" if trace.trace_id in known else row_of(trace)
        if isinstance(found, str):
            done.left_out[found] += 1
            continue
        known.add(trace.trace_id)
        rows.append((f"trace {trace.trace_id[:12]}", _marked(found, what)))
        if what.wanted is not None and len(rows) == enough + len(what.traces):
            break
    if rows:
        base = there.artifact.version if there else 0
        done.data, done.added = edit(session, name, Edit(base, why, rows)), len(rows)
    return done


def _marked(row: dict[str, Json], what: Harvest) -> dict[str, Json]:
    metadata = row.get("metadata")
    tags: list[Json] = [*what.tags, *([] if what.right else [UNREVIEWED])]
    return {
        **row, "metadata": {**(metadata if isinstance(metadata, dict) else {}), "trace": row["id"]}, "tags": tags,
        "split": what.split, **({"expected": row["output"]} if what.right else {}),
    }  # fmt: skip
