"""Prompts: the list, and one of them: versions, the difference of any two, results by model, tries, checks, aliases, who uses it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, cast

from afere.base.artifact import copied
from afere.base.canonical import Json
from afere.base.clock import now_ns
from afere.base.errors import BadInput
from afere.base.project import find_project
from afere.base.rule import BUILTIN
from afere.chains.promptfiles import file_of
from afere.govern.debt.facts import Facts, read_cases
from afere.govern.debt.finding import Finding, Rules
from afere.govern.debt.likeness import Likeness
from afere.govern.debt.prompt import untested
from afere.govern.debt.wording import sentences
from afere.govern.impact import Impact, impact
from afere.govern.pairings import Pairing, pairings
from afere.govern.promptdrift import Drift, drifts
from afere.govern.promptlint import Blamed, Problem, blame_version, lint_version, written
from afere.govern.prompts import PromptText
from afere.govern.rowchecks import AT_ONCE
from afere.server import figures, textdiff
from afere.server.pages.artifacts import Used, moves, users
from afere.server.pages.asked import Asked, as_json
from afere.server.pages.trying import Trying, Wanted, trying
from afere.store.scores import APPROVAL

if TYPE_CHECKING:
    from afere.base.artifact import AliasMove, Artifact
    from afere.base.score import Score
    from afere.store import Session

_VERSIONS = 100
_COLUMNS = 4  # versions beside each other
_MEASURES = 3  # of one dataset
_CASES = 1_000  # that a prompt is held against while somebody waits
_LONGEST = 50_000  # characters of a prompt that is held against cases while somebody waits; the debt audit takes all


@dataclass(frozen=True, slots=True)
class Listed:
    """A name with its newest version and where its aliases point."""

    newest: Artifact
    aliases: tuple[AliasMove, ...]

    def to_json(self) -> Json:
        return self.newest.to_json()


@dataclass(frozen=True, slots=True)
class PromptsPage:
    items: tuple[Listed, ...]
    next: str | None


def listed(session: Session, kind: str, asked: Asked) -> tuple[tuple[Listed, ...], str | None]:
    """The names of a kind, last changed first, with their aliases."""
    found = session.find("artifacts", kind=kind, latest=True, limit=asked.limit, cursor=asked.cursor)
    named: list[Listed] = []
    for artifact in found.items:
        now = session.find("aliases", ref=f"{kind}:{artifact.name}", current=True, limit=20).items
        named.append(Listed(artifact, now))
    return tuple(named), found.next


def list_page(session: Session, asked: Asked) -> PromptsPage:
    """All prompts."""
    return PromptsPage(*listed(session, "prompt", asked))


@dataclass(frozen=True, slots=True)
class Difference:
    """Two versions side by side."""

    before: Artifact
    after: Artifact
    lines: tuple[textdiff.Line, ...]
    added: int
    removed: int


@dataclass(frozen=True, slots=True)
class ByModel:
    """One model's line of a measure: its values by version, newest version first, and the newest one's interval."""

    model: str
    values: tuple[Pairing | None, ...]
    newest: Pairing
    figure: figures.Interval | None
    measure: str

    def value(self, one: Pairing) -> float | None:
        """The measure in one of its experiments."""
        return next((each["value"] for each in one.measures if each["name"] == self.measure), None)


@dataclass(frozen=True, slots=True)
class Measured:
    """A measure on one dataset: a line for each model, a column for each version."""

    dataset: str
    measure: str
    versions: tuple[int, ...]
    lines: tuple[ByModel, ...]


@dataclass(frozen=True, slots=True)
class Models:
    """Results by model, and the pairings that they are drawn from."""

    pairings: tuple[Pairing, ...]
    tables: tuple[Measured, ...]


@dataclass(frozen=True, slots=True)
class Checks:
    """What lint says of the version, the instructions that no evaluation case exercises, and what a change of it would touch.

    `too_long`: its characters, where they are more than a page looks at. `cases` are at most 1,001, for more than that.
    """

    problems: tuple[Problem, ...]
    untested: tuple[Finding, ...]
    cases: int
    impact: Impact
    too_long: int = 0


@dataclass(frozen=True, slots=True)
class Approvals:
    """What each person said last of letting the version become what an alias points to, and what protected aliases ask for."""

    said: tuple[Score, ...]
    asked: Mapping[str, int]
    author: str

    @property
    def count(self) -> int:
        """Those that count: who made the version does not."""
        return sum(one.value is True and one.by != self.author for one in self.said)

    def to_json(self) -> Json:
        return {"count": self.count, "asked": dict(self.asked), "said": [one.to_json() for one in self.said]}


@dataclass(frozen=True, slots=True)
class PromptPage:
    """One version of a prompt among the others. `difference` is with the version before, or the two asked for."""

    artifact: Artifact
    text: str
    versions: tuple[Artifact, ...]
    moves: tuple[AliasMove, ...]
    used_by: tuple[Used, ...]
    more_users: int
    difference: Difference | None
    shown: str
    approvals: Approvals
    problems: tuple[Problem, ...]
    models: Models | None = None
    checks: Checks | None = None
    trying: Trying | None = None
    drift: tuple[Drift, ...] = ()  # of the rows that it shows
    blamed: tuple[Blamed, ...] = ()  # each line of its template with the version that brought it

    @property
    def shows(self) -> tuple[str, ...]:
        """The versions of datasets that its examples and snippets were copied from."""
        return tuple(dict.fromkeys(use.ref for use in self.artifact.uses if copied(use.role)))

    @property
    def newest(self) -> Artifact:
        """The version with the highest number."""
        return self.versions[0]

    @property
    def verdict(self) -> str:
        """Where it stands, in a sentence."""
        here = f"@{self.artifact.version}"
        placed = [f"@{one.version} is {' and '.join(one.aliases)}" for one in self.versions if one.aliases]
        stands = "; ".join(placed) + "." if placed else "No alias points to any version yet."
        if self.artifact.version == self.newest.version:
            return (
                f"{here} is the newest of {len(self.versions)}. {stands}"
                if len(self.versions) > 1
                else f"{here} is the only version. {stands}"
            )
        return f"{here} is not the newest: that is @{self.newest.version}. {stands}"

    def to_json(self) -> Json:
        return {
            "artifact": self.artifact.to_json(), "text": self.text, "versions": [one.to_json() for one in self.versions],
            "moves": [move.to_json() for move in self.moves], "used_by": as_json(self.used_by),
            "difference": as_json(self.difference), "approvals": self.approvals.to_json(),
            "lint": [one.to_json() for one in self.problems], "drift": [one.to_json() for one in self.drift],
            **({"blame": [one.to_json() for one in self.blamed]} if self.blamed else {}),
            **({"pairings": as_json(self.models.pairings)} if self.models else {}),
            **({"checks": as_json(self.checks)} if self.checks else {}),
            **({"try": self.trying.to_json()} if self.trying else {}),
        }  # fmt: skip


def page(session: Session, asked: Asked) -> PromptPage:
    """The newest version, or the one in the path (a number or an alias)."""
    name, version = str(asked.path["name"]), asked.path.get("version")
    artifact = session.get(f"prompt:{name}@{version}" if version else f"prompt:{name}")
    before = session.get(f"prompt:{name}@{artifact.version - 1}") if artifact.version > 1 else None
    return _page(session, artifact, before, asked.get("show") or ("diff" if before else "text"))


def diff_page(session: Session, asked: Asked) -> PromptPage:
    """The difference of two versions, in the order asked for."""
    name = asked.path["name"]
    before, after = (session.get(f"prompt:{name}@{asked.path[side]}") for side in ("a", "b"))
    return _page(session, after, before, "diff")


def _page(session: Session, artifact: Artifact, before: Artifact | None, shown: str) -> PromptPage:
    if shown not in ("diff", "text", "blame", "models", "try", "checks", "used"):
        raise BadInput(f"show={shown!r}: one of diff, text, blame, models, try, checks, used.")
    versions = session.find("artifacts", kind="prompt", name=artifact.name, limit=_VERSIONS).items
    used, more = users(session, artifact.ref)
    text = prompt_text(artifact)
    difference = None
    if before is not None:
        lines = textdiff.lines(prompt_text(before), text)
        added = sum(line.after.kind == "plus" for line in lines)
        difference = Difference(before, artifact, lines, added, sum(line.before.kind == "minus" for line in lines))
    problems = tuple(lint_version(session, find_project(session.folder), artifact, most=AT_ONCE))
    return PromptPage(
        artifact,
        text,
        versions,
        moves(session, artifact),
        used,
        more,
        difference,
        shown if difference or shown != "diff" else "text",
        _approvals(session, artifact),
        problems,
        _models(session, artifact.name) if shown == "models" else None,
        _checks(session, artifact, problems) if shown == "checks" else None,
        trying(session, artifact, Wanted()) if shown == "try" else None,
        tuple(_drift(session, artifact)),
        tuple(blame_version(session, artifact)) if shown == "blame" else (),
    )


def _drift(session: Session, artifact: Artifact) -> list[Drift]:
    """The file counts where the store is its project's."""
    if not any(copied(use.role) for use in artifact.uses):
        return []
    project = find_project(session.folder)
    return drifts(session, artifact, written(artifact, project) if project.name == session.project else None)


