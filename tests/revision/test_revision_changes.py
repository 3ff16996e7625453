"""What `changes` says about two revisions, and what the store keeps of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from example import FILES, Job, captured, write

import afere
from afere.base.artifact import Artifact
from afere.base.span import Span
from afere.chains.revision import Change, capture, changes, recorded, with_found
from afere.store import Session


@pytest.fixture
def root(project: Path) -> Path:
    return write(project, FILES)


def revision(root: Path, do: str = "", target: str = "app.chain:qa") -> Artifact:
    (found,) = captured(Job(root, target, do))
    with afere.open(root / ".afere") as session:
        return session.get(f"chain:qa~{found['hash'].removeprefix('sha256:')}")


def compared(root: Path, **edits: tuple[str, str, str]) -> list[Change]:
    """The changes from the project as it is to the one with these edits (file, old, new)."""
    before = revision(root)
    for file, old, new in edits.values():
        text = (root / file).read_text()
        assert old in text
        (root / file).write_text(text.replace(old, new))
    after = revision(root)
    with afere.open(root / ".afere") as session:
        return changes(before, after, session)


def test_an_edit_is_shown_with_its_lines(root: Path) -> None:
    (change,) = compared(root, body=("app/text/clean.py", "text.lower()", "text.casefold()"))
    assert (change.part, change.what) == ("function lower in app/text/clean.py", "changed")
    assert str(change) == (
        "~ function lower in app/text/clean.py\n     def lower(text):\n    -    return text.lower()\n    +    return text.casefold()"
    )


def test_a_constant_says_its_values(root: Path) -> None:
    (change,) = compared(root, limit=("app/config.py", "LIMIT = 4", "LIMIT = 5"))
    assert (change.part, change.detail) == ("constant LIMIT in app/config.py", "4 -> 5")


def test_words_of_a_prompt_its_model_and_its_parameters_are_told_apart(root: Path) -> None:
    words, model = compared(
        root,
        word=("prompts/answer.md", "briefly", "at length"),
        model=("prompts/answer.md", "gpt-x", "gpt-y"),
        heat=("prompts/answer.md", "temperature: 0", "temperature: 0.7"),
    )
    assert words.part == "prompt answer"
    assert "prompt:answer@1 -> prompt:answer@2" in words.detail
    assert "at length" in str(words)
    assert model.part == "model answer"
    assert model.detail == "model openai:gpt-x -> openai:gpt-y; parameters.temperature 0 -> 0.7"


def test_a_name_that_means_something_else_is_said(root: Path) -> None:
    found = compared(root, route=("app/text/__init__.py", "import clean", "import lower as clean"))
    assert found[0].part == "function qa in app/chain.py"
    assert found[0].detail == "name tidy now means function lower in app/text/clean.py"
    removed = {one for change in found for one in (*change.folded, f"{change.what} {change.part}")}
    assert "removed function clean in app/text/clean.py" in removed


def test_what_is_no_longer_used_is_folded_under_the_change_that_did_it(root: Path) -> None:
    (change,) = compared(root, call=("app/chain.py", "helper(question), ", ""))
    assert change.part == "function qa in app/chain.py"
    assert change.folded == ("removed function helper in app/chain.py",)


def test_a_function_that_moved_is_one_line(root: Path) -> None:
    lower = "def lower(text):\n    return text.lower()\n"
    (root / "app/text/small.py").write_text(lower)
    (change,) = compared(root, move=("app/text/clean.py", lower, "from app.text.small import lower\n"))
    assert (change.part, change.what, change.detail) == (
        "function lower in app/text/small.py", "moved", "from app/text/clean.py",
    )  # fmt: skip
    assert change.folded == ("changed function clean in app/text/clean.py",)


def test_the_setting_is_a_second_block(root: Path) -> None:
    before = revision(root)
    (found,) = captured(Job(root, environment={"MODEL": "huge"}))
    assert found["hash"] == before.hash
    with afere.open(root / ".afere") as session:
        names = recorded(before, session).setting["environment"]
        assert isinstance(names, dict)
        assert set(names) == {"APP", "MODEL"} or set(names) == {"MODEL"}
        assert "huge" not in str(names)


def test_the_same_revision_from_other_source_text_keeps_the_newest_source(root: Path) -> None:
    before = revision(root)
    file = root / "app/text/clean.py"
    file.write_text(file.read_text().replace("def lower(text):", "def lower(text):  # small"))
    assert revision(root).hash == before.hash
    with afere.open(root / ".afere") as session:
        assert "# small" in recorded(before, session).sources["function lower in app/text/clean.py"]


def test_a_changed_note_and_a_found_prompt_are_said(root: Path) -> None:
    before = revision(root)
    with afere.open(root / ".afere") as session:
        prompt = session.put("prompt", "extra", {"text": "x"})
        span = Span("0" * 32, "0" * 16, "extra", 0, artifacts=[(prompt.ref, prompt.hash)])
        after = with_found(_qa(root), [span]).put(session)
        found = changes(before, after, session)
    assert [(change.part, change.detail) for change in found if change.what == "added"] == [
        ("found prompt extra", "prompt:extra@1"),
        ("found by running", "prompt extra"),
        ("note", "prompt extra was found by running"),
    ]


def _qa(root: Path):
    """Captured in this process, from a function that has the parts of the example's `qa`."""
    sys.path.insert(0, str(root))
    try:
        from app.chain import qa  # pyright: ignore[reportMissingImports]
    finally:
        sys.path.remove(str(root))
    return capture(qa)


def test_a_revision_uses_the_versions_that_the_store_knows(root: Path) -> None:
    first = revision(root)
    with Session(root / ".afere", "handbook", "person:local") as session:
        assert [use.role for use in first.uses] == ["component answer"]
        assert session.up(first.ref)[0].target == "component:answer@1"
        component = session.get("component:answer@1")
        assert [use.ref for use in component.uses] == ["prompt:answer@1"]
