"""The files of a source that can be indexed: in order, without hidden ones, and never outside the source."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from afere.base.errors import BadData
from afere.data.documents import SUFFIXES

MAX_FILE = 64 * 1024 * 1024  # bytes; larger files are named and left out
_PASSED_OVER = frozenset({"node_modules", "__pycache__"})


def documents_in(source: Path, name: str, problems: dict[str, str]) -> list[tuple[Path, str]]:
    """(file, the name passages carry) of every document in a folder, or of the one file.

    What cannot be looked into is named in `problems`.
    """
    root = source.resolve()
    if root.is_file():
        if root.suffix.lower() not in SUFFIXES:
            raise BadData(f"{name}: {root.suffix or 'no suffix'} cannot be indexed. Kinds: {', '.join(SUFFIXES)}.")
        return [(root, name)]
    if not root.is_dir():
        raise BadData(f"{name}: there is no such file or folder. Paths start at the project's folder.")

    def label(file: Path) -> str:
        inner = file.relative_to(root).as_posix()
        return inner if name == "." else f"{name}/{inner}"

    def closed(error: OSError) -> None:
        problems[label(Path(str(error.filename)))] = f"cannot be read: {error.strerror}."

    found: list[tuple[Path, str]] = []
    for file in _walk(root, closed):
        try:
            label(file).encode()
        except UnicodeEncodeError:
            problems[label(file).encode(errors="replace").decode()] = "its name is not UTF-8. Rename it."
        else:
            found.append((file, label(file)))
    return found


def _walk(root: Path, closed: Callable[[OSError], None]) -> Iterator[Path]:
    for folder, inner, names in os.walk(root, onerror=closed):  # links to folders are not followed
        inner[:] = sorted(name for name in inner if not name.startswith(".") and name not in _PASSED_OVER)
        for name in sorted(names):
            file = Path(folder, name)
            if name.startswith(".") or file.suffix.lower() not in SUFFIXES:
                continue
            if file.is_symlink() and not file.resolve().is_relative_to(root):
                continue
            yield file


def read_bytes(file: Path) -> bytes:
    """The file's content. BadData says why it cannot be had."""
    try:
        size = file.stat().st_size
        if size > MAX_FILE:
            raise BadData(f"{size >> 20} MB, more than the limit of {MAX_FILE >> 20} MB. Split it.")
        if not file.is_file():
            raise BadData("not a regular file.")
        return file.read_bytes()
    except OSError as problem:
        raise BadData(f"cannot be read: {problem.strerror or problem}.") from None
