"""OTLP over gRPC as exporters meet it: a real server, grpcio as the client, and OpenTelemetry's own exporter."""

from __future__ import annotations

import gzip
import importlib
import socket
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from sending import Door, body, span

import afere.store
import afere.store.spans.store
from afere.base.errors import StoreFailed
from afere.server import Server, otlp_grpc
from afere.server import otlp as server_otlp
from afere.server.run import Front

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

grpc: Any = pytest.importorskip("grpc")
TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


class Wire(Door):
    """The running server's gRPC, and a channel to it."""

    def __init__(self, server: Server, session: afere.store.Session) -> None:
        super().__init__(server.url, session)
        self.port = server.grpc
        self.channel = grpc.insecure_channel(
            f"127.0.0.1:{self.port}", options=[("grpc.max_send_message_length", -1), ("grpc.enable_retries", 0)]
        )

    def export(self, content: bytes, path: str = TRACES, **more: Any) -> bytes:
        more.setdefault("metadata", ())
        return self.channel.unary_unary(path)(content, timeout=30, wait_for_ready=True, **more)

    def refused(self, content: bytes, path: str = TRACES, **more: Any) -> Any:
        with pytest.raises(grpc.RpcError) as caught:
            self.export(content, path, **more)
        return caught.value


@pytest.fixture
def session(project: Path) -> Iterator[afere.store.Session]:
    with afere.store.open(project / ".afere", project="handbook") as session:
        yield session


@pytest.fixture
def serve(session: afere.store.Session) -> Iterator[Any]:
    running: list[tuple[Server, threading.Thread, Wire]] = []

    def start(**front: Any) -> Wire:
        server = Server(session, port=0, front=Front(grpc=0, **front))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        running.append((server, thread, Wire(server, session)))
        return running[-1][2]

    yield start
    for server, thread, wire in running:
        wire.channel.close()
        server.stop()
        thread.join(10)


@pytest.fixture
def wire(serve: Any) -> Wire:
    return serve()


def detail(error: Any) -> bytes:
    """google.rpc.Status of an answer."""
    return dict(error.trailing_metadata()).get("grpc-status-details-bin", b"")


def test_what_is_answered_is_in_the_store_and_both_doors_lead_there(wire: Wire) -> None:
    sent = span("ask", attributes={"n": 7})
    assert wire.export(body(sent)) == b""
    assert wire.span(sent).attributes["n"] == 7 and wire.span(sent).attributes["resource.service.name"] == "shop"
    assert wire.post(body(span())).status == 200


def test_opentelemetrys_own_exporter_needs_no_line(wire: Wire) -> None:
    module = pytest.importorskip("opentelemetry.exporter.otlp.proto.grpc.trace_exporter")
    sdk: Any = importlib.import_module("opentelemetry.sdk.trace")
    processor: Any = importlib.import_module("opentelemetry.sdk.trace.export").BatchSpanProcessor
    for compression in (None, grpc.Compression.Gzip):
        exporter = module.OTLPSpanExporter(
            endpoint=f"http://127.0.0.1:{wire.port}", insecure=True, compression=compression
        )
        provider = sdk.TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(processor(exporter))
        with provider.get_tracer("mine", "1.2").start_as_current_span("outer") as outer:
            outer.set_attribute("gen_ai.request.model", "gpt-4o-mini")
        provider.shutdown()
        kept = wire.session.spans.trace(f"{outer.get_span_context().trace_id:032x}")
        assert kept is not None and kept.root.model == "gpt-4o-mini"
        assert kept.root.attributes["scope.name"] == "mine"


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, zstd.compress], ids=["gzip", "deflate", "zstd"])
def test_compressed_messages_are_read(wire: Wire, pack: Any) -> None:
    sent = span()
    wire.export(pack(body(sent)))
    assert wire.span(sent)
    by_grpc = span()
    wire.export(body(by_grpc), compression=grpc.Compression.Gzip)
    assert wire.span(by_grpc)


def test_one_bad_span_is_counted_and_the_others_are_kept(wire: Wire) -> None:
    good = [span(), span()]
    answer = ExportTraceServiceResponse.FromString(wire.export(body(good[0], span(trace=bytes(16)), good[1])))
    assert answer.partial_success.rejected_spans == 1 and "all zeros" in answer.partial_success.error_message
    assert all(wire.span(one) for one in good)


