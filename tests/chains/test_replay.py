"""Replays: as recorded, with one part swapped, with nothing fired."""

from __future__ import annotations

from pathlib import Path

import pytest

import afere
from afere.base.errors import NotFound
from afere.chains.recorded import ReplayStopped
from afere.testing import Answer, ScriptedModel

PROMPT = "---\nmodel: scripted:{model}\ninputs: {{q: string}}\n---\n# user\n{{{{ q }}}}\n"
fired: list[str] = []


@afere.tool
def send(to: str) -> str:
    """Sends a letter."""
    fired.append(to)
    return f"sent {len(fired)}"


@pytest.fixture(autouse=True)
def prompts(project: Path, write, model: ScriptedModel) -> None:
    fired.clear()
    write("prompts/rewrite.md", PROMPT.format(model=model.name))
    write("prompts/answer.md", PROMPT.format(model=model.name))
    model.says(lambda request: f"<{request.messages[-1].text}>")


@pytest.fixture
def qa(prompts: None) -> afere.Chain:
    rewrite, answer = afere.prompt("prompts/rewrite.md"), afere.prompt("prompts/answer.md")

    @afere.chain
    def qa(question: str, *tags: str) -> dict[str, object]:
        searched = rewrite(q=question)
        return {"at": afere.now(), "sent": send(to=searched), "answer": answer(q=searched), "tags": tags}

    return qa


def test_a_recorded_run_replays_to_the_same_without_asking_or_firing(qa: afere.Chain, model: ScriptedModel) -> None:
    run = qa.run("Who?", "a", "b")
    asked = len(model.requests)
    first, second = afere.replay(run.trace_id, times=2)
    assert first.output == second.output == {**run.output, "tags": ("a", "b")}
    assert (first.exact, first.notes, first.cost) == (True, (), 0)
    assert len(model.requests) == asked and fired == ["<Who?>"]
    afere.flush()
    trace = afere.open().spans.trace(first.trace_id)
    assert trace.trace_id != run.trace_id
    assert trace.root.attributes["afere.replay_of"] == run.trace_id
    assert all(span.attributes["afere.replayed"] for span in trace.spans if span.kind in ("llm", "tool"))
    assert afere.replay(run.trace_id[:8])[0].exact, "the first digits of a trace will do"


def test_a_swapped_part_runs_anew_and_so_does_what_depends_on_it(qa: afere.Chain, model: ScriptedModel, write) -> None:
    run = qa.run("Who?")
    write("prompts/kind.md", "---\ninputs: {q: string}\n---\n# user\nKindly: {{ q }}")
    asked = len(model.requests)
    (last,) = afere.replay(run.trace_id, swap={"answer": "prompts/kind.md"})
    assert last.output == {**run.output, "answer": "<Kindly: <Who?>>", "tags": ()}
    assert len(model.requests) == asked + 1, "only the swapped part asked"
    assert (last.exact, last.notes) == (True, ())
    (both,) = afere.replay(run.trace_id, swap={"rewrite": "prompts/kind.md"})
    assert both.output["answer"] == "<<Kindly: Who?>>" and both.output["sent"] == "sent 1"
    assert fired == ["<Who?>"], "a tool is never fired again"
    assert not both.exact
    assert both.notes == (
        "tool send: other arguments than recorded; answered from call 1 of the record",
        "component answer: ran anew, since its input is not the recorded one",
    )
    afere.flush()
    refs = [ref for span in afere.open().spans.trace(both.trace_id).named("rewrite") for ref, _ in span.artifacts]
    assert refs == ["prompt:kind@1", "component:kind@1"]


def test_a_swapped_file_without_a_model_is_asked_of_the_one_it_stands_in_for(
    project: Path, write, model: ScriptedModel
) -> None:
    write("afere.yaml", f"project: handbook\nmodels: {{plain: 'scripted:{model.name}'}}\n")
    write("prompts/plain.md", "{{ q }}")
    write("prompts/other.md", "Other {{ q }}")
    plain = afere.prompt("prompts/plain.md")

    @afere.chain
    def ask(q: str) -> str:
        return plain(q=q)

    run = ask.run("x")
    assert afere.replay(run.trace_id, swap={"plain": "prompts/other.md"})[0].output == "<Other x>"


def test_a_stored_version_can_be_swapped_in(qa: afere.Chain, model: ScriptedModel, write, project: Path) -> None:
    run = qa.run("Who?")
    path = write("prompts/answer.md", PROMPT.format(model=model.name).replace("{{ q }}", "Now {{ q }}"))
    assert qa.run("Who?").output["answer"] == "<Now <Who?>>"
    (back,) = afere.replay(run.trace_id, swap={"answer": "component:answer@1"})
    assert back.output["answer"] == "<<Who?>>"
    assert back.exact, "the only difference to the recorded code is the part that was swapped"
    path.write_text(PROMPT.format(model=model.name))


