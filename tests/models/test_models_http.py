"""Models behind HTTP, asked over a real connection to a server on loopback."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from afere.base.errors import BadInput, ModelFailed, ModelTimedOut, ModelUnreachable
from afere.base.message import ToolSpec, Usage, message
from afere.base.steps import adrive, drive
from afere.models import (
    Event,
    LocalServer,
    Model,
    Reply,
    Request,
    Stream,
    Text,
    ask,
    embedder,
    find_local_server,
    resolve,
)
from afere.testing import Answer, Fault, OpenAIServer, ScriptedModel

QUESTION = Request((message("user", "Capital of France?"),))


def sync(model: Model, request: Request = QUESTION) -> Reply:
    return drive(ask(model, request))


def on_a_loop(model: Model, request: Request = QUESTION) -> Reply:
    return asyncio.run(adrive(ask(model, request)))


BOTH = pytest.mark.parametrize("run", [sync, on_a_loop])


def declared(project: Path, server: OpenAIServer, **settings: object) -> Model:
    """The server's model as an entry of afere.yaml."""
    lines = "".join(f", {name}: {value}" for name, value in settings.items())
    (project / "afere.yaml").write_text(
        f"models: {{answer: {{model: 'openai:test-model', base_url: '{server.url}'{lines}}}}}\n"
    )
    return resolve("answer")


@BOTH
def test_a_streamed_answer_arrives_whole_with_its_usage(project: Path, run: Callable[[Model], Reply]) -> None:
    usage = Usage(12, 3, 4, 1)
    with OpenAIServer(Answer("The capital is Paris. Ünïcödé 🦀", reasoning="France...", usage=usage)) as server:
        reply = run(resolve(server.name))
    assert reply.text == "The capital is Paris. Ünïcödé 🦀"
    assert (reply.usage, reply.finish, reply.model, reply.attempts) == (usage, "stop", "test-model", 1)
    assert reply.cost is None, "nobody knows what a test model costs"
    assert [part.type for part in reply.messages[0].parts] == ["reasoning", "text"]
    assert reply.first_token_seconds is not None
    assert server.requests[0].body["stream"] is True


def test_pieces_are_handed_on_while_the_server_still_holds_the_rest_back(project: Path) -> None:
    with OpenAIServer(Answer("first second", pause=3600)) as server:
        for piece in Stream(resolve(server.name), QUESTION):
            assert piece == "first "
            break


@BOTH
def test_tools_and_their_results_go_and_come(project: Path, run: Callable[..., Reply]) -> None:
    weather = ToolSpec(
        "weather", "The weather of a city", {"type": "object", "properties": {"city": {"type": "string"}}}
    )
    with OpenAIServer({"18 degrees": "Mild.", "": Answer(calls=[("weather", {"city": "Paris"})])}) as server:
        model = resolve(server.name)
        first = run(model, Request(QUESTION.messages, tools=(weather,)))
        assert [(call.name, call.arguments) for call in first.calls] == [("weather", {"city": "Paris"})]
        assert first.finish == "tool_calls"
        result = message("tool", "18 degrees", call_id=first.calls[0].id, name="weather")
        second = run(model, Request((*QUESTION.messages, *first.messages, result), tools=(weather,)))
    assert second.text == "Mild."
    sent = server.requests[1].body["messages"]
    assert sent[1]["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city": "Paris"}'}
    assert sent[2] == {"role": "tool", "content": "18 degrees", "tool_call_id": first.calls[0].id}
    assert server.requests[0].body["tools"][0]["function"]["name"] == "weather"


