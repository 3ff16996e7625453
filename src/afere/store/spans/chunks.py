"""Chunks: what the spans of one trace in one batch hold beside their columns, compressed together.

A chunk begins with a NUL and a line of JSON that says how long its parts are and what they have in common; then come the
parts, one a span. A part is JSON of ours, or a span as it came: its bytes, in a form of which `FORMS` names the reader,
and read only when somebody asks. Until layout 5 a chunk was lines of JSON. A damaged part costs its details, never a list.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast

import orjson

from afere.base.canonical import Json
from afere.base.extension import load
from afere.store.spans.dictionary import packer, unpacked
from afere.store.spans.texts import strings

FORMS = {"otlp": "afere.tracing.otlp.kept:Kept"}  # who reads parts that are no JSON of ours


class Part(NamedTuple):
    """What a chunk keeps of a span; `common`: JSON that parts share, of which the first names the form."""

    data: bytes
    common: tuple[bytes, ...] = ()


class Kept(Protocol):
    """A span as it came, at rest: `details` as `detail` makes them, `light` those that a list shows."""

    def details(self) -> dict[str, Any]: ...
    def light(self) -> dict[str, Any]: ...
    def texts(self) -> list[str]: ...


class Chunking:
    """Makes chunks of the spans of a project; for one transaction."""

    def __init__(self, connection: sqlite3.Connection, project: str) -> None:
        self._pack = packer(connection, project)

    def encode(self, parts: Sequence[Part]) -> bytes:
        """A chunk of these parts."""
        common: dict[bytes, int] = {}
        numbers: dict[tuple[bytes, ...], str] = {}
        lines: list[str] = []
        for data, shared in parts:
            known = numbers.get(shared)
            if known is None:
                known = "".join([f",{common.setdefault(one, len(common))}" for one in shared])
                numbers[shared] = known
            lines.append(f"[{len(data)}{known}]")
        head = f'\0{{"parts":[{",".join(lines)}],"common":['.encode()
        whole = b"".join((head, b",".join(common), b"]}\n", *[part[0] for part in parts]))
        return self._pack(whole)


def part(details: Mapping[str, Json]) -> Part:
    """JSON of ours."""
    if "input_messages" in details or "output_messages" in details:
        details = {name: _shortened(value) if name in _MESSAGES else value for name, value in details.items()}
    try:
        return Part(orjson.dumps(details, str))
    except (TypeError, RecursionError):  # numbers beyond 64 bits, keys that are no texts, halves of a surrogate pair
        return Part(_ENCODE(details).encode("utf-8", "surrogatepass"))


_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str, check_circular=False).encode
_MESSAGES = ("input_messages", "output_messages")
_SAME = 1  # in the place of the parts of a message that has nothing but its text


def _shortened(messages: Any) -> Json:
    return [_short(message) for message in messages]


def _short(message: Any) -> Json:
    said = cast("dict[str, Any]", message) if isinstance(message, dict) else {}
    same = said.get("parts") == [{"type": "text", "text": said.get("text")}]
    return {**said, "parts": _SAME} if same else cast("Json", message)


def _long(message: Any) -> Json:
    said = cast("dict[str, Any]", message) if isinstance(message, dict) else {}
    same = type(said.get("parts")) is int and said["parts"] == _SAME
    return {**said, "parts": [{"type": "text", "text": said.get("text")}]} if same else cast("Json", message)


DAMAGED = "damaged"  # the mark of a span whose contents cannot be read


class Chunks:
    """What is in chunks, unpacking each once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._last: tuple[int, list[Ours | Kept]] = (-1, [])

    def detail(self, chunk: int, line: int) -> dict[str, Any]:
        """What `rows.detail` made of that span; a mark only where it cannot be read."""
        found = self._part(chunk, line)
        return found.details() if found is not None else {"marks": [DAMAGED]}

    def light(self, chunk: int, line: int) -> dict[str, Any]:
        """The attributes, and what else of the details a list shows."""
        found = self._part(chunk, line)
        return found.light() if found is not None else {}

    def attributes(self, chunk: int, line: int) -> dict[str, Any]:
        """The attributes of that span."""
        value = self.light(chunk, line).get("attributes")
        return cast("dict[str, Any]", value) if isinstance(value, dict) else {}

    def texts(self, chunk: int, line: int) -> list[str]:
        """What of that span can be searched."""
        found = self._part(chunk, line)
        return found.texts() if found is not None else []

    def _part(self, chunk: int, line: int) -> Ours | Kept | None:
        if self._last[0] != chunk:
            row = self._connection.execute("SELECT data FROM chunks WHERE id = ?", (chunk,)).fetchone()
            whole = unpacked(row["data"], self._connection) if row is not None else b""
            self._last = (chunk, list(_opened(whole)) if whole else [])
        parts = self._last[1]
        return parts[line] if 0 <= line < len(parts) else None


class Ours:
    """A part that is JSON of ours."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def details(self) -> dict[str, Any]:
        try:
            return self._details(json.loads(self._data.decode("utf-8", "surrogatepass")))
        except (ValueError, RecursionError):
            return {}

    def soon(self) -> dict[str, Any]:
        """The same sooner; whole numbers beyond 64 bits are rounded."""
        try:
            return self._details(orjson.loads(self._data))
        except ValueError:  # halves of a surrogate pair, what is no number in JSON
            return self.details()

    def _details(self, value: object) -> dict[str, Any]:
        details = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        for name in _MESSAGES:
            if isinstance(details.get(name), list):
                details[name] = [_long(message) for message in details[name]]
        return details

    light = details

    def texts(self) -> list[str]:
        return strings(self.details())


def _opened(data: bytes) -> Iterable[Ours | Kept]:
    """The parts of a chunk; those after a damage are left out."""
    if data[:1] != b"\0":
        yield from map(Ours, data.split(b"\n"))
        return
    at = data.find(b"\n") + 1
    try:
        head = orjson.loads(data[1:at])
        parts, common = cast("list[list[int]]", head["parts"]), cast("list[Any]", head["common"])
        for size, *shared in parts:
            one = data[at : at + size]
            at += size
            yield _kept(one, [common[number] for number in shared]) if shared else Ours(one)
    except (ValueError, TypeError, KeyError, IndexError):
        return


def _kept(data: bytes, common: list[Any]) -> Kept:
    return cast("Kept", load("form", str(common[0]["form"]), builtin=FORMS)(data, *common))
