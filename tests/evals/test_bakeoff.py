"""`afere bakeoff` and `afere sweep`: models over HTTP of different quality, price and speed, each in its own column."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import afere.store
from afere.evals.bakeoff.recommend import Candidate, recommend
from afere.evals.results import Result, Results
from afere.evals.standing import Clock, Drift, against
from afere.models import Request
from afere.store import Session
from afere.testing import Answer, Fault, OpenAIServer

Run = Callable[..., tuple[int, str, str]]

MODELS = ("small", "mid", "big", "free")
APP = """
import afere

answer = afere.prompt("prompts/answer.md")

@afere.chain
def qa(question: str) -> str:
    return answer(question=question)
"""
YAML = """project: handbook
chains: {{qa: 'app:qa'}}
models:
  small: {{model: "{url}#small", prices: {{input: 1, output: 2}}, licence: apache-2.0, residency: eu}}
  mid: {{model: "{url}#mid", prices: {{input: 5, output: 10}}, licence: proprietary, residency: [eu, us]}}
  big: {{model: "{url}#big", prices: {{input: 20, output: 60}}, licence: mit, residency: eu, compliance: [gdpr, iso27001]}}
  free: {{model: "{url}#free", licence: mit, residency: eu}}
"""
RIGHT = {"small": 6, "mid": 6, "big": 10, "free": 6}  # of ten


def says(request: Request) -> Answer:
    """Right in so many of ten cases, by the model that is asked."""
    number = int(request.messages[-1].text.split()[-1])
    right = number % 10 < RIGHT[str(request.parameters["model"])]
    return Answer(str(number) if right else "no idea")


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(says, models=MODELS) as server:
        yield server


@pytest.fixture
def suite(project: Path, server: OpenAIServer) -> Path:
    """A project whose chain asks `small`, with 40 cases."""
    (project / "afere.yaml").write_text(YAML.format(url=server.url))
    for folder in ("prompts", "evals", "data"):
        (project / folder).mkdir()
    (project / "prompts/answer.md").write_text("---\nmodel: small\n---\nSay the number: {{question}}")
    (project / "app.py").write_text(APP)
    (project / "evals/qa.yaml").write_text("name: qa\ntarget: qa\ndata: data/qa.jsonl\nscorers: [exact]\n")
    rows = [{"id": f"e-{i}", "input": {"question": f"it is {i}"}, "expected": str(i)} for i in range(40)]
    (project / "data/qa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return project


def asked(server: OpenAIServer) -> Counter[str]:
    return Counter(str(one.body["model"]) for one in server.requests)


def record(out: str) -> dict[str, Any]:
    return json.loads(out)


def by_label(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {cell["label"]: cell for cell in found["cells"]}


def number(cell: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in cell["numbers"] if one["name"] == name)


def answer(cell: dict[str, Any], measure: str) -> str:
    return next(one["answer"] for one in cell["against"] if one["measure"] == measure)


def opened(suite: Path) -> Session:
    return afere.store.open(suite / ".afere", project="handbook")


def test_each_model_answers_its_own_column_in_spans_and_versions_too(
    suite: Path, cli: Run, server: OpenAIServer
) -> None:
    status, out, _ = cli("bakeoff", "qa", "--models", "mid,big", "--json")
    assert status == 0
    again = 20  # of the current one, to see how times drift
    assert asked(server) == {"small": 40 + again, "mid": 40, "big": 40}
    cells = by_label(record(out))
    assert list(cells) == ["openai:small (current)", "mid", "big"]
    assert len({cell["version"] for cell in cells.values()}) == 3
    with opened(suite) as session:
        for name, cell in zip(("small", "mid", "big"), cells.values(), strict=True):
            experiment = session.get(cell["experiment"])
            target = session.get(experiment.content["target"][1])
            component = next(session.get(use.ref) for use in target.uses if use.role == "component answer")
            assert component.content["model"] == f"openai:{name}"
            run = json.loads(session.blob(str(experiment.blob)).splitlines()[0])
            trace = session.spans.trace(run["trace"])
            assert trace is not None
            assert [span.model for span in trace.of_kind("llm")] == [name]
            assert component.ref in [ref for ref, _ in trace.of_kind("llm")[0].artifacts]
    cli("run", "qa", "it is 1")
    assert server.requests[-1].body["model"] == "small"


def test_threads_that_the_chain_begins_by_itself_ask_the_model_of_the_column(
    suite: Path, cli: Run, server: OpenAIServer
) -> None:
    (suite / "app.py").write_text(
        APP.replace("import afere\n", "import afere\nfrom concurrent.futures import ThreadPoolExecutor\n").replace(
            "    return answer(question=question)",
            "    with ThreadPoolExecutor(2) as pool:\n"
            "        return list(pool.map(lambda q: answer(question=q), [question, question]))[0]",
        )
    )
    assert cli("bakeoff", "qa", "--models", "big")[0] == 0
    assert asked(server) == {"small": 2 * 60, "big": 2 * 40}


def test_scorers_ask_their_own_models_whatever_is_tried(suite: Path, cli: Run, server: OpenAIServer) -> None:
    (suite / "app.py").write_text(
        APP
        + '\n@afere.scorer\ndef opinion(input):\n    return afere.prompt("prompts/answer.md", model="mid")(**input) != ""\n'
    )
    (suite / "evals/qa.yaml").write_text("name: qa\ntarget: qa\ndata: data/qa.jsonl\nscorers: [exact, app:opinion]\n")
    assert cli("bakeoff", "qa", "--models", "big")[0] == 0
    assert asked(server) == {"small": 60, "big": 40, "mid": 40}  # the same question is not paid twice


def test_the_better_model_is_recommended_and_what_is_not_shown_is_said(suite: Path, cli: Run) -> None:
    status, out, _ = cli("bakeoff", "qa", "--models", "mid,big", "--markdown", "record.md", "--json")
    found = record(out)
    cells = by_label(found)
    assert status == 0
    assert found["recommendation"]["names"] == ["big"]
    assert found["recommendation"]["say"].startswith(
        "big is shown to be better than openai:small (current): exact +0.400"
    )
    assert "more expensive" in found["recommendation"]["say"]
    assert (answer(cells["big"], "exact"), answer(cells["big"], "cost")) == ("better", "worse")
    assert answer(cells["mid"], "exact") == "open"
    assert [cell["front"] for cell in cells.values()].count(True) >= 2
    assert cells["big"]["front"]
    assert number(cells["big"], "exact")["value"] == 1.0
    small = number(cells["openai:small (current)"], "cost_per_1000")
    assert small["low"] <= small["value"] <= small["high"]
    assert number(cells["mid"], "cost_per_1000")["value"] == pytest.approx(5 * small["value"], rel=0.01)
    for name in ("seconds.p50", "seconds.p95", "first_token_seconds.p50", "tokens_per_second"):
        assert number(cells["mid"], name)["value"] > 0
    shown = cli("show", "report:1")[1]
    assert "big is shown to be better than openai:small (current)" in shown
    assert "latency p95" in shown
    text = (suite / "record.md").read_text()
    assert "big is shown to be better than openai:small (current)" in text
    assert "| mid | 0.600 (" in text


def test_p_values_hold_for_all_models_and_measures_together(suite: Path, cli: Run) -> None:
    found = record(cli("bakeoff", "qa", "--models", "mid,big", "--json")[1])
    pairs = sorted((one["p"], one["p_holm"]) for cell in found["cells"] for one in cell["against"])
    assert len(pairs) == 2 * 3  # models x (exact, seconds, cost)
    highest = 0.0
    for rank, (alone, together) in enumerate(pairs):
        highest = max(highest, min(1.0, (len(pairs) - rank) * alone))
        assert together == pytest.approx(highest)
    for one in (one for cell in found["cells"] for one in cell["against"]):
        assert one["answer"] == "open" or (one["p_holm"] <= 0.05 and not one["low"] <= 0 <= one["high"])


def test_a_tie_takes_the_cheaper_model_only_by_a_stated_rule(suite: Path, cli: Run, server: OpenAIServer) -> None:
    (suite / "prompts/answer.md").write_text("---\nmodel: big\n---\nSay the number: {{question}}")
    server.says(lambda request: Answer(request.messages[-1].text.split()[-1]))
    plain = record(cli("bakeoff", "qa", "--models", "small", "--json")[1])["recommendation"]
    assert plain["names"] == []
    assert plain["say"].startswith("Stay with openai:big (current): none is shown to be better in exact.")
    ruled = record(cli("bakeoff", "qa", "--models", "small", "--prefer", "cost", "--margin", "0.15", "--json")[1])
    assert ruled["recommendation"]["names"] == ["small"]
    assert "By the stated rule (prefer cost, margin 0.15)" in ruled["recommendation"]["say"]
    wide = record(cli("bakeoff", "qa", "--models", "small", "--prefer", "cost", "--margin", "2", "--json")[1])
    assert "margin 2 is no bound: exact lies from 0 to 1, so that nothing is worse by so much" in wide["notes"]
    assert not ruled["notes"]
    narrow = record(cli("bakeoff", "qa", "--models", "small", "--prefer", "cost", "--margin", "0.01", "--json")[1])
    assert narrow["recommendation"]["names"] == []
    status, _, err = cli("bakeoff", "qa", "--models", "small", "--prefer", "cost")
    assert status == 2
    assert "prefer and margin go together" in err


@pytest.mark.parametrize(
    ("models", "require", "why"),
    [
        ("mid", "licence=mit,apache-2.0", "its licence is proprietary, and one of mit, apache-2.0 is asked for"),
        ("mid", "residency=eu", "its residency is eu, us, and only eu is asked for"),
        ("mid", "compliance=gdpr", "its compliance is not known, and all of gdpr is asked for"),
        ("mid", "hosting=hosted", "its hosting is self-run, and hosted is asked for"),
        ("free", "cost=5", "its price is not known, and at most 5 USD per 1,000 requests is asked for"),
    ],
)
def test_a_model_that_is_not_as_required_is_left_out_with_the_reason(
    suite: Path, cli: Run, models: str, require: str, why: str
) -> None:
    status, out, _ = cli("bakeoff", "qa", "--models", f"{models},big", "--require", require, "--dry-run", "--json")
    left_out = {one["label"]: one["why"] for one in record(out)["excluded"]}
    assert status == 0
    assert why in left_out[models]
    assert models not in [cell["label"] for cell in record(out)["cells"]]


def test_a_model_that_takes_in_too_little_or_costs_too_much_is_left_out(
    suite: Path, cli: Run, server: OpenAIServer
) -> None:
    yaml = (suite / "afere.yaml").read_text().replace("mid: {", "mid: {context: 4, ")
    (suite / "afere.yaml").write_text(yaml)
    cells = by_label(record(cli("bakeoff", "qa", "--models", "mid,big", "--require", "cost=0.05", "--json")[1]))
    assert cells["mid"]["excluded"] == "its context is too small: the longest case is at least 8 tokens, and it takes 4"
    assert cells["big"]["excluded"].startswith("it costs ")
    assert "at most 0.05 is asked for" in cells["big"]["excluded"]
    assert set(asked(server)) == {"small", "big"}


def test_the_suite_may_say_what_is_tried_and_required(suite: Path, cli: Run) -> None:
    (suite / "evals/qa.yaml").write_text(
        "name: qa\ntarget: qa\ndata: data/qa.jsonl\nscorers: [exact]\n"
        "sweep: {models: [mid, big], require: {licence: mit}, prefer: cost, margin: 0.1}\n"
    )
    cells = by_label(record(cli("bakeoff", "qa", "--json")[1]))
    assert "its licence is proprietary" in cells["mid"]["excluded"]
    assert cells["big"]["excluded"] is None
    with opened(suite) as session:
        assert session.get("suite:qa").content["sweep"]["models"] == ["mid", "big"]


def test_what_cannot_be_varied_is_refused_before_anything_is_asked(suite: Path, cli: Run, server: OpenAIServer) -> None:
    def said(target: str, *words: str, data: str = "data: data/qa.jsonl") -> str:
        (suite / "evals/qa.yaml").write_text(f"name: qa\n{target}\n{data}\nscorers: [length]\n")
        status, _, err = cli("bakeoff", "qa", *(words or ("--models", "big")))
        assert status == 2
        return err

    assert "is an address: what answers there cannot be given another model" in said("target: http://127.0.0.1:9/chat")
    assert "its cases are past traces" in said("", data="traces: 'chain:qa'")
    (suite / "app.py").write_text(APP + "\n@afere.chain\ndef plain(question: str) -> str:\n    return question\n")
    assert "No component of plain is known" in said("target: app:plain")
    two = "\nother = afere.prompt('prompts/other.md')\n\n@afere.chain\ndef two(question: str) -> str:\n"
    (suite / "app.py").write_text(APP + two + "    return answer(question=other(question=question))\n")
    (suite / "prompts/other.md").write_text("---\nmodel: mid\n---\nAgain: {{question}}")
    err = said("target: app:two")
    assert "two asks several models: answer (openai:small), other (openai:mid)" in err
    assert "--component answer" in err
    assert "no component 'nobody'" in said("target: app:two", "--models", "big", "--component", "nobody")
    assert "all that is to be tried is what its target is already" in said("target: qa", "--models", "small")
    assert "nothing is to be tried" in said("target: qa", "--require", "licence=mit")
    assert server.requests == []


def test_of_several_components_the_one_that_is_named_is_varied(suite: Path, cli: Run, server: OpenAIServer) -> None:
    two = "\nother = afere.prompt('prompts/other.md')\n\n@afere.chain\ndef two(question: str) -> str:\n"
    (suite / "app.py").write_text(APP + two + "    other(question=question)\n    return answer(question=question)\n")
    (suite / "prompts/other.md").write_text("---\nmodel: mid\n---\nAgain: {{question}}")
    (suite / "evals/qa.yaml").write_text("name: qa\ntarget: app:two\ndata: data/qa.jsonl\nscorers: [exact]\n")
    assert cli("bakeoff", "qa", "--models", "big", "--component", "answer")[0] == 0
    assert asked(server) == {"mid": 40 + 40 + 20, "small": 40 + 20, "big": 40}


def test_the_same_name_on_two_servers_is_two_models(suite: Path, cli: Run, server: OpenAIServer) -> None:
    with OpenAIServer("no idea", models=("small",)) as other:
        cells = by_label(record(cli("bakeoff", "qa", "--models", other.name, "--json")[1]))
        assert len(other.requests) == 40
    assert number(cells["openai:small (current)"], "exact")["value"] == 0.6
    assert number(cells[other.name], "exact")["value"] == 0.0


def test_a_model_that_does_not_answer_is_left_out_and_the_others_are_compared(
    suite: Path, cli: Run, server: OpenAIServer
) -> None:
    (suite / "afere.yaml").write_text(
        (suite / "afere.yaml").read_text()
        + f'  gone: {{model: "{server.url}#nobody", prices: {{input: 1, output: 1}}}}\n'
    )
    status, out, _ = cli("bakeoff", "qa", "--models", "gone,big", "--json")
    found = record(out)
    assert status == 4
    assert not found["complete"]
    assert "unfinished: 40 of 40 runs" in by_label(found)["gone"]["excluded"]
    assert found["recommendation"]["names"] == ["big"]


def test_runs_that_fail_or_are_refused_are_counted_for_each_model_and_never_help_it(
    suite: Path, cli: Run, server: OpenAIServer
) -> None:
    (suite / "app.py").write_text(
        APP.replace(
            "    return answer(question=question)",
            "    said = answer(question=question)\n    if said == 'no idea':\n        raise ValueError(said)\n    return said",
        )
    )

    def fails(request: Request) -> Answer:
        number = int(request.messages[-1].text.split()[-1])
        if request.parameters["model"] == "small":
            return Answer(str(number) if number % 10 < 6 else "wrong")
        return (
            Answer(str(number), finish="content_filter" if number == 1 else None)
            if number % 10 < 9
            else Answer("no idea")
        )

    server.says(fails)
    found = record(cli("bakeoff", "qa", "--models", "big", "--json")[1])
    big = by_label(found)["big"]
    assert (big["errors"], big["refusals"]) == (4, 1)
    assert number(big, "exact")["value"] == 1.0
    assert found["recommendation"]["names"] == []
    assert "big failed in 4 runs (0 with openai:small (current))" in " ".join(found["recommendation"]["more"])


def test_answers_from_the_cache_have_no_time_and_no_cost(suite: Path, cli: Run, server: OpenAIServer) -> None:
    cli("eval", "qa")
    before = asked(server)["small"]
    cells = by_label(record(cli("bakeoff", "qa", "--models", "big", "--cached", "--json")[1]))
    current = cells["openai:small (current)"]
    assert asked(server)["small"] == before
    assert current["cached"] == 40
    assert number(current, "seconds.p50") | {"low": None, "high": None} == {
        "name": "seconds.p50", "value": None, "low": None, "high": None, "n": 0, "better": "lower", "why": "answered from the cache",
    }  # fmt: skip
    assert number(current, "cost_per_1000")["value"] is None
    assert number(cells["big"], "cost_per_1000")["value"] > 0
    cells = by_label(record(cli("bakeoff", "qa", "--models", "big", "--json")[1]))
    assert cells["openai:small (current)"]["cached"] == 0
    assert number(cells["openai:small (current)"], "seconds.p50")["value"] > 0


def test_the_budget_holds_for_all_models_together_and_resume_goes_on(
    suite: Path, cli: Run, server: OpenAIServer
) -> None:
    words = ("bakeoff", "qa", "--models", "mid,big", "--concurrency", "1", "--json")
    status, out, _ = cli(*words, "--max-cost", "0.002")  # small takes 0.0006, mid 0.003
    found = record(out)
    assert status == 4
    assert found["cost"] < 0.0025
    assert asked(server)["small"] == 40
    assert 0 < asked(server)["mid"] < 40
    assert asked(server)["big"] == 0
    status, out, _ = cli(*words, "--resume")
    assert status == 0
    assert asked(server) == {"small": 60, "mid": 40, "big": 40}
    assert record(out)["recommendation"]["names"] == ["big"]


def test_what_was_scored_otherwise_is_not_gone_on_with(suite: Path, cli: Run, server: OpenAIServer) -> None:
    words = ("bakeoff", "qa", "--models", "mid", "--json")
    assert cli(*words, "--max-cost", "0.001")[0] == 4
    file = suite / "evals/qa.yaml"
    file.write_text(file.read_text().replace("[exact]", "[f1]"))
    status, out, _ = cli(*words, "--resume")
    cells = by_label(record(out))
    assert status == 0 and [number(cell, "f1")["n"] for cell in cells.values()] == [40, 40]


def test_the_cost_of_all_is_said_first_and_a_dry_run_asks_nothing(suite: Path, cli: Run, server: OpenAIServer) -> None:
    found = record(cli("bakeoff", "qa", "--models", "mid,free", "--require", "cost=9", "--dry-run", "--json")[1])
    assert [cell["calls"] for cell in found["cells"]] == [[40, 40], [40, 40]]
    assert found["cost"][0] > sum(cell["cost"][0] for cell in found["cells"])  # some cases are asked once more
    assert [one["label"] for one in found["excluded"]] == ["free"]
    assert server.requests == []
    _, _, err = cli("bakeoff", "qa", "--models", "mid")
    assert "2 combinations x 40 runs: $" in err


def test_a_killed_bake_off_goes_on_where_it_was_and_keeps_models_apart(
    suite: Path, server: OpenAIServer, cli: Run
) -> None:
    server.says(lambda request: Answer(says(request).text, delay=0.03))
    command = [sys.executable, "-m", "afere.cli.main", "bakeoff", "qa", "--models", "mid,big", "--concurrency", "2"]
    process = subprocess.Popen(
        command, cwd=suite, env={**os.environ}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 30
    while asked(server)["mid"] < 20 and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert asked(server)["small"] == 40
    assert 20 <= asked(server)["mid"] < 40
    status, out, _ = cli("bakeoff", "qa", "--models", "mid,big", "--resume", "--json")
    found = by_label(record(out))
    assert status == 0
    assert asked(server)["small"] == 60
    assert asked(server)["mid"] <= 40 + 2  # those that were under way
    assert asked(server)["big"] == 40
    assert [number(cell, "exact")["value"] for cell in found.values()] == [0.6, 0.6, 1.0]


def test_a_sweep_runs_every_combination_beside_what_there_is(suite: Path, cli: Run, server: OpenAIServer) -> None:
    (suite / "prompts/short.md").write_text("Number? {{question}}")
    status, out, _ = cli(
        "sweep", "qa", "--set", "temperature=0,0.5", "--models", "small,big", "--prompt", "answer=prompts/answer.md,prompts/short.md",
        "--json",
    )  # fmt: skip
    cells = record(out)["cells"]
    assert status == 0
    assert len(cells) == 1 + 2 * 2 * 2
    assert cells[0]["label"] == "qa (current)"
    assert cells[1]["settings"] == {"model": "small", "temperature": 0, "prompt answer": "prompts/answer.md"}
    seen = Counter(
        (one.body["model"], one.body.get("temperature"), str(one.body["messages"]).count("Number?"))
        for one in server.requests
    )
    assert seen == {("small", None, 0): 60} | {
        (model, heat, short): 40 for model in ("small", "big") for heat in (0, 0.5) for short in (0, 1)
    }


def test_a_sweep_over_targets_tells_one_component_from_two(suite: Path, cli: Run, server: OpenAIServer) -> None:
    two = "\nfirst = afere.prompt('prompts/first.md')\n\n@afere.chain\ndef two(question: str) -> str:\n"
    (suite / "app.py").write_text(APP + two + "    first(question=question)\n    return answer(question=question)\n")
    (suite / "prompts/first.md").write_text("---\nmodel: big\n---\nThink of {{question}}")
    found = record(cli("sweep", "qa", "--target", "app:two", "--json")[1])
    cells = by_label(found)
    assert list(cells) == ["qa (current)", "app:two"]
    assert answer(cells["app:two"], "cost") == "worse"
    assert asked(server) == {"small": 100, "big": 40}


def _simulated(rates: list[float], rng: random.Random, rows: int = 52) -> list[Results]:
    """Cells whose cases are right with these rates, with times and costs of one distribution."""
    hard = [rng.random() for _ in range(rows)]  # cases that are hard for one are hard for all
    found: list[Results] = []
    for rate in rates:
        runs = [
            Result(
                f"r{i}", "d", 1,
                {"exact": (rng.random() < min(1.0, max(0.0, rate + 0.6 * (hard[i] - 0.5))), ""), "cost": (rng.expovariate(1), ""),
                 "seconds": (rng.lognormvariate(0, 0.5), ""), "errors": (False, ""), "output_tokens": (9, "")},
            ) for i in range(rows)
        ]  # fmt: skip
        found.append(
            Results(
                "experiment:1", scorers={"exact": "h"}, lower=frozenset({"seconds", "cost", "errors"}), runs=tuple(runs)
            )
        )
    return found


def _named(cells: list[Results]) -> tuple[bool, bool, bool]:
    """Whether a model is recommended as better, any is said to differ in anything, and the best would be called better if it
    were picked by the same data."""
    rows = against(cells, ["exact"], Clock((), Drift(0.0, -0.01, 0.01, 20)))
    candidates = [Candidate(f"m{i}", {one.measure: one for one in row}, {}, 0) for i, row in enumerate([[], *rows])]
    said = recommend(candidates[0], candidates[1:], "exact", prefer=None, margin=None)
    differs = any(one.answer != "open" for row in rows for one in row)
    naive = any(one.low is not None and one.low > 0 for row in rows for one in row if one.measure == "exact")
    return bool(said.names), differs, naive


def test_equal_models_are_called_better_at_most_as_often_as_promised() -> None:
    """3 models beside the current one, all equal: 5% is the promise for all statements together; naive picking breaks it."""
    rng = random.Random(7)
    found = [_named(_simulated([0.6] * 4, rng)) for _ in range(300)]
    named, differs, naive = (sum(one[i] for one in found) / len(found) for i in range(3))
    assert named <= 0.05
    assert differs <= 0.05 + 2 * (0.05 * 0.95 / 300) ** 0.5
    assert naive > 0.1


def test_a_model_that_is_much_better_is_found_among_equal_ones() -> None:
    rng = random.Random(8)
    found = [_named(_simulated([0.5, 0.5, 0.5, 0.9], rng))[0] for _ in range(60)]
    assert sum(found) > 42


def test_a_difference_in_time_within_the_drift_is_not_shown() -> None:
    rng = random.Random(9)
    cells = _simulated([0.6, 0.6], rng)
    slow = Results(
        "experiment:2", scorers=cells[1].scorers, lower=cells[1].lower,
        runs=tuple(
            Result(run.row, "d", 1, {**run.scores, "seconds": (float(str(cells[0].runs[i].scores["seconds"][0])) + 0.5, "")})
            for i, run in enumerate(cells[1].runs)
        ),
    )  # fmt: skip

    def latency(drift: Drift | None) -> tuple[str, str]:
        found = next(
            one for one in against([cells[0], slow], ["exact"], Clock((), drift))[0] if one.measure == "seconds"
        )
        return found.answer, found.why

    assert latency(Drift(0.0, -0.05, 0.05, 20)) == ("worse", "")
    assert latency(Drift(0.4, 0.2, 0.6, 20)) == ("open", "within what times drifted while it ran")
    assert latency(Drift(-0.4, -0.6, -0.2, 20))[0] == "open"  # it might have gone the other way for that cell
    assert latency(None)[0] == "open"


def test_a_server_that_fails_now_and_then_costs_no_answers(suite: Path, cli: Run, server: OpenAIServer) -> None:
    seen: Counter[str] = Counter()

    def shaky(request: Request) -> Answer | Fault:
        model = str(request.parameters["model"])
        seen[model] += 1
        return Fault("status", status=503, retry_after=0.01) if model == "big" and seen[model] == 3 else says(request)

    server.says(shaky)
    status, out, _ = cli("bakeoff", "qa", "--models", "big", "--json")
    assert status == 0
    assert by_label(record(out))["big"]["runs"] == 40


def test_addresses_are_compared_as_targets(suite: Path, cli: Run) -> None:
    class Echo(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["content-length"])))
            text = said["question"].split()[-1] if self.path == "/good" else "no idea"
            body = json.dumps(text).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        (suite / "evals/qa.yaml").write_text(f"name: qa\ntarget: {url}/bad\ndata: data/qa.jsonl\nscorers: [exact]\n")
        status, out, _ = cli("sweep", "qa", "--target", f"{url}/good", "--json")
        server.shutdown()
    assert status == 0
    assert record(out)["recommendation"]["names"] == [f"{url}/good"]


def test_what_it_will_cost_is_known_from_the_same_cell_of_before(suite: Path, cli: Run) -> None:
    before = record(cli("bakeoff", "qa", "--models", "mid,big", "--json")[1])
    paid = number(by_label(before)["big"], "cost_per_1000")["value"] * 40 / 1000
    again = record(cli("bakeoff", "qa", "--models", "big,free", "--dry-run", "--json")[1])
    low, high = next(cell["cost"] for cell in again["cells"] if cell["label"] == "big")
    assert low <= paid <= high <= paid * 1.5


def test_a_model_without_its_key_is_named_before_anything_is_paid(
    suite: Path, cli: Run, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    status, _, err = cli("bakeoff", "qa", "--models", "openai:gpt-4.1-mini")
    assert status == 4
    assert "openai:gpt-4.1-mini needs a key: set the environment variable OPENAI_API_KEY" in err
    assert not server.requests


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("temprature=0,1", "there is no parameter 'temprature'. Did you mean 'temperature'?"),
        ("temperature=hot", "temperature=hot: a number, or null to leave it out"),
        ("max_tokens=1.5", "max_tokens=1.5: a whole number, or null to leave it out"),
    ],
)
def test_a_slip_in_a_parameter_is_named_without_a_price(suite: Path, cli: Run, said: str, why: str) -> None:
    status, _, err = cli("sweep", "qa", "--set", said, "--dry-run")
    assert status == 2
    assert why in err
    assert cli("sweep", "qa", "--set", "our_own=1,2", "--set", "temperature=null,0", "--dry-run")[0] == 0


def test_a_sweep_varies_how_many_examples_are_chosen(suite: Path, cli: Run, server: OpenAIServer) -> None:
    """The model answers rightly only where it was shown the number; each cell says in its spans which rows were shown."""
    shots = [{"id": f"s-{i}", "input": {"question": f"it is {i}"}, "output": str(i)} for i in range(40)]
    (suite / "data/shots.jsonl").write_text("".join(json.dumps(row) + "\n" for row in shots))
    (suite / "prompts/answer.md").write_text(
        "---\nmodel: small\nexamples: {data: data/shots.jsonl, nearest: 0}\n---\nSay the number: {{question}}"
    )

    def shown(request: Request) -> Answer:
        asked = request.messages[-1].text
        before = [one.text for one in request.messages[:-1]]
        return Answer(asked.split()[-1] if asked in before else "no idea")

    server.says(shown)
    status, out, _ = cli("sweep", "qa", "--examples", "0,3", "--json")
    found = record(out)
    assert status == 0
    assert [cell["label"] for cell in found["cells"]] == ["qa (current)", "examples=3"]
    assert [number(cell, "exact")["value"] for cell in found["cells"]] == [0.0, 1.0]
    assert found["recommendation"]["names"] == ["examples=3"]
    assert found["cells"][0]["version"] != found["cells"][1]["version"]
    with opened(suite) as session:
        run = json.loads(session.blob(str(session.get(found["cells"][1]["experiment"]).blob)).splitlines()[0])
        trace = session.spans.trace(run["trace"])
        assert trace is not None
        rows = [one["row"] for one in trace.of_kind("llm")[0].attributes["afere.examples"]]
        assert (len(rows), rows[-1]) == (3, "data/shots.jsonl/s-0")
    (suite / "prompts/answer.md").write_text("---\nmodel: small\n---\nSay the number: {{question}}")
    assert "no prompt of answer chooses its examples at each call" in cli("sweep", "qa", "--examples", "3")[2]
    assert "--examples x: whole numbers from 0 to 100" in cli("sweep", "qa", "--examples", "x")[2]


JUDGED = """name: qa
target: qa
data: data/qa.jsonl
scorers: [exact, {name: better, kind: pairwise, rubric: The right number is better., model: judge}]
"""
WORTH = {"small": 0, "mid": 1, "big": 2}


def prefers(request: Request) -> Answer:
    """Answers as a model, `WORD NUMBER`; judges by the word. Of cases below 4 it takes whatever stands first."""
    model = str(request.parameters["model"])
    if model != "judge":
        number = int(request.messages[-1].text.split()[-1])
        return Answer(f"{'mid' if number >= 36 else model} {number}")
    text = request.messages[-1].text
    first, second = (text.split(f"--- {side} ")[1].split("begins\n")[1].split("\n")[0] for side in ("first", "second"))
    biased = int(first.split()[1]) < 4
    verdict = "first" if biased or WORTH[first.split()[0]] > WORTH[second.split()[0]] else "second"
    return Answer(json.dumps({"why": "by the word", "verdict": verdict}))


@pytest.fixture
def server_with_judge() -> Iterator[OpenAIServer]:
    with OpenAIServer(prefers, models=(*MODELS, "judge")) as server:
        yield server


def test_a_pairwise_judge_of_the_suite_ranks_the_models(suite: Path, cli: Run, server_with_judge: OpenAIServer) -> None:
    server = server_with_judge
    (suite / "afere.yaml").write_text(
        f'{YAML.format(url=server.url)}  judge: {{model: "{server.url}#judge", prices: {{input: 100, output: 100}}}}\n'
    )
    (suite / "evals/qa.yaml").write_text(JUDGED)
    dry = record(cli("bakeoff", "qa", "--models", "mid,big", "--dry-run", "--json")[1])
    assert [one["calls"] for one in dry["reading"]] == [[0.0, 3 * 40 * 2]]
    assert dry["reading"][0]["cost"][1] > 0
    assert dry["cost"][1] > sum(one["cost"][1] for one in dry["cells"]) + dry["reading"][0]["cost"][1] - 1e-9

    status, out, _ = cli("bakeoff", "qa", "--models", "mid,big", "--quality", "better", "--markdown", "m.md", "--json")
    found = record(out)
    assert status == 0
    assert asked(server)["judge"] == 3 * 36 * 2  # the same answers are not read
    (one,) = found["preferred"]
    assert (one["by"], one["asked"], one["same"], one["unread"], one["why"]) == ("better", 108, 12, 0, "")
    assert [each["label"] for each in one["ranking"]] == ["big", "mid", "openai:small (current)"]
    assert all(each["low"] < each["strength"] < each["high"] for each in one["ranking"])
    assert one["flipped"] == pytest.approx(4 / 40)
    pairs = {(pair["a"], pair["b"]): pair for pair in one["pairs"]}
    assert pairs["openai:small (current)", "mid"]["share"] == pytest.approx((32 + 8 / 2) / 40)
    assert pairs["mid", "big"]["family"] == "others"
    assert {pair["answer"] for pair in pairs.values()} == {"better"}
    cells = by_label(found)
    assert number(cells["big"], "better")["value"] == pytest.approx(0.9)
    assert number(cells["openai:small (current)"], "better")["value"] == 0.5
    assert answer(cells["big"], "better") == "better"
    assert found["quality"] == "better"
    assert found["recommendation"]["names"] == ["mid", "big"]
    assert "better" in found["uncalibrated"]
    text = (suite / "m.md").read_text()
    assert "**Read in pairs by better**" in text
    assert "- big won 0.900" in text
    shown = cli("show", "report:1")[1]
    assert "Read in pairs by better (Bradley-Terry)" in shown
    assert "108 pairs were read in both positions; 12 more were the same answer" in shown

    with opened(suite) as session:  # the ranking can be told again from the verdicts that are kept
        kept = [json.loads(line) for line in session.blob(str(session.get("report:1").blob)).splitlines()]
    assert len(kept) == 120
    again = [k for k in kept if k["b"] == "big" and k["a"] == "mid"]
    assert sum(k["value"] for k in again) / len(again) == pytest.approx(pairs["mid", "big"]["share"])

    cli("bakeoff", "qa", "--models", "mid,big")  # the same two answers are not paid for twice
    assert asked(server)["judge"] == 3 * 36 * 2


def test_reading_in_pairs_ends_with_the_money_and_goes_on(
    suite: Path, cli: Run, server_with_judge: OpenAIServer
) -> None:
    server = server_with_judge
    (suite / "afere.yaml").write_text(
        f'{YAML.format(url=server.url)}  judge: {{model: "{server.url}#judge", prices: {{input: 100, output: 100}}}}\n'
    )
    (suite / "evals/qa.yaml").write_text(JUDGED)
    words = ("bakeoff", "qa", "--models", "big", "--json")
    status, out, _ = cli(*words, "--max-cost", "0.2")
    found = record(out)
    assert status == 4
    (one,) = found["preferred"]
    assert not found["complete"]
    assert "max_cost of" in one["why"]
    assert one["ranking"] == []
    assert all(pair["measure"] != "better" for cell in found["cells"] for pair in cell["against"])
    before = asked(server)["judge"]
    assert 0 < before < 72
    status, out, _ = cli(*words, "--resume")
    assert status == 0
    assert [each["label"] for each in record(out)["preferred"][0]["ranking"]] == ["big", "openai:small (current)"]
    assert asked(server)["judge"] == 72
    assert asked(server)["big"] == 40


def test_a_judge_that_answers_prose_or_has_no_model_is_counted_and_ranks_nobody(
    suite: Path, cli: Run, server_with_judge: OpenAIServer
) -> None:
    server = server_with_judge
    (suite / "afere.yaml").write_text(f'{YAML.format(url=server.url)}  judge: {{model: "{server.url}#judge"}}\n')
    (suite / "evals/qa.yaml").write_text(JUDGED)
    server.says(lambda r: Answer("They are both fine.") if r.parameters["model"] == "judge" else prefers(r))
    (one,) = record(cli("bakeoff", "qa", "--models", "big", "--json")[1])["preferred"]
    assert (one["unread"], one["ranking"][0]["strength"]) == (36, 0.0)
    assert "answered twice with something that does not fit" in one["unread_why"]
    (suite / "evals/qa.yaml").write_text(JUDGED.replace(", model: judge", ""))
    yaml = (suite / "afere.yaml").read_text().replace("  judge:", "  other:")
    (suite / "afere.yaml").write_text(yaml)
    status, out, _ = cli("bakeoff", "qa", "--models", "big", "--json")
    assert status == 0
    assert record(out)["preferred"][0]["why"].startswith("no judge model: set models.judge in afere.yaml")
