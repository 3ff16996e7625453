"""Tools of MCP servers that an agent or a prompt names: `mcp:hr` is all that the server lists, `mcp:hr/leave` one of them."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from afere.base.artifact import Artifact, identity, short
from afere.base.canonical import Json
from afere.base.document import schema_problem
from afere.base.errors import AfereError, BadInput, NotFound
from afere.chains.mcp.client import Client
from afere.chains.mcp.listing import Listing, Offer
from afere.chains.mcp.servers import Server, server
from afere.chains.template import nearest
from afere.chains.tool import Tool
from afere.data.place import session_of
from afere.store import Session
from afere.tracing import span

if TYPE_CHECKING:
    from afere.base.project import Project

PREFIX = "mcp:"
_FRESH = 300.0  # seconds for which a list of tools is taken as it was

_lock = threading.Lock()
_open: dict[tuple[int, str, str], _Connected] = {}  # by process (a fork has no connections), root and name


class McpTool(Tool[..., Any]):
    """A tool that runs at an MCP server. To an agent it is a tool like any other; its arguments go as the model gave them."""

    def __init__(self, client: Client, offer: Offer) -> None:
        self._client = client
        self._offer = offer
        self.fn = self.__call__
        self.name = offer.name
        self.owner = client.server.owner
        self.permissions = ()
        self.description = offer.description
        self.is_async = False

    @cached_property
    def parameters(self) -> dict[str, Json]:
        """The JSON Schema of its arguments, as the server lists it."""
        return dict(self._offer.parameters) or {"type": "object"}

    @property
    def content(self) -> dict[str, Json]:
        return self._offer.content(self._client.server.name)

    @cached_property
    def ran(self) -> tuple[str, str]:
        name = self._offer.artifact(self._client.server.name)
        hash_ = identity("tool", name, self.content, None, ())
        return f"tool:{name}~{short(hash_)}", hash_

    def put(self, session: Session) -> Artifact:
        name = self._client.server.name
        return session.put("tool", self._offer.artifact(name), self.content, why=f"listed by MCP server {name}")

    def __call__(self, **arguments: Json) -> Json:
        with span(self.name, kind="tool", **{"afere.mcp.server": self._client.server.name}) as live:
            found, output = self._recorded(live, arguments)
            if found:
                return output
            return self._done(live, self._client.call(self.name, arguments, schema=self._offer.parameters))

    def call(self, arguments: Mapping[str, Json] | str) -> Any:
        """Call it with arguments a model gave, checked against `parameters`."""
        if isinstance(arguments, str):
            raise BadInput(f"the arguments of {self.name} are not a JSON object: {arguments[:200]!r}")
        if problem := schema_problem(dict(arguments), self.parameters):
            raise BadInput(f"the arguments of {self.name} do not fit: {problem}")
        return self(**arguments)

    def __reduce__(self) -> str:
        raise TypeError(f"{self.name} belongs to a connection of this process")


class _Connected:
    """A server in use: its connection, and its tools as they were last listed."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._client = Client(server)
        self._lock = threading.Lock()
        self._tools: dict[str, McpTool] = {}
        self._listed = 0.0

    def tools(self, project: Project) -> dict[str, McpTool]:
        with self._lock:
            if not self._listed or time.monotonic() - self._listed > _FRESH:
                listing = self._client.tools()
                self._tools = {one.name: McpTool(self._client, one) for one in listing.tools}
                self._listed = time.monotonic()
                self._keep(listing, project)
            return self._tools

    def _keep(self, listing: Listing, project: Project) -> None:
        """What ran can be found again by its version; a store that cannot be written stops nobody's work."""
        with contextlib.suppress(AfereError):
            session = session_of(project)
            for tool in self._tools.values():
                tool.put(session)

    def close(self) -> None:
        self._client.close()


def remote(name: str, project: Project) -> Sequence[McpTool]:
    """The tools that `mcp:SERVER` or `mcp:SERVER/TOOL` means; the server is started, or asked, when it is first needed."""
    where, _, wanted = name.removeprefix(PREFIX).partition("/")
    tools = _connected(where, project).tools(project)
    if not wanted:
        return list(tools.values())
    if wanted not in tools:
        raise NotFound(
            f"MCP server {where!r} lists no tool {wanted!r}.{nearest(wanted, tools)} It lists: {', '.join(tools) or 'none'}."
        )
    return [tools[wanted]]


def _connected(name: str, project: Project) -> _Connected:
    wanted = server(name, project)
    key = (os.getpid(), str(project.root), name)
    with _lock:
        known = _open.get(key)
        if known is None or known.server != wanted:  # afere.yaml says otherwise than before
            if known is not None:
                known.close()
            known = _open[key] = _Connected(wanted)
        return known
