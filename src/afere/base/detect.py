"""Personal data and secrets in text: found by shape and, where there is one, by checksum. Pure, linear in the text's length.

A shape is a hint, not a proof: phone numbers above all are found generously. Nothing is looked up anywhere.
"""

from __future__ import annotations

import ipaddress
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from afere.base.errors import BadInput


@dataclass(frozen=True, slots=True)
class Finding:
    """A stretch of text, `text[start:end]`, and what it is."""

    kind: str
    start: int
    end: int


def _luhn(text: str) -> bool:
    digits = [int(c) for c in text if c.isdigit()]
    doubled = [d if i % 2 == 0 else d * 2 - 9 * (d > 4) for i, d in enumerate(reversed(digits))]
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and sum(doubled) % 10 == 0


def _iban(text: str) -> bool:
    plain = text.replace(" ", "")
    return 15 <= len(plain) <= 34 and int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def _phone(text: str) -> bool:
    digits = sum(c.isdigit() for c in text)
    if text.startswith(("+", "00")):
        return 8 <= digits <= 15
    # Without a country code only numbers written in groups: a bare run of digits is more often an id or an amount.
    grouped = any(c in " -/()" for c in text) and re.match(r"\d{4}-\d\d-\d\d", text) is None
    return grouped and 9 <= digits <= (11 if text[0] in "(0" else 10)


def _ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return len(text) > 2  # "::" is an address, but hardly ever meant as one


def _any(_: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a kind looks like. A text without any of the hints is not searched at all."""

    pattern: re.Pattern[str]
    holds: Callable[[str], bool]
    hints: tuple[str, ...]

    def possible(self, text: str) -> bool:
        for hint in self.hints:  # noqa: SIM110  a third of the time of any(), for every text of every span
            if hint in text:
                return True
        return False


# Every quantifier is bounded, and none can match what follows it in many ways: no text makes a search worse than linear.
_SECRETS = (
    r"sk-(?:proj-|ant-|or-|svcacct-)?[A-Za-z0-9_-]{20,200}",  # OpenAI, Anthropic, OpenRouter
    r"gh[pousr]_[A-Za-z0-9]{36,251}",  # GitHub
    r"github_pat_[A-Za-z0-9_]{22,251}",
    r"glpat-[A-Za-z0-9_-]{20,64}",  # GitLab
    r"A(?:KI|SI)A[A-Z0-9]{16}",  # AWS
    r"AIza[A-Za-z0-9_-]{35}",  # Google
    r"xox[abeoprs]-[A-Za-z0-9-]{10,250}",  # Slack
    r"hf_[A-Za-z0-9]{30,64}",  # Hugging Face
    r"[srp]k_(?:live|test)_[A-Za-z0-9]{16,128}",  # Stripe
    r"pypi-[A-Za-z0-9_-]{50,250}",
    r"npm_[A-Za-z0-9]{36}",
    r"gsk_[A-Za-z0-9]{40,64}",  # Groq
    r"eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,1000}",  # JSON Web Token
)
_PRIVATE_KEY = (
    r"-----BEGIN (?:[A-Z]{1,12} ){0,3}PRIVATE KEY-----(?:[A-Za-z0-9+/=\s\\:,.]|-(?!----)){0,8000}+"
    r"(?:-----END (?:[A-Z]{1,12} ){0,3}PRIVATE KEY-----)?"
)
_IN_ADDRESS = r"(?<=://)[^\s/:@]{1,100}:[^\s/@]{1,200}(?=@)"  # user:password@host
_BEARER = r"(?<=[Bb]earer )[A-Za-z0-9._~+/-]{16,4000}+=*"
_HINTS = (
    "sk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "AKIA", "ASIA", "AIza", "xox", "hf_", "k_live_",
    "k_test_", "pypi-", "npm_", "gsk_", "eyJ", "-----BEGIN ", "://", "earer ",
)  # fmt: skip
_SHORTEST = 6  # characters of the shortest finding, a@b.pt
_DIGITS = tuple("0123456789")

_SHAPES: dict[str, _Shape] = {
    "secret": _Shape(
        re.compile(rf"(?<![A-Za-z0-9_-])(?:{'|'.join(_SECRETS)})|{_PRIVATE_KEY}|{_IN_ADDRESS}|{_BEARER}"), _any, _HINTS
    ),
    "email": _Shape(
        re.compile(r"(?<![\w.+%-])\w[\w.+%-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])"), _any, ("@",)
    ),
    "iban": _Shape(
        re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?(?![A-Za-z0-9])"),
        _iban,
        _DIGITS,
    ),
    "card": _Shape(re.compile(r"(?<![\d.-])\d(?:[ -]?\d){12,18}(?![\d-])"), _luhn, _DIGITS),
    "ip": _Shape(
        re.compile(
            r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}(?!\.?\w)|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:]))"
        ),
        _ip,
        (".", ":"),
    ),
    "phone": _Shape(
        re.compile(r"(?<![\w.+(-])(?:\+|00)?\(?\d{1,4}+\)?(?:[ ./-]{0,2}\(?\d{2,4}+\)?){1,5}+(?![\w-])"),
        _phone,
        _DIGITS,
    ),
}
KINDS = tuple(_SHAPES)


def check_kinds(kinds: Iterable[str]) -> None:
    """BadInput, with the nearest kind, if one of these is not known."""
    for kind in kinds:
        if kind not in _SHAPES:
            near = get_close_matches(kind, KINDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise BadInput(f"{kind!r} cannot be detected.{hint} Kinds: {', '.join(KINDS)}.")


def detect(text: str, kinds: Iterable[str] = KINDS) -> list[Finding]:
    """What of these kinds is in the text, in order, without overlaps: the kind that `KINDS` names first wins."""
    asked = set(kinds)
    check_kinds(asked)
    taken: list[Finding] = []  # in order, without overlaps
    for kind, shape in _SHAPES.items():
        if kind in asked and shape.possible(text):
            found = [
                Finding(kind, match.start(), match.end())
                for match in shape.pattern.finditer(text)
                if shape.holds(match.group()) and _free(taken, match.start(), match.end())
            ]
            if found:
                taken = sorted([*taken, *found], key=_start)
    return taken


def possible(text: str, kinds: Iterable[str] = KINDS) -> bool:
    """Whether `detect` might find something in the text: quick, and never wrongly False."""
    return any(_SHAPES[kind].possible(text) for kind in kinds)


def _start(finding: Finding) -> int:
    return finding.start


def _free(taken: list[Finding], start: int, end: int) -> bool:
    after = bisect_left(taken, start, key=_start)
    return (after == len(taken) or taken[after].start >= end) and (after == 0 or taken[after - 1].end <= start)


def redact(text: str, kinds: Iterable[str] = KINDS) -> str:
    """The text with each finding replaced by its kind, such as `[email]`."""
    if len(text) < _SHORTEST:
        return text
    findings = detect(text, kinds)
    if not findings:
        return text
    pieces: list[str] = []
    end = 0
    for finding in findings:
        pieces += (text[end : finding.start], f"[{finding.kind}]")
        end = finding.end
    return "".join([*pieces, text[end:]])
