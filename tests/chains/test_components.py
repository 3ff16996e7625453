"""Components: calls in all forms, what their spans say, structured answers, versions."""

from __future__ import annotations

from pathlib import Path

import pytest

import afere
from afere.base.errors import BadPrompt, ModelFailed, NotFound, StoreFailed
from afere.testing import Answer, Fault, OpenAIServer, ScriptedModel

PROMPT = """---
model: scripted:{model}
parameters: {{temperature: 0}}
inputs: {{question: string}}
---
# system
Be brief.
# user
{{{{ question }}}}
"""
JSON = """---
model: scripted:{model}
output: {{type: object, properties: {{city: {{type: string}}}}, required: [city]}}
---
Where? {{{{ q }}}}
"""


def spans_of(name: str) -> list[afere.Trace]:
    afere.flush()
    found = afere.open().spans.find(f"name:{name}", roots=False).items
    return [afere.open().spans.trace(span.trace_id) for span in found]


def test_a_call_is_a_span_with_all_that_went_in_and_came_out(project: Path, write, model: ScriptedModel) -> None:
    write("prompts/answer.md", PROMPT.format(model=model.name))
    answer = afere.prompt("prompts/answer.md", seed=7)
    assert answer(question="Capital of France?") == "Paris"
    span = spans_of("answer")[0].spans[0]
    assert (span.kind, span.model, span.provider, span.status) == ("llm", model.name, "scripted", "ok")
    assert (span.input, span.output, span.finish_reason) == ({"question": "Capital of France?"}, "Paris", "stop")
    assert [said["text"] for said in span.input_messages] == ["Be brief.", "Capital of France?"]
    assert [said["text"] for said in span.output_messages] == ["Paris"]
    assert span.input_tokens == 5 and span.output_tokens == 1 and span.first_token_seconds is not None
    assert [ref for ref, _ in span.artifacts] == ["prompt:answer@1", "component:answer@1"]
    assert dict(model.requests[0].parameters) == {"temperature": 0, "seed": 7}


async def test_sync_async_ask_and_streams_give_the_same_answer(project: Path, write, model: ScriptedModel) -> None:
    model.says("Paris it is")
    write("prompts/answer.md", PROMPT.format(model=model.name))
    answer = afere.prompt("prompts/answer.md")
    assert answer(question="x") == await answer.aio(question="x") == "Paris it is"
    reply = answer.ask(question="x")
    assert (reply.text, reply.usage.output_tokens, reply.finish) == ("Paris it is", 3, "stop")
    stream = answer.stream(question="x")
    assert ["".join(stream), stream.reply.text] == ["Paris it is"] * 2
    assert "".join([piece async for piece in answer.stream(question="x")]) == "Paris it is"
    assert [trace.spans[0].output for trace in spans_of("answer")] == ["Paris it is"] * 5


def test_an_edit_of_the_file_changes_the_next_call_and_makes_a_version(
    project: Path, write, model: ScriptedModel
) -> None:
    path = write("prompts/answer.md", PROMPT.format(model=model.name))
    answer = afere.prompt("prompts/answer.md")
    answer(question="x")
    path.write_text(path.read_text().replace("Be brief.", "Be long."))
    answer(question="x")
    assert model.requests[-1].messages[0].text == "Be long."
    path.write_text(path.read_text() + "\n\n")
    answer(question="x")
    assert afere.open().get("prompt:answer").version == 2
    with pytest.raises(BadPrompt):
        path.write_text("---\nmodle: x\n---\n")
        answer(question="x")


def test_another_model_is_another_component_of_the_same_prompt(project: Path, write, model: ScriptedModel) -> None:
    write("prompts/answer.md", PROMPT.format(model=model.name))
    ScriptedModel("other", "Rome")
    assert afere.prompt("prompts/answer.md", model="scripted:other")(question="x") == "Rome"
    session = afere.open()
    one = afere.prompt("prompts/answer.md").put(session)
    two = afere.prompt("prompts/answer.md", model="scripted:other").put(session)
    assert one.hash != two.hash and one.uses == two.uses
    assert session.get("prompt:answer").version == 1
    assert session.get("component:answer@1").content == {"model": "scripted:other", "parameters": {"temperature": 0}}


def test_the_model_may_be_named_in_the_project_file(project: Path, write, model: ScriptedModel) -> None:
    write("prompts/answer.md", "Q: {{ q }}")
    with pytest.raises(BadPrompt, match=r"no model .*models: \{answer: "):
        afere.prompt("prompts/answer.md")(q="x")
    write("afere.yaml", f"models: {{answer: 'scripted:{model.name}'}}")
    assert afere.prompt("prompts/answer.md")(q="x") == "Paris"


def _away(*_: object) -> None:
    raise StoreFailed("afere.db cannot be read")


