"""`afere prompt convert`: the prompt shapes of other tools, where they mean the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import afere
from afere.base.errors import BadPrompt
from afere.base.project import find_project
from afere.chains.prompt import load_prompt
from afere.chains.shapes import shaped, write_shape

GITHUB = """name: Answer Well
description: for the desk
model: openai/gpt-4o-mini
modelParameters:
  temperature: 0.5
messages:
  - role: system
    content: Be brief.
  - role: user
    content: "Q: {{question}}"
testData: [{question: x}]
"""


def test_a_prompt_of_each_shape_comes_back_the_same_and_runs(run, write, project) -> None:
    write("in.prompt.yml", GITHUB)
    code, said = run("prompt", "convert", "in.prompt.yml", "--to", "afere", "--json")
    value = json.loads(said[: said.rindex("}") + 1])
    lost = [one["field"] for one in value["report"] if one["how"] == "lost"]
    assert code == 0 and lost == ["testData"]
    write("prompts/answer.md", value["text"])
    ready = afere.prompt("prompts/answer.md")
    assert [(one.role, one.text) for one in ready.render(question="why?")] == [
        ("system", "Be brief."),
        ("user", "Q: why?"),
    ]
    assert dict(ready.prompt.parameters) == {"temperature": 0.5} and ready.prompt.model == "openai/gpt-4o-mini"
    for shape, name in (("github", "a.prompt.yml"), ("langfuse", "a.json")):
        code, said = run("prompt", "convert", "prompts/answer.md", "--to", shape, "--json")
        there = json.loads(said[: said.rindex("}") + 1])
        assert code == 0
        write(name, there["text"])
        lost = [one["field"] for one in there["report"] if one["how"] == "lost"]
        assert lost == ([] if shape == "github" else ["description"])
        text = value["text"] if shape == "github" else value["text"].replace('description: "for the desk"\n', "")
        assert run("prompt", "convert", name, "--to", "afere") == (0, text)
    write("prompts/plain.md", "# system\nBe brief.\n# user\n{{ q }}")
    there = json.loads(run("prompt", "convert", "prompts/plain.md", "--to", "mlflow")[1])
    assert there["template"][1] == {"role": "user", "content": "{{ q }}"}
    write("prompts/plain.md", "---\nmodel: scripted:m\nparameters: {seed: 1}\n---\n# user\n{{ q }}")
    code, out = run("prompt", "convert", "prompts/plain.md", "--to", "mlflow")
    assert code == 0
    assert "lost    model: name it where the prompt is used" in out
    assert "lost    parameters: name them" in out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"prompt": "{{#each x}}a{{/each}}"}', "'{{#each x}}' has no equal"),
        ('{"prompt": "{{{raw}}}"}', "'{{{raw}}}' has no equal"),
        ('{"template": "{% if x %}a{% endif %}"}', "'{% if x %}' has no equal"),
        ('{"prompt": [{"role": "user", "content": "a\\n# system\\nb"}]}', "which begins a message here"),
        ('{"prompt": [{"role": "placeholder", "name": "history"}]}', "message 1 needs a role"),
        ('{"x": 1}', "none of messages (GitHub)"),
        ("[1]", "a prompt is a mapping"),
        ('{"prompt": "half', "this is not YAML"),
    ],
)
def test_what_has_no_equal_is_refused_by_name(run, write, text, told) -> None:
    write("in.json", text)
    code, said = run("prompt", "convert", "in.json", "--to", "afere")
    assert code == 2 and told in said


def test_what_only_ours_can_say_is_refused_too(run, write) -> None:
    for text, told in (("{{ q | upper }}", "{{ q | upper }}"), ("---\noutput: {type: object}\n---\nx", "output:")):
        write("prompts/a.md", text)
        code, said = run("prompt", "convert", "prompts/a.md", "--to", "github")
        assert code == 2 and told in said


PIECES = st.sampled_from(
    ["Be brief.", " ", "\n", "\n\n", "{{ x }}", "{{ y }}", "é 你 😀", "'", '"', "\\", "#", "- a", "a: b", "$", "%", "}", "{", "<b>", "---",
     "system:", "user:", "# system", "|", ">", "~", "null", "no", "\t", "&amp;", "@", "`"]
)  # fmt: skip
TURNS = st.lists(
    st.tuples(st.sampled_from(["system", "user", "assistant"]), st.lists(PIECES, min_size=1, max_size=7).map("".join)),
    min_size=1, max_size=4,
)  # fmt: skip


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=TURNS, parameters=st.dictionaries(st.sampled_from(["temperature", "max_tokens"]), st.integers(1, 9)))
@pytest.mark.parametrize(
    ("shape", "name"),
    [("github", "there.prompt.yml"), ("prompty", "there.prompty"), ("dotprompt", "there.prompt"), ("langfuse", "there.json"),
     ("mlflow", "there.json"), ("afere", "back.md")],
)  # fmt: skip
def test_whatever_a_prompt_says_it_says_in_each_shape_or_is_refused(
    write, project, shape: str, name: str, turns: list[tuple[str, str]], parameters: dict[str, int]
) -> None:
    body = "".join(f"# {role}\n{text}\n" for role, text in turns)
    write("prompts/here.md", f"---\nmodel: openai:m\nparameters: {json.dumps(parameters)}\n---\n{body}")
    here = find_project()
    try:
        prompt = load_prompt(project / "prompts/here.md", here)
        values = dict.fromkeys(prompt.variables, "<{{ value }}>")
        said = [(one.role, one.text) for one in prompt.render(values)]
        text, _ = write_shape(shaped(project / "prompts/here.md", here), shape)
    except BadPrompt:  # a tenth: no prompt of ours, or nothing that the other shape can say
        return
    path = write(name, text)
    back = write("prompts/back.md", write_shape(shaped(path, here), "afere")[0])
    again = load_prompt(back, here)
    assert [(one.role, one.text) for one in again.render(values)] == said
    if shape != "mlflow":  # which has no place for them
        assert dict(again.parameters) == parameters and again.model is not None and again.model.endswith("m")
