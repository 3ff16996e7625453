"""What a server of MLflow 3.17 answered, answered again over HTTP. See tools/record_exports/mlflow_rest.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import afere
import afere.exchange
from afere.base.errors import BadInput
from afere.exchange import mlflow_rest
from afere.net import HostFailed
from afere.store import Session

Bring = Callable[..., dict[str, Any]]
_ANSWERS = json.loads((Path(__file__).parent / "exports" / "mlflow-3.17-api.json").read_text())


class _Mlflow(BaseHTTPRequestHandler):
    broken: str = ""  # what in a path is answered with a failure
    token: str = ""  # what it asks for
    silent: str = ""  # what in a path is never answered
    elsewhere: str = ""  # where everything is sent

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        found = _ANSWERS.get(f"{self.command} {self.path} {body}")
        status = 200 if found is not None else 404
        if self.silent and self.silent in self.path:
            self.close_connection = True
            return
        if self.elsewhere:
            self.send_response(302)
            self.send_header("location", self.elsewhere)
            self.send_header("content-length", "0")
            self.end_headers()
            return
        if self.broken and self.broken in self.path:
            status, found = 500, {"error_code": "INTERNAL_ERROR"}
        if self.token and self.headers.get("authorization") != f"Bearer {self.token}":
            status, found = 401, {}
        said = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = _answer

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, type[_Mlflow]]]:
    monkeypatch.setattr(mlflow_rest, "_PAGE", 3)  # so that answers have further pages
    handler = type("Handler", (_Mlflow,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    server.server_close()


def test_a_server_brings_what_its_file_has(
    here: Session, bring: Bring, served: tuple[str, type[_Mlflow]], unpacked: Callable[[str], Path]
) -> None:
    report = bring("mlflow", served[0])
    assert report["counts"] == {
        "spans": 13, "traces": 4, "scores": 3, "prompts": 3, "aliases": 1, "datasets": 1, "rows": 2,
    }  # fmt: skip
    assert report["problems"] == []
    found = here.spans.find('"How much notice? 0"').items[0]
    trace = here.spans.trace(found.trace_id)
    assert trace is not None and (trace.root.output, trace.root.user, trace.root.session) == (
        "Four weeks.",
        "u-1",
        "s-1",
    )
    llm = trace.of_kind("llm")[0]
    assert (llm.model, llm.provider, llm.input_tokens, llm.output_tokens) == ("gpt-4.1-mini", "openai", 30, 5)
    assert {(one.name, one.value, one.by, one.why) for one in here.find("scores").items} == {
        ("helpful", True, "person:ana@x.org", "right answer"), ("correct", 0.5, "judge:gpt-4o", ""),
        ("expected.expected_response", "Four weeks.", "person:ana@x.org", ""),
    }  # fmt: skip
    assert [one.why for one in here.find("artifacts", kind="prompt", name="answer").items] == ["shorter", "first"]
    assert here.get("answer@production", kind="prompt").version == 1
    rows = {row.input["question"]: row for row in afere.dataset("dataset:notice").rows}
    assert (rows["How much notice?"].expected, rows["How much notice?"].split) == ("Four weeks.", "test")
    assert bring("mlflow", served[0])["there"] >= 16 and here.spans.requests() == 4


def test_a_server_that_fails_half_way_costs_only_that(
    here: Session, bring: Bring, served: tuple[str, type[_Mlflow]]
) -> None:
    served[1].broken = "batchGet"
    report = bring("mlflow", served[0])
    assert report["counts"]["prompts"] == 3 and report["counts"]["rows"] == 2 and "spans" not in report["counts"]
    assert "answered 500" in report["problems"][0]


def test_who_asks_and_whom_is_said(
    here: Session, bring: Bring, served: tuple[str, type[_Mlflow]], monkeypatch: pytest.MonkeyPatch
) -> None:
    served[1].token = "s3cret"
    with pytest.raises(BadInput, match="MLFLOW_TRACKING_TOKEN"):
        afere.exchange.bring("mlflow", served[0], here)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "s3cret")
    assert bring("mlflow", served[0])["counts"]["traces"] == 4
    with pytest.raises(HostFailed, match=r"127\.0\.0\.1:9"):
        afere.exchange.bring("mlflow", "http://127.0.0.1:9", here)
    with pytest.raises(BadInput, match="MLFLOW_TRACKING_USERNAME") as refused:
        afere.exchange.bring("mlflow", "http://ana:pw@127.0.0.1:9", here)
    assert "pw@" not in str(refused.value)


def test_a_server_that_goes_silent_costs_only_what_it_did_not_say(
    here: Session, bring: Bring, served: tuple[str, type[_Mlflow]]
) -> None:
    served[1].silent = "datasets/search"
    report = bring("mlflow", served[0])
    assert (report["counts"]["spans"], report["counts"]["prompts"]) == (13, 3) and "rows" not in report["counts"]
    assert len(report["problems"]) == 2 and all("127.0.0.1" in one for one in report["problems"])


def test_a_server_that_sends_elsewhere_says_where(here: Session, served: tuple[str, type[_Mlflow]]) -> None:
    served[1].elsewhere = "http://login.example/"
    with pytest.raises(BadInput, match=r"leads to http://login\.example/"):
        afere.exchange.bring("mlflow", served[0], here)
