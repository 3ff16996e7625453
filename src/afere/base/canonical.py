"""One canonical form and one hash for everything that is frozen."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias, cast

import orjson
import rfc8785

from afere.base.errors import BadInput

_SAFE = 2**53

Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"


def canonical(value: Json) -> bytes:
    """RFC 8785 bytes of a JSON value. Refuses NaN, infinities and integers from 2**53."""
    if _simple(value):
        # Others write these values by the same rules, in a hundredth of the time of pure Python.
        try:
            # Copied, since the first holds on to a kilobyte, however short it is.
            return memoryview(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).tobytes()
        except TypeError:  # half a character, or very deep
            with suppress(UnicodeEncodeError):  # said below, in the words of the standard
                return _WRITE(value).encode()
    try:
        return rfc8785.dumps(cast("Any", value))
    except rfc8785.CanonicalizationError as error:
        raise BadInput(
            f"This value has no canonical JSON form: {error}. Use text for large or non-finite numbers."
        ) from None


_WRITE = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), check_circular=False).encode


def _simple(value: object) -> bool:
    """Whether RFC 8785 and the standard library agree on a value: no float (written otherwise), no integer that is
    refused, no key beyond ASCII (the order of UTF-16), no subclass."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return -_SAFE < cast("int", value) < _SAFE
    if kind is list:
        return all(map(_simple, cast("list[object]", value)))
    if kind is dict:
        held = cast("dict[object, object]", value)
        return all(type(key) is str and key.isascii() for key in held) and all(map(_simple, held.values()))
    return False


def digest(value: bytes) -> str:
    """`sha256:<64 hex>` of some bytes."""
    return "sha256:" + hashlib.sha256(value).hexdigest()


def digest_of(value: Json) -> str:
    """The digest of a JSON value's canonical form."""
    return digest(canonical(value))


def compact(value: object, *, sort_keys: bool = False) -> bytes:
    """JSON in UTF-8 without spaces, quickly; halves of surrogate pairs become `?`. ValueError for what is no number, TypeError
    for what is not JSON."""
    try:
        written = orjson.dumps(value, option=_SORTED if sort_keys else _PLAINLY)
    except TypeError:  # numbers beyond 64 bits, keys that are no texts, halves of a pair, or not JSON at all
        written = b"null"
    if b"null" not in written:  # which it also writes for NaN
        return written
    return (_SLOWLY_SORTED if sort_keys else _SLOWLY)(value).encode("utf-8", "replace")


_PLAINLY = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
_SORTED = _PLAINLY | orjson.OPT_SORT_KEYS
_SLOWLY = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False).encode
_SLOWLY_SORTED = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False, sort_keys=True
).encode


def parsed(text: bytes) -> Any:
    """What JSON says, quickly; ValueError if it is none. Numbers beyond 64 bits, and halves of surrogate pairs, are as
    `json.loads` reads them."""
    try:
        if _LONG(text) is None:
            return orjson.loads(text)
    except ValueError:
        pass
    return _STRICT(text.decode("utf-8", "replace"))


_LONG = re.compile(rb"[0-9]{19}").search  # what may be beyond 64 bits


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


_STRICT = json.JSONDecoder(parse_constant=_no_number).decode


def plain(value: object, *, where: str = "value") -> Json:
    """A deep copy of `value` made of plain JSON types, or BadInput naming the place that is not JSON."""
    try:
        return _copied(value)
    except TypeError:
        return _plain(value, where)


def _copied(value: object) -> Json:
    """As `plain`, for values that are of the plain types already; TypeError for all others."""
    kind = type(value)
    if (
        kind is str
        or value is None
        or kind is bool
        or kind is int
        or (kind is float and math.isfinite(cast("float", value)))
    ):
        return cast("Json", value)
    if kind is dict:
        held = cast("dict[object, object]", value)
        if all(type(key) is str for key in held):
            return {cast("str", key): _copied(item) for key, item in held.items()}
    elif kind is list or kind is tuple:
        return [_copied(item) for item in cast("list[object]", value)]
    raise TypeError


def _plain(value: object, where: str) -> Json:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise BadInput(f"{where} is {value}, which is not a JSON number. Use None for an unknown value.")
        return float(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v, f"{where}.{k}") for k, v in cast("Mapping[object, object]", value).items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [_plain(v, f"{where}[{i}]") for i, v in enumerate(cast("Sequence[object]", value))]
    to_json = getattr(cast("object", value), "to_json", None)
    if callable(to_json):
        return _plain(to_json(), where)
    raise BadInput(
        f"{where} is a {type(cast('object', value)).__name__}, which is not JSON. Give text, numbers, lists or dicts."
    )
