"""Gates as a team uses them: accepted failures, recorded answers, early stopping, families, reports, pytest, GitHub."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema_rs
import pytest

import afere as api
from afere.base.document import read_yaml
from afere.base.errors import BadInput, NotFound
from afere.base.rule import parse_rule
from afere.evals import stats
from afere.evals.stats.distributions import t_quantile

pytest_plugins = ["pytester"]
Run = Callable[..., tuple[int, str, str]]
HERE = Path(__file__).resolve().parent
LATER = (date.today() + timedelta(days=30)).isoformat()  # noqa: DTZ011 - a day from now, whatever the zone

APP = """
import afere

LIMIT = {limit}

@afere.chain
def qa(question: str) -> str:
    with open("calls", "a") as log:
        log.write(question + "\\n")
    return question if int(question) >= LIMIT else "?"
"""
SUITE = """
name: qa
target: qa
data: data/qa.jsonl
scorers: [exact]
gate:
  - exact.mean >= 0.6
  - exact.mean not worse than baseline by 0.05
"""


@pytest.fixture
def suite(project: Path) -> Path:
    """A project with 200 rows, every tenth an edge case, and an application that is right on all of them."""
    (project / "afere.yaml").write_text("project: handbook\nchains: {qa: 'app:qa'}\n")
    for folder in ("data", "evals"):
        (project / folder).mkdir()
    lines = [
        json.dumps({"id": f"e-{i}", "input": {"question": str(i)}, "expected": str(i), "tags": ["edge"] if i % 10 == 0 else []})
        for i in range(200)
    ]  # fmt: skip
    (project / "data/qa.jsonl").write_text("\n".join(lines) + "\n")
    (project / "app.py").write_text(APP.format(limit=0))
    (project / "evals/qa.yaml").write_text(SUITE)
    return project


def rulings(out: str) -> list[dict[str, Any]]:
    return json.loads(out)["decision"]["rules"]


def test_an_accepted_failure_is_left_out_counted_and_comes_back_on_its_day(suite: Path, cli: Run) -> None:
    cli("eval", "qa")
    cli("accept", "1")
    (suite / "app.py").write_text(APP.format(limit=12))
    assert cli("eval", "qa")[0] == 1
    known = [word for i in range(12) for word in ("--known", f"e-{i}")]
    status, _, err = cli("accept", "2", *known, "--until", LATER)
    assert (status, "needs --why" in err) == (2, True)
    status, out, _ = cli("accept", "2", *known, "--why", "the vendor's bug 17", "--until", LATER)
    assert status == 0, out
    text = (suite / "evals/qa.baseline.json").read_text()
    assert text.count("the vendor's bug 17") == 12
    assert json.loads(text)["experiment"] == "experiment:1"  # the baseline itself has not moved
    assert json.loads(text)["known"][0]["by"] == "person:local"
    status, out, _ = cli("gate", "2", "--json")
    assert status == 0
    rules = json.loads(out)["rules"]
    assert [one["n"] for one in rules] == [188, 188]
    assert "12 known failures left out" in rules[0]["why"]
    status, _, err = cli("accept", "2", "--known", "e-x", "--why", "x", "--until", LATER)
    assert "Did you mean 'e-" in err
    over = (datetime.now(UTC).date() - timedelta(days=1)).isoformat()
    (suite / "evals/qa.baseline.json").write_text(text.replace(LATER, over))
    status, out, _ = cli("gate", "2", "--json")
    assert status == 1
    kept = json.loads(cli("show", json.loads(out)["ref"], "--json")[1])["content"]
    assert {one["rule"] for one in kept["findings"]} == {"known-failure-over"}


def test_an_accepted_failure_that_passes_is_a_finding_and_survives_a_new_baseline(project: Path) -> None:
    made = api.evaluate(lambda_named(0), rows(30), scorers=["exact"])
    made.accept_failures("e-3", why="flaky", until=LATER)
    with pytest.raises(BadInput, match="is over"):
        made.accept_failures("e-4", why="flaky", until="2020-01-01")
    with pytest.raises(NotFound):
        made.accept_failures("e-99", why="flaky", until=LATER)
    decision = made.gate("exact.mean >= 0.5")
    content: Any = made.session.get(str(decision.ref)).content
    assert [one["rule"] for one in content["findings"]] == ["known-failure-passes"]
    made.accept()
    assert [one.case for one in made.known] == ["e-3"]


def rows(n: int) -> list[dict[str, object]]:
    return [{"id": f"e-{i}", "input": {"question": str(i)}, "expected": str(i)} for i in range(n)]


def lambda_named(limit: int) -> Callable[..., str]:
    def answer(question: str) -> str:
        return question if int(question) >= limit else "?"

    return answer


def test_recorded_answers_gate_without_running_and_a_changed_version_makes_them_stale(suite: Path, cli: Run) -> None:
    cli("eval", "qa")
    assert cli("eval", "qa", "--recorded")[0] == 2  # there is none yet
    cli("accept", "1", "--record")
    (suite / "calls").unlink()
    subprocess.run(["rm", "-r", str(suite / ".afere")], check=True)
    status, out, _ = cli("eval", "qa", "--recorded")
    assert status == 0
    assert "answers were read from a recording of experiment:1" in out
    assert not (suite / "calls").exists()
    (suite / "data/qa.jsonl").write_text(
        (suite / "data/qa.jsonl").read_text().replace('"expected": "7"', '"expected": "8"')
    )
    status, out, _ = cli("eval", "qa", "--recorded", "--json")
    assert status == 3  # the changed row has no recorded answer: too little evidence, and nothing broke
    assert "row has changed since" in out
    (suite / "app.py").write_text(APP.format(limit=1))
    status, _, err = cli("eval", "qa", "--recorded")
    assert status == 3
    assert "is another version" in err and "accept EXPERIMENT --record" in err


@pytest.mark.parametrize("kind", ["group-sequential", "anytime"])
def test_a_clear_drop_stops_early_and_says_what_was_saved(suite: Path, cli: Run, kind: str) -> None:
    cli("eval", "qa")
    cli("accept", "1")
    slow = "import time\n" + APP.format(limit=120).replace(
        '    with open("calls"', '    time.sleep(0.01)\n    with open("calls"'
    )
    (suite / "app.py").write_text(slow)
    (suite / "calls").unlink()
    (suite / "evals/qa.yaml").write_text(SUITE.replace("gate:", f"stop: {kind}\ngate:"))
    status, out, _ = cli("eval", "qa", "--concurrency", "2", "--json")
    assert status == 1
    made = json.loads(out)
    stop = made["stop"]
    assert stop["stopped"] and stop["cases"] < 100
    calls = len((suite / "calls").read_text().split())
    assert stop["saved"] == 200 - calls
    assert rulings(out)[1]["n"] == stop["cases"]
    assert f"stopped early ({kind})" in cli("show", made["ref"])[1]
    assert json.loads(cli("gate", made["ref"], "--json")[1])["answer"] == "fail"


def test_an_unchanged_version_runs_on_while_nothing_is_decided(suite: Path, cli: Run) -> None:
    cli("eval", "qa")
    cli("accept", "1")
    status, out, _ = cli("eval", "qa", "--stop", "group-sequential", "--json")
    stop = json.loads(out)["stop"]
    assert (status, stop["stopped"], stop["looks"][0]) == (0, True, 40)
    assert rulings(out)[1]["level"] == pytest.approx(1 - 2 * stats.look_levels((0.2, 0.4, 0.6))[-1], abs=0.1)
    (suite / "evals/qa.yaml").write_text(SUITE.partition("gate:")[0])
    assert "nothing to stop early by" in cli("eval", "qa", "--stop", "anytime")[2]


def test_several_comparisons_are_one_family(project: Path) -> None:
    @api.scorer
    def noisy(output: str) -> bool:
        return int(output) % 7 != 0

    good = api.evaluate(noisy_answers(0), rows(120), scorers=[noisy, "exact"])
    good.accept()
    bad = api.evaluate(noisy_answers(5), rows(120), scorers=[noisy, "exact"])
    alone = bad.gate("exact.mean not worse than baseline by 0.05").rules[0]
    assert (alone.answer, alone.level) == ("fail", 0.9)
    sure = bad.gate(*["exact.mean not worse than baseline by 0.05"] * 2).rules
    assert {one.level for one in sure} == {0.95}
    many = bad.gate(*["exact.mean not worse than baseline by 0.05"] * 20).rules
    assert {one.answer for one in many} == {"open"}
    assert "not proven as one of 20 comparisons (Holm, 99.5%)" in many[0].why


def noisy_answers(wrong: int) -> Callable[..., str]:
    def answer(question: str) -> str:
        return str(int(question) + 1) if int(question) < wrong else question

    return answer


def test_quantiles_are_compared_case_by_case(project: Path) -> None:
    @api.scorer(better="lower")
    def words(output: str) -> float:
        return float(output)

    def at(extra: float) -> Callable[..., str]:
        def answer(question: str) -> str:
            return str(int(question) + extra)

        return answer

    api.evaluate(at(0), rows(120), scorers=[words]).accept()
    slower = api.evaluate(at(50), rows(120), scorers=[words])
    p95, p50, bare = slower.gate(
        "words.p95 not worse than baseline by 10", "words.p50 not worse than baseline by 60", "words.p95 not worse than baseline"
    ).rules  # fmt: skip
    assert (p95.answer, p95.value, p95.low) == ("fail", 50.0, 50.0)
    assert (p50.answer, p50.why) == ("pass", "worse by less than 60")
    assert "say how much worse" in bare.why


def test_every_number_of_a_gate_can_be_recomputed_from_its_interval_and_rule(project: Path) -> None:
    """From the decision's JSON alone: the answer, and how many more cases it would take."""
    api.evaluate(lambda_named(4), rows(150), scorers=["exact"]).accept()
    made = api.evaluate(lambda_named(9), rows(150), scorers=["exact"])
    texts = [f"exact.mean {op} 0.{edge}" for op in (">=", "<=") for edge in (85, 90, 92, 94, 95, 97)]
    texts += [f"exact.mean not worse than baseline by 0.0{by}" for by in (1, 3, 4, 6, 9)]
    texts += ["exact.mean better than baseline", "exact.mean better than baseline by 0.1"]
    for text in texts:
        said: Any = made.gate(text).to_json()
        (one,) = said["rules"]
        assert (one["answer"], one["needs"]) == _recomputed(one), text
        if one["needs"]:
            assert f"needs about {one['needs']} more" in one["why"]


