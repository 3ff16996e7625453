"""Personal data and secrets in text: found by shape and, where there is one, by checksum. Pure, linear in the text's length.

A shape is a hint, not a proof: phone numbers above all are found generously. Nothing is looked up anywhere.
"""

from __future__ import annotations

import ipaddress
import re
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
    return (
        9 <= digits <= 12 and any(c in " -./()" for c in text) and not re.fullmatch(r"[\d.]*|\d{4}-\d\d-\d\d.*", text)
    )


def _ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _any(_: str) -> bool:
    return True


# Every quantifier is bounded or followed by a character it cannot match, so that no text makes a search slower than linear.
_SECRETS = (
    r"sk-(?:proj-|ant-|or-|svcacct-)?[A-Za-z0-9_-]{20,200}",  # OpenAI, Anthropic, OpenRouter
    r"(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{36,251}",  # GitHub
    r"github_pat_[A-Za-z0-9_]{22,251}",
    r"glpat-[A-Za-z0-9_-]{20,64}",  # GitLab
    r"(?:AKIA|ASIA)[A-Z0-9]{16}",  # AWS
    r"AIza[A-Za-z0-9_-]{35}",  # Google
    r"xox[abeoprs]-[A-Za-z0-9-]{10,250}",  # Slack
    r"hf_[A-Za-z0-9]{30,64}",  # Hugging Face
    r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,128}",  # Stripe
    r"pypi-[A-Za-z0-9_-]{50,250}",
    r"npm_[A-Za-z0-9]{36}",
    r"gsk_[A-Za-z0-9]{40,64}",  # Groq
    r"eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,1000}",  # JSON Web Token
)

_SHAPES: dict[str, tuple[re.Pattern[str], Callable[[str], bool]]] = {
    "secret": (
        re.compile(
            r"(?<![A-Za-z0-9_-])(?:" + "|".join(_SECRETS) + r")"
            r"|-----BEGIN (?:[A-Z]{1,12} ){0,3}PRIVATE KEY-----[A-Za-z0-9+/=\s\\:,.-]{0,8000}?-----END (?:[A-Z]{1,12} ){0,3}PRIVATE KEY-----"
            r"|(?<=://)[^\s/:@]{1,100}:[^\s/@]{1,200}(?=@)"  # user:password@ in an address
            r"|(?<=[Bb]earer )[A-Za-z0-9._~+/-]{16,4000}=*"
        ),
        _any,
    ),
    "email": (
        re.compile(r"(?<![\w.+%-])[A-Za-z0-9_][\w.+%-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])"),
        _any,
    ),
    "iban": (
        re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?(?![A-Za-z0-9])"),
        _iban,
    ),
    "card": (re.compile(r"(?<![\d.-])\d(?:[ -]?\d){12,18}(?![\d-])"), _luhn),
    "ip": (
        re.compile(
            r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}(?!\.?\d)|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:]))(?!\w)"
        ),
        _ip,
    ),
    "phone": (re.compile(r"(?<![\w.+-])(?:\+|00)?\(?\d{1,4}\)?(?:[ ./-]{0,2}\(?\d{2,4}\)?){2,5}(?![\w-])"), _phone),
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
    taken: list[Finding] = []
    for kind, (shape, holds) in _SHAPES.items():
        if kind in asked:
            found = (Finding(kind, m.start(), m.end()) for m in shape.finditer(text) if holds(m.group()))
            earlier = list(taken)
            taken.extend(f for f in found if not any(f.start < t.end and t.start < f.end for t in earlier))
    return sorted(taken, key=lambda finding: finding.start)


def redact(text: str, kinds: Iterable[str] = KINDS) -> str:
    """The text with each finding replaced by its kind, such as `[email]`."""
    findings = detect(text, kinds)
    if not findings:
        return text
    pieces: list[str] = []
    end = 0
    for finding in findings:
        pieces += (text[end : finding.start], f"[{finding.kind}]")
        end = finding.end
    return "".join([*pieces, text[end:]])
