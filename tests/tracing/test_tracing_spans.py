"""What is recorded of functions of every sort, and what is not allowed to disturb them."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import afere
from afere.base.span import Trace
from afere.tracing import LiveSpan, carry, collecting, configure, start


def only(traces: dict[str, Trace]) -> Trace:
    assert len(traces) == 1
    return next(iter(traces.values()))


def tree(trace: Trace) -> dict[str, str | None]:
    """name -> name of the parent."""
    names = {span.span_id: span.name for span in trace.spans}
    return {span.name: names.get(span.parent_id or "") for span in trace.spans}


def test_a_function_stays_what_it_is_and_its_inputs_and_output_are_kept(project: Path) -> None:
    @afere.trace
    def rank(passages: list[str], /, *more: str, k: int = 4, **rest: int) -> dict[str, Any]:
        """Order them."""
        return {"best": passages[0], "k": k}

    with collecting() as c:
        assert rank(["a", "b"], "c", k=2, z=9) == {"best": "a", "k": 2}
    span = only(c.traces).root
    assert rank.__name__ == "rank" and rank.__doc__ == "Order them."
    assert span.input == {"passages": ["a", "b"], "more": ["c"], "k": 2, "z": 9}
    assert span.output == {"best": "a", "k": 2}
    assert (span.name, span.kind, span.status, span.parent_id) == ("rank", "step", "ok", None)
    assert span.seconds is not None and span.seconds >= 0


def test_inputs_are_those_of_the_call_even_if_the_function_changes_them(project: Path) -> None:
    @afere.trace
    def spoil(rows: list[int]) -> None:
        rows.clear()

    with collecting() as c:
        spoil([1, 2])
    assert only(c.traces).root.input == {"rows": [1, 2]}


def test_methods_leave_self_out_and_keep_their_sort(project: Path) -> None:
    class Desk:
        @afere.trace(name="ask the desk", kind="tool")
        def ask(self, question: str) -> str:
            return question.upper()

        @staticmethod
        @afere.trace
        def static(x: int) -> int:
            return x

        @afere.trace
        @classmethod
        def of(cls, x: int) -> str:
            return cls.__name__

    with collecting() as c:
        assert (Desk().ask("a"), Desk.static(1), Desk.of(2)) == ("A", 1, "Desk")
    kept = {trace.root.name: (trace.root.kind, trace.root.input) for trace in c.traces.values()}
    assert kept == {
        "ask the desk": ("tool", {"question": "a"}),
        "static": ("step", {"x": 1}),
        "of": ("step", {"x": 2}),
    }


def test_nested_calls_of_every_sort_make_one_tree(project: Path) -> None:
    @afere.trace
    async def leaf(n: int) -> int:
        await asyncio.sleep(0)
        return n

    @afere.trace
    async def numbers(n: int) -> Any:
        for i in range(n):
            yield await leaf(i)

    @afere.trace
    async def top() -> list[int]:
        with afere.span("inside", kind="retrieval", k=3):
            await asyncio.gather(leaf(10), leaf(11))
        return [n async for n in numbers(2)]

    assert inspect.iscoroutinefunction(top)
    with collecting() as c:
        assert asyncio.run(top()) == [0, 1]
    trace = only(c.traces)
    assert tree(trace) | {"leaf": None} == {"top": None, "inside": "top", "leaf": None, "numbers": "top"}
    inside = trace.named("inside")[0]
    assert inside.attributes == {"k": 3}
    assert sorted(str(s.output) for s in trace.named("leaf") if s.parent_id == inside.span_id) == ["10", "11"]
    assert trace.named("numbers")[0].output == [0, 1]


def test_a_generator_is_one_span_under_its_caller_and_never_leaks_into_the_loop(project: Path) -> None:
    @afere.trace
    def words(text: str) -> Any:
        for word in text.split():
            with afere.span("make"):
                pass
            got = yield word
            assert got in (None, "more")
        return "done"

    @afere.trace
    def caller() -> Any:
        return words("one two three")

    with collecting() as c:
        generator = caller()  # its caller ends before anybody reads
        assert next(generator) == "one"
        assert afere.current() is None
        assert generator.send("more") == "two"
        with pytest.raises(StopIteration) as stop:
            next(generator)
            next(generator)
        assert stop.value.value == "done"
    trace = only(c.traces)
    assert tree(trace) == {"caller": None, "words": "caller", "make": "words"}
    span = trace.named("words")[0]
    assert span.output == "onetwothree"
    assert span.first_token_seconds is not None and span.status == "ok"


def test_a_generator_that_is_left_early_or_thrown_into_still_ends_its_span(project: Path) -> None:
    @afere.trace
    def count() -> Any:
        try:
            yield from range(10)
        except KeyError:
            yield -1

    with collecting() as c:
        for n in count():
            if n == 2:
                break
        gc.collect()
        thrown = count()
        next(thrown)
        assert thrown.throw(KeyError("x")) == -1
        thrown.close()
    spans = [trace.root for trace in c.traces.values()]
    assert [span.output for span in spans] == [[0, 1, 2], [0, -1]]
    assert all(span.status == "ok" and span.events[-1]["name"] == "closed early" for span in spans)  # type: ignore[index,call-overload]


async def test_an_async_generator_finished_by_another_task_ends_quietly(project: Path, caplog: Any) -> None:
    @afere.trace
    async def ticks() -> Any:
        while True:
            yield "tick"

    with collecting() as c:
        generator = ticks()
        assert await anext(generator) == "tick"
        await asyncio.create_task(generator.aclose())
    assert only(c.traces).root.output == "tick"
    assert not caplog.records


def test_an_exception_is_recorded_and_goes_on(project: Path) -> None:
    class Rude(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    @afere.trace
    def fails(kind: type[BaseException]) -> None:
        raise kind("out of stock")

    with collecting() as c:
        for kind in (ValueError, Rude, KeyboardInterrupt):
            with pytest.raises(kind):
                fails(kind)
    errors = [trace.root.error for trace in c.traces.values()]
    assert errors[0] == "ValueError: out of stock"
    assert errors[1] is not None and "Rude" in errors[1]
    assert errors[2] == "KeyboardInterrupt: out of stock"
    root = next(iter(c.traces.values())).root
    assert root.status == "error" and root.events[0]["attributes"]["stacktrace"]  # type: ignore[index,call-overload]


def test_threads_join_the_trace_when_the_context_is_carried(project: Path) -> None:
    @afere.trace
    def work(n: int) -> int:
        return n

    @afere.trace
    def top() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(carry(work), range(3)))
            pool.submit(contextvars.copy_context().run, work, 3).result()
        bare = threading.Thread(target=work, args=(4,))
        bare.start()
        bare.join()

    with collecting() as c:
        top()
    trace = only(c.traces)  # the bare thread carried nothing: a trace of its own, not collected here
    assert sorted(str(span.output) for span in trace.named("work")) == ["0", "1", "2", "3"]
    assert {span.parent_id for span in trace.named("work")} == {trace.root.span_id}


def test_a_span_ended_elsewhere_or_twice_or_never_disturbs_nothing(project: Path, caplog: Any) -> None:
    with collecting() as c:
        with afere.span("outer") as outer:
            ended_in_thread = start("in a thread")
            thread = threading.Thread(target=ended_in_thread.end)
            thread.start()
            thread.join()
            assert afere.current() is outer  # the ended span is current no more
            forgotten = start("forgotten")
            assert afere.current() is forgotten
        assert afere.current() is None
        outer.end()
        outer.set(late=1)
        outer.fail("late")
        contextvars.copy_context().run(forgotten.end)
    trace = only(c.traces)
    assert {span.name: span.status for span in trace.spans} == {
        "outer": "ok", "in a thread": "ok", "forgotten": "ok",
    }  # fmt: skip
    assert trace.root.attributes.keys().isdisjoint({"late"})
    assert not caplog.records


def test_a_span_that_has_ended_goes_without_a_search_for_circles(project: Path) -> None:
    @afere.trace
    def rank(passage: str) -> str:
        with afere.span("look") as live:
            live.output(passage)
        return passage

    def run() -> None:
        with collecting():
            for number in range(50):
                rank(f"passage {number}")

    run()
    gc.collect()
    gc.disable()
    try:
        run()
        assert gc.collect() < 50  # each of the hundred spans is several objects
    finally:
        gc.enable()


def test_what_goes_on_under_a_span_that_has_ended_still_hangs_under_it(project: Path) -> None:
    with collecting() as c:
        live = start("request", detached=True)
        live.end()
        with live.active(), afere.span("afterwards"):
            pass
    assert tree(only(c.traces)) == {"request": None, "afterwards": "request"}


def test_user_and_session_reach_every_span_inside_and_the_root_that_was_already_running(project: Path) -> None:
    with collecting() as c, afere.span("request"):
        with afere.context(user="42", session="s-1", environment="staging", tenant="acme"), afere.span("step"):
            pass
        with afere.span("after"):
            pass
    trace = only(c.traces)
    step = trace.named("step")[0]
    assert (step.user, step.session, step.environment, step.attributes) == ("42", "s-1", "staging", {"tenant": "acme"})
    assert (trace.root.user, trace.root.session) == ("42", "s-1")
    assert trace.named("after")[0].attributes == {}


def test_events_uses_and_what_is_set_are_kept(project: Path) -> None:
    with collecting() as c, afere.span("step", kind="llm") as live:
        assert isinstance(live, LiveSpan) and afere.current() is live
        live.event("retry", attempt=2)
        live.use("prompt:answer@3", "sha256:" + "a" * 64)
        live.use("prompt:answer@3", "sha256:" + "a" * 64)
        live.set(**{"gen_ai.system": "scripted", "n": 1})
        live.input("question")
        live.output({"answer": 42})
        assert afere.now() > 0
    span = only(c.traces).root
    assert [event["name"] for event in span.events] == ["retry", "afere.now"]  # type: ignore[index,call-overload]
    assert span.artifacts == [("prompt:answer@3", "sha256:" + "a" * 64)]
    assert span.attributes["gen_ai.system"] == "scripted"
    assert (span.input, span.output) == ("question", {"answer": 42})


def test_values_that_are_not_json_are_described_without_running_their_code(project: Path) -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise AssertionError("repr was called")

        __str__ = __repr__

        def __getattr__(self, name: str) -> Any:
            raise AssertionError("an attribute was read")

    @dataclass
    class Passage:
        text: str
        vector: Any

    endless: list[Any] = []
    endless.append(endless)

    @afere.trace
    def take(**values: Any) -> Any:
        return values["hostile"]

    with collecting() as c:
        take(
            hostile=Hostile(), passage=Passage("a", b"123"), nan=float("nan"), large=1 << 9000, kind={1: {2}},
            endless=endless, fn=functools.reduce, text="x" * 100_000, many=list(range(5_000)),
        )  # fmt: skip
    span = only(c.traces).root
    got: Any = span.input
    assert got["hostile"].endswith("Hostile)")
    assert got["passage"] == {"text": "a", "vector": "(bytes: 3 bytes)"}
    assert (got["nan"], got["large"], got["kind"]) == ("nan", "(integer of 9001 bits)", {"1": [2]})
    assert len(got["text"]) < 40_000 and got["text"].endswith("(cut: 100000 characters in all)")
    assert got["many"][-1] == "(cut: 5000 entries in all)"
    assert span.marks == ["cut"]
    assert str(span.output).endswith("Hostile)")


def test_collecting_may_be_nested_and_keeps_each_to_its_own(project: Path) -> None:
    with collecting() as outer:
        with afere.span("a"):
            pass
        with collecting() as inner, afere.span("b"):
            pass
    assert [trace.root.name for trace in outer.traces.values()] == ["a", "b"]
    assert [trace.root.name for trace in inner.traces.values()] == ["b"]
    assert all(trace.project == "handbook" for trace in outer.traces.values())


def test_a_playback_answers_the_clock(project: Path) -> None:
    from afere.tracing import Played, played, playing

    class Record:
        def answer(self, kind: str, name: str, arguments: Any) -> Played | None:
            return Played(1234.5) if kind == "now" else Played(error="boom") if name == "broken" else None

    assert played("tool", "x", {}) is None
    with playing(Record()), collecting() as c, afere.span("step"):
        assert afere.now() == 1234.5
        assert played("tool", "x", {}) is None
        assert played("tool", "broken", {}) == Played(None, "boom")
    event: Any = only(c.traces).root.events[0]
    assert event["attributes"] == {"value": 1234.5}


def test_a_score_of_the_running_trace_is_durable_on_return(project: Path) -> None:
    with afere.span("request") as live:
        made = afere.score(live, "helpful", True, by="user:42", why="found it", id="s-1")
        afere.score(live, "helpful", True, by="user:42", why="found it", id="s-1")
    assert made.target == live.trace_id
    with afere.open() as session:
        page = session.find("scores", target=live.trace_id)
    assert [(s.name, s.value, s.by, s.why) for s in page.items] == [("helpful", True, "user:42", "found it")]
    with pytest.raises(ValueError, match="write who judged"):
        afere.score(live.trace_id, "helpful", True, by="42")


def test_a_wrong_kind_of_redaction_is_told_where_it_is_asked(project: Path) -> None:
    with pytest.raises(ValueError, match="Did you mean 'email'"):
        configure(redact=["emial"])
