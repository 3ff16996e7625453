"""What a prompt shows from data: examples and knowledge snippets, and the life of their rows."""

from __future__ import annotations

import json

import pytest

import afere
from afere.base.errors import BadPrompt
from afere.base.project import find_project
from afere.chains.prompt import load_prompt

PROMPT = """---
owner: support
inputs: {question: string}
snippets:
  terms: data/terms.jsonl
---
# system
Know this:
{{ snippets.terms }}
{% for text in snippets.terms %}[{{ loop.index }}] {{ text }}
{% endfor %}
# user
{{ question }}
"""
TERMS = """{"id": "t-1", "text": "Leave lapses in March.", "owner": "hr"}
{"id": "t-2", "text": "Parcels go out on Friday.", "status": "draft"}
{"id": "t-3", "text": "The shop opens at nine.", "status": "approved", "expires": "2999-01-01"}
{"id": "t-4", "text": "Old.", "status": "retired"}
{"id": "t-5", "text": "Older.", "expires": "2020-01-01", "owner": "ana"}
"""
IN_USE = ["Leave lapses in March.", "The shop opens at nine."]


def loaded(path):
    return load_prompt(path, find_project(path))


@pytest.fixture
def answer(write):
    write("data/terms.jsonl", TERMS)
    return write("prompts/answer.md", PROMPT)


def test_snippets_are_rendered_where_they_are_named_and_are_part_of_the_version(answer, write) -> None:
    prompt = loaded(answer)
    system, user = prompt.render(prompt.values({"question": "{{ snippets.terms }}"}))
    assert system.text == "Know this:\n" + "\n".join([*IN_USE, *(f"[{n}] {text}" for n, text in enumerate(IN_USE, 1))])
    assert user.text == "{{ snippets.terms }}" and prompt.input_names == ("question",)
    made = prompt.put(afere.open(), why="")
    assert made.content["snippets"] == {"terms": IN_USE} and [use.ref for use in made.uses] == ["dataset:terms@1"]
    write("data/terms.jsonl", TERMS.replace("March", "April"))
    assert prompt.changed
    assert loaded(answer).put(afere.open(), why="").version == 2


def test_rows_that_are_not_in_use_change_no_version(answer, write) -> None:
    made = loaded(answer).put(afere.open(), why="")
    write("data/terms.jsonl", TERMS.replace("Old.", "Very old.") + '{"text": "New.", "status": "draft"}\n')
    assert loaded(answer).put(afere.open(), why="").ref == made.ref
    assert afere.open().verify() == []


def test_the_first_expiry_ends_what_was_read(answer, write, monkeypatch) -> None:
    prompt = loaded(answer)
    assert not prompt.changed
    monkeypatch.setattr("time.time", lambda: 32_472_144_000.0)  # 2999-01-01
    assert prompt.changed


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ('{"text": "a", "status": "retierd"}', "data/terms.jsonl:1: status: 'retierd' is none of draft, active, approved, retired. Did you mean 'retired'?"),
        ('{"text": "a", "expires": "soon"}', "expires: 'soon' is not a day such as 2026-12-31"),
        ('{"title": "a"}', "a snippet needs a text"),
        ('{"id": "a", "text": "a"}\n{"id": "a", "text": "b"}', "ids are unique"),
        ("", "the dataset is empty"),
        ("{", "is not JSON"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_shown_is_named(answer, write, rows, said) -> None:
    write("data/terms.jsonl", rows)
    with pytest.raises(BadPrompt) as error:
        loaded(answer)
    assert said in str(error.value) and "answer.md:5: snippets.terms: " in str(error.value)
    assert "?." not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{{ snippets.terms }}", "{{ snippets.trems }}", "answer.md:9: there is no snippet 'trems'. Did you mean 'terms'?"),
        ("question: string", "question: string, snippets: array", "an input cannot be called 'snippets'"),
        ("data/terms.jsonl", "data/none.jsonl", "answer.md:5: snippets.terms: there is no file 'data/none.jsonl'"),
        ("data/terms.jsonl", "terms@7", "answer.md:5: snippets.terms: "),
        ("terms:", "Terms:", "Terms"),
        ("data/terms.jsonl", "[1]", "snippets"),
    ],
)  # fmt: skip
def test_a_snippet_that_is_not_there_is_named_with_its_line(answer, old, new, said) -> None:
    answer.write_text(answer.read_text().replace(old, new, 1))
    with pytest.raises(BadPrompt) as error:
        loaded(answer)
    assert said in str(error.value)


def test_snippets_come_from_a_kept_version_or_stand_in_the_file(answer, write) -> None:
    afere.dataset("data/terms.jsonl")
    for said in ("terms@1", "dataset:terms", json.dumps(IN_USE)):
        answer.write_text(PROMPT.replace("data/terms.jsonl", said))
        assert loaded(answer).put(afere.open(), why="").ref == "prompt:answer@1"
    stored = afere.prompt("answer@1", model="scripted:a")
    assert stored.render(question="x")[0].text.startswith("Know this:\nLeave lapses in March.\n")


def test_lineage_reaches_the_rows_and_back(answer, run) -> None:
    loaded(answer).put(afere.open(), why="")
    up = json.loads(run("lineage", "prompt:answer@1", "--up", "--json")[1])["up"]
    assert {one["ref"] for one in up["items"]} == {"dataset:terms@1", "dataset:terms@1/t-1", "dataset:terms@1/t-3"}
    down = json.loads(run("lineage", "dataset:terms@1/t-1", "--down", "--json")[1])["down"]
    assert [one["ref"] for one in down["items"]] == ["prompt:answer@1"]
    assert json.loads(run("lineage", "dataset:terms@1/t-2", "--down", "--json")[1])["down"]["items"] == []


