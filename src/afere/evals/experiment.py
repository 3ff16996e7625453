"""Experiment: an evaluation that was made, frozen. Its table, its gate, and how it draws itself."""

from __future__ import annotations

import html
from collections.abc import Collection
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from afere.base.artifact import Artifact, Use
from afere.base.canonical import Json
from afere.base.clock import now_ns, rfc3339
from afere.base.decision import Decision
from afere.base.errors import BadInput, NotFound
from afere.base.project import Project, find_project
from afere.base.rule import BUILTIN, Rule, parse_rule
from afere.data import Dataset, Row
from afere.data.place import session_of
from afere.evals import baseline
from afere.evals.gate import Missing, check, decide
from afere.evals.references import reference, results_of
from afere.evals.results import Result, Results
from afere.evals.select import rows_where
from afere.evals.table import Measure, measures
from afere.store import Session


class Experiment:
    """An evaluation that was made. `number` names it; `rows` are its runs; `complete` is False while rows are unfinished."""

    def __init__(self, artifact: Artifact, session: Session, project: Project, results: Results | None = None) -> None:
        self.artifact = artifact
        self.session = session
        self.project = project
        if results is not None:
            self.__dict__["results"] = results

    @property
    def number(self) -> int:
        return int(self.artifact.name)

    @property
    def ref(self) -> str:
        """`experiment:43`"""
        return self.artifact.ref

    @property
    def content(self) -> dict[str, Json]:
        """What was evaluated and found, as it is kept."""
        return cast("dict[str, Json]", self.artifact.content)

    @property
    def name(self) -> str:
        """The suite, or what was evaluated."""
        return str(self.content["name"])

    @property
    def complete(self) -> bool:
        return bool(self.content["complete"])

    @cached_property
    def results(self) -> Results:
        return results_of(self.artifact, self.session)

    @property
    def rows(self) -> list[Result]:
        """Every run of every row, with its scores, its trace, and what went wrong."""
        return list(self.results.runs)

    @cached_property
    def examples(self) -> dict[str, Row]:
        """The dataset's rows by id: what went in and what was expected."""
        dataset = Dataset(self.session.get(self.results.dataset[1], kind="dataset"), self.session)
        return {row.id: row for row in dataset.rows}

    @property
    def cost(self) -> float | None:
        """USD, runs and judges together; None if no model said."""
        return cast("float | None", self.content["cost"])

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that stood before the results."""
        return tuple(parse_rule(str(text)) for text in cast("list[Json]", self.content["gate"]))

    @property
    def findings(self) -> list[Json]:
        """What to look at beside the numbers: rules that are gone."""
        return cast("list[Json]", self.content["findings"])

    @property
    def slices(self) -> dict[str, list[dict[str, Any]]]:
        """The measures of each slice that the suite names, as JSON."""
        return cast("dict[str, list[dict[str, Any]]]", self.content["slices"])

    @property
    def baseline_file(self) -> Path:
        return self.project.path(str(self.content["baseline"]))

    def table(self, *, against: str | None = None, where: str = "") -> list[Measure]:
        """One line a measure: name, value, low, high (90%), n, missing, difference.

        The difference is paired, against what the experiment was run against, or against `against`. `where` keeps some
        rows: `tag:edge`, `split:test`, `group:...`, words of the input.
        """
        word = against or cast("str | None", self.content["against"])
        before = self._reference(word) if word else None
        if against is not None and isinstance(before, Missing):
            raise NotFound(f"{self.ref} cannot be compared with {against}: {before.why}.")
        rows = rows_where(where, self.examples) if where else None
        return measures(self.results, None if isinstance(before, Missing) else before, rows=rows)

    def gate(self, *rules: str) -> Decision:
        """What the rules say: those given, else those of the suite. The decision is kept, with its evidence."""
        asked = tuple(parse_rule(text) for text in rules) or self.rules
        if not asked:
            raise BadInput(
                f"{self.ref} has no rules. Give some, such as .gate('exact.mean >= 0.8'), or write gate: in the suite."
            )
        for rule in asked:
            check(rule, list(dict.fromkeys([*self.results.names, *BUILTIN])))
        words = {rule.against for rule in asked if rule.against is not None}
        references = {word: self._reference(word) for word in words}
        rulings = decide(asked, self.results, references, self._rows)
        known = [one for one in references.values() if isinstance(one, Results)]
        at, by = rfc3339(now_ns()), self.session.actor
        decision = Decision(self.ref, rulings, known[0].ref if known else None, None, by, at)
        declared: list[Json] = [str(rule) for rule in asked if rule in self.rules]
        content: dict[str, Json] = {
            **cast("dict[str, Json]", decision.to_json()),
            "declared": declared,
            "findings": self.findings,
        }
        del content["ref"]
        uses = [Use("subject", self.ref, self.artifact.hash)]
        for one in known:
            if one.ref.startswith("experiment:"):
                uses.append(Use("against", one.ref, self.session.get(one.ref).hash))
        kept = self.session.put("decision", None, content, uses=uses, why=f"gate of {self.ref}")
        return replace(decision, ref=kept.ref)

    def accept(self) -> Path:
        """Make this the baseline: write its file, which belongs in git. Returns the file."""
        if not self.complete:
            raise BadInput(
                f"{self.ref} is not complete, so it cannot be a baseline. Finish it with: afere eval {self.name} --resume"
            )
        compared = {rule.measure.words[0] for rule in self.rules if rule.against is not None}
        text = baseline.text_of(self.results, self.name, [str(rule) for rule in self.rules], compared)
        baseline.write(self.baseline_file, text)
        return self.baseline_file

    def output_of(self, run: Result) -> Json:
        """What a run answered: from its trace, or the row's own output."""
        if run.trace is None:
            row = self.examples.get(run.row)
            return row.output if row else None
        trace = self.session.spans.trace(run.trace)
        return trace.root.output if trace else None

    def to_json(self) -> dict[str, Json]:
        return {
            "ref": self.ref, "at": self.artifact.at, "by": self.artifact.by, "hash": self.artifact.hash, **self.content,
        }  # fmt: skip

    def to_pandas(self) -> Any:
        """A data frame with one line a run. Needs pandas."""
        try:
            import pandas as pd  # pyright: ignore[reportMissingImports] - the user's own
        except ImportError:
            raise BadInput("to_pandas needs pandas. Install it with: pip install pandas") from None
        runs = [
            {
                "row": run.row,
                "repeat": run.repeat,
                "trace": run.trace,
                "error": run.error,
                **{n: v for n, (v, _) in run.scores.items()},
            }
            for run in self.results.runs
        ]
        return cast("Any", pd).DataFrame(runs)

    def _reference(self, word: str) -> Results | Missing:
        return reference(word, self.results, self.baseline_file, self.session, self.project)

    def _rows(self, rule: Rule) -> Collection[str] | None:
        return rows_where(rule.where, self.examples) if rule.where else None

    def __repr__(self) -> str:
        lines = [f"{one.name} {_number(one.value)} [{_number(one.low)}, {_number(one.high)}]" for one in self.table()]
        return f"<{self.ref} {self.name}{'' if self.complete else ' (not complete)'}: {'; '.join(lines)}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(one.name)}</td><td>{_number(one.value)}</td>"
            f"<td>{_number(one.low)} to {_number(one.high)}</td><td>{one.n}</td><td>{one.missing or ''}</td>"
            f"<td>{_number(one.difference.estimate.value) if one.difference else ''}</td></tr>"
            for one in self.table()
        )
        head = "".join(
            f"<th>{word}</th>" for word in ("measure", "value", "90% interval", "cases", "missing", "difference")
        )
        return (
            f"<table><caption>{html.escape(self.ref)} {html.escape(self.name)}</caption><tr>{head}</tr>{rows}</table>"
        )


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.3g}"


def experiment(ref: str | int, *, session: Session | None = None, project: Project | None = None) -> Experiment:
    """The experiment with that number or reference. NoSuchArtifact if there is none."""
    project = project or find_project()
    session = session or session_of(project)
    text = str(ref)
    return Experiment(
        session.get(f"experiment:{text}" if text.isdecimal() else text, kind="experiment"), session, project
    )
