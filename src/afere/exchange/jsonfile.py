"""Files of JSON values: one a line, a list, or one value that holds a list; of a file or of all of a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from afere.base.errors import BadInput
from afere.exchange.bringing import Bringing, Said

_MOST = 512 * 2**20  # bytes of one file


def records(place: str, into: Bringing, *, inside: tuple[str, ...] = ()) -> Iterator[tuple[str, Said]]:
    """Every mapping with where it stands, FILE:NUMBER. What is none, or is cut off, is named, and the rest goes on.

    inside: the keys under which a tool's answers hold their list, such as `data`.
    """
    if "://" in place:
        raise BadInput(f"{place}: give a file that was exported, or a folder of them; the tool's API is not read.")
    root = Path(place)
    files = sorted(file for file in root.rglob("*.json*") if file.is_file()) if root.is_dir() else [root]
    if not files:
        raise BadInput(f"{place} holds no .json or .jsonl file.")
    for file in files:
        try:
            yield from _of(file, into, inside)
        except UnicodeDecodeError:
            into.problem(str(file), "it is no text in UTF-8, so it is no JSON")
        except (BadInput, OSError) as problem:
            into.problem(str(file), str(problem))


def _of(file: Path, into: Bringing, inside: tuple[str, ...]) -> Iterator[tuple[str, Said]]:
    if (size := file.stat().st_size) > _MOST:
        raise BadInput(f"it has {size:,} bytes; at most {_MOST:,} are read. Cut it into smaller files.")
    text = file.read_text("utf-8-sig")
    for number, value in _values(text, str(file), into):
        for position, one in enumerate(_listed(value, inside), 1):
            where = f"{file}:{number or position}"
            if isinstance(one, dict):
                yield where, cast("Said", one)
            else:
                into.problem(where, f"a mapping is expected, not {type(one).__name__}")


def _values(text: str, file: str, into: Bringing) -> Iterator[tuple[int, Any]]:
    """(line, value) of JSON lines, or the whole as (0, value)."""
    try:
        yield 0, json.loads(text)
        return
    except (ValueError, RecursionError) as problem:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        if len(lines) < 2 or lines[0][1].strip() in ("[", "{"):
            raise BadInput(f"it is not whole JSON: {problem}") from None
    for number, line in lines:
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as problem:
            into.problem(f"{file}:{number}", f"it is not whole JSON: {problem}")


def _listed(value: Any, inside: tuple[str, ...]) -> list[Any]:
    if isinstance(value, list):
        return cast("list[Any]", value)
    if isinstance(value, dict):
        for key in inside:
            found = cast("Said", value).get(key)
            if isinstance(found, list):
                return cast("list[Any]", found)
    return [value]