def test_a_schema_is_sent_as_the_format_of_the_answer(project: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    loose = {"type": "object", "properties": {"city": {"type": "string"}}}
    with OpenAIServer('{"city": "Paris"}') as server:
        model = resolve(server.name)
        assert sync(model, Request(QUESTION.messages, output=schema)).text == '{"city": "Paris"}'
        sync(model, Request(QUESTION.messages, output=loose))
    formats = [asked.body["response_format"]["json_schema"] for asked in server.requests]
    assert [wanted["schema"] for wanted in formats] == [schema, loose]
    assert [wanted["strict"] for wanted in formats] == [True, False], "OpenAI refuses an open schema as strict"


def test_embeddings_come_in_order_at_length_one(project: Path) -> None:
    with OpenAIServer() as server:
        embed = embedder(server.name)
        texts = [f"text number {i}" for i in range(130)]
        vectors = embed(texts)
        assert vectors == embed(list(reversed(texts)))[::-1]
        assert embed.dimensions == len(vectors[0]) == 256
        assert sum(x * x for x in vectors[0]) == pytest.approx(1)
    assert len(server.requests) == 6, "two times three batches"


@BOTH
def test_an_overloaded_server_is_asked_again_when_it_says_so(project: Path, run: Callable[[Model], Reply]) -> None:
    script = [Fault("status", status=429, retry_after=0.01), Fault("status", status=503, retry_after=0.01), "Paris."]
    with OpenAIServer(script) as server:
        reply = run(resolve(server.name))
    assert (reply.text, reply.attempts, len(server.requests)) == ("Paris.", 3, 3)


def test_retries_end_and_the_error_keeps_the_status(project: Path) -> None:
    with OpenAIServer(Fault("status", status=503, retry_after=0.01)) as server:
        model = declared(project, server, retries=2)
        with pytest.raises(ModelFailed, match=r"test-model at http://127.* answered 503: As scripted") as caught:
            sync(model)
    assert (caught.value.status, len(server.requests)) == (503, 3)


def test_a_wait_longer_than_two_minutes_is_not_waited(project: Path) -> None:
    with OpenAIServer(Fault("status", status=429, retry_after=3600)) as server, pytest.raises(ModelFailed) as caught:
        sync(resolve(server.name))
    assert (caught.value.retry_after, len(server.requests)) == (3600, 1)


def test_a_wrong_request_is_not_sent_twice(project: Path) -> None:
    with OpenAIServer(Fault("status", status=400)) as server:
        with pytest.raises(ModelFailed):
            sync(resolve(server.name))
        with pytest.raises(ModelUnreachable, match=r"'other' does not exist.*Check the name"):
            sync(resolve(f"{server.url}#other"))
    assert len(server.requests) == 2


@BOTH
def test_a_stream_cut_in_the_middle_is_asked_again_whole(project: Path, run: Callable[[Model], Reply]) -> None:
    with OpenAIServer([Fault("half", text="Lon"), "Paris."]) as server:
        assert run(resolve(server.name)).text == "Paris."


def test_what_was_handed_on_is_never_handed_on_twice(project: Path) -> None:
    with OpenAIServer([Fault("half", text="Lon"), "Paris."]) as server:
        seen: list[Event] = []
        with pytest.raises(ModelFailed):
            drive(ask(resolve(server.name), QUESTION, on_event=seen.append))
    assert (seen, len(server.requests)) == ([Text("Lon")], 1)


def test_garbage_is_shown_and_a_wrong_address_is_named(project: Path) -> None:
    with OpenAIServer(Fault("garbage")) as server:
        model = declared(project, server, retries=0)
        with pytest.raises(ModelFailed, match=r"not JSON: '\{<html>'"):
            sync(model)
        with pytest.raises(ModelUnreachable, match="404"):
            sync(resolve(f"{server.url}/wrong#test-model"))


@BOTH
def test_silence_ends_at_the_timeout_of_the_settings(project: Path, run: Callable[[Model], Reply]) -> None:
    with OpenAIServer(Fault("hang")) as server:
        model = declared(project, server, timeout=0.2, retries=1)
        with pytest.raises(ModelTimedOut, match=r"gave no answer within .*timeout:"):
            run(model)
    assert len(server.requests) == 2


@BOTH
def test_a_closed_port_names_the_host_and_what_to_set(project: Path, run: Callable[[Model], Reply]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    (project / "afere.yaml").write_text(
        f"models: {{m: {{model: 'openai:m', base_url: 'http://127.0.0.1:{port}/v1', retries: 0}}}}\n"
    )
    with pytest.raises(ModelUnreachable, match=rf"127\.0\.0\.1:{port} cannot be reached.*base_url under models:"):
        run(resolve("m"))


def test_a_missing_key_names_the_variable_and_nothing_is_sent(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ModelUnreachable, match="set the environment variable OPENAI_API_KEY"):
        sync(resolve("openai:gpt-4.1-mini"))


def test_a_key_goes_only_to_its_own_server_and_never_into_an_error(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("TEAM_KEY", "sk-team")
    with OpenAIServer(key="sk-team") as server:
        assert sync(declared(project, server, key="TEAM_KEY")).text == "Yes."
        with pytest.raises(ModelUnreachable, match=r"refused \(401\).*key: NAME") as caught:
            sync(declared(project, server))
        assert "authorization" not in server.requests[1].headers, "another server must not see the key of OpenAI"
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        with pytest.raises(ModelUnreachable, match="Check the key in OPENAI_API_KEY") as caught:
            sync(resolve("openai:test-model"))
        assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["openai:test-model", "openai:/test-model", "openai/test-model", "answer", "second"])
def test_a_model_has_several_names(project: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (project / "afere.yaml").write_text(
        "models:\n  answer: openai:test-model\n  second: {model: answer, parameters: {temperature: 0.5, seed: 7}}\n"
    )
    with OpenAIServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        sync(resolve(name), Request(QUESTION.messages, {"temperature": 0}))
    assert server.requests[0].body["model"] == "test-model"
    assert server.requests[0].body["temperature"] == 0
    assert server.requests[0].body.get("seed") == (7 if name == "second" else None)


def test_an_unknown_model_gets_help(project: Path) -> None:
    (project / "afere.yaml").write_text("models: {answer: openai:gpt-4.1}\n")
    with pytest.raises(ModelUnreachable, match="Did you mean 'answer'"):
        resolve("anwser")
    with pytest.raises(ModelUnreachable, match="no provider called 'opnai'"):
        resolve("opnai:gpt")


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("{model: openai:m, temprature: 0}", "there is no field 'temprature' in models.m. Fields: model, base_url"),
        ("{base_url: 'http://x'}", 'models.m: "model" is a required property'),
        ("12", "models.m: 12 does not fit. Write a text, or a mapping"),
    ],
)
def test_a_wrong_entry_of_a_model_says_what_is_wrong_in_it(project: Path, said: str, says: str) -> None:
    (project / "afere.yaml").write_text(f"models:\n  m: {said}\n")
    with pytest.raises(BadInput) as caught:
        resolve("m")
    assert says in str(caught.value)


def test_a_stream_is_iterated_both_ways_and_ends_with_its_reply(project: Path) -> None:
    done: list[Reply] = []
    with OpenAIServer([Fault("status", status=503, retry_after=0.01), "It is Paris.", "It is Rome."]) as server:
        stream = Stream(resolve(server.name), QUESTION, on_done=done.append)
        assert list(stream) == ["It ", "is ", "Paris."]
        assert (stream.reply.text, stream.reply.attempts) == ("It is Paris.", 2)

        async def read() -> list[str]:
            return [piece async for piece in Stream(resolve(server.name), QUESTION, on_done=done.append)]

        assert asyncio.run(read()) == ["It ", "is ", "Rome."]
    assert [reply.text for reply in done] == ["It is Paris.", "It is Rome."]


def test_a_stream_that_is_left_early_is_told_and_one_that_fails_too(project: Path) -> None:
    done: list[Reply] = []
    errors: list[BaseException] = []
    with OpenAIServer(["a b c", Fault("half", text="a")]) as server:
        model = resolve(server.name)
        for _ in Stream(model, QUESTION, on_done=done.append, on_error=errors.append):
            break
        assert [(reply.text, reply.finish) for reply in done] == [("a ", "abandoned")]
        with pytest.raises(ModelFailed):
            list(Stream(model, QUESTION, on_done=done.append, on_error=errors.append))
    assert (len(done), len(errors)) == (1, 1)


async def test_a_cancelled_call_ends_at_once_and_the_client_goes_on(project: Path) -> None:
    with OpenAIServer([Fault("hang"), "Paris."]) as server:
        model = resolve(server.name)
        task = asyncio.create_task(adrive(ask(model, QUESTION)))
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await adrive(ask(model, QUESTION))).text == "Paris."


