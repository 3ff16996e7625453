"""`afere doctor` and `afere audit`: is all well with the store, the project and this machine, and if not, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from afere.base.errors import Exit
from afere.cli.common import Place, placed

if TYPE_CHECKING:
    from rich.console import Console

    from afere.store.health import Finding

_MARKS = {
    "ok": ("ok", "green"),
    "note": ("note", "cyan"),
    "warning": ("warning", "yellow"),
    "error": ("error", "bold red"),
}


@click.command()
@click.option(
    "--repair",
    is_flag=True,
    help="Save what can be read of a damaged afere.db into a new one; the damaged file is kept. Stop other programs first.",
)
@click.option(
    "--verify", "deep", is_flag=True, help="Also read every blob and every tie between records; takes longer."
)
@placed
def doctor(place: Place, repair: bool, deep: bool) -> int:
    """Check the store, the project and this machine; say what to do. Exit status 4 if something is broken.

    Programs and servers may go on meanwhile.
    """
    from pathlib import Path

    from afere.cli.machine import check_machine, check_project
    from afere.store.health import check_store, repair_database
    from afere.store.remote.health import check_server
    from afere.store.verify import check_blobs, check_ties

    findings = check_machine()
    project_findings, project = check_project(place.here)
    findings += project_findings
    if project is not None:
        folder = Path(project.store)
        if "://" in project.store:
            findings += check_server(project, deep=deep)
        else:
            if repair:
                findings += repair_database(folder / "afere.db")
            findings += check_store(folder, project.name)
            if deep and (folder / "afere.db").exists():
                findings += [*check_ties(folder), *check_blobs(folder)]
    broken = any(finding.severity == "error" for finding in findings)
    value = {"ok": not broken, "findings": [finding.to_json() for finding in findings]}
    place.show(value, lambda console: _draw(console, findings))
    return Exit.WORLD_FAILED if broken else Exit.DONE


def _draw(console: Console, findings: Sequence[Finding]) -> None:
    from rich.text import Text

    for finding in findings:
        word, style = _MARKS[finding.severity]
        console.print(Text.assemble((f"{word:8}", style), (f"{finding.about:11}", "bold"), finding.what))
        if finding.action:
            console.print(Text(f"{'':19}{finding.action}", "dim"))
    count = sum(finding.severity == "error" for finding in findings)
    console.print(f"\n{count} to repair." if count else "\nAll is well.")


@click.group(no_args_is_help=True)
def audit() -> None:
    """The log of every change that counts: artifacts, aliases, people's scores."""


@audit.command()
@click.option("--head", metavar="HASH", help="A head that an earlier `verify` printed: it must still be in the log.")
@placed
def verify(place: Place, head: str | None) -> int:
    """Check the log for edits, gaps, reordering and a cut tail. Exit status 4 if it is not sound.

    Keep the head that it prints elsewhere, such as in your release notes, and give it with --head later.
    """
    with place.session() as session:
        seq, newest = session.head()
        problems = session.verify(head)
    value = {"sound": not problems, "lines": seq, "head": newest, "problems": list(problems)}

    def draw(console: Console) -> None:
        for problem in problems:
            console.print(problem, markup=False)
        console.print(f"{seq} lines, {'sound' if not problems else f'{len(problems)} problems'}. Head: {newest}")

    place.show(value, draw)
    return Exit.WORLD_FAILED if problems else Exit.DONE
