"""`afere prompt test`: what a filled-in prompt must hold, in a file beside it; without asking a model."""

from __future__ import annotations

import json
import xml.etree.ElementTree as Xml

import pytest

pytest_plugins = ["pytester"]

PROMPT = """---
owner: support
inputs:
  question: string
  tone: {type: string, default: friendly}
---
# system
You are {{ tone }}.
{% if tone == "stern" %}
Never joke.
{% endif %}
# user
{{ question }}
"""
TESTS = """tests:
  - name: friendly unless told otherwise
    inputs: {question: "May I bring my dog?"}
    system: {contains: friendly, not_contains: [stern, joke]}
    user: {equals: "May I bring my dog?"}
    roles: [system, user]
    matches: '^You are \\w+\\.$'
    tokens: 20
  - name: a question is needed
    refused: needs the input 'question'
"""


def outcome(run, *words: str) -> dict:
    code, said = run("prompt", "test", *words, "--json")
    found = json.loads(said)
    assert code == (1 if found["failed"] else 0)
    return found


def why(found: dict) -> list[tuple[str, str]]:
    return [(one["check"], one["why"]) for test in found["tests"] for one in test["failures"]]


def test_tests_beside_a_prompt_pass_and_prompts_without_are_named(run, write) -> None:
    write("prompts/parts/tone.md", "Be kind.")
    write("prompts/answer.md", PROMPT)
    write("prompts/other.md", '{% include "parts/tone.md" %}')
    write("prompts/answer.test.yaml", TESTS)
    found = outcome(run)
    assert (found["passed"], found["failed"], found["untested"]) == (2, 0, ["prompts/other.md"])
    assert outcome(run, "prompts/answer.md")["passed"] == 2
    code, said = run("prompt", "test")
    assert code == 0
    assert "✓ answer: a question is needed" in said
    assert said.endswith("2 tests: 0 failed\n")


@pytest.mark.parametrize(
    ("prompt", "check", "says"),
    [
        (PROMPT.replace("default: friendly", "default: curt"), "system.contains", "'friendly' is not in it"),
        (PROMPT.replace("You are {{ tone }}.", "You are {{ tone }}. Never joke."), "system.not_contains", "'joke' is in it"),
        (PROMPT.replace("{{ question }}", "{{ question }}!"), "user.equals", "it is another text"),
        (PROMPT.replace("# user", "# assistant\nYes?\n# user"), "roles", "system, assistant, user"),
        (PROMPT.replace("You are {{ tone }}.", "Be {{ tone }}."), "matches", "nothing in it matches"),
        (PROMPT.replace("You are {{ tone }}.", "You are {{ tone }}.\n" + "Be short. " * 10), "tokens", "at most 20"),
        (PROMPT.replace("  question: string", "  question: {type: string, default: Hi}"), "refused", "it was filled in"),
        (PROMPT.replace("  question: string", "  quest: string").replace("{{ question", "{{ quest"), "rendering", "no input"),
    ],
)  # fmt: skip
def test_what_does_not_hold_is_told_by_check_and_place(run, write, prompt: str, check: str, says: str) -> None:
    write("prompts/answer.md", prompt)
    write("prompts/answer.test.yaml", TESTS)
    found = outcome(run)
    assert any(one == check and says in what for one, what in why(found)), why(found)
    failed = next(test for test in found["tests"] if not test["passed"])
    assert failed["place"] in {"prompts/answer.test.yaml:2", "prompts/answer.test.yaml:9"}


def test_a_difference_and_the_nearest_line_are_shown(run, write) -> None:
    write("prompts/answer.md", PROMPT)
    write(
        "prompts/answer.test.yaml",
        'tests:\n  - name: t\n    inputs: {question: Hi}\n    contains: You are friendly!\n    equals: "# system\\nYou are kind.\\n# user\\nHi"\n',
    )
    code, said = run("prompt", "test")
    assert code == 1
    assert "nearest line: You are friendly." in said
    assert "-You are kind.\n" in said
    assert "+You are friendly.\n" in said


