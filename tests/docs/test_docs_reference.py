"""The pages of the reference say what the code says: made pages are current, and no key, field or address is left out."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pytest

from afere.base.filter import FIELDS as FILTER_FIELDS
from afere.base.project import PROJECT_SCHEMA
from afere.base.rule import BUILTIN, STATISTICS
from afere.chains.promptschema import PROMPT_SCHEMA
from afere.data.rows import FIELDS as ROW_FIELDS
from afere.evals.suite import SUITE_SCHEMA
from afere.models.catalogue import PROVIDERS
from afere.server.app import ADDRESSES

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
sys.path.insert(0, str(ROOT / "tools"))

import make_reference  # noqa: E402  # pyright: ignore[reportMissingImports] - a tool, not a package


def keys(schema: dict[str, Any]) -> list[str]:
    """The keys of an object's schema, and those of the objects in it that are declared to be whole."""
    found = list(schema["properties"])
    for below in schema["properties"].values():
        values = below.get("additionalProperties")
        for inner in values.get("anyOf", [values]) if isinstance(values, dict) else ():
            found += keys(inner) if "properties" in inner else []
    return found


@pytest.mark.parametrize("name", make_reference.PAGES_MADE)
def test_a_page_made_from_the_code_is_current(name: str) -> None:
    written = (REFERENCE / name).read_text(encoding="utf-8")
    assert written == make_reference.PAGES_MADE[name](), "run: python tools/make_reference.py"


def test_every_public_name_is_explained() -> None:
    shown = {name for _, _, names in make_reference.SECTIONS for name in names}
    assert set(make_reference.public_names()) - set(make_reference.missing_names()) <= shown


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("project.md", keys(cast("dict[str, Any]", PROJECT_SCHEMA))),
        ("suite.md", keys(cast("dict[str, Any]", SUITE_SCHEMA))),
        ("prompt-file.md", keys(cast("dict[str, Any]", PROMPT_SCHEMA))),
        ("rows.md", ROW_FIELDS),
        ("filters.md", FILTER_FIELDS),
        ("rules.md", BUILTIN),
        ("models.md", PROVIDERS),
    ],
)
def test_no_word_of_a_format_is_left_out(page: str, words: Iterable[str]) -> None:
    text = (REFERENCE / page).read_text(encoding="utf-8")
    assert not [word for word in words if not re.search(rf"`[^`\n]*\b{word}\b[^`\n]*`", text)]


def test_every_statistic_and_address_is_named() -> None:
    rules = (REFERENCE / "rules.md").read_text(encoding="utf-8")
    assert not [one for one in STATISTICS if one not in rules]
    addresses = (REFERENCE / "http.md").read_text(encoding="utf-8")
    missing = [one.path for one in ADDRESSES if re.sub(r":(int|path)", "", one.path) not in addresses]
    assert not missing
