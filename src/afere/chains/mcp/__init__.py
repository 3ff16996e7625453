"""Tools that MCP servers list and run: a small client of the Model Context Protocol, over stdio and streamable HTTP.

It speaks the revision 2026-07-28 (each request stands alone) and those before it that begin with a handshake, 2025-11-25
first. What a server says is untrusted: bounded in bytes and time, cleaned of what people cannot see, checked before it is
kept, and never executed.
"""

from afere.chains.mcp.client import Client as Client
from afere.chains.mcp.client import connect as connect
from afere.chains.mcp.listing import Listing as Listing
from afere.chains.mcp.listing import Offer as Offer
from afere.chains.mcp.servers import McpFailed as McpFailed
from afere.chains.mcp.servers import Server as Server
from afere.chains.mcp.servers import servers as servers