def _models(session: Session, name: str) -> Models:
    found = pairings(session, name)
    tables: list[Measured] = []
    for dataset in dict.fromkeys(one.dataset for one in found):
        here = [one for one in found if one.dataset == dataset]
        names = dict.fromkeys(each["name"] for one in here for each in one.measures if each["value"] is not None)
        own = [name for name in names if name.partition(".")[0] not in BUILTIN][:_MEASURES]
        versions = tuple(sorted({one.version for one in here}, reverse=True)[:_COLUMNS])
        for measure in own:
            models = dict.fromkeys(one.model for one in here if one.version in versions)
            lines = tuple(_by_model(model, measure, versions, here) for model in models)
            tables.append(Measured(dataset, measure, versions, lines))
    return Models(found, tuple(tables))


def _by_model(model: str, measure: str, versions: Sequence[int], here: Sequence[Pairing]) -> ByModel:
    values = tuple(
        next((one for one in here if one.model == model and one.version == version), None) for version in versions
    )
    newest = next(one for one in values if one is not None)
    said = next((each for each in newest.measures if each["name"] == measure), None)
    figure = None
    if said is not None and said["value"] is not None and said["low"] is not None:
        figure = figures.interval(said["value"], said["low"], said["high"])
    return ByModel(model, values, newest, figure, measure)


