"""The canonical form: the fast way and the reference implementation of RFC 8785 agree, byte for byte."""

from __future__ import annotations

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from afere.base.canonical import Json, canonical
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
