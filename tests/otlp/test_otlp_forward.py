"""`forward:` of afere.yaml: what is kept goes on to other collectors, and a collector that is away slows nobody."""

from __future__ import annotations

import gzip
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from collectors import Collector, until
from sending import JSON, PROTOBUF, Door, body, span

import afere.store
from afere.base.errors import BadProject
from afere.cli.main import cli
from afere.server import Server, forward
from afere.server.otlp import Intake

Served = Callable[..., Door]


@pytest.fixture
def serve(project: Path) -> Iterator[Served]:
    """Starts a server whose afere.yaml forwards to these; `stop` ends it."""
    running: list[tuple[Server, threading.Thread, afere.store.Session]] = []

    def start(*targets: Any, name: str = "handbook") -> Door:
        (project / "afere.yaml").write_text(f"project: handbook\nforward: {json.dumps(targets)}\n")
        session = afere.store.open(project / f".{name}", project=name)
        server = Server(session, port=0)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        running.append((server, thread, session))
        door = Door(server.url, session)
        assert door.post(b"", {}, "/healthz", "GET").status == 200
        return door

    def stop() -> None:
        for server, thread, session in running:
            server.stop()
            thread.join(15)
            session.close()
        running.clear()

    start.stop = stop  # type: ignore[attr-defined]
    yield start
    stop()


def figures(door: Door) -> dict[str, int]:
    text = door.post(b"", {}, "/metrics", "GET").body.decode()
    return {name: int(value) for name, value in re.findall(r"^afere_(\w+?)(?:\{[^}]*\})? (\d+)$", text, re.MULTILINE)}


def accepted(door: Door) -> int:
    text = door.post(b"", {}, "/metrics", "GET").body.decode()
    return int(re.findall(r'^afere_spans_total\{result="accepted"\} (\d+)$', text, re.MULTILINE)[0])


def test_a_second_server_has_the_same_traces(serve: Served, project: Path, tmp_path: Path) -> None:
    with afere.store.open(tmp_path / "old", project="old") as session:
        (project / "afere.yaml").write_text("project: handbook\n")
        old = Server(session, port=0)
        thread = threading.Thread(target=old.run, daemon=True)
        thread.start()
        assert Door(old.url, session).post(b"", {}, "/healthz", "GET").status == 200
        door = serve({"url": old.url})
        recorded = Path(__file__).parent / "recorded"
        for signal in ("traces", "logs"):
            sent = (recorded / f"genai-openai-events.{signal}.pb").read_bytes()
            assert door.post(sent, path=f"/v1/{signal}").status == 200
        until(lambda: figures(door)["forward_waiting"] == 0)
        here = {one.span_id: one.output for one in door.session.spans.find(roots=False, limit=100).items}
        there = {one.span_id: one.output for one in session.spans.find(roots=False, limit=100).items}
        assert here == there and "Paris." in here.values()
        old.stop()
        thread.join(10)


def test_requests_go_on_as_they_came_with_the_targets_own_key(serve: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLD_TOOL", "Bearer old-1")
    with Collector() as collector:
        door = serve({"url": collector.url + "/otel", "headers": {"Authorization": "OLD_TOOL"}, "protocol": "http"})
        packed = gzip.compress(body(span("private ana@example.org")))
        mine = {**PROTOBUF, "content-encoding": "gzip", "authorization": "Bearer mine", "afere-project": "shop"}
        assert door.post(packed, mine).status == 200
        assert door.post(b'{"resourceSpans": []}', JSON).status == 200  # nothing in it: nothing to send on
        assert door.post(body(span(trace=b""))).status == 400
        until(lambda: collector.came)
        path, headers, content = collector.came[0]
        assert (path, content) == ("/otel/v1/traces", packed)
        assert headers["authorization"] == "Bearer old-1" and headers["content-encoding"] == "gzip"
        assert "afere-project" not in headers and len(collector.came) == 1


def test_a_target_that_asks_for_patience_gets_all_later(serve: Served) -> None:
    with Collector((429, {"retry-after": "1"}), (503, {"retry-after": "0"})) as collector:
        door = serve({"url": collector.url})
        for _ in range(20):
            assert door.post(body(span())).status == 200
        until(lambda: len(collector.came) == 20)
        until(lambda: figures(door)["forward_sent_total"] == 20)
        assert figures(door)["forward_lost_total"] == 0


def test_what_a_target_refuses_is_lost_counted_and_shown(serve: Served, project: Path) -> None:
    with Collector((401, {})) as collector:
        door = serve({"url": collector.url})
        assert door.post(body(span(), span())).status == 200
        until(lambda: figures(door)["forward_lost_total"] == 2)
        assert door.post(body(span())).status == 200
        until(lambda: figures(door)["forward_sent_total"] == 1)
    serve.stop()  # type: ignore[attr-defined]
    (project / "afere.yaml").write_text("project: handbook\n")
    told = CliRunner().invoke(cli, ["doctor", "--json", "--store", ".handbook"])
    found = [one for one in json.loads(told.output)["findings"] if one["about"] == "forward"]
    assert found[0]["severity"] == "warning" and "2 lost" in found[0]["what"] and "401" in found[0]["what"]
    assert "afere export" in found[0]["action"]


@pytest.mark.parametrize("way", ["down", "slow"])
def test_a_target_that_is_away_slows_nobody_and_its_queue_has_a_bound(
    serve: Served, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(forward, "LAST", 0.2)
    sent = body(span(attributes={"text": "x" * 10_000}))
    monkeypatch.setattr(forward, "BYTES", 10 * len(sent))
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it listens, and never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        if way == "down":
            silent.close()
        door = serve({"url": url})
        for _ in range(40):
            assert door.post(sent).status == 200
        until(lambda: figures(door)["forward_lost_total"] >= 40 - 10 - forward.TOGETHER)
        said = figures(door)
        assert said["forward_sent_total"] == 0 and said["forward_lost_total"] + said["forward_waiting"] == 40
        assert accepted(door) == 40
        serve.stop()  # type: ignore[attr-defined]
    again = serve({"url": url})
    said = figures(again)  # what waited when the first ended was lost with it
    assert said["forward_lost_total"] == 40 and said["forward_waiting"] == 0


def test_a_circle_ends(serve: Served, project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (project / "afere.yaml").write_text(f'project: handbook\nforward: [{{url: "http://127.0.0.1:{port}"}}]\n')
    with afere.store.open(project / ".circle", project="circle") as session:
        server = Server(session, port=port)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        door = Door(server.url, session)
        assert door.post(body(span())).status == 200
        until(lambda: figures(door)["forward_sent_total"] == 1)
        assert accepted(door) == 2  # it came back once, and stayed
        server.stop()
        thread.join(10)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ('{url: "http://169.254.169.254/"}', "not called"),
        ('{url: "http://ana:secret@localhost"}', "headers"),
        ('{url: "http://localhost", headers: {authorization: NOT_SET}}', "NOT_SET"),
        ('{url: "ftp://localhost"}', "forward"),
        ('{url: "http://localhost", protocol: grpc}', "forward"),
    ],
)
def test_a_target_that_cannot_be_is_refused_with_the_place(project: Path, entry: str, why: str) -> None:
    (project / "afere.yaml").write_text(f"project: handbook\nforward: [{entry}]\n")
    with pytest.raises(BadProject, match=why) as caught, afere.store.open(project / ".afere") as session:
        Intake(session)
    assert "afere.yaml" in str(caught.value) and "secret" not in str(caught.value)
