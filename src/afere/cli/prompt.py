"""`afere prompt`: prompt files and the registry in step, checked, and who wrote what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from afere.base.errors import Exit
from afere.cli.common import Place, many, placed, printable, write_report

if TYPE_CHECKING:
    from rich.console import Console

    from afere.govern.promptsync import Done, Standing

_NO_TESTS = "No tests. Write prompts/NAME.test.yaml beside prompts/NAME.md: afere prompt test --help"


@click.group()
def prompt() -> None:
    """Prompt files and the registry, in step both ways; checks, who wrote what, other shapes."""


@prompt.command()
@click.argument("names", nargs=-1)
@placed
def status(place: Place, names: tuple[str, ...]) -> int:
    """How prompt files and the registry stand; status 1 if they are not in step.

    A conflict is a prompt that changed on both sides since their last common version; its difference is shown. Below a prompt
    stands what lint finds in it, and what became of the rows that its newest version shows, as examples or snippets, where
    their dataset has gone on.
    """
    from afere.govern.promptlint import brief, lint_standing
    from afere.govern.promptsync import IN_STEP, STATES, standings

    project = place.here()
    with place.session() as session:
        found = standings(session, project, names)
        problems = lint_standing(session, project, found)

    def draw(console: Console) -> None:
        if not found:
            console.print("No prompts: none below prompts/, none in the registry.")
        for one in found:
            version = f"@{one.newest.version}" if one.newest else ""
            says = (
                one.problem if one.problem.startswith(one.shown) else f"{one.shown}  {one.problem or STATES[one.state]}"
            )
            console.print(printable(f"{one.state:<9}{one.name}{version}  {says}"), markup=False)
            if said := brief(problems[one.name]):
                console.print(printable(f"         {said}"), markup=False, style="yellow")
            for each in one.drift:
                console.print(printable(f"         {each.says} Next: {each.action}"), markup=False, style="yellow")
        for one in found:
            if one.state == "conflict":
                _draw_conflict(console, one)

    told = [
        (_conflict_json(one) if one.state == "conflict" else one.to_json())
        | {"lint": [each.to_json() for each in problems[one.name]]}
        for one in found
    ]
    place.show(told, draw)
    return Exit.DONE if all(one.state in IN_STEP for one in found) else Exit.RULE_FAILED


def _deciding(function: Callable[..., Any]) -> Callable[..., Any]:
    for name, what in (("theirs", "registry's version"), ("ours", "file")):
        function = click.option(
            f"--{name}", multiple=True, metavar="NAME", help=f"In a conflict about NAME, the {what} wins."
        )(function)
    return click.argument("names", nargs=-1)(function)


@prompt.command()
@_deciding
@placed
def pull(place: Place, names: tuple[str, ...], ours: tuple[str, ...], theirs: tuple[str, ...]) -> int:
    """Write newer versions of the registry into the prompt files; of all prompts, or of those named.

    A file that was edited too is left alone and shown, with status 1. Comments and fields that no version holds stay.
    """
    from afere.govern.promptsync import pull as step

    project = place.here()
    with place.session() as session:
        done = step(session, project, names, ours=set(ours), theirs=set(theirs))
    return _told(place, done)


@prompt.command()
@_deciding
@click.option("--why", default="", help="The reason; it stays with the versions that are made.")
@placed
def push(place: Place, names: tuple[str, ...], ours: tuple[str, ...], theirs: tuple[str, ...], why: str) -> int:
    """Make a version in the registry of each prompt file that is newer; of all prompts, or of those named.

    No alias moves. A prompt that the registry changed too is left alone and shown, with status 1. What lint finds in the
    files is told on stderr, and keeps nothing back.
    """
    from afere.govern.promptlint import lint as check
    from afere.govern.promptsync import push as step

    project = place.here()
    with place.session() as session:
        done = step(session, project, names, ours=set(ours), theirs=set(theirs), why=why)
        problems = check(session, project, done.files)[0] if done.files else []
    status = _told(place, done)
    for one in problems:
        click.echo(printable(str(one)), err=True)
    return status


@prompt.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Warnings count too.")
@placed
def lint(place: Place, files: tuple[Path, ...], *, strict: bool) -> int:
    """Check prompt files, all or those named by file or prompt; status 1 if something is wrong.

    \b
    errors    broken files and templates, undeclared inputs, examples that do not fit or cannot be
              chosen (embed:), examples and snippets that an evaluation asks too
    warnings  examples that it nearly asks, inputs and snippets that the template never uses, rows that expired or are to be reviewed,
              a pinned dataset that has gone on, prompts without an owner
    notes     rows that are drafts or retired, and so not shown; a dataset that has gone on, where a push takes it in
    """
    from afere.govern.promptlint import lint as check

    project = place.here()
    with place.session() as session:
        problems, count = check(session, project, files)
    errors, warnings = (sum(one.severity == how for one in problems) for how in ("error", "warning"))

    def draw(console: Console) -> None:
        for one in problems:
            console.print(printable(str(one)), markup=False)
        console.print(f"{many(count, 'prompt file')}: {many(errors, 'error')}, {many(warnings, 'warning')}")

    place.show({"files": count, "problems": [one.to_json() for one in problems]}, draw)
    return Exit.RULE_FAILED if errors or (strict and warnings) else Exit.DONE


@prompt.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--update", is_flag=True, help="Snapshots become what the prompts say now.")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), metavar="F", help="Write JUnit XML.")
@placed
def test(place: Place, files: tuple[Path, ...], *, update: bool, junit: Path | None) -> int:
    """Fill prompts in as their tests say, and check the text; no model is asked. Status 1 if one fails.

    answer.test.yaml beside answer.md holds its tests. FILES are such files, prompts or their names; all below prompts/ if none is named.
    """
    from afere.govern import prompttests

    report = prompttests.run_tests(place.here(), files, update=update)
    if junit:
        write_report(junit, prompttests.junit(report))

    def draw(console: Console) -> None:
        for one in report.tests:
            mark, style = ("✓", "green") if one.passed else ("✗", "red")
            console.print(f"[{style}]{mark}[/] ", end="")
            console.print(printable(f"{one.prompt}: {one.name}  {'' if one.passed else one.place}"), markup=False)
            for line in prompttests.told(one):
                console.print(f"    {printable(line)}", markup=False)
        for line in [*(f"wrote {shown}" for shown in report.kept), *report.notes]:
            console.print(line, markup=False)
        if report.untested:
            console.print(f"without tests: {', '.join(report.untested)}", markup=False, style="dim")
        console.print(f"{many(len(report.tests), 'test')}: {report.failed} failed" if report.tests else _NO_TESTS)

    place.show(report, draw)
    return Exit.RULE_FAILED if report.failed else Exit.DONE


@prompt.command()
@click.argument("name")
@placed
def blame(place: Place, name: str) -> None:
    """Which version brought each line of a prompt: when, by whom and why. NAME is the prompt's, or its file."""
    from afere.govern.promptlint import blame as lines_of

    project = place.here()
    with place.session() as session:
        lines = lines_of(session, project, name)

    def draw(console: Console) -> None:
        from rich.text import Text

        heads = [
            f"@{one.version.number} {one.version.at[:10]} {one.version.by}" if one.version else "as written"
            for one in lines
        ]
        width, before = max(len(head) for head in heads), ""
        for head, one in zip(heads, lines, strict=True):
            why = f"  ({one.version.why})" if one.version and one.version.why and head != before else ""
            console.print(Text.assemble((f"{head:<{width}} ", "dim"), f"{one.line:>4} {one.text}", (why, "dim")))
            before = head

    place.show([one.to_json() for one in lines], draw)


