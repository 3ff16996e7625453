"""Tools and agents: what the model is told, what it may do wrong, and both ways of asking for a tool."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest

import afere
from afere.base.errors import BadInput, BadProject, NotFound
from afere.base.project import find_project
from afere.chains.agent import OutOfSteps
from afere.govern.registry import registry
from afere.testing import Answer, ScriptedModel

DESK = """---
model: scripted:{model}
inputs: {{question: string}}
{more}
---
# system
Help with leave.
# user
{{{{ question }}}}
"""


class Unit(enum.Enum):
    DAYS = "days"
    HOURS = "hours"


@dataclasses.dataclass
class Period:
    first: str
    last: str | None = None


class Note(TypedDict):
    text: str
    by: NotRequired[str]


@afere.tool(owner="hr", permissions=["leave:read"])
def balance(
    person: Annotated[str, "who asks"],
    unit: Unit = Unit.DAYS,
    kind: Literal["paid", "sick"] = "paid",
    limit: float | None = None,
) -> int:
    """How much leave a person has."""
    assert isinstance(unit, Unit)
    if person == "nobody":
        raise KeyError(person)
    return 12 if unit is Unit.DAYS else 96


@afere.tool
def book(period: Period, notes: list[Note], extra: dict[str, int]) -> dict[str, Any]:
    """Books."""
    return {"first": period.first, "last": period.last, "notes": len(notes), "extra": extra}


@afere.tool
async def weather(city: str) -> str:
    """The weather."""
    await asyncio.sleep(0)
    return f"sun in {city}"


def last_trace() -> afere.Trace:
    afere.flush()
    session = afere.open()
    return session.spans.trace(session.spans.find("").items[0].trace_id)


def test_a_signature_becomes_a_json_schema() -> None:
    assert balance.spec.description == "How much leave a person has."
    assert balance.parameters == {
        "type": "object", "required": ["person"], "additionalProperties": False,
        "properties": {
            "person": {"type": "string", "description": "who asks"},
            "unit": {"enum": ["days", "hours"]},
            "kind": {"enum": ["paid", "sick"]},
            "limit": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        },
    }  # fmt: skip
    properties = book.parameters["properties"]
    assert properties["period"]["required"] == ["first"]
    assert properties["notes"]["items"]["required"] == ["text"]
    assert properties["extra"] == {"type": "object", "additionalProperties": {"type": "integer"}}


def test_arguments_from_a_model_become_the_function_s_types() -> None:
    assert balance.call({"person": "ana", "unit": "hours"}) == 96
    given = {"period": {"first": "mon"}, "notes": [{"text": "x"}], "extra": {"a": 1}}
    assert book.call(given) == {"first": "mon", "last": None, "notes": 1, "extra": {"a": 1}}
    for wrong in ({}, {"person": 3}, {"person": "ana", "more": 1}, {"person": "ana", "unit": "weeks"}, "not json"):
        with pytest.raises(BadInput, match="the arguments of balance"):
            balance.call(wrong)


def test_a_parameter_no_model_can_give_is_told_at_once_and_a_later_type_is_found() -> None:
    with pytest.raises(BadInput, match=r"connection has the type Path, which no model can give"):

        @afere.tool
        def odd(connection: Path) -> str:
            return ""

    assert later.parameters["properties"]["where"]["required"] == ["city"]


@afere.tool
def later(where: Place) -> str:
    """Its type is defined below."""
    return where.city


@dataclasses.dataclass
class Place:
    city: str


async def test_calling_a_tool_is_a_span_with_arguments_and_result(project: Path) -> None:
    assert balance("ana") == 12
    assert await weather("Porto") == "sun in Porto"
    afere.flush()
    spans = afere.open().spans
    by_name = {span.name: spans.trace(span.trace_id).root for span in spans.find("").items}
    assert by_name["balance"].tool == {
        "name": "balance", "arguments": {"person": "ana", "unit": "days", "kind": "paid", "limit": None}, "result": 12,
    }  # fmt: skip
    assert by_name["balance"].attributes["permission.used"] == ["leave:read"]
    assert by_name["weather"].output == "sun in Porto"


def test_an_agent_uses_tools_until_it_answers(project: Path, write, model: ScriptedModel) -> None:
    write("prompts/desk.md", DESK.format(model=model.name, more="tools: [weather]"))
    model.says([
        Answer(calls=[("balance", {"person": "ana"}), ("weather", {"city": "Porto"})]),
        Answer(calls=[("balence", {"person": "ana"})]),
        Answer(calls=[("balance", {"persn": "ana"})]),
        Answer(calls=[("balance", {"person": "nobody"})]),
        "You have 12 days.",
    ])  # fmt: skip
    desk = afere.agent(afere.prompt("prompts/desk.md"), [balance], name="desk")
    assert desk("How much leave?") == "You have 12 days."
    said = [(m.role, m.text) for m in model.requests[-1].messages[2:] if m.role == "tool"]
    assert said[:2] == [("tool", "12"), ("tool", "sun in Porto")]
    assert said[2][1].startswith("error: There is no tool 'balence'. Did you mean 'balance'?")
    assert "the arguments of balance do not fit" in said[3][1]
    assert said[4][1] == "error: KeyError: 'nobody'"
    assert [tool.name for tool in model.requests[0].tools] == ["balance", "weather"]
    trace = last_trace()
    assert [(s.kind, s.name) for s in trace.spans][:4] == [
        ("agent", "desk"), ("llm", "desk"), ("tool", "balance"), ("tool", "weather"),
    ]  # fmt: skip
    assert trace.root.output == "You have 12 days."


def test_where_the_provider_has_no_tools_each_step_is_constrained_json(
    project: Path, write, model: ScriptedModel
) -> None:
    write("prompts/desk.md", DESK.format(model=model.name, more="output: {type: object, required: [days]}"))
    model.tools = False
    model.says([{"tool": "balance", "arguments": {"person": "ana"}}, {"answer": {"days": 12}}])
    desk = afere.agent(afere.prompt("prompts/desk.md"), [balance], name="desk")
    assert desk(question="How much?") == {"days": 12}
    first, second = model.requests
    assert not first.tools and "- balance: How much leave a person has." in first.messages[0].text
    assert first.output["anyOf"][0]["properties"]["tool"] == {"enum": ["balance"]}
    assert second.messages[-1].text == "Result of balance: 12"


async def test_agents_run_async_with_async_tools(project: Path, write, model: ScriptedModel) -> None:
    write("prompts/desk.md", DESK.format(model=model.name, more=""))
    steps = [Answer(calls=[("weather", {"city": "Faro"}), ("balance", {"person": "ana"})]), "Sunny."]
    desk = afere.agent(afere.prompt("prompts/desk.md"), [weather, balance], name="desk")
    model.says(list(steps))
    assert await desk.aio(question="x") == "Sunny."
    model.says(list(steps))
    assert desk(question="x") == "Sunny.", "also from sync code inside a running loop"


def test_an_agent_that_never_answers_stops_and_says_where_to_look(project: Path, write, model: ScriptedModel) -> None:
    write("prompts/desk.md", DESK.format(model=model.name, more=""))
    model.says(Answer("Let me look.", calls=[("balance", {"person": "ana"})]))
    with pytest.raises(OutOfSteps, match=r"took 3 steps without an answer. It last said: 'Let me look.'"):
        afere.agent(afere.prompt("prompts/desk.md"), [balance], name="desk", max_steps=3)("x")
    with pytest.raises(NotFound, match="no tool 'nothing' to run"):
        afere.agent(afere.prompt("prompts/desk.md"), ["nothing"], name="desk")("x")


def test_an_agent_has_a_revision_that_changes_with_its_prompt(project: Path, write, model: ScriptedModel) -> None:
    path = write("prompts/desk.md", DESK.format(model=model.name, more=""))
    desk = afere.agent(afere.prompt("prompts/desk.md"), [balance], name="desk")
    before = desk.revision()
    assert desk.run("x").revision == before.ref
    path.write_text(path.read_text().replace("Help", "Help kindly"))
    assert desk.run("x").revision != before.ref


@pytest.mark.parametrize(
    "written",
    [
        "- {name: stock, description: Pieces left., parameters: {type: object, properties: {article: {type: string}}}}\n",
        "tools:\n- {name: stock, description: Pieces left., inputSchema: {type: object, properties: {article: {type: string}}}}\n",
        "- {type: function, function: {name: stock, description: Pieces left., parameters: {type: object, properties: {article: {type: string}}}}}\n",
        "- plain\n- {description: nameless}\n- {name: stock, description: Pieces left., input_schema: {type: object, properties: {article: {type: string}}}}\n",
    ],
)
@pytest.mark.parametrize("under", ["tools: tools.yaml", "agents: {desk: {tools: tools.yaml}}"])
def test_a_model_is_told_what_the_registry_shows_of_a_listed_tool(project: Path, written: str, under: str) -> None:
    (project / "afere.yaml").write_text(f"project: handbook\n{under}\n")
    (project / "tools.yaml").write_text(written)
    (project / "ask.md").write_text("---\nmodel: scripted:stock\ntools: [stock]\n---\nHow many?\n")
    model = ScriptedModel("stock", ["none"])
    afere.prompt("ask.md")()
    (told,) = model.requests[0].tools
    with afere.open() as session:
        shown = {one.name: one for one in registry(session, find_project(project)).tools}["stock"]
    assert (
        (told.description, dict(told.parameters))
        == (shown.description, dict(shown.parameters))
        == (
            "Pieces left.",
            {"type": "object", "properties": {"article": {"type": "string"}}},
        )
    )


def test_a_tool_that_is_asked_for_and_not_found_names_what_could_not_be_read(project: Path) -> None:
    (project / "afere.yaml").write_text("project: handbook\ntools: tools.yaml\n")
    (project / "tools.yaml").write_text("- {description: nameless}\n")
    (project / "ask.md").write_text("---\nmodel: scripted:stock\ntools: [stock]\n---\nHow many?\n")
    ScriptedModel("stock", ["none"])
    with pytest.raises(BadProject, match=r"tools\.yaml:1: tool 1 needs a name"):
        afere.prompt("ask.md")()
