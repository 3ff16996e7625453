"""promptfoo's files run as they are: prompts, providers, tests, assertions, and what is not read is named."""

from __future__ import annotations

import json
import math
import re
import shutil
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from afere.testing import Answer, OpenAIServer

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
      - {type: meteor, value: x}
  - file://tests.csv
"""


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


def test_each_prompt_with_each_provider_is_an_experiment(config: Path, cli: Run) -> None:
    status, out, err = cli("eval", "promptfooconfig.yaml", "--json")
    made = json.loads(out)
    assert "6 of 7 assertions run, 1 skipped: 1 meteor (it needs WordNet)" in err
    assert "this file runs its own Python, commands on this machine, as you" in err
    assert "promptfooconfig.yaml:5: commandLineOptions" in err
    assert len(made) == 4
    assert {one["measures"][0]["name"] for one in made} == {"passed"}
    assert {one["measures"][0]["n"] for one in made} == {4}
    assert {m["name"] for m in made[0]["measures"]} >= {"passed", "contains", "place", "contains-any", "regex"}
    assert made[0]["measures"][0]["value"] == 1.0
    assert status == 1  # in the JSON of a chat the quote of O"slo is written otherwise


@pytest.mark.parametrize("option", [("--most", "3"), ("--shape", "ragas"), ("--traces", ""), ("--junit", "r.xml")])
def test_an_option_that_only_suites_have_is_refused(config: Path, cli: Run, option: tuple[str, str]) -> None:
    status, _, err = cli("eval", config.name, *option)
    assert status == 2 and f"Leave out {option[0]}" in err


def test_a_failed_assertion_fails_the_test_and_the_command(config: Path, cli: Run) -> None:
    config.write_text(
        'prompts: ["{{x}}"]\nproviders: ["exec:echo"]\ntests:\n'
        "  - {vars: {x: a}, assert: [{type: contains, value: '$HOME;a'}]}\n"
        "  - {vars: {x: b}, threshold: 0.5, assert: [{type: equals, value: z}, {type: contains, value: b, weight: 2}]}\n"
        "  - {vars: {x: c}, assert: [{type: contains, value: c}, {type: contains, value: z, weight: 0}]}\n"
    )
    status, out, _ = cli("eval", "promptfooconfig.yaml", "--json")
    (made,) = json.loads(out)
    assert status == 1
    assert made["measures"][0]["value"] == pytest.approx(2 / 3)


def test_a_model_is_asked_what_the_chat_says(config: Path, cli: Run) -> None:
    with OpenAIServer('Sure: {"city": "Paris"}') as server:
        config.write_text(
            "prompts: [file://chat.json]\n"
            f'providers: [{{id: "openai:chat:test-model", config: {{apiBaseUrl: "{server.url}", temperature: 0}}}}]\n'
            "tests:\n  - vars: {city: Paris}\n    assert:\n"
            "      - {type: contains-json, value: {type: object, required: [city]}}\n      - {type: not-is-json}\n"
            "      - {type: latency, threshold: 60000}\n"
        )
        status, out, err = cli("eval", "promptfooconfig.yaml", "--json")
    assert "3 of 3 assertions run" in err
    assert status == 0, out
    assert len(server.requests) == 1
    assert json.loads(out)[0]["measures"][0]["value"] == 1.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prompts: [a]\nproviders: [b:\n", "promptfooconfig.yaml:"),
        ("prompts: [a]\nproviders: [echo]\nscenarios: [5]\n", "promptfooconfig.yaml:3: a scenario is a mapping"),
        ("prompts: [a]\nproviders: [{id: https}]\n", "promptfooconfig.yaml:2: an http provider needs an address"),
        ("prompts: [a]\nproviders: ['python:no.py']\n", "promptfooconfig.yaml:2: there is no file"),
        (
            "prompts: [a]\nproviders:\n  - magic:x\ntests: [{vars: {}}]\n",
            "promptfooconfig.yaml:3: the provider 'magic:x'",
        ),
        ("prompts: [a]\nproviders: ['exec:echo']\ntests:\n  - 5\n", "promptfooconfig.yaml:4: a test is a mapping"),
        ("prompts: ['file://no.txt']\nproviders: ['exec:echo']\n", "promptfooconfig.yaml:1: there is no file"),
    ],
)
def test_a_mistake_is_named_with_its_line(config: Path, cli: Run, text: str, said: str) -> None:
    config.write_text(text)
    status, _, err = cli("eval", "promptfooconfig.yaml")
    assert status == 2
    assert said in err


def test_a_model_grades_and_its_verdict_counts(config: Path, cli: Run) -> None:
    verdicts = {"Paris": '{"why": "it is", "verdict": "pass"}', "Oslo": '{"why": "it is not", "verdict": "fail"}'}
    with OpenAIServer(verdicts) as server:
        config.write_text(
            "prompts: ['{{city}}']\nproviders: [echo]\n"
            f'defaultTest: {{options: {{provider: {{id: "openai:chat:test-model", config: {{apiBaseUrl: "{server.url}"}}}}}}}}\n'
            "tests:\n  - {vars: {city: [Paris, Oslo]}, assert: [{type: llm-rubric, value: names the capital of France}]}\n"
        )
        status, out, err = cli("eval", "promptfooconfig.yaml", "--json")
        forecast = json.loads(cli("eval", "promptfooconfig.yaml", "--dry-run", "--json")[1])
    (made,) = json.loads(out)
    assert status == 1 and "1 of 1 assertions run" in err
    passed, rubric = made["measures"][:2]
    assert (passed["value"], rubric["name"], rubric["value"]) == (0.5, "llm-rubric", 0.5)
    assert not passed["calibrated"] and not rubric["calibrated"]
    assert forecast["calls"] is not None and [one["name"] for one in forecast["parts"]][1:] == ["passed"]


def test_a_grader_that_is_down_is_no_verdict(config: Path, cli: Run) -> None:
    config.write_text(
        "prompts: ['{{x}}']\nproviders: [echo]\ntests:\n"
        "  - {vars: {x: a}, assert: [{type: llm-rubric, value: is good}]}\n"
        "  - {vars: {x: b}, assert: [{type: python, value: 'output.nothing'}, {type: equals, value: b}]}\n"
        "  - {vars: {x: c}, assert: [{type: moderation}]}\n"
    )
    status, out, err = cli("eval", "promptfooconfig.yaml", "--json")
    (made,) = json.loads(out)
    assert status == 3
    assert "2 tests have no verdict" in err
    assert "what a model grades will have no verdict: set models.judge in afere.yaml" in err
    assert made["measures"][0]["n"] == 0 and made["measures"][0]["missing"] == 3


def test_tools_that_a_model_calls_are_held_against_those_offered(config: Path, cli: Run) -> None:
    (config.parent / "tools.json").write_text(
        json.dumps(
            [
                {
                    "type": "function",
                    "function": {"name": "weather", "parameters": {"type": "object", "required": ["city"]}},
                }
            ]
        )
    )
    for name, passes in (("weather", True), ("whether", False)):
        with OpenAIServer(Answer(calls=[(name, {"city": "Paris"})])) as server:
            config.write_text(
                "prompts: ['Weather in {{city}}?']\nproviders:\n"
                f'  - {{id: "openai:chat:test-model", config: {{apiBaseUrl: "{server.url}", tools: "file://tools.json"}}}}\n'
                "tests: [{vars: {city: Paris}, assert: [{type: is-valid-openai-tools-call}]}]\n"
            )
            status, out, _ = cli("eval", "promptfooconfig.yaml", "--json")
        assert (status == 0) is passes, out


def test_an_address_is_asked_and_a_path_finds_the_answer(config: Path, cli: Run) -> None:
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append((self.path, self.rfile.read(int(self.headers["content-length"])).decode()))
            said = {"answers": [{"text": f"You said {json.loads(asked[-1][1])['q']}"}]}
            self.send_response(500 if "down" in asked[-1][1] else 200)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        config.write_text(
            "prompts: ['say {{x}}']\nproviders:\n"
            f"  - id: http://127.0.0.1:{server.server_port}/ask\n"
            '    config: {body: {q: "{{prompt}}"}, queryParams: {n: "{{x}}"}, transformResponse: "json.answers[0].text"}\n'
            "tests:\n"
            """  - {vars: {x: 'a "quote"'}, assert: [{type: equals, value: 'You said say a "quote"'}]}\n"""
        )
        status, out, err = cli("eval", "promptfooconfig.yaml", "--json")
        assert (status, asked[0][0]) == (0, "/ask?n=a+%22quote%22"), (out, err)
        config.write_text(config.read_text().replace("'a \"quote\"'", "down"))
        status, out, _ = cli("eval", "promptfooconfig.yaml", "--json")
        server.shutdown()
    assert status == 4 and json.loads(out)[0]["measures"][0]["n"] == 0


def test_a_webhook_is_told_and_its_verdict_counts(config: Path, cli: Run) -> None:
    told: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            kind = self.path[1:]
            said = {"good": '{"pass": true}', "half": '{"pass": true, "score": 0.4, "reason": "so so"}', "bad": '{"pass": false, "reason": "rude"}',
                    "prose": "looks fine to me", "odd": '{"ok": 1}', "down": "{}"}[kind]  # fmt: skip
            self.send_response(503 if kind == "down" else 200)
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        wanted = {
            "good": (0, 1.0),
            "half": (0, 0.4),
            "bad": (1, 0.0),
            "prose": (4, None),
            "odd": (3, None),
            "down": (4, None),
        }
        for kind, (status, score) in wanted.items():
            config.write_text(
                "prompts: ['say {{x}}']\nproviders: [echo]\n"
                f"tests: [{{vars: {{x: {kind}}}, assert: [{{type: webhook, value: '{address}/{{{{x}}}}'}}]}}]\n"
            )
            found, out, err = cli("eval", "promptfooconfig.yaml", "--json")
            assert (found, json.loads(out)[0]["measures"][1]["value"]) == (status, score), (kind, out, err)
            assert f"outputs and vars are sent to {address}/" in err
        config.write_text(config.read_text().replace("type: webhook", "type: not-webhook").replace("x: down", "x: bad"))
        assert cli("eval", "promptfooconfig.yaml", "--json")[0] == 0
        server.shutdown()
    assert told[0] == {"output": "say good", "context": {"prompt": "say good", "vars": {"x": "good"}}}
    config.write_text(
        "prompts: ['{{x}}']\nproviders: [echo]\ntests: [{vars: {x: a}, assert: [{type: webhook, value: nowhere}]}]\n"
    )
    assert "1 skipped: 1 webhook (its value must be an address: https://...)" in cli("eval", "promptfooconfig.yaml")[2]


def test_likeness_is_a_cosine_a_product_or_a_distance(config: Path, cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            texts = json.loads(self.rfile.read(int(self.headers["content-length"])))["input"]
            known = {"a": [3, 4], "b": [4, 3], "c": [-4, 3]}  # of length 5: cosines 0.96 of a and b, 0 of a and c
            data = [{"index": i, "embedding": known[text]} for i, text in enumerate(texts)]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(
                json.dumps({"data": data, "model": "x", "usage": {"prompt_tokens": 1, "total_tokens": 1}}).encode()
            )

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        for kind, other, limit, status, score in (
            ("similar:dot", "b", 0.95, 0, 0.96), ("similar:dot", "c", 0.1, 1, 0.0), ("similar:cosine", "b", 0.97, 1, 0.96),
            ("similar:euclidean", "b", 0.3, 0, 1 / (1 + math.sqrt(0.08))), ("similar:euclidean", "c", 1.4, 1, 1 / (1 + math.sqrt(2))),
            ("not-similar:euclidean", "c", 1.4, 0, 1 - 1 / (1 + math.sqrt(2))),
        ):  # fmt: skip
            config.write_text(
                "prompts: ['{{x}}']\nproviders: [echo]\ntests:\n"
                f"  - {{vars: {{x: a}}, assert: [{{type: '{kind}', value: {other}, threshold: {limit}, provider: 'openai:embedding:x'}}]}}\n"
            )
            found, out, err = cli("eval", "promptfooconfig.yaml", "--json")
            assert found == status, (kind, out, err)
            assert json.loads(out)[0]["measures"][1]["value"] == pytest.approx(score), kind
        server.shutdown()


def test_programs_that_print_end_or_raise_do_no_harm(config: Path, cli: Run) -> None:
    (config.parent / "bad.py").write_text(
        "import os\nprint('{}')\n"
        "def get_assert(output, context):\n    print('noise')\n    return True\n"
        "def ends(output, context):\n    os._exit(3)\n"
        "async def later(output, context):\n    return {'pass_': True, 'score': 1}\n"
    )
    config.write_text(
        "prompts: ['{{x}}']\nproviders: [echo]\ntests:\n"
        "  - {vars: {x: a}, assert: [{type: python, value: 'file://bad.py'}, {type: python, value: 'file://bad.py:later'}]}\n"
        "  - {vars: {x: b}, assert: [{type: python, value: 'file://bad.py:ends'}]}\n"
        "  - {vars: {x: c}, assert: [{type: python, value: 'file://bad.py'}]}\n"
    )
    status, out, _ = cli("eval", "promptfooconfig.yaml", "--json")
    (made,) = json.loads(out)
    assert status == 4  # a process that ends is no verdict: the row is unfinished
    assert (made["measures"][0]["n"], made["measures"][0]["value"]) == (2, 1.0)


def test_without_node_javascript_is_skipped_and_said(config: Path, cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    config.write_text(
        "prompts: ['{{x}}']\nproviders: [echo, magic:one]\ntests:\n"
        "  - {vars: {x: abc}, assert: [{type: javascript, value: 'output.length > 1'}, {type: contains, value: b}]}\n"
    )
    status, _, err = cli("eval", "promptfooconfig.yaml")
    assert status == 0
    assert "1 of 2 assertions run, 1 skipped: 1 javascript (it is JavaScript, and node is not installed)" in err
    assert "passed counts the assertions that run" in err
    assert "skipped: promptfooconfig.yaml:2: the provider 'magic:one'" in err


def test_tests_and_providers_name_the_prompts_that_they_are_for(config: Path, cli: Run) -> None:
    config.write_text(
        "prompts: [{raw: 'a {{x}}', label: one}, {raw: 'b {{x}}', label: two}]\n"
        "providers: [echo, {id: echo, label: other, prompts: [two]}]\n"
        "tests:\n  - {vars: {x: 1}}\n  - {vars: {x: 2}, prompts: [one], assert: [{type: contains, value: a}]}\n"
    )
    status, out, _ = cli("eval", "promptfooconfig.yaml", "--json")
    assert status == 0
    assert [one["cases"] for one in json.loads(out)] == [2, 1, 1]


@pytest.mark.parametrize(
    ("assertion", "verdict", "status"),
    [
        ("{type: factuality, value: It lies in France}", '{"why": "w", "verdict": "superset"}', 0),
        ("{type: factuality, value: It lies in France}", '{"why": "w", "verdict": "disagree"}', 1),
        ("{type: not-factuality, value: It lies in Spain}", '{"why": "w", "verdict": "disagree"}', 0),
        ("{type: g-eval, value: [short, clear]}", '{"why": "w", "verdict": "0.7"}', 0),
        ("{type: g-eval, value: short, threshold: 0.8}", '{"why": "w", "verdict": "0.7"}', 1),
        ("{type: model-graded-closedqa, value: short}", '{"why": "w", "verdict": "pass"}', 0),
        ("{type: llm-rubric, value: short, threshold: 0.5}", '{"why": "w", "verdict": "0.4"}', 1),
        ("{type: llm-rubric, value: s, rubricPrompt: 'Own: {{rubric}} {{output}}'}", '{"pass": true, "score": 0.3}', 0),
        ("{type: llm-rubric, value: s, rubricPrompt: 'Own: {{rubric}} {{output}}'}", '{"pass": "no"}', 3),
        ("{type: similar, value: Paris is in France, provider: 'openai:embedding:x'}", "", 3),
    ],
)
def test_each_kind_of_grading_has_its_scale(config: Path, cli: Run, assertion: str, verdict: str, status: int) -> None:
    with OpenAIServer(verdict) as server:
        config.write_text(
            "prompts: ['{{x}}']\nproviders: [echo]\n"
            f'defaultTest: {{options: {{provider: {{id: "openai:chat:test-model", config: {{apiBaseUrl: "{server.url}"}}}}}}}}\n'
            f"tests: [{{vars: {{x: Paris}}, assert: [{assertion}]}}]\n"
        )
        found, out, err = cli("eval", "promptfooconfig.yaml", "--json")
    assert found in (status, 4 if status == 3 else status), (out, err)
    if "Own" in assertion:
        assert "Own: s Paris" in str(server.requests[0])


@pytest.mark.skipif(shutil.which("node") is None, reason="a provider in JavaScript")
def test_a_provider_in_javascript_is_asked(config: Path, cli: Run) -> None:
    (config.parent / "own.mjs").write_text(
        "export default class { constructor(options) { this.mark = options.config.mark; }\n"
        "  async callApi(prompt, context) { console.log('noise'); return { output: [prompt, this.mark, context.vars.x] }; } }\n"
    )
    config.write_text(
        "prompts: ['{{x}}!']\nproviders: [{id: 'file://own.mjs', config: {mark: m}, transform: \"output.join('-')\"}]\n"
        "tests: [{vars: {x: a}, assert: [{type: equals, value: a!-m-a}, {type: equals, value: 'x', transform: \"'x'\"}]}]\n"
    )
    status, out, err = cli("eval", "promptfooconfig.yaml", "--json")
    assert status == 0, (out, err)


def test_tests_and_vars_that_a_program_makes(config: Path, cli: Run) -> None:
    (config.parent / "make.py").write_text(
        "import pathlib\n"
        "def generate_tests():\n    pathlib.Path('ran').touch()\n"
        "    return [{'vars': {'x': str(i), 'y': 'file://make.py:get_var'}, 'assert': [{'type': 'contains', 'value': 'y of 3'}]} for i in range(3)]\n"
        "def get_var(name, prompt, others):\n    return {'output': f'{name} of 3'}\n"
    )
    config.write_text("prompts: ['{{x}} {{y}}']\nproviders: [echo]\ntests: file://make.py:generate_tests\n")
    status, out, err = cli("eval", "promptfooconfig.yaml", "--json")
    assert status == 0, (out, err)
    assert json.loads(out)[0]["cases"] == 3
    assert err.startswith("this file runs its own Python on this machine, as you\n3 of 3 assertions run")


def test_a_folder_that_a_file_names_is_found_from_the_file(config: Path, cli: Run) -> None:
    inner = config.parent / "inner"
    inner.mkdir()
    (inner / "say.py").write_text(PROVIDER)
    (inner / "one.txt").write_text("a {{city}}\n---\nb {{city}}\n")
    (inner / "cities.yaml").write_text("city: [Rome, Bonn]\n")
    (inner / "promptfooconfig.yaml").write_text(
        "prompts: [file://*.txt]\nproviders: ['python:say.py:answer']\n"
        "tests: [{vars: file://cities.yaml, assert: [{type: regex, value: '^[ab] (Rome|Bonn)'}]}]\n"
    )
    status, out, err = cli("eval", "inner/promptfooconfig.yaml", "--json")
    assert status == 0, (out, err)
    assert [one["cases"] for one in json.loads(out)] == [2, 2]


def test_older_functions_and_parsed_answers(config: Path, cli: Run) -> None:
    with OpenAIServer(
        {"Boston": Answer(calls=[("weather", {"city": "Boston, MA"})]), "": '{"color": "red"}'}
    ) as server:
        config.write_text(
            "prompts: ['In {{x}}?']\nproviders:\n"
            f"  - {{id: 'openai:test-model', config: {{apiBaseUrl: '{server.url}', functions: [{{name: weather, parameters: {{required: [city]}}}}]}}}}\n"
            "tests:\n"
            "  - vars: {x: Boston}\n    assert:\n"
            "      - {type: is-valid-openai-function-call}\n      - {type: equals, value: weather, transform: output.name}\n"
            "  - vars: {x: an apple}\n    options: {transform: JSON.parse(output)}\n    assert:\n"
            "      - {type: equals, value: red, transform: output.color}\n      - {type: not-is-valid-openai-function-call}\n"
        )
        status, out, err = cli("eval", "promptfooconfig.yaml", "--json")
    assert status == 0, (out, err)


PARTS = '{"parts": [{"text": "25 days", "holds": true}, {"text": "and a car", "holds": false}]}'
KEPT = "query: 'How much leave?', context: [25 days of leave., Parking is free., Ask HR.]"


@pytest.mark.parametrize(
    ("assertion", "values", "said", "share"),
    [
        ("{type: context-faithfulness, threshold: 0.6}", KEPT, PARTS, 0.5),
        ("{type: context-faithfulness, threshold: 0.5}", KEPT, PARTS, 0.5),
        ("{type: not-context-faithfulness, threshold: 0.6}", KEPT, PARTS, 0.5),
        ("{type: context-recall, value: 25 days and a car, threshold: 0.6}", KEPT, PARTS, 0.5),
        ("{type: context-relevance, threshold: 0.3}", KEPT, '{"needed": [1, 1, 9]}', 1 / 3),
        ("{type: context-relevance}", "query: q, context: 'one\n\n    two'", '{"needed": [2]}', 0.5),
        ("{type: context-faithfulness, contextTransform: output}", "query: q", PARTS, 0.5),
        (
            "{type: answer-relevance, threshold: 0.9}",
            KEPT,
            '{"questions": ["How much leave?", "How much leave?"]}',
            1.0,
        ),
        ("{type: context-faithfulness}", KEPT, "I find it very good.", None),
        ("{type: context-faithfulness}", KEPT, '{"parts": []}', None),
        ("{type: context-faithfulness}", "query: q", PARTS, None),
        ("{type: context-relevance}", "context: c", '{"needed": [1]}', None),
    ],
)
def test_shares_of_statements_are_those_that_a_grader_tells(
    config: Path, cli: Run, assertion: str, values: str, said: str, share: float | None
) -> None:
    with OpenAIServer(said) as server:
        config.write_text(
            "prompts: ['25 days --- context begins, and a car']\nproviders: [echo]\n"
            f'defaultTest: {{options: {{provider: {{id: "openai:chat:test-model", config: {{apiBaseUrl: "{server.url}"}}}}}}}}\n'
            f"tests: [{{vars: {{{values}}}, options: {{disableVarExpansion: true}}, assert: [{assertion}]}}]\n"
        )
        status, out, err = cli("eval", "promptfooconfig.yaml", "--json")
        asked = [str(one.body) for one in server.requests]
    assert out, err
    passed, measure = json.loads(out)[0]["measures"][:2]
    limit = float(re.findall(r"threshold: ([\d.]+)", assertion)[0]) if "threshold" in assertion else 0.0
    held = share is not None and (share >= limit) is not assertion.startswith("{type: not-")
    assert (status, passed["value"]) == ((3, None) if share is None else (0 if held else 1, float(held))), (out, err)
    if share is not None:
        assert measure["value"] == pytest.approx(share, abs=1e-6)
        assert len(asked) == 1 and "begins" in asked[0]
