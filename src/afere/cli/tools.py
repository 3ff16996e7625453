"""`afere tools`: the registry of tools, and one of them in full."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from afere.base.errors import NotFound
from afere.cli.common import Place, placed, printable
from afere.cli.traces import took

if TYPE_CHECKING:
    from rich.console import Console

    from afere.govern.registry import Registered, Registry, Usage


@click.command()
@click.argument("name", required=False)
@click.option(
    "--days", type=click.IntRange(1, 3650), default=30, show_default=True, help="How far back calls are counted."
)
@placed
def tools(place: Place, name: str | None, days: int) -> None:
    """Every tool that afere.yaml lists, code declared or traces show; with NAME, one in full.

    \b
      afere tools
      afere tools leave_balance --days 7
    """
    from afere.chains.template import nearest
    from afere.govern.registry import registry

    project = place.here()
    with place.session() as session:
        found = registry(session, project, days=days)
    if name is None:
        place.show(found, lambda console: _draw(console, found))
        return
    one = next((tool for tool in found.tools if tool.name == name), None)
    if one is None:
        near = nearest(name, [tool.name for tool in found.tools])
        raise NotFound(
            f"There is no tool {name!r} in afere.yaml, in code or in traces of {days} days.{near} See them all: afere tools"
        )
    place.show(one, lambda console: _draw_one(console, one, days))


def _draw(console: Console, found: Registry) -> None:
    from rich.table import Table

    if found.tools:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for title, right in (
            ("tool", False), ("calls", True), ("errors", True), ("p50", True), ("p95", True), ("called by", False),
            ("owner", False), ("last used", False), ("from", False),
        ):  # fmt: skip
            table.add_column(
                title,
                justify="right" if right else "left",
                no_wrap=right,
                overflow="fold",
            )
        for tool in found.tools:
            table.add_row(*map(printable, _row(tool)))
        console.print(table)
    else:
        console.print("No tools yet. Decorate a function with @afere.tool, or list tools under tools: in afere.yaml.")
    differ = [tool.name for tool in found.tools if tool.disagreements]
    if differ:
        console.print(printable(f"sources disagree on {', '.join(differ)}: afere tools {differ[0]}"), markup=False)
    if found.cut:
        console.print(f"only the newest spans of {found.days} days were read; fewer --days give whole figures")
    for problem in found.problems:
        console.print(printable(f"left out  {problem}"), markup=False)


def _row(tool: Registered) -> tuple[str, ...]:
    from rich.markup import escape

    usage = tool.usage
    callers = list(usage.callers)
    more = f" +{len(callers) - 2}" if len(callers) > 2 else ""
    return (
        escape(tool.name), f"{usage.calls:,}", _rate(usage), took(usage.p50_seconds), took(usage.p95_seconds),
        escape(", ".join(callers[:2]) + more), escape(tool.owner or ""), (usage.last_used or "")[:10],
        ", ".join(dict.fromkeys(one.kind for one in tool.sources)),
    )  # fmt: skip


def _rate(usage: Usage) -> str:
    if usage.error_rate is None:
        return ""
    if usage.error_rate_low is None or usage.error_rate_high is None:
        return f"{usage.error_rate:.0%}"
    return f"{usage.error_rate:.0%} ({usage.error_rate_low:.0%} to {usage.error_rate_high:.0%})"


def _draw_one(console: Console, tool: Registered, days: int) -> None:
    usage = tool.usage
    callers = ", ".join(f"{name} ({count:,})" for name, count in usage.callers.items())
    lines = [
        ("owner", tool.owner or "nobody"),
        ("permissions", ", ".join(tool.permissions) or "none named"),
        ("offered to", ", ".join(tool.agents)),
        ("calls", f"{usage.calls:,} in {days} days; {usage.errors:,} failed {_rate(usage)}".rstrip()),
        ("latency", f"p50 {took(usage.p50_seconds)}, p95 {took(usage.p95_seconds)}" if usage.p50_seconds is not None else ""),
        ("called by", callers),
        ("last used", f"{usage.last_used}  afere show {usage.last_trace}" if usage.last_used else ""),
        ("versions", ", ".join(tool.versions)),
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