def test_other_code_than_recorded_is_said_and_not_exact(
    prompts: None, model: ScriptedModel, write, project: Path
) -> None:
    import sys

    from afere.base.project import find_project
    from afere.chains import resolve_chain

    app = (
        "import afere\nanswer = afere.prompt('prompts/answer.md')\nPUNCT = '?'\n\n"
        "@afere.chain\ndef qa(q: str) -> str:\n    return answer(q=q + PUNCT)\n"
    )
    write("afere.yaml", 'chains: {qa: "app_replayed:qa"}')
    write("app_replayed.py", app)
    run = resolve_chain("qa", find_project()).run("Who")
    write("app_replayed.py", app.replace("'?'", "'!'"))
    del sys.modules["app_replayed"]
    (again,) = afere.replay(run.trace_id)
    assert again.output == "<Who!>" and not again.exact
    assert again.notes[0].startswith("~ constant PUNCT in app_replayed.py")
    assert again.notes[1] == "component answer: ran anew, since its input is not the recorded one"


def test_a_tool_that_the_record_does_not_hold_stops_the_replay(prompts: None, model: ScriptedModel) -> None:
    more = False

    @afere.chain
    def letters(to: str) -> str:
        try:
            return send(to=to) + (send(to=to + "2") if more else "")
        except Exception:  # user code may catch all it likes
            return "caught"

    run = letters.run("ana")
    more = True
    with pytest.raises(ReplayStopped, match="call 2 of the tool 'send' is not in the record"):
        afere.replay(run.trace_id)
    assert fired == ["ana"]


def test_an_error_replays_as_the_error_it_was(prompts: None) -> None:
    @afere.tool
    def broken() -> str:
        """Breaks."""
        fired.append("broken")
        raise KeyError("no such key")

    @afere.chain
    def qa(question: str) -> str:
        try:
            return broken()
        except Exception as error:
            return type(error).__name__

    run = qa.run("x")
    assert afere.replay(run.trace_id)[0].output == "ToolFailed"
    assert fired == ["broken"]


def test_a_step_that_was_cut_stops_the_replay_by_its_name(prompts: None, model: ScriptedModel) -> None:
    answer = afere.prompt("prompts/answer.md")

    @afere.chain
    def qa(question: str) -> str:
        return answer(q=question * 40_000)

    run = qa.run("x")
    with pytest.raises(ReplayStopped, match=r"the recording of 'answer' is not whole \(cut\)"):
        afere.replay(run.trace_id)


@pytest.mark.parametrize("setting", [{"content": False}, {"redact": ["email"]}])
def test_a_recording_without_its_content_stops_and_names_the_step(qa: afere.Chain, request, setting) -> None:
    request.addfinalizer(afere.tracing.configure)
    afere.tracing.configure(**setting)
    run = qa.run("Who is ana@example.org?")
    with pytest.raises(ReplayStopped, match="the recorded input of 'qa' is redacted"):
        afere.replay(run.trace_id)


def test_an_agent_replays_with_its_tools(prompts: None, model: ScriptedModel, write) -> None:
    model.says([Answer("Sending.", calls=[("send", {"to": "ana"})]), Answer(calls=[("nothing", {})]), "Done."])
    agent = afere.agent(afere.prompt("prompts/answer.md"), [send], name="post")
    run = agent.run(q="Write to Ana")
    assert (run.output, fired) == ("Done.", ["ana"])
    (again,) = afere.replay(run.trace_id)
    assert (again.output, again.exact, again.notes, fired) == ("Done.", True, (), ["ana"])


async def test_async_chains_replay_from_async_code_too(prompts: None, model: ScriptedModel) -> None:
    answer = afere.prompt("prompts/answer.md")

    @afere.chain
    async def aqa(q: str) -> str:
        return await answer.aio(q=q)

    run = await aqa.run("x")
    asked = len(model.requests)
    assert afere.replay(run.trace_id)[0].output == "<x>"
    assert len(model.requests) == asked


def test_what_cannot_be_replayed_is_told(qa: afere.Chain) -> None:
    run = qa.run("x")
    with pytest.raises(NotFound, match="no trace 'ffffffff'"):
        afere.replay("ffffffff")
    with pytest.raises(NotFound, match=r"no component 'anwser' to swap. Its components: answer, rewrite"):
        afere.replay(run.trace_id, swap={"anwser": "prompts/answer.md"})
    with afere.span("alone") as live:
        pass
    with pytest.raises(ReplayStopped, match="holds no chain"):
        afere.replay(live.trace_id)
