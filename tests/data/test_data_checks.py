"""What is wrong with rows is found, named and counted; what only looks alike is left alone."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

import afere
from afere.cli.main import cli
from afere.data.alike import ALIKE, Join, fields_of, likeness
from afere.data.checks import Check, Shown, check_rows
from afere.data.rows import Row

SAME = [  # by people's judgement the same question
    (
        "How many vacation days can I carry over into next year?",
        "How many vacation days may I carry over to next year?",
    ),
    (
        "How many vacation days can I carry over into next year?",
        "how many vacation days can i cary over into next year",
    ),
    ("Do I need a doctor's note for one sick day?", "Do I need a note from a doctor for one sick day?"),
    (
        "Quantos dias de férias posso levar para o próximo ano?",
        "Quantos dias de ferias posso levar para o proximo ano?",
    ),
    ("Darf ich jede Woche denselben Tisch buchen?", "Darf ich jede Woche den selben Tisch buchen, bitte?"),
    ("Who has to approve travel above 2,000 euros?", "Who has to approve a travel above 2,000 euros?"),
]
OTHER = [  # nearly the same letters, another question
    ("What is the capital of France, in one word please?", "What is the capital of Greece, in one word please?"),
    ("What was the daily meal allowance in Lisbon in 2024?", "What was the daily meal allowance in Lisbon in 2025?"),
    ("Can I work from another country for six weeks?", "Can I not work from another country for six weeks?"),
    ("Is the value of a + b larger than the limit here?", "Is the value of a * b larger than the limit here?"),
    ("May an intern take part in the bonus programme?", "May an intern take part in the pension programme?"),
    ("When does the office open on working days?", "Who approves travel above two thousand euros?"),
]  # fmt: skip


def rows(*said: dict[str, Any]) -> list[Row]:
    return [Row(f"r{i}", **one) for i, one in enumerate(said, 1)]


def of(checks: list[Check], rule: str) -> Check:
    return next(one for one in checks if one.rule == rule)


def found(checks: list[Check], rule: str) -> list[tuple[str, ...]]:
    return [item.rows for item in of(checks, rule).items]


@pytest.mark.parametrize("pair", SAME)
def test_another_wording_of_one_question_is_nearly_the_same(pair: tuple[str, str]) -> None:
    checks = check_rows(rows(*({"input": {"q": text}} for text in pair)))
    assert found(checks, "near-duplicate") == [("r1", "r2")]
    assert of(checks, "duplicate").state == "pass"


@pytest.mark.parametrize("pair", OTHER)
def test_another_question_in_nearly_the_same_letters_is_left_alone(pair: tuple[str, str]) -> None:
    checks = check_rows(rows(*({"input": {"q": text}} for text in pair)))
    assert found(checks, "near-duplicate") == []


def test_every_field_must_be_alike_not_only_the_long_one() -> None:
    passage = "Employees may carry over up to five vacation days into the following year, until the end of March. " * 5
    checks = check_rows(rows(
        {"input": {"context": passage, "q": "Who wrote it?"}}, {"input": {"context": passage, "q": "When is it due?"}},
        {"input": {"context": passage + "Ask them.", "q": "Who wrote it?"}},
    ))  # fmt: skip
    assert found(checks, "near-duplicate") == [("r1", "r3")]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("abcde fgh 12+?", min_size=18, max_size=60), min_size=2, max_size=25))
def test_what_is_reported_is_as_alike_as_it_says(texts: list[str]) -> None:
    values = [fields_of({"q": text}) for text in texts]
    for pair in Join(values).pairs():
        assert ALIKE <= pair.alike == likeness(values[pair.first], values[pair.second]) < 1


def test_planted_pairs_are_found_among_thousands() -> None:
    dice = random.Random(5)
    words = ["".join(dice.choices("abcdefghijklmnoprstuvw", k=dice.randint(3, 9))) for _ in range(4000)]
    common = [1 / (i + 1) for i in range(len(words))]
    texts = [" ".join(dice.choices(words, weights=common, k=12)) for _ in range(3000)]
    planted = set()
    for i in range(60):
        letters = list(texts[i])
        letters.insert(dice.randrange(len(letters)), dice.choice("xyz"))
        planted.add((i, len(texts)))
        texts.append("".join(letters))
    pairs = {(one.first, one.second) for one in Join([fields_of({"q": text}) for text in texts]).pairs()}
    assert planted <= pairs
    assert len(pairs) < 2 * len(planted)


def test_splits_leak_by_the_same_and_by_nearly_the_same_input_and_by_group() -> None:
    checks = check_rows(rows(
        {"input": {"q": "Which floor is the kitchen on?"}, "split": "test"},
        {"input": {"q": "which floor is the  kitchen on"}, "split": "train"},
        {"input": {"q": SAME[0][0]}, "split": "train", "group": "s1"},
        {"input": {"q": SAME[0][1]}, "split": "dev", "group": "s1"},
    ))  # fmt: skip
    leak = of(checks, "leakage")
    assert (leak.state, leak.count) == ("error", 2)
    assert [(item.rows, item.alike == 1) for item in leak.items] == [(("r1", "r2"), True), (("r3", "r4"), False)]
    assert "train and dev" in leak.items[1].says
    assert found(checks, "near-duplicate") == []  # said once, where it is worst
    assert found(checks, "group-leakage") == [("r3", "r4")]
    assert of(check_rows(rows({"input": {"q": "a"}})), "leakage").state == "none"


def test_one_input_with_two_answers_is_an_error_and_with_one_it_is_not() -> None:
    same = {"input": {"q": "Is the gym subsidy taxable?"}}
    checks = check_rows(
        rows({**same, "expected": "Yes"}, {**same, "expected": "yes."}, {**same, "expected": "no"}, same)
    )
    conflict = of(checks, "conflict")
    assert (conflict.state, conflict.items[0].rows) == ("error", ("r1", "r2", "r3"))
    assert of(check_rows(rows({**same, "expected": "Yes"}, {**same, "expected": "yes."})), "conflict").state == "pass"


def test_examples_and_indexes_that_hold_rows_are_named_with_their_place() -> None:
    said = rows(
        {"input": {"question": "Which floor is the kitchen on?"}, "expected": "On the second floor."},
        {"input": {"question": SAME[2][0]}, "expected": "No."},
        {"input": {"question": "May I expense a second monitor this year?"}, "expected": "Yes, up to 250."},
    )
    shown = [
        Shown("prompts/a.md example 1", "which floor is the kitchen on"),
        Shown("prompts/a.md example 2", {"question": SAME[2][1]}),
        Shown("prompts/a.md example 3", "Where is the printer?"),
    ]
    documents = [
        ("docs/faq.md", "# Kitchen\nWhich floor is the *kitchen* on? On the second floor.\n"),
        ("docs/monitors.md", "Often asked: may I expense a second monitor this year? See the policy."),
        ("docs/policy.md", "A second monitor: yes, up to 250."),  # an answer alone is what documents are for
    ]
    checks = check_rows(said, examples=shown, documents=documents)
    example, index = of(checks, "examples"), of(checks, "index")
    assert [(item.rows, item.place) for item in example.items] == [
        (("r1",), "prompts/a.md example 1"), (("r2",), "prompts/a.md example 2"),
    ]  # fmt: skip
    assert example.state == index.state == "error"
    assert [(item.rows, item.place, "expected" in item.says) for item in index.items] == [
        (("r1",), "docs/faq.md", True), (("r3",), "docs/monitors.md", False),
    ]  # fmt: skip


def test_personal_data_is_counted_by_kind_and_not_repeated() -> None:
    checks = check_rows(rows(
        {"input": {"q": "Write to ana.reis@example.org"}}, {"input": {"q": "use AKIAIOSFODNN7EXAMPLE"}, "expected": "ok"},
        {"input": {"q": "nothing here"}},
    ))  # fmt: skip
    personal = of(checks, "personal")
    assert (personal.state, found(checks, "personal")) == ("error", [("r1",), ("r2",)])
    assert "ana.reis" not in json.dumps([one.to_json() for one in checks])


def test_empty_fields_odd_languages_and_lengths_are_named() -> None:
    english = [
        {"input": {"q": f"What is the policy for the {word} that we have in the office?"}, "expected": "x"}
        for word in [
            "kitchen",
            "garden",
            "printer",
            "monitor",
            "desk",
            "chair",
            "phone",
            "badge",
            "locker",
            "gym",
            "bike",
            "car",
            "train",
            "plane",
            "tram",
            "bus",
            "taxi",
            "boat",
            "ferry",
            "walk",
            "lift",
        ]
    ]
    checks = check_rows(rows(
        *english, {"input": {"q": "Was muss ich tun, wenn ich krank bin und nicht in das Büro kommen kann?"}, "expected": "x"},
        {"input": {"q": "why " * 3000}, "expected": "x"}, {"input": {"q": " "}, "expected": ""},
    ))  # fmt: skip
    n = len(english)
    assert found(checks, "language") == [(f"r{n + 1}",)]
    assert found(checks, "length") == [(f"r{n + 2}",)]
    assert found(checks, "empty") == [(f"r{n + 3}",)] * 2
    assert of(checks, "empty").state == "error"


def afere_(*words: str) -> Result:
    return CliRunner().invoke(cli, ["dataset", *words], standalone_mode=False)


def test_the_command_names_rows_with_their_lines_and_fails_in_ci(project: Path) -> None:
    (project / "prompts").mkdir(exist_ok=True)
    (project / "prompts/a.md").write_text(
        '---\ninputs: {q: string}\nexamples: [{input: {q: "Which floor is the kitchen on?"}, output: two}]\n---\n{{ q }}\n'
    )
    (project / "qa.jsonl").write_text(
        '{"q": "Which floor is the kitchen on", "expected": "2"}\n{"q": "Where is the gym?", "expected": "1"}\n'
    )
    failed = afere_("check", "qa.jsonl")
    assert failed.return_value == 1
    assert "(qa.jsonl:1): is also prompts/a.md example 1" in failed.output
    said = json.loads(afere_("check", "qa", "--json").output)
    assert said["worst"] == "error"
    assert [one["rule"] for one in said["checks"] if one["state"] == "error"] == ["examples"]
    (project / "prompts/a.md").write_text("{{ q }}\n")
    assert afere_("check", "qa", "--strict").return_value == 0
    afere.dataset([{"q": "Where is the gym?"}, {"q": "where is the gym"}], name="twice")
    assert afere_("check", "twice").return_value == 0
    assert afere_("check", "twice", "--strict").return_value == 1


def test_the_command_says_how_rows_of_another_tool_were_read(project: Path) -> None:
    (project / "ls.jsonl").write_text('{"inputs": {"q": "Where is the gym?"}, "outputs": {"answer": "1"}}\n')
    assert "Say which: shape: mlflow" in str(afere_("check", "ls.jsonl").exception)
    found = afere_("check", "ls.jsonl", "--shape", "langsmith")
    assert found.return_value == 0
    assert "read as LangSmith rows: inputs -> input, outputs.answer -> expected" in found.output
    mine = afere_("check", "ls.jsonl", "--shape", "input=inputs,expected=outputs.answer")
    assert "read as your own rows" in mine.output


def test_several_outputs_of_one_input_are_cases_of_one_group() -> None:
    said = [
        {"input": {"q": "How much notice do I have to give?"}, "output": text} for text in ("Four weeks.", "Six weeks.")
    ]
    apart = of(check_rows(rows(*said)), "duplicate")
    assert apart.state == "note" and apart.items[0].rows == ("r1", "r2") and "group" in apart.action
    checks = check_rows(rows(*({**one, "group": "notice"} for one in said)))
    assert of(checks, "duplicate").state == "pass" and of(checks, "near-duplicate").state == "pass"
    judged = [{**one, "expected": word} for one, word in zip(said, ("right", "wrong"), strict=True)]
    assert of(check_rows(rows(*judged)), "conflict").state == "pass"  # what is expected is of the output
    assert of(check_rows(rows(judged[0], {**judged[0], "expected": "wrong"})), "conflict").state == "error"
    twice = of(check_rows(rows(*said, said[0])), "duplicate")
    assert twice.state == "warning" and twice.items[0].rows == ("r1", "r3")


def test_a_conversation_with_a_wrong_role_is_told_with_its_place() -> None:
    def talk(*messages: object) -> dict[str, Any]:
        return {"input": {"messages": [*messages]}}

    fine = talk(
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Hello?"},
        {"role": "ai", "content": "Yes"},
    )
    wrong = talk({"role": "User", "content": "Hello?"}, {"content": "Yes"}, {"role": "critic", "content": "no"}, "and?")
    team = {"input": {"people": [{"name": "Ana", "role": "owner"}]}}
    checks = check_rows([*rows(fine, wrong, team), Row("short", metadata=talk({"role": 7, "content": "x"})["input"])])
    roles = of(checks, "roles")
    assert (roles.state, [(item.rows, item.says) for item in roles.items]) == ("warning", [
        (("r2",), "input.messages[0]: role 'User'; did you mean 'user'?"), (("r2",), "input.messages[1]: has no role"),
        (("r2",), "input.messages[2]: role 'critic'"),
        (("r2",), "input.messages[3]: is no message; write an object with role and content"),
        (("short",), "messages[0]: has no role"),
    ])  # fmt: skip
    assert of(check_rows(rows(fine)), "roles").state == "pass"
    assert of(check_rows(rows(team)), "roles").state == "none"
