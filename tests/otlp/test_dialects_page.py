"""The reference of dialects says what the maps say, and what is read of the recordings."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_of_dialects_is_as_new_as_the_maps() -> None:
    made = runpy.run_path(str(ROOT / "tools" / "make_dialects.py"))
    page = (ROOT / "docs" / "reference" / "dialects.md").read_text(encoding="utf-8")
    assert page == made["page"](), "run: .venv/bin/python tools/make_dialects.py"
