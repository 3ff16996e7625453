"""A server that is asked over streamable HTTP: each message is a POST, answered with JSON or a stream of events."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping

from afere.base.canonical import canonical
from afere.base.errors import AfereError, Refused
from afere.chains.mcp.channel import Limit, sort_out
from afere.chains.mcp.servers import McpFailed, Server, checked
from afere.chains.mcp.wire import Message, answer_to, headers
from afere.models.wire.sse import EventStream
from afere.net import Call, HostFailed, HostTimedOut, StreamedAnswer, send, stream

_ERROR = 65_536  # bytes of the body of an answer that is no success
_LEAVING = 2.0  # seconds to say that a session ends


class NoMessage(McpFailed):
    """The server answered with a status alone; `status` is it."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Http:
    """The server's one address. `session` is what a server of an earlier revision calls this connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._session: str | None = None
        self._version = ""

    def ask(self, message: Message, version: str, limit: Limit, mirrored: Mapping[str, str]) -> Message:
        with self._posted(message, version, limit, mirrored) as answer:
            if message["method"] == "initialize":
                self._session = answer.headers.get("mcp-session-id")
            kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == "text/event-stream" and answer.status < 300:
                return self._streamed(answer, message["id"], version, limit)
            body = bytearray()
            for piece in answer:
                limit.take(len(piece), self._server)
                body += piece
                if answer.status >= 300 and len(body) > _ERROR:
                    break
            found = None
            if kind == "application/json":
                # What a refusal says beside its status is no oddity: earlier revisions number it as they like.
                found = sort_out(bytes(body), message["id"], limit if answer.status < 300 else Limit(0), lambda _: None)
            if found is None or (answer.status >= 300 and "error" not in found):
                raise self._told(answer.status, kind)
            return found

    def tell(self, message: Message, version: str, limit: Limit) -> None:
        with self._posted(message, version, limit, {}):
            return

    def close(self) -> None:
        """Say goodbye where the server keeps a session; what it says to that is of no interest."""
        if self._session is None:
            return
        session, self._session = self._session, None
        given = {**self._server.headers, "mcp-session-id": session, "mcp-protocol-version": self._version}
        with contextlib.suppress(AfereError):
            checked(self._server.url)
            send(Call("DELETE", self._server.url, given, None, _LEAVING, _LEAVING))

    @contextlib.contextmanager
    def _posted(
        self, message: Message, version: str, limit: Limit, mirrored: Mapping[str, str]
    ) -> Generator[StreamedAnswer]:
        left = limit.seconds
        if left <= 0:
            raise TimeoutError
        self._version = version
        given = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        if message.get("method") != "initialize":
            given |= headers(message, version, mirrored)
        if self._session is not None:
            given["mcp-session-id"] = self._session
        call = Call("POST", self._server.url, {**given, **self._server.headers}, canonical(message), left, left)
        try:
            checked(call.url)
            with stream(call) as answer:
                yield answer
        except HostTimedOut:
            raise TimeoutError from None
        except (HostFailed, Refused) as problem:
            raise self._server.failed(str(problem)) from None

    def _streamed(self, answer: StreamedAnswer, number: int, version: str, limit: Limit) -> Message:
        """Events until the one that answers."""
        events = EventStream()

        def heard(message: Message) -> None:
            reply = answer_to(message)
            if reply is not None:
                self.tell(reply, version, limit)

        for piece in answer:
            limit.take(len(piece), self._server)
            if limit.seconds <= 0:
                raise TimeoutError
            for data in events.feed(piece):
                found = sort_out(data.encode(), number, limit, heard)
                if found is not None:
                    return found
        for data in events.end():
            found = sort_out(data.encode(), number, limit, heard)
            if found is not None:
                return found
        raise self._server.failed("its stream of events ended without an answer.")

    def _told(self, status: int, kind: str) -> McpFailed:
        if status in (401, 403):
            why = "it asks for a key it was not given, or that it does not know: name it under headers: in afere.yaml"
        elif 300 <= status < 400:
            why = "it sends elsewhere, and redirects are not followed: write the address itself"
        elif status >= 300:
            why = "look at its address in afere.yaml"
        else:
            why = f"which is no message of the protocol ({kind or 'no content type'})"
        said = self._server.failed(f"it answered with HTTP {status}: {why}.")
        return NoMessage(str(said), status)
