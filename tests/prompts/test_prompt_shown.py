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


def test_another_shape_gets_snippets_written_out(answer, write, run) -> None:
    code, said = run("prompt", "convert", "answer", "--to", "dotprompt")
    assert code == 2 and "snippets" in said  # a loop over them has no equal there
    answer.write_text(
        PROMPT.replace("{% for text in snippets.terms %}[{{ loop.index }}] {{ text }}\n{% endfor %}\n", "")
    )
    code, said = run("prompt", "convert", "answer", "--to", "langfuse")
    assert code == 0 and "Leave lapses in March." in said and "changed snippets" in said
