"""OTLP over HTTP as clients meet it: a real server, real bodies, good and bad."""

from __future__ import annotations

import gzip
import json
import os
import socket
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from sending import JSON, PROTOBUF, Door, body, request, span

import afere.store.spans.store
from afere.base.errors import StoreFailed
from afere.server import intake
from afere.server import otlp as server_otlp
from afere.store.spans.rows import Entry
from afere.tracing.otlp import unpack

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def field(number: int, content: bytes) -> bytes:
    size, length = len(content), b""
    while True:
        size, low = size >> 7, size & 0x7F
        length += bytes((low | 0x80,)) if size else bytes((low,))
        if not size:
            return bytes((number << 3 | 2,)) + length + content


def as_json(sent: Span) -> bytes:
    said = MessageToDict(request(sent))
    for one in said["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        one.update(traceId=sent.trace_id.hex().upper(), spanId=sent.span_id.hex(), kind=sent.kind)
    return json.dumps({**said, "unknown": [1]}).encode()


def test_what_is_answered_with_200_is_in_the_store_as_it_was_sent(door: Door) -> None:
    sent = span(
        "ask", attributes={"n": 7, "f": 1.5, "nan": float("nan"), "l": ["a", {"b": True}], "é": "ü\x00"}, kind=3
    )
    answer = door.post(body(sent))
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "application/x-protobuf", b"")
    kept = door.span(sent)
    assert kept.name == "ask" and kept.status == "ok" and kept.end - kept.start == 10**7
    assert {k: kept.attributes[k] for k in ("n", "f", "nan", "l", "é")} == {
        "n": 7, "f": 1.5, "nan": "NaN", "l": ["a", {"b": True}], "é": "ü\x00",
    }  # fmt: skip
    assert kept.attributes["resource.service.name"] == "shop" and kept.attributes["otel.kind"] == "client"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_compressed_bodies_are_read(door: Door, encoding: str) -> None:
    pack = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd.compress}[encoding]
    sent = span()
    assert door.post(pack(body(sent)), {**PROTOBUF, "content-encoding": encoding}).status == 200
    assert door.span(sent)
    assert door.post(pack(body(sent))[:-5], {**PROTOBUF, "content-encoding": encoding}).status == 400


def test_json_is_read_and_answered_as_json(door: Door) -> None:
    sent = span("as json", attributes={"n": 7, "s": "x"})
    answer = door.post(as_json(sent), {"content-type": "application/json; charset=utf-8"})
    assert (answer.status, json.loads(answer.body), answer.headers["content-type"]) == (200, {}, "application/json")
    assert (door.span(sent).attributes["n"], door.span(sent).attributes["s"]) == (7, "x")


def test_a_bad_group_of_spans_as_json_costs_only_itself(door: Door) -> None:
    first, second = span("before"), span("after")
    good, also = (json.loads(as_json(one))["resourceSpans"][0] for one in (first, second))
    also["scopeSpans"] = [{"spans": {"0": {}}}, "x", *also["scopeSpans"]]
    said = {"resourceSpans": [good, {"scopeSpans": "no"}, 7, also]}
    answer = door.post(json.dumps(said).encode(), JSON)
    partial = json.loads(answer.body)["partialSuccess"]
    assert (answer.status, partial["rejectedSpans"]) == (200, "4")
    assert "1 x 'scopeSpans' of an item of 'resourceSpans' is no list" in partial["errorMessage"]
    assert "1 x an item of 'scopeSpans' is no JSON object with 'spans'" in partial["errorMessage"]
    assert door.span(first).name == "before" and door.span(second).name == "after"
    alone = door.post(json.dumps({"resourceSpans": [7]}).encode(), JSON)
    assert alone.status == 400 and "no JSON object" in json.loads(alone.body)["message"]


