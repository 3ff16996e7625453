"""What is old goes whole; what is erased is in no file; attributes that are filterable are found by their index."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import afere.store
from afere.base.clock import new_span_id, new_trace_id
from afere.base.errors import BadInput, BadProject, NotFound
from afere.base.project import find_project
from afere.base.score import Score
from afere.base.span import Span
from afere.cli.main import cli
from afere.store import upkeep
from afere.store.erase import erase
from afere.store.health import check_store
from afere.store.spans.store import SpanStore

SECOND = 1_000_000_000
DAY = 86_400 * SECOND


def test_a_store_whose_spans_are_gone_says_so_and_keeps_new_ones(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = SpanStore(tmp_path, "handbook")
    store.write(trace(time.time_ns()))
    store.close()
    again = SpanStore(tmp_path, "handbook")
    assert len(again.find().items) == 1
    again.close()
    assert not caplog.records
    for file in tmp_path.glob("spans.db*"):
        file.unlink()
    empty = SpanStore(tmp_path, "handbook")
    empty.write(trace(time.time_ns()))
    assert len(empty.find().items) == 1
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "is gone, though this store had one" in caplog.text
    afere.store.open(tmp_path).put("prompt", "p", "x")
    told = next(one.what for one in check_store(tmp_path, "handbook") if one.about == "spans")
    assert told.startswith("spans.db was gone")


def trace(at: int, **fields: Any) -> list[Span]:
    trace_id = new_trace_id()
    root = Span(trace_id, new_span_id(), "qa", at, kind="chain", end=at + 2 * SECOND, **fields)
    call = Span(
        trace_id, new_span_id(), "answer", at + SECOND, root.span_id, "llm", at + 2 * SECOND, model="gpt-4.1-mini",
        input_tokens=100, output_tokens=20, cost=0.002, **fields,
    )  # fmt: skip
    return [root, call]


def counts_agree(store: SpanStore) -> int:
    [counted], [exact] = store.stats(), store.stats("-provider:none")
    for name in ("count", "errors", "input_tokens", "output_tokens"):
        assert counted[name] == exact[name]
    count = exact["count"]
    assert isinstance(count, int)
    return count


def rows(store: SpanStore, table: str) -> int:
    with closing(sqlite3.connect(store.file)) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_old_traces_go_whole_with_their_words_and_counts(tmp_path: Path) -> None:
    now = time.time_ns()
    store, other = SpanStore(tmp_path, "p", filterable=["tenant"]), SpanStore(tmp_path, "other")
    fields: dict[str, Any] = {"attributes": {"tenant": "acme"}}
    old = [span for n in range(700) for span in trace(now - 40 * DAY + n * SECOND, input="ancient words", **fields)]
    alive = trace(now - 40 * DAY, input="still running")
    alive.append(replace(alive[1], span_id=new_span_id(), start=now, end=now + SECOND))
    store.write([*old, *alive, *trace(now, input="fresh words")])
    other.write(trace(now - 40 * DAY, input="ancient words"))
    assert store.keep(30 * 86_400) == 1_400
    assert counts_agree(store) == 5 and rows(store, "chunks") == 3 and rows(store, "labels") == 0
    assert store.find("ancient").items == () and len(store.find("words").items) == 1
    assert len(store.find("running").items) == 1 and len(other.find("ancient").items) == 1
    assert store.keep(30 * 86_400) == 0 and store.keep() == 0
    store.close()
    other.close()


def test_a_server_keeps_what_the_project_says(project: Path) -> None:
    (project / "afere.yaml").write_text("project: handbook\nkeep: {spans: 12h}\n")
    with afere.store.open() as session:
        session.spans.write([*trace(time.time_ns() - DAY), *trace(time.time_ns())])
    result = CliRunner().invoke(cli, ["keep", "--json"])
    assert json.loads(result.output) == {
        "keep": {"spans": "12h", "archive": None},
        "removed": {"spans": 2, "projects": {}},
        "archived": {"spans": 0},
    }
    with afere.store.open() as session:
        assert upkeep.keep(session).removed == 0 and counts_agree(session.spans) == 2
    for wrong in ("keep: {spans: soon}", "keep: {traces: 30d}", "spans: {filterable: tenant}"):
        (project / "afere.yaml").write_text(wrong)
        with pytest.raises(BadProject):
            find_project(project)


def test_what_is_erased_is_in_no_file_of_the_store(project: Path) -> None:
    now = time.time_ns()
    (project / "afere.yaml").write_text("project: handbook\nspans: {filterable: [city]}\n")
    session = afere.store.open()
    theirs: dict[str, Any] = {"user": "zebedee", "session": "sess-quixotic", "attributes": {"city": "Xanadu"}}
    photo = session.put_blob(b"a photo of zebedee")
    shared = session.put_blob(b"a photo that an artifact uses: zebedee")
    session.put("dataset", "photos", {"file": shared})
    spans = trace(now, input="my quokka is ill", output="call Zorblatt", **theirs)
    spans[1].attributes = {"photo": photo, "other": shared, "city": "Xanadu"}
    early = replace(spans[0], status="running", end=None, output=None, input="first draft: wombatted")
    session.spans.write([early])
    session.spans.write(
        [*spans, *[span for n in range(300) for span in trace(now + n, user="ana", input=f"word{n} kept")]]
    )
    session.spans.write([replace(spans[0], input="my quokka is well", name="chat with zebedee")])
    session.spans.say([(spans[0].trace_id, spans[0].span_id, {"name": "e", "text": "platypus"})])
    trace_id = spans[0].trace_id
    session.append(
        Score(trace_id, "helpful", True, "user:zebedee", "saved my quokka"),
        Score("prompt:x@1", "liked", True, "user:zebedee"),
        Score(trace_id, "exact", None, "scorer:exact@1", "no quokka"),
        Score("b" * 32, "helpful", True, "user:ana", "kept"),
    )
    session.cache.put("k", {"answer": "quokka"})
    secret = [b"zebedee", b"quixotic", b"quokka", b"zorblatt", b"xanadu", b"wombatted", b"platypus"]

    def found() -> set[bytes]:
        files = [file for file in (project / ".afere").rglob("*") if file.is_file() and shared[9:] not in file.name]
        return {word for word in secret for file in files if word in file.read_bytes().lower()}

    assert len(found()) >= 5
    tried = erase(session, "user:zebedee", try_only=True)
    assert (tried.traces, tried.spans, tried.scores) == (1, 2, 3) and session.spans.trace(trace_id) is not None
    erased = erase(session, "user:zebedee")
    assert (erased.traces, erased.spans, erased.scores, erased.blobs) == (1, 2, 3, 1)
    assert found() == set()
    with closing(sqlite3.connect(session.spans.file)) as connection:
        assert not any(b"quokka" in whole.lower() for whole in unpacked_chunks(connection))
    with pytest.raises(NotFound, match="was erased"):
        session.blob(photo)
    assert session.blob(shared).endswith(b"zebedee") and session.verify() == []
    assert [score.by for score in session.find("scores").items] == ["user:ana"]
    assert session.spans.find("quokka").items == () and len(session.spans.find("kept", limit=1000).items) == 300
    assert session.spans.stats()[0]["count"] == 602 and session.spans.stats("user:ana")[0]["count"] == 600
    assert {"(erased)", "answer", "qa"} == {row["name"] for row in session.spans.stats(by=["name"])}
    session.append(Score("b" * 32, "again", True, "user:ana"))
    assert session.verify() == []
    session.close()


def unpacked_chunks(connection: sqlite3.Connection) -> list[bytes]:
    from afere.store.spans.dictionary import unpacked

    return [unpacked(data, connection) for (data,) in connection.execute("SELECT data FROM chunks").fetchall()]


def test_erasing_from_the_command_line_asks_first(project: Path) -> None:
    with afere.store.open() as session:
        session.spans.write(trace(time.time_ns(), user="42"))
    run = CliRunner()
    assert run.invoke(cli, ["erase", "--subject", "user:42"], input="n\n").exit_code == 1
    done = run.invoke(cli, ["erase", "--subject", "user:42", "--yes", "--json"])
    assert json.loads(done.output) == {"subject": "user:42", "traces": 1, "spans": 2, "scores": 0, "blobs": 0}
    with afere.store.open() as session, pytest.raises(BadInput, match="user:ID"):
        erase(session, "42")


def test_filterable_attributes_are_found_whenever_they_were_declared(tmp_path: Path) -> None:
    before = SpanStore(tmp_path, "p")
    now = time.time_ns()
    values: list[Any] = ["acme", "x" * 500, 7, 7.5, True, "7", None, ["acme"], "acmeish"]
    spans = [Span(new_trace_id(), new_span_id(), f"s{n}", now + n, end=now + n, attributes={"tenant": value})
             for n, value in enumerate(values)]  # fmt: skip
    before.write(spans)
    filters = ["attr.tenant:acme", "attr.tenant:7", 'attr.tenant:"7"', "attr.tenant>7", "attr.tenant<=7", "attr.tenant:true",
               "attr.tenant:acm*", "-attr.tenant:acme", "attr.tenant:" + "x" * 500]  # fmt: skip

    def answers(store: SpanStore) -> list[list[str]]:
        return [[s.name for s in store.find(f, roots=roots).items] for f in filters for roots in (True, False)]

    wanted = answers(before)
    after = SpanStore(tmp_path, "p", filterable=["tenant"])
    assert answers(after) == wanted
    after.write([spans[0]])
    assert rows(after, "labels") == 1 and answers(after) == wanted
    after.keep()
    assert rows(after, "labels") == 8 - 2 and answers(after) == wanted
    with closing(sqlite3.connect(after.file)) as connection:  # the index answers: nothing is read from damaged chunks
        connection.execute("UPDATE chunks SET data = x'00'")
    assert [s.name for s in after.find("attr.tenant:acme").items] == ["s0"]
    before.write([replace(spans[0], attributes={"tenant": "globex"})])
    assert after.find("attr.tenant:acme").items == () and [s.name for s in after.find("attr.tenant:globex").items] == [
        "s0"
    ]
    before.keep()
    assert rows(after, "labels") == 0
    before.close()
    after.close()
