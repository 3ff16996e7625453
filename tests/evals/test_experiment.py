"""Experiments as a user makes them: a real store, real rows, plain Python targets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import afere
from afere.base.errors import BadData, BadInput, BadRule, ModelUnreachable, NotFound
from afere.base.project import find_project
from afere.data.place import session_of
from afere.evals import experiment
from afere.models import Settings
from afere.testing import ScriptedModel


def rows(n: int, **more: Callable[[int], object]) -> list[dict[str, object]]:
    return [
        {"id": f"e-{i}", "input": {"question": str(i)}, "expected": str(i), **{k: f(i) for k, f in more.items()}} for i in range(n)
    ]  # fmt: skip


def wrong_below(limit: int) -> Callable[..., str]:
    """A target that is right from row `limit` on."""

    def answer(question: str) -> str:
        return question if int(question) >= limit else "?"

    return answer


def test_an_evaluation_is_kept_with_all_that_made_it(project: Path) -> None:
    made = afere.evaluate(wrong_below(10), rows(40), scorers=["exact", "f1"])
    table = {one.name: one for one in made.table()}
    assert (table["exact"].value, table["exact"].n, table["exact"].missing) == (0.75, 40, 0)
    assert table["exact"].kind == "rate"
    assert made.complete
    again = experiment(made.number)
    assert [one.to_json() for one in again.table()] == [one.to_json() for one in made.table()]
    assert list(again.rows) == list(made.rows)
    roles = {use.role: use.ref for use in made.artifact.uses}
    assert roles["dataset"] == "dataset:rows@1"
    assert roles["scorer exact"] == "scorer:exact@1"
    assert roles["target"].startswith("chain:answer~")
    session = session_of(find_project())
    run = made.rows[0]
    scores = session.find("scores", target=run.trace, name="exact").items
    assert [(one.value, one.by) for one in scores] == [(False, "scorer:exact@1")]
    assert made.output_of(run) == "?"


def test_three_answers_and_a_decision_with_its_evidence(project: Path) -> None:
    made = afere.evaluate(wrong_below(10), rows(100), scorers=["exact"])
    decision = made.gate("exact.mean >= 0.8", "exact.mean >= 0.99", "exact.mean >= 0.88", "errors.sum <= 0")
    says = [(one.answer, one.why) for one in decision.rules]
    assert says[0] == ("pass", "proven >= 0.8")
    assert says[1] == ("fail", "proven < 0.99")
    assert says[2][0] == "open"
    assert says[2][1] == f"open: needs about {decision.rules[2].needs} more"
    assert says[3] == ("pass", "0 is <= 0")
    assert decision.answer == "fail"
    kept = session_of(find_project()).get(decision.ref or "")
    assert [use.ref for use in kept.uses] == [made.ref]
    open_one = decision.rules[2]
    assert open_one.low is not None
    assert open_one.value is not None
    half = open_one.value - open_one.low
    assert open_one.needs == pytest.approx(100 * (half / 0.02) ** 2 - 100, abs=1)


def test_repeats_and_groups_widen_the_interval(project: Path) -> None:
    def sticky(question: str) -> str:
        return question if int(question) % 20 < 10 else "?"

    alone = {one.name: one for one in afere.evaluate(sticky, rows(100), scorers=["exact"]).table()}["exact"]
    repeated = {one.name: one for one in afere.evaluate(sticky, rows(100), scorers=["exact"], repeats=3).table()}[
        "exact"
    ]
    grouped = afere.evaluate(sticky, rows(100, group=lambda i: f"session-{i // 10}"), scorers=["exact"])
    together = {one.name: one for one in grouped.table()}["exact"]
    assert alone.low is not None and alone.high is not None
    assert repeated.low is not None and repeated.high is not None
    assert together.low is not None and together.high is not None
    assert repeated.n == 100
    assert repeated.high - repeated.low >= 0.99 * (alone.high - alone.low)  # three equal answers are not three cases
    assert together.high - together.low > 2.5 * (alone.high - alone.low)  # ten sessions, not a hundred cases


def test_a_comparison_is_paired_by_case(project: Path) -> None:
    before = afere.evaluate(wrong_below(30), rows(100), scorers=["exact"])
    after = afere.evaluate(wrong_below(10), rows(100), scorers=["exact"], against=before.ref)
    change = {one.name: one for one in after.table()}["exact"].difference
    assert change is not None
    assert (change.estimate.value, change.wins, change.losses) == (pytest.approx(0.2), 20, 0)
    decision = after.gate(f"exact.mean better than {before.ref}", f"exact.mean not worse than {before.ref} by 5%")
    assert [one.answer for one in decision.rules] == ["pass", "pass"]
    back = before.gate(f"exact.mean not worse than {after.ref}")
    assert back.rules[0].why == "proven worse"
    found = afere.compare(before.number, after.number)
    exact = next(one for one in found.measures if one.name == "exact")
    assert exact.difference is not None
    assert exact.difference.p == pytest.approx(2 * 0.5**20)
    assert [row for row, _, _ in exact.difference.changed] == sorted(f"e-{i}" for i in range(10, 30))


def test_a_crash_of_the_target_is_an_error_and_no_score(project: Path) -> None:
    def brittle(question: str) -> str:
        if int(question) < 4:
            raise ValueError("no")
        return question

    made = afere.evaluate(brittle, rows(40), scorers=["exact"])
    assert made.complete
    decision = made.gate("exact.mean >= 0.5", "errors.mean <= 0.01")
    assert decision.rules[0].answer == "open"
    assert "4 of 40 have no score (the target raised ValueError: no)" in decision.rules[0].why
    assert decision.rules[1].answer == "fail"


def test_what_the_world_broke_is_no_score_and_resumes(project: Path) -> None:
    def shaky(question: str) -> str:
        with Path("calls").open("a") as log:
            log.write(f"{question}\n")
        if Path("down").exists() and int(question) >= 30:
            raise ModelUnreachable("no key")
        return question

    (project / "down").touch()

    first = afere.evaluate(shaky, rows(40), scorers=["exact"])
    assert not first.complete
    assert first.gate("exact.mean >= 0.5").rules[0].why.startswith("open: rows are unfinished")
    with pytest.raises(BadInput, match="not complete"):
        first.accept()
    (project / "down").unlink()
    (project / "calls").unlink()
    second = afere.evaluate(shaky, rows(40), scorers=["exact"], resume=True)
    assert second.complete
    assert sorted((project / "calls").read_text().split(), key=int) == [str(i) for i in range(30, 40)]
    assert {one.name: one for one in second.table()}["exact"].value == 1.0


def test_the_baseline_file_gates_alike_on_a_fresh_store(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = afere.evaluate(wrong_below(5), rows(60), scorers=["exact", "f1"])
    file = before.accept()
    text = file.read_text()
    assert before.accept().read_text() == text
    assert len([line for line in text.splitlines() if line.startswith('    "e-')]) == 60
    rule = "exact.mean not worse than baseline by 0.05"
    after = afere.evaluate(wrong_below(25), rows(60), scorers=["exact", "f1"])
    here = after.gate(rule).rules[0]
    monkeypatch.setenv("AFERE_STORE", str(project / "elsewhere"))
    fresh = afere.evaluate(wrong_below(25), rows(60), scorers=["exact", "f1"])
    assert fresh.number == 1
    there = fresh.gate(rule).rules[0]
    assert (there.answer, there.value, there.low, there.high) == (here.answer, here.value, here.low, here.high)
    assert there.answer == "fail"


def test_a_baseline_on_other_rows_or_scorers_says_so(project: Path) -> None:
    def lenient(output: str) -> bool:
        return True

    afere.evaluate(wrong_below(0), rows(40), scorers=[afere.scorer(lenient, name="own")]).accept()
    rule = "own.mean not worse than baseline by 0.2"
    more = afere.evaluate(wrong_below(0), rows(50), scorers=[afere.scorer(lenient, name="own")])
    ruling = more.gate(rule).rules[0]
    assert (ruling.answer, ruling.n) == ("pass", 40)
    assert "compared on the 40 cases that both have (here 50, baseline 40)" in ruling.why
    edited = [{**row, "expected": "another"} for row in rows(40)]
    other = afere.evaluate(wrong_below(0), edited, scorers=[afere.scorer(lenient, name="own")])
    assert other.gate(rule).rules[0].why.startswith("open: no case has a score in both")

    def strict(output: str) -> bool:
        return output != ""

    changed = afere.evaluate(wrong_below(0), rows(40), scorers=[afere.scorer(strict, name="own")])
    assert "the scorer own is not the one of baseline" in changed.gate(rule).rules[0].why
    (project / "evals" / "answer.baseline.json").write_text("{")
    with pytest.raises(BadInput, match=r"answer.baseline.json: this is no baseline file"):
        changed.gate(rule)


def test_an_alias_means_the_latest_experiment_of_that_version(project: Path) -> None:
    made = afere.evaluate(wrong_below(5), rows(40), scorers=["exact"])
    session = session_of(find_project())
    assert made.results.target is not None
    session.alias("chain:answer@production", made.results.target[0], why="first")

    def answer(question: str) -> str:
        return question

    new = afere.evaluate(answer, rows(40), scorers=["exact"])
    assert new.gate("exact.mean not worse than answer@production by 0.1").rules[0].evidence == (new.ref, made.ref)
    elsewhere = afere.evaluate(answer, rows(30), scorers=["exact"])
    ruling = elsewhere.gate("exact.mean not worse than answer@production by 0.1").rules[0]
    assert ruling.answer == "open"
    assert "has no complete experiment on dataset:rows@2" in ruling.why
    assert "afere eval" in ruling.why


def test_outputs_that_exist_are_scored_without_running_anything(project: Path) -> None:
    given = rows(20, output=lambda i: str(i) if i else None)
    made = afere.evaluate(None, given, scorers=["exact"])
    exact = {one.name: one for one in made.table()}["exact"]
    assert (exact.value, exact.n, exact.missing) == (1.0, 19, 1)
    better = afere.evaluate(None, rows(20, output=lambda i: "?"), scorers=["exact"], against=made.ref)
    change = {one.name: one for one in better.table()}["exact"].difference
    assert change is not None
    assert change.losses == 19


def test_texts_are_shares_and_filters_keep_rows(project: Path) -> None:
    @afere.scorer
    def mood(output: str) -> str:
        return "calm" if int(output) % 4 else "angry"

    tagged = rows(80, tags=lambda i: ["edge"] if i < 40 else [], metadata=lambda i: {"tenant": "a" if i % 2 else "b"})
    made = afere.evaluate(wrong_below(0), tagged, scorers=[mood])
    table = {one.name: one for one in made.table()}
    assert (table["mood.angry"].value, table["mood.calm"].value) == (0.25, 0.75)
    decision = made.gate(
        "mood.angry < 50%", "mood.calm >= 0.1 where tag:edge", "mood.angry <= 0.01 where attr.tenant:a"
    )
    assert [one.answer for one in decision.rules] == ["pass", "pass", "open"]
    assert [one.n for one in decision.rules] == [80, 40, 40]
    with pytest.raises(BadRule, match=r"mood is text. Name one of its values: mood.angry, mood.calm"):
        made.gate("mood.mean >= 0.5")


def test_a_judge_is_cached_labelled_and_part_of_the_experiment(project: Path) -> None:
    (project / "afere.yaml").write_text("project: handbook\nmodels: {judge: 'scripted:judge'}\n")
    model = ScriptedModel("judge", says={"": {"why": "fine", "verdict": "pass"}})
    made = afere.evaluate(wrong_below(0), rows(12), scorers=["faithful"])
    faithful = {one.name: one for one in made.table()}["faithful"]
    assert (faithful.value, faithful.calibrated) == (1.0, False)
    assert "judge faithful" in {use.role for use in made.artifact.uses}
    assert len(model.requests) == 12
    afere.evaluate(wrong_below(0), rows(12), scorers=["faithful"])
    assert len(model.requests) == 12


def test_a_budget_stops_the_judge_and_resume_goes_on(project: Path) -> None:
    (project / "afere.yaml").write_text("project: handbook\nmodels: {judge: 'scripted:dear'}\n")
    dear = Settings(retries=0, prices={"input": 1000, "output": 1000})
    model = ScriptedModel("dear", says={"": {"why": "fine", "verdict": "pass"}}, settings=dear)
    made = afere.evaluate(wrong_below(0), rows(40), scorers=["faithful"], max_cost=0.5, concurrency=1)
    paid = len(model.requests)
    assert not made.complete
    assert 0 < paid < 40
    assert made.cost is not None
    assert made.cost >= 0.5
    whole = afere.evaluate(wrong_below(0), rows(40), scorers=["faithful"], resume=True)
    assert whole.complete
    assert len(model.requests) == 40


def test_a_scorer_with_several_values_has_a_line_for_each(project: Path) -> None:
    @afere.scorer
    def tone(output: str) -> dict[str, object]:
        if output == "7":
            raise ValueError("seven")
        return {"polite": int(output) % 2 == 0, "words": 1.5}

    made = afere.evaluate(wrong_below(0), rows(40), scorers=["exact", tone])
    table = {one.name: one for one in made.table() if one.name != "seconds"}
    assert set(table) == {"exact", "tone.polite", "tone.words", "tone"}
    assert (table["tone.polite"].n, table["tone.polite"].missing) == (39, 1)
    assert "raised ValueError: seven" in table["tone.polite"].why
    assert made.gate("tone.polite >= 0.3", "tone.words.mean >= 1").answer == "pass"


def test_where_lower_is_better_a_rise_is_worse(project: Path) -> None:
    @afere.scorer(better="lower")
    def length(output: str) -> int:
        return len(output)

    def answer(question: str) -> str:
        return question * (3 if Path("long").exists() else 1)

    made = afere.evaluate(answer, rows(40), scorers=[length])
    made.accept()
    (project / "long").touch()
    longer = afere.evaluate(answer, rows(40), scorers=[length], against="baseline")
    change = {one.name: one for one in longer.table()}["length"].difference
    assert change is not None
    assert (change.wins, change.losses) == (0, 40)
    decision = longer.gate(
        "length.mean not worse than baseline by 0.5", "length.mean better than baseline", "errors.sum <= 0"
    )
    assert [one.why for one in decision.rules] == ["proven worse", "proven not better", "0 is <= 0"]
    with pytest.raises(NotFound, match="cannot be compared with 99"):
        longer.table(against="99")


def test_bad_input_is_named(project: Path) -> None:
    with pytest.raises(BadData, match="empty"):
        afere.evaluate(wrong_below(0), [], scorers=["exact"])
    with pytest.raises(NotFound, match="Did you mean 'exact'"):
        afere.evaluate(wrong_below(0), rows(3), scorers=["exat"])
    with pytest.raises(BadInput, match="Two scorers are called 'exact'"):
        afere.evaluate(wrong_below(0), rows(3), scorers=["exact", "exact"])
    with pytest.raises(NotFound, match="no target called 'qaa'"):
        afere.evaluate("qaa", rows(3), scorers=["exact"])
    made = afere.evaluate(wrong_below(0), rows(3), scorers=["exact"])
    for rule, says in (
        ("exat.mean >= 1", "Did you mean 'exact'"),
        ("seconds.sum not worse than baseline by 1", "so it is not compared"),
        ("seconds.mean <= 5%", "seconds is no rate"),
        ("seconds.mean not worse than baseline", "say how much worse"),
        ("exact.mean >= 0.5 for 3 windows", "alerts on what is live"),
        ("exact.mean >= 0.5 where tga:x", "Did you mean tag"),
    ):
        with pytest.raises(BadRule, match=says):
            made.gate(rule)
    assert made.gate("exact.mean >= 0.1").rules[0].why == "open: needs about 7 more"
    with pytest.raises(BadInput, match="has no rules"):
        made.gate()


def test_it_draws_itself_without_running_what_it_shows(project: Path) -> None:
    @afere.scorer
    def kind(output: str) -> str:
        return "<script>alert(1)</script>"

    made = afere.evaluate(wrong_below(0), rows(12), scorers=[kind])
    assert "<script>" not in made._repr_html_()
    value: Any = json.loads(json.dumps(made.to_json()))
    assert value["measures"][0]["name"] == "kind.<script>alert(1)</script>"


def test_rows_that_do_not_fit_the_target_are_told_counted_and_left_out(project: Path) -> None:
    lines = [{"id": f"r{i}", "input": {"q": str(i)}, "expected": str(i)} for i in range(20)]
    lines[3]["input"] = {"q": "3", "z": 1}
    lines[7]["input"] = {"qq": "7"}
    (project / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)))
    asked: list[str] = []

    def same(q: str) -> str:
        asked.append(q)
        return q

    made = afere.evaluate(same, "rows.jsonl", scorers=["exact"])
    assert made.complete
    assert len(asked) == 18
    table = {one.name: one for one in made.table()}
    assert (table["exact"].value, table["exact"].n, table["exact"].missing) == (1.0, 18, 2)
    why = {run.row: run.scores["exact"][1] for run in made.results.runs}
    assert why["r3"] == "rows.jsonl:4: row r3: the target takes q, but the row's input also has 'z'."
    assert why["r7"].startswith("rows.jsonl:8: row r7: the target takes q, but the row's input has 'qq', and no 'q'.")
    assert (made.content["unfit"], made.content["errors"]) == (2, 0)
