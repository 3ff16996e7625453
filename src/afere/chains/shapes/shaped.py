"""What the shapes of prompts have in common: messages as our templates, fields as in our front matter, and what became of each."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from afere.base.canonical import Json
from afere.base.errors import BadPrompt
from afere.chains.template import Section, split_roles

ORDER = ("name", "owner", "description", "model", "parameters", "inputs", "output", "examples", "snippets", "tools")


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one field or construct. `spoils`: without it the prompt says something else."""

    field: str
    how: Literal["kept", "changed", "lost"]
    why: str = ""
    spoils: bool = False

    def to_json(self) -> dict[str, Json]:
        return {"field": self.field, "how": self.how, "why": self.why}


@dataclass(frozen=True)
class Shaped:
    """A prompt between two shapes. `sections` are templates of ours; `fields` as in front matter; `told` is what became of what
    its file says. `ours`: it was read from a prompt file of ours."""

    fields: Mapping[str, Json]
    sections: tuple[Section, ...]
    told: tuple[Told, ...] = ()
    file: str = ""
    ours: bool = False

    @property
    def name(self) -> str:
        return str(self.fields["name"])

    @property
    def body(self) -> str:
        """The template as a prompt file of ours writes it. BadPrompt where a message's text would begin another one."""
        body = "\n".join(f"# {one.role}\n{one.text.strip(chr(10))}" for one in self.sections)
        again = split_roles(body, file=self.file)
        if [(one.role, one.text) for one in again] != [
            (one.role, one.text.strip("\n").rstrip()) for one in self.sections
        ]:
            raise BadPrompt(f"{self.file}: a message holds a line such as '# user', which begins a message here.")
        return body

    @property
    def text(self) -> str:
        """The prompt file of ours that says the same."""
        head = "".join(
            f"{key}: {json.dumps(self.fields[key], ensure_ascii=False)}\n"
            for key in ORDER
            if self.fields.get(key) not in (None, {}, [])
        )
        return f"---\n{head}---\n{self.body}\n"


@dataclass
class Notes:
    """Collects what became of each field while a prompt is read or written."""

    told: list[Told] = field(default_factory=list[Told])

    def changed(self, name: str, why: str) -> None:
        self.told.append(Told(name, "changed", why))

    def lost(self, name: str, why: str, *, spoils: bool = False) -> None:
        self.told.append(Told(name, "lost", why, spoils))

    def rest(self, said: Iterable[str], known: Collection[str], *, below: str = "") -> None:
        """Of everything that was said: what is known and was not told of is kept, what is not known is lost."""
        told = {one.field.partition(".")[0] for one in self.told}
        for name in said:
            if name not in known:
                self.lost(f"{below}{name}", "no place there" if below else "no place in a prompt file")
            elif not below and name not in told:
                self.told.append(Told(name, "kept"))


def owner_in(said: Mapping[str, Json]) -> str | None:
    """Who looks after it, where a file of another tool has a place for that: `metadata.owner`."""
    metadata = said.get("metadata")
    owner = metadata.get("owner") if isinstance(metadata, dict) else None
    return owner if isinstance(owner, str) and owner else None


def without_owner(said: Mapping[str, Json]) -> dict[str, Json]:
    """A front matter without the `metadata` that says the owner and nothing else."""
    alone = owner_in(said) is not None and len(cast("dict[str, Json]", said["metadata"])) == 1
    return {name: value for name, value in said.items() if not (alone and name == "metadata")}
