"""A connection to one MCP server: which revision it speaks, the tools it lists, and one call of a tool."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from itertools import count
from typing import Any, cast

from afere.base.canonical import Json
from afere.chains.mcp import wire
from afere.chains.mcp.channel import Channel, Limit
from afere.chains.mcp.http import Http, NoMessage
from afere.chains.mcp.listing import PROBLEMS, TOOLS, Listing, Offer, Reading, clean
from afere.chains.mcp.servers import McpFailed, Server
from afere.chains.mcp.stdio import Stdio

_PROBE = 10.0  # seconds for the question which revision a program speaks: some of the earlier ones do not answer it
_PAGES = 200
_TEXT = 300  # characters of a server's text that go into a message


class ToolError(McpFailed):
    """A tool of a server ran, and says that it failed."""


class Client:
    """A connection, which begins when first used; `close` it, or use it in a `with`.

    Callers take turns, but where each request stands alone: over HTTP, by the modern revision.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._lock = threading.Lock()
        self._channel: Channel | None = None
        self._version = wire.MODERN
        self._software = ""
        self._numbers = count(1)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection, and the program that was started for it."""
        with self._lock:
            self._leave()

    def tools(self) -> Listing:
        """What the server lists. McpFailed where it does not; what is wrong with single tools stands in `problems`."""
        with self._turn(), self._told("list its tools") as limit:
            reading = Reading(over_http=bool(self.server.url))
            for page in self._pages(limit, reading.problems):
                reading.take(page)
            problems = list(dict.fromkeys([*reading.problems, *limit.odd]))
            if len(problems) > PROBLEMS:
                problems[PROBLEMS:] = [f"{len(problems) - PROBLEMS:,} more problems"]
            said = tuple(self.server.without_secrets(clean(one)[0]) for one in problems)
            offers = tuple(self._safe(one) for one in reading.offers)
            software = self.server.without_secrets(self._software)
            return Listing(self.server.name, self._version, software, offers, said, reading.left_out)

    def call(self, name: str, arguments: Mapping[str, Json], *, schema: Mapping[str, Json] | None = None) -> Json:
        """What a tool answers: its structured result, else its text, else its parts. ToolError where it says it failed.

        `schema` is that of its arguments, as the server listed it.
        """
        with self._turn(), self._told(f"run {name}") as limit:
            given: dict[str, str] = {}
            if self.server.url and self._begun(limit) == wire.MODERN and schema:
                given = wire.mirrored(wire.mirrors(schema), arguments)
            params: dict[str, Json] = {"name": name, "arguments": dict(arguments)}
            said = self._ask("tools/call", params, limit, given)
            if said.get("resultType", "complete") != "complete":
                raise self.server.failed(
                    f"{name} asks back for {said.get('resultType')!r}, which nobody here can answer."
                )
            answer = cast("Json", self._cleared(_answer(said)))
            if said.get("isError") is True:
                text = answer if isinstance(answer, str) else str(answer)
                raise ToolError(
                    self.server.without_secrets(clean(text)[0])[:2000] or f"{name} failed and does not say why"
                )
            return answer

    def _safe(self, offer: Offer) -> Offer:
        """A server that repeats what it was given as a secret does not get that kept."""
        if not (self.server.env or self.server.headers):
            return offer
        return replace(
            offer, title=self._cleared(offer.title), description=self._cleared(offer.description),
            parameters=self._cleared(offer.parameters), output=self._cleared(offer.output),
        )  # fmt: skip

    def _cleared(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.server.without_secrets(value)
        if isinstance(value, list):
            return [self._cleared(one) for one in cast("list[object]", value)]
        if isinstance(value, dict):
            held = cast("dict[str, object]", value)
            return {self._cleared(key): self._cleared(one) for key, one in held.items()}
        return value

    def _pages(self, limit: Limit, problems: list[str]) -> Iterator[list[object]]:
        """The pages of its list, until there are too many tools, pages, or one comes again."""
        cursor: str | None = None
        seen: set[str] = set()
        so_far = 0
        for _ in range(_PAGES):
            result = self._ask("tools/list", {} if cursor is None else {"cursor": cursor}, limit)
            tools = result.get("tools")
            if not isinstance(tools, list):
                raise self.server.failed("its list of tools is no list.")
            page = cast("list[object]", tools)
            room = TOOLS - so_far
            so_far += len(page)
            yield page[:room]
            if len(page) > room:
                problems.append(f"it lists more than {TOOLS:,} tools, {so_far:,} so far: the rest was not read")
                return
            following = result.get("nextCursor")
            if not isinstance(following, str) or not following:
                return
            if following in seen:
                problems.append("its list leads back to itself: the rest was not read")
                return
            seen.add(following)
            cursor = following
        problems.append(f"its list has more than {_PAGES} pages: the rest was not read")

    def _begun(self, limit: Limit) -> str:
        """The revision that is spoken; the connection is made, and the question asked, once."""
        if self._channel is None:
            self._channel = Http(self.server) if self.server.url else Stdio(self.server)
            self._version = self._settled(limit)
        return self._version

    def _settled(self, limit: Limit) -> str:
        """Ask by the modern revision; whoever does not know it is greeted as those before it want."""
        said = self._probed(limit)
        if said is not None and isinstance(result := said.get("result"), dict):
            found = cast("dict[str, Any]", result)
            if wire.MODERN in (found.get("supportedVersions") or ()):
                self._software = _software(found)
                return wire.MODERN
        elif said is not None and (error := _error(said)).get("code") == wire.UNSUPPORTED:
            named = wire.versions_of(error)
            if named and not set(named) & set(wire.LEGACY):
                raise self.server.failed(f"it speaks {_listed(named)} of the protocol; afere speaks {_spoken()}.")
        return self._greeted(limit)

    def _probed(self, limit: Limit) -> wire.Message | None:
        """What it says to `server/discover`; None where it does not know the question."""
        asked = wire.request(self._next(), "server/discover", {}, wire.MODERN)
        channel = cast("Channel", self._channel)
        try:
            return channel.ask(asked, wire.MODERN, limit.within(min(_PROBE, limit.seconds / 2)), {})
        except NoMessage as problem:
            if problem.status in (401, 403) or problem.status >= 500 or problem.status < 400:
                raise
            return None
        except TimeoutError:
            if self.server.url:
                raise
            return None
        except McpFailed:
            if self.server.url or limit.seconds <= 0:
                raise
            channel.close()  # some end at a question they do not know: once more, as they want it
            self._channel = Stdio(self.server)
            return None

    def _greeted(self, limit: Limit) -> str:
        """The handshake of the revisions before."""
        said = cast("Channel", self._channel).ask(wire.initialize(self._next()), wire.LEGACY[0], limit, {})
        result = said.get("result")
        if not isinstance(result, dict):
            error = _error(said)
            if error.get("code") == wire.UNSUPPORTED and wire.MODERN in wire.versions_of(error):
                return wire.MODERN  # it was too slow to answer the first question, and has done so since
            raise self.server.failed(f"it refused the connection: {_short(error.get('message'))}.")
        found = cast("dict[str, Any]", result)
        version = found.get("protocolVersion")
        if version not in wire.LEGACY:
            raise self.server.failed(f"it speaks {_short(version)!r} of the protocol; afere speaks {_spoken()}.")
        self._software = _software(found)
        cast("Channel", self._channel).tell(wire.initialized(), version, limit)
        return version

    def _ask(
        self, method: str, params: Mapping[str, Json], limit: Limit, mirrored: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The result of a request."""
        version = self._begun(limit)
        asked = wire.request(self._next(), method, params, version)
        said = cast("Channel", self._channel).ask(asked, version, limit, mirrored or {})
        result = said.get("result")
        if isinstance(result, dict):
            return cast("dict[str, Any]", result)
        error = _error(said)
        raise self.server.failed(f"{method}: {_short(error.get('message'))} (error {_short(error.get('code'))}).")

    @contextlib.contextmanager
    def _turn(self) -> Generator[None]:
        with self._lock:
            alone = bool(self.server.url) and self._channel is not None and self._version == wire.MODERN
            if not alone:
                yield
        if alone:
            yield

    def _next(self) -> int:
        return next(self._numbers)

    @contextlib.contextmanager
    def _told(self, what: str) -> Generator[Limit]:
        """The time for one piece of work. Where it goes wrong the connection ends: what comes late answers nothing."""
        limit = Limit(time.monotonic() + self.server.seconds)
        try:
            yield limit
        except ToolError:
            raise
        except TimeoutError:
            self._leave()
            raise self.server.failed(
                f"it did not {what} within {self.server.seconds:g} s. Look whether it runs, or give it more time with "
                "timeout: in afere.yaml."
            ) from None
        except BaseException:
            self._leave()
            raise

    def _leave(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()


def connect(server: Server) -> Client:
    """A connection to a server, which begins when first used."""
    return Client(server)


def _answer(result: Mapping[str, Any]) -> Json:
    """Structured content, else the texts, else all parts as they are."""
    structured = result.get("structuredContent")
    if structured is not None:
        return cast("Json", structured)
    parts: Any = result.get("content")
    blocks = cast("list[Json]", parts) if isinstance(parts, list) else []
    texts = [str(one.get("text", "")) for one in blocks if isinstance(one, dict) and one.get("type") == "text"]
    return "\n".join(texts) if len(texts) == len(blocks) else blocks


def _error(said: Mapping[str, Any]) -> dict[str, Any]:
    error = said.get("error")
    return cast("dict[str, Any]", error) if isinstance(error, dict) else {}


def _software(result: Mapping[str, Any]) -> str:
    """The server's name and version, as it says; the modern revision has them under `_meta`."""
    meta = result.get("_meta")
    held = cast("dict[str, Any]", meta) if isinstance(meta, dict) else {}
    info = result.get("serverInfo") or held.get("io.modelcontextprotocol/serverInfo")
    said = cast("dict[str, Any]", info) if isinstance(info, dict) else {}
    return " ".join(_short(said[key])[:80] for key in ("name", "version") if said.get(key))


def _short(value: object) -> str:
    return clean(str(value))[0][:_TEXT]


def _listed(versions: list[str]) -> str:
    return ", ".join(_short(one)[:20] for one in versions[:5]) or "no revision"


def _spoken() -> str:
    return f"{wire.MODERN} and {wire.LEGACY[0]}"
