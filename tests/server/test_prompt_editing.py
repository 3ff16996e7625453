"""A prompt edited and approved on its page: every save is a version, lint speaks first, nobody's work is lost, nothing is read."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser
from test_rows_page import sent
from test_server_browser import barriers, browser, opened, sideways  # noqa: F401 # pyright: ignore[reportMissingImports]

import afere
import afere.store
from afere.base.errors import BadPrompt
from afere.chains.prompt import stored_prompt, written_prompt
from afere.govern.promptediting import text_of
from afere.net import Call, send
from afere.store import Session

sys.path.insert(0, str(Path(__file__).parents[1] / "access"))
from access_site import Site, running

Fresh = tuple[str, Session]
NASTY = "</textarea><script>alert(1)</script> {{ '{{' }}"
TEXT = "---\ninputs:\n  question: string\n---\n# system\nBe brief.\n# user\n{{ question }}"


def put(session: Session, template: str, **content: Any) -> Any:
    whole = {"template": template, "inputs": {"question": {"type": "string"}}, "output": None, **content}
    return session.put("prompt", "answer", whole, why="from a file")


def save(url: str, text: str, *, base: int, of: int = 1, name: str = "answer", **fields: str) -> tuple[int, str, str]:
    form = {"text": text, "base": base, "of": of, "why": "shorter", "do": "save", **fields}
    return sent(f"{url}/prompts/{name}/versions", urlencode(form), "application/x-www-form-urlencoded")


def program(url: str, value: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    status, _, body = sent(f"{url}/prompts/answer/versions", json.dumps(value), "application/json", accept="*/*")
    return status, json.loads(body)


def edited(url: str, version: str = "1") -> dict[str, Any]:
    answer = send(Call("GET", f"{url}/prompts/answer/{version}/edit.json", {}, b""))
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


@pytest.fixture
def answer(fresh: Fresh) -> Fresh:
    put(fresh[1], "# system\nBe brief.\n# user\n{{ question }}")
    return fresh


def test_a_text_is_saved_as_a_version_with_who_and_why(answer: Fresh) -> None:
    url, session = answer
    assert edited(url) == {"name": "answer", "base": 1, "of": 1, "text": TEXT, "problems": []}
    status, place, _ = save(url, TEXT.replace("brief", "kind").replace("\n", "\r\n"), base=1)
    assert (status, place) == (303, "/handbook/prompts/answer/2")
    made = session.get("prompt:answer")
    assert (made.version, made.by, made.why) == (2, "person:local", "shorter")
    assert made.content == {
        **session.get("prompt:answer@1").content,
        "template": "# system\nBe kind.\n# user\n{{ question }}",
    }  # type: ignore[dict-item]
    assert session.verify() == []
    for text, base, said in (
        (TEXT, 2, "prompt:answer@1 says exactly this already"),
        (TEXT.replace("brief", "kind"), 2, "there is nothing to keep"),
    ):
        status, _, page = save(url, text, base=base)
        assert status == 422 and said in page
    status, _, page = save(url, TEXT.replace("brief", "calm"), base=2, why=" ")
    assert status == 422 and "a reason is needed" in page and "Be calm." in page
    assert session.get("prompt:answer").version == 2


def test_each_line_is_told_with_the_version_that_brought_it(answer: Fresh) -> None:
    url, _ = answer
    save(url, TEXT.replace("Be brief.", "Be brief.\nBe kind."), base=1)
    save(url, TEXT.replace("Be brief.", "Be <b>calm</b>.\nBe kind."), base=2, why="calmer")

    def lines(version: int) -> list[tuple[int, str]]:
        told = json.loads(send(Call("GET", f"{url}/prompts/answer/{version}.json?show=blame", {}, b"")).body)["blame"]
        return [(one["version"], one["text"]) for one in told]

    rest = [(1, "# user"), (1, "{{ question }}")]
    assert lines(3) == [(1, "# system"), (3, "Be <b>calm</b>."), (2, "Be kind."), *rest]
    assert lines(2) == [(1, "# system"), (1, "Be brief."), (2, "Be kind."), *rest]
    page = send(Call("GET", f"{url}/prompts/answer/3?show=blame", {}, b"")).body.decode()
    assert "calmer" in page and "<b>calm" not in page


def test_lint_speaks_before_a_text_is_kept(answer: Fresh) -> None:
    url, session = answer
    text = TEXT.replace("question: string", "question: string\n  tone: string")
    status, _, page = save(url, text, base=1)
    assert status == 200 and "nothing is kept yet" in page and "never uses it" in page
    assert 'class="plus"' in page  # and what changes
    assert session.get("prompt:answer").version == 1
    checked = page.partition('name="checked" value="')[2].partition('"')[0]
    status, _, page = save(url, text.replace("brief", "calm"), base=1, checked=checked)
    assert status == 200  # another text than the one that was checked
    assert save(url, text, base=1, checked=checked)[0] == 303
    status, _, page = save(url, TEXT.replace("brief", "calm"), base=2, do="check")
    assert status == 200 and "It is not kept yet" in page and session.get("prompt:answer").version == 2


def test_whoever_was_first_is_shown_and_nothing_is_lost(answer: Fresh) -> None:
    url, session = answer
    put(session, "# system\nBe very brief.\n# user\n{{ question }}")
    status, _, page = save(url, TEXT.replace("brief", "calm"), base=1)
    assert status == 409
    assert "person:local made prompt:answer@2 meanwhile (from a file)" in page
    assert "Be calm." in page and '<input type="hidden" name="base" value="2">' in page
    assert session.get("prompt:answer").version == 2
    assert save(url, TEXT.replace("brief", "calm"), base=2)[0] == 303
    status, told = program(url, {"base": 2, "text": TEXT, "why": "x"})
    assert status == 400 and "prompt:answer@1 says exactly this" in told["detail"]
    status, told = program(url, {"base": 2, "text": TEXT + "!", "why": "x"})
    assert status == 409


def test_a_program_gets_the_version_and_what_lint_finds(answer: Fresh) -> None:
    url, session = answer
    status, told = program(url, {"base": 1, "text": TEXT.replace("string", "string\n  z: string"), "why": "by CI"})
    assert status == 201
    assert (told["ref"], [one["rule"] for one in told["lint"]]) == ("prompt:answer@2", ["unused-input"])
    for wrong, said in (
        ({"base": "1", "text": TEXT, "why": "x"}, "base: the number"),
        ({"base": 2, "text": 3, "why": "x"}, "text and why are texts"),
        ({"base": 2, "text": TEXT, "why": "x", "model": "m"}, "no field 'model'"),
        ({"base": 9, "text": TEXT, "why": "x"}, "prompt:answer@9"),
        ({"base": 2, "text": "x" * 1_000_001, "why": "x"}, "1,000,001 bytes; a prompt holds at most 1,000,000"),
        ({"base": 2, "text": "\0", "why": "x"}, "NUL characters"),
    ):
        status, told = program(url, wrong)
        assert 400 <= status < 500 and said in told["detail"], told
    assert session.get("prompt:answer").version == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TEXT.replace("{{ question }}", "{{ qestion }}"), "answer:8: &#x27;qestion&#x27; is not among the inputs"),
        (TEXT.replace("inputs:", "inputs: ["), "answer:3"),
        (TEXT.replace("---\n#", "owner: ana\n---\n#"), "answer:4: owner: no version of a prompt holds it"),
        (TEXT.replace("---\n#", "examples: data/secret.jsonl\n---\n#"), "files are not read from here"),
        (TEXT.replace("---\n#", "snippets: {a: ../afere.yaml}\n---\n#"), "files are not read from here"),
        (TEXT.replace("---\n#", "examples: nothing@3\n---\n#"), "answer:4: examples: "),
        (TEXT.replace("Be brief.", "{% include 'other.md' %}"), "answer:6: &#x27;other.md&#x27; is not among what"),
        ("---\nnever closed", "never closed"),
    ],
)
def test_what_cannot_be_kept_is_named_with_its_line_and_no_file_is_read(
    answer: Fresh, project: Path, text: str, said: str
) -> None:
    url, session = answer
    (project / "data").mkdir()
    (project / "data/secret.jsonl").write_text('{"input": {"question": "secret"}, "output": "secret"}\n')
    (project / "prompts").mkdir()
    (project / "prompts/other.md").write_text("secret")
    status, _, page = save(url, text, base=1)
    page = page.replace("&#39;", "&#x27;")
    assert status == 422 and said in page
    assert text.rsplit("\n", maxsplit=1)[-1].replace("'", "&#x27;")[:12] in page  # all that was written stays
    assert session.get("prompt:answer").version == 1


def test_what_a_version_includes_and_copies_from_data_stays(fresh: Fresh, project: Path) -> None:
    url, session = fresh
    for name, text in (
        ("prompts/answer.md", "---\ninputs: {question: string}\nexamples: data/shots.jsonl\n---\n# system\n{% include 'tone.md' %}\n# user\n{{ question }}"),
        ("prompts/tone.md", "Be kind."),
        ("data/shots.jsonl", '{"id": "s-1", "input": {"question": "When?"}, "output": "At ten."}\n'),
    ):  # fmt: skip
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)
    first = afere.prompt("prompts/answer.md").prompt.put(session, why="first")
    text = edited(url)["text"]
    assert "examples: shots@1" in text and "tone.md" in text
    assert save(url, text.replace("# user", "Answer now.\n# user"), base=1)[0] == 303
    made = session.get("prompt:answer@2")
    kept = {**first.content, "template": made.content["template"]}  # type: ignore[dict-item, index]
    assert made.content == kept and [use.ref for use in made.uses] == ["dataset:shots@1"]


def test_a_new_prompt_begins_on_the_page_and_a_name_that_is_taken_is_told(fresh: Fresh) -> None:
    url, session = fresh
    page = send(Call("GET", f"{url}/prompts/new/0/edit", {}, b"")).body.decode()
    assert 'id="name"' in page and 'value=""' in page
    form = {"name": "greet", "base": 0, "of": 0, "text": TEXT + NASTY, "why": "x", "do": "save"}
    kind = "application/x-www-form-urlencoded"
    status, place, _ = sent(f"{url}/prompts/new/versions", urlencode(form), kind)
    assert (status, place) == (303, "/handbook/prompts/greet/1")
    assert str(session.get("prompt:greet").content["template"]).endswith(NASTY)  # type: ignore[index, call-overload]
    page = send(Call("GET", f"{url}/prompts/greet/1/edit", {}, b"")).body.decode()
    assert "<script>alert" not in page
    status, _, page = sent(f"{url}/prompts/new/versions", urlencode(form | {"name": "Nicht gut"}), kind)
    assert status == 422 and "cannot name a prompt" in page


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    template=st.text(st.characters(exclude_characters="{}\0\r", exclude_categories=["Cs"]), max_size=60),
    inputs=st.none() | st.dictionaries(st.text(min_size=1, max_size=9), st.sampled_from([
        {"type": "string"}, {"type": "array"}, {"type": "string", "default": "no"}, {}, {"enum": ["yes", 1, None]}]), max_size=3),
    pairs=st.lists(st.fixed_dictionaries({"input": st.text(max_size=20), "output": st.text(max_size=20) | st.none() | st.booleans()}), max_size=2),
    tools=st.lists(st.text(max_size=8), max_size=2),
)  # fmt: skip
def test_any_version_reads_again_as_itself(fresh: Fresh, template: str, inputs: Any, pairs: Any, tools: Any) -> None:
    _, session = fresh
    content: dict[str, Any] = {"template": template.strip("\n"), "inputs": inputs, "output": None}
    content |= {name: value for name, value in (("examples", pairs), ("tools", tools)) if value}
    version = session.put_once(None, "prompt", "any", content)
    try:
        stored_prompt(version)
    except BadPrompt:  # such as role lines out of place
        return
    assert written_prompt("any", text_of(version), session=session, base=version).content == content


def test_approval_is_for_others_and_lets_a_protected_alias_move(project: Path) -> None:
    (project / "afere.yaml").write_text("project: handbook\naliases: {production: {protected: true, approvals: 1}}\n")
    with afere.store.open(project / ".afere", project="handbook") as session:
        for name, role in (("ana", "editor"), ("bo", "editor"), ("eve", "viewer")):
            session.actors.add_person(name, role=role, project="handbook", password="long enough " + name)
        with running(session) as site:
            logged = {name: {"cookie": _log_in(site, name)} for name in ("ana", "bo", "eve")}
            post = {"content-type": "application/json", "origin": site.url}
            text = json.dumps({"base": 0, "text": TEXT, "why": "first"}).encode()
            assert site.ask("/prompts/answer/versions", text, **post, **logged["eve"])[0] == 403
            assert site.ask("/prompts/answer/0/edit.json", **logged["eve"])[0] == 403
            assert site.ask("/prompts/answer/versions", text, **post, **logged["ana"])[0] == 201
            assert session.get("prompt:answer").by == "person:ana"
            gate = session.put("decision", None, {"answer": "pass", "subject": "prompt:answer@1"})
            move = json.dumps({"name": "prompt:answer", "alias": "production", "to": "prompt:answer@1", "why": "ready",
                               "decision": gate.ref}).encode()  # fmt: skip
            status, _, told = site.ask("/aliases", move, **post, **logged["ana"])
            assert status == 403 and "asks for 1 approval" in told
            yes = json.dumps(
                {"target": "prompt:answer@1", "name": "approval", "value": True, "why": "read it"}
            ).encode()
            status, _, told = site.ask("/scores", yes, **post, **logged["ana"])
            assert status == 403 and "an approval is for somebody else to give" in told
            assert site.ask("/scores", yes, **post, **logged["bo"])[0] == 201
            status, _, told = site.ask("/aliases", move, **post, **logged["ana"])
            assert status == 201, told
            value = json.loads(site.ask("/prompts/answer/production.json", **logged["eve"])[2])
            said = value["approvals"]["said"][0]
            assert (value["approvals"]["count"], said["by"], said["why"]) == (1, "person:bo", "read it")
            assert value["moves"][0] | {"at": ""} == {
                "ref": "prompt:answer", "alias": "production", "from": None, "to": "prompt:answer@1", "by": "person:ana",
                "at": "", "why": "ready", "decision": gate.ref,
            }  # fmt: skip
            assert session.verify() == []


def _log_in(site: Site, name: str) -> str:
    form = urlencode({"name": name, "password": f"long enough {name}"}).encode()
    kind = "application/x-www-form-urlencoded"
    return site.ask("/login", form, content_type=kind, origin=site.url)[1]["set-cookie"].partition(";")[0]


@pytest.mark.browser
def test_it_is_edited_and_approved_by_keyboard_and_phone(browser: Browser, answer: Fresh) -> None:  # noqa: F811
    url, session = answer
    for width, scheme in ((1280, "light"), (390, "dark")):
        for page in opened(browser, url, viewport={"width": width, "height": 844}, color_scheme=scheme):
            page.goto("/prompts/answer/1")
            page.get_by_role("link", name="Edit").press("Enter")
            box = page.get_by_label("Prompt", exact=True)
            box.fill(box.input_value().replace("brief", f"brief, at {width}").replace("string", "string\n  z: string"))
            page.get_by_label("Why").fill("for a test")
            page.get_by_role("button", name="Check").press("Enter")
            page.get_by_text("save again to keep it as it is").wait_for()
            assert sideways(page) <= 0
            assert barriers(page) == []
            page.get_by_role("button", name="Save").press("Enter")
            page.get_by_role("heading", name="prompt:answer@").wait_for()
            page.get_by_text("Approve, or say why not").press("Enter")
            page.get_by_label("I am").fill("ana")
            page.get_by_role("button", name="Approve", exact=True).press("Enter")
            page.get_by_text("person:ana approved").wait_for()
            page.evaluate("window.scrollTo(0, 0)")
            assert sideways(page) <= 0
            assert barriers(page) == []
    assert session.get("prompt:answer").version == 3
