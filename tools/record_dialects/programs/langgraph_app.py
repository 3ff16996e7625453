"""A LangGraph agent with a tool, a retriever, a stream and a failing call; and a graph that waits for a person."""

from __future__ import annotations

from typing import Any, TypedDict

import exporting
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import MemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt


@tool
def weather(city: str) -> str:
    """The weather."""
    return "sunny"


class Refunds(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return [Document("Within 30 days.", metadata={"source": "refunds.md", "score": 0.9})]


def model(name: str = exporting.MODEL) -> ChatOpenAI:
    return ChatOpenAI(model=name, max_retries=0, stream_usage=True, use_responses_api=False)


class State(TypedDict):
    question: str
    answer: str


def ask(state: State) -> dict[str, str]:
    approved = interrupt({"question": "Send it?"})
    return {"answer": f"sent: {approved}"}


def waiting() -> Any:
    graph = StateGraph(State)
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    return graph.compile(checkpointer=MemorySaver(), name="approval")


def run(config: dict[str, Any]) -> None:
    from langchain.agents import create_agent

    said = [("system", exporting.SYSTEM), ("user", exporting.QUESTION)]
    model().invoke(said, config)
    for _ in model().stream(said, config):
        pass
    create_agent(model(), [weather], name="forecast").invoke({"messages": [("user", exporting.WEATHER)]}, config)
    Refunds().invoke("refund?", config)
    exporting.fails(model("no-such").invoke, [("user", exporting.QUESTION)], config)


def pause(config: dict[str, Any]) -> None:
    graph = waiting()
    config = {**config, "configurable": {"thread_id": "thread-1"}}
    graph.invoke({"question": "q", "answer": ""}, config)
    graph.invoke(Command(resume="yes"), config)
