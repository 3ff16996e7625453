"""What the front matter of a prompt file may say, as the JSON Schema that files are checked and completed by."""

from __future__ import annotations

from afere.base.canonical import Json

SNIPPETS = "snippets"  # the field, and the name by which a template fills them in
VERSIONED = ("inputs", "output", "examples", SNIPPETS, "tools")  # fields of the front matter that a version holds
_SHORT = ("string", "number", "integer", "boolean", "array", "object", "null")
_SCHEMA: Json = {"type": "object"}
_PAIR: Json = {
    "type": "object",
    "required": ["input", "output"],
    "additionalProperties": False,
    "properties": {"input": {"type": ["string", "object"]}, "output": {}, "row": {"type": "string"}},
}

PROMPT_SCHEMA: dict[str, Json] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Front matter of a prompt file",
    "type": ["object", "null"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "description": "default: the file's stem"},
        "owner": {"type": "string"},
        "description": {"type": "string"},
        "model": {
            "type": "string",
            "description": "provider:model, provider/model, or a name under models: of afere.yaml",
        },
        "parameters": {"type": "object", "description": "sent to the model, such as temperature and max_tokens"},
        "inputs": {
            "type": "object",
            "description": "name: type, or name: a JSON Schema; one with a default may be left out",
            "additionalProperties": {"anyOf": [{"enum": list(_SHORT)}, _SCHEMA]},
        },
        "output": {"type": "object", "description": "JSON Schema of the answer; none: text"},
        "examples": {
            "description": "path, dataset ref, or a list of {input, output}: pairs before the last user message; "
            "{data: ..., nearest: N}: at each call the N that are nearest to what is asked",
            "type": ["string", "array", "object"],
            "items": _PAIR,
            "required": ["data", "nearest"],
            "additionalProperties": False,
            "properties": {
                "data": {"type": ["string", "array"], "items": _PAIR},
                "nearest": {"type": "integer", "minimum": 0, "maximum": 100},
                "by": {"type": "array", "minItems": 1, "items": {"type": "string"}},
                "embed": {
                    "type": "string",
                    "description": "hash (shared words; unless said), local, or a server's model",
                },
            },
        },
        "snippets": {
            "type": "object",
            "description": "name: path, dataset ref, or a list of texts; the template fills in {{ snippets.NAME }}",
            "propertyNames": {"pattern": "^[a-z][a-z0-9_]*$"},
            "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        },
        "tools": {"type": "array", "items": {"type": "string"}},
    },
}
