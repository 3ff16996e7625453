"""`.prompty` and dotprompt, read and written: held against what Microsoft's and Google's own packages make of the same files.

`foreign/dotprompt.json` and `foreign/prompty.json` are what those packages answered; `foreign/record.*` ask them again.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import afere
from afere.base.errors import BadPrompt

HERE = Path(__file__).parent / "foreign"
INPUTS = json.loads((HERE / "inputs.json").read_text())
THERE = {
    name: one
    for tool in ("dotprompt", "prompty")
    for name, one in json.loads((HERE / f"{tool}.json").read_text()).items()
}
CASES = [(name, number) for name in INPUTS for number in range(len(INPUTS[name]))]
MODEL = {"model": "scripted:m"}


def said(prompt: afere.Component, inputs: dict) -> list[list[str]]:
    return [[one.role, one.text] for one in prompt.render(**inputs)]


def expected(name: str, number: int) -> list[list[str]]:
    return [["assistant" if role == "model" else role, text] for role, text in THERE[name]["messages"][number] if text]


@pytest.mark.parametrize(("name", "number"), CASES)
def test_a_file_of_another_tool_says_what_its_own_package_makes_of_it(project, name, number) -> None:
    shutil.copy(HERE / name, project / name)
    prompt = afere.prompt(name, **MODEL)
    assert said(prompt, INPUTS[name][number]) == expected(name, number)


@pytest.mark.parametrize("name", [name for name in INPUTS if name not in ("written.prompt", "written.prompty")])
def test_converted_it_is_the_same_version(run, project, name) -> None:
    shutil.copy(HERE / name, project / name)
    code, out = run("prompt", "convert", name, "--to", "afere", "--json")
    text = json.loads(out[out.index("{\n") : out.rindex("}") + 1])["text"]
    assert code == 0
    (project / "ours.md").write_text(text)
    ours, theirs = afere.prompt("ours.md", **MODEL).prompt, afere.prompt(name, **MODEL).prompt
    assert ours.content == theirs.content
    assert (ours.name, ours.model, ours.parameters) == (theirs.name, theirs.model, theirs.parameters)


@pytest.mark.parametrize("shape", ["prompty", "dotprompt"])
def test_ours_written_for_them_is_what_they_were_shown_and_comes_back(run, project, shape) -> None:
    shutil.copy(HERE / "written.md", project / "written.md")
    name = f"written.{shape.removeprefix('dot')}"
    code, out = run("prompt", "convert", "written.md", "--to", shape, "--json")
    found = json.loads(out[out.index("{\n") : out.rindex("}") + 1])
    assert code == 0
    assert found["text"] == (HERE / name).read_text()  # so what their package made of it holds
    told = {one["field"]: one["how"] for one in found["report"]}
    assert (told["examples"], told["owner"], told["inputs"], told["output"]) == ("changed", "changed", "kept", "kept")
    (project / name).write_text(found["text"])
    for number, inputs in enumerate(INPUTS[name]):
        assert said(afere.prompt("written.md", **MODEL), inputs) == expected(name, number)
        assert said(afere.prompt(name, **MODEL), inputs) == expected(name, number)


def test_schemas_are_what_googles_package_makes_of_picoschema(project) -> None:
    shutil.copy(HERE / "greet.prompt", project / "greet.prompt")
    found = afere.prompt("greet.prompt", **MODEL).prompt
    there = THERE["greet.prompt"]
    assert found.output == there["output"]
    for name, schema in there["input"]["properties"].items():
        assert {key: one for key, one in (found.inputs or {})[name].items() if key != "default"} == schema
    assert found.parameters == {"temperature": 0.7, "top_k": 20, "max_tokens": 200, "stop": ["STOP"]}
    assert (found.name, found.tools) == ("greeting", ("timeOfDay",))


def test_a_prompty_file_keeps_its_fields_and_tells_what_it_leaves_out(run, project) -> None:
    shutil.copy(HERE / "basic.prompty", project / "basic.prompty")
    found = afere.prompt("basic.prompty", **MODEL).prompt
    assert found.parameters == {
        "temperature": 0.2, "max_tokens": 300, "top_p": 0.9, "stop": ["STOP"], "logprobs": True
    }  # fmt: skip
    assert (found.name, found.model, found.description) == ("basic-prompt", "openai:gpt-4o-mini", "Answers a customer")
    assert found.output == {
        "type": "object",
        "properties": {"answer": {"type": "string", "description": "in one sentence"}, "sure": {"type": "number"}},
        "required": ["answer"],
        "additionalProperties": False,
    }
    code, out = run("prompt", "convert", "basic.prompty", "--to", "afere")
    assert code == 0
    assert "lost    model.connection: addresses and keys belong under models: of afere.yaml" in out
    assert "lost    metadata" in out


OLD = """---
name: Old
description: of the first version
version: "1.0"
model:
  api: chat
  configuration: {type: azure_openai, azure_deployment: gpt-35-turbo, api_key: "${env:KEY}"}
  parameters: {temperature: 0.7, max_tokens: 500}
