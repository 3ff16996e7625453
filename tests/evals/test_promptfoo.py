"""promptfoo's files run as they are: prompts, providers, tests, assertions, and what is not read is named."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from afere.cli.main import main
from afere.testing import OpenAIServer

Run = Callable[..., tuple[int, str, str]]

PROVIDER = """
def answer(prompt, options, context):
    return {"output": f"{prompt} | {context['vars']['city']}"}
"""
CONFIG = """
description: cities
prompts: ["Where is {{city}}?", file://chat.json]
providers: ["python:say.py:answer", "exec:echo -n"]
commandLineOptions: {cache: false}
defaultTest:
  assert: [{type: contains, value: "{{city}}"}]
tests:
  - vars: {city: [Paris, Rome]}
    assert:
      - {type: not-icontains, value: OSLO, metric: Place}
      - {type: llm-rubric, value: is polite}
  - file://tests.csv
"""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run_(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["afere", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(str(ended.value.code or 0)), said.out, said.err

    return run_


@pytest.fixture
def config(project: Path) -> Path:
    (project / "say.py").write_text(PROVIDER)
    (project / "chat.json").write_text(
        json.dumps([{"role": "system", "content": "Short."}, {"role": "user", "content": 'In "{{city}}"'}])
    )
    (project / "tests.csv").write_text('city,__expected\nBonn,"contains-any:Bonn,Köln"\n"O""slo",regex:slo\n')
    file = project / "promptfooconfig.yaml"
    file.write_text(CONFIG)
    return file


def test_each_prompt_with_each_provider_is_an_experiment(config: Path, run: Run) -> None:
    status, out, err = run("eval", "promptfooconfig.yaml", "--json")
    made = json.loads(out)
    assert "6 of 7 assertions run, 1 skipped: 1 llm-rubric (this type is not read)" in err
    assert "promptfooconfig.yaml:5: commandLineOptions" in err
    assert len(made) == 4
    assert {one["measures"][0]["name"] for one in made} == {"passed"}
    assert {one["measures"][0]["n"] for one in made} == {4}
    assert {m["name"] for m in made[0]["measures"]} >= {"passed", "contains", "place", "contains-any", "regex"}
    assert made[0]["measures"][0]["value"] == 1.0
    assert status == 1  # in the JSON of a chat the quote of O"slo is written otherwise


@pytest.mark.parametrize("option", [("--most", "3"), ("--shape", "ragas"), ("--traces", ""), ("--junit", "r.xml")])
def test_an_option_that_only_suites_have_is_refused(config: Path, run: Run, option: tuple[str, str]) -> None:
    status, _, err = run("eval", config.name, *option)
    assert status == 2 and f"Leave out {option[0]}" in err


def test_a_failed_assertion_fails_the_test_and_the_command(config: Path, run: Run) -> None:
    config.write_text(
        'prompts: ["{{x}}"]\nproviders: ["exec:echo"]\ntests:\n'
        "  - {vars: {x: a}, assert: [{type: contains, value: '$HOME;a'}]}\n"
        "  - {vars: {x: b}, threshold: 0.5, assert: [{type: equals, value: z}, {type: contains, value: b, weight: 2}]}\n"
        "  - {vars: {x: c}, assert: [{type: contains, value: c}, {type: contains, value: z, weight: 0}]}\n"
    )
    status, out, _ = run("eval", "promptfooconfig.yaml", "--json")
    (made,) = json.loads(out)
    assert status == 1
    assert made["measures"][0]["value"] == pytest.approx(2 / 3)


def test_a_model_is_asked_what_the_chat_says(config: Path, run: Run) -> None:
    with OpenAIServer('Sure: {"city": "Paris"}') as server:
        config.write_text(
            "prompts: [file://chat.json]\n"
            f'providers: [{{id: "openai:chat:test-model", config: {{apiBaseUrl: "{server.url}", temperature: 0}}}}]\n'
            "tests:\n  - vars: {city: Paris}\n    assert:\n"
            "      - {type: contains-json, value: {type: object, required: [city]}}\n      - {type: not-is-json}\n"
            "      - {type: latency, threshold: 60000}\n"
        )
        status, out, err = run("eval", "promptfooconfig.yaml", "--json")
    assert "3 of 3 assertions run" in err
    assert status == 0, out
    assert len(server.requests) == 1
    assert json.loads(out)[0]["measures"][0]["value"] == 1.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prompts: [a]\nproviders: [b:\n", "promptfooconfig.yaml:"),
        (
            "prompts: [a]\nproviders:\n  - magic:x\ntests: [{vars: {}}]\n",
            "promptfooconfig.yaml:3: the provider 'magic:x'",
        ),
        ("prompts: [a]\nproviders: ['exec:echo']\ntests:\n  - 5\n", "promptfooconfig.yaml:4: a test is a mapping"),
        ("prompts: ['file://no.txt']\nproviders: ['exec:echo']\n", "promptfooconfig.yaml:1: there is no file"),
    ],
)
def test_a_mistake_is_named_with_its_line(config: Path, run: Run, text: str, said: str) -> None:
    config.write_text(text)
    status, _, err = run("eval", "promptfooconfig.yaml")
    assert status == 2
    assert said in err
