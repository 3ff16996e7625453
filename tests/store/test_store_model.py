"""A store behaves like a plain dictionary that never forgets, whatever is done to it in whatever order."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import afere.store
from afere.base.artifact import Use
from afere.base.errors import NotFound
from afere.base.score import Score

NAMES = st.sampled_from(["answer", "rewrite", "qa"])
KINDS = st.sampled_from(["prompt", "chain"])
ALIASES = st.sampled_from(["production", "staging"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e9, 1e9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def same(value: Any) -> str:
    """A key under which JSON values are one when they are one JSON value (1 and 1.0, but not 1 and true)."""
    from afere.base.canonical import canonical

    return canonical(value).decode()


class Store(RuleBasedStateMachine):
    """The model: versions by (kind, name), where aliases are and were, scores by id."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.session = afere.store.open(self.folder / "store", project="model")
        self.versions: dict[tuple[str, str], list[tuple[str, tuple[str, ...], str]]] = {}  # content, used hashes, hash
        self.history: dict[tuple[str, str, str], list[int | None]] = {}
        self.scores: dict[str, tuple[str, str, Any]] = {}

    def teardown(self) -> None:
        if hasattr(self, "session"):
            self.session.close()
            shutil.rmtree(self.folder)

    @rule(kind=KINDS, name=NAMES, content=JSON | st.sampled_from([1, 2, 3]), used=st.none() | st.tuples(KINDS, NAMES))
    def put(self, kind: str, name: str, content: Any, used: tuple[str, str] | None) -> None:
        uses = ()
        if used in self.versions:
            hash_ = self.versions[used][-1][2]
            uses = (Use("part", ":".join(used), hash_),)
        artifact = self.session.put(kind, name, content, uses=uses)
        known = self.versions.setdefault((kind, name), [])
        key = (same(content), tuple(use.hash for use in uses))
        number = next((i for i, version in enumerate(known) if version[:2] == key), len(known))
        if number == len(known):
            known.append((*key, artifact.hash))
        assert (artifact.version, artifact.hash) == (number + 1, known[number][2])
        assert same(artifact.content) == same(content)

    @rule(kind=KINDS, name=NAMES, alias=ALIASES, number=st.integers(1, 3))
    def move(self, kind: str, name: str, alias: str, number: int) -> None:
        handle = f"{kind}:{name}@{alias}"
        if number > len(self.versions.get((kind, name), ())):
            with pytest.raises(NotFound):
                self.session.alias(handle, f"{kind}:{name}@{number}", why="test")
            return
        self.session.alias(handle, f"{kind}:{name}@{number}", why="test")
        moves = self.history.setdefault((kind, name, alias), [])
        if not moves or moves[-1] != number:
            moves.append(number)

    @rule(kind=KINDS, name=NAMES, alias=ALIASES)
    def take_away(self, kind: str, name: str, alias: str) -> None:
        moves = self.history.get((kind, name, alias), [])
        if not moves or moves[-1] is None:
            with pytest.raises(NotFound):
                self.session.alias(f"{kind}:{name}@{alias}", None, why="test")
        else:
            self.session.alias(f"{kind}:{name}@{alias}", None, why="test")
            moves.append(None)

    @rule(id=st.sampled_from("abcdef"), on=st.sampled_from(["t1", "t2"]), by=st.sampled_from(["user:1", "scorer:x"]))
    def score(self, id: str, on: str, by: str) -> None:
        if id in self.scores:
            on, by, value = self.scores[id]
        else:
            value = len(self.scores)
        self.session.append(Score(on, "n", value, by, id=id))
        self.scores[id] = (on, by, value)

    @rule()
    def reopen(self) -> None:
        self.session.close()
        self.session = afere.store.open(self.folder / "store", project="model")

    @rule()
    def another_session(self) -> None:
        with afere.store.open(self.folder / "store", project="model") as other:
            assert other.find("artifacts", limit=100) == self.session.find("artifacts", limit=100)

    @invariant()
    def everything_is_there(self) -> None:
        if not hasattr(self, "session"):
            return
        for (kind, name), versions in self.versions.items():
            for number, (content, _, hash_) in enumerate(versions, 1):
                artifact = self.session.get(f"{kind}:{name}@{number}")
                assert (same(artifact.content), artifact.hash) == (content, hash_)
            assert self.session.get(f"{kind}:{name}").version == len(versions)
        for (kind, name, alias), moves in self.history.items():
            kept = self.session.find("aliases", ref=f"{kind}:{name}", alias=alias, limit=100).items
            refs = [self.session.get(f"{kind}:{name}@{n}").ref if n else None for n in moves]
            assert [move.to for move in reversed(kept)] == refs
            if moves[-1] is not None:
                assert self.session.get(f"{kind}:{name}@{alias}").version == moves[-1]
        assert {s.id: (s.target, s.by, s.value) for s in self.session.find("scores", limit=100).items} == self.scores
        assert self.session.verify() == []


Store.TestCase.settings = settings(
    max_examples=20, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAStoreIsADictionaryThatNeverForgets = Store.TestCase
