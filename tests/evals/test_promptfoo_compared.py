"""Answers compared with each other, a conversation's turns, and how likely an answer was: with a server of models."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from afere.models import Request
from afere.testing import Answer, OpenAIServer

Run = Callable[..., tuple[int, str, str]]
ASKED = "prompts: ['{{x}}', 'O {{x}}', '{{x}}!']\nproviders: [echo]\n"


def graded(project: Path, server: OpenAIServer, tests: str, head: str = ASKED) -> None:
    grader = f"defaultTest: {{options: {{provider: {{id: 'openai:chat:test-model', config: {{apiBaseUrl: '{server.url}'}}}}}}}}\n"
    (project / "promptfooconfig.yaml").write_text(f"{head}{grader}tests:\n{tests}")


def scores(said: str, name: str) -> list[Any]:
    return [one["value"] for made in json.loads(said) for one in made["measures"] if one["name"] == name]


def longest(request: Request) -> dict[str, Any]:
    """The number of the longest output, by what stands between its lines."""
    outputs = dict(re.findall(r"--- output (\d) \w+ begins\n(.*)\n", request.messages[-1].text))
    return {"why": "it is the longest", "best": int(max(outputs, key=lambda one: len(outputs[one])))}


def test_a_grader_selects_the_same_answer_in_both_orders(project: Path, cli: Run) -> None:
    with OpenAIServer(longest) as server:
        graded(project, server, "  - {vars: {x: [a, b]}, assert: [{type: select-best, value: 'the longest {{x}}'}]}\n")
        status, out, err = cli("eval", "promptfooconfig.yaml", "--json")
    assert "2 tests compare all answers, when they are there" in err
    assert scores(out, "select-best") == [0.0, 1.0, 0.0] and status == 1
    assert scores(out, "passed")[-3:] == [0.0, 1.0, 0.0]
    assert len(server.requests) == 4  # two orders for each test, whoever of the three asks
    assert "the longest a" in json.dumps([one.body for one in server.requests])


def test_a_grader_that_goes_by_the_place_gives_no_verdict(project: Path, cli: Run) -> None:
    with OpenAIServer({"": {"why": "it stands first", "best": 1}}) as server:
        graded(project, server, "  - {vars: {x: a}, assert: [{type: select-best, value: good}]}\n")
        status, out, err = cli("eval", "promptfooconfig.yaml", "--json")
    assert scores(out, "select-best") == [None, None, None] and status == 3
    assert "3 tests have no verdict: in the other order the grader selects another one" in err


@pytest.mark.parametrize(
    ("asserts", "why"),
    [
        ("{type: max-score}", "it needs another assertion beside it"),
        ("{type: equals, value: a}, {type: not-max-score}", "it cannot be negated"),
        (
            "{type: equals, value: a}, {type: max-score, value: {weights: {equals: '2'}}}",
            "its value is {method: average or sum",
        ),
        ("{type: equals, value: a}, {type: assert-set, assert: [{type: max-score}]}", "it cannot stand in a set"),
        ("{type: select-best, value: [a]}", "its value must be the criteria, as text"),
        ("{type: select-best, value: a}, {type: select-best, value: b}", "only the first of a test counts"),
        ("{type: is-sql}", "a `javascript` assertion can call node-sql-parser"),
        ("{type: pi, value: a}", "here `llm-rubric`"),
    ],
)
def test_what_cannot_be_compared_or_asked_is_named(project: Path, cli: Run, asserts: str, why: str) -> None:
    (project / "promptfooconfig.yaml").write_text(f"{ASKED}tests:\n  - {{vars: {{x: a}}, assert: [{asserts}]}}\n")
    assert why in cli("eval", "promptfooconfig.yaml", "--dry-run")[2]


def test_one_answer_alone_and_one_that_is_missing_are_not_compared(project: Path, cli: Run) -> None:
    (project / "promptfooconfig.yaml").write_text(
        "prompts: ['{{x}}']\nproviders: [echo, 'exec:false']\ntests:\n"
        "  - {vars: {x: a}, assert: [{type: equals, value: a}, {type: max-score}]}\n"
        "  - {vars: {x: b}, providers: [echo], assert: [{type: equals, value: b}, {type: max-score}]}\n"
    )
    status, out, err = cli("eval", "promptfooconfig.yaml", "--json")
    assert status == 4 and scores(out, "max-score") == []  # a provider failed: nothing is compared until it is resumed
    (project / "promptfooconfig.yaml").write_text(
        "prompts: ['{{x}}', 'O {{x}}']\nproviders: [echo]\ntests:\n"
        "  - {vars: {x: a}, prompts: ['{{x}}'], assert: [{type: equals, value: a}, {type: max-score}]}\n"
        "  - {vars: {x: b}, assert: [{type: equals, value: b}, {type: max-score}]}\n"
    )
    status, out, err = cli("eval", "promptfooconfig.yaml", "--json")
    assert "1 not compared: there is one answer to this test; a comparison takes two" in err
    assert scores(out, "max-score") == [1.0, 0.0] and status == 1


def test_turns_of_a_conversation_are_judged_one_by_one(project: Path, cli: Run) -> None:
    said = '[{input: My throat is sore, output: A nice day}, {input: "Is it?", output: Tea helps}, {input: Thanks, output: Welcome}]'

    def verdict(request: Request) -> dict[str, Any]:
        text = request.messages[-1].text
        last = re.findall(r"--- assistant \d \w+ begins\n(.*)\n", text)[-1]
        return {"why": f"{text.count('begins')} texts", "relevant": last != "A nice day"}

    with OpenAIServer(verdict) as server:
        limits = (0.6, 0.7)
        tests = "".join(
            f"  - {{vars: {{x: a, _conversation: {said}}}, assert: [{{type: conversation-relevance, threshold: {limit}, "
            "config: {windowSize: 2}}]}\n"
            for limit in limits
        )
        graded(project, server, tests, "prompts: ['{{x}}']\nproviders: [echo]\n")
        status, out, _ = cli("eval", "promptfooconfig.yaml", "--json", "--concurrency", "1")
    assert scores(out, "conversation-relevance") == [pytest.approx(2 / 3)] and scores(out, "passed") == [0.5]
    assert status == 1 and len(server.requests) == 3  # the second test is answered from the cache
    shown = [json.dumps(one.body).count(" begins") for one in server.requests]
    assert sorted(shown) == [2, 4, 4]  # no more than two turns each


@pytest.mark.parametrize("given", [(-0.1, -0.2, -0.3), ()])
def test_how_likely_the_answer_was_is_asked_of_the_model(project: Path, cli: Run, given: tuple[float, ...]) -> None:
    with OpenAIServer(Answer("Paris", logprobs=given)) as server:
        (project / "promptfooconfig.yaml").write_text(
            f"prompts: ['{{{{x}}}}']\nproviders: [{{id: 'openai:chat:test-model', config: {{apiBaseUrl: '{server.url}'}}}}]\ntests:\n"
            "  - {vars: {x: a}, assert: [{type: perplexity, threshold: 1.23}, {type: perplexity-score}]}\n"
        )
        status, out, err = cli("eval", "promptfooconfig.yaml", "--json")
    assert [one.body["logprobs"] for one in server.requests] == [True]
    if given:
        assert status == 0 and scores(out, "perplexity-score") == [pytest.approx(1 / (1 + math.exp(0.2)))]
    else:
        assert status == 3 and "the provider gave no probabilities of its tokens" in err
