"""Ready: all that one state of a component calls with."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from afere.base.artifact import Artifact, Use, identity, short
from afere.base.canonical import Json
from afere.base.errors import LacksScope
from afere.base.message import Message, ToolSpec
from afere.chains.prompt import Prompt
from afere.models import Model, Request
from afere.store import Session


@dataclass
class Ready:
    """All that one state of a component calls with: its files as they are now, its model found, its tools described."""

    origin: str  # where the prompt stands: a file of the project, or a reference
    prompt: Prompt
    model: Model
    model_name: str
    parameters: Mapping[str, Json]
    tools: tuple[ToolSpec, ...]
    kept: dict[tuple[str, str], tuple[Artifact, Artifact]] = field(
        default_factory=dict[tuple[str, str], tuple[Artifact, Artifact]]
    )
    said: tuple[object, list[tuple[str, str]]] = (None, [])  # references and hashes, and the `still` in which they hold
    source: str | None = None  # of a fetched prompt: store, disk or file
    putting: threading.Thread | None = None

    @property
    def content(self) -> dict[str, Json]:
        """What the artifact `component:NAME` holds, beside its edge to the prompt."""
        return {"model": self.model_name, "parameters": dict(self.parameters)}

    def put(self, session: Session) -> tuple[Artifact, Artifact]:
        """The versions of the prompt and of the component; made when there is none with this content."""
        place = (str(session.folder), session.project)
        if place not in self.kept:
            name, why = self.prompt.name, f"first run from {self.origin}"
            prompt = self.prompt.put(session, why=why)
            uses = [Use("prompt", prompt.ref, prompt.hash)]
            self.kept[place] = (prompt, session.put("component", name, self.content, uses=uses, why=why))
        return self.kept[place]

    def hashes(self) -> tuple[str, str]:
        """The identities of prompt and component, without a store."""
        prompt = self.prompt.hash
        return prompt, identity("component", self.prompt.name, self.content, None, [Use("prompt", "", prompt)])

    def request(self, values: Mapping[str, Json], more: tuple[Message, ...] = ()) -> Request:
        """What is sent for these checked inputs, with `more` turns after them."""
        messages = (*self.prompt.render(values), *more)
        return Request(messages, self.parameters, self.tools, self.prompt.output)


def why_unkept(problem: Exception) -> str:
    """What to say of a version or revision that could not be kept: which scope that takes, if it is one that lacks."""
    if not isinstance(problem, LacksScope):
        return str(problem)
    lacks, _, remedy = str(problem).partition(". ")
    create = remedy.partition(": ")[2].partition(" --scope ")[0]
    return f"{lacks}. Versions and revisions take a key with the scope write: {create} --scope write. Spans are sent all the same."


def unkept(ready: Ready) -> list[tuple[str, str]]:
    """What ran, named by hash, since the store did not say its number yet."""
    prompt, component = ready.hashes()
    name = ready.prompt.name
    known = ready.prompt.file if ready.prompt.file.startswith("prompt:") else f"prompt:{name}~{short(prompt)}"
    return [(known, prompt), (f"component:{name}~{short(component)}", component)]
