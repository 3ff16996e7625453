"""`afere debt`: what the project owes, with evidence and the next action; a check for CI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from afere.base.errors import BadInput, Exit
from afere.cli.common import Place, placed, write_report

if TYPE_CHECKING:
    from rich.console import Console

    from afere.govern.debt import Finding, Trend

_COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}


@click.command()
@click.option("--as-of", metavar="DATE", help="As it stood on that day, or at that RFC 3339 time.")
@click.option(
    "--baseline",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Fail (1) on what this earlier audit (--json) did not have.",
)
@click.option(
    "--sarif", "sarif_file", type=click.Path(dir_okay=False, path_type=Path), help="Write SARIF, for code scanning."
)
@click.option(
    "--markdown",
    "markdown_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write Markdown, for a pull request.",
)
@click.option(
    "--weeks",
    type=click.IntRange(1, 52),
    metavar="N",
    help="Look at so many past Mondays (default: 8, where that is quick).",
)
@click.option("--all", "everything", is_flag=True, help="All findings, and those that were accepted.")
@click.option(
    "--accept", nargs=2, metavar="RULE PLACE", help="Live with a finding, with --why and --until; kept and audited."
)
@click.option("--withdraw", nargs=2, metavar="RULE PLACE", help="Take an acceptance back.")
@click.option("--why", default="", help="The reason, for --accept.")
@click.option("--until", metavar="DATE", default="", help="The last day on which it is accepted.")
@placed
def debt(
    place: Place, as_of: str | None, baseline: Path | None, sarif_file: Path | None, markdown_file: Path | None,
    weeks: int | None, everything: bool, accept: tuple[str, str] | None, withdraw: tuple[str, str] | None, why: str,
    until: str,
) -> int:  # fmt: skip
    """What this project owes: tools, prompts, pipelines, feedback, people.

    Looks at the traces of 90 days, prompts and their versions, tools, suites, scores and releases; nothing leaves this
    machine and no model is asked. Scores go from 100 (no debt found) downwards.

    \b
      afere debt --json > debt.json           # today's, to compare with later
      afere debt --baseline debt.json         # status 1 if there is new debt
      afere debt --accept tools.unused old_search --why "kept for the audit" --until 2027-03-31
    """
    if accept or withdraw:
        return _agree(place, accept, withdraw, why, until)
    if why or until:
        raise BadInput("--why and --until belong to --accept RULE PLACE.")
    import afere
    from afere.govern.debt import trend
    from afere.govern.debt.finding import Rules
    from afere.govern.debt.moment import moment
    from afere.govern.debt.report import markdown, new_since, read_baseline, sarif

    day = moment(as_of) if as_of else None
    project = place.here()
    before = read_baseline(baseline) if baseline else None
    with place.session() as session:
        looked = trend(session, project, as_of=day, weeks=weeks)
    found = looked.audit
    new = new_since(found, before) if before is not None else None
    if sarif_file:
        said = sarif(found, Rules(project.section("debt")), version=afere.__version__, inside=project.inside)
        write_report(sarif_file, json.dumps(said, indent=2) + "\n")
    if markdown_file:
        write_report(markdown_file, markdown(found, new))
    value = looked.to_json() | ({} if new is None else {"new": [one.to_json() for one in new]})
    place.show(value, lambda console: _draw(console, looked, new, everything))
    return Exit.RULE_FAILED if new else Exit.DONE


def _agree(
    place: Place, accepted: tuple[str, str] | None, withdrawn: tuple[str, str] | None, why: str, until: str
) -> int:
    """Accept a finding of now, or take that back."""
    from afere.govern.debt import audit
    from afere.govern.debt.accepting import accept, withdraw

    project = place.here()
    with place.session() as session:
        if accepted is not None:
            score = accept(session, audit(session, project).finding(*accepted), why=why, until=until)
            said = f"Accepted until {score.data['until']}: {accepted[0]} at {accepted[1]}."
        else:
            score = withdraw(session, *(withdrawn or ("", "")), why=why)
            said = "Taken back: it counts again, unless afere.yaml accepts it."
    place.show(score, lambda console: console.print(said, markup=False))
    return Exit.DONE


def _draw(console: Console, looked: Trend, new: list[Finding] | None, everything: bool) -> None:
    from rich.markup import escape
    from rich.table import Table

    audit = looked.audit
    if audit.empty:
        console.print(
            "Nothing to look at yet: no prompt, tool, trace or score is here. Bring what you have: afere import"
        )
        return
    console.print(f"[bold]{escape(audit.project)}[/] on {audit.as_of[:10]}: {audit.health} of 100")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for one in audit.debts:
        count = len(one.findings)
        table.add_row(one.title, str(one.health), f"{count} open" if count else "nothing found")
    console.print(table)
    weeks = ", ".join(f"{week.at[5:10]} {'none yet' if week.empty else week.health}" for week in looked.weeks)
    console.print(
        f"by week: {weeks}; since Monday {looked.since[:10]}: {len(looked.new)} new, {len(looked.mended)} mended"
    )
    listed = audit.findings if new is None else new
    if new is not None:
        console.print(f"\n{len(new)} new since the baseline" if new else "\nNo new debt since the baseline.")
    for finding in listed if everything else listed[:10]:
        cost = _cost(finding)
        console.print(
            f"\n[{_COLOURS[finding.severity]}]{finding.severity}[/] [bold]{escape(finding.place)}[/] {finding.rule}"
            f"{f' · since {finding.since[:10]}' if finding.since else ''}{f' · {cost}' if cost else ''}"
        )
        console.print(f"  {escape(finding.why)}")
        console.print(f"  [dim]next:[/] {escape(finding.action)}")
    if not everything and len(listed) > 10:
        console.print(f"\n{len(listed) - 10} more: afere debt --all")
    if audit.accepted:
        console.print(f"\n{len(audit.accepted)} accepted until a date{':' if everything else '; see them with --all'}")
        for finding in audit.accepted if everything else ():
            until = finding.accepted.until if finding.accepted else ""
            console.print(f"  {escape(finding.place)} {finding.rule} until {escape(until)}")
    for problem in audit.problems:
        console.print(f"[yellow]not read:[/] {escape(problem)}")


def _cost(finding: Finding) -> str:
    from afere.server.words import money

    cost = finding.cost
    parts = [
        f"{cost.calls:,} call{'s' * (cost.calls != 1)}" if cost.calls else "", f"{cost.failures:,} failed" if cost.failures else "",
        f"{cost.tokens:,} tokens" if cost.tokens else "", money(cost.usd) if cost.usd else "",
    ]  # fmt: skip
    return ", ".join(part for part in parts if part)