def test_a_reference_follows_its_alias_without_the_file(
    project: Path, write, model: ScriptedModel, monkeypatch
) -> None:
    monkeypatch.setattr("afere.chains.component._FRESH", 0.0)
    path = write("prompts/answer.md", PROMPT.format(model=model.name))
    session = afere.open()
    first = afere.prompt("prompts/answer.md").put(session)
    path.write_text(path.read_text().replace("Be brief.", "Be long."))
    second = afere.prompt("prompts/answer.md").put(session)
    path.unlink()
    session.alias("component:answer@production", first.ref, why="first")
    answer = afere.prompt("component:answer@production")
    assert answer.render(question="x")[0].text == "Be brief."
    session.alias("component:answer@production", second.ref, why="second")
    assert answer.render(question="x")[0].text == "Be long."
    assert answer(question="x") == "Paris"
    assert afere.prompt("prompt:answer@1", model=f"scripted:{model.name}")(question="x") == "Paris"
    with pytest.raises(NotFound):
        afere.prompt("answer@9")(question="x")
    monkeypatch.setattr("afere.chains.component.session_of", _away)
    assert answer.render(question="x")[0].text == "Be long.", "a store that is away does not stop what is known"
    with pytest.raises(BadPrompt, match="neither a prompt file"):
        afere.prompt("Not A Ref")


def test_a_prompt_file_that_is_not_there_is_told_with_those_that_are(project: Path, write) -> None:
    write("prompts/answer.md", "x")
    with pytest.raises(BadPrompt, match=r"no prompt file 'prompts/anwser.md' .*Did you mean 'prompts/answer.md'"):
        afere.prompt("prompts/anwser.md")


def test_a_structured_answer_is_checked_and_asked_for_once_more(project: Path, write, model: ScriptedModel) -> None:
    write("prompts/where.md", JSON.format(model=model.name))
    where = afere.prompt("prompts/where.md")
    model.says(["It is Paris", {"city": "Paris"}])
    assert where(q="x") == {"city": "Paris"}
    assert "does not fit: it is not JSON" in model.requests[-1].messages[-1].text
    span = spans_of("where")[0].spans[0]
    assert span.output == {"city": "Paris"}
    assert span.output_tokens == 3 + 2, "both answers are counted"
    model.says(['```json\n{"city": "Rome"}\n```'])
    assert where.ask(q="x").value == {"city": "Rome"}
    model.says([{"town": "x"}, {"city": 3}])
    with pytest.raises(ModelFailed, match=r"where: .* twice .*city: 3 is not of type.*It said: '\{\"city\": 3\}'"):
        where(q="x")
    assert spans_of("where")[0].spans[0].status == "error"


def test_a_model_that_asks_for_a_tool_is_not_taken_for_an_answer(project: Path, write, model: ScriptedModel) -> None:
    write("prompts/answer.md", PROMPT.format(model=model.name))
    model.says(Answer(calls=[("look", {"x": 1})]))
    answer = afere.prompt("prompts/answer.md")
    assert answer.ask(question="x").calls[0].arguments == {"x": 1}
    with pytest.raises(ModelFailed, match="asked for the tool look"):
        answer(question="x")


@pytest.mark.parametrize(
    "fault", [Fault("garbage"), Fault("half"), Fault("hang"), Fault("unreachable"), Fault("status")]
)
def test_a_model_that_fails_is_an_error_of_the_world_on_the_span_too(
    project: Path, write, model: ScriptedModel, fault: Fault
) -> None:
    write("prompts/answer.md", PROMPT.format(model=model.name))
    model.says(fault)
    with pytest.raises(ModelFailed):
        afere.prompt("prompts/answer.md")(question="x")
    span = spans_of("answer")[0].spans[0]
    assert span.status == "error" and span.error


def test_a_store_that_cannot_be_written_never_stops_the_call(
    project: Path, write, model: ScriptedModel, monkeypatch
) -> None:
    write("prompts/answer.md", PROMPT.format(model=model.name))
    write("not-a-folder", "")
    monkeypatch.setenv("AFERE_STORE", str(project / "not-a-folder"))
    assert afere.prompt("prompts/answer.md")(question="x") == "Paris"

    @afere.chain
    def qa(question: str) -> str:
        return "fine"

    assert qa("x") == "fine"


def test_over_real_http_the_answer_streams_and_is_priced(project: Path, write) -> None:
    with OpenAIServer({"Capital": "Paris it is", "": "?"}) as server:
        write(
            "afere.yaml",
            f"models: {{answer: {{model: '{server.name}', prices: {{input: 1, output: 2}}, parameters: {{top_p: 1}}}}}}",
        )
        write("prompts/answer.md", "# user\nCapital of {{ country }}?")
        answer = afere.prompt("prompts/answer.md")
        assert answer.parameters == {"top_p": 1}
        stream = answer.stream(country="France")
        assert [*stream] == ["Paris ", "it ", "is"]
        assert stream.reply.cost is not None and stream.reply.cost > 0
