"""Scores by people, as the store has them: what labels are, and what makes a judge calibrated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from afere.base.score import Score, Value
from afere.evals.results import Result
from afere.store import Session

_MOST = 1000  # scores a page of the store


def scores_of_people(session: Session, name: str) -> Sequence[Score]:
    """All scores by persons under a name, newest first."""
    found: list[Score] = []
    cursor: str | None = None
    while True:
        page = session.find("scores", name=name, who="person", limit=_MOST, cursor=cursor)
        found += page.items
        cursor = page.next
        if cursor is None:
            return found


def compared_with_people(session: Session, name: str, judge: str) -> bool:
    """Whether a person and this version of a judge have scored the same item."""
    seen: set[str] = set()
    for score in scores_of_people(session, name):
        if score.value is not None and score.target not in seen:
            seen.add(score.target)
            if session.find("scores", target=score.target, name=name, by=judge, limit=1).items:
                return True
    return False


def consensus(said: Sequence[Value]) -> Value:
    """What people say together: of numbers the (lower) median, else what most said; None where as many said two things."""
    known = [one for one in said if one is not None]
    numbers = sorted(one for one in known if isinstance(one, int | float) and not isinstance(one, bool))
    if not known:
        return None
    if len(numbers) == len(known):
        return numbers[(len(numbers) - 1) // 2]
    (first, n), *others = Counter(known).most_common()
    return None if others and others[0][1] == n else first


def newest(scores: Sequence[Score]) -> dict[str, dict[str, Score]]:
    """Of scores that come newest first, the one of each person on each target, without those that were taken back."""
    found: dict[str, dict[str, Score]] = {}
    for score in scores:
        found.setdefault(score.target, {}).setdefault(score.by, score)
    kept = {target: {who: one for who, one in by.items() if one.value is not None} for target, by in found.items()}
    return {target: by for target, by in kept.items() if by}


def asks_people(session: Session, said: Mapping[str, Any]) -> bool:
    """Whether a scorer of an experiment, as its artifact lists it, is an entry that only people answer."""
    if not said["ref"] or said["kind"] != "scorer":
        return False
    content = cast("Mapping[str, Any]", session.get(str(said["ref"]), kind="scorer").content)
    return str(content.get("function", "")).endswith(".people:human")


def with_people(
    runs: Sequence[Result], session: Session, dataset: str, scorers: Mapping[str, Mapping[str, Any]]
) -> tuple[Result, ...]:
    """The runs, with what people have said since of the entries that only they answer: the newest of each, most of them."""
    names = [name for name, said in scorers.items() if asks_people(session, said)]
    by_name = {name: newest(scores_of_people(session, name)) for name in names}
    return tuple(_said(run, by_name, run.trace or f"{dataset}/{run.row}") for run in runs) if names else tuple(runs)


def _said(run: Result, by_name: Mapping[str, Mapping[str, Mapping[str, Score]]], target: str) -> Result:
    more: dict[str, tuple[Value, str]] = {}
    for name, by_target in by_name.items():
        by = by_target.get(target, {})
        value = consensus([one.value for one in by.values()])
        if value is not None:
            more[name] = value, next((one.why for one in by.values() if one.why), "")
        elif by:
            more[name] = None, f"{len(by)} people said as often one thing as another"
    return replace(run, scores={**run.scores, **more}) if more else run