def test_logs_join_their_spans(wire: Wire) -> None:
    recorded = Path(__file__).parent / "recorded"
    wire.export((recorded / "genai-openai-events.traces.pb").read_bytes())
    answer = wire.export((recorded / "genai-openai-events.logs.pb").read_bytes(), LOGS)
    assert ExportLogsServiceResponse.FromString(answer).partial_success.rejected_log_records == 0
    assert "Paris." in {one.output for one in wire.session.spans.find("kind:llm", roots=False).items}


def test_the_project_is_in_the_metadata(wire: Wire) -> None:
    sent = span()
    wire.export(body(sent), metadata=(("afere-project", "front"),))
    assert wire.span(sent, "front") and not wire.span(sent)
    error = wire.refused(body(sent), metadata=(("afere-project", "My shop"),))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT and "My shop" in error.details()


def test_what_does_not_read_is_refused_for_good(wire: Wire) -> None:
    for content in (b"\x0a\xff\xff", body(span())[:-4], body(span(trace=b"")), gzip.compress(body(span()))[:-5]):
        error = wire.refused(content)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert detail(error)[:2] == b"\x08\x03" and b"RetryInfo" not in detail(error)
    assert wire.refused(b"", "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export").code() is (
        grpc.StatusCode.UNIMPLEMENTED
    )
    assert wire.export(body(span())) == b""


def test_bombs_and_messages_that_are_too_large_are_refused(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(100)) + packer.flush()
    error = wire.refused(bomb)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and b"RetryInfo" not in detail(error)
    assert wire.refused(bytes(server_otlp.MOST + 10)).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert wire.export(body(span())) == b""


def test_a_server_that_cannot_keep_more_says_when_to_come_again(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StoreFailed("spans.db: the disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(server_otlp, "HELD", 10)
        patch.setattr(server_otlp, "SPARE", 10)
        assert wire.refused(body(span())).code() is grpc.StatusCode.UNAVAILABLE
    with monkeypatch.context() as patch:
        patch.setattr(otlp_grpc, "TOGETHER", 0)
        error = wire.refused(body(span()))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and b"RetryInfo" in detail(error)
    with monkeypatch.context() as patch:
        patch.setattr(afere.store.spans.store.SpanStore, "enter", full)
        error = wire.refused(body(span()))
        assert error.code() is grpc.StatusCode.UNAVAILABLE and "disk is full" in error.details()
        assert b"google.rpc.RetryInfo\x12\x04\x0a\x02\x08\x05" in detail(error)
    assert wire.export(body(span())) == b""


def test_a_message_that_never_comes_is_given_up_and_others_are_served(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp_grpc, "WHOLE", 0.5)
    gone = threading.Event()

    def never() -> Iterator[bytes]:
        gone.wait(20)
        yield from ()

    stalled = wire.channel.stream_unary(TRACES).future(never(), wait_for_ready=True, timeout=20)
    assert wire.export(body(span())) == b""
    with pytest.raises(grpc.RpcError) as caught:
        stalled.result()
    gone.set()
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED and "did not come" in caught.value.details()


def test_a_server_that_asks_takes_keys_from_the_metadata(serve: Any, session: afere.store.Session) -> None:
    key, _ = session.actors.create_key("exporter", project="shop", scopes=["ingest"])
    wire = serve(login=True)
    sent = span()
    assert wire.refused(body(sent)).code() is grpc.StatusCode.UNAUTHENTICATED
    wrong = (("authorization", "Bearer afere_wrong"),)
    assert wire.refused(body(sent), metadata=wrong).code() is grpc.StatusCode.UNAUTHENTICATED
    mine = (("authorization", f"Bearer {key}"),)
    wire.export(body(sent), metadata=mine)
    assert wire.span(sent, "shop") and not wire.span(sent)
    other = (*mine, ("afere-project", "handbook"))
    wire.export(body(sent), metadata=other)
    assert not wire.span(sent)  # the key's own project, whatever is asked


def test_a_port_in_use_is_told_and_http_goes_on(session: afere.store.Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = Server(session, port=0, front=Front(grpc=taken.getsockname()[1]))
        assert server.grpc is None
        late = Server(session, port=0, front=Front(grpc=0))
        with socket.create_server(("127.0.0.1", late.grpc or 0)):  # taken between the look and the start
            thread = threading.Thread(target=late.run, daemon=True)
            thread.start()
            assert Door(late.url, session).post(body(span())).status == 200
            while late.grpc is not None:
                time.sleep(0.01)
            late.stop()
            thread.join(10)
        server.socket.close()
