"""The command and the page of debt: CI, acceptance, an earlier day, broken files, a clean start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest
import traffic
from prompts_dev import PROMPTS, grown
from worlds import DAY, NOW, World, add_prompts

import afere.server.app
import afere.store
from afere.base.clock import rfc3339
from afere.base.errors import BadProject
from afere.base.project import find_project
from afere.base.span import Span
from afere.govern.debt import trend
from afere.server import Server


def afere_debt(root: Path, *words: str) -> tuple[int, str, str]:
    free = {name: value for name, value in os.environ.items() if not name.startswith("AFERE_")}
    said = subprocess.run(
        [sys.executable, "-m", "afere.cli.main", *words],
        cwd=root,
        capture_output=True,
        text=True,
        env=free,
        check=False,
    )
    return said.returncode, said.stdout, said.stderr


def prompt(name: str):
    return next(one for one in PROMPTS if one.name == name)


def test_no_new_debt_passes_and_new_debt_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path = tmp_path / "desk"
    tmp_path.mkdir()
    world = World(tmp_path)
    add_prompts(world, [prompt("orders"), prompt("returns")])
    world.settle()
    status, out, _ = afere_debt(tmp_path, "debt", "--json", "--as-of", "2026-11-23")
    before = json.loads(out)
    assert status == 0
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "d.md")
    (tmp_path / "d.md").write_text("what another step said\n")
    (tmp_path.parent / ".git").mkdir()  # the project is a folder of its repository
    assert {"score", "debts", "findings", "history", "since_monday"} <= set(before)
    (tmp_path / "debt.json").write_text(out)
    text = (tmp_path / "prompts/orders.md").read_text()
    (tmp_path / "prompts/orders.md").write_text(text.replace("# user", "Write at least 200 words per reply.\n# user"))
    status, out, _ = afere_debt(
        tmp_path,
        "debt",
        "--json",
        "--as-of",
        "2026-11-23",
        "--baseline",
        "debt.json",
        "--sarif",
        "d.sarif",
        "--markdown",
        "d.md",
    )
    assert status == 1
    (new,) = json.loads(out)["new"]
    assert new["rule"] == "prompt.contradiction"
    file, line = new["place"].split(":")
    assert (tmp_path / file).read_text().split("\n")[int(line) - 1] == "Write at least 200 words per reply."
    results = json.loads((tmp_path / "d.sarif").read_text())["runs"][0]["results"]
    spots = [one["locations"][0]["physicalLocation"] for one in results if one["ruleId"] == "prompt.contradiction"]
    assert {"uri": f"{tmp_path.name}/{file}", "uriBaseId": "%SRCROOT%"} in [spot["artifactLocation"] for spot in spots]
    text = (tmp_path / "d.md").read_text()
    assert text.startswith("what another step said\n")
    assert "**1 new**" in text


def test_a_second_finding_of_a_rule_in_the_same_file_is_new(tmp_path: Path) -> None:
    world = World(tmp_path)
    add_prompts(world, [prompt("returns")])
    world.settle()
    (tmp_path / "debt.json").write_text(afere_debt(tmp_path, "debt", "--json", "--as-of", "2026-11-23")[1])
    path = tmp_path / "prompts/returns.md"
    clash = "Never use emojis in the reply.\nOn every topic keep cool.\nEnd every reply with an emoji."
    path.write_text(path.read_text().replace("# user", f"{clash}\n# user").replace("# system\n", "# system\n\n\n"))
    status, out, _ = afere_debt(tmp_path, "debt", "--json", "--as-of", "2026-11-23", "--baseline", "debt.json")
    assert status == 1
    assert ["emoji" in one["why"] for one in json.loads(out)["new"] if one["rule"] == "prompt.contradiction"] == [True]


def test_a_project_that_begins_has_nothing_above_a_note(tmp_path: Path) -> None:
    assert afere_debt(tmp_path, "init", "--model", "openai:gpt-4.1-mini", ".")[0] == 0
    status, out, _ = afere_debt(tmp_path, "debt", "--json")
    assert status == 0
    assert {one["severity"] for one in json.loads(out)["findings"]} <= {"note"}


def test_health_is_not_called_whole_while_a_note_is_open(tmp_path: Path) -> None:
    assert afere_debt(tmp_path, "init", "--model", "openai:gpt-4.1-mini", ".")[0] == 0
    found = json.loads(afere_debt(tmp_path, "debt", "--json")[1])["findings"]
    assert [one["severity"] for one in found] == ["note"]
    out = afere_debt(tmp_path, "debt", "--markdown", "debt.md")[1]
    assert ": 99 of 100" in out
    assert "debt: 99 of 100" in (tmp_path / "debt.md").read_text()


def test_nothing_to_look_at_is_no_good_health(tmp_path: Path) -> None:
    (tmp_path / "afere.yaml").write_text("project: empty\n")
    assert "Nothing to look at yet" in afere_debt(tmp_path, "debt")[1]
    said = json.loads(afere_debt(tmp_path, "debt", "--json")[1])
    assert (said["empty"], len(said["history"])) == (True, 1)
    looked = [said, *said["debts"].values(), *said["history"]]
    assert {one["score"] for one in looked} == {None} == set(said["history"][0]["debts"].values())
    afere_debt(tmp_path, "debt", "--markdown", "debt.md")
    assert "nothing to look at yet" in (tmp_path / "debt.md").read_text()


def test_a_finding_is_accepted_until_a_day(tmp_path: Path) -> None:
    world = World(tmp_path)
    add_prompts(world, [prompt("desk")])
    world.config["debt"] = {
        "accept": [
            {"rule": "prompt.unowned", "place": "prompts/desk.md", "why": "moves in spring", "until": "2026-12-31"}
        ]
    }
    now, later = world.audit(), world.audit(as_of=NOW + 60 * DAY)
    assert [one.rule for one in now.accepted] == ["prompt.unowned"]
    assert not now.findings
    assert [one.rule for one in later.findings] == ["prompt.unowned"]
    assert later.findings[0].action.endswith("(It was accepted until 2026-12-31: moves in spring.)")


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"tools.unusd": {"days": 3}}, "tools.unused"),
        ({"tools.unused": {"dayz": 3}}, "days"),
        ({"tools.unused": {"severity": "bad"}}, "warning"),
        ({"accept": [{"rule": "tools.unused"}]}, "until"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_right(tmp_path: Path, settings: dict[str, object], word: str) -> None:
    world = World(tmp_path)
    world.config["debt"] = settings
    with pytest.raises(BadProject, match=word):
        world.audit()


def test_thresholds_are_the_projects_own(tmp_path: Path) -> None:
    world = World(tmp_path)
    add_prompts(world, [prompt("orders")])
    world.config["debt"] = {"prompt.too-long": {"tokens": 50, "severity": "note"}}
    assert [(one.rule, one.severity) for one in world.audit().findings] == [("prompt.too-long", "note")]


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path)
    add_prompts(world, [prompt("returns")])
    (tmp_path / "prompts/broken.md").write_text("---\nowner: [a\n---\nhello")
    (tmp_path / "prompts/binary.md").write_bytes(bytes(range(256)) * 9)
    (tmp_path / "prompts/huge.md").write_text("word " * 250_000)
    world.write("evals/broken.yaml", "name: [")
    found = world.audit()
    for name in ("broken.md", "binary.md", "huge.md", "evals/broken.yaml"):
        assert any(name in problem for problem in found.problems)
    assert [one.rule for one in found.findings] == ["prompt.contradiction"]


def test_an_earlier_day_is_told_from_what_was_known_then(tmp_path: Path) -> None:
    world = traffic.tool_debt(tmp_path, "dev-en")
    add_prompts(world, grown("en"))
    with world.session() as session:
        now = trend(session, find_project(tmp_path), as_of=NOW, weeks=8)
    then = world.audit(as_of=NOW - 52 * DAY)
    growth = {"prompt.growth", "prompt.append-only"}
    assert growth <= {one.rule for one in now.audit.findings}
    assert not growth & {one.rule for one in then.findings}
    assert all(not one.since or one.since <= rfc3339(NOW - 52 * DAY) for one in then.findings)
    assert len(now.weeks) == 8
    assert now.weeks[0].score > now.audit.score
    assert now.weeks[-1].at == rfc3339(NOW - 8 * 3600 * 10**9)


def test_mending_a_finding_brings_the_points_it_says(tmp_path: Path) -> None:
    world = traffic.tool_debt(tmp_path, "dev-en")
    found = world.audit()
    (debt,) = (one for one in found.debts if one.name == "tools")
    one = next(finding for finding in debt.findings if finding.rule == "tools.failing")
    world.config["debt"] = {"tools.failing": False}
    after = next(other for other in world.audit().debts if other.name == "tools")
    assert after.score == pytest.approx(debt.score + debt.gain(one))


def test_the_page_and_its_json_say_the_same_and_escape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AFERE_STORE", "AFERE_KEY", "AFERE_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    world = World(tmp_path)
    add_prompts(world, [prompt("returns"), prompt("desk")])
    world.write(
        "prompts/nasty.md", '---\nowner: support\ninputs: {"<script>alert(1)</script>": string}\n---\nHello there.\n'
    )
    world.settle()
    with afere.store.open(tmp_path / ".afere", project="shop") as session:
        server = Server(session, port=0)
        threading.Thread(target=server.run, daemon=True).start()
        with urllib.request.urlopen(f"{server.url}/debt") as answer:
            page = answer.read().decode()
        with urllib.request.urlopen(f"{server.url}/debt.json") as answer:
            value = json.load(answer)
        server.stop()
    assert value["findings"]
    assert all(one["rule"] in page for one in value["findings"])
    assert "<script>alert(1)" not in page
    assert f"{len(value['findings'])} findings" in page


def test_what_is_nested_too_deeply_costs_no_audit(tmp_path: Path) -> None:
    world = World(tmp_path)
    add_prompts(world, [prompt("orders")])
    with world.session() as session:
        deep = '{"a":' * 3000 + "1" + "}" * 3000
        session.spans.write([Span("ab" * 16, "cd" * 8, "desk", NOW - DAY, kind="chain", end=NOW - DAY + 1, input=deep)])
    assert not world.audit().empty
