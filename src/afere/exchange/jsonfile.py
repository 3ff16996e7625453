"""Files of JSON values: one a line, a list, or one value that holds a list; of a file or of all of a folder.

A file is read value by value, however big it is: what is held at once is one value.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO, cast

from afere.base.errors import BadInput
from afere.exchange.bringing import Bringing, Said

_MOST = 256 * 2**20  # characters of one value
_LINE = 16 * 2**20  # characters of a first line: a longer one is all of the file, and is taken apart as it is read
_PIECE = 2**20  # characters that are read at once
_NEAR = 16  # characters before the end of what was read: an error there may be only the cut
_SPACE = " \t\r\n"


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
            for number, value in _values(file, into, inside):
                if isinstance(value, dict):
                    yield f"{file}:{number}", cast("Said", value)
                else:
                    into.problem(f"{file}:{number}", f"a mapping is expected, not {type(value).__name__}")
        except UnicodeDecodeError:
            into.problem(str(file), "it is no text in UTF-8, so it is no JSON")
        except (BadInput, EOFError, OSError, zlib.error) as problem:
            into.problem(str(file), str(problem))


def _values(file: Path, into: Bringing, inside: tuple[str, ...]) -> Iterator[tuple[int, Any]]:
    """Each value of a file with its number: that of its line, or which one of a list it is."""
    with file.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
    with gzip.open(file, "rt", encoding="utf-8-sig") if packed else file.open(encoding="utf-8-sig") as opened:
        stream = cast("TextIO", opened)
        lines = _by_line(stream)
        stream.seek(0)
        if not lines:
            yield from _Text(stream).values(inside)
            return
        for number, line in enumerate(stream, 1):
            if line.strip():
                try:
                    value = json.loads(line)
                except (ValueError, RecursionError) as problem:
                    into.problem(f"{file}:{number}", f"it is not whole JSON: {problem}")
                    continue
                for position, one in enumerate(_listed(value, inside), 1):
                    yield number if number > 1 else position, one


def _by_line(stream: TextIO) -> bool:
    """Whether each line is a value: the first one is, or the second where the first one is torn."""
    filled = 0
    while filled < 2 and len(line := stream.readline(_LINE)) not in (0, _LINE):
        filled += bool(line.strip())
        if line.lstrip()[:1] == "{" and _whole(line):
            return True
    return False


def _whole(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


class _Text:
    """A file's text, of which values are taken from the front."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._held, self._at = stream, "", 0

    def values(self, inside: tuple[str, ...]) -> Iterator[tuple[int, Any]]:
        """The values that stand one after another, or in a list, or in a list that a mapping holds under one of these keys."""
        number = 0
        while sign := self._sign():
            if sign == "[":
                yield from self._list()
            elif sign == "{" and inside:
                number += 1
                yield from self._mapping(inside, number)
            else:
                number += 1
                yield number, self._value()

    def _list(self) -> Iterator[tuple[int, Any]]:
        number, sign = 0, self._past("[")
        while sign != "]":
            number += 1
            yield number, self._value()
            sign = self._sign()
            if sign == ",":
                sign = self._past(",")
            elif sign != "]":
                raise BadInput(f"it is not whole JSON: a list ends after {number:,}")
        self._past("]")

    def _mapping(self, inside: tuple[str, ...], number: int) -> Iterator[tuple[int, Any]]:
        said: Said = {}
        listed, sign = False, self._past("{")
        while sign != "}":
            key = str(self._value())
            if self._sign() != ":":
                raise BadInput(f"it is not whole JSON: nothing is said of {key!r}")
            if self._past(":") == "[" and key in inside:
                listed = True
                yield from self._list()
            else:
                said[key] = self._value()
            sign = self._sign()
            if sign == ",":
                sign = self._past(",")
            elif sign != "}":
                raise BadInput(f"it is not whole JSON: a mapping ends after {key!r}")
        self._past("}")
        if not listed:
            yield number, said

    def _sign(self) -> str:
        """The next sign that is no space; an empty text at the end."""
        while True:
            while self._at < len(self._held) and self._held[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._held) or not self._more():
                return self._held[self._at : self._at + 1]

    def _past(self, sign: str) -> str:
        """The next sign after this one."""
        self._at += len(sign)
        return self._sign()

    def _value(self) -> Any:
        self._sign()
        while True:
            try:
                value, end = json.JSONDecoder().raw_decode(self._held, self._at)
            except RecursionError:
                raise BadInput("it is not whole JSON: it is nested too deeply") from None
            except json.JSONDecodeError as problem:
                cut = "Unterminated" in problem.msg or problem.pos >= len(self._held) - _NEAR
                if not cut or not self._more():
                    raise BadInput(f"it is not whole JSON: {problem.msg}") from None
                continue
            if end < len(self._held) or not self._more():  # a number at the end may go on
                self._at = end
                return value

    def _more(self) -> bool:
        """Read on, as much again as is held, so that a long value is not read from its start too often."""
        held = len(self._held) - self._at
        if held > _MOST:
            raise BadInput(f"one value has more than {_MOST:,} characters")
        piece = self._stream.read(max(_PIECE, held))
        self._held, self._at = self._held[self._at :] + piece, 0
        return bool(piece)


def _listed(value: Any, inside: tuple[str, ...]) -> list[Any]:
    """The values of one line: those of the list that it is or holds, or itself."""
    held: list[Any] = [value, *(cast("Said", value).get(key) for key in inside if isinstance(value, dict))]
    lists = [cast("list[Any]", one) for one in held if isinstance(one, list)]
    return lists[0] if lists else [value]
