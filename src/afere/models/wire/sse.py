"""Server-sent events, read as they arrive (WHATWG HTML, "Server-sent events", section 9.2.6)."""

from __future__ import annotations

from afere.base.errors import ModelFailed

LONGEST = 16 * 1024 * 1024  # bytes of one event; a server that sends more is broken or hostile


class EventStream:
    """Feed it bytes split anywhere; it gives the data of each event. Names, ids and comments are of no use here."""

    def __init__(self) -> None:
        self._bytes = bytearray()  # of a line that has not ended
        self._data: list[str] = []
        self._size = 0
        self._begun = False

    def feed(self, piece: bytes) -> list[str]:
        """The data of the events that this piece completes."""
        # A carriage return at the very end waits for the line feed that may still come.
        end = max(piece.rfind(b"\n"), piece.rfind(b"\r", 0, -1)) + 1
        events: list[str] = []
        if end or (piece and self._bytes.endswith(b"\r")):
            # Of bytes, this splits at \n, \r\n and \r alone.
            for line in bytes(self._bytes + piece[:end]).splitlines():
                events += self._take(line)
            self._bytes = bytearray(piece[end:])
        else:
            self._bytes += piece
        if len(self._bytes) + self._size > LONGEST:
            raise ModelFailed(f"The stream holds one event of more than {LONGEST // 1024**2} MB.")
        return events

    def end(self) -> list[str]:
        """What the stream ended with, if the empty line after it was left out."""
        line, self._bytes = bytes(self._bytes).removesuffix(b"\r"), bytearray()
        return [*self._take(line), *self._take(b"")]

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