def test_each_row_of_a_dataset_is_filled_in_and_the_failing_ones_are_named(run, write) -> None:
    write("prompts/answer.md", PROMPT)
    rows = [{"id": f"r{n}", "input": {"question": "word " * n}} for n in (1, 2, 50, 60, 70, 80)]
    write("data/qa.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    write("prompts/answer.test.yaml", "tests:\n  - {name: fits, rows: data/qa.jsonl, tokens: 30}\n")
    found = outcome(run)
    assert found["tests"][0]["rendered"] == 6
    assert [one["row"] for one in found["tests"][0]["failures"]] == ["r50", "r60", "r70", None]
    assert "4 of 6 rows fail" in why(found)[-1][1]
    write("data/qa.jsonl", '{"id": "r1", "input": {"wrong": "x"}}\n')
    assert why(outcome(run))[0][0] == "rendering"
    write("data/qa.jsonl", "")
    assert outcome(run)["failed"] == 1


def test_a_snapshot_is_kept_on_request_compared_and_taken_out(run, write, project) -> None:
    write("prompts/answer.md", PROMPT)
    tests = "tests:\n  - name: whole\n    inputs: {question: 'Räume frei?', tone: stern}\n    snapshot: true\n"
    write("prompts/answer.test.yaml", tests)
    assert "none is kept" in why(outcome(run))[0][1]
    assert outcome(run, "--update")["snapshots_written"] == ["prompts/answer.snapshots.yaml"]
    kept = (project / "prompts/answer.snapshots.yaml").read_text()
    assert "whole: |-\n  # system\n  You are stern.\n  Never joke.\n  # user\n  Räume frei?\n" in kept
    assert outcome(run)["failed"] == 0
    assert outcome(run, "--update")["snapshots_written"] == []
    write("prompts/answer.md", PROMPT.replace("Never joke", "Do not joke"))
    failure = outcome(run)["tests"][0]["failures"][0]
    assert "-Never joke.\n+Do not joke." in failure["shown"]
    write("prompts/answer.test.yaml", tests.replace("whole", "all"))
    assert "no test has 'whole' any more" in outcome(run)["notes"][0]
    write("prompts/answer.test.yaml", tests.replace("question: 'Räume frei?'", "other: 1"))  # cannot be filled in
    assert outcome(run, "--update")["snapshots_written"] == []
    assert (project / "prompts/answer.snapshots.yaml").is_file()
    write("prompts/answer.test.yaml", tests)
    write("prompts/answer.snapshots.yaml", "whole: [")
    assert "not YAML" in why(outcome(run))[0][1]
    outcome(run, "--update")
    write("prompts/answer.test.yaml", tests.replace("    snapshot: true\n", ""))
    outcome(run, "--update")
    assert not (project / "prompts/answer.snapshots.yaml").exists()


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("tests:\n  - name: t\n    contain: x\n", 3, "Did you mean 'contains'?"),
        ("tests: [\n", 2, "not YAML"),
        ("tests:\n  - name: t\n    matches: '('\n", 3, "not a regular expression"),
        ("tests:\n  - name: t\n    system:\n      matches: [a, '*']\n", 4, "not a regular expression"),
        ("tests:\n  - name: t\n  - name: t\n", 3, "two tests are called 't'"),
        ("tests:\n  - name: t\n    inputs: {}\n    rows: x.jsonl\n", 4, "not both"),
        ("prompt: gone.md\ntests:\n  - name: t\n", 1, "no file 'gone.md'"),
        ("tests: []\n", 1, "tests"),
    ],
)
def test_a_broken_test_file_is_a_failed_test_and_the_rest_goes_on(run, write, text, place, says) -> None:
    write("prompts/answer.md", PROMPT)
    write("prompts/answer.test.yaml", TESTS)
    write("prompts/bad.md", "Hello")
    write("prompts/bad.test.yaml", text)
    found = outcome(run)
    assert (found["passed"], found["failed"]) == (2, 1)
    assert found["tests"][-1]["place"] == f"prompts/bad.test.yaml:{place}"
    assert says in why(found)[0][1]


def test_a_broken_prompt_is_told_with_its_line_and_a_missing_one_by_name(run, write) -> None:
    write("prompts/answer.md", "Hello {{ name")
    write("prompts/answer.test.yaml", "tests:\n  - name: t\n")
    assert outcome(run)["tests"][0]["place"] == "prompts/answer.md:1"
    write("prompts/alone.test.yaml", "tests:\n  - name: t\n")
    assert "no prompt is beside it" in why(outcome(run, "prompts/alone.test.yaml"))[0][1]
    assert run("prompt", "test", "prompts/none.md")[0] == 2
    write("prompts/bare.md", "Hello")
    assert "bare.test.yaml" in run("prompt", "test", "prompts/bare.md")[1]


def test_junit_has_each_test_with_its_failure(run, write, project) -> None:
    write(
        "prompts/answer.md", PROMPT.replace("You are {{ tone }}", "You\x0b are {{ tone }}").replace("friendly", "curt")
    )
    write("prompts/answer.test.yaml", TESTS)
    code, _ = run("prompt", "test", "--junit", "out/prompts.xml")
    assert code == 1
    suite = Xml.parse(project / "out/prompts.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    failed = suite.find("testcase/failure")
    assert failed is not None
    assert "system.contains: 'friendly' is not in it." in (failed.text or "")


def test_pytest_runs_them_where_it_is_pointed_at_their_folder(pytester) -> None:
    folder = pytester.mkdir("prompts")
    (folder / "answer.md").write_text(PROMPT.replace("default: friendly", "default: curt"))
    (folder / "answer.test.yaml").write_text(TESTS)
    assert pytester.runpytest_subprocess("prompts").ret == 5  # no project of ours: nobody's business
    (pytester.path / "afere.yaml").write_text("project: handbook\n")
    result = pytester.runpytest_subprocess("prompts", "-q")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*prompts/answer.test.yaml:2:*", "*system.contains: 'friendly' is not in it.*"])
