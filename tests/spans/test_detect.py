"""Personal data and secrets are found by shape and checksum, and ordinary text is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afere.base import detect as module
from afere.base.detect import KINDS, detect, possible, redact
from afere.base.errors import BadInput


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("mail ana.reis+x@mail.example.org.", "mail [email]."),
        ("call +351 912 345 678 or (555) 123-4567 today", "call [phone] or [phone] today"),
        ("card 4111 1111 1111 1111, not 4111 1111 1111 1112", "card [card], not 4111 1111 1111 1112"),
        ("IBAN PT50 0002 0123 1234 5678 9015 4.", "IBAN [iban]."),
        ("GB82WEST12345698765432", "[iban]"),
        ("CPF 529.982.247-25 and 52998224725, not 529.982.247-26", "CPF [cpf] and [cpf], not 529.982.247-26"),
        ("CNPJ 11.222.333/0001-81, 12.ABC.345/01DE-35", "CNPJ [cnpj], [cnpj]"),
        ("SSN 536-22-8726, not A-000-22-8726", "SSN [ssn], not A-000-22-8726"),
        ("from 192.168.1.20 and 2001:db8::8a2e:370:7334", "from [ip] and [ip]"),
        ("AKIAIOSFODNN7EXAMPLE", "[secret]"),
        ("key=sk-ant-api03-" + "x" * 40, "key=[secret]"),
        ("ghp_" + "a1" * 18, "[secret]"),
        ("postgres://app:hunter2@db/x", "postgres://[secret]@db/x"),
        ("Authorization: Bearer abcdefghijklmnop123456", "Authorization: Bearer [secret]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----!", "[secret]!"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLi4", "[secret]"),
    ],
)
def test_what_should_not_rest_is_replaced_by_its_kind(text: str, becomes: str) -> None:
    assert redact(text) == becomes


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T14:32:07Z took 12:30:45, version 1.2.3, std::string, 10.5%",
        "order 1234567890123 costs 1,234,567.89; pages 100-200; 1999 2000",
        "sk-learn and sk-short, git commit 9c2ce03f8ab1c2d3e4f5a6b7c8d9e0f1a2b3c4d5",
        "see @ana and https://example.org/a:b?c=d",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert redact(text) == text


@given(st.text(max_size=300) | st.text(alphabet="0123456789 +-.:@abAB_/=", max_size=200))
def test_findings_are_in_order_and_never_overlap(text: str) -> None:
    found = detect(text)
    ends = [0, *(finding.end for finding in found)]
    assert all(end <= finding.start < finding.end <= len(text) for end, finding in zip(ends, found, strict=False))


@pytest.mark.parametrize(
    "piece", ["1 ", "11 ", "a@", "a@b.", "::", "eyJaaaaaaaaaaa.", "-----BEGIN PRIVATE KEY-----", "AB12 ABCD ", "sk-"]
)
def test_no_text_is_slow_to_search(piece: str) -> None:
    """A search that is worse than linear would not end in a lifetime on texts of this length."""
    assert len(redact(piece * (200_000 // len(piece)))) > 0


@given(st.text(max_size=60) | st.text(alphabet="0123456789 +-.:()@/abABZ_=\ud800", max_size=60), st.sampled_from(KINDS))
def test_what_a_quick_look_rules_out_is_nowhere(text: str, kind: str) -> None:
    shape = module._SHAPES[kind]
    found = [one.group() for one in shape.pattern.finditer(text) if shape.holds(one.group())]
    assert possible(text, [kind]) or not found


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadInput, match="Did you mean 'email'"):
        redact("some text", ["emails"])
    assert set(KINDS) == {"email", "phone", "card", "iban", "cpf", "cnpj", "ssn", "ip", "secret"}
