"""The pytest plugin: a fixture `gate` whose test passes on a rule with its interval, not on one lucky answer; and the
tests of prompts, `answer.test.yaml` beside `answer.md`, as tests of pytest where it is pointed at their folder.

    def test_qa(gate):
        gate("qa", "exact.mean >= 0.8", "exact.mean not worse than baseline by 0.05")

It is loaded by every pytest of an environment that has afere, so nothing but pytest is imported until a gate is asked.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from afere.base.decision import Decision, Ruling
    from afere.evals import Experiment

_PROPERTY = "afere gate"  # of a test's report, which comes from the workers of pytest-xdist too
_MADE = pytest.StashKey["dict[tuple[object, ...], Experiment]"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("afere", "gates on evaluations")
    group.addoption(
        "--afere-open", choices=("fail", "skip", "xfail", "pass"), default="fail",
        help="What a gate without enough evidence does to its test (default: fail, since nothing is proven).",
    )  # fmt: skip
    group.addoption(
        "--afere-recorded", action="store_true",
        help="Gate on the answers recorded in evals/SUITE.recorded.jsonl, so that no model is asked.",
    )  # fmt: skip


class Gate:
    """Evaluate a suite and hold it against rules; see `gate`."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self._config = request.config

    def __call__(self, suite: str, *rules: str, repeats: int | None = None, max_cost: float | None = None) -> Decision:
        """Evaluate `suite` (once a session) and hold it against `rules`, or its own where none are given.

        The test fails where a rule is proven not to hold, and where rows are unfinished; without enough evidence it does
        what `--afere-open` says. Returns the decision otherwise.
        """
        found = self._held(suite, rules, repeats, max_cost)
        if isinstance(found, str):
            pytest.fail(found, pytrace=False)
        made, decision = found
        text = "\n".join(_line(one) for one in decision.rules)
        self._request.node.add_report_section("call", f"afere gate: {made.name} ({made.ref})", text)
        self._request.node.user_properties.append((_PROPERTY, f"{made.name} ({made.ref})\n{text}"))
        if not made.complete and not made.content.get("recorded"):
            pytest.fail(
                f"{made.name}: {made.content['unfinished']} runs are unfinished: a model, disk or network failed", False
            )
        if decision.answer == "fail":
            pytest.fail(f"{made.name} does not pass its gate ({made.ref}):\n{text}", pytrace=False)
        if decision.answer == "open":
            self._not_decided(f"{made.name}: not enough evidence ({made.ref}):\n{text}")
        return decision

    def _held(
        self, suite: str, rules: tuple[str, ...], repeats: int | None, max_cost: float | None
    ) -> tuple[Experiment, Decision] | str:
        """The experiment and what its rules say; or what is wrong with the test, the suite or a file, which is no bug of ours."""
        from afere.base.errors import BadInput, NotFound

        try:
            made = self._experiment(suite, repeats, max_cost)
            return made, made.gate(*rules)
        except (BadInput, NotFound) as problem:
            return str(problem)

    def _not_decided(self, why: str) -> None:
        wanted = self._config.getoption("--afere-open")
        ends: dict[object, Callable[[str], object]] = {"skip": pytest.skip, "xfail": pytest.xfail}
        if wanted == "fail":
            pytest.fail(why, pytrace=False)
        if wanted in ends:
            ends[wanted](why)

    def _experiment(self, suite: str, repeats: int | None, max_cost: float | None) -> Experiment:
        from afere.base.project import find_project
        from afere.data.place import shown
        from afere.evals import Plan, experiment, find_suite, perform, read_suite
        from afere.evals.recorded import read, recorded_beside

        made = self._config.stash.setdefault(_MADE, {})
        project = find_project(self._request.path.parent)
        key = (project.root, suite, repeats, max_cost)
        if key in made:
            return made[key]
        found = read_suite(find_suite(suite, project), project)
        answers = recorded_beside(found.baseline)
        recorded = read(answers, shown(answers, project.root)) if self._config.getoption("--afere-recorded") else None
        with self._shared(key) as told:
            if ref := told.read_text(encoding="utf-8") if told.is_file() else "":
                made[key] = experiment(ref, project=project)
            else:
                made[key] = perform(Plan.of(found, repeats=repeats, recorded=recorded), project, max_cost=max_cost)
                told.write_text(made[key].ref, encoding="utf-8")
        return made[key]

    @contextmanager
    def _shared(self, key: tuple[object, ...]) -> Generator[Path]:
        """Where the workers of one run of pytest-xdist tell each other which experiment there is already, one at a time."""
        from afere.base.canonical import digest
        from afere.store.files import alone

        common = self._request.getfixturevalue("tmp_path_factory").getbasetemp()
        common = common.parent if hasattr(self._config, "workerinput") else common
        told = common / f"afere-{digest(repr(key).encode())[7:23]}"
        with alone(told.with_suffix(".lock")):
            yield told


@pytest.fixture
def gate(request: pytest.FixtureRequest) -> Gate:
    """`gate("qa", "exact.mean >= 0.8")`: evaluate the suite and pass on the rule.

    A rule passes when it is proven, fails when the opposite is, and is open in between: see `--afere-open`.
    """
    return Gate(request)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if not file_path.name.endswith((".test.yaml", ".test.yml")):
        return None
    from afere.testing.prompts import PromptTests, is_ours

    return PromptTests.from_parent(parent, path=file_path) if is_ours(file_path) else None  # pyright: ignore[reportUnknownMemberType]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [
        one for several in terminalreporter.stats.values() for one in several if isinstance(one, pytest.TestReport)
    ]
    told = [
        (one.nodeid, str(text))
        for one in reports
        if one.when == "call"
        for name, text in one.user_properties
        if name == _PROPERTY
    ]
    if told:
        terminalreporter.section("afere gates")
        for test, text in told:
            head, *rules = text.splitlines()
            terminalreporter.line(f"{head}, {test}")
            for line in rules:
                terminalreporter.line(line)


def _line(one: Ruling) -> str:
    from afere.evals.report import interval, number

    figures = f": {number(one.value)} ({one.level:.0%} {interval(one.low, one.high)}), {one.n} cases" if one.n else ""
    return f"  {one.answer:4}  {one.rule}{figures}  {one.why}"
