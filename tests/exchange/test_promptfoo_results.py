"""What promptfoo 0.121 kept of an evaluation, compared fact by fact. See tools/record_exports/promptfoo.yaml."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import afere
from afere.store import Session

Bring = Callable[..., dict[str, Any]]
FILE = Path(__file__).parent / "exports" / "promptfoo-0.121.json"


@pytest.mark.parametrize("form", ["file", "database"])
def test_promptfoo_brings_prompts_tests_answers_and_scores(
    form: str, here: Session, bring: Bring, unpacked: Callable[[str], Path]
) -> None:
    report = bring("promptfoo", FILE if form == "file" else unpacked("promptfoo-0.121.db"))
    assert report["counts"] == {"prompts": 2, "spans": 4, "traces": 4, "scores": 10, "datasets": 1, "rows": 2}
    assert (report["there"], report["problems"]) == (0, [])
    found = {json.dumps(one.input): one for one in here.spans.find("").items}
    plain = found['"Answer: How much notice?"']
    assert (plain.name, plain.model, plain.output, plain.environment, plain.status) == (
        "notice", "echo", "Answer: How much notice?", "evaluation", "ok",
    )  # fmt: skip
    whole = here.spans.trace(next(one for key, one in found.items() if "kind" in key and "Holidays" in key).trace_id)
    assert whole is not None and [one["role"] for one in whole.root.input_messages if isinstance(one, dict)] == [
        "system", "user",
    ]  # fmt: skip
    scores = {(one.name, one.value, one.by) for one in here.find("scores", target=plain.trace_id).items}
    assert scores == {
        ("passed", False, "scorer:promptfoo"), ("contains", 1.0, "scorer:promptfoo"), ("exact", 0.0, "scorer:promptfoo"),
    }  # fmt: skip
    said = afere.prompt("prompt:chatty@1", model="scripted:none").render(question="Why?")
    assert [(one.role, one.text) for one in said] == [("system", "You are kind."), ("user", "Why?")]
    assert afere.prompt("prompt:notice-1@1", model="scripted:none").render(question="Why?")[0].text == "Answer: Why?"
    rows = {row.input["question"]: row for row in afere.dataset("dataset:notice").rows}
    assert (rows["How much notice?"].expected, rows["How much notice?"].metadata) == ("nope", {"team": "hr"})
    again = bring("promptfoo", FILE)
    assert again["there"] == 6 and here.spans.requests() == 4 and len(here.find("scores").items) == 10


def test_errors_are_no_scores_and_what_is_broken_is_named(here: Session, bring: Bring, project: Path) -> None:
    said = json.loads(FILE.read_text())
    first, second = said["results"]["results"][:2]
    first.update(failureReason=2, error="API error: 503", success=False)
    del second["prompt"]
    folder = project / "results"
    folder.mkdir()
    (folder / "out.json").write_text(json.dumps(said))
    (folder / "half.json").write_text(FILE.read_text()[:500])
    (folder / "other.json").write_text('{"results": {"version": 9}}')
    report = bring("promptfoo", folder)
    assert report["counts"]["spans"] == 3
    failed = here.spans.find("status:error").items
    assert [one.error for one in failed] == ["API error: 503"]
    assert not here.find("scores", target=failed[0].trace_id).items
    assert {one.partition(": ")[0].rpartition("/")[2].partition(":")[0] for one in report["problems"]} == {
        "half.json", "other.json", f"result {second['id']}",
    }  # fmt: skip