def _approvals(session: Session, artifact: Artifact) -> Approvals:
    newest: dict[str, Score] = {}
    for score in session.find("scores", target=artifact.ref, name=APPROVAL, limit=200).items:
        newest.setdefault(score.by, score)  # newest first
    people = tuple(one for one in newest.values() if one.by.startswith("person:"))
    return Approvals(people, {name: count for name, count in session.protected.items() if count}, artifact.by)


def _checks(session: Session, artifact: Artifact, problems: tuple[Problem, ...]) -> Checks:
    """Files of the project count where the store is that project's."""
    project = find_project(session.folder)
    cases = list(islice(read_cases(session, project, []), _CASES + 1)) if project.name == session.project else []
    text = PromptText(artifact.name, str(cast("dict[str, Json]", artifact.content).get("template") or ""), None)
    found: list[Finding] = []
    too_long = len(text.text) if len(text.text) > _LONGEST else 0
    if cases and not too_long and len(cases) <= _CASES:
        facts = Facts(project, Rules(project.section("debt")), now_ns(), prompts=[text], cases=cases)
        told = [one for one in sentences(text) if one.role != "assistant"]
        likeness = Likeness()
        likeness.learn([one.text for one in told])
        found = list(untested(facts, {artifact.name: told}, likeness))
    file = file_of(artifact.name, project) if project.name == session.project else None  # suites name the file
    try:
        touched = impact(session, project, file.relative_to(project.root).as_posix() if file else artifact.ref)
    except BadInput:  # the file is being written
        touched = impact(session, project, artifact.ref)
    return Checks(problems, tuple(found), len(cases), touched, too_long)


def prompt_text(artifact: Artifact) -> str:
    """The prompt as text: what its front matter declares, then the template as it was written."""
    content = artifact.content if isinstance(artifact.content, dict) else {}
    declared = [
        f"{key}: {json.dumps(value, ensure_ascii=False, indent=2)}"
        for key, value in sorted(content.items())
        if key != "template" and value is not None
    ]
    template = content.get("template")
    body = template if isinstance(template, str) else ""
    return "\n".join([*declared, "---", body]) if declared else body