def test_a_pull_names_the_version_of_the_dataset(answer, write, run) -> None:
    run("prompt", "push")
    write("data/terms.jsonl", TERMS.replace("March", "April"))
    run("prompt", "push")
    write("data/terms.jsonl", TERMS)
    assert run("prompt", "pull", "--theirs", "answer")[0] == 0
    assert '"terms@2"' in answer.read_text() and run("prompt", "status")[0] == 0


def lint(run, *words: str) -> list[tuple[str, str, str]]:
    problems = json.loads(run("prompt", "lint", *words, "--json")[1])["problems"]
    return [(one["rule"], one["severity"], one["place"]) for one in problems]


def test_snippets_are_no_undeclared_input_to_the_debt_audit(answer, run) -> None:
    assert not [
        one for one in json.loads(run("debt", "--json")[1])["findings"] if one["rule"] == "prompt.dead-variable"
    ]


def test_rows_that_are_not_shown_are_told(answer, write, run) -> None:
    assert lint(run) == [("row", "warning", "prompts/answer.md:5")]
    said = run("prompt", "lint")[1]
    assert (
        "3 of 5 rows of data/terms.jsonl are not shown: t-2 (draft), t-4 (retired), t-5 (expired on 2020-01-01, owner ana)."
        in said
    )
    write("data/terms.jsonl", TERMS.replace(', "expires": "2020-01-01"', ', "status": "retired"'))
    assert lint(run) == [("row", "note", "prompts/answer.md:5")] and run("prompt", "lint", "--strict")[0] == 0
    write("data/terms.jsonl", '{"id": "a", "text": "A.", "review": "2020-02-01", "owner": "ana"}\n')
    assert "row a was to be looked at again by 2020-02-01, by ana" in run("prompt", "lint")[1]
    write("data/terms.jsonl", '{"id": "a", "text": "A.", "status": "draft"}\n')
    assert "none of the 1 rows of data/terms.jsonl is in use: a (draft)" in run("prompt", "lint")[1]
    write("data/terms.jsonl", '{"id": "a", "text": "A."}\n')
    answer.write_text(
        PROMPT.replace("{{ snippets.terms }}", "").replace("for text in snippets.terms", "for text in []")
    )
    assert lint(run) == [("unused-snippet", "warning", "prompts/answer.md:5")]


def test_a_dataset_that_has_gone_on_is_told_with_the_rows_and_the_next_step(answer, write, run) -> None:
    run("prompt", "push")
    assert json.loads(run("prompt", "status", "--json")[1])[0]["drift"] == []
    write(
        "data/terms.jsonl",
        '{"id": "t-1", "text": "Leave lapses in April."}\n{"id": "t-6", "text": "New."}\n{"id": "t-3", "text": "x", "status": "retired"}\n',
    )
    (one,) = json.loads(run("prompt", "status", "--json")[1])
    (drift,) = one["drift"]
    assert (drift["changed"], drift["unused"], drift["added"], drift["gone"]) == (
        ["t-1"],
        ["t-3 (retired)"],
        ["t-6"],
        [],
    )
    assert drift["used"] == "dataset:terms@1" and drift["now"] == "data/terms.jsonl"
    said = run("prompt", "status")[1]
    assert "1 changed: t-1; 1 no longer in use: t-3 (retired); 1 new: t-6. Next: look at it: afere diff" in said
    assert ("drift", "note", "prompts/answer.md:5") in lint(run)
    assert run("prompt", "push")[0] == 0 and "drift" not in run("prompt", "lint")[1]
    assert json.loads(run("prompt", "status", "--json")[1])[0]["drift"] == []


def test_a_pinned_version_that_has_gone_on_is_a_warning_and_in_time_a_debt(answer, write, run) -> None:
    afere.dataset("data/terms.jsonl")
    answer.write_text(PROMPT.replace("data/terms.jsonl", "terms@1"))
    run("prompt", "push")
    assert lint(run) == [("row", "warning", "prompts/answer.md:5")]
    write("data/terms.jsonl", TERMS.replace("March", "April"))
    afere.dataset("data/terms.jsonl")
    assert ("drift", "warning", "prompts/answer.md:5") in lint(run)
    assert "write terms@2 under snippets.terms of its file" in run("prompt", "status")[1]

    from datetime import UTC, datetime, timedelta

    def stale(days: int) -> list[str]:
        day = (datetime.now(UTC) + timedelta(days=days)).date().isoformat()
        found = json.loads(run("debt", "--as-of", day, "--all", "--json")[1])["findings"]
        return [one["place"] for one in found if one["rule"] == "prompt.stale"]

    assert stale(0) == [] and stale(40) == ["prompts/answer.md:5"]


def test_another_shape_gets_snippets_written_out(answer, write, run) -> None:
    code, said = run("prompt", "convert", "answer", "--to", "dotprompt")
    assert code == 2 and "snippets" in said  # a loop over them has no equal there
    answer.write_text(
        PROMPT.replace("{% for text in snippets.terms %}[{{ loop.index }}] {{ text }}\n{% endfor %}\n", "")
    )
    code, said = run("prompt", "convert", "answer", "--to", "langfuse")
    assert code == 0 and "Leave lapses in March." in said and "changed snippets" in said