def _recomputed(one: dict[str, Any]) -> tuple[str, int | None]:
    rule = parse_rule(one["rule"])
    value, low, high, n, edge = one["value"], one["low"], one["high"], one["n"], rule.amount or 0.0
    if rule.op == "not worse than":
        answer = "pass" if low > -edge else "fail" if high < 0 else "open"
        half, distance = (value - low, edge + value) if -value < edge else (high - value, -value)
    elif rule.op == "better than":
        answer = "pass" if low > edge else "fail" if high < edge else "open"
        half, distance = value - low if value > edge else high - value, abs(value - edge)
    else:
        up = rule.op == ">="
        answer = (
            "pass"
            if (low >= edge if up else high <= edge)
            else "fail"
            if (high < edge if up else low > edge)
            else "open"
        )
        holds = value >= edge if up else value <= edge
        end = (low if up else high) if holds else (high if up else low)
        half, distance = abs(end - value), abs(value - edge)
    more = None if answer != "open" else stats.needs_more(n, half, distance)
    return answer, more


def test_power_is_said_before_anything_is_paid(suite: Path, cli: Run) -> None:
    _, _, err = cli("eval", "qa")
    assert "exact: 200 cases show a drop of 0.079 8 times in 10" in err
    assert "to see a drop of 0.05 you need about 495 cases (assuming that one case in five changes)" in err
    cli("accept", "1")
    (suite / "app.py").write_text(APP.format(limit=20))
    cli("eval", "qa", "--repeats", "2")
    cli("eval", "qa", "--repeats", "2", "--json")
    outlook = json.loads(cli("show", "experiment:3", "--json")[1])["content"]["outlook"][0]
    before = json.loads(cli("show", "experiment:2", "--json")[1])["content"]["measures"][0]["difference"]
    spread = (before["high"] - before["low"]) / 2 / t_quantile(0.95, 199) * 200**0.5
    assert outlook["spread"] == pytest.approx(spread)
    assert outlook["needs"] == stats.cases_needed(spread, 0.05)
    assert outlook["smallest"] == pytest.approx(stats.smallest_drop(200, spread))


