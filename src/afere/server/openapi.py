"""`/openapi.json`: the addresses of programs, from the same table that serves them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

from afere.base.canonical import Json

if TYPE_CHECKING:
    from afere.server.app import Address

_PROBLEM: Json = {
    "description": "What happened and what to do next",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/problem"}}},
}
_SCORE: dict[str, Json] = {
    "target": {"type": "string", "description": "TRACE, TRACE/SPAN, a ref, dataset:NAME@VERSION/ROW, or a score's id"},
    "name": {"type": "string"},
    "value": {"type": ["boolean", "number", "string", "null"]},
    "why": {"type": "string"},
    "by": {"type": "string", "description": "person:NAME or user:NAME; default: who runs the server"},
}
_VIEW: dict[str, Json] = {
    "name": {"type": "string"},
    "filter": {"type": "string"},
    "sort": {"type": "string", "description": "start, latency or cost"},
    "remove": {"type": "boolean", "description": "true takes the view out of the list"},
}
_LABEL: dict[str, Json] = {
    "case": {"type": "string", "description": "ROW, or ROW#2 for its second run"},
    "word": {
        "type": "string",
        "description": "a word of the scale; left, right or same beside another; empty takes it back",
    },
    "name": {"type": "string", "description": "the judge or human entry; default: the first"},
    "with": {"type": "string", "description": "the number of the experiment that was read beside it"},
    "why": {"type": "string"},
    "by": {"type": "string", "description": "person:NAME; default: who is asking"},
}
_ACCEPT: dict[str, Json] = {
    "rule": {"type": "string", "description": "such as tools.unused"},
    "place": {"type": "string", "description": "the finding's"},
    "why": {"type": "string"},
    "until": {"type": "string", "format": "date", "description": "the last day on which it is accepted"},
    "withdraw": {"type": "boolean", "description": "true takes an acceptance back"},
}
_MOVE: dict[str, Json] = {
    "name": {"type": "string", "description": "kind:name, such as prompt:answer"},
    "alias": {"type": "string"},
    "to": {"type": ["string", "null"], "description": "a ref; null takes the alias away"},
    "why": {"type": "string"},
    "decision": {"type": "string", "description": "the decision that lets it in; a protected alias asks for one"},
}


_VERSION: dict[str, Json] = {
    "base": {"type": "integer", "description": "the newest version when the text was made; 0: there was none"},
    "text": {"type": "string", "description": "as a prompt file: inputs, output, examples, snippets, tools; messages"},
    "why": {"type": "string"},
}
_TRY: dict[str, Json] = {
    "models": {"type": "array", "items": {"type": "string"}, "description": "one to four, as ?show=try lists them"},
    "inputs": {"type": "object", "description": "the prompt's inputs by name; or give a dataset"},
    "dataset": {"type": "string", "description": "its name, or NAME@VERSION"},
    "ids": {"type": "array", "items": {"type": "string"}, "description": "of its rows, at most ten"},
    "first": {"type": "integer", "description": "without ids: so many rows from its beginning; default 3"},
    "cap": {"type": "number", "description": "USD; default 0.50"},
    "run": {"type": "boolean", "description": "false only estimates; default true"},
}


def describe(addresses: Sequence[Address]) -> Json:
    """The description of all that this server answers. Each path may also begin with `/{project}`."""
    paths: dict[str, Json] = {f"{one.path}.json": {"get": _read(one)} for one in addresses}
    paths["/scores"] = {"post": _change("Keep a person's score.", _SCORE, ["target", "name"])}
    paths["/labels/{number}"] = {"post": _change("Keep what a person says of an output.", _LABEL, ["case", "word"])}
    paths["/aliases"] = {"post": _change("Move an alias, with a reason.", _MOVE, ["name", "alias", "why"])}
    paths["/debt"] = {"post": _change("Accept a finding until a day, or take that back.", _ACCEPT, ["rule", "place"])}
    paths["/views"] = {"post": _change("Keep a view of the traces.", _VIEW, ["name"])}
    edited = "Keep a text as the next version of a prompt; what lint finds comes with it."
    paths["/prompts/{name}/versions"] = {"post": _change(edited, _VERSION, ["base", "text", "why"])}
    tried = "Ask models side by side what a version of a prompt asks; answers 200."
    paths["/prompts/{name}/{version}/try"] = {"post": _change(tried, _TRY, ["models"])}
    for path, text in (("/healthz", "The process answers."), ("/readyz", "The store can be read.")):
        paths[path] = {"get": {"summary": text, "responses": {"200": {"description": "yes"}}}}
    problem: Json = {
        "type": "object",
        "properties": {"title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"}},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "afere",
            "version": version("afere"),
            "description": "Without /{project} in front, the project that the server was started for answers.",
        },
        "paths": {re.sub(r":\w+}", "}", path): value for path, value in paths.items()},
        "components": {"schemas": {"problem": problem}},
    }


def _read(address: Address) -> Json:
    names = re.findall(r"{(\w+)(?::\w+)?}", address.path)
    parameters: list[Json] = [_parameter(name, "path") for name in names]
    parameters += [_parameter(name, "query") for name in address.query]
    return {
        "summary": (address.read.__doc__ or "").partition("\n")[0],
        "parameters": parameters,
        "responses": {
            "200": {"description": "The value of the page", "content": {"application/json": {}}},
            "default": _PROBLEM,
        },
    }


def _parameter(name: str, place: str) -> Json:
    return {"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}}


def _change(text: str, properties: dict[str, Json], required: list[Json]) -> Json:
    schema: Json = {"type": "object", "properties": properties, "required": required}
    return {
        "summary": text,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {
            "201": {"description": "What was kept", "content": {"application/json": {}}},
            "default": _PROBLEM,
        },
    }
