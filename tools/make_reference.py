"""Write the pages of the reference that follow from the code: docs/reference/cli.md and docs/reference/python.md.

Run after a change of a command or of the public surface: .venv/bin/python tools/make_reference.py
A test (tests/docs/test_docs_reference.py) fails while a page is older than the code.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

import afere
import afere.testing
import afere.tracing
from afere.cli.main import COMMANDS, cli
from afere.data.shapes import shapes
from afere.evals.suite import SUITE_SCHEMA

PAGES = Path(__file__).parents[1] / "docs" / "reference"
SHARED = ("--json", "--store", "--project")
# For other parts of the product; a user has no need of them.
INNER = frozenset({
    "Component.put", "Component.ready", "Component.steps", "Chain.note", "Tool.put", "Tool.content", "LiveSpan.about",
    "LiveSpan.begun", "LiveSpan.first", "LiveSpan.root", "LiveSpan.running_above", "Scorer.configured", "Scorer.content",
    "Judge.configured", "Judge.value_of",
        "Judge.steps", "ScriptedModel.stream", "ScriptedModel.astream",
})  # fmt: skip


class Written:
    """An annotation that prints as it was written."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


# the module, its heading, the names that are shown, in order
SECTIONS: tuple[tuple[Any, str, tuple[str, ...]], ...] = (
    (afere, "Prompts, chains, tools", ("prompt", "Component", "chain", "Chain", "Run", "tool", "Tool", "agent", "replay", "Reply", "Stream")),
    (afere, "Data", ("dataset", "Dataset", "Row", "index", "Index", "Chunking", "search", "Passage")),
    (afere, "Evaluation", ("evaluate", "Experiment", "Measure", "compare", "Comparison", "scorer", "Scorer", "judge", "Judge", "Decision")),
    (afere, "Tracing", ("trace", "span", "Span", "current", "context", "instrument", "score", "Score", "now", "flush", "Flushed", "Trace")),
    (afere, "The store", ("open", "Session", "Artifact")),
    (afere.tracing, "More of tracing: `afere.tracing`", ("configure", "carry", "headers", "remote", "start", "collecting")),
    (afere.testing, "For tests: `afere.testing`", ("ScriptedModel", "Answer", "Fault", "OpenAIServer")),
)  # fmt: skip


def cli_page() -> str:
    """Every command, as `--help` tells it."""
    lines = [
        "# Command line",
        "",
        "This page is made from the commands themselves (`tools/make_reference.py`). `afere COMMAND --help` says the same.",
        "",
        "| command | what it does |",
        "|---|---|",
    ]
    for name, (_, what) in COMMANDS.items():
        lines.append(f"| [`afere {name}`](#afere-{name}) | {what} |")
    lines += [
        "",
        "## Everywhere",
        "",
        "Every command but the group `audit` takes these three options:",
        "",
        "- `--json` prints JSON for scripts; errors are then JSON on standard error.",
        "- `--store FOLDER` says where records rest. Default: `AFERE_STORE`, or `.afere` in the project.",
        "- `--project NAME` is the project within the store. Default: that of `afere.yaml`.",
        "",
        "`afere --version` prints the version. [Exit statuses](errors.md) are the same for all commands.",
    ]
    root = click.Context(cli, info_name="afere")
    for name in COMMANDS:
        command = cli.get_command(root, name)
        assert command is not None
        lines += _command(command, f"afere {name}")
        if isinstance(command, click.Group):
            for below in command.commands.values():
                lines += _command(below, f"afere {name} {below.name}")
    return "\n".join(lines) + "\n"


def _command(command: click.Command, name: str) -> list[str]:
    context = click.Context(command, info_name=name, max_content_width=110)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    lines = ["", f"## {name}", "", "```text", usage, "```", "", *_help(command.help or "")]
    options = [
        record
        for parameter in command.get_params(context)
        if isinstance(parameter, click.Option)
        and not set(parameter.opts) & {*SHARED, "--help"}
        and (record := parameter.get_help_record(context))
    ]
    if options:
        lines += ["", "| option | what it does |", "|---|---|"]
        lines += [f"| `{_cell(written)}` | {_cell(what)} |" for written, what in options]
    return lines


def _help(text: str) -> list[str]:
    """Paragraphs; those that click is told not to wrap are code."""
    lines: list[str] = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        literal = paragraph.startswith("\b")
        if lines:
            lines.append("")
        if literal:
            lines += ["```text", *(line.strip() for line in paragraph.splitlines()[1:]), "```"]
        else:
            lines.append(" ".join(paragraph.split()))
    return lines


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def python_page() -> str:
    """Every public name: how it is called, and what it is."""
    lines = [
        "# Python",
        "",
        "This page is made from the code (`tools/make_reference.py`). Names are imported when first used.",
    ]
    for module, title, names in SECTIONS:
        lines += ["", f"## {title}"]
        for name in names:
            lines += _name(module, name)
    missing = missing_names()
    if missing:
        lines += ["", "## Not there yet", "", f"Reserved names that raise AttributeError today: {', '.join(f'`afere.{name}`' for name in missing)}."]  # fmt: skip
    return "\n".join(lines) + "\n"


def missing_names() -> list[str]:
    """Public names that the package announces and does not have."""
    return [name for name in public_names() if not hasattr(afere, name)]


def public_names() -> list[str]:
    """What `afere` offers to users."""
    return sorted(afere._WHERE)


def _name(module: Any, name: str) -> list[str]:
    value = getattr(module, name)
    prefix = f"{module.__name__}.{name}"
    shown = inspect.isclass(value) and not name[0].islower()
    signature = "" if shown and not _made_by_users(value) else _signature(value)
    lines = ["", f"### {prefix}", "", "```text", f"{'class ' if shown else ''}{prefix}{signature}", "```"]
    doc = inspect.getdoc(value) or ""
    if doc and not doc.startswith(f"{name}("):
        lines += ["", *_prose(doc)]
    members = list(_members(value)) if shown else []
    return [*lines, "", *members] if members else lines


