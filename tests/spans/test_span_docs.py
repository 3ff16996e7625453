"""Frequent words and attributes, huge traces and spans out of order: found quickly, and each of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from afere.base.span import Span
from afere.store.spans.store import SpanStore

SECOND = 1_000_000_000
START = 1_795_000_000 * SECOND


def _trace(number: int) -> list[Span]:
    trace_id, at = f"{number + 1:032x}", START + number * SECOND
    attributes = {"tenant": "acme" if number % 2 else "other"}
    return [
        Span(trace_id, "a" * 16, "qa", at, end=at + SECOND, input=f"refund policy {number}", attributes=dict(attributes)),
        Span(trace_id, "b" * 16, "llm", at, "a" * 16, end=at + SECOND, output="policy refund", attributes=dict(attributes)),
    ]  # fmt: skip


def _all(store: SpanStore, filter: str, *, limit: int, roots: bool = True) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    cursor = None
    while True:
        page = store.find(filter, limit=limit, cursor=cursor, roots=roots)
        found += [(span.trace_id, span.span_id) for span in page.items]
        cursor = page.next
        if cursor is None:
            return found


@pytest.mark.parametrize("order", ["at once", "one by one", "backwards", "children first"])
def test_what_most_traces_say_is_listed_newest_first_each_once_whatever_the_order_it_came_in(
    tmp_path: Path, order: str
) -> None:
    store = SpanStore(tmp_path, "p", filterable=["tenant"])
    traces = [_trace(number) for number in range(400)]
    if order == "at once":
        store.write([span for trace in traces for span in trace])
    elif order == "children first":
        store.write([trace[1] for trace in traces])
        store.write([trace[0] for trace in traces])
    else:
        for trace in reversed(traces) if order == "backwards" else traces:
            store.write(trace)
    newest = [trace[0].trace_id for trace in reversed(traces)]
    for filter, wanted in (
        ("policy", newest),
        ("attr.tenant:acme", newest[::2]),
        ('"refund policy" attr.tenant:acme', newest[::2]),
        ("policy attr.tenant:acme since:2020-01-01T00:00:00Z", newest[::2]),
        ('policy "refund policy 399"', newest[:1]),
    ):
        for limit in (7, 1000):
            assert [trace_id for trace_id, _ in _all(store, filter, limit=limit)] == wanted, (filter, limit)
    spans = _all(store, '"refund policy"', limit=60, roots=False)
    assert len(spans) == len(set(spans)) == 400 and {span_id for _, span_id in spans} == {"a" * 16}
    assert store.stats('"policy refund" attr.tenant:acme')[0]["count"] == 200
    store.close()


def test_a_text_that_is_replaced_or_removed_is_found_no_more(tmp_path: Path) -> None:
    store = SpanStore(tmp_path, "p", filterable=["tenant"])
    spans = _trace(0)
    store.write(spans)
    store.write([Span(**{**_fields(spans[0]), "input": "another question", "attributes": {"tenant": "new"}})])
    assert [len(store.find(text).items) for text in ("another", "0", '"policy refund"')] == [1, 0, 1]
    assert [len(store.find(f"attr.tenant:{name}", roots=False).items) for name in ("new", "other", "acme")] == [1, 1, 0]
    store.close()


def _fields(span: Span) -> dict[str, object]:
    return {name: getattr(span, name) for name in span.__dataclass_fields__}


def test_a_phrase_never_goes_from_one_span_on_to_the_next(tmp_path: Path) -> None:
    store = SpanStore(tmp_path, "p")
    store.write([Span("a" * 32, f"{n:016x}", "s", START, input=text) for n, text in enumerate(("four", "weeks"), 1)])
    assert not store.find('"four weeks"').items and len(store.find("four weeks").items) == 2
    store.close()


def test_a_huge_trace_that_came_in_many_batches_is_read_in_pages_and_span_by_span(tmp_path: Path) -> None:
    store = SpanStore(tmp_path, "p")
    root = Span("a" * 32, "f" * 16, "run", START, end=START + 10 * SECOND)
    steps = [Span("a" * 32, f"{n + 1:016x}", "step", START + n, "f" * 16, input=f"step {n}") for n in range(3_000)]
    for first in range(0, len(steps), 250):
        store.write(steps[first : first + 250])
    assert "orphan" in store.outline("a" * 32).items[0].marks
    store.write([root])
    seen: list[Span] = []
    cursor = None
    while True:
        page = store.outline("a" * 32, limit=700, cursor=cursor)
        seen += page.items
        cursor = page.next
        if cursor is None:
            break
    assert len(seen) == 3_001 and [span.start for span in seen] == sorted(span.start for span in seen)
    assert not any(span.marks for span in seen) and seen[0].parent_id == "f" * 16
    whole = store.span("a" * 32, f"{1_234:016x}")
    assert whole is not None and whole.input == "step 1233" and store.span("a" * 32, "e" * 16) is None
    assert len(store.find().items) == 1
    store.close()


def test_late_skewed_and_orphaned_spans_are_kept_and_the_orphan_is_marked(tmp_path: Path) -> None:
    store = SpanStore(tmp_path, "p")
    child = Span("a" * 32, "b" * 16, "early", START - 90_000 * SECOND, "a" * 16)
    store.write([child])
    trace = store.trace("a" * 32)
    assert trace is not None and trace.spans[0].marks == ["orphan"]
    store.write([Span("a" * 32, "a" * 16, "root", START)])
    trace = store.trace("a" * 32)
    assert trace is not None and [span.name for span in trace.spans] == ["early", "root"]
    assert not trace.spans[0].marks and [span.name for span in store.find().items] == ["root"]
    store.close()
