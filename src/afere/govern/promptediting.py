"""A prompt edited as text, on a page or by a program: read without touching a file, checked, kept as a new version."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from afere.base.artifact import Artifact, check_name
from afere.base.canonical import Json
from afere.base.errors import AfereError, BadInput
from afere.chains.prompt import Prompt, stored_prompt, written_prompt
from afere.chains.promptschema import VERSIONED
from afere.govern.promptlint import Problem, lint_version
from afere.govern.promptwriting import by_reference, flow
from afere.govern.rowchecks import AT_ONCE

if TYPE_CHECKING:
    from afere.base.project import Project
    from afere.store import Session

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS = ("true", "false", "null")  # which YAML reads as values


@dataclass(frozen=True)
class Draft:
    """What a text would be as the version after `base` (None: as the first), and what lint finds in it."""

    prompt: Prompt
    base: Artifact | None
    problems: tuple[Problem, ...]

    @property
    def hash(self) -> str:
        """The identity that the version would have."""
        return self.prompt.hash


def text_of(version: Artifact) -> str:
    """A version as people write a prompt file: the fields that a version holds, then the template. Examples and snippets
    that were copied from a dataset are named by it.
    """
    content = cast("dict[str, Json]", version.content)
    named = by_reference(version)
    lines = [line for key in VERSIONED if content.get(key) is not None for line in _field(key, named[key])]
    body = str(content.get("template") or "")
    return "\n".join(["---", *lines, "---", body]) if lines or body.startswith("---") else body


def drafted(session: Session, project: Project, name: str, text: str, base: Artifact | None) -> Draft:
    """The text as a version, with what lint finds. BadPrompt names the line of what cannot be read."""
    check_name(name, "prompt")
    prompt = written_prompt(name, text, session=session, base=base)
    version = Artifact("prompt", name, 0, prompt.hash, prompt.content)
    return Draft(prompt, base, tuple(lint_version(session, project, version, prompt=prompt, most=AT_ONCE)))


def keep(session: Session, draft: Draft, why: str) -> Artifact:
    """Make the version. Overtaken where another is newer than the draft's base; BadInput where there is nothing new in it."""
    if not why.strip():
        raise BadInput("why: a reason is needed: it is what the next person reads first.")
    if draft.base is not None and _content(draft.base) == draft.prompt.content:
        raise BadInput(f"The text says what {draft.base.ref} says: there is nothing to keep.")
    for known in session.find("artifacts", hash=draft.hash, limit=1).items:
        raise BadInput(
            f"{known.ref} says exactly this already, so that no version was made. To use it again, move the alias to it: "
            f'afere promote {known.ref} production --why "..."'
        )
    after = draft.base.version if draft.base is not None else 0
    return draft.prompt.put(session, why=why.strip(), after=after, told=True)


def _content(version: Artifact) -> Mapping[str, Json]:
    try:
        return stored_prompt(version).content
    except AfereError:  # a broken version was kept once; it is no reason not to mend it
        return {}


def _field(key: str, value: Json) -> Iterator[str]:
    if key == "inputs" and isinstance(value, dict) and value:
        yield "inputs:"
        for name, schema in value.items():
            short = schema.get("type") if isinstance(schema, dict) and list(schema) == ["type"] else None
            yield f"  {_key(name)}: {short if isinstance(short, str) else flow(schema)}"
    elif key == "snippets" and isinstance(value, dict):
        yield "snippets:"
        for name, said in value.items():
            if isinstance(said, list):
                yield f"  {_key(name)}:"
                yield from (f"    - {flow(one)}" for one in said)
            else:
                yield f"  {_key(name)}: {said}"
    elif key == "examples" and isinstance(value, list):
        yield "examples:"
        yield from (f"  - {flow(one)}" for one in value)
    elif key == "examples" and isinstance(value, str):
        yield f"examples: {value}"
    else:
        yield f"{key}: {flow(value)}"


def _key(name: str) -> str:
    return name if _PLAIN.fullmatch(name) and name.lower() not in _WORDS else flow(name)
