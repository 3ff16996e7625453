"""The MCP servers that a project names under `mcp:` of afere.yaml: a command to start, or an address to ask."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from afere.base.errors import BadProject, WorldFailed
from afere.net import check_address

if TYPE_CHECKING:
    from afere.base.project import Project

SECONDS = 30.0  # for one listing or call, starting the server included
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_SHORTEST = 8  # characters of a secret that is looked for in what a server says: shorter ones stand in words


class McpFailed(WorldFailed):
    """An MCP server did not do what it was asked; the message names the server."""


@dataclass(frozen=True, slots=True)
class Server:
    """One server: `command` with `args`, or `url`. `env` and `headers` hold values, which may be secrets."""

    name: str
    root: Path
    command: str = ""
    args: tuple[str, ...] = field(default=(), repr=False)
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    url: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    owner: str | None = None
    seconds: float = SECONDS

    @property
    def transport(self) -> str:
        """stdio or http."""
        return "http" if self.url else "stdio"

    @property
    def host(self) -> str:
        """Where it is, without anything that may be secret: its program, or host and port."""
        if not self.url:
            return Path(self.command).name
        parts = urlsplit(self.url)
        return (parts.hostname or "?") + (f":{parts.port}" if parts.port else "")

    def without_secrets(self, text: str) -> str:
        """A text of the server's, or of ours about it, with the values of its environment and headers taken out."""
        for value in (*self.env.values(), *self.headers.values()):
            for secret in (value, value.partition(" ")[2]):  # "Bearer KEY" comes back as KEY, too
                if len(secret) >= _SHORTEST:
                    text = text.replace(secret, "[secret]")
        return text

    def failed(self, why: str) -> McpFailed:
        """The error that names this server."""
        return McpFailed(f"MCP server {self.name!r} ({self.host}): {self.without_secrets(why)}")


def servers(project: Project) -> tuple[Server | BadProject, ...]:
    """Every server of `mcp:`, in the order written; what is wrong with one stands in its place, and is no reason to stop."""
    found: list[Server | BadProject] = []
    for name, said in project.section("mcp").items():
        try:
            found.append(_server(name, cast("dict[str, Any]", said), project))
        except BadProject as problem:
            found.append(problem)
    return tuple(found)


def server(name: str, project: Project) -> Server:
    """The server of that name; BadProject where it is not written, or not well."""
    said = project.section("mcp")
    if name not in said:
        known = ", ".join(said) or "none"
        raise BadProject(f"afere.yaml: there is no MCP server {name!r} under mcp:. Servers: {known}.")
    return _server(name, cast("dict[str, Any]", said[name]), project)


def _server(name: str, said: Mapping[str, Any], project: Project) -> Server:
    where = f"afere.yaml: mcp: {name}"
    if ("command" in said) == ("url" in said):
        raise BadProject(f"{where}: write command: (a program to start) or url: (a server to ask), one of them.")
    others = ("headers",) if "command" in said else ("args", "env")
    if wrong := [key for key in others if key in said]:
        raise BadProject(f"{where}: {wrong[0]}: is of no use beside {'command' if 'command' in said else 'url'}:.")
    if "url" in said:
        _check_url(said["url"], where)
    headers = _values(said.get("headers", {}), f"{where}: headers")
    for header, value in headers.items():
        if _HEADER.fullmatch(header) is None or not (value.isascii() and value.isprintable()):
            raise BadProject(f"{where}: headers: {header!r} or its value cannot be sent as a header.")
    return Server(
        name, project.root, str(said.get("command", "")), tuple(str(one) for one in said.get("args", ())),
        _values(said.get("env", {}), f"{where}: env"), str(said.get("url", "")), headers, said.get("owner"),
        float(said.get("timeout", SECONDS)),
    )  # fmt: skip


def _check_url(url: str, where: str) -> None:
    try:
        parts = urlsplit(url)
        named = parts.username or parts.fragment
    except ValueError:
        raise BadProject(f"{where}: url: this is no address. Write https://host/mcp.") from None
    if named:
        raise BadProject(f"{where}: url: write the address alone; a key belongs into headers:.")


def checked(url: str) -> None:
    """Refused for an address that must not be called; asked before each call, since a name may lead elsewhere by then."""
    check_address(url, private_ok=True)  # the user wrote it, often for a server on this machine


def _values(names: Mapping[str, str], where: str) -> dict[str, str]:
    """What the environment variables of these names hold."""
    found: dict[str, str] = {}
    for name, variable in names.items():
        value = os.environ.get(variable)
        if not value:
            raise BadProject(
                f"{where}: {name} is taken from the environment variable {variable}, which is not set. "
                "Set it, or take the line out."
            )
        found[name] = value
    return found
