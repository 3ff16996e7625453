"""`/metrics`: what Prometheus reads of a server."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from access_site import Site, running
from hypothesis import given
from hypothesis import strategies as st

import afere.store
from afere.base.span import Span
from afere.server.metrics import BUCKETS, Requests
from afere.server.run import Front

_SAMPLE = re.compile(r'(\w+)(?:\{((?:\w+="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (-?[0-9.e+-]+|\+Inf)')


def _read(text: str) -> dict[str, float]:
    """Every sample, by name and labels; each line must be one, or a HELP or TYPE that comes before its samples."""
    found: dict[str, float] = {}
    kinds: dict[str, str] = {}
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in kinds
            kinds[name] = kind
        elif not line.startswith("# HELP "):
            sample = _SAMPLE.fullmatch(line)
            assert sample is not None, line
            base = re.sub("_(bucket|sum|count)$", "", sample[1])
            assert base in kinds or sample[1] in kinds, line
            key = f"{sample[1]}{{{sample[2]}}}" if sample[2] else sample[1]
            assert key not in found
            found[key] = float(sample[3])
    return found


def _otlp(*names: str, bad: bool = False) -> bytes:
    now = time.time_ns()
    spans = [
        {
            "traceId": "0" if bad else f"{n + 1:032x}",
            "spanId": f"{n + 1:016x}",
            "name": name,
            "startTimeUnixNano": str(now),
        }
        for n, name in enumerate(names)
    ]
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()


@pytest.fixture
def open_site(project: Path) -> Iterator[Site]:
    """A server on loopback that asks nobody."""
    with afere.store.open(project / ".afere", project="handbook") as session, running(session, Front()) as site:
        yield site


def test_spans_requests_sizes_and_models_are_told(open_site: Site) -> None:
    sent = {"content_type": "application/json"}
    assert open_site.ask("/v1/traces", _otlp("a", "b", "c"), **sent)[0] == 200
    assert open_site.ask("/v1/traces", _otlp("a", bad=True), **sent)[0] == 400
    now = time.time_ns()
    open_site.session.spans.write([
        Span(f"{n:032x}", f"{n:016x}", "ask", now, end=now + 10**9, kind="llm", model=model, status="ok", input_tokens=3,
             output_tokens=4, cost=0.25)
        for n, model in ((9, 'quo"te\\'), (10, "m"), (11, "m"))
    ])  # fmt: skip
    open_site.session.spans.lost(7, "the queue was full")
    open_site.session.put("prompt", "answer", "x", blob=b"y" * 1000)
    assert open_site.ask("/nothing/here")[0] == 404
    status, headers, text = open_site.ask("/metrics")
    assert status == 200 and headers["content-type"].startswith("text/plain; version=0.0.4")
    found = _read(text)
    assert found['afere_spans_total{result="accepted"}'] == 3 and found['afere_spans_total{result="refused"}'] == 1
    assert found["afere_intake_requests"] == found["afere_intake_bytes"] == 0
    assert found['afere_spans_lost{project="handbook"}'] == 7
    assert found['afere_http_requests_total{door="otlp",status="200"}'] == 1
    assert found['afere_http_requests_total{door="otlp",status="400"}'] == 1
    assert found['afere_http_requests_total{door="page",status="404"}'] == 1
    assert found['afere_http_request_seconds_count{door="otlp"}'] == 2
    assert found['afere_http_request_seconds_bucket{door="otlp",le="+Inf"}'] == 2
    assert found['afere_store_bytes{file="spans.db"}'] > 4096 and found['afere_store_bytes{file="blobs"}'] == 1000
    assert found['afere_model_calls{project="handbook",model="m"}'] == 2
    assert found['afere_model_tokens{project="handbook",model="m",direction="output"}'] == 8
    assert found['afere_model_cost_usd{project="handbook",model="quo\\"te\\\\"}'] == 0.25
    assert found["process_resident_memory_bytes"] > 10**7


def test_where_the_server_asks_a_key_that_reads_sees_its_own_projects(site: Site) -> None:
    for project in ("handbook", "secret"):
        site.session.spans.of(project).lost(1, "full")
    assert site.ask("/metrics")[0] == 401
    assert site.ask("/metrics", authorization=f"Bearer {site.key('ingest')}")[0] == 403
    for key, seen in ((site.key("read"), ["handbook"]), (site.key("read", project="*"), ["handbook", "secret"])):
        status, _, text = site.ask("/metrics", authorization=f"Bearer {key}")
        assert status == 200 and [one for one in ("handbook", "secret") if f'project="{one}"' in text] == seen
        assert _read(text)['afere_http_requests_total{door="page",status="401"}'] == 1


@given(st.lists(st.tuples(st.sampled_from(["/v1/traces", "/a.json", "/"]), st.floats(0, 100))))
def test_buckets_hold_every_request_once(taken: list[tuple[str, float]]) -> None:
    requests = Requests()
    for path, seconds in taken:
        requests.note(path, 200, seconds)
    found = _read("\n".join(requests.text()) + "\n")
    for door, path in (("otlp", "/v1/traces"), ("json", "/a.json"), ("page", "/")):
        mine = [seconds for one, seconds in taken if one == path]
        for bound in BUCKETS if mine else ():
            count = found[f'afere_http_request_seconds_bucket{{door="{door}",le="{bound}"}}']
            assert count == sum(seconds <= bound for seconds in mine)
        assert found.get(f'afere_http_request_seconds_count{{door="{door}"}}', 0) == len(mine)
