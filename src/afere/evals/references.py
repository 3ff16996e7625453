"""What rules compare with: the baseline file, an experiment, or what an alias points to. Old code is never run again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

from afere.base.artifact import Artifact, parse_ref
from afere.base.canonical import Json
from afere.base.errors import AfereError, NotFound
from afere.base.project import Project
from afere.data.place import shown
from afere.evals import baseline
from afere.evals.gate import Missing
from afere.evals.labelling.people import compared_with_people, with_people
from afere.evals.results import Results, from_lines
from afere.store import Session

_PAGES = 20  # of a hundred experiments: further back nobody compares


def results_of(artifact: Artifact, session: Session) -> Results:
    """The results that an experiment holds, and what people have said of its outputs since."""
    said = cast("dict[str, Json]", artifact.content)
    scorers = cast("dict[str, dict[str, Json]]", said["scorers"])
    target = cast("list[str] | None", said["target"])
    dataset = cast("list[str]", said["dataset"])
    return Results(
        artifact.ref,
        artifact.at,
        (target[0], target[1]) if target else None,
        (dataset[0], dataset[1]),
        {name: str(scorers[name]["hash"]) for name in cast("list[str]", said["names"])},
        frozenset(name for name, one in scorers.items() if one["better"] == "lower"),
        frozenset(
            name
            for name, one in scorers.items()
            if one["kind"] == "judge" and not compared_with_people(session, name, str(one["ref"]))
        ),
        {
            name: cast("tuple[float, float]", tuple(cast("list[float]", one["within"])))
            for name, one in scorers.items()
            if "within" in one
        },
        bool(said["complete"]),
        with_people(from_lines(session.blob(cast("str", artifact.blob))), session, dataset[0], scorers),
        cast("int", said.get("unusable") or 0) * cast("int", said["repeats"]),
    )


def reference(word: str, results: Results, file: Path, session: Session, project: Project) -> Results | Missing:
    """What `word` (`baseline`, `experiment:12`, `qa@production`) means for these results; or why there is nothing.

    An alias means the latest complete experiment of that version on the same dataset with the same scorers.
    """
    if word == "baseline":
        name = shown(file, project.root)
        found = baseline.read(file, name)
        if found is None:
            return Missing(
                f"there is no {name}; make it from results you accept: afere accept {results.ref or 'EXPERIMENT'}"
            )
        return Missing(f"{name} was made from this very experiment") if found[0].at == results.at else found[0]
    try:
        ref = parse_ref(f"experiment:{word}" if word.isdecimal() else word, kind=None)
        if ref.kind == "experiment":
            return results_of(session.get(ref, kind="experiment"), session)
        version = session.get(ref, kind=ref.kind or _kind_of(results))
    except NotFound as problem:
        return Missing(str(problem))
    for artifact in experiments(session):
        said = cast("dict[str, Json]", artifact.content)
        target, dataset = cast("list[str] | None", said["target"]), cast("list[str]", said["dataset"])
        if artifact.ref == results.ref or not said["complete"] or not target or target[1] != version.hash:
            continue
        if dataset[1] == results.dataset[1] and _same_scorers(said, results):
            return results_of(artifact, session)
    return Missing(
        f"{version.ref} ({word}) has no complete experiment on {results.dataset[0]} with these scorers; "
        f"make one: check out its code, then afere eval {file.name.removesuffix('.baseline.json')}"
    )


def experiments(session: Session) -> Iterator[Artifact]:
    """The experiments of the project, newest first, a page at a time."""
    cursor: str | None = None
    for _ in range(_PAGES):
        page = session.find("artifacts", kind="experiment", limit=100, cursor=cursor)
        yield from page.items
        cursor = page.next
        if cursor is None:
            return


def previous(name: str, session: Session, *, than: str = "") -> Artifact | None:
    """The newest experiment of that name, other than the one whose reference is `than`."""
    found = (one for one in experiments(session) if one.ref != than)
    return next((one for one in found if cast("dict[str, Json]", one.content)["name"] == name), None)


def check_words(words: Iterable[str], file: Path, session: Session, project: Project) -> None:
    """Before anything is paid: what cannot be compared with is an error now. An alias that is not set yet is none."""
    for word in words:
        if word == "baseline":
            baseline.read(file, shown(file, project.root))
            continue
        ref = parse_ref(f"experiment:{word}" if word.isdecimal() else word)
        if ref.kind == "experiment":
            session.get(ref, kind="experiment")


def rules_before(name: str, file: Path, session: Session, project: Project) -> dict[str, str]:
    """The rules that the suite's last experiment and its baseline had, and where each stood."""
    rules: dict[str, str] = {}
    last = previous(name, session)
    if last is not None:
        rules |= dict.fromkeys(cast("list[str]", cast("dict[str, Json]", last.content)["gate"]), last.ref)
    try:
        found = baseline.read(file, shown(file, project.root))
    except AfereError:  # damaged: who compares with it is told
        found = None
    return rules | (dict.fromkeys(found[1], shown(file, project.root)) if found else {})


def _same_scorers(said: dict[str, Json], results: Results) -> bool:
    scorers = cast("dict[str, dict[str, Json]]", said["scorers"])
    return all(name in scorers and scorers[name]["hash"] == hash_ for name, hash_ in results.scorers.items())


def _kind_of(results: Results) -> str:
    return results.target[0].partition(":")[0] if results.target and ":" in results.target[0] else "chain"