inputs:
  firstName: {type: string, sample: Jane}
  lastName: Doe
sample: {question: "What?"}
---
system:
Be kind.

user:
{{firstName}} {{lastName}}: {{question}}
"""


def test_a_prompty_file_of_the_first_version_is_read(project) -> None:
    (project / "old.prompty").write_text(OLD)
    found = afere.prompt("old.prompty", **MODEL)
    assert found.prompt.model == "azure_openai:gpt-35-turbo"
    assert found.prompt.parameters == {"temperature": 0.7, "max_tokens": 500}
    assert said(found, {"firstName": "A", "lastName": "B", "question": "C"})[1] == ["user", "A B: C"]


def test_an_input_that_a_prompty_file_does_not_declare_is_told(run, project) -> None:
    (project / "old.prompty").write_text(OLD.replace("{{question}}", "{{question}} {{country}}"))
    code, out = run("prompt", "convert", "old.prompty", "--to", "afere")
    assert code == 0
    (project / "prompts").mkdir(exist_ok=True)
    (project / "old.prompty").rename(project / "prompts/old.prompty")
    assert run("prompt", "convert", "old", "--to", "afere") == (0, out)  # by its name
    assert "lost    inputs.country: the template uses it, and the file does not declare it" in out
    with pytest.raises(BadPrompt, match="'country' is not among the inputs"):
        afere.prompt("prompts/old.prompty", **MODEL)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.prompt", "one\n{{> part}}", "a.prompt:2: '{{> part}}' has no equal"),
        ("a.prompt", "{{shout name}}", "'{{shout name}}' has no equal"),
        ("a.prompt", "{{#shout}}x{{/shout}}", "'{{#shout}}' has no equal"),
        ("a.prompt", "{{#each xs}}{{@key}}{{/each}}", "'{{@key}}' has no equal"),
        ("a.prompt", "{{#each xs}}{{role \"user\"}}{{/each}}", "a message cannot begin within {{#each}}"),
        ("a.prompt", "{{#if a}}x", "a.prompt:1: {{#if}} is never closed"),
        ("a.prompt", "x\n{{/if}}", "a.prompt:2: {{/if}} closes no block"),
        ("a.prompt", "{{#if a}}x{{/each}}", "{{#if}} is open"),
        ("a.prompt", "{{else}}", "stands in no block"),
        ("a.prompt", "{{ ../a }}", "leads out of the template"),
        ("a.prompt", "{{this}}", "all inputs at once"),
        ("a.prompt", "{{role \"king\"}}x", "there is no role 'king'"),
        ("a.prompt", "a {{b", "'{{b' is not a tag"),
        ("a.prompt", "{{(lookup a b)}}", "has no equal"),
        ("a.prompt", "{{{{raw}}}}x{{{{/raw}}}}", "a.prompt:1"),
        ("a.prompt", "{{loop}}", "'loop' cannot be a variable"),
        ("a.prompt", "say\n# user\n{{x}}", "begins a message here"),
        ("a.prompt", "{{history}}{{a}}", "{{history}}: earlier turns"),
        ("a.prompt", '{{media url=a}}', "{{media url=a}}: pictures"),
        ("a.prompt", "---\ninput:\n  schema: MySchema\n---\nx", "a.prompt:2: input.schema: the schema 'MySchema' is one"),
        ("a.prompt", "---\noutput:\n  schema:\n    a(list): string\n---\nx", "'list' does not stand in brackets"),
        ("a.prompt", "---\ninput: [\n---\nx", "this is not YAML"),
        ("a.prompty", "---\nname: a\n", "the front matter is never closed"),
        ("a.prompty", "---\nmodel: {apiType: embedding}\n---\nuser:\nx", "the API 'embedding'"),
        ("a.prompty", "---\ntemplate: {format: {kind: liquid}}\n---\nuser:\nx", "templates in 'liquid'"),
        ("a.prompty", "---\ninputs: [{name: h, kind: thread}]\n---\nuser:\nx", "inputs.h: a thread"),
        ("a.prompty", "---\nname: a\n---\nuser:\n{% if x %}\nassistant:\ny\n{% endif %}", "must close within its role"),
        ("a.prompty", "---\ntemplate: {format: {kind: mustache}}\n---\nuser:\n{{#x}}y{{/x}}", "'{{#x}}' has no equal"),
        ("a.prompty", "---\nname: a\n---\nuser:\n{{ x", "a.prompty:1: '{{ x' is never closed"),
    ],
)  # fmt: skip
def test_what_has_no_equal_is_refused_by_name_and_line(project, name: str, text: str, told: str) -> None:
    (project / name).write_text(text)
    with pytest.raises(BadPrompt) as refused:
        afere.prompt(name, **MODEL)
    assert told in str(refused.value).replace(f"{project}/", "")


@pytest.mark.parametrize(
    ("text", "shape", "told"),
    [
        ("x\n{{ q | upper }}", "dotprompt", "a.md:2: '{{ q | upper }}' has no equal in Handlebars"),
        ("{% for p in ps %}{{ loop.index }}{% endfor %}", "dotprompt", "'{{ loop.index }}' has no equal"),
        ("{% set x = 1 %}{{ q }}", "dotprompt", "'{% set x = 1 %}' has no equal"),
        ("{% raw %}{{ q }}{% endraw %}", "dotprompt", "has no equal"),
        ("assistant:\n{{ q }}", "prompty", "the line 'assistant:' would begin a message"),
        ("---\noutput: {type: string}\n---\n{{ q }}", "prompty", "output:"),
        ('{% include "b.md" %}', "prompty", "{% include %} has no equal"),
    ],
)
def test_what_only_ours_can_say_is_refused(run, write, text: str, shape: str, told: str) -> None:
    write("b.md", "b")
    write("a.md", text)
    code, out = run("prompt", "convert", "a.md", "--to", shape)
    assert code == 2
    assert told in out


def test_a_github_prompt_file_loads_as_it_is_and_is_tested(run, write, project) -> None:
    write("prompts/answer.prompt.yml", "messages:\n  - {role: user, content: 'Q: {{question}}'}\n")
    assert said(afere.prompt("prompts/answer.prompt.yml", **MODEL), {"question": "x"}) == [["user", "Q: x"]]
    write("prompts/answer.test.yaml", "tests:\n  - {name: t, inputs: {question: x}, equals: 'Q: x'}\n")
    assert run("prompt", "test")[0] == 0


BITS = st.sampled_from(
    ["a", " ", "\n", "  ", "{{x}}", "{{#if x}}", "{{else}}", "{{/if}}", "{{#each xs}}", "{{this}}", "{{/each}}", "{{~x~}}", "{{!c}}",
     "{%", "{#", "\\", "\\{{", "}}", "{{", "{{../x}}", "{{@index}}", '{{role "system"}}', "# user", "```"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(BITS, max_size=14))
def test_any_text_is_read_or_refused(tmp_path_factory, bits: list[str]) -> None:
    from afere.base.project import find_project
    from afere.chains.prompt import load_prompt

    path = tmp_path_factory.mktemp("any") / "a.prompt"
    path.write_text("".join(bits))
    try:
        prompt = load_prompt(path, find_project(path.parent))
    except BadPrompt:
        return
    for values in ({"x": "X", "xs": ["1", "2"]}, {"x": "", "xs": []}):
        try:
            prompt.render({key: one for key, one in values.items() if key in prompt.input_names})
        except BadPrompt as problem:  # an item of `xs` is text: a name looked up in it is refused as any missing one
            assert re.search(r"is empty|\bitem\d*\.\w+ is not defined", str(problem))