def test_repeats_show_which_cases_are_flaky(project: Path) -> None:
    tries: dict[str, int] = {}

    def moody(question: str) -> str:
        tries[question] = tries.get(question, 0) + 1
        return "?" if int(question) < 8 and tries[question] % 2 else question

    made = api.evaluate(moody, rows(40), scorers=["exact"], repeats=4)
    (one,) = made.to_json()["stability"]  # type: ignore[misc]
    said: Any = one
    assert (said["k"], said["flaky"], said["pass_at_k"]["value"], said["pass_hat_k"]["value"]) == (4, 8, 1.0, 0.8)
    assert said["cases"][0] == ["e-0", 2, 4]


def test_reports_name_file_and_line(suite: Path, cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("eval", "qa")
    cli("accept", "1")
    (suite / "app.py").write_text(APP.format(limit=30))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "out/step.md")
    (suite / "out").mkdir()
    (suite / "out/step.md").write_text("earlier\n")
    files = {name: f"out/{name}" for name in ("sarif", "gitlab", "junit")}
    options = [word for name, file in files.items() for word in (f"--{name}", file)]
    status, _, err = cli("eval", "qa", *options, "--markdown", "out/step.md")
    assert status == 1
    assert "::warning file=data/qa.jsonl,line=5,title=afere case-worse::e-4: exact 1 -> 0" in err
    assert "::error file=evals/qa.yaml,line=8," in err
    sarif = json.loads((suite / "out/sarif").read_text())
    schema = json.loads((HERE / "sarif-2.1.0.schema.json").read_text())
    assert [str(one) for one in jsonschema_rs.Draft7Validator(schema).iter_errors(sarif)] == []
    results = sarif["runs"][0]["results"]
    assert [one["ruleId"] for one in results].count("case-worse") == 30
    assert results[1]["locations"][0]["physicalLocation"]["region"]["startLine"] == 1
    gitlab = json.loads((suite / "out/gitlab").read_text())
    assert {"description", "check_name", "fingerprint", "severity", "location"} == set(gitlab[0])
    assert len({one["fingerprint"] for one in gitlab}) == len(gitlab) == 31
    junit = ElementTree.parse(suite / "out/junit").getroot()
    # What Jenkins' schema (junit-10.xsd of its xUnit plugin) asks of a suite: these attributes, and a time without an exponent.
    counts = {name: junit.attrib[name] for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "2", "failures": "1", "errors": "0", "skipped": "0"}
    assert re.fullmatch(r"\d+\.\d{3}", junit.attrib["time"]) and junit.attrib["name"]
    assert [one.tag for one in junit] == ["testcase"] * 2 and all(one.attrib["name"] for one in junit)
    assert [inner.tag for one in junit for inner in one] == ["system-out", "failure"]
    summary = (suite / "out/step.md").read_text()
    assert summary.startswith("earlier\n❌ **qa: fail**")
    assert "30 got worse, 0 got better" in summary
    assert summary.rstrip().endswith("<!-- afere gate qa -->")


