"""What the demo prints: short, in the order of a story, nothing when a script reads the answer."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from afere.base.canonical import Json
from afere.base.decision import Decision, Ruling
from afere.base.project import Project
from afere.base.span import Trace

if TYPE_CHECKING:
    from afere.chains.runner import Progress as RunProgress
    from afere.data import Index, Passage
    from afere.evals import Experiment
    from afere.evals.stats import Estimate

_ANSWERS = {"pass": ("✓ pass", "green"), "fail": ("✗ fail", "red"), "open": ("◌ open", "yellow")}
_WHAT = {
    "found": "the right passage is among the 3 found (recall@3)",
    "cites": "the cited passage is the right one (computed by shared words)",
    "top": "the first hit is the right one: what citing blindly gives",
    "fact": "the answer contains the known fact",
}


class Teller:
    """Prints the story to people; `quiet` for scripts."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.out = Console(highlight=False, quiet=quiet, soft_wrap=True)
        self.errors = Console(stderr=True, highlight=False, quiet=quiet)
        self._said_busy = False

    def title(self, text: str) -> None:
        self.out.print(Text(f"\n{text}", "bold"))

    @contextmanager
    def bar(self, title: str) -> Generator[Callable[[str, float, float], None]]:
        """A bar that is told (what, done, total)."""
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.errors, transient=True, disable=not self.errors.is_terminal) as progress:
            task = progress.add_task(title, total=None)

            def tell(what: str, done: float, total: float) -> None:
                progress.update(task, description=f"{title} {what}".strip(), completed=done, total=total)

            yield tell

    @contextmanager
    def rows(self, title: str) -> Generator[Callable[[str, RunProgress], None]]:
        """A bar for an evaluation; says once when other programs hold the processors."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.errors, transient=True, disable=not self.errors.is_terminal) as progress:
            task = progress.add_task(title, total=None)

            def tell(what: str, now: RunProgress) -> None:
                progress.update(task, description=f"{title}, {what}", completed=now.done, total=now.total)
                if now.busy and not self._said_busy:
                    self._said_busy = True
                    self.errors.print("This machine is busy: it takes longer, and no case is left out.", style="yellow")

            yield tell

    def offer_local_server(self) -> None:
        """A better model that runs here is worth a line."""
        from afere.models import find_local_server

        if found := find_local_server():
            self.out.print(
                f"A model server runs on this machine. To ask it: afere demo --model {found.name()}", markup=False
            )

    def indexed(self, made: Index) -> None:
        files = len(made.files)
        self.out.print(f"{made.ref}: {len(made)} passages of {files} pages of afere's own documentation.", markup=False)

    def first_trace(self, question: str, trace: Trace, unspoilt: Sequence[Passage]) -> None:
        """The trace of one question, with what the search would have found for the question itself."""
        self.title("One question, and its trace")
        output = trace.root.output
        answer = output.get("answer") if isinstance(output, dict) else output
        lines: list[tuple[str, object]] = [("question", question), ("answer", answer)]
        for span in sorted(trace.spans, key=lambda span: span.start):
            if span.kind == "llm" and span.name == "rewrite":
                lines.append(("  rewrite llm", f"→ {span.output}"))
            elif span.kind == "retrieval":
                found = ", ".join(str(cast("dict[str, Json]", one)["id"]) for one in span.documents)
                lines.append(("  search", f"→ {found}"))
            elif span.kind == "llm":
                lines.append((f"  {span.name} llm", f"→ {span.output}"))
        for name, value in lines:
            self.out.print(Text.assemble((f"{name:14}", "dim"), " ".join(str(value).split())))
        self.out.print(
            Text.assemble(
                ("\nThe answer does not say what went wrong; the trace does: look at what was searched for.\n", ""),
                ("The question itself would have found  ", "dim"),
                ", ".join(passage.id for passage in unspoilt),
            )
        )

    def declared(self, suite: str, project: Project) -> None:
        from afere.evals.suite import find_suite, read_suite

        rules = "; ".join(str(rule) for rule in read_suite(find_suite(suite, project), project).gate)
        self.title("One prompt changes: is it better?")
        self.out.print(f"evals/{suite}.yaml declares the gate before anything runs: {rules}", markup=False)

    def verdict(self, before: Experiment, after: Experiment, decision: Decision) -> None:
        """The table, the cases that changed, what the gate says."""
        self.table(f"{after.ref} (version 2) against {before.ref} (version 1)", after, before)
        self._changed(after)
        self.title("The gate")
        for ruling in decision.rules:
            self.out.print(_ruling_line(ruling))
        self.out.print(Text(f"{decision.ref}, declared before the run, decided on the cases above.", "dim"))

    def table(self, title: str, after: Experiment, before: Experiment) -> None:
        table = Table(title=title, title_justify="left", title_style="", box=None, pad_edge=False)
        for name in ("measure", "before", "after", "difference, 90% interval", "won/lost", "p"):
            table.add_column(name, justify="left" if name == "measure" else "right", no_wrap=True)
        old = {line.name: line for line in before.table()}
        for line in after.table(against=before.ref):
            if line.name not in _WHAT or line.difference is None:
                continue
            change = line.difference
            table.add_row(
                line.name, _number(old[line.name].value), _number(line.value), _with_interval(change.estimate),
                f"{change.wins}/{change.losses}", "none" if change.p is None else f"{change.p:.3f}",
            )  # fmt: skip
        self.out.print()
        self.out.print(table)
        for name, what in _WHAT.items():
            self.out.print(Text(f"{name:6} {what}", "dim"))

    def _changed(self, after: Experiment) -> None:
        found = next((line for line in after.table() if line.name == "found"), None)
        if found is None or found.difference is None:
            return
        better = [row for row, a, b in found.difference.changed if b > a]
        worse = [row for row, a, b in found.difference.changed if b < a]
        self.out.print(
            f"\nnow found: {', '.join(better) or 'none'}; no longer: {', '.join(worse) or 'none'}", markup=False
        )

    def farewell(self, seconds: float, commands: Sequence[tuple[str, str]]) -> None:
        """How long it took, what must not be concluded, and where to go on."""
        self.out.print(
            Text(
                f"\n{seconds:.0f} s. The bundled model has 135 million parameters: it proves the plumbing, not that rewriting is bad in general.",
                "dim",
            )
        )
        self.title("Go on")
        width = max(len(what) for what, _ in commands)
        for what, command in commands:
            self.out.print(Text.assemble((f"  {what:{width}}  ", "dim"), command))


def _ruling_line(ruling: Ruling) -> Text:
    word, style = _ANSWERS[ruling.answer]
    return Text.assemble((word, f"bold {style}"), "  ", ruling.rule, "   ", (ruling.why, "dim"))


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"


def _with_interval(change: Estimate) -> str:
    if change.value is None or change.low is None or change.high is None:
        return "none"
    return f"{change.value:+.2f}, {change.low:+.2f} to {change.high:+.2f}"
