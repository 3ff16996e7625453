"""System prompts that only traces show, as other tools bring them, are audited as prompts with versions."""

from __future__ import annotations

from pathlib import Path

from worlds import DAY, NOW, World, at

from afere.base.project import find_project
from afere.base.span import Span
from afere.govern.debt.facts import Facts, read_facts

BASE = "You are the assistant of a hotel desk.\nAnswer in at most two sentences, politely.\nNever mention the price of a room."
CLASH = f"{BASE}\nAlways mention the price of a room."


def told(world: World, texts: list[tuple[int, str]], *, agent: str = "desk", model: str = "gpt-4.1-mini") -> None:
    """A model call a text, so many days before now."""
    spans = [
        Span(
            trace_id=f"{abs(hash(agent)) % 10**8:08d}{number:024d}", span_id=f"{number + 1:016x}", parent_id=None,
            name="chat", kind="llm", start=NOW - days * DAY, end=NOW - days * DAY + 10**9, status="ok",
            attributes={"gen_ai.agent.name": agent} if agent else {}, model=model, input_tokens=50, output_tokens=5,
            input_messages=[{"role": "system", "text": text}, {"role": "user", "text": "Hello"}],
        )
        for number, (days, text) in enumerate(texts)
    ]  # fmt: skip
    with world.session() as session:
        session.spans.write(spans)


def facts(world: World) -> Facts:
    with world.session() as session:
        return read_facts(session, find_project(world.root), as_of=NOW)


def test_each_text_is_a_version_since_its_first_call_and_its_debt_is_found(tmp_path: Path) -> None:
    world = World(tmp_path)
    told(world, [(40, BASE), (30, BASE), (20, CLASH), (10, CLASH)])
    (prompt,) = facts(world).prompts
    assert [(one.number, one.text) for one in prompt.versions] == [(1, BASE), (2, CLASH)]
    assert (prompt.name, prompt.model, prompt.versions[1].at[:10]) == ("desk", "gpt-4.1-mini", "2026-11-03")
    found = [one for one in world.audit().findings if one.rule == "prompt.contradiction"]
    assert [one.place for one in found] == ["system prompt of desk, line 4"]
    assert found[0].cost.calls == 4
    assert found[0].since is not None and found[0].since[:10] == "2026-11-03"
    assert not [one for one in world.audit().findings if one.rule in ("prompt.unowned", "prompt.dead-variable")]


def test_dates_and_names_that_change_from_call_to_call_are_no_versions(tmp_path: Path) -> None:
    world = World(tmp_path)
    names = ("Ana", "Bruno", "Carla", "Davi", "Eva")
    told(world, [(9 - n, f"{BASE}\nToday is {n + 1} March 2025, 10:{n}0. You speak with {name} ."
                 ) for n, name in enumerate(names)])  # fmt: skip
    (prompt,) = facts(world).prompts
    assert len(prompt.versions) == 1
    assert "speak with {{ value }} ." in prompt.text
    assert not [one for one in world.audit().findings if one.rule == "prompt.stale"]


def test_a_date_that_stays_is_stale_and_two_wordings_are_two_versions(tmp_path: Path) -> None:
    world = World(tmp_path)
    old = f"{BASE}\nThe spring offer is valid until 31 March 2025."
    told(world, [(9, old), (8, old), (7, old.replace("two sentences", "one sentence")), (6, old)])
    (prompt,) = facts(world).prompts
    assert len(prompt.versions) == 2
    assert [one.place for one in world.audit().findings if one.rule == "prompt.stale"] == [
        "system prompt of desk, line 4"
    ]


def test_documents_filled_into_it_are_not_its_instructions(tmp_path: Path) -> None:
    world = World(tmp_path)
    passages = [f"Passage {'x' * n}: never do {n} things. " * n + "\nAlways do them." * (n % 3) for n in range(1, 9)]
    told(world, [(9, f"{BASE}\n\n{passage}\n\nCite the passage.") for passage in passages])
    (prompt,) = facts(world).prompts
    assert [line for line in prompt.text.split("\n") if line] == [*BASE.split("\n"), "Cite the passage."]


def test_calls_that_name_their_prompt_and_short_or_missing_texts_are_left_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    told(world, [(9, "Be brief."), (8, "")])
    assert facts(world).prompts == []
    with world.session() as session, at(NOW - DAY):
        session.put("prompt", "desk", {"template": "Hello"})
    told(world, [(5, BASE)])
    assert sorted(one.name for one in facts(world).prompts) == ["desk", "desk (traces)"]


def test_texts_beyond_those_that_are_read_are_counted_and_told(tmp_path: Path, monkeypatch) -> None:
    from afere.govern.debt import seen

    monkeypatch.setattr(seen, "_READ", 3)
    world = World(tmp_path)
    told(
        world,
        [
            (9 - number, f"{BASE} Ask {name} if in doubt.")
            for number, name in enumerate(["Ana", "Rui", "Eva", "Ivo", "Ivo"])
        ],
    )
    (problem,) = [one for one in facts(world).problems if one.startswith("traces: ")]
    assert problem.startswith(
        "traces: 1 different system prompts of 2 model calls were not looked at: 3 texts are read"
    )
    assert "gen_ai.prompt.name" in problem


def test_where_all_texts_are_read_nothing_is_told(tmp_path: Path) -> None:
    world = World(tmp_path)
    told(world, [(3, BASE), (2, CLASH)])
    assert not [one for one in facts(world).problems if one.startswith("traces: ")]
