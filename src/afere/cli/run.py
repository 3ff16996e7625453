"""`afere run`, `afere exec`, `afere replay`: run a chain once, any program, or a recorded trace again."""

from __future__ import annotations

import inspect
import json
import os
import shlex
import signal
import subprocess
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from afere.base.canonical import Json
from afere.base.errors import AfereError, BadInput, Exit, NotFound, WorldFailed
from afere.cli.common import Place, dollars, placed

if TYPE_CHECKING:
    from rich.console import Console

    from afere.base.span import Totals, Trace
    from afere.chains import Chain, Run

_STOPPED = {
    128 + number: number.name for number in (signal.SIGINT, signal.SIGTERM)
}  # exit status -> who ran it stopped it
_SHOWN = 12  # digits of a trace id that people read


class ChainRaised(AfereError):
    """The user's own code raised."""

    exit = Exit.RULE_FAILED


@click.command()
@click.argument("chain")
@click.argument("text", metavar="[INPUT]", required=False)
@click.option("--input", "data", metavar="JSON", help='All inputs as a JSON object, such as \'{"question": "..."}\'.')
@placed
def run(place: Place, chain: str, text: str | None, data: str | None) -> None:
    """Run a chain once: its answer, and the trace to look at.

    CHAIN is a name under chains: of afere.yaml, or module:attribute. INPUT goes to its first parameter.

    \b
      afere run qa "How do I roll back?"
      afere run app:qa --input '{"question": "How do I roll back?"}'
    """
    from afere.chains import resolve_chain
    from afere.tracing import flush

    project = place.here()
    found = resolve_chain(chain, project)
    arguments = _arguments(found, chain, text, data)
    result = _run(found, arguments)
    lost = flush().lost
    with place.session() as session:
        trace = session.spans.trace(result.trace_id)

    def draw(console: Console) -> None:
        console.print(_said(result.output), markup=False)
        console.print(_line(result, trace), style="dim", markup=False)
        console.print(_where(result.trace_id, trace, lost), style="dim", markup=False)

    place.show(_to_json(result, trace), draw)
    if isinstance(result.output, str) and not result.output.strip():
        click.echo(_empty(chain, trace), err=True)


@click.command(name="exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD [ARGS]...")
@placed
def exec_(place: Place, command: tuple[str, ...]) -> int:
    """Run any program so that what it traces lands in this project's store; its exit status is passed on.

    \b
      afere exec -- python app.py
      afere exec -- uvicorn app:app

    The program is a trace itself, and what it traces are traces of their own, such as one for each request of a server.
    Its environment names the store and project (AFERE_STORE, AFERE_PROJECT), and the program's own trace (TRACEPARENT) for
    programs that read it. In Python programs the libraries that afere knows are instrumented before your code starts.
    """
    from afere.tracing import flush, headers, span

    project = place.here()
    environment = {**os.environ, "AFERE_STORE": project.store, "AFERE_PROJECT": project.name}
    hook = str(Path(__file__).parent / "hook")
    environment["PYTHONPATH"] = os.pathsep.join([hook, *filter(None, [os.environ.get("PYTHONPATH")])])
    with span(Path(command[0]).name, kind="step") as live:
        live.input({"command": list(command)})
        known = headers()
        environment.update({name.upper(): known[name] for name in ("traceparent", "tracestate") if name in known})
        status = _child(command, environment)
        live.set(**{"process.exit_status": status})
        if status in _STOPPED:  # by who ran it: no failure of the program
            live.output(f"stopped by {_STOPPED[status]}")
        elif status:
            live.fail(f"ended with status {status}")
    flush()
    if not place.json:
        click.echo(f"{shlex.join(command)} ended with status {status}. What it traced: afere traces", err=True)
    return status


