"""`afere prompt status | pull | push`: a folder, git and a real server."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import afere
from afere.base.project import find_project
from afere.chains.prompt import load_prompt
from afere.govern.promptwriting import file_text

ANSWER = """---
# who is asked when it fails
owner: support
parameters: {temperature: 0}
inputs:
  question: string  # as the customer wrote it
---
# system
Be brief.
# user
{{ question }}
"""
OTHER = {
    "template": "# system\nBe kind.\n# user\n{{ question }}",
    "inputs": {"question": {"type": "string"}},
    "output": None,
}


def states(run) -> dict[str, str]:
    return {one["name"]: one["state"] for one in json.loads(run("prompt", "status", "--json")[1])}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_files_and_registry_come_into_step_both_ways(run, write) -> None:
    path = write("prompts/answer.md", ANSWER)
    assert run("prompt", "status")[0] == 1 and states(run) == {"answer": "new"}
    assert run("prompt", "push", "--why", "first") == (0, "prompts/answer.md -> prompt:answer@1\n")
    assert afere.open().get("prompt:answer@1").why == "first" and run("prompt", "status")[0] == 0

    edit(path, "Be brief.", "Be very brief.")
    assert states(run) == {"answer": "ahead"}
    assert run("prompt", "push") == (0, "prompts/answer.md -> prompt:answer@2\n")

    afere.open().put("prompt", "answer", OTHER, why="kinder")
    afere.open().put("prompt", "sort", {"template": "Sort {{ x }}", "inputs": None, "output": None})
    assert states(run) == {"answer": "behind", "sort": "missing"}
    assert run("prompt", "pull")[0] == 0
    assert path.read_text() == ANSWER.replace("brief", "kind")  # the comments, the owner and the parameters stayed
    assert states(run) == {"answer": "same", "sort": "same"}
    assert run("prompt", "pull") == (0, "Nothing to do.\n")


def test_a_conflict_is_shown_and_waits_for_a_decision(run, write) -> None:
    path = write("prompts/answer.md", ANSWER)
    run("prompt", "push")
    afere.open().put("prompt", "answer", OTHER, why="kinder")
    edit(path, "Be brief.", "Be quick.")
    edited = path.read_text()
    assert states(run) == {"answer": "conflict"}
    for words in (("pull",), ("push",), ("status",)):
        code, said = run("prompt", *words)
        assert code == 1 and "-Be kind." in said and "+Be quick." in said and "--ours answer" in said
        assert path.read_text() == edited and afere.open().get("prompt:answer").version == 2
    value = json.loads(run("prompt", "push", "--json")[1])
    assert value["conflicts"][0]["base"] == 1 and value["conflicts"][0]["changes"][0]["path"] == "content.template"

    assert run("prompt", "push", "--ours", "answer")[0] == 0
    assert afere.open().get("prompt:answer@3").content["template"].startswith("# system\nBe quick.")
    edit(path, "Be quick.", "Be slow.")
    afere.open().put("prompt", "answer", OTHER | {"template": "# system\nBe good.\n# user\n{{ question }}"})
    assert states(run) == {"answer": "conflict"}
    assert run("prompt", "pull", "--theirs", "answer") == (0, "prompt:answer@4 -> prompts/answer.md\n")
    assert "Be good." in path.read_text() and "owner: support" in path.read_text()


def test_a_server_and_a_fresh_clone_know_the_last_common_version_from_git(site, run, write, project: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=project, check=True, capture_output=True)  # fmt: skip

    path = write("prompts/answer.md", ANSWER)
    assert run("prompt", "push")[0] == 0
    git("init", "-q")
    git("add", "prompts")
    git("commit", "-qm", "one")
    edit(path, "Be brief.", "Be quick.")
    git("commit", "-qam", "two")
    for note in project.rglob("prompts.json"):
        note.unlink()  # as on a machine that never pulled or pushed
    assert states(run) == {"answer": "ahead"}
    site.session.put("prompt", "answer", OTHER)
    assert states(run) == {"answer": "conflict"}
    assert run("prompt", "push", "--ours", "answer") == (0, "prompts/answer.md -> prompt:answer@3\n")
    assert site.session.get("prompt:answer").by != "person:local" and run("prompt", "status")[0] == 0


def test_included_files_are_parts_and_another_text_of_them_is_not_overwritten(run, write) -> None:
    write("prompts/parts/tone.md", "Be brief.")
    path = write("prompts/answer.md", '{% include "parts/tone.md" %} {{ q }}')
    assert states(run) == {"answer": "new"} and run("prompt", "push")[0] == 0
    kept = afere.open().get("prompt:answer").content
    afere.open().put("prompt", "answer", kept | {"includes": {"parts/tone.md": "Be kind."}})
    before = path.read_text()
    code, said = run("prompt", "pull")
    assert code == 1 and "tone.md" in said and "not overwritten" in said and path.read_text() == before
    write("prompts/parts/tone.md", "Be kind.")
    assert states(run) == {"answer": "same"}


def test_what_cannot_be_read_is_named_and_stops_nothing_else(run, write) -> None:
    write("prompts/bad.md", "---\nowner: [\n---\nx")
    write("prompts/good.md", "{{ q }}")
    write("prompts/twin.md", "---\nname: good\n---\n{{ q }}")
    code, said = run("prompt", "push")
    assert code == 1 and "prompts/good.md -> prompt:good@1" in said
    assert "bad.md" in said and "is called 'good' too" in said
    code, said = run("prompt", "push", "god")
    assert code == 2 and "No prompt is called 'god'" in said


_text = st.text(st.characters(codec="utf-8"), max_size=40)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text("abc é\n.", min_size=1, max_size=60).filter(str.strip),
    st.one_of(st.none(), st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.just({"type": "string"}))),
    st.lists(st.builds(lambda i, o: {"input": i, "output": o}, _text, _text), max_size=2),
    st.booleans(),
)
def test_any_version_comes_back_from_its_file(write, template, inputs, examples, before) -> None:
    content = {"template": template.strip("\n"), "inputs": inputs, "output": None}
    if examples:
        content["examples"] = examples
    path = write("prompts/answer.md", ANSWER)
    version = afere.Artifact("prompt", "answer", 1, "sha256:0", content)
    project = find_project()
    text = file_text(version, path, project, load_prompt(path, project) if before else None)
    assert load_prompt(path, project, text=text).content == content


@pytest.mark.parametrize("words", [("pull", "--ours", "x"), ("push", "--ours", "good", "--theirs", "good")])
def test_a_wrong_decision_is_refused(run, write, words) -> None:
    write("prompts/good.md", "{{ q }}")
    code, said = run("prompt", *words)
    assert code == 2 and "--ours" in said


DOTPROMPT = """---
model: openai:gpt-4.1-mini
metadata: {owner: support}
input: {schema: {guest: string}}
---
{{role "system"}}
Be brief.
{{role "user"}}
Greet {{guest}}.
"""
GITHUB = """name: sort
model: openai/gpt-4.1-mini
messages:
  - role: system
    content: |
      Be exact.
      Use nothing else.
  - role: user
    content: Sort {{letter}}
