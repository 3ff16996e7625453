"""Labels: made in files, kept as audited scores, and compared with each other and with judges."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import afere
import afere.store
from afere.base.errors import BadData, BadInput, NotFound
from afere.cli.labels import labels as command
from afere.evals import Experiment, experiment
from afere.evals.labelling.agreeing import agreed, agreements
from afere.evals.labelling.labels import Labels, Sheet
from afere.evals.labelling.sheets import read, write
from afere.testing import ScriptedModel

STYLE = {
    "name": "style",
    "kind": "human",
    "rubric": "polite and brief",
    "scale": ["rude", "dry", "warm"],
    "points": [0, 0.5, 1],
}
POLITE = {"name": "polite", "kind": "judge", "rubric": "Is it polite?", "model": "scripted:judge"}


def _evaluated(n: int = 20, scorers: tuple[object, ...] = (POLITE, STYLE)) -> Experiment:
    """The judge says that the first half of the outputs is polite."""

    def verdict(request: object) -> object:
        text = request.messages[1].text  # type: ignore[attr-defined]
        return {"why": "so", "verdict": "pass" if "kind" in text else "fail"}

    ScriptedModel("judge", says=verdict)
    rows = [{"id": f"r{i}", "input": {"q": f"={i}"}, "output": "kind" if i < n / 2 else "@rude"} for i in range(n)]
    return afere.evaluate(None, rows, scorers=list(scorers))


def _labelled(done: Experiment, who: str, name: str, words: dict[str, object]) -> None:
    labels = Labels(done)
    for key, value in words.items():
        labels.put(name, key, value, by=f"person:{who}")  # type: ignore[arg-type]


def test_a_judge_is_uncalibrated_until_people_scored_the_same_items(project: Path) -> None:
    done = _evaluated()
    assert {line.name: line.calibrated for line in done.table()}["polite"] is False
    assert agreements(Labels(done)) == []
    _labelled(done, "ana", "polite", {f"r{i}": i < 8 for i in range(16)})
    again = experiment(done.ref)
    assert {line.name: line.calibrated for line in again.table()}["polite"] is True
    found = agreed(Labels(again), Labels(again).sheet("polite"))
    assert (found.labels, found.of, found.people) == (16, 20, {"person:ana": 16})
    assert found.judge is not None
    # the judge says pass of r0 to r9, ana of r0 to r7: of 16 they differ on two
    assert found.judge.kappa.raw == 14 / 16
    assert found.judge.kappa.value == pytest.approx((14 / 16 - 0.5) / 0.5)
    assert found.judge.kappa.by_label == {"fail": pytest.approx(12 / 14), "pass": pytest.approx(16 / 18)}
    assert found.corrected is not None
    assert found.corrected.estimate.low is not None
    assert found.corrected.estimate.value == pytest.approx(0.4, abs=0.06)  # not the judge's 0.5
    assert not found.decides
    # the next evaluation by the same judge is of a calibrated judge; another rubric is another judge
    later = _evaluated()
    assert {line.name: line.calibrated for line in later.table()}["polite"] is True
    other = _evaluated(scorers=({**POLITE, "rubric": "Is it very polite?"},))
    assert {line.name: line.calibrated for line in other.table()}["polite"] is False


def test_two_people_are_compared_as_soon_as_they_scored_the_same(project: Path) -> None:
    done = _evaluated()
    _labelled(done, "ana", "style", {f"r{i}": (0.0, 0.5, 1.0)[i % 3] for i in range(12)})
    _labelled(done, "ben", "style", {f"r{i}": (0.0, 0.5, 1.0)[(i + (i == 0)) % 3] for i in range(6, 18)})
    found = agreed(Labels(done), Labels(done).sheet())
    assert found.weighted
    assert [(pair.a, pair.b, pair.kappa.n, pair.kappa.value) for pair in found.pairs] == [
        ("person:ana", "person:ben", 6, 1.0)
    ]
    assert found.alpha is not None
    assert found.alpha.value == 1.0
    assert found.judge is None


def test_the_newest_label_counts_and_taking_one_back_is_kept_too(project: Path) -> None:
    done = _evaluated(4)
    labels = Labels(done)
    for value in (True, False):
        labels.put("polite", "r1", value, by="person:ana")
    target = labels.item("r1").target
    assert labels.of("polite")[target]["person:ana"].value is False
    labels.put("polite", "r1", None, by="person:ana")
    assert labels.of("polite") == {}
    session = done.session
    assert len(session.find("scores", name="polite", who="person").items) == 3
    assert session.verify() == []
    assert sum(line.action == "score" for line in session.find("audit", limit=100).items) == 3
    with pytest.raises(BadInput, match="by a person"):
        labels.put("polite", "r1", True, by="judge:polite@1")
    with pytest.raises(NotFound, match="no output 'r9'"):
        labels.put("polite", "r9", True, by="person:ana")


def test_a_sheet_goes_out_and_comes_back(project: Path) -> None:
    done = _evaluated(6)
    sheet = Labels(done).sheet("style")
    assert write(Labels(done), sheet, project / "sheet.csv") == 6
    with (project / "sheet.csv").open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    assert {line["case"] for line in lines} == {f"r{i}" for i in range(6)}
    assert lines[0]["input"].startswith("'=")  # no formula
    assert {line["output"] for line in lines} == {"kind", "'@rude"}
    assert "pass" not in (project / "sheet.csv").read_text(encoding="utf-8-sig")  # what the judge said is not told
    for i, line in enumerate(lines[:4]):
        line["label"] = ("warm", "Dry", "0", "")[i]
        line["why"] = 'größer; "so"\nund mehr'
    with (project / "back.csv").open("w", encoding="utf-8-sig", newline="") as file:
        out = csv.DictWriter(file, list(lines[0]), delimiter=";")
        out.writeheader()
        out.writerows(lines)
    for _ in range(2):  # read again, nothing is said twice
        assert read(Labels(done), sheet, project / "back.csv", "person:ana") == (3, 3)
    kept = done.session.find("scores", name="style", who="person").items
    assert sorted(one.value for one in kept if isinstance(one.value, float)) == [0.0, 0.5, 1.0]
    assert kept[0].why == 'größer; "so"\nund mehr'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("row,label\nr0,pass\nr1,pas\n", r"s.csv:3: polite: 'pas' is no word of its scale: fail, pass"),
        ("case,label\nr77,pass\n", r"s.csv:2: .*no output 'r77'"),
        ("case,score\nr1,pass\n", r"s.csv:1: the columns are case, score"),
        ("", r"s.csv:1: the columns are none"),
        ("case,label,by\nr1,pass,judge:x\n", r"s.csv:2: by is 'judge:x'"),
    ],
)
def test_a_wrong_sheet_is_told_and_keeps_nothing(project: Path, text: str, says: str) -> None:
    done = _evaluated(3)
    (project / "s.csv").write_text(text)
    with pytest.raises(BadData, match=says):
        read(
            Labels(done), Labels(done).sheet("polite"), project / "s.csv", "person:ana" if "judge" not in text else None
        )
    assert not done.session.find("scores", name="polite", who="person").items


def test_labels_on_the_command_line(project: Path) -> None:
    done = _evaluated(8)
    run = CliRunner().invoke
    nobody = run(command, [str(done.number)])
    assert "nobody has labelled anything yet" in nobody.output
    (project / "l.jsonl").write_text("\n".join(json.dumps({"case": f"r{i}", "label": i < 5}) for i in range(8)))
    done_ = run(
        command, ["import", "l.jsonl", "--experiment", str(done.number), "--name", "polite", "--by", "person:ana"]
    )
    assert (done_.exit_code, done_.output) == (0, "8 labels kept on experiment:1\n")
    told = run(command, [done.ref]).output
    assert "polite: 8 of 8 outputs labelled (ana 8)" in told
    assert "judge:polite@1 and people agree on 88% of 8; kappa 0.75" in told
    assert "under 50 labels: shown, not decided" in told
    value = json.loads(run(command, [done.ref, "--json"]).output)
    one = value["items"][0]
    assert (one["name"], one["judge"]["raw"], one["decides"]) == ("polite", 0.875, False)
    assert value["can_be_labelled"] == ["style", "polite"]


def test_a_word_is_read_as_people_write_it() -> None:
    sheet = Sheet("n", "r", ("1", "2", "3"))
    assert [sheet.read(one) for one in ("2", 3, " 1 ", "2.0")] == [2.0, 3.0, 1.0, 2.0]
    assert [Sheet("p", "r").read(one) for one in ("PASS", "no", 1, "true", False)] == [True, False, True, True, False]
    assert Sheet("w", "r", ("rude", "dry", "warm")).read("Dry") == "dry"
    for bad in ("4", "", "none"):
        with pytest.raises(BadInput, match="scale: 1, 2, 3"):
            sheet.read(bad)


def test_what_people_say_fills_the_column_that_only_they_answer(project: Path) -> None:
    done = _evaluated(12)
    assert [line.kind for line in done.table() if line.name == "style"] == ["empty"]
    _labelled(done, "ana", "style", {f"r{i}": 1.0 if i < 6 else 0.0 for i in range(10)})
    _labelled(done, "ben", "style", {f"r{i}": 0.5 for i in range(2)})  # of 1 and 0.5 the lower median is 0.5
    again = experiment(done.ref)
    line = next(line for line in again.table() if line.name == "style")
    assert (line.value, line.n, line.missing) == (pytest.approx((2 * 0.5 + 4) / 10), 10, 2)
    said = next(one for one in again.to_json()["measures"] if one["name"] == "style")  # type: ignore[union-attr,index]
    assert (said["value"], said["n"]) == (line.value, 10)  # type: ignore[index,call-overload]
    assert again.gate("style.mean >= 0.2").rules[0].n == 10
    later = _evaluated(12)
    _labelled(later, "ana", "style", {f"r{i}": 0.0 for i in range(10)})
    change = next(one for one in afere.compare(done.ref, later.ref).measures if one.name == "style").difference
    assert change is not None  # rows that give their outputs are the same items, so the newest label counts for both
    assert change.estimate.value == 0.0


def test_what_people_would_say_tells_how_the_labelled_outputs_came_about(project: Path) -> None:
    done = _evaluated(40)
    labels = Labels(done)
    order = [item.key for item in labels.shuffled]
    _labelled(done, "ana", "polite", {key: int(key[1:]) < 16 for key in order[:20]})
    found = agreed(labels, labels.sheet("polite")).corrected
    assert found is not None
    assert (found.method, found.labels, found.judged, found.sample) == ("PPI++", 20, 20, "random")
    assert found.rests_on == "20 labels and 20 verdicts of the judge (PPI++); labelled in random order"
    _labelled(done, "ana", "polite", {order[-1]: True})  # one that was looked up
    chosen = agreed(labels, labels.sheet("polite")).corrected
    assert chosen is not None
    assert chosen.sample == "chosen"
    assert "NOT taken in random order" in chosen.rests_on
    assert not chosen.decides
    _labelled(done, "ana", "polite", dict.fromkeys(order, True))
    whole = agreed(labels, labels.sheet("polite")).corrected
    assert whole is not None
    assert (whole.sample, whole.judged, whole.estimate.value) == ("all", 0, 1.0)
    assert whole.estimate.low is not None
    assert whole.estimate.low < 0.95  # forty labels that agree are no proof


def test_a_judge_with_known_errors_is_corrected_where_nobody_has_labelled(project: Path) -> None:
    done = _evaluated(40)
    _labelled(done, "ana", "polite", {f"r{i}": i < 24 if i >= 10 else i < 8 for i in range(40)})
    rows = [{"id": f"n{i}", "input": {"q": f"{i}?"}, "output": f"kind {i}"} for i in range(30)]
    ScriptedModel(
        "judge",
        says=lambda request: {"why": "so", "verdict": "pass" if "kind 1" in request.messages[1].text else "fail"},  # type: ignore[attr-defined]
    )
    later = afere.evaluate(None, rows, scorers=[POLITE])
    (found,) = agreements(Labels(later))
    assert (found.labels, found.judge) == (0, None)
    assert found.corrected is not None
    # the judge passed r0 to r19; people passed r0 to r7 and r10 to r23: 18 of 22 hit, 16 of 18 rejected; 11 of 30 pass here
    sensitivity, specificity = 18 / 22, 16 / 18
    assert found.corrected.method == "Rogan-Gladen"
    assert found.corrected.labels == 40
    assert found.corrected.estimate.value == pytest.approx(
        (11 / 30 + specificity - 1) / (sensitivity + specificity - 1)
    )
    assert "errs here as it did there" in found.corrected.rests_on
    assert not agreements(Labels(_evaluated(5, ({**POLITE, "rubric": "Other?"},))))


def test_three_people_have_all_three_coefficients(project: Path) -> None:
    done = _evaluated(10)
    for who, shift in (("ana", 0), ("ben", 0), ("cem", 1)):
        _labelled(done, who, "style", {f"r{i}": (0.0, 0.5, 1.0)[(i + (shift and i % 5 == 0)) % 3] for i in range(10)})
    found = agreed(Labels(done), Labels(done).sheet("style"))
    assert len(found.pairs) == 3
    assert found.fleiss is not None
    assert found.alpha is not None
    said = [[str((0, 0.5, 1)[(i + (s and i % 5 == 0)) % 3]) for s in (0, 0, 1)] for i in range(10)]
    assert found.fleiss.value == pytest.approx(_fleiss_by_hand(said))
    assert set(found.fleiss.by_label) == {"rude", "dry", "warm"}
    told = json.loads(CliRunner().invoke(command, ["1", "--json"]).output)["items"][0]
    assert told["fleiss"]["value"] == found.fleiss.value
    assert "Fleiss' kappa" in CliRunner().invoke(command, ["1"]).output


def _fleiss_by_hand(units: list[list[str]]) -> float:
    labels = sorted({label for unit in units for label in unit})
    agree = sum(sum(unit.count(label) * (unit.count(label) - 1) for label in labels) / 6 for unit in units) / len(units)
    shares = [sum(unit.count(label) for unit in units) / (3 * len(units)) for label in labels]
    chance = sum(share**2 for share in shares)
    return (agree - chance) / (1 - chance)