@prompt.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--to", "shape", type=click.Choice(["afere", "github", "langfuse", "mlflow", "prompty", "dotprompt"]), required=True
)
@placed
def convert(place: Place, file: Path, shape: str) -> None:
    """Print a prompt, by its file or name, in another shape: afere's file, GitHub Models' .prompt.yml, Langfuse's or MLflow's JSON, Microsoft's .prompty,
    Google's dotprompt.

    A construct that does not mean the same there is refused by name and line. What is changed or left out is told on stderr,
    field by field.
    """
    from afere.chains.shapes import shaped, write_shape
    from afere.govern.prompts import prompt_file

    project = place.here()
    text, told = write_shape(shaped(prompt_file(file, project), project), shape)
    for one in told:
        if one.how != "kept":
            click.echo(printable(f"{one.how:<8}{one.field}{f': {one.why}' if one.why else ''}"), err=True)
    report = [one.to_json() for one in told]
    place.show({"text": text, "report": report}, lambda _: click.echo(text, nl=False))


def _told(place: Place, done: Done) -> int:
    def draw(console: Console) -> None:
        for line in done.did.values():
            console.print(line, markup=False)
        for name, problem in done.problems.items():
            console.print(f"{name}: {problem}", style="red", markup=False)
        for name, why in done.left.items():
            console.print(f"{name}: {why}", style="yellow", markup=False)
        for one in done.conflicts:
            _draw_conflict(console, one)
        if not (done.did or done.problems or done.conflicts or done.left):
            console.print("Nothing to do.")

    conflicts = [_conflict_json(one) for one in done.conflicts]
    place.show({"did": done.did, "conflicts": conflicts, "problems": done.problems, "left": done.left}, draw)
    return Exit.RULE_FAILED if done.conflicts or done.problems else Exit.DONE


def _conflict_json(one: Standing) -> dict[str, Any]:
    from afere.cli.structure import changes

    return one.to_json() | {"changes": changes(one.newest, one.as_written) if one.newest else []}


def _draw_conflict(console: Console, one: Standing) -> None:
    from rich.text import Text

    from afere.cli.drawing import draw_places
    from afere.cli.structure import changes

    if one.newest is None:
        return
    base = f"since @{one.base}" if one.base else "and have no version in common"
    console.print()
    console.print(Text(f"{one.newest.ref} and {one.shown} both changed {base}:", "bold"))
    draw_places(console, changes(one.newest, one.as_written))
    console.print(
        f"The file wins: afere prompt push --ours {one.name}. The registry wins: afere prompt pull --theirs {one.name}",
        markup=False,
    )