def test_places_begin_at_the_root_of_the_repository(suite: Path, cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (suite.parent / ".git").mkdir()  # the project is a folder of a larger repository
    (suite / "app.py").write_text(APP.format(limit=30))
    (suite / "evals/qa.yaml").write_text(
        "target: app:qa\ndata: data/qa.jsonl\nscorers: [exact, 'app:rude']\ngate: [exact.mean >= 0.9]\n"
    )
    with (suite / "app.py").open("a") as file:
        file.write("@afere.scorer\ndef rude(output):\n    raise ValueError('no\\n::error::forged')\n")
    rows = (suite / "data/qa.jsonl").read_text()
    (suite / "data/qa.jsonl").write_text("no row\n" + rows)  # one that is left out moves no line
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    status, out, err = cli("eval", "qa", "--gitlab", "g.json", "--junit", "g.xml")
    assert status == 1, err
    inside = suite.name
    assert f"::error file={inside}/evals/qa.yaml,line=4," in err
    assert f"::warning file={inside}/data/qa.jsonl,line=6,title=afere case-failed::e-4: exact is 0" in err
    assert {one["location"]["path"] for one in json.loads((suite / "g.json").read_text())} == {
        f"{inside}/evals/qa.yaml", f"{inside}/data/qa.jsonl",
    }  # fmt: skip
    assert "no ::error::forged" in out and not any(
        line.strip().startswith("::error::forged") for line in (out + err).split("\n")
    )


def test_what_users_wrote_cannot_end_an_annotation() -> None:
    from afere.evals.problems import Problem, github

    (line,) = github([Problem("case-worse", "warning", "a\n::set-output::b 100%", "x,y:z.jsonl", 3)])
    assert line == "::warning file=x%2Cy%3Az.jsonl,line=3,title=afere case-worse::a%0A::set-output::b 100%25"


def test_a_pytest_test_passes_on_the_rule_and_not_on_an_answer(suite: Path) -> None:
    (suite / "test_gates.py").write_text(
        "def test_good(gate):\n    assert gate('qa', 'exact.mean >= 0.9').answer == 'pass'\n\n"
        "def test_bad(gate):\n    gate('qa', 'exact.mean <= 0.9')\n\n"
        "def test_unsure(gate):\n    gate('qa', 'exact.mean >= 0.999')\n"
    )

    def pytest_says(*options: str) -> str:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "afere.testing.plugin",
            "-p",
            "no:cacheprovider",
            "-q",
            *options,
        ]
        env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        return subprocess.run(command, cwd=suite, capture_output=True, text=True, check=False, env=env).stdout

    out = pytest_says()
    assert "2 failed, 1 passed" in out
    assert "qa does not pass its gate (experiment:1)" in out  # one evaluation for all three
    assert "fail  exact.mean <= 0.9: 1.000 (90% 0.987 to 1.000), 200 cases  proven > 0.9" in out
    assert "afere gates" in out
    assert "1 failed, 1 passed, 1 skipped" in pytest_says("--afere-open=skip")
    (suite / "test_wrong.py").write_text("def test_wrong(gate):\n    gate('qa', 'exat.mean >= 0.9')\n")
    calls = len((suite / "calls").read_text().splitlines())
    out = pytest_says("-p", "xdist", "-n", "2")  # the workers of one run share an evaluation, and what they say is told
    assert "3 failed, 1 passed" in out
    assert len((suite / "calls").read_text().splitlines()) == calls + 200
    assert out.split("= afere gates =")[1].count("qa (experiment:3), test_gates.py::") == 3
    assert "nothing is called 'exat' here. Did you mean 'exact'?" in out
    assert "Traceback" not in out and "During handling" not in out and "gate.py:" not in out


