"""Prompt files and the registry in step, both ways. What both sides changed is shown, and overwritten by nobody.

The last common version of a prompt is the newest one that its file is known to have said: as noted at the last pull or push,
as git's history of the file tells, or, in a store on this machine, as the version says that was made when the file ran.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from afere.base.artifact import Artifact
from afere.base.canonical import Json
from afere.base.errors import AfereError, BadInput, NotFound, Refused
from afere.base.project import Project
from afere.chains.prompt import Prompt, load_prompt
from afere.chains.promptfiles import load_prompts, prompt_files, stem
from afere.govern.promptdrift import Drift, drifts
from afere.govern.promptwriting import as_before, file_text, write_atomically

if TYPE_CHECKING:
    from afere.store import Session

State = Literal["same", "ahead", "behind", "new", "missing", "deleted", "back", "conflict", "broken"]
STATES: Mapping[State, str] = {
    "same": "as in the registry",
    "ahead": "the file changed: push",
    "behind": "the registry changed: pull",
    "new": "not in the registry: push",
    "missing": "no file: pull",
    "deleted": "its file was deleted here; to have it back, pull it by name",
    "back": "the file says an older version again: promote that one, or pull it by name",
    "conflict": "both changed: decide",
    "broken": "the file cannot be read",
}
IN_STEP = ("same", "deleted")
_NAMED = ("deleted", "back")  # what somebody did here on purpose: undone by name only
_COMMITS = 50


@dataclass(frozen=True)
class Standing:
    """One prompt: its file and its newest version, and how the two stand. `base` is the last common version."""

    name: str
    state: State
    file: Path
    shown: str
    prompt: Prompt | None = None
    newest: Artifact | None = None
    base: int | None = None
    problem: str = ""
    drift: tuple[Drift, ...] = ()  # of the rows that the newest version shows

    @property
    def as_written(self) -> Artifact:
        """What the file says, as an artifact that has no version yet."""
        content = self.prompt.content if self.prompt else {}
        return Artifact("prompt", self.name, 0, self.prompt.hash if self.prompt else "", content)

    def to_json(self) -> dict[str, Json]:
        return {
            "name": self.name, "state": self.state, "file": self.shown, "base": self.base,
            "newest": self.newest.version if self.newest else None, "problem": self.problem or None,
            "drift": [one.to_json() for one in self.drift],
        }  # fmt: skip


@dataclass
class Done:
    """What a pull or push did: one sentence for each prompt it changed, and their files; what is left to decide; what went wrong."""

    did: dict[str, str] = field(default_factory=dict[str, str])
    files: list[Path] = field(default_factory=list[Path])
    conflicts: list[Standing] = field(default_factory=list[Standing])
    problems: dict[str, str] = field(default_factory=dict[str, str])
    left: dict[str, str] = field(
        default_factory=dict[str, str]
    )  # what is neither to be pulled nor pushed, unless by name


def standings(session: Session, project: Project, names: Iterable[str] = ()) -> list[Standing]:
    """Every prompt of the project, or those named, by name."""
    files, found = _read_files(project)
    notes = _Notes(session, project)
    versions = _versions(session)
    gone = {stem(Path(path)) for path in _deleted(project)} if versions.keys() - files.keys() else set[str]()
    for name in sorted({*files, *versions} - ({one.name for one in found} - files.keys())):
        prompt, path = files.get(name, (None, project.root / "prompts" / f"{name}.md"))
        one = _standing(name, prompt, path, versions.get(name, []), session, project, notes)
        if one.state == "missing" and (name in gone or notes.knew(versions[name])):
            one = replace(one, state="deleted")
        found.append(replace(one, drift=tuple(drifts(session, one.newest, prompt))) if one.newest else one)
    wanted = set(names)
    if unknown := wanted - {one.name for one in found}:
        known = ", ".join(sorted(one.name for one in found)) or "none"
        raise NotFound(
            f"No prompt is called {sorted(unknown)[0]!r}, in prompts/ or in the registry. There are: {known}."
        )
    return sorted((one for one in found if not wanted or one.name in wanted), key=lambda one: one.name)


def pull(session: Session, project: Project, names: Iterable[str], *, ours: set[str], theirs: set[str]) -> Done:
    """Write what the registry has newer into the files. `ours` and `theirs` decide conflicts, by name."""
    named = set(names)
    return _step(session, project, named, ours, theirs, take=("behind", "missing", *(_NAMED if named else ())), why="")


def push(
    session: Session, project: Project, names: Iterable[str], *, ours: set[str], theirs: set[str], why: str = ""
) -> Done:
    """Make a version of each file that is newer than the registry. `ours` and `theirs` decide conflicts, by name."""
    return _step(session, project, names, ours, theirs, take=("ahead", "new"), why=why)


def _step(
    session: Session, project: Project, names: Iterable[str], ours: set[str], theirs: set[str], *,
    take: tuple[State, ...], why: str,
) -> Done:  # fmt: skip
    if both := ours & theirs:
        raise BadInput(f"{sorted(both)[0]!r} is under both --ours and --theirs. Name it once.")
    done, notes = Done(), _Notes(session, project)
    found = standings(session, project, names)
    if unknown := (ours | theirs) - {one.name for one in found}:
        raise NotFound(f"--ours and --theirs name prompts: there is no {sorted(unknown)[0]!r} here.")
    for one in found:
        try:
            if one.state == "broken":
                done.problems[one.name] = one.problem
            elif one.state == "same":
                notes.put(one.shown, one.newest)
            elif one.state == "conflict" and one.name not in ours | theirs:
                done.conflicts.append(one)
            elif one.name in theirs or (one.state in take and one.state not in ("ahead", "new")):
                done.did[one.name] = _write(one, project)
                notes.put(one.shown, one.newest)
            elif one.name in ours or one.state in take:
                done.did[one.name] = _put(one, session, why)
                notes.put(one.shown, session.get(f"prompt:{one.name}"))
            elif one.state == "back":
                done.left[one.name] = STATES[one.state]
            if one.name in done.did:
                done.files.append(one.file)
        except AfereError as problem:
            done.problems[one.name] = str(problem)
    notes.write()
    return done


def _write(one: Standing, project: Project) -> str:
    if one.newest is None:
        raise Refused(f"{one.name} is not in the registry, so --theirs has nothing to take.")
    text = file_text(one.newest, one.file, project, one.prompt)
    if one.prompt is not None and one.prompt.changed:
        raise Refused(f"{one.shown} was edited meanwhile. Nothing was written; run it again.")
    write_atomically(one.file, as_before(text, one.file))
    return f"{one.newest.ref} -> {one.shown}"


def _put(one: Standing, session: Session, why: str) -> str:
    if one.prompt is None:
        raise Refused(f"{one.name} has no file, so --ours has nothing to push.")
    after = one.newest.version if one.newest else 0  # what was made since the standing was found is not passed over
    made = one.prompt.put(session, why=why or f"pushed from {one.shown}", after=after, told=True)
    return f"{one.shown} -> {made.ref}"


def _read_files(project: Project) -> tuple[dict[str, tuple[Prompt, Path]], list[Standing]]:
    """The prompts in files by name, and the files that are none."""
    prompts, problems = load_prompts(prompt_files(project), project)
    files: dict[str, tuple[Prompt, Path]] = {}
    wrong = {path: str(problem).replace(f"{project.root}/", "") for path, problem in problems.items()}
    for path, prompt in prompts.items():
        if prompt.name in files:
            shown, other = (one.relative_to(project.root).as_posix() for one in (path, files[prompt.name][1]))
            wrong[path] = f"{shown}: {other} is called {prompt.name!r} too. Give one of them another name:."
        else:
            files[prompt.name] = prompt, path
    return files, [
        Standing(stem(path) or path.stem, "broken", path, path.relative_to(project.root).as_posix(), problem=why)
        for path, why in wrong.items()
    ]


def _versions(session: Session) -> dict[str, list[Artifact]]:
    """The versions by name, oldest first."""
    found: dict[str, list[Artifact]] = {}
    cursor: str | None = None
    while True:
        page = session.find("artifacts", kind="prompt", limit=200, cursor=cursor)
        for artifact in page.items:
            found.setdefault(artifact.name, []).append(artifact)
        if (cursor := page.next) is None:
            break
    return {name: sorted(versions, key=lambda one: one.version) for name, versions in found.items()}


def _standing(
    name: str, prompt: Prompt | None, path: Path, versions: list[Artifact], session: Session, project: Project,
    notes: _Notes,
) -> Standing:  # fmt: skip
    shown = path.relative_to(project.root).as_posix()
    newest = versions[-1] if versions else None
    if prompt is None:
        state: State = "missing" if not path.exists() else "broken"
        problem = "" if state == "missing" else f"{shown} is there, and is not the prompt {name!r}."
        return Standing(name, state, path, shown, None, newest, None, problem)
    if newest is None:
        return Standing(name, "new", path, shown, prompt)
    equal = next((one.version for one in versions if one.hash == prompt.hash), None)
    if equal is not None:
        noted = next((one.version for one in versions if one.hash == notes.get(shown)), 0)
        older: State = "back" if noted > equal else "behind"
        return Standing(name, "same" if equal == newest.version else older, path, shown, prompt, newest, equal)
    base = _base(name, path, shown, versions, session, project, notes)
    return Standing(name, "ahead" if base == newest.version else "conflict", path, shown, prompt, newest, base)


def _base(
    name: str, path: Path, shown: str, versions: list[Artifact], session: Session, project: Project, notes: _Notes
) -> int | None:
    """The newest version that the file is known to have said."""
    hashes = {one.hash: one.version for one in versions}
    known = [hashes.get(notes.get(shown) or "")]
    if session.url is None and session.folder.is_relative_to(project.root):  # else other folders' runs are there too
        known += [one.version for one in versions if one.why == f"first run from {shown}" and one.by == session.actor]
    if versions[-1].version not in known:
        known.append(_in_history(name, path, project, hashes))
    return max((number for number in known if number is not None), default=None)


def _in_history(name: str, path: Path, project: Project, hashes: Mapping[str, int]) -> int | None:
    """The version that a committed text of this file is, newest commit first; None without git or without one."""
    for commit in _git(path, "log", f"-{_COMMITS}", "--format=%H", "--", path.name).split():
        text = _git(path, "show", f"{commit}:./{path.name}")
        with suppress(AfereError):
            found = load_prompt(path, project, text=text)
            if found.name == name and (version := hashes.get(found.hash)) is not None:
                return version
    return None


def _git(path: Path, *words: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the words are ours, and git gets the file's name after --
            ["git", "-C", str(path.parent), "-c", "core.quotepath=off", *words], capture_output=True, check=False, timeout=10  # noqa: S607
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


def _deleted(project: Project) -> list[str]:
    """The prompt files that a commit deleted or renamed, as git's history tells."""
    folder = project.root / "prompts"
    words = ("log", f"-{_COMMITS}", "--diff-filter=D", "--no-renames", "--name-only", "--format=", "--", "prompts")
    return _git(folder, *words).split("\n") if project.root.is_dir() else []


class _Notes:
    """Which version each file was, when it was last seen to be one; on this machine. A lost note asks once more, no worse.

    A folder of a project has notes of its own: several may have one store.
    """

    def __init__(self, session: Session, project: Project) -> None:
        self._path = session.folder / "prompts.json"
        self._project = f"{session.project} {project.root}"
        self._kept: dict[str, Json] = {}
        with suppress(OSError, ValueError):
            said = json.loads(self._path.read_text(encoding="utf-8"))
            self._kept = cast("dict[str, Json]", said) if isinstance(said, dict) else {}

    def get(self, shown: str) -> str | None:
        found = self._kept.get(f"{self._project}/{shown}")
        return found if isinstance(found, str) else None

    def knew(self, versions: Iterable[Artifact]) -> bool:
        """Whether a file was one of these versions here."""
        hashes = {one.hash for one in versions}
        return any(said in hashes for key, said in self._kept.items() if key.startswith(f"{self._project}/"))

    def put(self, shown: str, version: Artifact | None) -> None:
        if version is not None:
            self._kept[f"{self._project}/{shown}"] = version.hash

    def write(self) -> None:
        write_atomically(self._path, json.dumps(self._kept, indent=1) + "\n")
