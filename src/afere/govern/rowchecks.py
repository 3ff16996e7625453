"""The checks of a dataset in its project: beside its rows, what prompts show as examples and what indexes hold."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from afere.base.canonical import Json, digest_of
from afere.base.errors import AfereError
from afere.chains.prompt import Prompt, load_prompt, stored_prompt
from afere.chains.promptfiles import prompt_files
from afere.data.checks import Check, Shown, State, check_from_json, check_rows
from afere.data.indexes import Index, unpack

if TYPE_CHECKING:
    from afere.base.artifact import Artifact
    from afere.base.project import Project
    from afere.data import Dataset
    from afere.store import Session

AT_ONCE = 2000  # rows that are checked while somebody waits for something else: under a second
_MADE = 3  # counts up when a check looks for something else, so that what is kept of it is made anew
_WORST: list[State] = ["error", "warning", "note", "pass", "none"]


@dataclass(frozen=True)
class Checked:
    """What the checks said of one version. `seconds` is None where it was known from before."""

    ref: str
    rows: int
    checks: tuple[Check, ...]
    seconds: float | None

    def of(self, state: State) -> list[Check]:
        """The checks in that state."""
        return [one for one in self.checks if one.state == state]

    @property
    def worst(self) -> State:
        """The gravest state of all."""
        return min((one.state for one in self.checks), key=_WORST.index)

    @property
    def line(self) -> str:
        """One sentence; empty where there is nothing to look at."""
        found = [*self.of("error"), *self.of("warning")]
        return "; ".join(one.says for one in found)

    def to_json(self) -> dict[str, Json]:
        return {
            "ref": self.ref, "rows": self.rows, "worst": self.worst, "seconds": self.seconds,
            "checks": [one.to_json() for one in self.checks],
        }  # fmt: skip


def checked(data: Dataset, session: Session, project: Project, *, most: int | None = None) -> Checked | None:
    """Check a version, or tell what is known of it. None: it has more than `most` rows, and was not checked before."""
    examples, indexes = list(_examples(session, project)), _indexes(session)
    key = "checks:" + digest_of(
        [_MADE, data.hash, [[one.place, one.input] for one in examples], [index.hash for index in indexes]]
    )
    known = cast("list[Any] | None", session.cache.get(key))
    if known is not None:
        return Checked(data.ref, len(data), tuple(map(check_from_json, known)), None)
    if most is not None and len(data) > most:
        return None
    begun = time.monotonic()
    found = check_rows(data.rows, examples=examples, documents=_documents(indexes))
    session.cache.put(key, [one.to_json() for one in found])
    return Checked(data.ref, len(data), tuple(found), round(time.monotonic() - begun, 3))


def _examples(session: Session, project: Project) -> Iterator[Shown]:
    """What the project's prompts show: those of its files, and of the registry where there is no file."""
    names: set[str] = set()
    for path in prompt_files(project):
        try:
            prompt = load_prompt(path, project)
        except AfereError:
            continue  # who runs or lints it is told
        names.add(prompt.name)
        shown = path.relative_to(project.root).as_posix()
        yield from (Shown(f"{shown} {one.place}", one.input) for one in shown_by(prompt))
    for artifact in _newest(session, "prompt"):
        if artifact.name not in names:
            with suppress(AfereError, KeyError, TypeError):  # another tool's, or of a newer version
                prompt = stored_prompt(artifact)
                yield from (Shown(f"{artifact.ref} {one.place}", one.input) for one in shown_by(prompt))


def shown_by(prompt: Prompt) -> Iterator[Shown]:
    """What a prompt shows the model from data: the inputs of its examples, and its snippets."""
    for number, one in enumerate(prompt.examples, 1):
        yield Shown(f"example {number}", one.input if isinstance(one.input, str) else dict(one.input))
    for name, texts in prompt.snippets.items():
        yield from (
            Shown(f"snippet {number} of {name}", text, f"snippets.{name}") for number, text in enumerate(texts, 1)
        )


def _indexes(session: Session) -> list[Index]:
    return [Index(artifact, session) for artifact in _newest(session, "index")]


def _documents(indexes: list[Index]) -> Iterator[tuple[str, str]]:
    for index in indexes:
        for path, part in index.files.items():
            yield f"{path} of {index.ref}", unpack(index.session.blob(str(part["blob"])))[0]


def _newest(session: Session, kind: str) -> Iterator[Artifact]:
    """The newest version of each artifact of a kind."""
    cursor: str | None = None
    while True:
        page = session.find("artifacts", kind=kind, latest=True, limit=1000, cursor=cursor)
        yield from page.items
        if (cursor := page.next) is None:
            return
