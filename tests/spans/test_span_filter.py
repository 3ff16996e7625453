"""The filter language: what it reads, what it refuses, and how it says so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afere.base.errors import BadRule
from afere.base.filter import FIELDS, Filter, Term, parse_filter


def test_a_filter_reads_as_people_write_it() -> None:
    read = parse_filter(
        'model:gpt* status:error latency>2s cost>=$0.01 -user:42 "refund policy" since:24h attr.tenant:acme'
    )
    assert read.terms == (
        Term("model", ":", "gpt*"),
        Term("status", ":", "error"),
        Term("latency", ">", "2s", number=2.0),
        Term("cost", ">=", "$0.01", number=0.01),
        Term("user", ":", "42", negated=True),
        Term("text", ":", "refund policy", quoted=True),
        Term("since", ":", "24h", number=86400.0),
        Term("attr.tenant", ":", "acme"),
    )
    assert read.terms[0].glob and not parse_filter('model:"gpt*"').terms[0].glob
    assert parse_filter("latency<300ms latency>=1.5h").terms[0].number == pytest.approx(0.3)
    assert parse_filter("  ") == Filter()


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("latncy>2s", 1, "Did you mean latency?"),
        ("model:a tokns>5", 9, "Did you mean tokens?"),
        ("status:eror", 8, "Did you mean error?"),
        ("kind:lm", 6, "Did you mean llm?"),
        ("latency>2 model>gpt", 16, "write model:gpt"),
        ("latency>soon", 9, "2s, 300ms or 1h"),
        ("tokens>2s", 8, "1000"),
        ("since:yesterday", 7, "24h, 7d or"),
        ("since>1h", 6, "write since:1h"),
        ('user:"4', 6, "not closed"),
        ('"a"b', 4, "a space"),
        ("user: 42", 6, "a value after user:"),
        ("-", 2, "a word"),
        ("trace:xyz", 7, "hex digits"),
        ("https://example.org", 1, '"quotes"'),
        ("user:1 AND user:2", 8, "leave it out"),
        ("model:a OR model:b", 9, "there is no OR"),
        ("NOT status:error", 1, "-status:error"),
        ("attr.:x", 1, "Did you mean attr.KEY?"),
    ],
)
def test_a_wrong_filter_is_pointed_at(text: str, place: int, says: str) -> None:
    with pytest.raises(BadRule) as caught:
        parse_filter(text)
    lines = str(caught.value).splitlines()
    assert f"character {place}:" in lines[0] and says in lines[0]
    assert lines[-2].strip() == text and lines[-1] == " " * (place + 1) + "^"


@given(st.text(max_size=60) | st.text(alphabet='abm: -"\\*><=.$0s\n', max_size=30))
def test_whatever_is_written_is_read_or_refused_and_what_is_read_reads_back(text: str) -> None:
    try:
        read = parse_filter(text)
    except BadRule as problem:
        assert "character" in str(problem)
    else:
        assert parse_filter(str(read)) == read


_values = st.text(min_size=1, max_size=12)
_texts = st.sampled_from(
    [name for name, kind in FIELDS.items() if kind == "text" and name not in ("status", "kind", "trace")]
)


@given(st.lists(st.tuples(_texts | st.just("attr.a.b"), _values, st.booleans()), max_size=4))
def test_any_quoted_value_comes_back_as_it_was(wanted: list[tuple[str, str, bool]]) -> None:
    terms = tuple(Term(name, ":", value, True, negated) for name, value, negated in wanted)
    read = parse_filter(str(Filter(terms)))
    assert [(term.field, term.value, term.negated, term.quoted) for term in read.terms] == [
        (name, value, negated, True) for name, value, negated in wanted
    ]
