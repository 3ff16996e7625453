"""What a function takes, as a JSON Schema from its type hints, and JSON turned back into those types."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Annotated, Any, Literal, Union, cast

from afere.base.canonical import Json
from afere.base.errors import BadInput

_SIMPLE: dict[object, dict[str, Json]] = {
    str: {"type": "string"}, int: {"type": "integer"}, float: {"type": "number"}, bool: {"type": "boolean"},
    type(None): {"type": "null"}, Any: {}, object: {},
    datetime.datetime: {"type": "string", "format": "date-time"}, datetime.date: {"type": "string", "format": "date"},
}  # fmt: skip
_LISTS = (list, tuple, set, frozenset, Sequence, Set)


def hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The type of each parameter that a caller may give by name; Any where none is written."""
    try:
        known = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as problem:
        raise BadInput(f"{_name(function)}: its type hints cannot be read: {problem}.") from None
    found: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise BadInput(f"{_name(function)}: {name} can only be given by position; a model gives arguments by name.")
        found[name] = known.get(name, Any)
    return found


def parameters_of(function: Callable[..., Any]) -> dict[str, Json]:
    """The JSON Schema of the object of arguments that `function` takes."""
    properties: dict[str, Json] = {}
    required: list[Json] = []
    signature = inspect.signature(function)
    for name, hint in hints(function).items():
        properties[name] = schema_of(hint, f"{_name(function)}: {name}")
        if signature.parameters[name].default is inspect.Parameter.empty:
            required.append(name)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def schema_of(hint: Any, where: str) -> dict[str, Json]:
    """The JSON Schema of a type. `Annotated[str, "what it is"]` carries a description."""
    if hint in _SIMPLE:
        return dict(_SIMPLE[hint])
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        said = [text for text in arguments[1:] if isinstance(text, str)]
        inner = schema_of(arguments[0], where)
        return {**inner, "description": said[0]} if said else inner
    if origin in (Literal, Union, types.UnionType):
        several = [schema_of(part, where) for part in arguments] if origin is not Literal else []
        return {"anyOf": list[Json](several)} if several else {"enum": list(arguments)}
    if (origin or hint) in (*_LISTS, dict, Mapping):
        return _schema_of_many(origin or hint, arguments, where)
    if isinstance(hint, type):
        return _schema_of_class(cast("type[Any]", hint), where)
    raise BadInput(
        f"{where} has the type {hint!r}, which no model can give. Use text, numbers, lists, dicts or records."
    )


def _schema_of_many(kind: Any, arguments: tuple[Any, ...], where: str) -> dict[str, Json]:
    if kind in _LISTS:
        items = [part for part in arguments if part is not Ellipsis]
        return {"type": "array", "items": schema_of(items[0], where)} if len(items) == 1 else {"type": "array"}
    if len(arguments) == 2:
        return {"type": "object", "additionalProperties": schema_of(arguments[1], where)}
    return {"type": "object"}


def _schema_of_class(kind: type[Any], where: str) -> dict[str, Json]:
    if issubclass(kind, enum.Enum):
        return {"enum": [cast("Json", member.value) for member in kind]}
    if typing.is_typeddict(kind):
        fields = typing.get_type_hints(kind, include_extras=True)
        wanted: frozenset[str] = getattr(kind, "__required_keys__", frozenset())
        # Where annotations are kept as text, the class itself does not see NotRequired.
        needed = frozenset(
            name for name, hint in fields.items()
            if typing.get_origin(hint) is typing.Required
            or (name in wanted and typing.get_origin(hint) is not typing.NotRequired)
        )  # fmt: skip
        return _record({name: _unwrapped(hint) for name, hint in fields.items()}, needed, where)
    if dataclasses.is_dataclass(kind):
        fields = typing.get_type_hints(kind, include_extras=True)
        missing = dataclasses.MISSING
        needed = frozenset(
            field.name
            for field in dataclasses.fields(kind)
            if field.default is missing and field.default_factory is missing
        )
        return _record({field.name: fields[field.name] for field in dataclasses.fields(kind)}, needed, where)
    written = getattr(kind, "model_json_schema", None)  # a pydantic model
    if callable(written):
        return cast("dict[str, Json]", written())
    raise BadInput(
        f"{where} has the type {kind.__name__}, which no model can give. Use text, numbers, lists, dicts or records."
    )


def _record(fields: Mapping[str, Any], needed: Set[str], where: str) -> dict[str, Json]:
    properties: Json = {name: schema_of(hint, f"{where}.{name}") for name, hint in fields.items()}
    required: Json = [name for name in fields if name in needed]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _unwrapped(hint: Any) -> Any:
    return typing.get_args(hint)[0] if typing.get_origin(hint) in (typing.Required, typing.NotRequired) else hint


def made(hint: Any, value: Json) -> Any:
    """`value`, which fits the schema of `hint`, as that type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Annotated, typing.Required, typing.NotRequired):
        return made(arguments[0], value)
    if origin in (Union, types.UnionType):
        return _made_of_union(arguments, value)
    if isinstance(value, list):
        return _made_list(origin or hint, arguments, value)
    if isinstance(value, dict) and len(arguments) == 2:
        return {key: made(arguments[1], item) for key, item in value.items()}
    return _made_class(cast("type[Any]", hint), value) if isinstance(hint, type) else value


def _made_class(kind: type[Any], value: Json) -> Any:
    if issubclass(kind, enum.Enum):
        return kind(value)
    if issubclass(kind, float) and isinstance(value, int):
        return float(value)
    if issubclass(kind, datetime.date) and isinstance(value, str):
        return kind.fromisoformat(value)
    if isinstance(value, dict) and dataclasses.is_dataclass(kind):
        fields = typing.get_type_hints(kind)
        return kind(**{name: made(fields[name], item) for name, item in value.items()})
    read = getattr(kind, "model_validate", None)  # a pydantic model
    return read(value) if callable(read) else value


def _made_of_union(parts: tuple[Any, ...], value: Json) -> Any:
    from afere.base.document import schema_problem

    for part in parts:
        if schema_problem(value, schema_of(part, "")) is None:
            return made(part, value)
    return value


def _made_list(kind: Any, arguments: tuple[Any, ...], value: list[Json]) -> Any:
    items = [part for part in arguments if part is not Ellipsis]
    values: list[Any] = [made(items[0], item) for item in value] if len(items) == 1 else list(value)
    if kind is tuple:
        return tuple(values)
    if kind is frozenset:
        return frozenset(values)
    return set(values) if kind in (set, Set) else values


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", function))