def test_the_plugin_costs_a_stranger_nothing() -> None:
    code = "import sys, afere.testing.plugin; print([m for m in sys.modules if m.startswith('afere.')])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "['afere.testing', 'afere.testing.plugin']"


def test_the_action_runs_a_suite_and_hands_on_only_what_it_wrote(suite: Path, tmp_path: Path) -> None:
    action = HERE.parents[1] / "action" / "action.yml"
    script = read_yaml(action.read_text(), file="action.yml").value["runs"]["steps"][0]["run"]
    (tmp_path / "step.sh").write_text(script)

    def run(name: str, arguments: str = "") -> dict[str, str]:
        told = {key: str(tmp_path / key) for key in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        env = {**os.environ, **told, "RUNNER_TEMP": str(tmp_path), "PATH": path, "SUITE": name, "RECORDED": "false", "ALLOW_OPEN": "true",
               "ARGUMENTS": arguments}  # fmt: skip
        for file in told.values():
            Path(file).write_text("")
        subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", tmp_path / "step.sh"],
            cwd=suite,
            env=env,
            check=True,
            capture_output=True,
        )
        said = dict(line.split("=", 1) for line in Path(told["GITHUB_OUTPUT"]).read_text().splitlines())
        return {**said, "shown": Path(told["GITHUB_STEP_SUMMARY"]).read_text()}

    good = run("qa", "--repeats=2\n--concurrency=4\n")
    assert good["status"] == "0" and "**qa: " in good["shown"]
    assert "version" in json.loads(Path(good["sarif"]).read_text()) and Path(good["junit"]).is_file()
    wrong = run("qb; touch pwned")  # a second suite of the same job: nothing of the first is told as its own
    assert wrong == {"status": "2", "summary": "", "sarif": "", "junit": "", "shown": ""}
    assert not (suite / "pwned").exists()


