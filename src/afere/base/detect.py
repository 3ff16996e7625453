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
from functools import lru_cache

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


def _check_digit(values: list[int], weights: Iterable[int]) -> int:
    """Modulo 11, as the Receita Federal of Brazil counts it."""
    rest = sum(value * weight for value, weight in zip(values, weights, strict=False)) % 11
    return 0 if rest < 2 else 11 - rest


def _cpf(text: str) -> bool:
    digits = [int(c) for c in text if c.isdigit()]
    return (
        len(digits) == 11
        and len(set(digits)) > 1
        and digits[9] == _check_digit(digits[:9], range(10, 1, -1))
        and digits[10] == _check_digit(digits[:10], range(11, 1, -1))
    )


def _cnpj(text: str) -> bool:
    values = [ord(c) - 48 for c in text if c.isalnum()]  # letters too, since July 2026
    weights = [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]
    return (
        len(values) == 14
        and len(set(values)) > 1
        and values[12] == _check_digit(values[:12], weights[1:])
        and values[13] == _check_digit(values[:13], weights)
    )


def _ssn(text: str) -> bool:
    area, group, serial = text.replace(" ", "-").split("-")
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


@lru_cache(maxsize=64)
def _screen(pattern: str) -> Callable[[object], bool]:
    """Whether a text has this, by an engine that is linear whatever the text: twenty times as fast as `re`.

    Imported late: a program that traces nothing never needs it.
    """
    import jsonschema_rs

    return jsonschema_rs.validator_for({"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions()).is_valid


def has(pattern: str, text: str) -> bool:
    """Whether a text has a pattern, which is one of our own, as Rust's `regex` reads them."""
    try:
        return _screen(pattern)(text)
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON may hold and UTF-8 may not
        return _screen(pattern)(text.encode("utf-8", "replace").decode())


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a kind looks like. `screen` finds all that `pattern` finds, and so does `closer`, which takes longer."""

    pattern: re.Pattern[str]
    holds: Callable[[str], bool]
    screen: str
    closer: str = ""

    def possible(self, text: str) -> bool:
        return has(self.screen, text) and (not self.closer or has(self.closer, text))


# Every quantifier is bounded, and none can match what follows it in many ways: no text makes a search worse than linear.
# Groups are atomic, `(?>...)`, and not possessive: `(...){n}+` matches wrongly in Python 3.11.0 to 3.11.4 (gh-106052).
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
    r"-----BEGIN (?:[A-Z]{1,12} ){0,3}PRIVATE KEY-----(?>(?:[A-Za-z0-9+/=\s\\:,.]|-(?!----)){0,8000})"
    r"(?:-----END (?:[A-Z]{1,12} ){0,3}PRIVATE KEY-----)?"
)
_IN_ADDRESS = r"(?<=://)[^\s/:@]{1,100}:[^\s/@]{1,200}(?=@)"  # user:password@host
_BEARER = r"(?<=[Bb]earer )[A-Za-z0-9._~+/-]{16,4000}+=*"
_SECRETS_BEGIN = (
    r"sk-[A-Za-z0-9_-]{20}|gh[pousr]_[A-Za-z0-9]{36}|github_pat_|glpat-|A(?:KI|SI)A[A-Z0-9]{16}|AIza|xox[abeoprs]-|hf_[A-Za-z0-9]{30}"
    r"|k_(?:live|test)_|pypi-[A-Za-z0-9_-]{50}|npm_[A-Za-z0-9]{36}|gsk_[A-Za-z0-9]{40}|eyJ[A-Za-z0-9_-]{10}|-----BEGIN "
    r"|://[^/:@]{1,100}:[^/@]{1,200}@|[Bb]earer [A-Za-z0-9._~+/-]{16}"
)
# A country code and six digits; or nine digits with something between them, or a bracket before.
_BETWEEN = r"[ ./()-]{0,4}"
_NUMBER_BEGINS = "|".join(
    [
        rf"(?:\+|00)(?:{_BETWEEN}[0-9]){{6}}",
        rf"\((?:{_BETWEEN}[0-9]){{9}}",
        *(rf"[0-9]{{{k}}}[ ./()-]{{1,4}}[0-9](?:{_BETWEEN}[0-9]){{{8 - k}}}" for k in range(1, 9)),
    ]
)
_SHORTEST = 6  # characters of the shortest finding, a@b.pt

_SHAPES: dict[str, _Shape] = {
    "secret": _Shape(
        re.compile(rf"(?<![A-Za-z0-9_-])(?:{'|'.join(_SECRETS)})|{_PRIVATE_KEY}|{_IN_ADDRESS}|{_BEARER}"),
        _any,
        _SECRETS_BEGIN,
    ),
    "email": _Shape(
        re.compile(r"(?<![\w.+%-])\w[\w.+%-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])"),
        _any,
        r"@[A-Za-z0-9-]{1,63}\.",
    ),
    "iban": _Shape(
        re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?(?![A-Za-z0-9])"),
        _iban,
        r"[A-Z]{2}[0-9]{2} ?[A-Z0-9]{4} ?[A-Z0-9]{4}",
    ),
    "card": _Shape(re.compile(r"(?<![0-9.-])[0-9](?:[ -]?[0-9]){12,18}(?![0-9-])"), _luhn, r"[0-9](?:[ -]?[0-9]){12}"),
    "cpf": _Shape(
        re.compile(r"(?<![\w.-])(?:[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}|[0-9]{11})(?![\w-])"),
        _cpf,
        r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}|[0-9]{11}",
    ),
    "cnpj": _Shape(
        re.compile(
            r"(?<![\w.-])(?:[A-Z0-9]{2}\.[A-Z0-9]{3}\.[A-Z0-9]{3}/[A-Z0-9]{4}-[0-9]{2}|[A-Z0-9]{12}[0-9]{2})(?![\w-])"
        ),
        _cnpj,
        r"/[A-Z0-9]{4}-[0-9]{2}|[A-Z0-9]{12}[0-9]{2}",
    ),
    "ssn": _Shape(
        re.compile(r"(?<![\w.-])(?:[0-9]{3}-[0-9]{2}-[0-9]{4}|[0-9]{3} [0-9]{2} [0-9]{4})(?![\w-])"),
        _ssn,
        r"[0-9]{3}[ -][0-9]{2}[ -][0-9]{4}",
    ),
    "ip": _Shape(
        re.compile(
            r"(?<![\w.:])(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?!\.?\w)|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:]))"
        ),
        _ip,
        r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|:[0-9A-Fa-f]{0,4}:",
    ),
    "phone": _Shape(
        re.compile(r"(?<![\w.+(-])(?:\+|00)?\(?[0-9]{1,4}+\)?(?>(?:[ ./-]{0,2}\(?[0-9]{2,4}+\)?){1,5})(?![\w-])"),
        _phone,
        r"[0-9](?:[ ./()-]{0,4}[0-9]){7}",
        _NUMBER_BEGINS,
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
    asked = frozenset(kinds)
    check_kinds(asked)
    return _found(text, [kind for kind in KINDS if kind in asked and _SHAPES[kind].possible(text)])


def _found(text: str, kinds: Iterable[str]) -> list[Finding]:
    taken: list[Finding] = []  # in order, without overlaps
    for kind in kinds:
        shape = _SHAPES[kind]
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
    # One after the other: several small ones are searched by their literals, all in one are not.
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