def test_a_limit_of_requests_spreads_the_calls(project: Path) -> None:
    with OpenAIServer() as server:
        model = declared(project, server, requests_per_minute=1200)
        began = time.monotonic()
        for _ in range(4):
            sync(model)
        assert time.monotonic() - began >= 0.15, "three pauses of 60/1200 s"


def test_a_known_model_has_a_price_and_the_users_own_price_wins(project: Path) -> None:
    with OpenAIServer(Answer("Paris.", usage=Usage(1_000_000, 0))) as server:
        assert sync(declared(project, server, prices="{input: 3, output: 4}")).cost == 3.0
    model = ScriptedModel("priced", Answer("x", usage=Usage(1_000_000, 1)))
    assert sync(model).cost is None


def test_a_server_on_this_machine_is_found_and_its_name_resolves(project: Path) -> None:
    with OpenAIServer(models=("llama3", "qwen3")) as server, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = int(server.url.removesuffix("/v1").rpartition(":")[2])
        ports = [silent.getsockname()[1], port]
        found = next(filter(None, (find_local_server(ports) for _ in range(10))), None)  # it waits only moments
        assert found == LocalServer(server.url, ("llama3", "qwen3"))
        assert sync(resolve(found.name())).text == "Yes."
    assert find_local_server([port]) is None