def _made_by_users(kind: type) -> bool:
    return kind in (afere.Chunking, afere.Score, *(getattr(afere.testing, name) for name in SECTIONS[-1][2]))


def _signature(value: Any) -> str:
    found = inspect.signature(value)
    bare = [one.replace(annotation=_short(one.annotation)) for one in found.parameters.values()]
    text = str(found.replace(parameters=bare, return_annotation=_short(found.return_annotation)))
    text = re.sub(r" = <[^>]*>", " = ...", text).replace(" -> None", "")
    return text if len(text) < 100 else _wrapped(text)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 110, subsequent_indent="    ", break_long_words=False)


def _short(annotation: Any) -> Any:
    if annotation is inspect.Signature.empty:
        return annotation
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return Written(text.replace("typing.", "").replace("collections.abc.", ""))


def _prose(doc: str) -> list[str]:
    """A docstring as Markdown: indented lines are examples."""
    lines: list[str] = []
    for paragraph in doc.split("\n\n"):
        if lines:
            lines.append("")
        example = paragraph.startswith(("@", "executor.", "    "))
        lines += ["```text", *paragraph.splitlines(), "```"] if example else [" ".join(paragraph.split())]
    return lines


def _members(kind: type) -> Iterable[str]:
    fields = [one.name for one in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []
    if fields and not _made_by_users(kind):
        yield f"Fields: {', '.join(f'`{name}`' for name in fields if not name.startswith('_'))}."
    lines: list[str] = []
    for name, member in inspect.getmembers_static(kind):
        if name.startswith("_") or name in fields or name == "to_json" or f"{kind.__name__}.{name}" in INNER:
            continue
        if line := _first_line(member):
            call = _names(member) if inspect.isfunction(member) else ""
            lines.append(f"- `.{name}{call}`: {line}")
    if lines and fields and not _made_by_users(kind):
        yield ""
    yield from lines


def _names(member: Any) -> str:
    """The parameters of a method, without types and without `self`."""
    found = inspect.signature(member)
    bare = [one.replace(annotation=inspect.Parameter.empty) for name, one in found.parameters.items() if name != "self"]
    text = str(found.replace(parameters=bare, return_annotation=inspect.Signature.empty))
    return re.sub(r"=<[^>]*>", "=...", text)


def _first_line(member: Any) -> str:
    doc = inspect.getdoc(member.fget if isinstance(member, property) else member) or ""
    if not (isinstance(member, property) or inspect.isroutine(member)):
        return ""
    return " ".join(doc.split("\n\n")[0].split())


def debt_page() -> str:
    """The rules of the debt audit, with thresholds and reasons."""
    from afere.govern.debt.finding import DEBTS, Rules

    lines = [
        "# Rules of the debt audit",
        "",
        "<!-- made by tools/make_reference.py from govern/debt/rules.toml -->",
        "",
        "What [`afere debt`](../guides/debt.md) looks for. A project sets its own thresholds and severities under `debt:` in",
        "`afere.yaml`, or turns a rule off: `debt: {tools.unused: {days: 60, severity: note}, prompt.repetition: false}`.",
    ]
    for name, title in DEBTS.items():
        lines += [
            "",
            f"## {title}",
            "",
            "| rule | what it finds | severity | thresholds | why |",
            "|---|---|---|---|---|",
        ]
        for rule in Rules():
            if rule.id.startswith(f"{name}."):
                numbers = ", ".join(f"`{key}` {value:g}" for key, value in rule.thresholds.items()) or "-"
                lines.append(f"| `{rule.id}` | {rule.title} | {rule.severity} | {numbers} | {rule.reason} |")
    return "\n".join(lines) + "\n"


def shapes_page() -> str:
    """How rows of other tools are read, from the maps themselves."""
    lines = [
        "# Rows of other tools", "",
        "Made by `tools/make_reference.py` from `src/afere/data/shapes.toml`.", "",
        "Rows are known by their keys; what was read as what is told in one line. `shape: NAME` in a suite, `--shape NAME`, or",
        "`afere.dataset(..., shape=NAME)` says it instead; `afere` means rows of ours, and a map such as",
        "`{expected: answer, input.question: q}` is a shape of your own. What no field takes goes to `metadata`. Paths: `a.b` is a",
        "key of an object, `a.*` its only key, `a[].b` that key of each item. Nulls count as absent.", "",
        "| shape | rows | known by | what becomes what |", "|---|---|---|---|",
    ]  # fmt: skip
    for one in shapes().values():
        known = "; ".join(line.replace("!", "no ") for line in one.when)
        maybe = f"; {'; '.join(one.maybe)}: asked" if one.maybe else ""
        fields = [
            f"{' or '.join(f'`{path.text.split(chr(32))[0]}`' for path in paths)} → {target}"
            for target, paths in one.fields.items()
        ]
        omit = f"; left out: those {one.omits}" if one.omit else ""
        lines.append(f"| `{one.name}` | {one.title}: {one.seen} | {known}{maybe} | {', '.join(fields)}{omit} |")
    return "\n".join(lines) + "\n"


PAGES_MADE = {"cli.md": cli_page, "python.md": python_page, "debt.md": debt_page, "shapes.md": shapes_page}


def main() -> None:
    for name, make in PAGES_MADE.items():
        (PAGES / name).write_text(make(), encoding="utf-8")
        print(f"wrote {PAGES / name}")
    (PAGES / "suite.schema.json").write_text(json.dumps(SUITE_SCHEMA, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