def test_a_bad_group_of_spans_as_protobuf_costs_only_itself(door: Door) -> None:
    """Its length holds, what is in it does not; without that nobody knows where the next one begins."""
    good = [span("before"), span("between"), span("after")]
    first, between, after = (field(2, field(2, one.SerializeToString())) for one in good)
    inside = field(2, good[1].SerializeToString())
    no_resource, no_scope = field(1, b"\xff") + between, field(2, field(1, b"\x0b") + inside) + between
    decodes = [first, no_resource, no_scope, after]  # as far as it is split into spans
    for groups, bad in ((decodes, 2), ([*decodes, b"\x0a\xff", field(2, b"\xff\xff")], 4)):
        rejected, why = door.partial(door.post(b"".join(field(1, group) for group in groups)))
        said = ("its resource", "its scope", "its group of a resource", "its group of a scope")[:bad]
        assert rejected == bad and all(f"1 x {one} does not decode" in why for one in said)
        assert all(door.span(one) for one in good)
    alone = door.post(field(1, b"\x0a\xff"))
    assert alone.status == 400 and b"1 x its group of a resource does not decode" in alone.body


def test_a_bad_group_of_logs_as_protobuf_costs_only_itself(door: Door) -> None:
    said = (Path(__file__).parent / "recorded" / "genai-openai-events.logs.pb").read_bytes()
    whole = door.post(said, path="/v1/logs")
    bad = door.post(
        field(1, b"\x0a\xff") + field(1, field(1, b"\xff") + field(2, field(2, b""))) + said, path="/v1/logs"
    )
    assert (whole.status, bad.status) == (200, 200) and whole.body == b""
    assert (
        b"1 x its group of a resource does not decode" in bad.body and b"1 x its resource does not decode" in bad.body
    )


def test_langfuse_clients_change_only_their_host(door: Door) -> None:
    sent = span()
    assert door.post(body(sent), path="/api/public/otel/v1/traces").status == 200 and door.span(sent)


