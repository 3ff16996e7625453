"""Graphs and agents of frameworks as targets: objects of their shape, and real ones where they are installed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import afere


class Graph:
    """The shape of a compiled graph: state in, state out."""

    def __init__(self, *channels: str) -> None:
        self.name, self.channels = "desk", dict.fromkeys(channels)

    async def ainvoke(self, state: dict[str, Any]) -> dict[str, Any]:
        if "messages" in state:
            return {"messages": [*state["messages"], SimpleNamespace(content=state["messages"][-1]["content"].upper())]}
        return {**state, "answer": state["question"].upper()}


class Agent:
    """The shape of an agent that answers text with `.output`."""

    name = None

    async def run(self, prompt: str) -> SimpleNamespace:
        return SimpleNamespace(output=prompt.upper())

    def run_sync(self, prompt: str) -> SimpleNamespace:
        raise AssertionError(f"{prompt} is asked on the event loop")


class Runnable:
    """The shape of a runnable that has no state."""

    def invoke(self, given: Any) -> str:
        return str(given).upper()


STATE = {"question": "hi", "answer": "HI"}


@pytest.mark.parametrize(
    ("target", "given", "expected"),
    [
        (Graph("question", "answer"), {"question": "hi"}, STATE),
        (Graph("messages"), {"question": "hi"}, "HI"),
        (Graph("messages"), {"messages": [{"role": "user", "content": "hi"}]}, "HI"),
        (Agent(), {"question": "hi"}, "HI"),
        (Agent(), {"a": "x", "b": 1}, '{"A": "X", "B": 1}'),
        (Runnable(), "hi", "HI"),
    ],
)
def test_an_object_of_a_frameworks_shape_is_a_target(
    project: Path, target: Any, given: object, expected: object
) -> None:
    made = afere.evaluate(target, [{"id": "a", "input": given, "expected": expected}], scorers=["exact"])
    assert [(made.output_of(run), run.error) for run in made.rows] == [(expected, None)]


def test_real_graphs_and_agents_are_targets(project: Path) -> None:
    graphs = pytest.importorskip("langgraph.graph")
    pydantic_ai = pytest.importorskip("pydantic_ai")
    graph = graphs.StateGraph(graphs.MessagesState)
    graph.add_node("say", lambda state: {"messages": [("ai", state["messages"][-1].content.upper())]})  # pyright: ignore
    graph.set_entry_point("say")
    made = afere.evaluate(graph.compile(), [{"input": {"question": "hi"}}], scorers=["exact"])
    assert made.output_of(made.rows[0]) == "HI"
    models = pytest.importorskip("pydantic_ai.models.test")
    agent = pydantic_ai.Agent(models.TestModel(custom_output_text="yes"))
    made = afere.evaluate(agent, [{"input": {"question": "hi"}}], scorers=["exact"])
    assert made.output_of(made.rows[0]) == "yes"
