"""What is evaluated: a chain, a component, any callable, an address, or outputs that exist already."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from afere.base.artifact import Artifact, parse_ref, slug
from afere.base.errors import BadInput, BadReference, NotFound
from afere.base.extension import load
from afere.base.project import Project
from afere.chains import Chain, Component, chain, resolve_chain
from afere.chains.framework import asked_of
from afere.chains.prompt import FOREIGN
from afere.store import Session

_FILES = (".md", ".txt", ".jinja", ".j2", *FOREIGN)


@dataclass(frozen=True)
class Subject:
    """Something to evaluate. `run` is None where the rows' own outputs are scored."""

    name: str
    run: Callable[..., Any] | str | None

    def artifact(self, session: Session) -> Artifact | None:
        """Its version as it is now: a chain's revision, a component; None for an address or for outputs."""
        run = cast("Any", self.run)
        if isinstance(run, Chain):
            return run.revision()
        return run.put(session) if isinstance(run, Component) else None

    def identity(self, session: Session) -> tuple[str, str] | None:
        """Ref and hash; what has no artifact has no hash, and is called by its address or name. None: nothing runs."""
        made = self.artifact(session)
        if made is not None:
            return made.ref, made.hash
        return None if self.run is None else (self.run if isinstance(self.run, str) else self.name, "")


def subject_of(target: object, project: Project) -> Subject:
    """Read a target: see `Subject`. NotFound says what names there are."""
    if target is None:
        return Subject("outputs", None)
    if isinstance(target, str):
        return _named(target.strip(), project)
    if isinstance(target, Chain | Component):
        made = cast("Chain[..., Any] | Component", target)
        return Subject(made.name, made)
    if asked_of(target) is not None:
        return _function(cast("Callable[..., Any]", target))
    if not callable(target):
        raise BadInput(
            f"The target is a {type(target).__name__}. Give a function, a chain, a component, a name under chains: of "
            "afere.yaml, an address, or None to score the rows' own outputs."
        )
    return _function(cast("Callable[..., Any]", target))


def importable(project: Project) -> None:
    """Let `app:qa` import from the project's root, as it does for a script that runs there."""
    root = str(project.root)
    if root not in sys.path:
        sys.path.insert(0, root)


def _named(target: str, project: Project) -> Subject:
    if target.startswith(("http://", "https://")):
        label = slug(target.partition("//")[2])
        return Subject(label or "address", target)
    declared = project.section("chains")
    if target in declared:
        return Subject(target, resolve_chain(target, project))
    if target.endswith(_FILES) or "/" in target:
        made = Component(project.path(target), project)
        return Subject(made.name, made)
    try:
        ref = parse_ref(target)
    except BadReference:
        ref = None
    if ref is not None and ref.kind in ("component", "prompt"):
        made = Component(ref, project)
        return Subject(made.name, made)
    if ref is not None and (ref.kind == "chain" or ref.selected):
        return Subject(ref.name, resolve_chain(target, project))  # refused unless the code here is that revision
    if ":" in target:
        importable(project)
        return subject_of(load("target", target), project)
    known = ", ".join(sorted(declared)) or "none"
    raise NotFound(
        f"There is no target called {target!r}. Chains in afere.yaml: {known}. Or write module:function, prompts/FILE.md, "
        "or http(s)://host/path."
    )


def _function(fn: Callable[..., Any]) -> Subject:
    """Plain functions become chains, so that their revision is known. Other callables run as they are."""
    said = getattr(fn, "__name__", None) or (getattr(fn, "name", None) if not callable(fn) else None)
    name = slug(str(said or type(fn).__name__))
    name = name if name[:1].isalpha() else "target"
    if inspect.isfunction(fn) or inspect.ismethod(fn):
        return Subject(name, chain(fn, name=name))
    return Subject(name, fn)
