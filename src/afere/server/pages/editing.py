"""A prompt as a form: its text as people write a prompt file, what lint finds in it, and what would change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from afere.base.artifact import parse_ref
from afere.base.canonical import Json
from afere.base.errors import BadInput, NotFound
from afere.base.project import Project, find_project
from afere.govern.promptediting import Draft, drafted, text_of
from afere.govern.promptlint import Problem
from afere.server import textdiff
from afere.server.pages.asked import Asked

if TYPE_CHECKING:
    from afere.base.artifact import Artifact
    from afere.store import Session

_NEW = "---\ninputs:\n  question: string\n---\n# system\nAnswer in one sentence.\n# user\n{{ question }}\n"


@dataclass(frozen=True, slots=True)
class EditPage:
    """The form. `base` is the newest version there was (0: none), which the next one follows; `of` the version whose text it
    began with. `checked` is the hash of the text whose findings are shown; `lines` is how it differs from `against`.
    """

    name: str
    base: int
    of: int
    text: str
    why: str = ""
    checked: str = ""
    problems: tuple[Problem, ...] = ()
    against: str = ""
    lines: tuple[textdiff.Line, ...] | None = None
    problem: str = ""
    status: int = 200

    @property
    def title(self) -> str:
        """What is edited."""
        return f"Edit prompt:{self.name}@{self.of}" if self.of else "A new prompt"

    def to_json(self) -> Json:
        return {
            "name": self.name, "base": self.base, "of": self.of, "text": self.text,
            "problems": [one.to_json() for one in self.problems],
        }  # fmt: skip


def page(session: Session, asked: Asked) -> EditPage:
    """The text of a version, to be edited; version 0 is a prompt that is not there yet."""
    session.require("write")
    name, version = str(asked.path["name"]), str(asked.path["version"])
    newest = newest_of(session, name)
    base = newest.version if newest else 0
    if version == "0":
        return EditPage(name if newest else "", base, 0, _NEW)
    artifact = session.get(f"prompt:{name}@{version}")
    return EditPage(name, base, artifact.version, text_of(artifact))


def newest_of(session: Session, name: str) -> Artifact | None:
    """The newest version of a prompt; None where there is none of the name."""
    ref = parse_ref(f"prompt:{name}")
    if ref.selected:
        raise BadInput(f"{name!r} is no name of a prompt: it selects a version.")
    try:
        return session.get(ref)
    except NotFound:
        return None


def project_of(session: Session) -> Project:
    """The project whose suites and files lint looks at."""
    return find_project(session.folder)


def read(session: Session, name: str, base: int, text: str) -> Draft:
    """The text as the version after `base`. BadPrompt names the line of what cannot be read."""
    version = session.get(f"prompt:{name}@{base}") if base else None
    return drafted(session, project_of(session), name, text, version)


def checked(shown: EditPage, draft: Draft) -> EditPage:
    """The form with what lint finds, and what differs from the version before."""
    before = text_of(draft.base) if draft.base is not None else ""
    return replace(
        shown, checked=draft.hash, problems=draft.problems, lines=textdiff.lines(before, shown.text.replace("\r\n", "\n")),
        against=draft.base.ref if draft.base is not None else "nothing",
    )  # fmt: skip


def overtaken(session: Session, shown: EditPage) -> EditPage:
    """The form after somebody else made a version: theirs beside what was written, which would now follow it."""
    theirs = newest_of(session, shown.name)
    if theirs is None:
        return shown
    says = (
        f"{theirs.by} made {theirs.ref} meanwhile ({theirs.why or 'no reason said'}). Nothing of yours was kept. Below stands what "
        f"differs; take over what is right of theirs. Saving again makes your text the version after {theirs.ref}."
    )
    lines = textdiff.lines(text_of(theirs), shown.text.replace("\r\n", "\n"))
    return replace(shown, base=theirs.version, checked="", lines=lines, against=theirs.ref, problem=says, status=409)
