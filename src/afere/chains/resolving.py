"""Which chain a name means."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from afere.base.artifact import parse_ref
from afere.base.errors import BadReference, NotFound, Refused
from afere.base.extension import imported
from afere.base.project import Project
from afere.chains.chain import Chain
from afere.chains.template import nearest
from afere.data.place import session_of


def resolve_chain(name: str, project: Project) -> Chain[..., Any]:
    """A chain by its name under `chains:` of afere.yaml, as `module:attribute`, or by a reference such as `qa@production`.

    A reference to a revision holds only while the code is that revision: stored code is never run.
    """
    declared = {key: str(place) for key, place in project.section("chains").items()}
    if name in declared:
        return _import(declared[name], f"chain {name!r}", project)
    try:
        ref = parse_ref(name, kind="chain")
    except BadReference:
        if ":" in name:
            return _import(name, f"chain {name!r}", project)
        raise _unknown(name, declared, project) from None
    if ref.name not in declared:
        raise _unknown(ref.name, declared, project)
    found = _import(declared[ref.name], f"chain {ref.name!r}", project)
    if ref.selected:
        wanted, here = session_of(project).get(ref, kind="chain"), found.revision()
        if wanted.hash != here.hash:
            raise Refused(
                f"{name} is the revision {wanted.ref}, but the code here is {here.ref}, and stored code is not run. "
                f"Check out the commit of {wanted.ref} (afere diff {wanted.ref} {here.ref} shows what differs)."
            )
    return found


def _unknown(name: str, declared: dict[str, str], project: Project) -> NotFound:
    known = ", ".join(sorted(declared)) or "none"
    where = project.root / "afere.yaml"
    return NotFound(
        f"There is no chain called {name!r}.{nearest(name, declared)} Chains in {where}: {known}. "
        f'Declare it there: chains: {{{name if name.isidentifier() else "qa"}: "app:qa"}}, or write module:attribute.'
    )


def _import(place: str, what: str, project: Project) -> Chain[..., Any]:
    module_name, _, attribute = place.partition(":")
    if not module_name or not attribute:
        raise NotFound(f"{what}: {place!r} is not module:attribute, such as app:qa.")
    found: Any = _module(module_name, what, project)
    for part in attribute.split("."):
        if not hasattr(found, part):
            chains = (
                [key for key, value in vars(found).items() if isinstance(value, Chain)]
                if isinstance(found, ModuleType)
                else []
            )
            raise NotFound(
                f"{what}: {module_name} has no {part!r}.{nearest(part, chains)} Chains there: {', '.join(chains) or 'none'}."
            )
        found = getattr(found, part)
    if not isinstance(found, Chain):
        raise NotFound(
            f"{what}: {place} is a {type(found).__name__}, not a chain. Decorate the function with @afere.chain."
        )
    return cast("Chain[..., Any]", found)


def _module(name: str, what: str, project: Project) -> ModuleType:
    root = str(project.root)
    if root not in sys.path:
        sys.path.insert(0, root)
    _forget_others(name.partition(".")[0], project.root)
    return imported(name, what, f"It was looked for in {root}. Correct chains: in afere.yaml.")


def _forget_others(top: str, root: Path) -> None:
    """Drop a module of that name that came from another project, if this one has its own."""
    loaded = sys.modules.get(top)
    own = next((path for path in (root / f"{top}.py", root / top / "__init__.py") if path.is_file()), None)
    file = getattr(loaded, "__file__", None)
    if loaded is None or own is None or file is None or Path(file).resolve() == own.resolve():
        return
    for name in [name for name in sys.modules if name == top or name.startswith(top + ".")]:
        del sys.modules[name]
    sys.path.remove(str(root))
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
