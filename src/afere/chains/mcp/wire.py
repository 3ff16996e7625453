"""Messages of the Model Context Protocol: JSON-RPC 2.0, in the form of a revision. Pure.

Since 2026-07-28 each request carries the revision, the client and its capabilities under `_meta`; before, a handshake
(`initialize`) settled them once for a connection.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any, cast

from afere.base.canonical import Json

MODERN = "2026-07-28"
LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")  # with a handshake, the newest first
UNSUPPORTED = -32022  # the error that names the revisions a server speaks
_META = "io.modelcontextprotocol/"
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_SAFE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_DEPTH = 100  # of what a server sends

Message = dict[str, Any]


class NotMcp(Exception):
    """What came is no message of the protocol."""


def about_us() -> dict[str, Json]:
    """Who asks."""
    from afere import __version__

    return {"name": "afere", "version": __version__}


def request(number: int, method: str, params: Mapping[str, Json], version: str) -> Message:
    """A request; for the modern revision with what it needs to stand alone."""
    held = dict(params)
    if version == MODERN:
        held["_meta"] = {
            f"{_META}protocolVersion": version,
            f"{_META}clientInfo": about_us(),
            f"{_META}clientCapabilities": {},
        }
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": held}


def initialize(number: int) -> Message:
    """The handshake of the revisions before, asking for the newest of them."""
    params: dict[str, Json] = {"protocolVersion": LEGACY[0], "capabilities": {}, "clientInfo": about_us()}
    return {"jsonrpc": "2.0", "id": number, "method": "initialize", "params": params}


def initialized() -> Message:
    return {"jsonrpc": "2.0", "method": "notifications/initialized"}


def answer_to(asked: Message) -> Message | None:
    """What a client without capabilities says to a server's own request: yes to a ping, no to all else; None: nothing."""
    if "method" not in asked or "id" not in asked:
        return None
    said: Message = {"jsonrpc": "2.0", "id": asked["id"]}
    if asked["method"] == "ping":
        return {**said, "result": {}}
    return {**said, "error": {"code": -32601, "message": "this client offers nothing of its own"}}


def read(data: bytes) -> Message:
    """One message. NotMcp says what is wrong with other bytes."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise NotMcp(f"it sent what is no JSON: {data[:80]!r}") from None
    message = cast("Message", value) if isinstance(value, dict) else {}
    if message.get("jsonrpc") != "2.0" or too_deep(message):
        raise NotMcp(f"it sent what is no message of the protocol: {data[:80]!r}")
    return message


def too_deep(value: object, left: int = _DEPTH) -> bool:
    """Whether a value of JSON is nested deeper than anyone means."""
    if isinstance(value, dict):
        held: list[object] = list(cast("dict[str, object]", value).values())
    elif isinstance(value, list):
        held = cast("list[object]", value)
    else:
        return False
    return left == 0 or any(too_deep(one, left - 1) for one in held)


def answers(message: Message, number: int) -> bool:
    """Whether it is the answer to the request of that number, and to no other."""
    return message.get("id") == number and "method" not in message and ("result" in message or "error" in message)


def versions_of(error: Mapping[str, Any]) -> list[str]:
    """The revisions that an UnsupportedProtocolVersionError names."""
    data = error.get("data")
    named: Any = cast("dict[str, Any]", data).get("supported") if isinstance(data, dict) else None
    return [str(one) for one in cast("list[object]", named)] if isinstance(named, list) else []


def headers(message: Message, version: str, mirrored: Mapping[str, str]) -> dict[str, str]:
    """What the modern revision repeats of a request in HTTP headers. `mirrored`: by header, what goes into Mcp-Param-*."""
    found = {"mcp-protocol-version": version}
    if version != MODERN:
        return found
    found["mcp-method"] = str(message["method"])
    name = message.get("params", {}).get("name")
    if isinstance(name, str):
        found["mcp-name"] = header_value(name)
    return found | {f"mcp-param-{name.lower()}": header_value(value) for name, value in mirrored.items()}


def header_value(text: str) -> str:
    """A text as a header can carry it: as it is, or in base64 with the protocol's marks around it."""
    if _SAFE.fullmatch(text) and not (text.startswith("=?base64?") and text.endswith("?=")):
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def mirrors(schema: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Header names that parameters are to be repeated under (`x-mcp-header`), with the path of each. NotMcp: not allowed."""
    found: dict[str, tuple[str, ...]] = {}
    count = 0

    def reach(at: Mapping[str, Any], path: tuple[str, ...]) -> None:
        properties = at.get("properties")
        for name, below in cast("dict[str, Any]", properties).items() if isinstance(properties, dict) else ():
            if not isinstance(below, dict):
                continue
            one = cast("dict[str, Any]", below)
            header = one.get("x-mcp-header")
            if header is not None:
                simple = isinstance(header, str) and _TOKEN.fullmatch(header)
                if not simple or one.get("type") not in ("string", "integer", "boolean"):
                    raise NotMcp(f"x-mcp-header of {name!r} is not allowed")
                if str(header).lower() in (known.lower() for known in found):
                    raise NotMcp(f"x-mcp-header {header!r} stands twice")
                found[str(header)] = (*path, name)
            reach(one, (*path, name))

    def everywhere(at: object) -> None:
        nonlocal count
        if isinstance(at, dict):
            held = cast("dict[str, object]", at)
            count += isinstance(held.get("x-mcp-header"), str)
            for one in held.values():
                everywhere(one)
        elif isinstance(at, list):
            for one in cast("list[object]", at):
                everywhere(one)

    reach(schema, ())
    everywhere(schema)
    if count != len(found):
        raise NotMcp("x-mcp-header stands where no single parameter is")
    return found


def mirrored(paths: Mapping[str, tuple[str, ...]], arguments: Mapping[str, Json]) -> dict[str, str]:
    """What those headers say of these arguments; a parameter that is not given has none."""
    found: dict[str, str] = {}
    for header, path in paths.items():
        at: Any = arguments
        for name in path:
            at = cast("dict[str, Any]", at).get(name) if isinstance(at, dict) else None
        if isinstance(at, bool):
            found[header] = "true" if at else "false"
        elif isinstance(at, str | int):
            found[header] = str(at)
    return found