@contextmanager
def github(status: int = 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The comments of one pull request, over HTTP."""
    kept: list[dict[str, Any]] = [{"id": 1, "body": "<!-- afere gate qa -->", "user": {"type": "User"}}]

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None: ...

        def answer(self, value: object) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(value).encode())

        def body(self) -> str:
            return str(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"])

        def do_GET(self) -> None:
            self.answer(kept)

        def do_POST(self) -> None:
            kept.append({"id": len(kept) + 1, "body": self.body(), "user": {"type": "Bot"}})
            self.answer(kept[-1])

        def do_PATCH(self) -> None:
            kept[int(self.path.rpartition("/")[2]) - 1]["body"] = self.body()
            self.answer({})

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", kept
    finally:
        server.shutdown()


def test_the_action_keeps_one_comment(tmp_path: Path) -> None:
    script = HERE.parents[1] / "action" / "comment.py"
    summary = tmp_path / "summary.md"

    def comment(url: str, text: str) -> subprocess.CompletedProcess[str]:
        summary.write_text(f"{text}\n<!-- afere gate qa -->\n")
        env = {
            **os.environ,
            "GITHUB_API_URL": url,
            "GITHUB_REPOSITORY": "o/r",
            "GITHUB_TOKEN": "t",
            "PULL_REQUEST": "7",
        }
        return subprocess.run(
            [sys.executable, str(script), str(summary)], env=env, capture_output=True, text=True, check=False
        )

    with github() as (url, kept):
        for text in ("first", "second"):
            assert comment(url, text).returncode == 0
        assert [one["body"].splitlines()[0] for one in kept] == ["<!-- afere gate qa -->", "second"]
    with github(403) as (url, kept):
        told = comment(url, "first")
        assert (told.returncode, "may not write a comment" in told.stdout) == (0, True)


def test_a_scorer_that_answers_nan_or_text_keeps_what_is_good_and_counts_the_rest(project: Path) -> None:
    @api.scorer
    def odd(row: Any) -> Any:
        number = int(row.input["question"])
        return float("nan") if number == 3 else "n/a" if number < 3 else number / 100

    made = api.evaluate(lambda_named(0), rows(100), scorers=[odd])
    one = next(one for one in made.table() if one.name == "odd")
    assert (one.n, one.missing, one.kind) == (96, 4, "mean")
    assert "the scorer answered 'n/a', a text, where it gives numbers elsewhere" in one.why
    assert one.value == pytest.approx(sum(range(4, 100)) / 96 / 100)
    assert made.gate("odd.mean >= 0.2").rules[0].answer == "pass"


def test_a_baseline_on_other_rows_says_how_many_are_common(project: Path) -> None:
    api.evaluate(lambda_named(0), rows(60), scorers=["exact"]).accept()
    wider = api.evaluate(lambda_named(0), rows(90), scorers=["exact"])
    said = wider.gate("exact.mean not worse than baseline by 0.2").rules[0]
    assert (said.answer, said.n) == ("pass", 60)
    assert "compared on the 60 cases that both have (here 90, baseline 60)" in said.why


@pytest.mark.parametrize("runs", [True, False])
def test_a_scorer_that_hangs_is_named_with_its_row_while_the_run_waits(
    project: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, runs: bool
) -> None:
    monkeypatch.setattr("afere.evals.scoring.PATIENCE", 0.05)
    said = "the scorer hangs has been at row b (row 2) for"

    def hangs(output: str) -> bool:
        if output != "b":
            return True
        for _ in range(400):  # until it has been told
            if any(said in one.getMessage() for one in caplog.records):
                return True
            time.sleep(0.02)
        return False

    rows = [{"id": name, "input": {"q": name}, "output": name} for name in "abc"]
    made = api.evaluate((lambda q: q) if runs else None, rows, scorers=[api.scorer(hangs)])
    assert [run.scores["hangs"][0] for run in made.rows] == [True, True, True]
    assert sum(said in one.getMessage() for one in caplog.records) == 1
