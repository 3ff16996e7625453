"""The record is true: links lead somewhere, every requirement has a row that says how far it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
IDS = [
    f"{letter}{number}"
    for letter, numbers in {
        "A": range(1, 5), "B": range(1, 12), "C": range(1, 8), "D": range(6), "E": range(1, 15), "F": range(1, 11),
        "G": range(1, 6), "H": range(1, 11), "I": range(1, 4), "J": range(1, 7), "K": range(1, 8),
    }.items()
    for number in numbers
]  # fmt: skip


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def links(text: str) -> list[str]:
    outside_code = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", outside_code)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for link in links(page.read_text(encoding="utf-8")):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.relative_to(ROOT)}: {link} leads nowhere"
        if anchor and target.suffix == ".md":  # the names of tests are checked where they are listed
            assert anchor in anchors(target), f"{page.relative_to(ROOT)}: {link}: no such heading"


def test_every_page_of_the_docs_is_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        for link in links(page.read_text(encoding="utf-8")):
            if "://" not in link:
                waiting.append((page.parent / link.partition("#")[0]).resolve())
    missing = [str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md") if page not in seen]
    assert not missing, f"no way leads to: {', '.join(missing)}"


def test_every_requirement_has_a_row_with_its_state_its_page_and_its_test() -> None:
    page = ROOT / "docs" / "features.md"
    rows = re.findall(r"^\| ([A-K]\d+) \|(.+)\|$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [id_ for id_, _ in rows] == IDS
    for id_, rest in rows:
        _what, state, explained, test = (cell.strip() for cell in rest.split("|"))
        assert state in {"works", "partly", "not yet"}, f"{id_}: {state!r}"
        if state != "not yet":
            assert links(explained), f"{id_} names no page"
            assert links(test), f"{id_} names no test"
            for link in links(test):
                path, _, name = link.partition("#")
                text = (page.parent / path).read_text(encoding="utf-8")
                assert not name or f"def {name}" in text, f"{id_}: {link}: no such test"
