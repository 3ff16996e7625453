"""`afere`: names the commands, imports one only when it is asked for, and turns errors into one sentence and a status."""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

import click

from afere.base.errors import AfereError, Exit

# command -> (module:attribute, the line that `afere --help` shows); in the order of a first day
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("afere.cli.demo:demo", "See it all on a real handbook, offline, in about a minute."),
    "init": ("afere.cli.init:init", "Put a first chain, prompt, dataset and suite into your project."),
    "run": ("afere.cli.run:run", "Run a chain once; the answer and its trace."),
    "exec": ("afere.cli.run:exec_", "Run any program with its model calls traced."),
    "eval": ("afere.cli.evaluate:eval_", "Evaluate a suite; the exit status is its gate's."),
    "gate": ("afere.cli.evaluate:gate", "Hold an experiment against rules."),
    "accept": ("afere.cli.evaluate:accept", "Make an experiment the baseline kept in git."),
    "compare": ("afere.cli.evaluate:compare", "Two experiments, case by case, with intervals."),
    "bakeoff": ("afere.cli.bakeoff:bakeoff", "The same cases over several models: which to take."),
    "sweep": ("afere.cli.bakeoff:sweep", "The same cases over parameters, prompts, models and targets."),
    "stability": ("afere.cli.stability:stability", "How often answers change under harmless changes of the input."),
    "dataset": ("afere.cli.dataset:dataset", "Check the rows of a dataset, add traces to it, write it to a file."),
    "debt": ("afere.cli.debt:debt", "What the project owes: tools, prompts, pipelines, feedback, people."),
    "tools": ("afere.cli.tools:tools", "Every tool: who owns and calls it, how often it fails, how long it takes."),
    "labels": ("afere.cli.labels:labels", "What people said of the outputs, and whether judges agree with them."),
    "ui": ("afere.cli.ui:ui", "Everything in the browser."),
    "traces": ("afere.cli.traces:traces", "List traces, newest first; takes a filter."),
    "export": ("afere.cli.export:export_", "Send traces to any collector by OTLP, or into a file."),
    "sql": ("afere.cli.sql:sql", "Ask a snapshot of the spans in SQL."),
    "stats": ("afere.cli.stats:stats", "How often, how fast and how much, by model, hour and more."),
    "show": ("afere.cli.artifacts:show", "Show an artifact or a trace."),
    "score": ("afere.cli.traces:score", "Record what somebody thinks of a trace or artifact."),
    "diff": ("afere.cli.artifacts:diff", "What exactly changed between two versions."),
    "blame": ("afere.cli.blame:blame", "Which component's change made a version better or worse."),
    "prompt": ("afere.cli.prompt:prompt", "Prompt files: in step with the registry, lint, blame, convert."),
    "promote": ("afere.cli.artifacts:promote", "Move an alias, such as production, to a version."),
    "rollback": ("afere.cli.artifacts:rollback", "Move an alias back to where it was."),
    "replay": ("afere.cli.run:replay", "Run a trace again from its record, with one part swapped."),
    "import": ("afere.cli.bring:import_", "Bring in what another tool has, with a report of what is lost."),
    "lineage": ("afere.cli.lineage:lineage", "Where something comes from, and what it touched."),
    "impact": ("afere.cli.lineage:impact", "What a change of a file or version would touch."),
    "index": ("afere.cli.index:index", "Build or refresh an index of documents."),
    "key": ("afere.cli.key:key", "Keys for programs that talk to a server."),
    "user": ("afere.cli.key:user", "Accounts for people who open a server's pages."),
    "doctor": ("afere.cli.doctor:doctor", "Check the store, the project and this machine; say what to do."),
    "backup": ("afere.cli.backup:backup", "All of the store in one file, while programs go on."),
    "restore": ("afere.cli.backup:restore", "Make the store from a backup, after checking it."),
    "keep": ("afere.cli.keeping:keep", "Remove traces older than afere.yaml says."),
    "erase": ("afere.cli.keeping:erase", "Erase all that is known of a user, from every file."),
    "audit": ("afere.cli.doctor:audit", "Check the audit log for edits, gaps and a cut tail."),
}


class Commands(click.Group):
    """A group whose commands are imported when named, so that `afere --help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place[0].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            raise click.UsageError(
                f"{error.message} Did you mean: afere {near[0]}" if near else error.message
            ) from None


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        import afere

        click.echo(f"afere {afere.__version__}")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def cli() -> None:
    """Every answer traced to what made it; no change shipped unless it is measurably better.

    Start with: afere demo
    """


def _tell(kind: str, text: str) -> None:
    if "--json" in sys.argv:
        click.echo(json.dumps({"error": kind, "message": text}), err=True)
    else:
        click.echo(f"{'error' if kind != 'interrupted' else 'stopped'}: {text}", err=True)


def _stopped(error: BaseException) -> str:
    """What was kept, where a command said so in its KeyboardInterrupt: click raises Abort from that."""
    said = error if isinstance(error, KeyboardInterrupt) else error.__cause__
    words = str(said) if isinstance(said, KeyboardInterrupt) else ""
    return words or "interrupted; what was finished is kept. Run the same command again to go on."


def main() -> None:
    """The console script. Errors raised on purpose become one message and a status; others keep their traceback."""
    try:
        status = cli.main(prog_name="afere", standalone_mode=False)
        sys.exit(status if isinstance(status, int) else Exit.DONE)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.UsageError as error:
        if "--json" in sys.argv:
            _tell("usage", error.format_message())
        else:
            error.show()
        sys.exit(Exit.WRONG_USE)
    except AfereError as error:
        _tell(type(error).__name__, str(error))
        sys.exit(error.exit)
    except (click.Abort, KeyboardInterrupt) as error:
        _tell("interrupted", _stopped(error))
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output left (`afere traces | head`): not an error, and nothing more can be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.DONE)


if __name__ == "__main__":
    main()
