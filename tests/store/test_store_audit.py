"""Whatever is done to the store past afere, `verify` says it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

import afere.store
from afere.base.artifact import Use
from afere.base.canonical import digest_of
from afere.base.errors import BadInput
from afere.base.score import Score
from afere.store.audit import GENESIS


@pytest.fixture
def folder(project: Path) -> Path:
    """A store with two prompts, a chain that uses one, three moves of an alias, and scores of a person and a machine."""
    with afere.store.open() as session:
        prompt = session.put("prompt", "answer", {"template": "Hi"}, why="first")
        session.put("prompt", "answer", {"template": "Hello"})
        session.put("chain", "qa", {}, uses=[Use("prompt", prompt.ref, prompt.hash)])
        for number in (1, 2, 1):
            session.alias("answer@production", f"answer@{number}", why="better")
        session.append(
            Score("t1", "helpful", True, "person:ana", id="s1"), Score("t1", "exact", 1, "scorer:x", id="s2")
        )
        assert session.verify() == []
    return project / ".afere"


def problems(folder: Path, head: str | None = None) -> list[str]:
    with afere.store.open(folder) as session:
        return session.verify(head)


def execute(folder: Path, *statements: str) -> None:
    connection = sqlite3.connect(folder / "afere.db")
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE audit SET actor = 'person:eve' WHERE seq = 3", "line 3 .* was edited"),
        ("UPDATE audit SET details = '{}' WHERE seq = 3", "line 3 .* was edited"),
        ("UPDATE audit SET details = 'x' WHERE seq = 3", "not JSON"),
        ("UPDATE audit SET hash = 'sha256:1' WHERE seq = 3", "line 3 .* was edited"),
        ("DELETE FROM audit WHERE seq = 3", "lines 3 to 3 are missing"),
        ("DELETE FROM audit WHERE seq >= 7", "cut off"),
        ("DELETE FROM audit", "cut off"),
        ("UPDATE audit SET seq = 103 - seq WHERE seq IN (3, 4)", "missing|reordered"),
        ("UPDATE artifacts SET content = '{\"template\":\"Bye\"}' WHERE id = 1", "prompt:answer@1 .* changed after"),
        ("UPDATE artifacts SET content = 'x' WHERE id = 1", "prompt:answer@1 .* changed after"),
        ("UPDATE artifacts SET why = 'no reason' WHERE id = 1", "prompt:answer@1 .* changed after"),
        ("UPDATE artifacts SET actor = 'person:eve' WHERE id = 2", "prompt:answer@2 .* changed after"),
        ("DELETE FROM artifacts WHERE id = 2", "prompt:answer@2 .* is gone"),
        ("UPDATE artifacts SET project = 'other' WHERE id = 2", "prompt:answer@2 .* is gone"),
        ("UPDATE uses SET target = 2", "chain:qa@1 .* changed after"),
        ("DELETE FROM uses", "chain:qa@1 .* changed after"),
        ("UPDATE moves SET target = 2 WHERE id = 3", "prompt:answer@production .* changed after"),
        ("DELETE FROM moves WHERE id = 3", "prompt:answer@production .* is gone"),
        (
            "INSERT INTO moves SELECT 9, project, kind, name, alias, origin, 2, decision, actor, at, why FROM moves LIMIT 1",
            "prompt:answer@production .* has no audit line",
        ),
        ("UPDATE scores SET value = 'false' WHERE id = 's1'", "Score s1 .* changed after"),
        ("DELETE FROM scores WHERE id = 's1'", "Score s1 .* is gone"),
        ("UPDATE scores SET by = 'scorer:x' WHERE id = 's1'", "Score s1 .* is gone"),
        ("UPDATE actors SET roles = '[\"admin\"]'", "Actor person:local .* changed after"),
    ],
)  # fmt: skip
def test_any_change_past_the_product_is_found(folder: Path, statement: str, said: str) -> None:
    execute(folder, "PRAGMA foreign_keys=OFF", statement)
    found = "\n".join(problems(folder))
    assert found
    import re

    assert re.search(said, found), found


def test_two_swapped_lines_are_found(folder: Path) -> None:
    execute(
        folder,
        "UPDATE audit SET seq = 1000 WHERE seq = 3",
        "UPDATE audit SET seq = 3 WHERE seq = 4",
        "UPDATE audit SET seq = 4 WHERE seq = 1000",
    )
    assert any("line 3 does not follow" in problem for problem in problems(folder))


def rewrite(folder: Path, change: Callable[[dict], None]) -> None:
    """What an attacker who knows the format does: edit a line and compute all hashes after it anew."""
    connection = sqlite3.connect(folder / "afere.db")
    connection.row_factory = sqlite3.Row
    import json

    previous = GENESIS
    with connection:
        for row in connection.execute("SELECT * FROM audit ORDER BY seq").fetchall():
            line = {**dict(row), "details": json.loads(row["details"]), "previous": previous}
            del line["hash"]
            change(line)
            previous = digest_of(line)
            connection.execute(
                "UPDATE audit SET actor=?, previous=?, hash=? WHERE seq=?",
                (line["actor"], line["previous"], previous, line["seq"]),
            )
    connection.close()


def test_a_log_rewritten_with_right_hashes_does_not_fit_the_head_outside(folder: Path) -> None:
    with afere.store.open(folder) as session:
        _, kept = session.head()
    rewrite(folder, lambda line: line.update(actor="person:eve"))
    assert any("was rewritten" in problem for problem in problems(folder))
    (folder / "audit.head").write_text("1 sha256:0\n")
    assert any("kept is not in the log" in problem for problem in problems(folder, kept))


def test_a_head_somebody_kept_must_still_be_in_the_log(folder: Path) -> None:
    with afere.store.open(folder) as session:
        _, kept = session.head()
        session.put("prompt", "answer", "more")
        assert session.verify(kept) == []
        assert session.verify(kept.removeprefix("sha256:")) == []
        assert session.verify("0" * 63 + "1") != []
        with pytest.raises(BadInput):
            session.verify("what?")


def test_a_crash_between_commit_and_head_is_not_tampering(folder: Path) -> None:
    head = folder / "audit.head"
    before = head.read_bytes()
    with afere.store.open(folder) as session:
        session.put("prompt", "answer", "more")
        head.write_bytes(before)  # as if the process had died before writing it
        assert session.verify() == []
    with afere.store.open(folder) as session:
        session.put("prompt", "answer", "and more")
        assert session.verify() == []
    assert head.read_bytes() != before


def test_writing_on_does_not_hide_a_cut_tail_or_a_lost_head(folder: Path) -> None:
    execute(folder, "DELETE FROM audit WHERE seq >= 7")
    with afere.store.open(folder) as session:
        for i in range(5):
            session.put("prompt", "answer", f"more {i}")
        assert any("rewritten" in problem for problem in session.verify())
        (folder / "audit.head").unlink()
        session.put("prompt", "answer", "even more")
        assert any("audit.head is missing" in problem for problem in session.verify())
    assert any("audit.head is missing" in problem for problem in problems(folder))
