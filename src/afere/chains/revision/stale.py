"""Step 7: does the process run what is on disk?

A reached function that is not the one in its file (patched, mocked) becomes a part of its own. A file that changed
after the process started is compiled and compared with what is loaded; where they differ the loaded code counts, by its
bytecode; of constants only those are seen that this process read before the edit. Both are said in a note.
"""

from __future__ import annotations

import os
import sys
import types
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any, cast

from afere.chains.revision.cache import decode, first_index, read_bytes, resolved
from afere.chains.revision.canonical_form import literal
from afere.chains.revision.file_index import Piece
from afere.chains.revision.modules import Modules
from afere.chains.revision.notebook import bytecode_digest
from afere.chains.revision.reach import Part, Reached


@dataclass(slots=True)
class Differences:
    """What differs between the process and the files. `patched` are live objects by the key of the part they replace."""

    patched: dict[str, object] = field(default_factory=dict[str, object])
    loaded: dict[str, str] = field(default_factory=dict[str, str])  # key -> digest of bytecode, or text of a value


def differences(reached: Reached, modules: Modules) -> Differences:
    """Compare reached functions with what is loaded. Modules that are not loaded cannot differ."""
    found = Differences()
    by_file: dict[str, list[Part]] = {}
    for part in reached.parts.values():
        if part.module.file is not None and part.piece.kind in ("function", "method", "constant"):
            by_file.setdefault(part.module.file, []).append(part)
    for file, parts in by_file.items():
        loaded = _loaded(parts[0].module.name, file)
        if loaded is None:
            continue
        stamp = modules.files.stamp(file)
        changed = stamp is not None and stamp[0] > process_start() and _plain_source(loaded)
        on_disk = _compiled(file, stamp[0]) if changed and stamp else {}
        for part in parts:
            _compare(found, part, loaded, on_disk)
    return found


def _compare(found: Differences, part: Part, loaded: types.ModuleType, on_disk: dict[str, str]) -> None:
    piece = part.piece
    live = _object(loaded, piece.name)
    if live is None:
        return
    if piece.kind == "constant":
        if on_disk and _was_edited(piece, live, part.module.file or ""):
            found.loaded[part.key] = literal(live)
        return
    if _is_patched(piece, live, part.module.file or ""):
        found.patched[part.key] = live
        return
    function = _function(live)
    disk = on_disk.get(piece.name)
    if function is None or disk is None or not piece.alone or function.__code__.co_qualname != piece.name:
        return
    if (digest := bytecode_digest(function.__code__)) != disk:
        found.loaded[part.key] = f"bytecode {digest}"


def _was_edited(piece: Piece, live: object, file: str) -> bool:
    """Whether a constant was another literal when this process read the file first, and still has that value."""
    first = first_index(file)
    before = first.pieces.get(piece.name) if first else None
    if before is None or before.value in (None, piece.value) or not isinstance(live, str | int | float | bool):
        return False
    return before.value == (repr(live) if isinstance(live, float) else literal(live))


def _loaded(name: str, file: str) -> types.ModuleType | None:
    for candidate in (name, "__main__"):
        module = sys.modules.get(candidate)
        at = getattr(module, "__file__", None)
        if module is not None and at is not None and resolved(at) == file:
            return module
    return None


def _object(loaded: types.ModuleType, name: str) -> object | None:
    first, _, method = name.partition(".")
    value: object = loaded.__dict__.get(first)
    return cast("dict[str, object]", getattr(value, "__dict__", {})).get(method) if method else value


def _is_patched(piece: Piece, live: object, file: str) -> bool:
    if type(live).__module__ == "unittest.mock":
        return True
    if piece.decorators or not piece.alone:
        return False  # a decorator may return anything
    if not isinstance(live, types.FunctionType):
        return not isinstance(live, staticmethod | classmethod)
    code = live.__code__
    return not (code.co_qualname == piece.name and resolved(code.co_filename) == file)


def _function(live: object) -> types.FunctionType | None:
    """The function under what decorators made of it."""
    for _ in range(20):
        if isinstance(live, types.FunctionType) and not hasattr(live, "__wrapped__"):
            return live
        live = next(
            (inner for name in ("__wrapped__", "fn", "__func__", "fget") if (inner := getattr(live, name, None))), None
        )
    return None


def _plain_source(loaded: types.ModuleType) -> bool:
    """Whether the loader runs the source as it is (pytest, for one, rewrites assertions)."""
    loader: Any = getattr(loaded, "__loader__", None)
    return type(loader) is SourceFileLoader


@lru_cache(maxsize=64)
def _compiled(file: str, _changed: int) -> dict[str, str]:
    """The digest of the bytecode of each function that a file has on disk, by qualified name."""
    try:
        code = compile(decode(read_bytes(file)), file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return {}
    found: dict[str, str] = {}
    todo = [code]
    while todo:
        one = todo.pop()
        for inner in one.co_consts:
            if isinstance(inner, types.CodeType):
                found[inner.co_qualname] = bytecode_digest(inner)
                todo.append(inner)
    return found


@lru_cache(maxsize=1)
def process_start() -> int:
    """When this process started, in nanoseconds since 1970; 0 where the system does not say, and all files are compared."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        booted = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
        return (int(booted.split()[1]) * 100 + ticks * 100 // os.sysconf("SC_CLK_TCK")) * 10_000_000
    except (OSError, ValueError, IndexError, StopIteration):
        return 0
