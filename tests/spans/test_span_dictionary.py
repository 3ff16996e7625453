"""Chunks packed by what a project says again and again: smaller, read as before, and nothing of what is gone stays in it."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from afere.base.clock import new_span_id, new_trace_id
from afere.base.span import Span
from afere.store.spans.store import SpanStore
from afere.store.verify import check_ties

DAY = 86_400 * 10**9
RULES = "You answer questions of guests of the harbour hotel, in their language, in three sentences, with the page of the handbook."


def chat(said: str, at: int, user: str = "ana") -> list[Span]:
    attributes = {"service.name": "desk", "gen_ai.operation.name": "chat", "gen_ai.agent.description": RULES}
    return [Span(new_trace_id(), new_span_id(), "answer", at, kind="llm", end=at + 10**9, user=user, input=f"{RULES} {said}", attributes=attributes)]  # fmt: skip


def fill(store: SpanStore, said: str, count: int, at: int | None = None, user: str = "ana") -> None:
    for _ in range(count // 50):
        store.write([span for number in range(50) for span in chat(f"{said} {number}", at or time.time_ns(), user)])


def facts(folder: Path) -> tuple[int, bytes, list[int]]:
    """How many dictionaries there are, all that they hold, and the bytes of each chunk in order."""
    with closing(sqlite3.connect(folder / "spans.db")) as connection:
        learnt = [data for (data,) in connection.execute("SELECT data FROM dictionaries")]
        return (
            len(learnt),
            b"".join(learnt),
            [len(data) for (data,) in connection.execute("SELECT data FROM chunks ORDER BY id")],
        )


def in_files(folder: Path, word: bytes) -> bool:
    return any(word in file.read_bytes() for file in folder.rglob("*") if file.is_file())


def test_chunks_become_smaller_once_enough_was_said_and_are_read_as_before(tmp_path: Path) -> None:
    store = SpanStore(tmp_path, "desk")
    fill(store, "Where is the pool?", 400)
    count, _, sizes = facts(tmp_path)
    assert count == 1 and sum(sizes[-50:]) < sum(sizes[:50]) / 2
    found = store.find("pool", limit=400).items
    assert len(found) == 400 and {span.attributes["service.name"] for span in found} == {"desk"}
    for span in (found[0], found[-1]):
        whole = store.span(span.trace_id, span.span_id)
        assert whole is not None and str(whole.input).startswith(f"{RULES} Where is the pool?")
    assert store.of("other").find().items == ()
    store.close()
    assert len(SpanStore(tmp_path, "desk").find("pool", limit=400).items) == 400


def test_another_is_learnt_when_the_program_has_said_much_more(tmp_path: Path) -> None:
    store = SpanStore(tmp_path, "desk")
    fill(store, "Where is the pool?", 200)
    fill(store, "When does the ferry leave?", 1_600)
    count, said, _ = facts(tmp_path)
    assert count == 2 and b"ferry" in said
    store.close()


def test_a_project_is_not_packed_by_what_another_says(tmp_path: Path) -> None:
    store = SpanStore(tmp_path, "desk")
    fill(store, "Where is the pool?", 200)
    fill(store.of("bank"), "Is it raining?", 50)
    _, said, sizes = facts(tmp_path)
    assert b"raining" not in said and min(sizes[-50:]) > 1.5 * min(sizes[-51:-50])
    store.close()


@pytest.mark.parametrize("how", ["erase", "keep"])
def test_nothing_of_what_is_gone_stays_in_a_dictionary(tmp_path: Path, how: str) -> None:
    store = SpanStore(tmp_path, "desk")
    old = time.time_ns() - 30 * DAY
    fill(store, "My name is Zebedee Quokka", 150, old, user="zebedee")
    count, said, _ = facts(tmp_path)
    assert count == 1 and b"Zebedee" in said
    fill(store, "Where is the pool?", 150)
    if how == "erase":
        assert store.erase(store.traces_of("user", "zebedee")) == 150
    else:
        assert store.keep(7 * 86_400) == 150
    count, said, sizes = facts(tmp_path)
    assert count == 1 and b"Zebedee" not in said and len(sizes) == 150
    found = store.find("pool", limit=400).items
    assert len(found) == 150 and all(span.attributes["service.name"] == "desk" for span in found)
    if how == "erase":
        assert not in_files(tmp_path, b"Zebedee")
    store.close()


def test_packing_anew_that_was_stopped_goes_on_the_next_time(tmp_path: Path) -> None:
    from afere.store.spans import dictionary as span_dictionary

    store = SpanStore(tmp_path, "desk")
    fill(store, "My name is Zebedee Quokka", 150, time.time_ns() - 30 * DAY, user="zebedee")
    fill(store, "Where is the pool?", 900)
    gone = store.traces_of("user", "zebedee")
    with store._database.write() as connection:  # as a process that ends after its first step
        connection.executemany("DELETE FROM spans WHERE trace_id = ?", [(bytes.fromhex(one),) for one in gone])
        assert span_dictionary.renew(connection, "desk") is not None
    assert len(store.find("pool", limit=1_000).items) == 900
    fill(store, "Is there tea?", 50)
    store.keep(365 * 86_400)
    store.erase([store.find("tea").items[0].trace_id])
    _, said, _ = facts(tmp_path)
    assert b"Zebedee" not in said
    found = store.find("pool", limit=1_000).items
    assert len(found) == 900 and all(span.attributes["service.name"] == "desk" for span in found)
    store.close()


def test_a_dictionary_that_becomes_old_while_chunks_are_packed_anew_takes_nothing_with_it(tmp_path: Path) -> None:
    from afere.store.spans import dictionary as span_dictionary

    store = SpanStore(tmp_path, "desk")
    fill(store, "My name is Zebedee Quokka", 150, user="zebedee")
    fill(store, "Where is the pool?", 550)
    zebedee, newest = store.traces_of("user", "zebedee"), store.find("pool", limit=1).items[0].trace_id
    take = "DELETE FROM spans WHERE trace_id = ?"
    with store._database.write() as connection:
        connection.executemany(take, [(bytes.fromhex(one),) for one in zebedee])
        going = span_dictionary.renew(connection, "desk")
    with store._database.write() as connection:  # another process removes what the new dictionary was learnt from
        connection.execute(take, (bytes.fromhex(newest),))
    while going is not None:
        with store._database.write() as connection:
            going = span_dictionary.renew(connection, "desk", going)
    found = store.find("pool", limit=1_000).items
    assert len(found) == 549 and all(span.attributes["service.name"] == "desk" for span in found)
    store.close()


def test_a_damaged_dictionary_costs_what_needs_it_and_is_told_but_writing_goes_on(tmp_path: Path) -> None:
    store = SpanStore(tmp_path, "desk")
    fill(store, "Where is the pool?", 400)
    assert [one.severity for one in check_ties(tmp_path)] == ["ok"]
    with store._database.write() as connection:
        connection.execute("UPDATE dictionaries SET data = x'00'")
    fill(store, "Is there tea?", 50)
    assert {span.attributes["service.name"] for span in store.find("tea", limit=50).items} == {"desk"}
    found = store.find("pool", limit=400).items
    assert len(found) == 400
    lost, whole = (store.span(one.trace_id, one.span_id) for one in (found[0], found[-1]))
    assert lost is not None and lost.marks == ["damaged"] and str(lost.input).startswith("You answer questions")
    assert whole is not None and whole.marks == [] and whole.attributes
    assert store.erase([found[1].trace_id, store.find("tea").items[0].trace_id]) == 2  # chunks packed anew on the way
    with closing(sqlite3.connect(tmp_path / "spans.db")) as connection:
        assert connection.execute("SELECT count(*) FROM chunks WHERE length(data) < 20").fetchone() == (0,)
    (told,) = check_ties(tmp_path)
    assert told.severity == "error" and "of contents does not unpack" in told.what
    store.close()


def test_a_damaged_chunk_from_before_dictionaries_stops_no_new_layout(tmp_path: Path) -> None:
    store = SpanStore(tmp_path, "desk")
    fill(store, "Where is the pool?", 150)
    store.close()
    with closing(sqlite3.connect(tmp_path / "spans.db")) as connection, connection:
        (packed,) = connection.execute("SELECT data FROM chunks ORDER BY id DESC LIMIT 1").fetchone()
        connection.execute("DELETE FROM chunks WHERE id > 2")
        connection.execute("UPDATE chunks SET data = ? WHERE id = 2", (packed,))  # bytes that seem to need a dictionary
        connection.execute("DROP TABLE dictionaries")
        connection.execute("PRAGMA user_version = 5")
    store = SpanStore(tmp_path, "desk")
    assert len(store.find(limit=200).items) == 150
    fill(store, "Is there tea?", 50)
    assert len(store.find("tea", limit=200).items) == 50
    store.close()
