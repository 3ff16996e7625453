"""`content: none`: nobody's words rest, whichever library tells them and however short they are."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import recordings
from sending import JSON, Door, body, span

import afere.store
from afere.base.span import Span
from afere.server import Server

SAID = ("Capital of France", "Paris", "sunny", "Be brief", "Within 30 days", "does not exist")


@pytest.fixture
def quiet(project: Path) -> Iterator[Door]:
    """A server of a project of whose spans only the structure rests."""
    (project / "afere.yaml").write_text("project: handbook\ncontent: none\nspans: {filterable: [tenant]}\n")
    with afere.store.open(project / ".afere", project="handbook") as session:
        server = Server(session, port=0)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        yield Door(server.url, session)
        server.stop()
        thread.join(10)


def kept(door: Door) -> list[Span]:
    """Every span of the store, whole."""
    store = door.session.spans
    traces = {one.trace_id for one in store.find("", roots=False, limit=1000).items}
    return [one for name in traces for trace in [store.trace(name)] if trace is not None for one in trace.spans]


def test_of_no_library_any_words_rest_in_spans_or_files(quiet: Door, project: Path) -> None:
    sent = 0
    for name in recordings.names():
        for signal in ("logs", "traces"):
            file = recordings.RECORDED / f"{name}.{signal}.pb"
            if file.exists():
                assert quiet.post(file.read_bytes(), path=f"/v1/{signal}").status == 200
                sent += 1
    found = kept(quiet)
    assert sent > 25 and len(found) > 150
    assert {one.model for one in found} >= {"gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-flash"}
    assert sum(one.input_tokens or 0 for one in found) > 5000 and {one.user for one in found} > {"user-1"}
    for one in found:
        said = json.dumps(one.to_json(), ensure_ascii=False)
        assert not [words for words in SAID if words in said], (one.attributes.get("scope.name"), one.name, said)
    at_rest = b"".join(file.read_bytes() for file in (project / ".afere").rglob("*") if file.is_file())
    assert not [words for words in SAID if words.encode() in at_rest]
    assert not quiet.session.spans.find("sunny").items and not quiet.session.spans.find('"Be brief"').items


def test_a_text_rests_because_of_what_names_it_and_never_because_it_is_short(quiet: Door) -> None:
    names = {
        "service.instance.id": "a-1",
        "openinference.span.kind": "LLM",
        "llm.model_name": "m",
        "tenant": "acme",
        "user.id": "42",
        "n": 7,
    }
    words = {"answer": "Cancer", "customer.name": "Ana Reis", "metadata": '{"city":"Porto"}', "http.target": "/?q=Porto", "http.route": "/a?q=Porto",
             "input.value": "Cancer", "user.email": "ana@x.org", "list": ["Cancer"], "scope.note": "Cancer", "gen_ai.agent.description": "knows Porto"}  # fmt: skip
    sent = span("ask", attributes={**names, **words})
    sent.status.code, sent.status.message = 1, "Porto"
    for name, told in {
        "exception": {"exception.type": "KeyError", "exception.message": "Porto"},
        "said": {"text": "Porto"},
    }.items():
        added = sent.events.add(name=name)
        added.attributes.extend(span("x", attributes=told).attributes)
    assert quiet.post(body(sent)).status == 200
    log = {
        "traceId": sent.trace_id.hex(),
        "spanId": sent.span_id.hex(),
        "eventName": "gen_ai.user.message",
        "body": {"stringValue": "Porto"},
    }
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]}
    assert quiet.post(json.dumps(logs).encode(), JSON, "/v1/logs").status == 200
    one = quiet.span(sent)
    assert {**one.attributes, **names} == one.attributes and "redacted" in one.marks
    assert (one.user, one.model, one.kind) == ("42", "m", "llm")
    assert {event["name"]: event["attributes"] for event in one.events} == {
        "exception": {"exception.type": "KeyError"}, "said": {}, "gen_ai.user.message": {},
    }  # fmt: skip
    said = json.dumps(one.to_json())
    assert not [word for word in ("Cancer", "Porto", "Ana", "ana@") if word in said]
