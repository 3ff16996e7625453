"""How values read on a page."""

from __future__ import annotations

import pytest

from afere.server import words


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "unknown"), (0, "$0.00"), (1234.5, "$1,234.50"), (0.0141, "$0.0141"), (0.00126, "$0.00126"),
        (9.2e-05, "$0.000092"), (9.234e-05, "$0.0000923"), (1.5e-06, "$0.0000015"), (2e-07, "<$0.000001"),
        (-9.2e-05, "$-0.000092"),
    ],
)  # fmt: skip
def test_small_sums_are_written_without_powers_of_ten(value: float | None, said: str) -> None:
    assert words.money(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (2e-07, "<+$0.000001"),
        (-2e-07, ">\N{MINUS SIGN}$0.000001"),
        (-9.2e-05, "\N{MINUS SIGN}$0.000092"),
        (0, "+$0.00"),
    ],
)
def test_a_difference_too_small_to_write_keeps_its_side(value: float, said: str) -> None:
    assert words.changed(value, "cost") == said


def test_a_glance_at_several_fields_shows_what_was_asked_or_answered() -> None:
    assert words.glance('{"index": "handbook", "query": "How long?"}') == "How long?"
    assert words.glance('{"answer": "Two days.", "source": "a.md"}') == "Two days."
    assert words.glance('{"answer": "Two days, and then th') == "Two days, and then th"
    assert words.glance('{"a": 1, "b": 2}') == '{"a": 1, "b": 2}'
