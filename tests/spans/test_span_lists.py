"""Lists find what looking at every span would find, whichever way they are read: by counts, documents, or one by one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afere.base.score import Score
from afere.base.span import Span
from afere.server.pages.summary import summaries
from afere.store import open as open_store
from afere.store.spans import filter as span_filter
from afere.store.spans import listing
from afere.store.spans.store import SpanStore

SECOND = 1_000_000_000
START = 1_795_000_000 * SECOND
_WORDS = st.sampled_from(["notice", "refund", "refund notice", "Über das", ""])
_RAN = st.lists(
    st.sampled_from([("component:reply@2", "1"), ("prompt:reply@7", "2"), ("chain:qa~1f2e3d", "3")]), unique=True
)


@st.composite
def _traces(draw: st.DrawFn) -> list[list[Span]]:
    """Traces of a few spans, each with one first span."""
    made: list[list[Span]] = []
    for number in range(draw(st.integers(0, 7))):
        begun = START + draw(st.integers(0, 3)) * 1800 * SECOND
        spans: list[Span] = []
        for nth in range(draw(st.integers(1, 4))):
            spans.append(
                Span(
                    f"{number + 1:032x}", f"{nth + 1:016x}", draw(st.sampled_from(["qa", "search", "answer"])), begun + nth,
                    f"{1:016x}" if nth else None, draw(st.sampled_from(["chain", "llm", "tool"])), begun + 2 * SECOND,
                    draw(st.sampled_from(["ok", "error"])), model=draw(st.none() | st.sampled_from(["gpt-4.1", "local"])),
                    input=draw(_WORDS), user=draw(st.none() | st.sampled_from(["ana", "bo"])), artifacts=draw(_RAN),
                    attributes=draw(st.sampled_from([{}, {"release": "1.4"}, {"tenant": "acme"}])),
                )
            )  # fmt: skip
        made.append(spans)
    return made


def _version(span: Span) -> str | None:
    return str(span.attributes["release"]) if "release" in span.attributes else _ran(span, "chain:")


def _ran(span: Span, kind: str) -> str | None:
    return next((ref.removeprefix(kind) for ref, _ in span.artifacts if ref.startswith(kind)), None)


_ANY: dict[str, Callable[[Span], bool]] = {
    "name:search": lambda span: span.name == "search",
    "name:*a*": lambda span: "a" in span.name,
    "kind:tool": lambda span: span.kind == "tool",
    "model:local": lambda span: span.model == "local",
    "model:gpt*": lambda span: (span.model or "").startswith("gpt"),
    "component:reply": lambda span: (_ran(span, "component:") or span.name) == "reply@2",
    "component:qa": lambda span: (_ran(span, "component:") or span.name) == "qa",
    "version:1.4": lambda span: _version(span) == "1.4",
    "prompt:reply@7": lambda span: _ran(span, "prompt:") is not None,
    "attr.tenant:acme": lambda span: span.attributes.get("tenant") == "acme",
    "refund": lambda span: "refund" in str(span.input),
    '"refund notice"': lambda span: "refund notice" in str(span.input),
    "uber": lambda span: "Über" in str(span.input),
    "nothing": lambda _: False,
    "name:nothing": lambda _: False,
}
_ROOT: dict[str, Callable[[Span], bool]] = {
    "status:error": lambda span: span.status == "error",
    "user:ana": lambda span: span.user == "ana",
    "chain:qa": lambda span: (
        (_ran(span, "chain:") or (span.name if span.kind == "chain" else "")).split("~")[0] == "qa"
    ),
}


def _pages(store: SpanStore, filter: str, limit: int, *, roots: bool) -> Iterator[Span]:
    cursor: str | None = None
    while True:
        page = store.find(filter, limit=limit, cursor=cursor, roots=roots, brief=True)
        yield from page.items
        if (cursor := page.next) is None:
            return


@pytest.mark.parametrize("few", [True, False], ids=["what is rare is found first", "everything is common"])
@settings(max_examples=25, deadline=None)
@given(made=_traces(), limit=st.integers(1, 4), also=st.sampled_from(["", *_ROOT]))
def test_a_list_is_what_looking_at_every_span_finds(few: bool, made: list[list[Span]], limit: int, also: str) -> None:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as changed:
        for name in () if few else ("_FEW", "_FEW_DOCS", "_CELLS"):
            changed.enter_context(mock.patch.object(span_filter, name, 1))
        changed.enter_context(mock.patch.object(listing, "_SOME", 2))
        store = SpanStore(Path(folder), "p", filterable=["tenant"])
        for spans in made:
            store.write(spans)
        store.of("other").write([span for spans in made for span in spans][:3])
        for asked, holds in _ANY.items():
            of_root = _ROOT.get(also, lambda _: True)
            for sign, wanted in (("", True), ("-", False)):
                query = f"{sign}{asked} {also}".strip()
                traces = [one for one in made if any(map(holds, one)) is wanted and of_root(one[0])]
                found = [span.trace_id for span in _pages(store, query, limit, roots=True)]
                assert sorted(found) == [one[0].trace_id for one in traces], query
                each = [(span.trace_id, span.span_id) for span in _pages(store, query, limit, roots=False)]
                plain = [span for one in made for span in one if holds(span) is wanted and of_root(span)]
                assert sorted(each) == [(span.trace_id, span.span_id) for span in plain], query
        store.close()


def test_a_page_of_traces_has_the_sums_and_scores_of_each(tmp_path: Path) -> None:
    with open_store(tmp_path / ".afere", project="p") as session:
        for number in range(1, 5):
            trace = f"{number:032x}"
            root = Span(
                trace, "a" * 16, "qa", START + number, end=START + SECOND, artifacts=[("chain:qa~1f2e3d", "sha256:1")]
            )
            call = Span(
                trace, "b" * 16, "call", START + number, "a" * 16, "llm", START + SECOND, input_tokens=10 * number
            )
            session.spans.write([root, call] if number > 1 else [root])
        session.append(
            *(Score(f"{2:032x}/{'b' * 16}", "exact", n / 10, "scorer:exact@1", id=f"s{n}") for n in range(5))
        )
        session.append(Score(f"{3:032x}", "comment", "why?", "person:local"))
        page = summaries(session, session.spans.find(brief=True).items)
        assert [one.root.trace_id for one in page] == [f"{n:032x}" for n in (4, 3, 2, 1)]
        assert [one.totals.input_tokens for one in page] == [40, 30, 20, None]
        assert [one.totals.spans for one in page] == [2, 2, 2, 1] and {one.chain for one in page} == {"chain:qa~1f2e3d"}
        assert [len(one.scores) for one in page] == [0, 0, 1, 0] and page[1].talk.comments[0].value == "why?"
        assert len(session.scores_of([f"{2:032x}", "f" * 32], most=3)[f"{2:032x}"]) == 3
        session.spans.write(
            [Span(f"{4:032x}", "c" * 16, "call", START, "a" * 16, "llm", START + SECOND, input_tokens=2)]
        )
        again = summaries(session, session.spans.find(brief=True, limit=1).items)
        assert (again[0].totals.spans, again[0].totals.input_tokens) == (3, 42)


@pytest.mark.parametrize("sort", ["cost", "tokens"])
@pytest.mark.parametrize("few", [3, 8, 30])
def test_the_dearest_traces_lead_however_few_are_looked_at(tmp_path: Path, sort: str, few: int) -> None:
    """Outer spans repeat what their calls cost, in every third trace: what seems dear may not be."""
    spans: list[Span] = []
    for number in range(25):
        trace, spent = f"{number + 1:032x}", (number * 7919) % 13
        outer = Span(trace, "1" * 16, "qa", START + number, end=START + SECOND)
        call = Span(
            trace,
            "2" * 16,
            "call",
            START + number,
            "1" * 16,
            "llm",
            START + SECOND,
            cost=spent / 1000,
            input_tokens=spent,
        )
        if number % 3 == 0:
            outer.cost, outer.input_tokens = call.cost, call.input_tokens
        if number % 8 == 5:
            call.cost = call.input_tokens = None
        spans += [outer, call]
    store = SpanStore(tmp_path, "desk")
    store.write(spans)
    whole = [one.trace_id for one in store.find(sort=sort, limit=100).items]
    with mock.patch.object(listing, "_FEW", few):
        found, cursor = list[str](), None
        while True:
            page = store.find(sort=sort, limit=4, cursor=cursor)
            found += [one.trace_id for one in page.items]
            if (cursor := page.next) is None:
                break
    assert found == whole and len(set(found)) == 25
    sums = [getattr(one, "cost" if sort == "cost" else "input_tokens") for one in store.totals(found).values()]
    known = [one for one in sums if one is not None]
    assert known == sorted(known, reverse=True) and sums[: len(known)] == known
    store.close()


@pytest.mark.parametrize("apart", [1, 120, 1800], ids=["every second", "every two minutes", "every half hour"])
@pytest.mark.parametrize("every", [2, 9], ids=["in many traces", "in few traces"])
def test_traces_of_a_model_come_newest_first_however_they_are_found(tmp_path: Path, apart: int, every: int) -> None:
    """Some calls begin before their trace, by another clock, and some long after it."""
    spans: list[Span] = []
    for number in range(240):
        trace, at = f"{number + 1:032x}", START + number * apart * SECOND
        spans.append(Span(trace, "1" * 16, "qa", at, end=at + SECOND, status="error" if number % 4 == 0 else "ok"))
        for call in range(2):
            model = "rare" if number % every == 0 else "usual"
            begun = at + ((-400, 1, 5000)[number % 3] + call) * SECOND
            spans.append(Span(trace, f"{call + 2:016x}", "call", begun, "1" * 16, "llm", begun + SECOND, model=model))
    store = SpanStore(tmp_path, "desk")
    store.write(spans)
    rare = [f"{number + 1:032x}" for number in reversed(range(0, 240, every))]
    with mock.patch.object(span_filter, "_FEW", 1):
        for limit in (1, 3, 4):
            assert [one.trace_id for one in _pages(store, "model:rare", limit, roots=True)] == rare
            failed = [one.trace_id for one in _pages(store, "model:rare status:error", limit, roots=True)]
            assert failed == [trace for trace in rare if (int(trace, 16) - 1) % 4 == 0]
        assert sorted(one.trace_id for one in store.find("model:rare", sort="latency", limit=300).items) == sorted(rare)
    store.close()
