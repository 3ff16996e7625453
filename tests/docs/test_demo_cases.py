"""The demo's questions are about the docs as they are: every anchor lies within one passage of them. No model is asked."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from afere.cli.demo.material import handbook
from afere.data import Chunking
from afere.data.chunks import cut
from afere.data.documents import read_document

PROJECT = Path(__file__).resolve().parents[2] / "src" / "afere" / "cli" / "demo" / "project"
NAMES = ("qa", "all", "messy")


def rows(name: str) -> list[dict[str, Any]]:
    text = (PROJECT / "data" / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@cache
def passages() -> list[tuple[str, str]]:
    """(page, text with single spaces) of every passage that the demo's index holds."""
    said = yaml.safe_load((PROJECT / "afere.yaml").read_text(encoding="utf-8"))["indexes"]["handbook"]["chunk"]
    found: list[tuple[str, str]] = []
    for _, page in handbook():
        document = read_document(page.suffix, page.read_bytes(), page.name)
        chunks = cut(document, Chunking(**said))
        found += [(page.name, " ".join(document.text[chunk.start : chunk.end].split())) for chunk in chunks]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_case_is_whole_and_has_an_id_of_its_own(name: str) -> None:
    cases = rows(name)
    assert len({case["id"] for case in cases}) == len(cases) == {"qa": 20, "all": 40, "messy": 20}[name]
    for case in cases:
        assert set(case) == {"id", "input", "expected", "metadata"} and set(case["metadata"]) == {"anchor"}
        assert case["input"]["question"] and case["expected"] and all(case["expected"])


def test_all_begins_with_the_clean_cases_and_messy_asks_for_the_same_facts() -> None:
    clean = rows("qa")
    assert rows("all")[:20] == clean
    for case, messy in zip(clean, rows("messy"), strict=True):
        assert messy["id"] == f"{case['id']}-messy" and messy["input"] != case["input"]
        assert (messy["expected"], messy["metadata"]) == (case["expected"], case["metadata"])


@pytest.mark.parametrize("case", rows("all"), ids=lambda case: case["id"])
def test_an_anchor_lies_within_exactly_one_passage(case: dict[str, Any]) -> None:
    anchor = " ".join(case["metadata"]["anchor"].split())
    pages = [page for page, text in passages() if anchor in text]
    assert len(pages) == 1, f"{anchor!r}: in {pages or 'no passage'}; correct the anchor, or the page"
