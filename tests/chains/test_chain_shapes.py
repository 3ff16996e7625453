"""Chains stay the functions they were; their runs and names."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import sys
from pathlib import Path

import pytest

import afere
from afere.base.errors import NotFound, Refused
from afere.base.project import find_project
from afere.chains import resolve_chain


def last_trace() -> afere.Trace:
    afere.flush()
    session = afere.open()
    return session.spans.trace(session.spans.find("").items[0].trace_id)


def test_a_plain_function_stays_one_and_its_run_tells_all(project: Path) -> None:
    @afere.chain
    def qa(question: str, *, k: int = 4) -> str:
        """Answers."""
        return f"{question} {k}"

    assert qa("x") == "x 4" and qa.__doc__ == "Answers." and qa.__name__ == "qa"
    assert list(inspect.signature(qa).parameters) == ["question", "k"]
    run = qa.run("x", k=2)
    assert (run.output, run.cost) == ("x 2", None) and run.seconds >= 0
    trace = last_trace()
    assert trace.trace_id == run.trace_id
    assert (trace.root.kind, trace.root.name, trace.root.input, trace.root.output) == (
        "chain", "qa", {"question": "x", "k": 2}, "x 2",
    )  # fmt: skip
    revision = qa.revision()
    assert run.revision == revision.ref
    assert (revision.ref, revision.hash) in trace.root.artifacts


async def test_an_async_function_stays_one(project: Path) -> None:
    @afere.chain(name="aqa")
    async def qa(question: str) -> str:
        await asyncio.sleep(0)
        return question.upper()

    assert asyncio.iscoroutinefunction(qa)
    assert inspect.iscoroutinefunction(qa.__call__)
    assert await qa("x") == "X"
    run = await qa.run("y")
    assert run.output == "Y" and run.revision.startswith("chain:aqa~")


async def test_generators_yield_as_before_and_are_collected_by_run(project: Path) -> None:
    @afere.chain
    def words(text: str):
        yield from text.split()

    @afere.chain
    async def numbers(n: int):
        for i in range(n):
            yield i

    pieces = words("a b")
    assert next(pieces) == "a" and list(pieces) == ["b"]
    assert words.run("a b").output == "ab"
    assert [i async for i in numbers(2)] == [0, 1]
    assert (await numbers.run(2)).output == [0, 1]


def test_methods_can_be_chains_and_know_their_instance(project: Path) -> None:
    class Desk:
        def __init__(self, greeting: str) -> None:
            self.greeting = greeting

        @afere.chain
        def greet(self, name: str) -> str:
            return f"{self.greeting} {name}"

    assert Desk("Hi").greet("Ana") == "Hi Ana"
    assert Desk("Bye").greet.run(name="Bo").output == "Bye Bo"
    assert Desk("Hi").greet.parameters == ("name",)


def test_a_chain_in_a_chain_nests_in_one_trace(project: Path) -> None:
    @afere.chain
    def inner(x: int) -> int:
        return x + 1

    @afere.chain
    def outer(x: int) -> int:
        return inner(x) * 2

    assert outer.run(1).output == 4
    trace = last_trace()
    assert [(span.name, span.kind) for span in trace.spans] == [("outer", "chain"), ("inner", "chain")]
    assert trace.spans[1].parent_id == trace.spans[0].span_id


def test_an_error_leaves_as_it_came_and_stands_on_the_span(project: Path) -> None:
    @afere.chain
    def qa(question: str) -> str:
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        qa("x")
    assert last_trace().root.status == "error"


APP = "import afere\n\n@afere.chain\ndef qa(question: str) -> str:\n    return 'A: ' + question\n"


def test_chains_are_found_by_name_and_place(project: Path, write) -> None:
    write("afere.yaml", 'chains: {qa: "app_one:qa"}')
    write("app_one.py", APP)
    here = find_project()
    assert resolve_chain("qa", here)("x") == "A: x"
    assert pickle.loads(pickle.dumps(resolve_chain("qa", here))) is resolve_chain("qa", here)
    assert resolve_chain("app_one:qa", here) is resolve_chain("chain:qa", here)
    revision = resolve_chain("qa", here).revision()
    afere.open().alias("chain:qa@production", revision.ref, why="first")
    assert resolve_chain("qa@production", here)("x") == "A: x"
    write("app_one.py", APP.replace("A: ", "Answer: "))
    del sys.modules["app_one"]
    with pytest.raises(Refused, match="stored code is not run"):
        resolve_chain("qa@production", here)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("qaa", "no chain called 'qaa'. Did you mean 'qa'? Chains in"),
        ("app_two:qaa", "app_two has no 'qaa'. Did you mean 'qa'? Chains there: qa."),
        ("app_twoo:qa", "no module 'app_twoo'"),
        ("app_two:helper", "is a function, not a chain"),
        ("Not a name", "no chain called"),
    ],
)
def test_a_chain_that_is_not_there_is_told_with_those_that_are(project: Path, write, name: str, said: str) -> None:
    write("afere.yaml", 'chains: {qa: "app_two:qa"}')
    write("app_two.py", APP + "\ndef helper():\n    pass\n")
    with pytest.raises(NotFound) as caught:
        resolve_chain(name, find_project())
    assert said in str(caught.value)


def test_two_projects_may_each_have_an_app_module(project: Path, write, tmp_path: Path) -> None:
    write("afere.yaml", 'chains: {qa: "app_same:qa"}')
    write("app_same.py", APP)
    other = tmp_path / "other"
    other.mkdir()
    (other / "afere.yaml").write_text('chains: {qa: "app_same:qa"}')
    (other / "app_same.py").write_text(APP.replace("A: ", "B: "))
    assert resolve_chain("qa", find_project())("x") == "A: x"
    assert resolve_chain("qa", find_project(other))("x") == "B: x"
