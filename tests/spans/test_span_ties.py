"""Traces found from what they ran and read."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from afere.base.span import Span
from afere.store.spans.store import SpanStore

SECOND = 1_000_000_000
START = 1_795_000_000 * SECOND

_spans = st.builds(
    lambda trace, number, parent, artifacts, documents: Span(
        f"{trace:032x}", f"{number + 1:016x}", "s", START + trace * 60 * SECOND + number, f"{parent + 1:016x}" if parent != number else None,
        "retrieval", START + trace * 60 * SECOND + SECOND,
        artifacts=[(f"prompt:p@{one}", f"sha256:{one:064x}") for one in artifacts],
        documents=[{"id": one} for one in documents],
    ),
    st.integers(0, 5), st.integers(0, 6), st.integers(0, 6), st.lists(st.integers(0, 3), max_size=2),
    st.lists(st.sampled_from(["a.md#1", "b.md#2", "ü"]), max_size=2),
)  # fmt: skip
KEYS = [f"sha256:{one:064x}" for one in range(4)] + [f"document:{one}" for one in ("a.md#1", "b.md#2", "ü")]


def of(span: Span) -> set[str]:
    return {hash_ for _, hash_ in span.artifacts} | {f"document:{one['id']}" for one in span.documents}  # pyright: ignore[reportArgumentType, reportCallIssue, reportIndexIssue]


def check(store: SpanStore, spans: dict[tuple[str, str], Span]) -> None:
    for wanted in ([key] for key in KEYS):
        fitting = sorted({span.trace_id for span in spans.values() if of(span) & set(wanted)}, reverse=True)
        found = store.ran(wanted, limit=3)
        assert found.count == len(fitting)
        assert [one.trace_id for one in found.traces] == fitting[:3]
        assert all(one.key in wanted for one in found.traces)
    whole = {span.trace_id for span in spans.values() if of(span)}
    assert store.ran(KEYS, limit=10).count == len(whole)
    later = START + 180 * SECOND
    assert store.ran(KEYS, since=later).count == sum(int(trace, 16) >= 3 for trace in whole)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(_spans, max_size=6), max_size=4), st.sets(st.integers(0, 5), max_size=3))
def test_traces_are_found_by_what_they_ran_and_read(batches: list[list[Span]], gone: set[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = SpanStore(Path(folder), "p")
        spans: dict[tuple[str, str], Span] = {}
        for batch in batches:
            store.write(batch)
            spans |= {(one.trace_id, one.span_id): one for one in batch}
        check(store, spans)
        store.close()
        with closing(sqlite3.connect(Path(folder) / "spans.db")) as connection:  # as an earlier layout left it
            connection.executescript(
                "DROP TABLE ties; DROP TABLE tied; DROP TABLE dictionaries; PRAGMA user_version = 4"
            )
        store = SpanStore(Path(folder), "p")
        check(store, spans)
        store.erase(f"{trace:032x}" for trace in gone)
        check(store, {key: one for key, one in spans.items() if int(one.trace_id, 16) not in gone})
        left = {key for span in spans.values() if int(span.trace_id, 16) not in gone for key in of(span)}
        store.close()
        with closing(sqlite3.connect(Path(folder) / "spans.db")) as connection:
            assert {key for (key,) in connection.execute("SELECT key FROM tied")} == left
