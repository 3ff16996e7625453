"""What takes long is looked up once, is shown once more while it is looked up again, and a decision is never overtaken by an old look."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import afere.store
from afere.base.errors import BadInput
from afere.server.pages import fresh
from afere.server.pages.fresh import Fresh, Looking


@pytest.fixture
def session(project: Path) -> Iterator[afere.store.Session]:
    with afere.store.open(project / ".afere", project="handbook") as opened:
        yield opened


class Looks:
    """Counts looks; each after the first waits until it may go on."""

    def __init__(self) -> None:
        self.count, self.go, self.begun = 0, threading.Event(), threading.Event()

    def __call__(self, _session: afere.store.Session, _about: str) -> int:
        self.count += 1
        now = self.count
        self.begun.set()
        if now > 1:
            assert self.go.wait(10)
        return now


def test_the_old_is_shown_while_one_looks_again(session: afere.store.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks()
    kept = Fresh(looks)
    assert kept.of(session) == kept.of(session) == 1
    monkeypatch.setattr(fresh, "_SECONDS", -1.0)
    monkeypatch.setattr(fresh, "_SHARE", 0)
    assert [kept.of(session) for _ in range(3)] == [1, 1, 1]  # old at once, and one look beside
    looks.go.set()
    monkeypatch.setattr(fresh, "_SECONDS", 60.0)
    until = time.monotonic() + 10
    while kept.of(session) != 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert (kept.of(session), looks.count) == (2, 2)


def test_a_decision_is_not_overtaken_by_a_look_of_before(
    session: afere.store.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Looks()
    kept = Fresh(looks)
    kept.of(session)
    monkeypatch.setattr(fresh, "_SECONDS", -1.0)
    monkeypatch.setattr(fresh, "_SHARE", 0)
    looks.begun.clear()
    assert kept.of(session) == 1
    assert looks.begun.wait(10)  # the look of before has begun
    monkeypatch.setattr(fresh, "_SECONDS", 60.0)
    kept.forget(session)
    looks.go.set()
    assert kept.of(session) == 3
    assert kept.of(session) == 3


def test_who_waits_long_is_told_and_the_look_goes_on(session: afere.store.Session) -> None:
    looks = Looks()
    kept = Fresh(looks)
    looks.count = 1  # the next waits
    with pytest.raises(Looking) as told:
        kept.of(session, 0.01)
    assert told.value.seconds > 0
    with pytest.raises(Looking):
        kept.of(session, 0.01)
    looks.go.set()
    assert (kept.of(session), kept.of(session, 0.0), looks.count) == (2, 2, 2)


def test_a_look_that_fails_says_so_for_a_while(session: afere.store.Session) -> None:
    found: list[int | BadInput] = [BadInput("debt.tools: no such rule."), 7]

    def look(_session: afere.store.Session, _about: str) -> int:
        value = found.pop(0)
        if isinstance(value, BadInput):
            raise value
        return value

    kept = Fresh(look)
    for _ in range(2):
        with pytest.raises(BadInput, match="no such rule"):
            kept.of(session, 5.0)
    kept.forget(session)  # something was decided
    assert kept.of(session, 5.0) == 7
