"""Picoschema, dotprompt's short way to write a JSON Schema, read into JSON Schema as dotprompt itself reads it."""

from __future__ import annotations

from typing import Any, cast

from afere.base.canonical import Json
from afere.base.errors import BadPrompt

_SCALARS = ("any", "boolean", "integer", "null", "number", "string")


def json_schema(value: Json, place: str) -> dict[str, Json]:
    """The JSON Schema that a `schema:` of dotprompt means, be it Picoschema or JSON Schema. BadPrompt names what is neither."""
    if isinstance(value, str):
        return _scalar(value, place)
    if not isinstance(value, dict):
        raise BadPrompt(f"{place}: a schema is a mapping or a type's name.")
    if value.get("type") in (*_SCALARS, "object", "array"):
        return value
    if isinstance(value.get("properties"), dict):
        return {**value, "type": "object"}
    return _object(value, place)


def _parsed(value: Json, place: str) -> dict[str, Json]:
    if isinstance(value, str):
        return _scalar(value, place)
    if isinstance(value, dict):
        return _object(value, place)
    raise BadPrompt(f"{place}: Picoschema has mappings and types' names only.")


def _scalar(text: str, place: str) -> dict[str, Json]:
    kind, description = _described(text)
    if kind not in _SCALARS:
        raise BadPrompt(
            f"{place}: the schema {kind!r} is one that a program registers; only {', '.join(_SCALARS)} are known by name."
        )
    schema: dict[str, Json] = {} if kind == "any" else {"type": kind}
    return schema | ({"description": description} if description else {})


def _object(fields: dict[str, Json], place: str) -> dict[str, Json]:
    properties: dict[str, Json] = {}
    required: list[Json] = []
    schema: dict[str, Json] = {"type": "object", "properties": properties, "additionalProperties": False}
    for key, value in fields.items():
        if key == "(*)":
            schema["additionalProperties"] = _parsed(value, f"{place}.{key}")
            continue
        name, bracket, info = key.partition("(")
        optional = name.endswith("?")
        name = name.removesuffix("?")
        if not optional:
            required.append(name)
        if bracket and not info.endswith(")"):
            raise BadPrompt(f"{place}.{key}: write it as {name}?(array), with the question mark before the bracket.")
        kind, description = _described(info.removesuffix(")")) if bracket else ("", "")
        found = _property(kind, value, f"{place}.{name}")
        if optional:
            found = _or_null(found)
        properties[name] = found | ({"description": description} if description else {})
    if required:
        schema["required"] = required
    return schema


def _property(kind: str, value: Json, place: str) -> dict[str, Json]:
    if kind in ("", "object"):
        return _parsed(value, place)
    if kind == "array":
        return {"type": "array", "items": _parsed(value, place)}
    if kind == "enum":
        return {"enum": value if isinstance(value, list) else [value]}
    raise BadPrompt(f"{place}: {kind!r} does not stand in brackets; Picoschema has array, object and enum there.")


def _or_null(schema: dict[str, Json]) -> dict[str, Json]:
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    if "enum" in schema:
        values = cast("list[Any]", schema["enum"])
        return {**schema, "enum": values if None in values else [*values, None]}
    return schema


def _described(text: str) -> tuple[str, str]:
    kind, _, description = text.partition(",")
    return kind.strip(), description.strip()
