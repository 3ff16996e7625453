"""One resolver names every extension: a built-in name, an entry point, or `module:attribute`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Any

from afere.base.errors import NotFound


def load(kind: str, name: str, *, builtin: Mapping[str, str] | None = None) -> Any:
    """The object called `name`: looked up among built-ins, entry points of group `afere.KIND`, and `module:attribute`.

    Nothing is imported before it is named.
    """
    known = dict(builtin or {})
    place = known.get(name)
    if place is None and ":" not in name:
        for point in entry_points(group=f"afere.{kind}"):
            known[point.name] = point.value
        place = known.get(name)
    if place is None and ":" in name:
        place = name
    if place is None:
        near = get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise NotFound(
            f"There is no {kind} called {name!r}.{hint} Known: {', '.join(sorted(known))}; or write module:attribute."
        )
    module_name, _, attribute = place.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except ModuleNotFoundError as error:
        if error.name and module_name.startswith(error.name):
            raise NotFound(
                f"{kind} {name!r}: there is no module {error.name!r}. Check the spelling and the project folder."
            ) from None
        raise
    except AttributeError:
        raise NotFound(f"{kind} {name!r}: module {module_name!r} has no {attribute!r}.") from None
    return found
