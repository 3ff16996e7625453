"""`afere eval`, `gate`, `accept`, `compare`: what is printed, what is written, and the exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from afere.base.errors import BadInput
from afere.base.project import find_project
from afere.evals import read_suite
from afere.store import open as open_store

Run = Callable[..., tuple[int, str, str]]

APP = """
import afere

LIMIT = {limit}

@afere.chain
def qa(question: str) -> str:
    return question if int(question) >= LIMIT else "?"

@afere.scorer
def short(output):
    return len(output) < 9
"""
SUITE = """
name: qa
target: qa
data: data/qa.jsonl
scorers: [exact, app:short]
gate:
  - exact.mean >= 0.6
"""


@pytest.fixture
def suite(project: Path) -> Path:
    """A project with 60 rows, an application that is wrong on the first 10, and a suite."""
    (project / "afere.yaml").write_text("project: handbook\nchains: {qa: 'app:qa'}\n")
    (project / "data").mkdir()
    (project / "evals").mkdir()
    lines = [json.dumps({"id": f"e-{i}", "input": {"question": str(i)}, "expected": str(i)}) for i in range(60)]
    (project / "data/qa.jsonl").write_text("\n".join(lines) + "\n")
    (project / "app.py").write_text(APP.format(limit=10))
    (project / "evals/qa.yaml").write_text(SUITE)
    return project


def test_the_exit_status_is_that_of_the_gate(suite: Path, cli: Run) -> None:
    status, out, _ = cli("eval", "qa")
    assert status == 0
    assert "proven >= 0.6" in out
    assert "experiment:1" in out
    assert cli("gate", "1", "exact.mean >= 0.95")[0] == 1
    status, out, _ = cli("gate", "experiment:1", "exact.mean >= 0.8")
    assert status == 3
    assert "open: needs about" in out
    assert cli("gate", "1", "exact.mean >= 0.8", "--allow-open")[0] == 0
    status, _, err = cli("gate", "1", "exat.mean >= 0.8")
    assert status == 2
    assert "Did you mean 'exact'" in err
    assert cli("gate", "99")[0] == 2


def test_rows_that_the_world_broke_exit_with_4(suite: Path, cli: Run) -> None:
    (suite / "app.py").write_text(
        "import afere\nfrom pathlib import Path\n\n@afere.chain\ndef qa(question: str) -> str:\n"
        "    if Path('down').exists() and question == '7':\n        raise ConnectionError('gone')\n    return question\n\n"
        "@afere.scorer\ndef short(output):\n    return True\n"
    )
    (suite / "down").touch()
    status, out, _ = cli("eval", "qa")
    assert status == 4
    assert "1 of 60 runs are unfinished" in out
    assert "open: rows are unfinished" in out
    (suite / "down").unlink()
    assert cli("eval", "qa", "--resume")[0] == 0


def test_allow_open_does_not_cover_a_rule_that_has_no_score_at_all(suite: Path, cli: Run) -> None:
    (suite / "app.py").write_text(APP.format(limit=0).replace("return question if", "return nosuch if"))
    status, out, err = cli("eval", "qa", "--allow-open")
    assert status == 3, err
    assert "open: no scores" in out
    assert "--allow-open does not cover `exact.mean >= 0.6`: not one of its runs has a score." in err
    assert cli("gate", "1", "errors.mean <= 1", "--allow-open")[0] == 0


def test_the_next_step_is_one_that_can_be_taken(suite: Path, cli: Run) -> None:
    def following() -> str:
        return next(line for line in cli("eval", "qa")[1].splitlines() if line.startswith("Next: "))

    assert following() == "Next: afere accept experiment:1   afere ui"
    assert following() == "Next: afere accept experiment:2   afere compare experiment:1 experiment:2   afere ui"
    (suite / "app.py").write_text(APP.format(limit=55))
    assert following() == "Next: afere compare experiment:2 experiment:3   afere ui"
    (suite / "app.py").write_text(
        APP.format(limit="0") + "\nimport builtins\ndef int(text):\n    raise ConnectionError('gone')\n"
    )
    assert following() == "Next: afere eval qa --resume   afere compare experiment:3 experiment:4   afere ui"


def test_a_row_that_does_not_fit_the_target_is_named_with_its_line_and_what_it_lacks(suite: Path, cli: Run) -> None:
    good = (suite / "data/qa.jsonl").read_text()
    (suite / "data/qa.jsonl").write_text(good + "\n" + '{"id": "z", "input": {"q": "1"}, "expected": "1"}\n')
    status, out, _ = cli("eval", "qa")
    assert status == 0
    said = "data/qa.jsonl:62: row z: the target takes question, but the row's input has 'q', and no 'question'."
    assert f"! 1 of 61 runs did not begin: {said}" in " ".join(out.split())
    (suite / "data/qa.jsonl").write_text('{"id": "z", "input": {"q": "1"}, "expected": "1"}\n')
    status, _, err = cli("eval", "qa")
    assert status == 2
    assert said.replace(":62", ":1") in err


def test_rows_that_cannot_be_used_are_left_out_named_and_counted(suite: Path, cli: Run) -> None:
    file = suite / "data" / "qa.jsonl"
    good = len(file.read_text(encoding="utf-8").splitlines())
    twice = json.loads(file.read_text(encoding="utf-8").splitlines()[0])
    with file.open("a", encoding="utf-8") as rows:
        rows.write(
            '{"id": "half", "input": {"question"\n' + json.dumps({"id": "none"}) + "\n" + json.dumps(twice) + "\n"
        )
    status, out, err = cli("eval", "qa")
    assert status == 0, err
    assert f"data/qa.jsonl:{good + 1}: column" in err and "this is not JSON" in err
    assert f"{good + 2}: input: missing" in err and f"id: '{twice['id']}' already stands at data/qa.jsonl:1" in err
    assert f"3 more rows cannot be used and were left out: data/qa.jsonl:{good + 1}" in out
    made = open_store(suite / ".afere").get("experiment:1").content
    assert (made["cases"], made["unusable"], made["unfit"]) == (good, 3, 0)  # type: ignore[index]


def test_a_gate_is_open_where_many_rows_cannot_be_used(suite: Path, cli: Run) -> None:
    file = suite / "data" / "qa.jsonl"
    with file.open("a", encoding="utf-8") as rows:
        rows.write("not a row\n" * 20)
    status, out, _ = cli("eval", "qa")
    assert (status, "rows that cannot be used" in out) == (3, True)


def test_a_long_reason_that_scorers_and_rules_share_is_printed_once(suite: Path, cli: Run) -> None:
    reason = "the key of this service is missing; set it in the environment and try again"
    code = APP.format(limit=0).replace("    return question", f"    raise ValueError('{reason}')\n    return question")
    (suite / "app.py").write_text(code)
    (suite / "evals/qa.yaml").write_text(SUITE + "  - short.mean >= 0.5\n")
    _, out, _ = cli("eval", "qa")
    flat = " ".join(out.split())
    assert flat.count(reason) == 1
    assert "exact, short: 60 without a score" in flat
    assert flat.count("open: no scores (the same reason as above)") == 2
    flat = " ".join(cli("gate", "1")[1].split())
    assert flat.count(reason) == 1


def test_what_the_cache_answered_is_not_shown_as_paid(suite: Path, cli: Run) -> None:
    (suite / "prompts").mkdir()
    (suite / "prompts/answer.md").write_text("{{ q }}")
    (suite / "app.py").write_text(
        "import afere\nfrom afere.models import Settings\nfrom afere.testing import ScriptedModel\n\n"
        "dear = Settings(retries=0, prices={'input': 1000, 'output': 1000})\n"
        "ScriptedModel('dear', {'': 'seven'}, settings=dear)\n"
        "answer = afere.prompt('prompts/answer.md', model='scripted:dear')\n\n"
        "@afere.chain\ndef qa(question: str) -> str:\n    return answer(q=question)\n\n"
        "@afere.scorer\ndef short(output):\n    return True\n"
    )
    line = "all answers came from the cache; nothing was paid"
    _, out, _ = cli("eval", "qa")
    assert "$" in out.splitlines()[0] and line not in out
    _, out, _ = cli("eval", "qa")
    assert "$" not in out.splitlines()[0] and out.count(line) == 1
    with (suite / "data/qa.jsonl").open("a") as rows:
        rows.write('{"id": "new", "input": {"question": "new"}, "expected": "?"}\n')
    _, out, _ = cli("eval", "qa")
    assert "$" in out.splitlines()[0] and line not in out


def test_accept_writes_the_baseline_and_a_worse_version_is_blocked(suite: Path, cli: Run) -> None:
    file = suite / "evals/qa.yaml"
    file.write_text(SUITE.replace("gate:", "against: baseline\ngate:\n  - exact.mean not worse than baseline by 0.05"))
    status, out, _ = cli("eval", "qa", "--json")
    assert status == 3
    assert json.loads(out)["decision"]["rules"][0]["why"].startswith("open: there is no evals/qa.baseline.json")
    assert cli("accept", "1")[0] == 0
    (suite / "app.py").write_text(APP.format(limit=25))
    status, out, _ = cli("eval", "qa", "--markdown", "out/summary.md", "--junit", "out/junit.xml")
    assert status == 1
    assert "proven worse" in out
    summary = (suite / "out/summary.md").read_text()
    assert summary.startswith("❌ **qa: fail** (experiment:2, 60 cases, chain:qa")
    assert "| e-10 | exact | 1.000 | 0.000 |" in summary
    cases = ElementTree.parse(suite / "out/junit.xml").getroot()
    assert (cases.attrib["failures"], len(cases.findall("testcase"))) == ("1", 2)
    status, out, _ = cli("compare", "1", "2", "--json")
    exact = next(one for one in json.loads(out)["measures"] if one["name"] == "exact")
    assert (exact["difference"]["wins"], exact["difference"]["losses"], len(exact["changed"])) == (0, 15, 15)
    assert cli("compare", "1", "2")[0] == 0


def test_a_rule_that_was_there_and_is_gone_is_a_finding(suite: Path, cli: Run) -> None:
    file = suite / "evals/qa.yaml"
    file.write_text(SUITE + "  - exact.mean >= 0.99\n")
    assert cli("eval", "qa")[0] == 1
    file.write_text(SUITE)
    status, out, _ = cli("eval", "qa")
    assert status == 0
    assert "the rule `exact.mean >= 0.99` of experiment:1 is gone from the suite" in out


def test_rules_are_kept_before_the_results(suite: Path, cli: Run) -> None:
    cli("eval", "qa")
    status, out, _ = cli("gate", "1", "exact.mean >= 0.6", "short.mean >= 0.1", "--json")
    assert status == 0
    ref = json.loads(out)["ref"]
    kept = json.loads(cli("show", ref, "--json")[1])
    assert kept["content"]["declared"] == ["exact.mean >= 0.6"]
    made = json.loads(cli("show", "experiment:1", "--json")[1])
    declared = json.loads(cli("show", "suite:qa@1", "--json")[1])
    assert declared["at"] < made["at"]
    assert "suite:qa@1" in {use["ref"] for use in made["uses"]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("target: qa\ndata: data/qa.jsonl\n", 'evals/bad.yaml:1: the top: "scorers" is a required property'),
        ("target: qq\ndata: d\nscorers: [exact]\n", "evals/bad.yaml:1: There is no target called 'qq'"),
        ("target: qa\ndata: d\nscorers:\n  - exact\n  - exat\n", "evals/bad.yaml:5: There is no scorer called 'exat'"),
        (
            "target: qa\ndata: d\nscorers: [exact, exact]\n",
            "evals/bad.yaml:3: the scorer name 'exact' stands here twice",
        ),
        (
            "target: qa\ndata: d\nscorers: [exact]\ngate:\n- exat >= 1\n",
            "evals/bad.yaml:5: exat >= 1: nothing is called",
        ),
        ("target: qa\ndata: d\nscorers: [exact]\ngate: ['exact >> 1']\n", "evals/bad.yaml:4: This rule does not read"),
        (
            "target: qa\ndata: d\nscorers: [exact]\nreapets: 3\n",
            "bad.yaml:4: there is no field 'reapets'. Did you mean 'repeats'?",
        ),
    ],
)
def test_a_suite_error_names_file_line_and_field(suite: Path, text: str, says: str) -> None:
    file = suite / "evals/bad.yaml"
    file.write_text(text)
    sys.modules.pop("app", None)
    with pytest.raises(BadInput) as caught:
        read_suite(file, find_project())
    assert says in str(caught.value)


def test_an_unknown_suite_names_the_nearest(suite: Path, cli: Run) -> None:
    status, _, err = cli("eval", "qaa")
    assert status == 2
    assert "Did you mean 'qa'" in err


def test_after_kill_9_resume_calls_nothing_again(suite: Path) -> None:
    (suite / "app.py").write_text(
        "import afere, time\n\n@afere.chain\ndef qa(question: str) -> str:\n"
        "    time.sleep(0.05)\n    with open('calls', 'a') as log:\n        log.write(question + '\\n')\n    return question\n\n"
        "@afere.scorer\ndef short(output):\n    return True\n"
    )
    command = [sys.executable, "-m", "afere.cli.main", "eval", "qa", "--json", "--concurrency", "2"]
    running = subprocess.Popen(
        command, cwd=suite, stdout=subprocess.PIPE, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    )
    calls = suite / "calls"
    until = time.monotonic() + 60
    while time.monotonic() < until and (not calls.exists() or len(calls.read_text().split()) < 20):
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    before = len(calls.read_text().split())
    assert 20 <= before < 60
    with open_store(suite / ".afere", project=find_project(suite).name) as session:
        kept = len(session.find("jobs", kind="evaluation").items[0].items())
    assert kept > 0
    done = subprocess.run([*command, "--resume"], cwd=suite, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert (made["complete"], made["runs"]) == (True, 60)
    called = calls.read_text().split()
    again = len(called) - len(set(called))
    # What ran in the last fraction of a second before the kill was not yet on disk; all else is not called again.
    assert again <= before - kept
    assert len(set(called)) == 60


def test_ctrl_c_says_what_is_kept_and_how_to_go_on(suite: Path) -> None:
    (suite / "app.py").write_text(
        "import afere, time\n\n@afere.chain\ndef qa(question: str) -> str:\n    open('begun', 'a').write('x')\n"
        "    time.sleep(0.2)\n    return question\n\n@afere.scorer\ndef short(output):\n    return True\n"
    )
    command = [sys.executable, "-m", "afere.cli.main", "eval", "qa", "--concurrency", "2"]
    running = subprocess.Popen(command, cwd=suite, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while time.monotonic() < until and (not (suite / "begun").exists() or len((suite / "begun").read_text()) < 8):
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "of 60 rows are finished and kept" in said
    assert "--resume" in said


def test_slices_are_shown_apart(suite: Path, cli: Run) -> None:
    lines = [
        json.dumps({"id": f"e-{i}", "input": {"question": str(i)}, "expected": str(i), "tags": ["early" if i < 20 else "late"]})
        for i in range(60)
    ]  # fmt: skip
    (suite / "data/qa.jsonl").write_text("\n".join(lines))
    (suite / "evals/qa.yaml").write_text(SUITE + "slices: [tags]\n")
    made = json.loads(cli("eval", "qa", "--json")[1])
    values = {label: measures[0]["value"] for label, measures in made["slices"].items()}
    assert values == {'tag:"early"': 0.5, 'tag:"late"': 1.0}
    assert 'tag:"early"' in cli("eval", "qa")[1]


def test_a_file_that_is_not_there_is_named_with_the_nearest_beside_it(suite: Path, cli: Run) -> None:
    assert "There is no file 'evals/qas.yaml'. Did you mean 'evals/qa.yaml'?" in cli("eval", "evals/qas.yaml")[2]
    assert "Did you mean" not in cli("eval", "nope.yaml")[2]
    (suite / "promptfooconfig.yaml").write_text("prompts: [a]\nproviders: [echo]\n")
    status, _, err = cli("eval", "nope.yaml")
    assert status == 2
    assert "There is no file 'nope.yaml'. Did you mean 'promptfooconfig.yaml'?" in err
