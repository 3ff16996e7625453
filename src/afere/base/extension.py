"""One resolver names every extension: a built-in name, an entry point, or `module:attribute`."""

from __future__ import annotations

import importlib
import sysconfig
import traceback
from collections.abc import Mapping
from difflib import get_close_matches
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from afere.base.errors import AfereError, BadInput, NotFound


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
    found: Any = imported(module_name, f"{kind} {name!r}", "Check the spelling and the project folder.")
    try:
        for part in attribute.split("."):
            found = getattr(found, part)
    except AttributeError:
        raise NotFound(f"{kind} {name!r}: module {module_name!r} has no {attribute!r}.") from None
    return found


def imported(module: str, what: str, remedy: str) -> ModuleType:
    """The module, imported for `what`. NotFound, with the remedy, if there is none of that name.

    BadInput if its code does not import, with the line of the user's own code; the error itself is the cause.
    """
    try:
        return importlib.import_module(module)
    except AfereError:
        raise
    except (Exception, SystemExit) as error:
        gone = error.name if isinstance(error, ModuleNotFoundError) else None
        if gone and (module == gone or module.startswith(f"{gone}.")):
            raise NotFound(f"{what}: there is no module {gone!r}. {remedy}") from None
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        said = f"{type(error).__name__}: {said}".strip(": ").rstrip(".")
        next_ = f"Install {gone.partition('.')[0]}, or correct the import." if gone else "Correct it, and run it again."
        raise BadInput(f"{_place(error) or module}: {said}. So {what} cannot be imported. {next_}") from error


def _place(error: BaseException) -> str:
    """`app.py:12`: the deepest line that is neither of a library nor of afere."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_near(error.filename)}:{error.lineno}"
    libraries = [
        *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
        str(Path(__file__).parents[1]),
    ]
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and not any(Path(frame.filename).is_relative_to(one) for one in libraries)
    ]
    return f"{_near(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""


def _near(file: str) -> str:
    """A file as it is called from the current folder."""
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
