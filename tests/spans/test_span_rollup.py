"""The counts by hour are what the spans say, whatever was replaced, sent late, sent twice or migrated."""

from __future__ import annotations

import math
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afere.base.span import Span
from afere.store.spans import rollup as span_rollup
from afere.store.spans.store import MIGRATIONS, SpanStore

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
START = 1_795_000_000 * SECOND // HOUR * HOUR
SCHEMAS = sorted((Path(__file__).parent / "schemas").glob("*.sql"), key=lambda file: int(file.stem))

_IDS = [f"{n:016x}" for n in range(1, 5)]
_spans = st.builds(
    Span,
    trace_id=st.sampled_from(["a" * 32, "b" * 32]),
    span_id=st.sampled_from(_IDS),
    name=st.sampled_from(["qa", "answer"]),
    start=st.integers(START, START + 3 * HOUR),
    parent_id=st.none() | st.sampled_from(_IDS),
    kind=st.sampled_from(["chain", "llm"]),
    end=st.none() | st.integers(START + 3 * HOUR, START + 4 * HOUR),
    status=st.sampled_from(["ok", "error", "running"]),
    model=st.none() | st.sampled_from(["gpt-4.1", "local"]),
    input_tokens=st.none() | st.integers(0, 2**60),
    output_tokens=st.none() | st.integers(0, 50),
    cost=st.none() | st.sampled_from([0.0, 0.125, 2.0]),
    environment=st.none() | st.just("production"),
    attributes=st.sampled_from(
        [{}, {"release": "1.4"}, {"service.version": "2", "release": ""}, {"gen_ai.prompt.name": "answer", "gen_ai.prompt.version": 3}]
    ),
    artifacts=st.lists(st.sampled_from([("chain:qa~1f2e3d", "1"), ("component:reply@2", "2"), ("prompt:reply@7", "3")]), unique=True),
)  # fmt: skip
_FILTERS = ("", "model:gpt*", "-model:local", "status:error", "-status:running kind:llm", "name:qa",
            "component:reply", "-component:qa version:1.4", "prompt:*", "chain:qa", "-environment:production",
            "since:2026-11-18T11:30:00Z before:2026-11-18T13:10:00Z", "-since:2026-11-18T12:00:00Z",
            "since:2026-11-18T11:10:00Z before:2026-11-18T11:50:00Z")  # fmt: skip
_GROUPS: tuple[tuple[str, ...], ...] = (
    (),
    ("model",),
    ("hour",),
    ("model", "hour"),
    ("name", "kind", "status"),
    ("day",),
    ("component",),
    ("version", "prompt"),
    ("chain", "environment"),
)


def _both(store: SpanStore, filter: str, by: tuple[str, ...]) -> tuple[Any, Any]:
    """The same question answered by the counts, and (asking also for what they do not know) by the spans."""
    asked = (store.stats(filter, by=by), store.stats(f"{filter} -provider:none", by=by))
    counted, exact = ({str([row[name] for name in by]): row for row in rows} for rows in asked)
    return counted, exact


@settings(max_examples=30, deadline=None)
@given(batches=st.lists(st.lists(_spans, max_size=5), max_size=5))
def test_counts_by_hour_equal_the_spans_and_quantiles_are_within_two_percent(batches: list[list[Span]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = SpanStore(Path(folder), "p")
        for batch in batches:
            store.write(batch)
        for filter in _FILTERS:
            for by in _GROUPS:
                counted, exact = _both(store, filter, by)
                assert counted.keys() == exact.keys(), (filter, by)
                for group, row in exact.items():
                    for name, value in row.items():
                        near = name == "cost" or name.endswith("_seconds")
                        wanted = pytest.approx(value, 0.0201 if name != "cost" else 1e-9) if near and value else value
                        assert counted[group][name] == wanted, (filter, by, name)
        store.close()


@given(st.floats(1e-9, 1e9))
def test_a_bucket_stands_for_each_latency_in_it_within_two_percent(seconds: float) -> None:
    assert math.isclose(span_rollup.seconds_of(span_rollup.bucket(seconds)), seconds, rel_tol=0.0201)


def test_names_without_end_are_counted_together_and_statistics_stay_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(span_rollup, "_SERIES", 5)
    store = SpanStore(tmp_path, "p")
    spans = [Span("a" * 32, f"{n:016x}", f"page {n}", START, end=START + SECOND) for n in range(1, 30)]
    store.write(spans)
    store.write(spans[20:])
    assert store.stats()[0]["count"] == 29 and store.stats("name:page*")[0]["count"] == 29
    assert len(store.stats(by=["name"])) == 29
    with closing(sqlite3.connect(store.file)) as connection:
        assert connection.execute("SELECT count(*) FROM series").fetchone()[0] <= 7
    store.close()


def test_facets_are_the_most_frequent_values(tmp_path: Path) -> None:
    store = SpanStore(tmp_path, "p")
    store.write([Span("a" * 32, f"{n:016x}", f"s{n % 3}", START, user="42" if n else None) for n in range(7)])
    assert store.facets("", ["name", "user", "model"], top=2) == {
        "name": [{"value": "s0", "count": 3}, {"value": "s1", "count": 2}], "user": [{"value": "42", "count": 6}], "model": [],
    }  # fmt: skip
    assert store.facets("user:42", ["name"], top=1) == {"name": [{"value": "s0", "count": 2}]}
    store.close()


def test_there_are_spans_of_every_earlier_layout() -> None:
    assert [int(file.stem) for file in SCHEMAS] == list(range(1, len(MIGRATIONS) + 1))


@pytest.mark.parametrize("file", SCHEMAS, ids=lambda file: f"layout {file.stem}")
def test_spans_of_every_layout_are_there_counted_and_can_be_added_to(tmp_path: Path, file: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "spans.db")) as connection:
        connection.executescript(file.read_text())
    store = SpanStore(tmp_path, "handbook")
    assert len(store.find("user:42 weeks").items) == 3 and len(store.find("attr.tenant:acme").items) == 3
    assert store.stats("kind:llm", by=["model"]) == [
        {
            "model": "gpt-4.1-mini", "count": 3, "errors": 0, "p50_seconds": pytest.approx(2, 0.02),
            "p95_seconds": pytest.approx(2.9, 0.02), "p99_seconds": pytest.approx(2.98, 0.02), "input_tokens": 300,
            "output_tokens": 60, "cost": pytest.approx(0.006),
        }
    ]  # fmt: skip
    store.write([Span("f" * 32, "a" * 16, "qa", START, kind="chain", end=START + SECOND)])
    assert {row["status"]: row["count"] for row in store.stats(by=["status"])} == {"ok": 7}
    for name in ("component", "version", "prompt", "chain", "environment"):
        counted, exact = _both(store, "", (name,))
        assert {group: row["count"] for group, row in counted.items()} == {
            group: row["count"] for group, row in exact.items()
        }
    if int(file.stem) >= 5:  # of which the spans say more
        assert {str(row["component"]): row["count"] for row in store.stats(by=["component"])} == {"qa": 4, "reply": 3}
        assert [row["version"] for row in store.stats("prompt:answer@7", by=["version"])] == ["1.4"]
        assert [row["count"] for row in store.stats("chain:qa environment:production")] == [3]
    assert store.losses()[0].count == 2
    store.close()