def test_the_project_is_the_headers_then_the_resources_then_the_servers(door: Door) -> None:
    sent = span()
    door.post(body(sent, afere_project="shop"), {**PROTOBUF, "afere-project": "front"})
    assert door.span(sent, "front") and not door.span(sent, "shop") and not door.span(sent)
    door.post(body(sent, afere_project="shop"))
    door.post(body(sent))
    assert door.span(sent, "shop") and door.span(sent)
    assert door.post(body(sent), {**PROTOBUF, "afere-project": "My shop"}).status == 400
    assert "afere.project" in door.post(body(sent, afere_project="My shop")).body.decode(errors="replace")


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (os.urandom(300), PROTOBUF, 400),
        (body(span())[:-4], PROTOBUF, 400),
        (b'{"resourceSpans":[{', JSON, 400),
        (b"[1]", JSON, 400),
        (b'{"resourceSpans":"no"}', JSON, 400),
        (b"[" * 100_000, JSON, 400),
        (b"x", {"content-type": "text/plain"}, 415),
        (b"x", {**PROTOBUF, "content-encoding": "br"}, 415),
        (b"no gzip", {**PROTOBUF, "content-encoding": "gzip"}, 400),
    ],
    ids=["noise", "cut", "half JSON", "a list", "a wrong type", "deep", "text", "brotli", "no gzip"],
)
def test_what_does_not_read_is_refused_with_a_status_in_the_requests_own_form(
    door: Door, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = door.post(content, headers)
    assert answer.status == status
    if headers["content-type"] == "application/x-protobuf":
        assert answer.headers["content-type"] == "application/x-protobuf" and answer.body[:1] == b"\x08"
    else:
        assert json.loads(answer.body)["message"]
    assert door.post(body(span())).status == 200


def test_other_methods_are_told_to_post(door: Door) -> None:
    answer = door.post(b"", {}, method="GET")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_a_page_of_another_site_may_not_send(door: Door) -> None:
    assert door.post(body(span()), {**PROTOBUF, "origin": "https://elsewhere.example"}).status == 403


@pytest.mark.parametrize(
    "bad",
    [
        span(trace=b"").SerializeToString(),
        span(trace=bytes(16)).SerializeToString(),
        span(span_id=bytes(40)).SerializeToString(),
        span().SerializeToString() + field(9, b"") * 300_000,
        b"\xff\xff",
    ],
    ids=["no trace id", "zero trace id", "long span id", "a memory bomb", "no message"],
)
def test_one_bad_span_is_counted_and_the_others_are_kept(door: Door, bad: bytes) -> None:
    good = [span(), span()]
    content = field(
        1,
        field(2, b"".join(field(2, part) for part in (good[0].SerializeToString(), bad, good[1].SerializeToString()))),
    )
    rejected, why = door.partial(door.post(content))
    assert rejected == 1 and why
    assert all(door.span(one) for one in good)


@pytest.mark.parametrize("form", ["protobuf", "json"])
def test_what_is_no_text_or_too_deep_costs_only_itself(door: Door, form: str) -> None:
    deep = field(1, b"leaf")
    for _ in range(300):
        deep = field(5, field(1, deep))
    sent = span("wrong NAME", attributes={"k": "wrong TEXT", "n": 7})
    if form == "json":
        said = json.dumps(json.loads(as_json(sent))).encode()
        bottomless = b'{"arrayValue":{"values":[' * 2000 + b'{"stringValue":"]"}' + b"]}}" * 2000
        whole = span(attributes={"deep": "HERE", "n": 7, "k": 'an [ and a \\ and a "'})
        assert door.post(as_json(whole).replace(b'{"stringValue": "HERE"}', bottomless), JSON).status == 200
        kept = door.span(whole)
        assert (kept.attributes["n"], kept.attributes["k"], kept.marks) == (7, 'an [ and a \\ and a "', ["cut"])
        assert "(cut: nested too deeply)" in json.dumps(kept.attributes["deep"])
        assert door.post(said.replace(b"TEXT", b"\xff\xfe..").replace(b"NAME", b"\xff..."), JSON).status == 200
        assert door.span(sent).attributes["k"] == "wrong ��.." and door.span(sent).name == "wrong �..."
        return
    raw = sent.SerializeToString().replace(b"TEXT", b"\xff\xfe..").replace(b"NAME", b"\xff...")
    raw += field(9, field(1, b"deep") + field(2, deep))
    content = field(1, field(2, field(2, raw) + field(2, span().SerializeToString())))
    assert door.partial(door.post(content)) == (0, "")
    kept = door.span(sent)
    assert (kept.name, kept.attributes["k"], kept.attributes["n"], kept.marks) == (
        "wrong �...",
        "wrong ��..",
        7,
        ["cut"],
    )
    assert "(cut: nested too deeply)" in json.dumps(kept.attributes["deep"])


def test_impossible_times_are_kept_marked_and_never_break_a_page(door: Door) -> None:
    now = time.time_ns()
    times = [(0, 0), (2**64 - 1, 2**64 - 1), (now, now - 10**12), (now + 10**17, now + 10**17)]
    sent = [span(start_time_unix_nano=start, end_time_unix_nano=end) for start, end in times]
    old = span(start_time_unix_nano=now - 10**14, end_time_unix_nano=now - 10**14 + 5)
    assert door.post(body(*sent, old)).status == 200
    assert [door.span(one).marks for one in sent] == [["skewed"]] * 4 and door.span(old).marks == ["late"]
    assert [door.span(one).seconds for one in sent] == [None, None, None, 0.0]
    assert len(door.session.spans.find("latency<1s").items) == 2  # the others are not known
    for path in ("/spans.json", "/traces.json", "/traces", *(f"/traces/{one.trace_id.hex()}" for one in sent)):
        assert door.post(b"", {}, path, "GET").status == 200


def test_sending_again_changes_nothing_and_the_last_word_wins(door: Door) -> None:
    sent = span(attributes={"v": "first"})
    for _ in range(3):
        door.post(body(sent, sent))
    assert len(door.session.spans.find(roots=False).items) == 1
    sent.attributes[0].value.string_value = "second"
    door.post(body(sent))
    assert door.span(sent).attributes["v"] == "second"


def test_children_may_come_first_and_a_trace_without_its_root_is_listed_once(door: Door) -> None:
    root = span("root")
    child = span("child", trace=root.trace_id, parent=root.span_id)
    other = span("later", trace=root.trace_id, parent=root.span_id, start_time_unix_nano=time.time_ns())
    door.post(body(other, child))
    assert [one.name for one in door.session.spans.find().items] == ["child"]
    assert door.span(child).marks == ["orphan"]
    door.post(body(root))
    assert [one.name for one in door.session.spans.find().items] == ["root"]
    assert door.span(child).marks == [] and door.span(child).parent_id == root.span_id.hex()


def test_spans_below_themselves_are_kept_and_shown(door: Door) -> None:
    a = span("a")
    b = span("b", trace=a.trace_id, parent=a.span_id)
    a.parent_span_id = b.span_id
    own = span("own", trace=a.trace_id)
    own.parent_span_id = own.span_id
    assert door.post(body(a, b, own)).status == 200
    assert [len(door.span(one).marks) for one in (a, b, own)] == [1, 0, 1]
    page = f"/traces/{a.trace_id.hex()}"
    assert door.post(b"", {}, page, "GET").status == 200
    shown = json.loads(door.post(b"", {}, page + ".json", "GET").body)
    assert {one["name"] for one in shown["spans"]} == {"a", "b", "own"}


@pytest.mark.parametrize(
    "order", [[[0, 1, 2]], [[0], [1], [2]], [[2, 0], [1]], [[1], [0, 2]], [[0, 1, 2], [0], [1, 2]]]
)
@pytest.mark.parametrize("rooted", [False, True])
def test_a_circle_of_spans_is_listed_and_marked(door: Door, order: list[list[int]], rooted: bool) -> None:
    circle = [span(name) for name in "abc"]
    for one, above in zip(circle, [*circle[1:], circle[0]], strict=True):
        one.trace_id, one.parent_span_id = circle[0].trace_id, above.span_id
    if rooted:
        door.post(body(span("root", trace=circle[0].trace_id)))
    for batch in order:
        assert door.partial(door.post(body(*[circle[n] for n in batch]))) == (0, "")
    listed = door.session.spans.find().items
    assert len(listed) == 1 and (listed[0].name == "root") == rooted
    assert sum(door.span(one).marks == ["orphan"] for one in circle) == 1
    shown = json.loads(door.post(b"", {}, f"/traces/{circle[0].trace_id.hex()}.json", "GET").body)
    assert {one["name"] for one in shown["spans"]} >= {"a", "b", "c"}


def test_a_bomb_is_refused_without_unpacking_it_in_memory(door: Door) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    answer = door.post(bomb, {**PROTOBUF, "content-encoding": "gzip"})
    assert answer.status == 413 and b"unpacks" in answer.body
    assert unpack(gzip.compress(b"x") + gzip.compress(b"y"), "gzip", most=10) == b"xy"


def test_a_stalled_upload_is_given_up_and_others_are_served(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_otlp, "_SILENCE", 0.3)
    host, port = door.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as stalled:
        stalled.sendall(
            b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\nContent-Length: 1000\r\n\r\nabc"
        )
        assert door.post(body(span())).status == 200
        stalled.settimeout(10)
        assert stalled.recv(1000).startswith(b"HTTP/1.1 408 ")
        while stalled.recv(1000):
            pass


def test_over_its_bound_and_with_a_failing_store_the_server_asks_to_send_later(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(server_otlp, "HELD", 10)
        answer = door.post(body(span("x" * 3_000_000)))
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert door.post(body(span())).status == 200  # large bodies never keep small ones out
        patch.setattr(server_otlp, "SPARE", 10)
        answer = door.post(body(span()))
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")

    def full(*_: object) -> None:
        raise StoreFailed("spans.db: the disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(afere.store.spans.store.SpanStore, "enter", full)
        answer = door.post(body(span()))
        assert answer.status == 503 and answer.headers["retry-after"] and b"disk is full" in answer.body
    assert door.post(body(span())).status == 200


def test_a_large_request_is_kept_in_parts_and_others_are_written_between(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_TOGETHER", 20)
    monkeypatch.setattr(intake, "_PART", 20)
    large = [[span() for _ in range(7)] for _ in range(9)]
    for number, trace in enumerate(large):
        for one in trace:
            one.trace_id = bytes((*[7] * 15, number + 1))
    enter, written = afere.store.spans.store.SpanStore.enter, list[int]()

    def noted(store: afere.store.spans.store.SpanStore, spans: list[Entry]) -> None:
        written.append(len(spans))
        enter(store, spans)

    monkeypatch.setattr(afere.store.spans.store.SpanStore, "enter", noted)
    small = span()
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(door.post, (body(*[one for trace in large for one in trace]), body(small))))
    assert [door.partial(one) for one in answers] == [(0, "")] * 2
    assert max(written) <= 20 and sum(written) == 64
    assert door.span(small) and all(door.span(one) for trace in large for one in trace)


@pytest.mark.parametrize(
    "order", [[[0, 1, 2]], *([[n] for n in order] for order in permutations(range(3))), [[2, 1], [0]], [[0, 1, 2], [0]]]
)
def test_a_trace_is_found_by_the_session_that_only_a_span_inside_says(door: Door, order: list[list[int]]) -> None:
    root = span("POST /chat")
    inside = span("agent", parent_span_id=root.span_id)
    call = span("call", parent_span_id=inside.span_id, attributes={"session.id": "s-7", "user.id": "ana"})
    sent = [root, inside, call]
    for one in sent:
        one.trace_id = root.trace_id
    for batch in order:
        assert door.partial(door.post(body(*[sent[n] for n in batch]))) == (0, "")
    for asked in ("session:s-7", "user:ana"):
        assert [one.name for one in door.session.spans.find(asked).items] == ["POST /chat"]
    assert door.span(root).attributes.keys().isdisjoint({"session.id", "user.id"})


def test_metrics_are_refused_with_the_line_that_stops_them(door: Door) -> None:
    answer = door.post(b"", path="/v1/metrics")
    assert answer.status == 404 and answer.headers["content-type"] == "application/x-protobuf"
    assert b"OTEL_METRICS_EXPORTER=none" in answer.body
    assert door.post(body(span()), path="/v1/traces/").status == 200


def test_a_span_that_the_store_cannot_take_costs_only_itself(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    enter = afere.store.spans.store.SpanStore.enter

    def poisoned(store: afere.store.spans.store.SpanStore, spans: list[Entry]) -> None:
        if any("poison" in one.row for one in spans):
            raise ValueError("no")
        enter(store, spans)

    monkeypatch.setattr(afere.store.spans.store.SpanStore, "enter", poisoned)
    good = [span(), span()]
    assert door.partial(door.post(body(good[0], span("poison"), good[1])))[0] == 1
    assert all(door.span(one) for one in good)


@pytest.mark.parametrize(("error", "status"), [(MemoryError, 503), (KeyError, 500)])
def test_a_request_in_which_something_unforeseen_fails_is_answered_and_others_go_on(
    door: Door, monkeypatch: pytest.MonkeyPatch, error: type[Exception], status: int
) -> None:
    monkeypatch.setattr(intake, "_TOGETHER", 2)
    parts = intake._parts  # pyright: ignore[reportPrivateUsage]

    def failing(_batch: object) -> None:
        raise error

    monkeypatch.setattr(intake, "_parts", failing)
    answer = door.post(body(*[span() for _ in range(5)]))
    assert answer.status == status and answer.headers["content-type"] == "application/x-protobuf"
    assert ("retry-after" in answer.headers) == (status == 503) and answer.body
    assert door.post(body(kept := span())).status == 200 and door.span(kept)
    monkeypatch.setattr(intake, "_parts", parts)
    assert door.post(body(*[span() for _ in range(5)])).status == 200


@pytest.mark.parametrize("order", [("traces", "logs"), ("logs", "traces"), ("traces", "logs", "traces", "logs")])
def test_what_was_said_in_logs_joins_its_span_whichever_comes_first(door: Door, order: tuple[str, ...]) -> None:
    for signal in order:
        sent = (Path(__file__).parent / "recorded" / f"genai-openai-events.{signal}.pb").read_bytes()
        assert door.partial(door.post(sent, path=f"/v1/{signal}")) == (0, "")
    calls = [one for one in door.session.spans.find("kind:llm", roots=False).items if one.status == "ok"]
    assert {one.output for one in calls} == {"Paris.", "It is sunny.", ""}
    trace = door.session.spans.trace(calls[0].trace_id)
    assert trace is not None
    for one in trace.of_kind("llm"):
        assert [event["name"] for event in one.events].count("gen_ai.client.inference.operation.details") == 1
        assert set(one.marks) <= {"late"}  # as the recording is by now
    assert [one.name for one in door.session.spans.find("sunny").items] == ["chat gpt-4o-mini"]


@pytest.mark.parametrize("logs_first", [True, False])
def test_what_was_said_in_logs_is_said_once_however_many_spans_its_trace_has(door: Door, logs_first: bool) -> None:
    root = span("root")
    calls = [
        span("chat", trace=root.trace_id, parent=root.span_id, attributes={"gen_ai.operation.name": "chat"})
        for _ in range(3)
    ]
    logs = {
        "resourceLogs": [
            {
                "scopeLogs": [
                    {
                        "logRecords": [
                            {
                                "traceId": one.trace_id.hex(), "spanId": one.span_id.hex(), "timeUnixNano": str(one.start_time_unix_nano),
                                "eventName": "gen_ai.user.message", "body": {"stringValue": json.dumps({"content": f"Question {number}"})},
                            }
                            for number, one in enumerate(calls)
                        ]
                    }
                ]
            }
        ]
    }  # fmt: skip
    sent = [(json.dumps(logs).encode(), JSON, "/v1/logs"), (body(root, *calls), PROTOBUF, "/v1/traces")]
    for one in sent if logs_first else reversed(sent):
        assert door.post(*one).status == 200
    assert [[said["text"] for said in door.span(one).input_messages] for one in calls] == [
        ["Question 0"], ["Question 1"], ["Question 2"],
    ]  # fmt: skip


def test_other_logs_are_refused_and_counted(door: Door) -> None:
    logs = {
        "resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "GET /"}, "traceId": "a" * 32}]}]}]
    }
    answer = door.post(json.dumps(logs).encode(), JSON, "/v1/logs")
    assert answer.status == 400 and b"no event of generative AI" in answer.body


def test_what_the_anthropic_sdk_says_beside_an_instrumentor_counts_once(door: Door) -> None:
    """Both tell of each call; two calls at once, one that only the SDK tells of, and one above the other as it came."""
    root, now = span("root"), time.time_ns()
    used = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 2}  # fmt: skip

    def call(name: str, begun: int, parent: bytes = root.span_id) -> Span:
        times = {"start_time_unix_nano": now + begun, "end_time_unix_nano": now + begun + 1000}
        return span(name, trace=root.trace_id, parent=parent, attributes=used, **times)

    told = [call("anthropic.chat", 0), call("anthropic.chat", 10), call("messages.create", 5000)]
    own = [call("anthropic.messages.create", at) for at in (5, 15, 9000)]
    own.append(call("anthropic.messages.create", 5001, told[2].span_id))
    sent = request(root, *told)
    sdk = request(*own)
    sdk.resource_spans[0].scope_spans[0].scope.name = "com.anthropic.sdk.python"
    sent.resource_spans.extend(sdk.resource_spans)
    assert door.post(sent.SerializeToString()).status == 200
    trace = door.session.spans.trace(root.trace_id.hex())
    assert trace is not None and (trace.totals.input_tokens, trace.totals.output_tokens) == (40, 8)
    assert door.session.spans.totals([trace.trace_id])[trace.trace_id].input_tokens == 40
    assert [door.span(one).parent_id for one in own] == [
        told[0].span_id.hex(),
        told[1].span_id.hex(),
        root.span_id.hex(),
        told[2].span_id.hex(),
    ]
    assert door.span(own[0]).attributes["otel.parent_span_id"] == root.span_id.hex()
