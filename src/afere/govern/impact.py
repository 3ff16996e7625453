"""Impact: what a change of a file or version would touch, before it is made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from afere.base.canonical import Json
from afere.base.clock import now_ns
from afere.base.document import read_yaml
from afere.base.errors import AfereError, NotFound
from afere.chains.promptfiles import ending
from afere.govern.prompts import read_prompt

if TYPE_CHECKING:
    from afere.base.artifact import Artifact
    from afere.base.project import Project
    from afere.store import Session

_DAYS = 30
_DAY = 86_400 * 10**9  # nanoseconds
_MOST = 10_000  # artifacts that are named; what lies beyond is not told apart


@dataclass(frozen=True, slots=True)
class Impact:
    """Who is touched. `requests` ran any version of it in the last `days` days, of `all_requests`.

    `chains` are the newest revisions that use any version of it, `releases` the aliases that point to something with it now.
    """

    subject: str
    note: str
    chains: tuple[str, ...]
    suites: tuple[str, ...]
    releases: tuple[str, ...]
    experiments: tuple[str, ...]
    indexes: tuple[str, ...]
    requests: int
    all_requests: int
    days: int
    action: str

    def to_json(self) -> dict[str, Json]:
        return {
            "subject": self.subject, "note": self.note, "chains": list(self.chains), "suites": list(self.suites),
            "releases": list(self.releases), "experiments": list(self.experiments), "indexes": list(self.indexes),
            "requests": self.requests, "all_requests": self.all_requests, "days": self.days, "action": self.action,
        }  # fmt: skip


def impact(session: Session, project: Project, what: str) -> Impact:
    """What a change of a file of the project, or of an artifact, would touch.

    A file stands for what was made of it: `prompts/answer.md` for the prompt, a module for the chains whose code it holds,
    a data file for its dataset and suites, a document for its index.
    """
    path = project.path(what)
    if path.is_file():
        label = path.relative_to(project.root).as_posix() if path.is_relative_to(project.root) else what
        starts, note = _of_file(session, project, path, label)
    else:
        label, note = what, ""
        if "/" in what or path.suffix in (".md", ".prompt", ".prompty", ".py", ".yaml", ".yml", ".jsonl", ".csv"):
            raise NotFound(f"There is no file {what} in {project.root}.")
        starts = [session.get(what)]
    name = starts[0].name if starts else ""
    versions = _versions(session, starts)
    since = now_ns() - _DAYS * _DAY
    if not versions:
        suites = _suites(project, set(), label, name)
        return Impact(label, note, (), suites, (), (), (), 0, session.spans.requests(since), _DAYS, _next(suites, ()))
    found = session.reach(*(one.ref for one in versions), up=False, most=_MOST)
    nodes = sorted((node for node, _ in found.nodes), key=lambda node: node.id, reverse=True)
    chains = tuple({node.name: node.ref for node in reversed(nodes) if node.kind == "chain"}.values())
    suites = _suites(project, {node.name for node in nodes if node.kind == "chain"}, label, name)
    return Impact(
        label, note, chains, suites, tuple(dict.fromkeys(one.alias for one in found.aliases if one.now)),
        tuple(node.ref for node in nodes if node.kind == "experiment"), tuple(node.ref for node in nodes if node.kind == "index"),
        session.spans.ran(found.hashes, limit=1, since=since).count, session.spans.requests(since), _DAYS,
        _next(suites, chains),
    )  # fmt: skip


def _next(suites: tuple[str, ...], chains: tuple[str, ...]) -> str:
    if suites:
        return f"after the change, run: afere eval {suites[0]}"
    if chains:
        return f"no suite tests {chains[0].partition('~')[0]}: write one under evals/ first"
    return "nothing here is known to use it; if it is used elsewhere, trace it: afere exec -- COMMAND"


def _of_file(session: Session, project: Project, path: Path, label: str) -> tuple[list[Artifact], str]:
    """The newest artifacts that were made of a file."""
    if ending(path) and path.is_relative_to(project.root / "prompts"):
        prompt = read_prompt(path, label)
        kept = session.find("artifacts", kind="prompt", name=prompt.name, limit=1).items
        note = "not run yet: no version of it is kept" if not kept else f"newest version kept: {kept[0].ref}"
        return list(kept), note
    for name, said in project.section("indexes").items():
        source = project.path(str(said.get("source"))) if isinstance(said, dict) and said.get("source") else None
        if source is not None and (path == source or path.is_relative_to(source)):
            return list(
                session.find("artifacts", kind="index", name=name, limit=1).items
            ), f"a document of index:{name}"
    if path.suffix == ".py":
        return list(_chains_of(session, label)), "code"
    return list(session.find("artifacts", kind="dataset", name=path.stem.lower(), limit=1).items), "data"


def _chains_of(session: Session, label: str) -> Iterator[Artifact]:
    """The newest revision of each chain whose code stands in a module."""
    for artifact in session.find("artifacts", kind="chain", latest=True, limit=500).items:
        content = cast("dict[str, Json]", artifact.content or {})
        parts = content.get("parts")
        names = [*(parts if isinstance(parts, dict) else ()), str(content.get("entry") or "")]
        if any(name.endswith(f" in {label}") for name in names):
            yield artifact


def _versions(session: Session, starts: list[Artifact]) -> list[Artifact]:
    """All versions of what is meant: answers of last week came from earlier ones."""
    found: list[Artifact] = []
    for one in starts:
        found += session.find("artifacts", kind=one.kind, name=one.name, limit=200).items
    return found


def _suites(project: Project, chains: set[str], label: str, name: str) -> tuple[str, ...]:
    """The suites whose target is one of the chains, or that name the file."""
    found: list[str] = []
    folder = project.root / "evals"
    for file in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))) if folder.is_dir() else ():
        try:
            value = read_yaml(file.read_text(encoding="utf-8"), file=file.name).value
        except (AfereError, OSError, UnicodeDecodeError):  # `afere eval` says what is wrong with it
            continue
        said = value if isinstance(value, dict) else {}
        target, data = str(said.get("target") or ""), str(said.get("data") or "")
        if (
            target in chains
            or label in (target, data, file.relative_to(project.root).as_posix())
            or (name and data.startswith(f"dataset:{name}"))
        ):
            found.append(str(said.get("name") or file.stem))
    return tuple(found)
