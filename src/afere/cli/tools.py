"""`afere tools`: the registry of tools, and one of them in full."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from afere.base.errors import Exit
from afere.cli.common import Place, many, placed, printable
from afere.cli.traces import took

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console
    from rich.table import Table

    from afere.govern.registry import Registered, Registry, Usage
    from afere.govern.toolservers import Standing

_WIDE = 100  # columns from which the table has all it knows


@click.command()
@click.argument("name", required=False)
@click.option(
    "--days", type=click.IntRange(1, 3650), default=30, show_default=True, help="How far back calls are counted."
)
@click.option(
    "--refresh", "ask", is_flag=True, help="Ask the MCP servers of afere.yaml first, and keep what they list."
)
@placed
def tools(place: Place, name: str | None, days: int, ask: bool) -> int:
    """Every tool that afere.yaml or an MCP server lists, code declared or traces show; with NAME, one in full.

    MCP servers are asked with --refresh only; status 4 where one of them did not answer.

    \b
      afere tools
      afere tools --refresh
      afere tools leave_balance --days 7
    """
    from dataclasses import replace

    from afere.govern.registry import registry
    from afere.govern.toolservers import refresh

    project = place.here()
    with place.session() as session:
        asked = refresh(session, project, told=None if place.json else _tell) if ask else ()
        found = registry(session, project, days=days)
    found = replace(found, servers=asked) if ask else found
    status = Exit.WORLD_FAILED if any(one.why for one in asked) else Exit.DONE
    if name is None:
        place.show(found, lambda console: _draw(console, found))
        return status
    one = found.tool(name)
    place.show(one, lambda console: _draw_one(console, one, days))
    return status


def _tell(server: Standing) -> None:
    """What a server said now, on stderr: standard output is the registry."""
    for line in _said(server):
        click.echo(printable(line), err=True)


def _said(server: Standing) -> Iterator[str]:
    if server.why:
        yield server.why
        if server.tools is not None:
            yield f"  what it listed before stands: {many(len(server.tools), 'tool')}, {(server.asked or '')[:16]}"
        return
    seconds = f" in {server.seconds:.1f} s" if server.seconds is not None else ""
    yield f"{server.server}: {many(len(server.tools or {}), 'tool')}{seconds}, protocol {server.protocol}, {server.software or 'unnamed'}"
    for change in server.changed:
        yield f"  CHANGED {change.tool}: {', '.join(change.what)}: afere diff {change.before} {change.after}"
    for word, names in (("new", server.came), ("gone", server.went)):
        if names:
            yield f"  {word}: {', '.join(names[:20])}{f' and {len(names) - 20} more' if len(names) > 20 else ''}"
    for problem in server.problems:
        yield f"  problem: {problem}"


def _draw(console: Console, found: Registry) -> None:
    if found.tools:
        console.print(_table(found.tools, wide=console.width >= _WIDE))
    else:
        console.print(
            "No tools yet. Decorate a function with @afere.tool, or list tools under tools:, or MCP servers under mcp:, in afere.yaml."
        )
    for server in found.servers:
        console.print(printable(_one_line(server)), markup=False)
    for change in (one for tool in found.tools for one in tool.changes):
        console.print(
            printable(
                f"{change.server} changed {', '.join(change.what)} of {change.tool} on {change.at[:10]}: "
                f"afere diff {change.before} {change.after}"
            ),
            markup=False,
        )
    differ = [tool.name for tool in found.tools if tool.disagreements]
    if differ:
        console.print(printable(f"sources disagree on {', '.join(differ)}: afere tools {differ[0]}"), markup=False)
    if found.cut:
        console.print(f"only the newest spans of {found.days} days were read; fewer --days give whole figures")
    for problem in found.problems:
        console.print(printable(f"left out  {problem}"), markup=False)


def _table(tools: Sequence[Registered], *, wide: bool) -> Table:
    """A line a tool. Names and callers give way where the terminal is narrow; intervals and sources are for wide ones."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    titles = ["tool", "calls", "errors", "p50", "p95", "called by", "owner", "last used", *(["from"] if wide else [])]
    for title in titles:
        numbers, free = title in ("calls", "errors", "p50", "p95"), title in ("tool", "called by", "owner", "from")
        table.add_column(title, justify="right" if numbers else "left", no_wrap=not free, overflow="fold")
    for tool in tools:
        table.add_row(*map(printable, _row(tool, wide=wide)[: len(titles)]))
    return table


def _one_line(server: Standing) -> str:
    if server.tools is None:
        return server.why or f"MCP server {server.server}: not asked yet: afere tools --refresh"
    wrong = f"; {many(len(server.problems), 'problem')}" if server.problems else ""
    return f"MCP server {server.server}: {many(len(server.tools), 'tool')}, asked {(server.asked or '')[:16].replace('T', ' ')}{wrong}{f'; since then: {server.why}' if server.why else ''}"


def _row(tool: Registered, *, wide: bool) -> tuple[str, ...]:
    from rich.markup import escape

    usage = tool.usage
    callers = list(usage.callers)
    more = f" +{len(callers) - 2}" if len(callers) > 2 else ""
    return (
        escape(tool.name), f"{usage.calls:,}", _rate(usage, ends=wide), took(usage.p50_seconds), took(usage.p95_seconds),
        escape(", ".join(callers[:2]) + more), escape(tool.owner or ""), (usage.last_used or "")[:10],
        ", ".join(dict.fromkeys(one.kind for one in tool.sources)),
    )  # fmt: skip


def _rate(usage: Usage, *, ends: bool = True) -> str:
    if usage.error_rate is None:
        return ""
    if not ends or usage.error_rate_low is None or usage.error_rate_high is None:
        return f"{usage.error_rate:.0%}"
    return f"{usage.error_rate:.0%} ({usage.error_rate_low:.0%} to {usage.error_rate_high:.0%})"


def _draw_one(console: Console, tool: Registered, days: int) -> None:
    usage = tool.usage
    callers = ", ".join(f"{name} ({count:,})" for name, count in usage.callers.items())
    lines = [
        ("owner", tool.owner or "nobody"),
        ("permissions", ", ".join(tool.permissions) or "none named"),
        ("it says", ", ".join(tool.hints)),
        ("offered to", ", ".join(tool.agents)),
        ("calls", f"{usage.calls:,} in {days} days; {usage.errors:,} failed {_rate(usage)}".rstrip()),
        ("latency", f"p50 {took(usage.p50_seconds)}, p95 {took(usage.p95_seconds)}" if usage.p50_seconds is not None else ""),
        ("called by", callers),
        ("last used", f"{usage.last_used}  afere show {usage.last_trace}" if usage.last_used else ""),
        ("versions", ", ".join(tool.versions)),
        *(("changed", f"{', '.join(one.what)} on {one.at[:10]}: afere diff {one.before} {one.after}") for one in tool.changes),
        *(("declared", f"{one.card.place or 'offered or called in traces'} ({one.kind})") for one in tool.sources),
        *(("disagree", one) for one in tool.disagreements),
    ]  # fmt: skip
    console.print(printable(tool.name), style="bold", markup=False)
    if tool.description:
        console.print(printable(tool.description), markup=False)
    for title, text in lines:
        if text:
            console.print(f"{title:12}{printable(text)}", markup=False)
    if tool.parameters:
        console.print(printable(json.dumps(dict(tool.parameters), ensure_ascii=False, indent=2)), markup=False)
