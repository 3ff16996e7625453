"""The scorers the field knows by name: against published values, library values, and bad input."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import afere
from afere.base.errors import BadInput
from afere.base.language import language_of
from afere.base.span import Span, Trace
from afere.data import Row
from afere.evals.scorers import SCORERS, Case, Scored, named
from afere.evals.scorers.retrieval import average_precision, context_precision, precision


def _one(entry: object, output: object, expected: object = None, trace: Trace | None = None, **row: object) -> Scored:
    case = Case(Row("r", {"question": "?"}, expected, **row), output, trace)  # type: ignore[arg-type]
    return next(iter(named(entry).score(case).values()))


def _calls(*calls: tuple[str, object]) -> Trace:
    root = Span("t" * 32, "a" * 16, "desk", 0, kind="agent", end=9)
    made = [
        Span("t" * 32, f"{i:016x}", name, i, "a" * 16, "tool", i + 1, tool={"name": name, "arguments": arguments})  # type: ignore[dict-item]
        for i, (name, arguments) in enumerate(calls, 1)
    ]
    return Trace("t" * 32, (root, *made))


WORDS = st.text(st.sampled_from("ab c.D-1é "), max_size=40)


@settings(deadline=None)
@given(WORDS, WORDS)
def test_rouge_is_that_of_rouge_score(said: str, wanted: str) -> None:
    from rouge_score import rouge_scorer  # pyright: ignore[reportMissingTypeStubs]

    theirs = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False).score(wanted, said)
    for ours, name in (("rouge1", "rouge1"), ("rouge2", "rouge2"), ("rouge_l", "rougeL")):
        assert _one(ours, said, wanted).value == pytest.approx(theirs[name].fmeasure)
        entry = {"name": "r", "kind": ours, "part": "recall"}
        assert _one(entry, said, wanted).value == pytest.approx(theirs[name].recall)


@settings(deadline=None)
@given(st.text(string.printable, max_size=30), st.text(string.printable, max_size=30))
def test_edit_distance_is_a_distance(a: str, b: str) -> None:
    there, back = _one("levenshtein", a, b).value, _one("edit_distance", b, a).value
    assert there == back
    assert (there == 0) == (a == b)
    assert isinstance(there, int)
    assert there <= max(len(a), len(b))


def test_every_alias_is_the_name_of_its_measure() -> None:
    for name in SCORERS:
        if name not in ("judge", "panel", "cascade", "pairwise"):
            assert named(name).name == name
            assert named({"name": "mine", "kind": name}).name == "mine"


@pytest.mark.parametrize(
    ("said", "wanted", "options", "value"),
    [
        ("It costs 1,234.50 dollars.", 1234.5, {}, True),
        ("12%", 0.12, {}, True),
        ("about 99", 100, {"relative": 0.01}, True),
        ("about 98", 100, {"relative": 0.01}, False),
        ("-3 degrees", -3, {}, True),
        ("no number here", 3, {}, False),
        (True, 1, {}, False),
        ("1e400", 5, {}, False),
        ("3", "three", {}, None),
    ],
)
def test_numbers_are_read_out_of_text(said: object, wanted: object, options: dict[str, object], value: object) -> None:
    assert _one({"name": "n", "kind": "numeric", **options}, said, wanted).value is value


def test_json_is_compared_field_by_field() -> None:
    entry = {"name": "j", "kind": "json_fields", "ignore_case": True}
    found = named(entry).score(Case(Row("r", expected={"a": "X", "b": [1], "c": None}), '{"a": "x", "b": [1, 2]}'))
    assert {name: one.value for name, one in found.items()} == {"j": 1 / 3, "j.a": True, "j.b": False, "j.c": False}
    assert _one("json_fields", "no json", {"a": 1}).value == 0
    assert "an object" in _one("json_fields", "{}", "text").why
    assert _one("json_equal", "plain", "plain").value is True


def test_retrieval_has_textbook_values() -> None:
    row, found = Row("r", relevant=("a", "b", "c")), [{"id": one} for one in ("a", "x", "b", "y")]
    assert precision(found, row) == 0.5
    assert precision(found, row, k=3) == pytest.approx(2 / 3)
    assert precision([], row, k=3) == 0.0
    assert average_precision(found, row) == pytest.approx((1 + 2 / 3) / 3)  # Manning et al. 2008, 8.4
    assert context_precision(found, row) == pytest.approx((1 + 2 / 3) / 2)
    given = Row("r", relevant=("a",), metadata={"context": [{"id": "x"}, {"id": "a"}]})
    assert named("mrr").score(Case(given, "out"))["mrr"].value == 0.5


@pytest.mark.parametrize(
    ("arguments", "wanted", "made", "right"),
    [
        ("exact", {"q": "leave"}, {"q": "leave"}, True),
        ("exact", {"q": "leave"}, {"q": "leave", "k": 2}, False),
        ("subset", {"q": "leave"}, {"q": "leave", "k": 2}, True),
        ("subset", {"q": {"a": 1}}, {"q": {"a": 1, "b": 2}}, True),
        ("schema", {"required": ["q"], "properties": {"q": {"type": "string"}}}, {"q": 3}, False),
        ("ignore", {"q": "x"}, {"q": "y"}, True),
    ],
)
def test_tool_calls_are_held_against_their_arguments(arguments: str, wanted: object, made: object, right: bool) -> None:
    entry = {"name": "tools", "kind": "tool_calls", "arguments": arguments}
    assert _one(entry, "x", [{"name": "search", "arguments": wanted}], _calls(("search", made))).value is right


def test_calls_are_matched_as_well_as_can_be() -> None:
    # the loose expectation must leave the strict one its call
    wanted = [{"name": "f"}, {"name": "f", "arguments": {"a": 1}}]
    assert _one("tool_calls", "x", wanted, _calls(("f", {"a": 1}), ("f", {"a": 2}))).value is True
    extra = _one("tool_calls", "x", [], _calls(("f", {})))
    assert (extra.value, extra.why) == (False, "not expected: f({})")
    given = {"tool_calls": [{"function": {"name": "f", "arguments": '{"a": 1}'}}]}
    assert _one("tool_calls", given, [{"name": "f", "arguments": {"a": 1}}]).value is True
    said = {"messages": [{"role": "assistant", "content": "", **given}, {"role": "assistant", "content": "x"}]}
    assert _one("tool_calls", said, [{"name": "f", "arguments": {"a": 1}}]).value is True
    beside = {"tool_calls": [{"name": "f"}], "tools_called": [{"name": "f", "arguments": {"a": 1}}]}
    assert _one("tool_calls", "x", "text", metadata=beside).value is True
    assert _one("tool_calls", "x", "text", _calls(), metadata=beside).value is False  # what ran counts
    assert _one("tool_calls", "x", "text", _calls()).value is None


@pytest.mark.parametrize(
    ("order", "made", "holds"),
    [
        ("exact", "ab", True), ("exact", "axb", False), ("in_order", "axb", True), ("in_order", "ba", False),
        ("any_order", "ba", True), ("any_order", "bab", False), ("subset", "aaa", True), ("subset", "ac", False),
    ],
)  # fmt: skip
def test_a_trajectory_is_held_against_the_expected_path(order: str, made: str, holds: bool) -> None:
    entry = {"name": "path", "kind": "trajectory", "order": order}
    assert _one(entry, "x", ["a", "b"], _calls(*((one, {}) for one in made))).value is holds


def test_the_parts_of_a_run_are_measured_apart() -> None:
    spans = (
        Span("t" * 32, "a" * 16, "desk", 0, kind="agent", end=10**9),
        Span("t" * 32, "b" * 16, "helper", 0, "a" * 16, "chain", 4 * 10**8),
        Span("t" * 32, "c" * 16, "answer", 0, "b" * 16, "llm", 3 * 10**8, input_tokens=7, output_tokens=3, cost=0.5),
        Span("t" * 32, "d" * 16, "answer", 0, "a" * 16, "llm", 10**9, input_tokens=70, output_tokens=30, cost=0.25),
    )
    trace = Trace("t" * 32, spans)
    assert _one("latency", "x", trace=trace).value == 1.0
    assert _one({"name": "l", "kind": "latency", "of": "helper"}, "x", trace=trace).value == 0.4
    assert _one({"name": "n", "kind": "tokens", "of": "helper"}, "x", trace=trace).value == 10
    assert _one({"name": "c", "kind": "spent", "of": "answer"}, "x", trace=trace).value == 0.375
    assert _one("latency", "x").why == "there is no trace: the outputs were given, nothing ran"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "You can carry over up to five days of leave into the next year."),
        ("fr", "Vous pouvez reporter jusqu'à cinq jours de congé sur l'année suivante."),
        ("es", "Puede trasladar hasta cinco días de vacaciones al año siguiente."),
        ("pt", "Você pode transferir até cinco dias de férias para o próximo ano."),
        ("ru", "Вы можете перенести до пяти дней отпуска на следующий год."),
        ("zh", "您最多可以将五天假期结转到下一年。"),
        ("ja", "最大五日間の休暇を翌年に繰り越すことができます。"),
        ("ar", "يمكنك ترحيل ما يصل إلى خمسة أيام إلى العام التالي."),
        (None, "42"),
    ],
)
def test_the_language_of_a_sentence_is_told(code: str | None, text: str) -> None:
    assert language_of(text) == code


def test_what_should_not_be_in_an_output_is_found() -> None:
    assert _one("pii", "Call +49 30 1234567 or mail x@example.org").why == "email, phone"
    assert _one("pii", "Nothing here, order 2024-11-05.").value is False
    assert _one("secrets", "token sk-ant-api03-" + "a" * 40).value is True
    assert _one("refusal", "I\u2019m sorry, but I cannot help with that.").value is True
    assert _one("refusal", "The office is closed on Friday.").value is False
    assert [named(name).better for name in ("pii", "secrets", "refusal", "levenshtein", "latency")] == ["lower"] * 5


def test_options_of_a_suite_are_checked_before_anything_runs() -> None:
    for entry, says in (
        ({"name": "n", "kind": "recall", "k": "4"}, 'option k is "4"; it must be a whole number'),
        ({"name": "n", "kind": "fuzzy", "how": "partail"}, "must be ratio or partial or words or word_set"),
        ({"name": "n", "kind": "length", "most": 3.5}, "must be a whole number"),
        ({"name": "n", "kind": "length", "unti": "words"}, "Did you mean 'unit'"),
    ):
        with pytest.raises(BadInput, match=says):
            named(entry)


def test_each_turn_of_a_conversation_is_scored_and_the_session_counts_once() -> None:
    asked = [{"role": "user", "content": "Hello"}]
    said = [
        *asked, {"role": "assistant", "content": "Hi!"}, {"role": "user", "content": "How many days?"},
        {"role": "assistant", "content": "25"},
    ]  # fmt: skip
    row = Row("r", {"messages": asked}, ["Hi!", "30"])
    found = named({"name": "right", "kind": "exact", "of": "turn"}).score(Case(row, {"messages": said}))
    assert {name: one.value for name, one in found.items()} == {
        "turn.right": 0.5, "turn.right.turn1": True, "turn.right.turn2": False,
    }  # fmt: skip

    seen: list[object] = []

    @afere.scorer
    def looks(input: object, output: object) -> bool:
        seen.append((input, output))
        return True

    named({"name": "turn.looks", "of": "turn", "kind": "exact"})
    looks.configured(name="turn.looks", of="turn", options={}).score(Case(row, said[1:]))
    assert seen == [(asked, "Hi!"), (said[:3], "25")]
    spans = (
        Span("t" * 32, "a" * 16, "talk", 0, kind="chain", end=9),
        Span("t" * 32, "b" * 16, "turn", 1, "a" * 16, end=2, output="Hi!"),
        Span("t" * 32, "c" * 16, "turn", 3, "a" * 16, end=4, output="30"),
    )
    found = named({"name": "right", "kind": "exact", "of": "turn"}).score(Case(row, "30", Trace("t" * 32, spans)))
    assert found["turn.right"].value == 1.0


def test_a_part_of_an_answer_that_does_not_apply_is_not_missing(project: object) -> None:
    rows = [
        {"id": "a", "input": {}, "output": '{"x": 1}', "expected": {"x": 1}},
        {"id": "b", "input": {}, "output": '{"x": 1, "y": 2}', "expected": {"x": 1, "y": 2}},
    ]
    table = {line.name: line for line in afere.evaluate(None, rows, scorers=["json_fields"]).table()}
    assert (table["json_fields.y"].n, table["json_fields.y"].missing, table["json_fields.y"].value) == (1, 0, 1.0)
