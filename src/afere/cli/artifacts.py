"""`afere show`, `diff`, `promote` and `rollback`: look at what is kept, and move aliases."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import click

from afere.base.artifact import AliasMove, Artifact, parse_ref
from afere.base.canonical import Json
from afere.base.errors import BadInput, NotFound, Refused
from afere.cli.common import Place, placed, printable

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from afere.base.project import Project
    from afere.store import Session

_TRACE = re.compile(r"[0-9a-f]{6,32}")


@click.command()
@click.argument("what", metavar="REF|TRACE")
@click.option("--messages", is_flag=True, help="Of a trace: what each step was given and said, not only that it ran.")
@placed
def show(place: Place, what: str, *, messages: bool) -> None:
    """Show an artifact, such as prompt:answer@production, or a trace by the first digits of its id."""
    from afere.cli.bakeoff import draw_record
    from afere.cli.drawing import chain_json, draw_artifact, draw_trace, trace_json

    with place.session() as session:
        trace = session.spans.trace(what) if _TRACE.fullmatch(what) else None
        if trace is not None:
            scores = session.find("scores", target_prefix=trace.trace_id, limit=1000).items
            value = trace_json(trace, scores) if place.json else None
            place.show(value, lambda console: draw_trace(console, trace, scores, messages=messages))
            return
        try:
            artifact = _meant(what, session, place.here())
        except NotFound as error:
            if _TRACE.fullmatch(what) is None:
                raise
            raise NotFound(
                f"No trace begins with {what}, and no artifact is called so. List traces: afere traces"
            ) from error
        value = chain_json(artifact, session) if place.json and artifact.kind == "chain" else artifact
        draw = draw_record if artifact.kind == "report" else draw_artifact
        place.show(value, lambda console: draw(console, artifact, session))


@click.command()
@click.argument("a")
@click.argument("b")
@placed
def diff(place: Place, a: str, b: str) -> None:
    """What exactly changed from A to B.

    A name alone, such as qa, is what the project's files say now; otherwise the newest version.
    """
    from rich.text import Text

    from afere.cli.drawing import draw_parts, draw_places

    with place.session() as session:
        here = place.here()
        before = _meant(a, session, here)
        after = _meant(b, session, here, kind=before.kind)
        if before.kind != after.kind:
            raise BadInput(f"{before.ref} and {after.ref} are of two kinds. Name two versions of one kind.")
        names = (_named(before), _named(after))
        draw: Callable[[Console], None]
        if before.kind == "chain":
            from afere.chains.revision import changes as part_changes

            parts = part_changes(before, after, session)
            found = [part.to_json() for part in parts]
            draw = partial(draw_parts, changes=parts)
        else:
            from afere.cli.structure import changes

            places = [*changes(before, after), *_variables(before, after)]
            found = [*places]
            draw = partial(draw_places, changes=places)

    def drawn(console: Console) -> None:
        if not found:
            console.print(f"{names[0]} and {names[1]} are the same.", markup=False)
            return
        console.print(Text(f"{names[0]} -> {names[1]}", "bold"))
        draw(console)

    place.show({"a": names[0], "b": names[1], "changes": found}, drawn)


@click.command()
@click.argument("ref")
@click.argument("alias")
@click.option("--why", required=True, help="The reason; it stays in the alias's history.")
@click.option("--decision", metavar="REF", help="The decision that lets it in; a protected alias asks for one.")
@placed
def promote(place: Place, ref: str, alias: str, why: str, decision: str | None) -> None:
    """Move an alias, such as production, to the version that REF means. What lint finds in a prompt is told on stderr."""
    if "@" in alias:
        raise BadInput(f"{alias!r}: write the alias alone: afere promote {ref} {alias.rpartition('@')[2]}")
    with place.session() as session:
        artifact = _meant(ref, session, place.here())
        if artifact.version == 0:
            raise Refused(
                f"{artifact.kind}:{artifact.name} in your files differs from every version that has run. "
                "Run or evaluate it first, or name a version."
            )
        name = f"{artifact.kind}:{artifact.name}@{alias}"
        move = session.alias(name, artifact.hash, why=why, decision=decision)
        place.show(move, lambda console: _draw_move(console, move))
        if artifact.kind == "prompt":
            from afere.govern.promptlint import lint_version

            for one in lint_version(session, place.here(), artifact):
                click.echo(printable(str(one)), err=True)


@click.command()
@click.argument("name")
@click.argument("alias")
@click.option("--why", default="", help="The reason; it stays in the alias's history.")
@placed
def rollback(place: Place, name: str, alias: str, why: str) -> None:
    """Move an alias back to where it was before. It is one more move; nothing is forgotten."""
    if parse_ref(name).selected:
        raise BadInput(
            f"{name!r} names a version. Write the name alone: afere rollback {name.partition('@')[0]} {alias}"
        )
    with place.session() as session:
        move = session.rollback(f"{name}@{alias}", why=why)
        place.show(move, lambda console: _draw_move(console, move))


def _draw_move(console: Console, move: AliasMove) -> None:
    from rich.text import Text

    console.print(Text.assemble((f"{move.ref}@{move.alias}", "bold"), f": {move.origin or 'nothing'} -> {move.to}"))
    decision = f", by {move.decision}" if move.decision else ""
    console.print(Text(f"{move.why} ({move.by}{decision})", "dim"))


def _meant(text: str, session: Session, project: Project, *, kind: str | None = None) -> Artifact:
    """The artifact that a reference means here: without a selector, what the project's files say now, if they declare it.

    A prompt whose text never ran has version 0; it is not kept by being looked at.
    """
    if text.startswith("sha256:"):
        return session.get(text)
    ref = parse_ref(text, kind=kind)
    if not ref.selected:
        if ref.kind in (None, "chain") and ref.name in project.section("chains"):
            from afere.chains import resolve_chain

            return resolve_chain(ref.name, project).revision()
        from afere.chains.promptfiles import file_of

        if ref.kind in (None, "prompt") and (file := file_of(ref.name, project)) is not None:
            return _prompt_as_written(file, session, project)
    return session.get(ref)


def _variables(before: Artifact, after: Artifact) -> list[dict[str, Json]]:
    """What the templates of two versions of a prompt expect to be given, where that differs."""
    if before.kind != "prompt":
        return []
    from afere.chains.prompt import stored_prompt

    a, b = ([*stored_prompt(one).variables] for one in (before, after))
    return [] if set(a) == set(b) else [{"path": "variables", "before": [*a], "after": [*b]}]


def _named(artifact: Artifact) -> str:
    return artifact.ref if artifact.version else f"{artifact.kind}:{artifact.name} (as written)"


def _prompt_as_written(file: Path, session: Session, project: Project) -> Artifact:
    from afere.chains.prompt import load_prompt

    prompt = load_prompt(file, project)
    kept = session.find("artifacts", hash=prompt.hash, limit=1).items
    return kept[0] if kept else Artifact("prompt", prompt.name, 0, prompt.hash, prompt.content)