@click.command()
@click.argument("trace")
@click.option(
    "--with", "swaps", multiple=True, metavar="NAME=FILE|REF", help="Run this component anew, from a file or version."
)
@click.option("--times", default=1, show_default=True, type=click.IntRange(1, 1000), help="How often.")
@placed
def replay(place: Place, trace: str, swaps: tuple[str, ...], times: int) -> None:
    """Run a trace again from its record: models, tools, searches and the clock answer as they did.

    A component named by --with runs anew, and what depends on it; tools are never fired.

    \b
      afere replay 4f2a9c
      afere replay 4f2a9c --with answer=prompts/answer.md --times 5
      afere replay 4f2a9c --with answer=prompt:answer@3
    """
    from afere.chains.replay import replay_in
    from afere.tracing import flush

    project = place.here()
    swap = _swaps(swaps)
    runs = replay_in(project, trace, swap=swap, times=times)
    flush()
    with place.session() as session:
        recorded = session.spans.trace(trace)
        traces = [session.spans.trace(run.trace_id) for run in runs]
    before = (
        next((span.output for span in recorded.spans if span.kind in ("chain", "agent")), None) if recorded else None
    )

    def draw(console: Console) -> None:
        console.print(f"recorded: {_said(before)}", markup=False)
        for result, seen in zip(runs, traces, strict=True):
            same = " (as recorded)" if _said(result.output) == _said(before) else ""
            console.print(f"replayed: {_said(result.output)}{same}", markup=False)
            console.print(_line(result, seen), style="dim", markup=False)
            but = f", but for {', '.join(swap)}" if swap else ""
            console.print(f"exact{but}" if result.exact else f"not exact{but}:", markup=False)
            for note in result.notes:
                console.print(f"  {note}", markup=False)
        console.print(f"Look at it: afere show {runs[-1].trace_id[:_SHOWN]}", style="dim", markup=False)

    items: list[Json] = [_to_json(result, seen) for result, seen in zip(runs, traces, strict=True)]
    place.show({"items": items, "recorded": before, "next": None}, draw)


def _arguments(found: Chain[..., Any], name: str, text: str | None, data: str | None) -> dict[str, Any]:
    takes = found.parameters
    if text is not None and data is not None:
        raise BadInput("Give the input as text or as --input JSON, not both.")
    if data is not None:
        try:
            value: Any = json.loads(data)
        except ValueError as problem:
            raise BadInput(f'--input is not JSON: {problem}. Write \'{{"name": "value"}}\'.') from None
        if not isinstance(value, dict):
            raise BadInput('--input is a JSON object: {"name": value}.')
        arguments = cast("dict[str, Any]", value)
    elif text is None:
        arguments = {}
    elif takes:
        arguments = {takes[0]: text}
    else:
        raise BadInput(f"{name} has no parameter to give a text to. Use --input JSON.")
    strange = [key for key in arguments if takes is not None and key not in takes]
    missing = [key for key in _needed(found) if key not in arguments]
    if strange or missing:
        what = f"has no parameter {strange[0]!r}" if strange else f"needs {', '.join(map(repr, missing))}"
        raise BadInput(
            f"{name} {what}. It takes: {', '.join(takes or ()) or 'nothing'}. "
            f'Give its first as text (afere run {name} "...") or all with --input JSON.'
        )
    return arguments


def _needed(found: Chain[..., Any]) -> list[str]:
    if found.kind == "agent":
        return []  # its component says itself what it misses
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(found.fn).parameters.values()
    return [one.name for one in parameters if one.kind in kinds and one.default is one.empty]


def _run(found: Chain[..., Any], arguments: dict[str, Any]) -> Run[Any]:
    from afere.chains.target import is_world
    from afere.chains.waiting import waited
    from afere.tracing import collecting, flush

    with collecting() as collected:
        try:
            result: Any = found.run(**arguments)
            return cast("Run[Any]", waited(result) if inspect.isawaitable(result) else result)
        except AfereError:
            raise
        except KeyboardInterrupt:
            flush()
            trace_id = next(iter(collected.traces), "")
            hint = f": afere show {trace_id[:_SHOWN]}" if trace_id else ""
            raise KeyboardInterrupt(f"interrupted; what ran until then is kept{hint}") from None
        except Exception as error:
            flush()
            trace_id = next(iter(collected.traces), "")
            kind = WorldFailed if is_world(error) else ChainRaised
            place = traceback.extract_tb(error.__traceback__)[-1]
            raise kind(
                f"{found.name} raised {type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno}). "
                f"Look at what ran: afere show {trace_id[:_SHOWN]}"
            ) from None


