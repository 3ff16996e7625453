"""A graph that waited for a person and goes on: one trace, as OpenInference's instrumentor of LangChain tells it.

The tracer is a small one of the same shape; `langgraph.types.Command` is what LangGraph hands to callbacks as the input.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import afere
from afere.base.span import Trace
from afere.store.spans.store import SpanStore
from afere.tracing import flush, libraries

TRACER = """
import json
from opentelemetry.trace import Status, StatusCode

class OpenInferenceTracer:
    def __init__(self, tracer):
        self.tracer = tracer
    def _start_trace(self, run):
        run.span = self.tracer.start_span(run.name)
    def _end_trace(self, run, waits=False, failed=False):
        run.span.set_attributes({"openinference.span.kind": "CHAIN", "metadata": json.dumps(run.extra["metadata"]),
                                 "session.id": run.extra["metadata"]["thread_id"]})
        if waits:
            run.span.record_exception(type("GraphInterrupt", (Exception,), {})("Send it?"))
        if waits or failed:
            run.span.set_status(Status(StatusCode.ERROR, "failed"))
        run.span.end()
"""
INSTRUMENTOR = """
class Instrumentor:
    tracer = None
    is_instrumented_by_opentelemetry = False
    def instrument(self, *, tracer_provider):
        from openinference.instrumentation.langchain._tracer import OpenInferenceTracer
        Instrumentor.tracer = OpenInferenceTracer(tracer_provider.get_tracer("toy"))
        Instrumentor.is_instrumented_by_opentelemetry = True
"""


class Command(SimpleNamespace):
    resume: Any


Command.__module__ = "langgraph.types"


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Runs the graph "approval": `graph(input, thread=, waits=, failed=)`."""
    site = tmp_path / "site"
    info = site / "openinference_instrumentation_langchain-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: openinference-instrumentation-langchain\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text("[opentelemetry_instrumentor]\nlangchain = toy_langchain:Instrumentor\n")
    (site / "toy_langchain.py").write_text(INSTRUMENTOR)
    monkeypatch.syspath_prepend(str(site))
    for name in ("openinference", "openinference.instrumentation", "openinference.instrumentation.langchain"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    tracer: Any = ModuleType("openinference.instrumentation.langchain._tracer")
    exec(TRACER, tracer.__dict__)
    monkeypatch.setitem(sys.modules, tracer.__name__, tracer)
    assert afere.instrument("langchain") == ["langchain"]
    made = sys.modules["toy_langchain"].Instrumentor.tracer

    def run(
        given: Any, *, thread: str = "t-1", waits: bool = False, failed: bool = False, name: str = "approval"
    ) -> None:
        extra = {"metadata": {"thread_id": thread}}
        one = SimpleNamespace(name=name, parent_run_id=None, inputs={"input": given}, extra=extra)
        made._start_trace(one)
        made._end_trace(one, waits, failed)

    yield run
    sys.modules.pop("toy_langchain", None)
    libraries._done.clear()


def _traces(project: Path) -> list[Trace]:
    flush()
    store = SpanStore(project / ".afere", "handbook")
    ids = sorted({(span.start, span.trace_id) for span in store.find().items})
    found = [store.trace(one) for _, one in ids]
    store.close()
    return [one for one in found if one is not None]


def test_a_run_that_goes_on_joins_the_one_that_waited(project: Path, graph: Any) -> None:
    graph("q", waits=True)
    graph("q", thread="t-2", waits=True)
    graph(Command(resume="yes"), waits=True)  # and waits again
    first, other = _traces(project)
    assert [span.status for span in first.spans] == ["paused", "paused"] and len(other.spans) == 1
    graph(Command(resume="yes"))
    first, other = _traces(project)
    assert [span.status for span in first.spans] == ["ok", "paused", "ok"]
    assert {span.parent_id for span in first.spans[1:]} == {first.root.span_id}
    assert not any(span.marks for span in first.spans) and other.root.status == "paused"


def test_a_resume_that_fails_makes_the_run_failed(project: Path, graph: Any) -> None:
    graph("q", waits=True)
    graph(Command(resume="yes"), failed=True)
    (trace,) = _traces(project)
    assert (trace.root.status, trace.root.error) == ("error", "failed") and len(trace.spans) == 2


@pytest.mark.parametrize(
    "resume",
    [
        {"given": "another question"},
        {"given": Command(resume=None)},
        {"given": Command(resume="yes"), "thread": "t-2"},
        {"given": Command(resume="yes"), "thread": 't" status:ok'},
        {"given": Command(resume="yes"), "name": "another graph"},
    ],
    ids=["a new input", "no answer", "another thread", "a thread that is no filter", "another graph"],
)
def test_what_resumes_nothing_is_a_trace_of_its_own(project: Path, graph: Any, resume: dict[str, Any]) -> None:
    graph("q", waits=True)
    graph(resume.pop("given"), **resume)
    waited, new = _traces(project)
    assert waited.root.status == "paused" and [span.status for span in new.spans] == ["ok"]
    assert new.root.parent_id is None


def test_inside_another_trace_it_stays_there_and_says_what_it_resumes(project: Path, graph: Any) -> None:
    graph("q", waits=True)
    with afere.span("request"):
        graph(Command(resume="yes"))
    waited, request = _traces(project)
    assert [span.name for span in request.spans] == ["request", "approval"] and waited.root.status == "ok"
    said = request.spans[1].attributes["afere.resumes"]
    assert said == f"{waited.trace_id}/{waited.root.span_id}"


def test_with_a_server_as_the_store_another_process_asks_it_what_waits(
    project: Path, graph: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from afere.tracing import resumes, targets

    found = targets.target()
    monkeypatch.setattr(found, "away", True)
    graph("q", waits=True)
    _traces(project)
    resumes._waiting.clear()  # as another process has it
    graph(Command(resume="yes"))
    (joined,) = _traces(project)
    assert [span.status for span in joined.spans] == ["ok", "ok"]
    graph("q", waits=True)
    _traces(project)
    resumes._waiting.clear()
    monkeypatch.setattr(resumes, "_PATIENCE", 0.05)
    away = threading.Event()

    def silent(*_: object, **__: object) -> None:
        away.wait(20)

    monkeypatch.setattr(SpanStore, "find", silent)
    graph(Command(resume="yes"))  # the server does not answer: the run goes on, as a trace of its own
    away.set()
    monkeypatch.undo()
    assert [len(trace.spans) for trace in _traces(project)] == [2, 1, 1]


def test_with_a_server_as_the_store_this_process_knows_what_waits(
    project: Path, graph: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from afere.tracing import targets

    monkeypatch.setattr(targets.target(), "away", True)
    graph("q", waits=True)
    graph(Command(resume="yes"))
    graph(Command(resume="yes"))  # nothing waits any more
    joined, new = _traces(project)
    assert [span.status for span in joined.spans] == ["ok", "ok"] and len(new.spans) == 1
