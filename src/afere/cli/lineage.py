"""`afere lineage` and `afere impact`: where something comes from, what it touched, and what a change of it would touch."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from afere.base.clock import now_ns, rfc3339
from afere.cli.common import Place, placed

if TYPE_CHECKING:
    from rich.console import Console
    from rich.tree import Tree

    from afere.govern.gathering import Item, Lineage, Link, Side
    from afere.govern.impact import Impact

_DRAWN = 60  # lines of a tree


@click.command()
@click.argument("what", metavar="REF|TRACE|ROW|DOCUMENT")
@click.option("--up", is_flag=True, help="Only what it was made of.")
@click.option("--down", is_flag=True, help="Only what was made with it.")
@click.option(
    "--most", type=click.IntRange(1, 100_000), default=200, show_default=True, help="Things by name in each direction."
)
@click.option(
    "--openlineage",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write OpenLineage events, a JSON line each.",
)
@placed
def lineage(place: Place, what: str, up: bool, down: bool, most: int, file: Path | None) -> None:
    """Where something comes from, and what it touched.

    \b
      afere lineage qa@production            # a release: its parts, its experiments, its answers
      afere lineage 4bf92f --up              # an answer: every prompt, model, document and code revision behind it
      afere lineage docs/refunds.md#2 --down # a chunk: the answers that read it
    """
    from afere.govern.lineage import lineage as find
    from afere.govern.openlineage import openlineage

    project = place.here()
    with place.session() as session:
        found = find(session, what, up=up or not down, down=down or not up, most=most)
    if file:
        events = openlineage(found, project.name, at=rfc3339(now_ns()))
        file.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    place.show(found, lambda console: _draw(console, found))


@click.command()
@click.argument("what", metavar="PATH|REF")
@placed
def impact(place: Place, what: str) -> None:
    """What a change would touch: chains, suites, releases, and how much of the traffic.

    \b
      afere impact prompts/answer.md
      afere impact index:handbook
    """
    from afere.govern.impact import impact as find

    project = place.here()
    with place.session() as session:
        found = find(session, project, what)
    place.show(found, lambda console: _draw_impact(console, found))


def _draw(console: Console, found: Lineage) -> None:
    from rich.markup import escape

    subject = found.subject
    console.print(f"[bold]{escape(subject.ref)}[/]{f'  {escape(subject.note)}' if subject.note else ''}")
    for title, side, upwards in (("made of", found.up, True), ("touched", found.down, False)):
        if side is None:
            continue
        counts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(side.counts.items())) or "nothing"
        console.print(f"\n[dim]{title}:[/] {counts}")
        if side.items:
            console.print(_tree(subject.ref, side, upwards=upwards))
        if side.more > 0:
            console.print(f"[dim]{side.more:,} more are counted and not named: --most N[/]")
        for note in side.notes:
            console.print(f"[dim]{escape(note)}[/]")


def _tree(start: str, side: Side, *, upwards: bool) -> Tree:
    from rich.text import Text
    from rich.tree import Tree

    items = {item.ref: item for item in side.items}
    below: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for link in side.links:
        near, far = _ends(link, upwards=upwards)
        below[near].append((link.role, far))
    tree = Tree("", hide_root=True)
    seen: set[str] = {start}
    queue = [(tree, start)]
    drawn = 0
    while queue:
        branch, ref = queue.pop(0)
        for role, far in dict.fromkeys(below.get(ref, ())):
            if drawn >= _DRAWN or far not in items:
                continue
            drawn += 1
            again = far in seen
            line = Text.assemble(f"{far}", (f"  {role}", "dim"), (_said(items[far], again), "dim"))
            child = branch.add(line)
            if not again:
                seen.add(far)
                queue.append((child, far))
    loose = [item for item in side.items if item.ref not in seen]
    for item in loose[: max(0, _DRAWN - drawn)]:
        tree.add(Text.assemble(item.ref, (_said(item, False), "dim")))
    if len(loose) > max(0, _DRAWN - drawn):
        tree.add(Text(f"{len(loose) - max(0, _DRAWN - drawn)} more: --json", "dim"))
    return tree


def _ends(link: Link, *, upwards: bool) -> tuple[str, str]:
    return (link.source, link.target) if upwards else (link.target, link.source)


def _said(item: Item, again: bool) -> str:
    if again:
        return "  (above)"
    return f"  {item.note}" if item.note else f"  {item.at[:10]}" if item.at else ""


def _draw_impact(console: Console, found: Impact) -> None:
    from rich.markup import escape
    from rich.table import Table

    console.print(f"[bold]{escape(found.subject)}[/]{f'  {escape(found.note)}' if found.note else ''}")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for title, refs in (
        ("chains", found.chains), ("suites", found.suites), ("releases", found.releases), ("experiments", found.experiments),
        ("indexes", found.indexes),
    ):  # fmt: skip
        shown = ", ".join(refs[:8]) + (f" and {len(refs) - 8} more" if len(refs) > 8 else "")
        table.add_row(title, escape(shown) or "[dim]none[/]")
    share = f" ({found.requests / found.all_requests:.0%} of {found.all_requests:,})" if found.all_requests else ""
    table.add_row("traffic", f"{found.requests:,} requests in {found.days} days{share}")
    console.print(table)
    console.print(f"[dim]next:[/] {escape(found.action)}")
