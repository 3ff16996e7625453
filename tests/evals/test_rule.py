"""Rules read as people write them, and an error shows the place."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afere.base.errors import BadRule
from afere.base.rule import STATISTICS, Measure, Rule, parse_rule


def test_every_form_of_the_grammar_reads() -> None:
    assert parse_rule("exact.mean >= 0.8") == Rule(Measure(("exact",), "mean"), ">=", "0.8")
    assert parse_rule("faithful.mean not  worse than qa@production by 5%") == Rule(
        Measure(("faithful",), "mean"), "not worse than", "5%", "qa@production"
    )
    assert parse_rule("seconds.p95<=2") == Rule(Measure(("seconds",), "p95"), "<=", "2")
    assert parse_rule("drift.input at 0.05 for 3 windows").windows == 3
    rule = parse_rule('thumbs.down < 10% where tag:edge "over 3 h" over 1.5 h for 2 windows')
    assert (rule.amount, rule.where, rule.seconds, rule.windows) == (0.1, 'tag:edge "over 3 h"', 5400, 2)
    assert parse_rule("helpful better than baseline").against == "baseline"


def test_a_dotted_measure_is_a_name_or_a_value_by_the_names_there_are() -> None:
    measure = parse_rule("thumbs.down >= 0.1").measure
    assert measure.split({"thumbs"}) == ("thumbs", "down")
    assert measure.split({"thumbs.down"}) == ("thumbs.down", None)
    assert parse_rule('tone."very bad" < 1').measure.split({"tone"}) == ("tone", "very bad")
    assert parse_rule('tone."mean" < 1').measure.statistic is None


@pytest.mark.parametrize(
    ("text", "column", "hint"),
    [
        ("exact.mean not wrose than baseline", 11, "'not worse than'"),
        ("exact.mean >= 0.8 were tag:x", 18, "'where'"),
        ("exact.mean = 3", 11, "'>='"),
        ("a not worse than by 3", 17, "what to compare with"),
        ("exact >= 0.8x", 12, "should end here"),
        ("drift.input on 3", 12, "drift.NAME at 0.05"),
        ("a >= 1 for 0 windows", 11, "at least 1"),
        ("exact. >= 1", 6, "statistic"),
        ("", 0, "name of a measure"),
    ],
)
def test_an_error_points_at_the_character_and_names_the_nearest_word(text: str, column: int, hint: str) -> None:
    with pytest.raises(BadRule) as caught:
        parse_rule(text)
    message = str(caught.value)
    assert message.splitlines()[-1] == "  " + " " * column + "^"
    assert hint in message


_names = st.from_regex(r"[a-z][a-z0-9_-]{0,6}", fullmatch=True)
_numbers = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3})?%?", fullmatch=True)
_measures = st.builds(
    Measure,
    st.tuples(_names.filter(lambda n: n != "drift")) | st.tuples(_names.filter(lambda n: n != "drift"), st.text(max_size=6)),
    st.sampled_from([None, *STATISTICS]),
)  # fmt: skip
_filters = st.lists(st.sampled_from(["tag:edge", "-draft", "latency>2", '"over 3 h"', "refund"]), max_size=3).map(
    " ".join
)
_over = st.sampled_from([(None, None), ("3", "h"), ("1.5", "d"), ("20", "min")])
_windows = st.none() | st.integers(1, 99)
_against = st.sampled_from(["baseline", "qa@production", "chain:qa~1f2e3d", "experiment:12"])
_thresholds = st.builds(
    lambda m, op, n, w, o, k: Rule(m, op, n, None, w, *o, k),
    _measures, st.sampled_from([">=", "<=", ">", "<"]), _numbers, _filters, _over, _windows,
)  # fmt: skip
_comparisons = st.builds(
    lambda m, op, n, a, w, o, k: Rule(m, op, n, a, w, *o, k),
    _measures, st.sampled_from(["not worse than", "better than"]), st.none() | _numbers, _against, _filters, _over, _windows,
)  # fmt: skip


@given(_thresholds | _comparisons)
def test_a_rule_written_out_reads_as_itself(rule: Rule) -> None:
    assert parse_rule(str(rule)) == rule


@given(st.text(max_size=40))
def test_any_text_is_a_rule_or_a_bad_rule(text: str) -> None:
    with contextlib.suppress(BadRule):
        parse_rule(text)
