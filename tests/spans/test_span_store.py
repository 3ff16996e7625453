"""The span store against a plain dictionary, with paging, filters, damage, and several writers."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afere.base.clock import new_span_id, new_trace_id
from afere.base.errors import BadInput, BadReference, BadRule, StoreFailed, StoreIsNewer
from afere.base.span import Span
from afere.store.spans.store import SpanStore

SECOND = 1_000_000_000
START = 1_795_000_000 * SECOND


@pytest.fixture
def store(tmp_path: Path) -> Any:
    opened = SpanStore(tmp_path, "handbook")
    yield opened
    opened.close()


def span(trace_id: str, name: str = "step", *, seconds: float = 1, at: int = START, **fields: Any) -> Span:
    return Span(trace_id, new_span_id(), name, at, end=at + int(seconds * SECOND), **fields)


def chain(at: int = START, **fields: Any) -> list[Span]:
    """A trace as chains leave it: a root, a search and a call of a model."""
    trace_id = new_trace_id()
    root = span(trace_id, "qa", kind="chain", at=at, seconds=3, **fields)
    below = {"parent_id": root.span_id, "user": root.user, "session": root.session}
    search = span(
        trace_id, "search", kind="retrieval", at=at + 1, documents=[{"id": "a#1", "text": "notice period"}], **below
    )
    call = span(
        trace_id, "answer", kind="llm", at=at + 2, model="gpt-4.1-mini", provider="openai", input_tokens=100,
        output_tokens=20, cost=0.002, input_messages=[{"role": "user", "text": "How much notice?"}], output="Four weeks.", **below,
    )  # fmt: skip
    return [root, search, call]


def test_totals_of_a_trace_follow_every_change_of_it(store: SpanStore) -> None:
    spans = chain()
    trace_id = spans[0].trace_id
    steps = [
        spans[:1],
        spans[1:],
        [replace(spans[2], input_tokens=7)],  # said again
        [replace(spans[0], input_tokens=900, cost=1.0)],  # the sums of its calls: not counted twice
        [span(trace_id, "late", parent_id=spans[2].span_id, output_tokens=5)],
    ]
    for step in steps:
        store.write(step)
        trace = store.trace(trace_id)
        assert trace is not None
        assert store.totals([trace_id]) == {trace_id: trace.totals} == store.totals([trace_id])
    assert store.totals([trace_id])[trace_id].output_tokens == 5
    store.erase([trace_id])
    assert store.totals([trace_id])[trace_id].spans == 0


def names(store: SpanStore, filter: str, roots: bool = False) -> list[str]:
    return [found.name for found in store.find(filter, roots=roots, limit=1000).items]


_text = st.text(max_size=20)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=6,
)
_IDS = [f"{n:016x}" for n in range(1, 4)]
_TRACES = ["a" * 32, "ab" * 16, "c" * 32]
_spans = st.builds(
    Span,
    trace_id=st.sampled_from(_TRACES),
    span_id=st.sampled_from(_IDS),
    name=st.sampled_from(["qa", "answer", "search*", "a[b]c?"]) | _text,
    start=st.integers(START, START + 5),
    parent_id=st.none() | st.sampled_from(_IDS),
    kind=st.sampled_from(["chain", "llm", "step"]),
    end=st.none() | st.integers(START + 5, START + 20 * SECOND),
    status=st.sampled_from(["ok", "error", "running"]),
    error=st.none() | _text,
    model=st.none() | st.sampled_from(["gpt-4.1", "gpt-4.1-mini", "local"]),
    user=st.none() | st.sampled_from(["42", "ana"]),
    input_tokens=st.none() | st.integers(0, 50),
    cost=st.none() | st.sampled_from([0.0, 0.01, 2.0]),
    input=_json,
    output=_json,
    attributes=st.dictionaries(st.sampled_from(["k", "a.b"]), st.integers(0, 3) | _text | st.booleans(), max_size=2),
    events=st.lists(st.just({"name": "e", "at": "t", "attributes": {}}), max_size=1),
    artifacts=st.lists(st.just(("prompt:answer@3", "sha256:ff")), max_size=1),
    marks=st.just(["cut"]) | st.just([]),
)

_FILTERS: dict[str, Any] = {
    "": lambda s: True,
    "model:gpt*": lambda s: s.model is not None and fnmatchcase(s.model, "gpt*"),
    "-model:gpt-4.1": lambda s: s.model != "gpt-4.1",
    'name:"search*"': lambda s: s.name == "search*",
    "name:a[b]c?": lambda s: s.name == "a[b]c?",
    "status:error user:42": lambda s: s.status == "error" and s.user == "42",
    "latency>=2s": lambda s: s.seconds is not None and s.seconds >= 2,
    "-latency>=2s": lambda s: not (s.seconds is not None and s.seconds >= 2),
    "cost>0.005": lambda s: s.cost is not None and s.cost > 0.005,
    "tokens<10": lambda s: (s.input_tokens or 0) + (s.output_tokens or 0) < 10,
    "attr.k:2": lambda s: s.attributes.get("k") in ("2", 2) and not isinstance(s.attributes.get("k"), bool),
    "attr.k>1": lambda s: (
        isinstance(s.attributes.get("k"), int) and not isinstance(s.attributes.get("k"), bool) and s.attributes["k"] > 1
    ),
    "trace:ababab": lambda s: s.trace_id.startswith("ababab"),
    "kind:l* -user:ana": lambda s: s.kind == "llm" and s.user != "ana",
}


@settings(max_examples=40, deadline=None)
@given(batches=st.lists(st.lists(_spans, max_size=4), max_size=4), limit=st.integers(1, 5))
def test_it_finds_what_a_dictionary_would(batches: list[list[Span]], limit: int) -> None:
    known: dict[tuple[str, str], Span] = {}
    with tempfile.TemporaryDirectory() as folder:
        store = SpanStore(Path(folder), "p")
        for batch in batches:
            store.write(batch)
            for one in batch:
                earlier = known.get((one.trace_id, one.span_id))
                if earlier is None or earlier.status == "running" or one.status != "running":
                    known[one.trace_id, one.span_id] = one
        for trace_id in _TRACES:
            trace = store.trace(trace_id)
            got = (
                [] if trace is None else [replace(s, marks=[m for m in s.marks if m != "orphan"]) for s in trace.spans]
            )
            wanted = [s for s in known.values() if s.trace_id == trace_id]
            assert sorted(got, key=lambda s: s.span_id) == sorted(wanted, key=lambda s: s.span_id)
        for filter, holds in _FILTERS.items():
            found: list[Span] = []
            cursor: str | None = None
            while True:
                page = store.find(filter, limit=limit, cursor=cursor, roots=False)
                assert len(page.items) <= limit
                found += page.items
                if (cursor := page.next) is None:
                    break
            keys = [(s.trace_id, s.span_id) for s in found]
            assert len(keys) == len(set(keys))
            assert set(keys) == {key for key, s in known.items() if holds(s)}, filter
            assert [s.start for s in found] == sorted((s.start for s in found), reverse=True)
        store.close()


def test_a_list_of_traces_asks_the_root_the_sums_and_any_span(store: SpanStore) -> None:
    store.write([*chain(user="42"), *chain(at=START + 9, user="7", status="error", error="TimeoutError: model")])
    for filter, count in {
        "model:gpt*": 2, "name:answer kind:retrieval": 2, "user:42": 1, "-user:42": 1, "latency>2.5s": 2, "latency<2s": 0,
        "cost>=0.002": 2, "cost>0.002": 0, "tokens:120": 2, "-tokens:120": 0, "status:error": 1, "error:*timeout*": 0,
        "error:Timeout": 1, "chain:qa": 2, "provider:openai -user:7": 1, "input_tokens>99 output_tokens<21": 2,
    }.items():  # fmt: skip
        assert names(store, filter, roots=True) == ["qa"] * count, filter


def test_lists_are_sorted_page_by_page_with_what_is_unknown_last(store: SpanStore) -> None:
    for n, seconds in enumerate((2.0, None, 5.0, 0.0, 2.0)):
        root = span(new_trace_id(), f"t{n}", at=START + n, seconds=seconds or 0)
        if seconds is None:
            root.end = None
        below = span(root.trace_id, "call", at=START + n, parent_id=root.span_id, cost=None if n == 1 else n / 1000)
        store.write([root, below])

    def all_of(sort: str, roots: bool) -> list[str]:
        found: list[str] = []
        cursor: str | None = None
        while True:
            page = store.find("" if roots else "name:t*", limit=2, cursor=cursor, sort=sort, roots=roots)
            found += [one.name for one in page.items]
            if (cursor := page.next) is None:
                return found

    for roots in (True, False):
        assert all_of("latency", roots) == ["t2", "t4", "t0", "t3", "t1"]
        assert all_of("start", roots) == ["t4", "t3", "t2", "t1", "t0"]
    assert all_of("cost", True) == ["t4", "t3", "t2", "t0", "t1"]
    with pytest.raises(BadInput, match="start, latency, cost"):
        store.find(sort="length")


def test_words_are_found_whatever_their_accents_and_forgotten_when_replaced(store: SpanStore) -> None:
    one = span(new_trace_id(), "one", input={"question": "Política de reembolso"}, output="não há")
    two = span(new_trace_id(), "two", input="a refund policy, please", output=["what", {"x": "ever"}])
    store.write([one, two])
    for filter, found in {
        "politica": ["one"], "NAO": ["one"], '"refund policy"': ["two"], '"policy refund"': [], "refun*": ["two"],
        "text:ever": ["two"], "-reembolso": ["two"], "refund policy": ["two"], '"!"': [], 'a"b': [], "question": [],
    }.items():  # fmt: skip
        assert names(store, filter) == found, filter
    store.write([replace(two, input="a question of shipping")])
    assert (names(store, "refund"), names(store, "shipping")) == ([], ["two"])


def test_the_model_call_is_searched_by_its_messages_and_documents(store: SpanStore) -> None:
    store.write(chain())
    assert names(store, '"much notice"') == ["answer"] and names(store, '"notice period"') == ["search"]
    assert names(store, "weeks", roots=True) == ["qa"]
    [answer] = store.find("name:answer", roots=False).items
    assert (answer.input, answer.output) == ("How much notice?", "Four weeks.")


def test_lists_show_previews_and_a_trace_shows_everything(store: SpanStore) -> None:
    long = span(new_trace_id(), input={"text": "word " * 200}, output="x" * 301)
    store.write([long])
    [short] = store.find(roots=False).items
    assert len(str(short.input)) == len(str(short.output)) == 300
    trace = store.trace(long.trace_id[:6])
    assert trace is not None and trace.spans == (long,) and trace.project == "handbook"


@pytest.mark.parametrize("late", [False, True], ids=["together", "the parent later"])
def test_lists_show_less_of_a_span_below_another_and_of_it_too_a_trace_shows_everything(
    store: SpanStore, late: bool
) -> None:
    top = span(new_trace_id(), "top", input="t" * 301)
    below = span(top.trace_id, "below", parent_id=top.span_id, input="é" * 121, output="y" * 120)
    if late:
        store.write([below])
        assert store.find().items[0].input == "é" * 121  # it begins the trace as long as nothing is above it
        store.write([top])
    else:
        store.write([top, below])
    shown = {one.name: (one.input, one.output) for one in store.find(roots=False).items}
    assert shown == {"top": ("t" * 299 + "…", None), "below": ("é" * 119 + "…", "y" * 120)}
    outline = {one.name: (one.input, one.output) for one in store.outline(top.trace_id).items}
    assert outline == shown
    trace = store.trace(top.trace_id)
    assert trace is not None and {one.name: one for one in trace.spans} == {"top": top, "below": below}


def test_a_trace_prefix_must_mean_one_trace(store: SpanStore) -> None:
    store.write([span("abcdef" + "0" * 26), span("abcdef" + "1" * 26)])
    assert store.trace("abcdef0") is not None and store.trace("123456") is None
    with pytest.raises(BadReference, match="begins several traces"):
        store.trace("abcdef")
    for wrong in ("abc", "xyzxyz", ""):
        with pytest.raises(BadReference):
            store.trace(wrong)


def test_a_span_whose_parent_never_came_is_marked(store: SpanStore) -> None:
    [root, search, call] = chain()
    store.write([root, replace(search, parent_id="f" * 16), call])
    trace = store.trace(root.trace_id)
    assert trace is not None
    assert [(s.name, s.marks) for s in trace.spans] == [("qa", []), ("search", ["orphan"]), ("answer", [])]


def test_statistics_count_each_token_once(store: SpanStore) -> None:
    [root, search, call] = chain()
    store.write([replace(root, input_tokens=100, output_tokens=20, cost=0.002), search, call])
    store.write([replace(call, trace_id=new_trace_id(), parent_id=None, status="error", end=call.start + 3 * SECOND)])
    [everything] = store.stats()
    assert everything == {
        "count": 4, "errors": 1, "p50_seconds": pytest.approx(2, 0.02), "p95_seconds": pytest.approx(3, 0.02),
        "p99_seconds": pytest.approx(3, 0.02), "input_tokens": 200,
        "output_tokens": 40, "cost": pytest.approx(0.004),
    }  # fmt: skip
    by_model = store.stats("kind:llm", by=["model", "hour"])
    assert [(row["model"], row["hour"], row["count"]) for row in by_model] == [
        ("gpt-4.1-mini", "2026-11-18T11:00:00Z", 2)
    ]
    assert store.stats("name:nothing")[0]["p50_seconds"] is None
    with pytest.raises(BadInput, match="Did you mean 'model'"):
        store.stats(by=["modle"])
    sums = store.totals([root.trace_id])[root.trace_id]
    assert (sums.spans, sums.input_tokens, sums.cost) == (3, 100, pytest.approx(0.002))


def test_projects_in_one_file_never_see_each_other(tmp_path: Path) -> None:
    ours, theirs = SpanStore(tmp_path, "ours"), SpanStore(tmp_path, "theirs")
    [root, *rest] = chain()
    ours.write([root, *rest])
    theirs.write([replace(root, name="copy")])
    assert [s.name for s in theirs.find("", roots=False).items] == ["copy"]
    assert theirs.find("weeks").items == () and theirs.find("model:gpt*").items == ()
    found = theirs.trace(root.trace_id)
    assert found is not None and len(found.spans) == 1 and len(ours.find("weeks").items) == 1
    assert ours.stats()[0]["count"] == 3
    ours.lost(2, "full")
    assert theirs.losses() == [] and [(loss.count, loss.why) for loss in ours.losses()] == [(2, "full")]


def test_damage_to_one_chunk_costs_its_details_never_a_list(store: SpanStore) -> None:
    store.write(chain(user="42"))
    store.write([span(new_trace_id(), "whole", attributes={"k": 1})])
    with sqlite3.connect(store.file) as connection:
        connection.execute("UPDATE chunks SET data = ? WHERE id = 1", (b"\x00damaged",))
    assert len(store.find(roots=False).items) == 4 and names(store, "attr.k:1") == ["whole"]
    trace = store.trace(store.find("user:42").items[0].trace_id)
    assert trace is not None and trace.root.user == "42" and trace.root.input is None


def test_a_wrong_filter_and_a_wrong_span_are_refused_and_nothing_is_half_kept(store: SpanStore) -> None:
    with pytest.raises(BadRule):
        store.find("modle:x")
    with pytest.raises(BadInput, match="16 hex digits"):
        store.write([*chain(), replace(chain()[0], span_id="12")])
    assert store.find(roots=False).items == ()
    with pytest.raises(BadInput, match="cursor"):
        store.find(cursor="x")


def test_texts_no_database_likes_are_kept(store: SpanStore) -> None:
    odd = span(
        new_trace_id(), "half \ud83d", input="nul \0 and \udc00", output={"\ud83d": 1}, user="a\0b", input_tokens=2**70
    )
    store.write([odd])
    trace = store.trace(odd.trace_id)
    assert trace is not None and trace.root.input == "nul \0 and \udc00" and trace.root.name.startswith("half ")
    assert names(store, "nul") and len(store.find("user:x", roots=False).items) == 0


def test_a_newer_file_is_left_alone_and_a_foreign_one_is_named(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "spans.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreIsNewer, match=r"spans\.db"):
        SpanStore(tmp_path, "p").find()
    other = tmp_path / "other"
    other.mkdir()
    (other / "spans.db").write_text("not a database, but long enough to be looked at" * 99)
    with pytest.raises(StoreFailed, match=r"spans\.db is damaged"):
        SpanStore(other, "p").write(chain())


def test_threads_may_share_a_store(store: SpanStore) -> None:
    def work() -> None:
        for _ in range(10):
            store.write(chain())
            store.find("weeks")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.stats()[0]["count"] == 120
    assert len(store.find("weeks", limit=1000).items) == 40


def test_a_trace_of_many_spans_is_whole(store: SpanStore) -> None:
    [root, *_] = chain()
    many = [span(root.trace_id, f"s{n}", at=START + n, parent_id=root.span_id, input=n) for n in range(1_000)]
    store.write([root, *many])
    trace = store.trace(root.trace_id)
    assert trace is not None and [s.input for s in trace.spans[1:]] == list(range(1_000))
