"""Experiment: an evaluation that was made, frozen. Its table, its gate, and how it draws itself."""

from __future__ import annotations

import html
from collections.abc import Collection
from dataclasses import replace
from difflib import get_close_matches
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
from afere.data.place import session_of, shown
from afere.evals import baseline, recorded
from afere.evals.gate import Missing, check, decide
from afere.evals.known import Known, day, joined, known_from, today
from afere.evals.known import findings as known_findings
from afere.evals.labelling.people import asks_people
from afere.evals.recorded import recorded_beside
from afere.evals.references import reference, results_of
from afere.evals.results import Difference, Result, Results, difference
from afere.evals.select import in_order, rows_where
from afere.evals.stopping import looks_of
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
        """The measures of essential, average and edge cases, and of each slice that the suite names, as JSON."""
        return in_order(cast("dict[str, list[dict[str, Any]]]", self.content["slices"]))

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

    @cached_property
    def measures(self) -> list[dict[str, Any]]:
        """The table as it is kept, as JSON, with what people have said since: their own entries, and which judges were
        compared with them."""
        kept = cast("list[dict[str, Any]]", self.content["measures"])
        people = {
            name
            for name, said in cast("dict[str, Any]", self.content["scorers"]).items()
            if asks_people(self.session, said)
        }
        uncalibrated = self.results.judged
        said: list[dict[str, Any]] = [
            {**one, "calibrated": one["calibrated"] or not _of(str(one["name"]), uncalibrated)} for one in kept
        ]
        if not people:
            return said
        now = [cast("dict[str, Any]", one.to_json()) for one in self._against_kept() if _of(one.name, people)]
        first = next(i for i, one in enumerate(said) if _of(str(one["name"]), people))
        rest = [one for one in said[first:] if not _of(str(one["name"]), people)]
        return [*said[:first], *now, *rest]

    def _against_kept(self) -> list[Measure]:
        """The table, with differences to the experiment that it was compared with."""
        compared = self.content["compared"]
        try:
            other = (
                self.session.get(str(compared), kind="experiment") if str(compared).startswith("experiment:") else None
            )
        except NotFound:
            other = None
        return measures(self.results, results_of(other, self.session) if other else None)

    @property
    def known(self) -> tuple[Known, ...]:
        """The accepted failures that the baseline file lists."""
        name = shown(self.baseline_file, self.project.root)
        return known_from(baseline.known_in(self.baseline_file, name), name)

    def gate(self, *rules: str) -> Decision:
        """What the rules say: those given, else those of the suite. The decision is kept, with its evidence."""
        from afere.evals.stability.rule import stability_rulings

        asked = tuple(parse_rule(text) for text in rules) or self.rules
        if not asked:
            raise BadInput(
                f"{self.ref} has no rules. Give some, such as .gate('exact.mean >= 0.8'), or write gate: in the suite."
            )
        for rule in asked:
            check(rule, list(dict.fromkeys([*self.results.names, *BUILTIN])))
        words = {rule.against for rule in asked if rule.against is not None}
        references = {word: self._reference(word) for word in words}
        failing, stop = self.known, cast("dict[str, Json] | None", self.content.get("stop"))
        after = set(cast("list[str]", stop["after"])) if stop else set[str]()
        results = replace(self.results, runs=tuple(run for run in self.results.runs if run.row not in after))
        accepted = {one.case for one in failing if not one.over}
        steady = stability_rulings(self, asked)
        told = iter(
            decide(
                [one for one in asked if one not in steady],
                results,
                references,
                self.rows_of,
                known=accepted,
                looks=looks_of(stop),
            )
        )
        rulings = tuple(steady[one] if one in steady else next(told) for one in asked)
        known = [one for one in references.values() if isinstance(one, Results)]
        at, by = rfc3339(now_ns()), self.session.actor
        decision = Decision(self.ref, rulings, known[0].ref if known else None, None, by, at)
        declared: list[Json] = [str(rule) for rule in asked if rule in self.rules]
        content: dict[str, Json] = {
            **cast("dict[str, Json]", decision.to_json()),
            "declared": declared,
            "findings": [*self.findings, *known_findings(failing, results, str(self.content["baseline"]))],
            "known": [cast("Json", one.to_json()) for one in failing if not one.over],
        }
        del content["ref"]
        uses = [Use("subject", self.ref, self.artifact.hash)]
        for one in known:
            if one.ref.startswith("experiment:"):
                uses.append(Use("against", one.ref, self.session.get(one.ref).hash))
        kept = self.session.put("decision", None, content, uses=uses, why=f"gate of {self.ref}")
        return replace(decision, ref=kept.ref)

    def accept(self, *, record: bool = False) -> Path:
        """Make this the baseline: write its file, which belongs in git. Returns the file.

        Failures that were accepted before stay so until their day. With `record`, what was answered is written beside it,
        so that who has no key can gate by it (`afere eval NAME --recorded`).
        """
        if not self.complete:
            raise BadInput(
                f"{self.ref} is not complete, so it cannot be a baseline. Finish it with: afere eval {self.name} --resume"
            )
        compared = {rule.measure.words[0] for rule in self.rules if rule.against is not None}
        kept = [one for one in self.known if one.case in {run.row for run in self.results.runs}]
        text = baseline.text_of(self.results, self.name, [str(rule) for rule in self.rules], compared, joined(kept, ()))
        baseline.write(self.baseline_file, text)
        if record:
            target = self.results.target
            made = self.session.get(target[0]) if target and target[1] else None
            recorded.write(self.recorded_file, self.results, self.name, made, self.output_of)
        return self.baseline_file

    def accept_failures(self, *cases: str, why: str, until: str) -> Path:
        """Accept that these cases fail, until a day such as 2026-12-31: rules leave them out, and say how many they left out.

        Writes them to the baseline file, which stays what it is otherwise; where there is none, this becomes it.
        """
        there = {run.row for run in self.results.runs}
        if unknown := [case for case in cases if case not in there]:
            near = get_close_matches(unknown[0], list(there), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise NotFound(f"{self.ref} has no case {unknown[0]!r}.{hint}")
        last = day(until, "until")
        if last < today() or not why.strip():
            what = f"{until} is over" if why.strip() else "say why it is accepted"
            raise BadInput(f"A failure cannot be accepted so: {what}. Give why, and a day that is still to come.")
        if not self.baseline_file.exists():
            self.accept()
        more = [Known(case, why.strip(), last, self.session.actor, rfc3339(now_ns())) for case in cases]
        name = shown(self.baseline_file, self.project.root)
        baseline.write(self.baseline_file, baseline.with_known(self.baseline_file, name, joined(self.known, more)))
        return self.baseline_file

    @property
    def recorded_file(self) -> Path:
        return recorded_beside(self.baseline_file)

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
            "measures": cast("Json", self.measures),
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

    def rows_of(self, rule: Rule) -> Collection[str] | None:
        """The rows that a rule looks at; None: all."""
        return rows_where(rule.where, self.examples) if rule.where else None

    def change(self, name: str, before: Results, value: str | None = None) -> Difference | None:
        """What changed in one measure since other results; None where a side has no value."""
        now, then = self.results.series(name, value=value), before.series(name, value=value)
        if not now.values or not then.values:
            return None
        return difference(now, then, before.ref, lower_is_better=self.results.lower_is_better(name))

    def reference(self, word: str) -> Results | None:
        """What `baseline`, `qa@production` or `experiment:12` means here; None if there is nothing."""
        found = self._reference(word)
        return found if isinstance(found, Results) else None

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


def _of(measure: str, names: Collection[str]) -> bool:
    """Whether a measure is one of those, or a part of it."""
    return any(measure == name or measure.startswith(f"{name}.") for name in names)


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
