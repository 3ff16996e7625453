"""What a call costs, offline."""

from __future__ import annotations

import pytest

from afere.base.errors import BadInput
from afere.base.message import Usage
from afere.base.prices import context_size, price, provider_of

MILLION = 1_000_000


@pytest.mark.parametrize(
    "name",
    [
        "openai:gpt-4.1-mini",
        "openai:/gpt-4.1-mini",
        "openai/gpt-4.1-mini",
        "gpt-4.1-mini",
        "openai:gpt-4.1-mini-2025-04-14",
    ],
)
def test_a_known_model_costs_the_same_by_any_name(name: str) -> None:
    assert price(name, Usage(MILLION, MILLION)) == pytest.approx(0.4 + 1.6)
    assert context_size(name) == MILLION


def test_cached_input_has_its_own_price_and_counts_once() -> None:
    assert price("openai:gpt-4.1-mini", Usage(MILLION, 0, cached_input_tokens=MILLION // 2)) == pytest.approx(
        0.2 + 0.05
    )


def test_a_long_input_moves_all_tokens_to_the_higher_price() -> None:
    assert price("google:gemini-2.5-pro", Usage(200_000, 1000)) == pytest.approx(0.2 * 1.25 + 0.001 * 10)
    assert price("google:gemini-2.5-pro", Usage(200_001, 1000)) == pytest.approx(0.200001 * 2.5 + 0.001 * 15)


def test_an_announced_price_holds_from_its_day() -> None:
    usage = Usage(MILLION, 0)
    assert price("google:gemini-3.6-flash", usage, day="2026-12-31") == pytest.approx(0.75)
    assert price("google:gemini-3.6-flash", usage, day="2027-01-01") == pytest.approx(1.5)


@pytest.mark.parametrize("name", ["nobody:gpt-4.1-mini", "my-own-model", "local:x", "", "deepseek:deepseek-chat"])
def test_what_is_not_known_is_none(name: str) -> None:
    assert price(name, Usage(10, 10)) is None


def test_unknown_tokens_cost_an_unknown_sum() -> None:
    assert price("openai:gpt-4.1-mini", Usage(None, 10)) is None
    assert price("openai:gpt-4.1-mini", Usage(10, None)) is None


def test_the_users_own_prices_win_and_are_checked() -> None:
    usage = Usage(MILLION, MILLION, reasoning_tokens=MILLION)
    assert price("anything", usage, {"input": 1, "output": 2}) == pytest.approx(3)
    assert price("anything", usage, {"input": 1, "output": 2, "reasoning": 5}) == pytest.approx(6)
    for wrong in ({"input": 1}, {"input": 1, "output": "2"}, {"input": 1, "output": 2, "inputs": 3}):
        with pytest.raises(BadInput, match="USD per million"):
            price("anything", usage, wrong)


def test_a_provider_is_known_by_its_address() -> None:
    assert provider_of("https://api.openai.com/v1") == "openai"
    assert provider_of("https://api.groq.com/openai/v1") == "groq"
    assert provider_of("http://127.0.0.1:8000/v1") is None
