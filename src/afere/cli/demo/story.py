"""The demo from beginning to end: weights, index, one trace, two evaluations of one prompt change, the gate."""

from __future__ import annotations

import importlib.util
import os
import shlex
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from afere.base.canonical import Json
from afere.base.decision import Decision
from afere.base.errors import MissingExtra
from afere.base.project import Project, find_project
from afere.base.span import Trace
from afere.cli.common import Place, placed
from afere.cli.demo.material import in_place_of, place
from afere.cli.demo.telling import Teller

if TYPE_CHECKING:
    from afere.evals import Experiment

QUESTION = "Which exit status means that there is not enough evidence?"
FOLDER = "afere-demo"
SUITES = {"20": "qa", "all": "all", "messy": "messy"}


@click.command()
@click.option(
    "--model", metavar="MODEL",
    help="Who answers: openai:NAME, ollama:NAME, http://host:port/v1#NAME. Default: the bundled local model.",
)  # fmt: skip
@click.option(
    "--cases", type=click.Choice(list(SUITES)), default="20", show_default=True,
    help="20 clean questions, all of them, or the 20 as people type them.",
)  # fmt: skip
@click.option("--without", type=click.Choice(["rewrite"]), help="Also evaluate the chain without that step.")
@click.option(
    "--folder", default=FOLDER, show_default=True, help="Where the demo's files go.",
    type=click.Path(file_okay=False, path_type=Path),
)  # fmt: skip
@click.option("--open", "open_pages", is_flag=True, help="Show the pages in the browser at the end.")
@placed
def demo(
    at: Place, model: str | None, cases: str, without: str | None, folder: Path, open_pages: bool
) -> None:  # fmt: skip
    """A real model answers from a real handbook; the trace shows why it fails; one prompt changes; a gate decides.

    Works offline once the model's weights are here. Nothing is canned: change a file in the folder and run it again.
    """
    begun = time.monotonic()
    started_in = Path.cwd()
    teller = Teller(quiet=at.json)
    folder = folder.resolve()
    place(folder, model)
    with _inside(folder):
        project = find_project(folder)
        _get_ready(project, model, teller)
        first = _first_trace(project, teller)
        before, after = _two_versions(SUITES[cases], project, teller)
        decision = after.gate()
        teller.verdict(before, after, decision)
        simpler = _without_the_step(SUITES[cases], project, after, teller) if without else None
        _farewell(
            teller, folder.relative_to(started_in) if folder.is_relative_to(started_in) else folder, first, after, begun
        )
        at.show(_as_json(first, before, after, simpler, decision), lambda _: None)
        if open_pages:
            from afere.cli.ui import ui

            here = {"as_json": False, "store": at.store, "project": at.project}
            click.get_current_context().invoke(ui, host="127.0.0.1", port=4318, browser=True, **here)


@contextmanager
def _inside(folder: Path) -> Generator[None]:
    """Work in the demo's project as its user would: from its folder, with its modules importable."""
    before = Path.cwd()
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted; what ran is kept in {folder}. Run afere demo again: answers that it has are not asked for again."
        ) from None
    finally:
        sys.path.remove(str(folder))
        os.chdir(before)


def _get_ready(project: Project, model: str | None, teller: Teller) -> None:
    """The model's weights, and the index of the handbook."""
    from afere.chains import resolve_chain
    from afere.data.indexes import build
    from afere.data.place import session_of
    from afere.data.searching import declared
    from afere.models import weights

    if "local" in set(project.section("models").values()):
        if importlib.util.find_spec("xllamacpp") is None:
            raise MissingExtra("local", "The bundled model")
        if not weights.ready():
            with teller.bar("model weights, once (93 MB)") as bar:
                weights.weights(lambda what, share: bar(what, share, 1.0))
        if model is None:
            teller.offer_local_server()
    recipe = declared(project, "handbook")
    assert recipe is not None, "afere.yaml of the demo declares the index"
    with teller.bar("index of the handbook") as bar:
        made = build(
            project, session_of(project), "handbook", recipe, progress=lambda done, total: bar("", done, total)
        )
    teller.indexed(made)
    resolve_chain("qa", project)


def _first_trace(project: Project, teller: Teller) -> Trace:
    """One question through version 1, and what its trace says."""
    import afere.tracing
    from afere.chains import resolve_chain
    from afere.data import search
    from afere.data.place import session_of

    run = resolve_chain("qa", project).run(QUESTION)
    afere.tracing.flush()
    trace = session_of(project).spans.trace(run.trace_id)
    assert trace is not None, "flush has written it"
    teller.first_trace(QUESTION, trace, search("handbook", QUESTION, k=3))
    return trace


def _evaluate(suite: str, project: Project, teller: Teller, title: str) -> Experiment:
    from afere.evals.evaluation import Plan, perform
    from afere.evals.suite import find_suite, read_suite

    plan = Plan.of(read_suite(find_suite(suite, project), project))
    # Two at once: the bundled model has one server a core, and more would only wait in line.
    with teller.rows(title) as watch:
        return perform(plan, project, concurrency=2, watch=watch)


def _two_versions(suite: str, project: Project, teller: Teller) -> tuple[Experiment, Experiment]:
    """The same cases through both versions of one prompt; the first is the baseline of the gate."""
    teller.declared(suite, project)
    before = _evaluate(suite, project, teller, "version 1 of the rewrite prompt")
    before.accept()
    with in_place_of(project.path("prompts/rewrite.md"), project.path("next/rewrite.md")):
        after = _evaluate(suite, project, teller, "version 2 of the rewrite prompt")
    return before, after


def _without_the_step(suite: str, project: Project, after: Experiment, teller: Teller) -> Experiment:
    """The third candidate, the simplest: no rewrite at all, on the same cases."""
    from dataclasses import replace

    from afere.evals.evaluation import Plan, perform
    from afere.evals.subject import subject_of
    from afere.evals.suite import find_suite, read_suite

    plan = Plan.of(read_suite(find_suite(suite, project), project), against=after.ref)
    with teller.rows("without the rewrite step") as watch:
        made = perform(replace(plan, subject=subject_of("direct", project)), project, concurrency=2, watch=watch)
    teller.table(f"Without the step, against {after.ref}", made, after)
    return made


def _farewell(teller: Teller, folder: Path, first: Trace, after: Experiment, begun: float) -> None:
    inside = f"cd {shlex.quote(str(folder))} && "
    again = "afere demo" if folder == Path(FOLDER) else f"afere demo --folder {shlex.quote(str(folder))}"
    teller.farewell(
        time.monotonic() - begun,
        [
            ("everything in the browser", f"{inside}afere ui --open"),
            ("the trace above", f"{inside}afere show {first.trace_id[:8]}"),
            ("case by case", f"{inside}afere compare experiment:{after.number - 1} {after.ref}"),
            ("as people really type", f"{again} --cases messy --without rewrite"),
            ("change a prompt, run it again", f"$EDITOR {shlex.quote(f'{folder}/next/rewrite.md')}; {again}"),
            ("your own application", "afere init my-app"),
        ],
    )


def _as_json(
    first: Trace, before: Experiment, after: Experiment, simpler: Experiment | None, decision: Decision
) -> dict[str, Json]:
    experiments = [before, after, *([simpler] if simpler else [])]
    return {
        "trace_id": first.trace_id,
        "experiments": [{"ref": one.ref, "table": [line.to_json() for line in one.table()]} for one in experiments],
        "decision": decision.to_json(),
    }
