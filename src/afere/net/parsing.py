"""The bytes of HTTP/1.1 answers (RFC 9112): pure, and strict where a lenient reading could mix up two answers."""

from __future__ import annotations

import re
from functools import lru_cache

HEAD = 256 * 1024  # bytes of status line and headers; a server that sends more is broken or hostile
_LINE = 64 * 1024  # of a chunk's size line or of trailers
_STATUS = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: [^\r\n]*)?")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?", re.DOTALL)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n").match
_DIGITS = re.compile(r"[0-9]{1,18}")


class NotHttp(Exception):
    """What came is no answer of HTTP/1.1; says why."""


@lru_cache(maxsize=64)
def _field(line: bytes) -> tuple[str, str]:
    """A header: its name in small letters, and its value. Most of a server's answers have the same ones."""
    name, colon, value = line.partition(b":")
    if not colon or _NAME.fullmatch(name) is None:
        raise NotHttp("it sends a header that is none")
    return name.decode("ascii").lower(), value.strip(b" \t").decode("latin-1")


class AnswerReader:
    """Reads one answer from bytes split anywhere. After each `feed`: `status` and `headers` once the head is there,
    `taken()` the pieces of the body since the last time, `done` at its end, `rest` what came after that.

    `keep`: whether the connection may serve another request.
    """

    __slots__ = (
        "_chunked", "_left", "_pieces", "_waiting", "_without", "done", "headers", "keep", "rest", "size", "status",
    )  # fmt: skip

    def __init__(self, method: str) -> None:
        self._without = method == "HEAD"
        self._waiting: bytes = b""
        self._pieces: list[bytes] = []
        self._chunked = 0  # 0: no; 1: a size line is next, 2: data, 3: the line end after it, 4: trailers
        self._left = 0  # bytes of the body, or of its chunk, that are still to come; -1: until the connection ends
        self.status = 0
        self.headers: dict[str, str] = {}
        self.keep = True
        self.done = False
        self.rest: bytes = b""
        self.size = 0  # bytes of the body that wait to be taken

    @property
    def begun(self) -> bool:
        """Whether anything has come."""
        return self.status > 0 or bool(self._waiting)

    @property
    def has_body(self) -> bool:
        """Whether pieces of the body wait to be taken."""
        return bool(self._pieces)

    def feed(self, data: bytes) -> None:
        """Take more bytes. NotHttp if they cannot be an answer."""
        if self.status:
            self._body(data)
            return
        waiting = self._waiting + data if self._waiting else data
        while not self.status:
            end = waiting.find(b"\r\n\r\n")
            if end < 0:
                if len(waiting) > HEAD:
                    raise NotHttp(f"its headers are larger than {HEAD // 1024} KB")
                if not b"HTTP/1.".startswith(waiting[:7]):
                    raise NotHttp("what it says is not HTTP/1.1")
                self._waiting = waiting
                return
            self._head(waiting[:end])
            waiting = waiting[end + 4 :]
        self._waiting: bytes = b""
        if waiting or self.done:
            self._body(waiting)

    def taken(self) -> list[bytes]:
        """The pieces of the body that came since this was last asked."""
        pieces, self._pieces, self.size = self._pieces, [], 0
        return pieces

    def end(self) -> None:
        """The connection has ended. NotHttp if the answer has not."""
        if self.status and self._left < 0 and not self._chunked:
            self.done = True
        if not self.done:
            raise NotHttp("the connection closed before the answer was whole")

    def _head(self, head: bytes) -> None:
        first, *lines = head.split(b"\r\n")
        match = _STATUS.fullmatch(first)
        if match is None:
            raise NotHttp("its first line is not that of HTTP/1.1")
        status = int(match[2])
        if status < 200:
            if status == 101:
                raise NotHttp("it changes to another protocol, which was not asked for")
            return  # an interim answer: the real one follows
        headers: dict[str, str] = {}
        for line in lines:
            key, text = _field(line)
            if key in headers:
                text = text if key == "content-length" and headers[key] == text else f"{headers[key]}, {text}"
            headers[key] = text
        self.status, self.headers = status, headers
        self._framing(match[1] != b"0")

    def _framing(self, current: bool) -> None:
        """How the end of the body is told (RFC 9112, 6.3)."""
        headers = self.headers
        said = headers.get("connection", "").lower()
        self.keep = "close" not in said if current else "keep-alive" in said
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        if self._without or self.status in (204, 304):
            self.done = True
        elif coding is not None:
            if coding.strip().lower() != "chunked":
                raise NotHttp(f"it sends the coding {coding[:40]!r}, which was not asked for")
            self._chunked = 1
            self.keep = self.keep and length is None  # two lengths: nothing after this is believed
        elif length is not None:
            if _DIGITS.fullmatch(length) is None:
                raise NotHttp(f"its length {length[:40]!r} is not a number")
            self._left = int(length)
            self.done = not self._left
        else:
            self._left, self.keep = -1, False

    def _body(self, data: bytes) -> None:
        if self.done:
            self.rest += data
        elif self._chunked:
            self._chunks(data)
        elif self._left < 0:
            self._add(data)
        else:
            self._add(data if len(data) <= self._left else data[: self._left])
            self.rest = data[self._left :]
            self._left -= min(self._left, len(data))
            self.done = not self._left

    def _add(self, piece: bytes) -> None:
        if piece:
            self._pieces.append(piece)
            self.size += len(piece)

    def _chunks(self, data: bytes) -> None:
        if self._waiting:
            data, self._waiting = self._waiting + data, b""
        at, end = 0, len(data)
        while not self.done:
            if self._chunked == 2:
                if at >= end:
                    return
                piece = data[at : at + self._left]
                self._add(piece)
                at += len(piece)
                self._left -= len(piece)
                self._chunked = 2 if self._left else 3
                continue
            if self._chunked == 1:
                at = self._whole_chunks(data, at)
            line = data.find(b"\r\n", at)
            if line < 0 or line - at > _LINE:
                if max(line, end) - at > _LINE:
                    raise NotHttp("a line between its chunks is too long")
                self._waiting = data[at:]
                return
            self._line(data[at:line])
            at = line + 2
        self.rest = data[at:]

    def _whole_chunks(self, data: bytes, at: int) -> int:
        """Take the chunks that are here as a whole, as nearly all are, but for the last; returns where they end."""
        pieces, size = self._pieces, 0
        while (match := _CHUNK(data, at)) is not None:
            begin = match.end()
            stop = begin + int(match[1], 16)
            if stop == begin or data[stop : stop + 2] != b"\r\n":
                break
            pieces.append(data[begin:stop])
            size += stop - begin
            at = stop + 2
        self.size += size
        return at

    def _line(self, line: bytes) -> None:
        """A line between the data of chunks."""
        if self._chunked == 1:
            match = _SIZE.fullmatch(line)
            if match is None:
                raise NotHttp("a chunk of it has no size")
            self._left = int(match[1], 16)
            self._chunked = 2 if self._left else 4
        elif self._chunked == 3:
            if line:
                raise NotHttp("a chunk of it is longer than it says")
            self._chunked = 1
        elif not line:
            self.done = True