"""


def test_files_of_other_tools_are_prompts_to_every_command(run, write) -> None:
    path = write("prompts/greet.prompt", DOTPROMPT)
    github = write("prompts/sort.prompt.yml", GITHUB)
    assert states(run) == {"greet": "new", "sort": "new"}
    assert run("prompt", "push")[0] == 0 and run("prompt", "status")[0] == 0
    assert json.loads(run("prompt", "lint", "--json")[1]) == {"files": 2, "problems": []}
    edit(path, "Be brief.", "Be very brief.")
    edit(github, "{{letter}}", "{{#letter}}")
    assert states(run) == {"greet": "ahead", "sort": "broken"}
    (problem,) = json.loads(run("prompt", "lint", "--json")[1])["problems"]
    assert problem["rule"] == "broken" and problem["place"].startswith("prompts/sort.prompt.yml:")
    edit(github, "{{#letter}}", "{{letter}}")
    run("prompt", "push")
    assert run("prompt", "blame", "prompts/greet.prompt")[1].splitlines()[1].startswith("@2 ")
    assert json.loads(run("impact", "prompts/greet.prompt", "--json")[1])["note"].endswith("prompt:greet@2")
    for name, changes in (("greet", ("very brief", "kind")), ("sort", ("exact", "kind"))):
        newest = afere.open().get(f"prompt:{name}").content
        afere.open().put("prompt", name, newest | {"template": newest["template"].replace(*changes)})
    assert states(run) == {"greet": "behind", "sort": "behind"}
    code, said = run("prompt", "pull")
    assert code == 0, said
    assert "Be kind." in path.read_text() and "owner: support" in path.read_text()
    assert "Be kind." in github.read_text() and "model: openai/gpt-4.1-mini" in github.read_text()
    assert run("prompt", "status")[0] == 0


def test_a_version_that_a_file_of_another_tool_cannot_say_is_refused_with_the_way_out(run, write) -> None:
    path = write("prompts/sort.prompt.yml", GITHUB)
    run("prompt", "push")
    newest = afere.open().get("prompt:sort").content
    afere.open().put("prompt", "sort", newest | {"template": "{% if letter %}{{ letter }}{% endif %}"})
    code, said = run("prompt", "pull")
    assert code == 1 and "{% if letter %}" in said and path.read_text() == GITHUB


def test_two_folders_over_one_store_each_know_what_they_had(run, write, project: Path, monkeypatch) -> None:
    """What one pushed is no note of the other: both changed is a conflict, never passed over."""
    write("prompts/answer.md", ANSWER)
    run("prompt", "push")
    other = project.parent / "other"
    shutil.copytree(project, other, ignore=shutil.ignore_patterns(".afere"))
    monkeypatch.setenv("AFERE_STORE", str(project / ".afere"))
    monkeypatch.chdir(other)
    assert run("prompt", "pull")[0] == 0  # the same; noted
    edit(other / "prompts/answer.md", "Be brief.", "Be kind.")
    assert run("prompt", "push")[0] == 0
    monkeypatch.chdir(project)
    edit(project / "prompts/answer.md", "Be brief.", "Be quick.")
    assert states(run) == {"answer": "conflict"}
    assert run("prompt", "push")[0] == 1
    assert afere.open().get("prompt:answer").version == 2


def test_a_file_that_was_deleted_or_put_back_on_purpose_is_left_alone_until_it_is_named(run, write) -> None:
    path, gone = write("prompts/answer.md", ANSWER), write("prompts/gone.md", "Bye")
    run("prompt", "push")
    edit(path, "Be brief.", "Be quick.")
    run("prompt", "push")
    path.write_text(ANSWER)
    gone.unlink()
    assert states(run) == {"answer": "back", "gone": "deleted"}
    code, said = run("prompt", "pull")
    assert code == 0 and said.startswith("answer: the file says an older version again: promote that one")
    assert not gone.exists() and path.read_text() == ANSWER
    assert run("prompt", "pull", "gone", "answer")[0] == 0
    assert gone.read_text() == "Bye\n" and "Be quick." in path.read_text() and run("prompt", "status")[0] == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "\ufeff---\n# who\nowner: ana\ninputs: {q: string}\n---\nBe brief.\n{{ q }}\n"),
        ("a.md", "---\r\nowner: ana  # the boss\r\ninputs: {q: string}\r\n---\r\nBe brief.\r\n{{ q }}\r\n"),
        ("a.prompt", '---\nmodel: x/y  # fast\ninput: {schema: {q: string}}\n---\n{{role "system"}}\nBe brief.\n{{role "user"}}\n{{q}}\n'),
        ("a.prompty", "---\nname: a\nmodel: {api: chat}  # kept\ninputs: {q: {type: string}}\n---\nsystem:\nBe brief.\n\nuser:\n{{ q }}\n"),
        ("a.prompt.yml", "# who reads it\nmodel: x/y  # fast\nmessages:\n  # rules\n  - role: system\n    content: |\n      Be brief.\n\n  - role: user  # asks\n    content: '{{q}}'\n\n# of GitHub's own\ntestData:\n  - q: x\n"),
        ("a.prompt.yml", "messages: [{role: system, content: Be brief.}, {role: user, content: '{{q}}'}]  # in one line\nmodel: x/y\n"),
        ("a.prompt.yml", "messages:\n- content: Be brief.  # a note\n  role: system\n- {role: user, content: '{{q}}'}\n"),
    ],
)  # fmt: skip
def test_a_pull_of_another_text_changes_nothing_else_of_a_file(run, write, name: str, text: str) -> None:
    path = write(f"prompts/{name}", "")
    path.write_bytes(text.encode())
    assert run("prompt", "push")[0] == 0
    content = afere.open().get("prompt:a").content
    afere.open().put("prompt", "a", content | {"template": content["template"].replace("brief", "kind")})
    assert run("prompt", "pull") == (0, f"prompt:a@2 -> prompts/{name}\n")
    assert path.read_bytes().decode() == text.replace("brief", "kind")


def test_a_message_more_leaves_the_rest_of_a_github_file_alone(run, write) -> None:
    head, tail = "# head\nmodel: x/y\n", "# tail\ntestData:\n  - q: x  # one\n"
    path = write("prompts/a.prompt.yml", f"{head}messages:\n  - role: user\n    content: Hi\n{tail}")
    assert run("prompt", "push")[0] == 0
    content = afere.open().get("prompt:a").content
    texts = "# system\nBe kind: é 🎉 # always\n- or so\n# user\nHi"
    afere.open().put("prompt", "a", content | {"template": texts})
    assert run("prompt", "pull")[0] == 0 and run("prompt", "status")[0] == 0
    said = path.read_text()
    assert (
        said.startswith(head)
        and said.endswith(tail)
        and "    content: |-\n      Be kind: é 🎉 # always\n      - or so" in said
    )


def test_a_file_with_a_byte_order_mark_or_windows_line_ends_is_known_from_git(run, write, project: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.autocrlf=false", *words], cwd=project, check=True, capture_output=True)  # fmt: skip

    path = write("prompts/Résumé.md", "")
    path.write_bytes("\ufeff---\r\nowner: ana\r\n---\r\nBe brief.\r\n".encode())
    git("init", "-q")
    git("add", "prompts")
    git("commit", "-qm", "one")
    run("prompt", "push")
    for note in project.rglob("prompts.json"):
        note.unlink()
    path.write_bytes(path.read_bytes().replace(b"brief", b"quick"))
    assert states(run) == {"resume": "ahead"}
    git("rm", "-qf", "prompts/Résumé.md")
    git("commit", "-qm", "two")
    assert states(run) == {"resume": "deleted"} and run("prompt", "status")[0] == 0