def _swaps(written: tuple[str, ...]) -> dict[str, str]:
    swaps: dict[str, str] = {}
    for one in written:
        name, equals, source = one.partition("=")
        if not equals or not name or not source:
            raise BadInput(f"--with {one!r}: write NAME=FILE or NAME=REF, such as answer=prompts/answer.md.")
        swaps[name] = source
    return swaps


def _child(command: tuple[str, ...], environment: dict[str, str]) -> int:
    """Run the program; Ctrl-C and a request to stop reach it, and its end is waited for."""
    try:
        child = subprocess.Popen(command, env=environment)  # noqa: S603 - running what was typed is the command's purpose
    except FileNotFoundError:
        raise NotFound(f"There is no program {command[0]!r} to run. Check its name, or give its path.") from None
    except PermissionError:
        raise BadInput(
            f"{command[0]} may not be executed. Run it with its interpreter: afere exec -- python {command[0]}"
        ) from None
    before = signal.signal(signal.SIGTERM, lambda number, _: child.send_signal(number))
    try:
        while True:
            try:
                code = child.wait()
                break
            except KeyboardInterrupt:
                continue  # the terminal told the program too; it decides
    finally:
        signal.signal(signal.SIGTERM, before)
    return code if code >= 0 else 128 - code


def _said(output: object) -> str:
    if isinstance(output, str):
        return output
    from afere.chains.target import as_json

    return json.dumps(as_json(output), ensure_ascii=False, indent=2)


def _empty(name: str, trace: Trace | None) -> str:
    """What to say where a blank line is the whole answer: what the last model call says of its end."""
    calls = [span for span in trace.spans if span.kind == "llm"] if trace else []
    if not calls:
        return f"note: {name} answered nothing: an empty text."
    last = calls[-1]
    return f"note: {last.model or 'the model'} answered nothing (finish reason: {last.finish_reason or 'not said'})."


def _where(trace_id: str, trace: Trace | None, lost: int) -> str:
    """Where to look at what ran, if it is there to be looked at."""
    if trace is None and lost:
        return "This run was not kept: its trace could not be written to the store. To see what is wrong: afere doctor"
    look = f"Look at it: afere show {trace_id[:_SHOWN]}"
    return f"{look} ({lost} of its spans were not kept)" if lost else look


def _line(result: Run[Any], trace: Trace | None) -> str:
    parts = [f"{result.seconds:.2f} s"]
    totals: Totals | None = trace.totals if trace else None
    if totals and (totals.input_tokens is not None or totals.output_tokens is not None):
        parts.append(f"{_number(totals.input_tokens)} + {_number(totals.output_tokens)} tokens")
    parts.append("cost unknown" if result.cost is None else dollars(result.cost, 6))
    parts += [result.revision or "revision unknown", f"trace {result.trace_id[:_SHOWN]}"]
    return " · ".join(parts)


def _number(value: int | None) -> str:
    return "?" if value is None else str(value)


def _to_json(result: Run[Any], trace: Trace | None) -> dict[str, Json]:
    from afere.chains.target import as_json

    value: dict[str, Json] = {
        "output": as_json(result.output), "trace_id": result.trace_id, "revision": result.revision or None,
        "seconds": result.seconds, "cost": result.cost, "totals": trace.totals.to_json() if trace else None,
    }  # fmt: skip
    if result.exact is not None:
        value.update(exact=result.exact, notes=list(result.notes))
    return value
