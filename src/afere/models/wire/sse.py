"""Server-sent events, read as they arrive (WHATWG HTML, "Server-sent events", section 9.2.6)."""

from __future__ import annotations

import re

from afere.base.errors import ModelFailed

_LINE_END = re.compile(rb"\r\n|\n|\r")
LONGEST = 16 * 1024 * 1024  # bytes of one event; a server that sends more is broken or hostile


class EventStream:
    """Feed it bytes split anywhere; it gives the data of each event. Names, ids and comments are of no use here."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._searched = 0  # the buffer holds no line end before this place
        self._data: list[str] = []
        self._size = 0
        self._begun = False

    def feed(self, piece: bytes) -> list[str]:
        """The data of the events that this piece completes."""
        self._bytes += piece
        events: list[str] = []
        while (line := self._line()) is not None:
            events += self._take(line)
        if len(self._bytes) + self._size > LONGEST:
            raise ModelFailed(f"The stream holds one event of more than {LONGEST // 1024**2} MB.")
        return events

    def end(self) -> list[str]:
        """What the stream ended with, if the empty line after it was left out."""
        line, self._bytes = bytes(self._bytes).removesuffix(b"\r"), bytearray()
        return [*self._take(line), *self._take(b"")]

    def _line(self) -> bytes | None:
        match = _LINE_END.search(self._bytes, self._searched)
        if match is None or (match.group() == b"\r" and match.end() == len(self._bytes)):
            # Nothing, or a carriage return whose line feed may still come.
            self._searched = max(0, len(self._bytes) - 1)
            return None
        line = bytes(self._bytes[: match.start()])
        del self._bytes[: match.end()]
        self._searched = 0
        return line

    def _take(self, line: bytes) -> list[str]:
        if not self._begun:
            self._begun = True
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            data, self._data, self._size = self._data, [], 0
            return ["\n".join(data)] if data else []
        field, _, value = line.partition(b":")
        if field == b"data":
            self._data.append(value.removeprefix(b" ").decode("utf-8", "replace"))
            self._size += len(value)
        return []
