"""The canonical form: the fast way and the reference implementation of RFC 8785 agree, byte for byte."""

from __future__ import annotations

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from afere.base.canonical import Json, canonical, compact, parsed, plain
from afere.base.errors import BadInput

_leaf = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
_key = st.text() | st.sampled_from(["\ufb33", "\U0001f600", "\u20ac", "\r", "1", "\x80", "a", "A", ""])
_values = st.recursive(_leaf, lambda inner: st.lists(inner) | st.dictionaries(_key, inner), max_leaves=30)


@given(_values)
def test_every_value_has_the_bytes_of_the_standard(value: Json) -> None:
    assert canonical(value) == rfc8785.dumps(value)  # pyright: ignore[reportArgumentType] - its own type of JSON


@pytest.mark.parametrize("value", [float("nan"), 2**53, -(2**53), {"a": [float("inf")]}, "\ud800"])
def test_what_the_standard_refuses_is_refused(value: Json) -> None:
    with pytest.raises((BadInput, UnicodeEncodeError)):
        canonical(value)


@given(_values | st.integers() | st.lists(st.integers(min_value=2**62)))
def test_what_is_written_quickly_is_read_as_the_standard_library_reads_it(value: Json) -> None:
    written = compact(value)
    assert parsed(written) == json.loads(written) == value
    assert plain(value) == value


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"a": -float("inf")}])
def test_what_is_no_number_is_not_written_as_nothing(value: Json) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        compact(value)
    with pytest.raises(ValueError, match="is not JSON"):
        parsed(json.dumps(value).encode())
