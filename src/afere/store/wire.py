"""What the store keeps, as JSON between a server and those who have it as their store: nothing is lost on the way.

Other than `to_json`, which is for people and scripts: times stay nanoseconds here, and every field is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, cast

from afere.base.artifact import AliasMove, Artifact, Use
from afere.base.canonical import Json
from afere.base.errors import BadInput
from afere.base.score import Score
from afere.base.span import Span, Trace
from afere.store.actors import Key, Person
from afere.store.audit import AuditLine
from afere.store.page import Page, Shown

T = TypeVar("T")
S = TypeVar("S", bound=Shown)

VERSION = 1  # of the addresses below /api/store/, and of this form
KINDS: Mapping[str, type] = {
    "artifacts": Artifact, "aliases": AliasMove, "scores": Score, "audit": AuditLine, "spans": Span,
}  # fmt: skip
# What a field may hold, by how it is declared; what is not here is any JSON.
_HOLDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "str | None": (str, type(None)),
    "int": (int,),
    "int | None": (int, type(None)),
    "float | None": (float, int, type(None)),
    "bool": (bool,),
    "Status": (str,),
    "dict[str, Json]": (dict,),
    "dict[str, Json] | None": (dict, type(None)),
}


def encode(value: object) -> Json:
    """A value of the store, or a list or mapping of such, as JSON."""
    if type(value) in _PLAIN:  # most of what there is
        return cast("Json", value)
    if isinstance(value, Mapping):
        return {str(key): encode(below) for key, below in cast("Mapping[object, object]", value).items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [encode(below) for below in cast("Sequence[object]", value)]
    if is_dataclass(value) and not isinstance(value, type):
        return {name: encode(getattr(value, name)) for name, _ in _fields(type(value))}
    return cast("Json", value)


_PLAIN = frozenset({str, int, float, bool, type(None)})


@cache
def _fields(kind: type) -> tuple[tuple[str, str], ...]:
    """Name and declared type of what is kept of a kind."""
    return tuple((one.name, str(one.type)) for one in fields(kind) if not one.name.startswith("_"))


def decode(kind: type[T], value: Json) -> T:
    """A value of that kind from JSON. BadInput where it is none; fields that are not known here are left out."""
    if not isinstance(value, dict):
        raise BadInput(f"A {kind.__name__} is a JSON object, not {type(value).__name__}.")
    given: dict[str, Any] = {
        name: _field(kind, name, declared, value[name]) for name, declared in _fields(kind) if name in value
    }
    try:
        return kind(**given)
    except TypeError as error:
        raise BadInput(f"This is no {kind.__name__}: {error}.") from None


def decode_list(kind: type[T], value: Json) -> list[T]:
    """Several of them."""
    if not isinstance(value, list):
        raise BadInput(f"A list of {kind.__name__} was expected.")
    return [decode(kind, one) for one in value]


def decode_page(kind: type[S], value: Json) -> Page[S]:
    """A page of them."""
    if not isinstance(value, dict):
        raise BadInput("A page was expected.")
    following = value.get("next")
    return Page(tuple(decode_list(kind, value.get("items"))), following if isinstance(following, str) else None)


def _field(kind: type, name: str, declared: str, value: Json) -> Any:
    within = _WITHIN.get((kind, name))
    if within is not None:
        if not isinstance(value, list):
            raise BadInput(f"{kind.__name__}.{name} is a list, not {type(value).__name__}.")
        return within(value)
    if declared.startswith("list[") and not isinstance(value, list):
        raise BadInput(f"{kind.__name__}.{name} is a list, not {type(value).__name__}.")
    holds = _HOLDS.get(declared)
    if holds is not None and (not isinstance(value, holds) or (isinstance(value, bool) and bool not in holds)):
        raise BadInput(f"{kind.__name__}.{name} is {declared}, not {type(value).__name__}.")
    return value


def _pair(value: Json) -> tuple[str, str]:
    if not (isinstance(value, list) and len(value) == 2):
        raise BadInput("Two texts were expected.")
    return str(value[0]), str(value[1])


_WITHIN: dict[tuple[type, str], Callable[[list[Json]], Any]] = {
    (Artifact, "uses"): lambda value: tuple(decode(Use, one) for one in value),
    (Artifact, "aliases"): tuple,
    (Span, "artifacts"): lambda value: [_pair(one) for one in value],
    (Trace, "spans"): lambda value: tuple(decode(Span, one) for one in value),
    (Key, "scopes"): tuple,
    (Person, "roles"): lambda value: tuple(_pair(one) for one in value),
}
