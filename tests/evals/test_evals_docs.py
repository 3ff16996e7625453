"""The pages on scorers and suites say what the code does."""

from __future__ import annotations

import doctest
import json
from pathlib import Path

from afere.evals.scorers import SCORERS
from afere.evals.suite import SUITE_SCHEMA

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_examples_on_scorers_are_true(project: Path) -> None:
    text = (DOCS / "reference" / "scorers.md").read_text(encoding="utf-8")
    parser = doctest.DocTestParser()
    plain = text.replace("```python", "").replace("```", "")
    example = parser.get_doctest(plain, {}, "scorers.md", "scorers.md", 0)
    assert len(example.examples) > 10
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example).failed == 0


def test_every_scorer_is_explained() -> None:
    text = (DOCS / "reference" / "scorers.md").read_text(encoding="utf-8")
    assert not [name for name in SCORERS if f"**{name}**" not in text and f"`{name}`" not in text]


def test_the_schema_for_editors_is_the_one_that_checks() -> None:
    assert json.loads((DOCS / "reference" / "suite.schema.json").read_text(encoding="utf-8")) == SUITE_SCHEMA
