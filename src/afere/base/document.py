"""YAML and JSON that people write: parsed with line numbers, checked against a JSON Schema, with errors that point.

YAML is read by its 1.2 core schema: `no`, `on` and `12:30` are text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice
from typing import Any, cast

from afere.base.canonical import Json, canonical
from afere.base.errors import BadInput
from afere.base.once import Once

_SCALARS: tuple[tuple[re.Pattern[str], Callable[[str], Json]], ...] = (
    (re.compile(r"~|null|Null|NULL|"), lambda _: None),
    (re.compile(r"true|True|TRUE"), lambda _: True),
    (re.compile(r"false|False|FALSE"), lambda _: False),
    (re.compile(r"[-+]?[0-9]+"), int),
    (re.compile(r"0o[0-7]+"), lambda text: int(text[2:], 8)),
    (re.compile(r"0x[0-9a-fA-F]+"), lambda text: int(text, 16)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
)
_HALVES = re.compile("[\ud800-\udfff]")
_MAX_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed text: its value, and the line of each place in it (`("inputs", "question") -> 7`)."""

    value: Json
    file: str
    lines: Mapping[tuple[str | int, ...], int] = field(default_factory=dict[tuple[str | int, ...], int])

    def at(self, path: Sequence[str | int]) -> str:
        """`file:line` of the nearest known place at or above `path`."""
        place = tuple(path)
        while place and place not in self.lines:
            place = place[:-1]
        return f"{self.file}:{self.lines[place]}" if place in self.lines else self.file


def read_yaml(text: str, *, file: str, first_line: int = 1, error: type[BadInput] = BadInput) -> Document:
    """Parse YAML; `first_line` is the line of the file at which `text` begins."""
    import yaml

    try:
        node = cast("Any", yaml.compose(text, Loader=yaml.SafeLoader))  # pyright: ignore[reportUnknownMemberType]
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        line = first_line + mark.line if mark else first_line
        raise error(f"{file}:{line}: this is not YAML: {problem.problem or problem.context}.") from None
    except yaml.YAMLError as problem:
        raise error(f"{file}:{first_line}: this is not YAML: {problem}.") from None
    lines: dict[tuple[str | int, ...], int] = {}

    def said(node: Any) -> str:
        value = str(node.value)
        if _HALVES.search(value):  # how JSON escapes what is beyond 16 bits; YAML leaves the halves apart
            try:
                return value.encode("utf-16", "surrogatepass").decode("utf-16")
            except UnicodeDecodeError:
                line = first_line + node.start_mark.line
                raise error(f"{file}:{line}: half a character (\\ud800 to \\udfff without its other half).") from None
        return value

    def build(node: Any, path: tuple[str | int, ...]) -> Json:
        line = first_line + node.start_mark.line
        lines.setdefault(path, line)
        if len(path) > _MAX_DEPTH:
            raise error(f"{file}:{line}: nested more than {_MAX_DEPTH} deep.")
        if isinstance(node, yaml.MappingNode):
            mapping: dict[str, Json] = {}
            for key_node, value_node in cast("list[tuple[Any, Any]]", node.value):
                if not isinstance(key_node, yaml.ScalarNode):
                    raise error(f"{file}:{line}: a key must be text.")
                key = said(key_node)
                if key in mapping:
                    raise error(f"{file}:{first_line + key_node.start_mark.line}: {key!r} stands here twice.")
                lines[(*path, key)] = first_line + key_node.start_mark.line
                mapping[key] = build(value_node, (*path, key))
            return mapping
        if isinstance(node, yaml.SequenceNode):
            return [build(item, (*path, i)) for i, item in enumerate(cast("list[Any]", node.value))]
        value = said(node)
        if node.style is not None:
            return value
        for pattern, make in _SCALARS:
            if pattern.fullmatch(value):
                return make(value)
        return value

    if node is None:
        return Document(None, file, {(): first_line})
    seen = _expanded_size(node, {})
    if seen > 200_000:
        raise error(
            f"{file}:{first_line}: its aliases expand to {seen} values. Write it without so many '*' references."
        )
    return Document(build(node, ()), file, lines)


def _expanded_size(node: Any, sizes: dict[int, float]) -> float:
    """How many values a YAML tree has once its aliases are expanded (so that ten lines cannot fill the memory)."""
    if id(node) in sizes:
        return sizes[id(node)]
    sizes[id(node)] = math.inf  # a node that contains itself stays infinite
    total = 1.0
    children: Any = node.value
    if not isinstance(children, str):
        for item in cast("list[Any]", children):
            total += sum(
                _expanded_size(part, sizes)
                for part in cast("tuple[Any, ...]", item if isinstance(item, tuple) else (item,))
            )
    sizes[id(node)] = total
    return total


@lru_cache(maxsize=64)
def _validator(schema: bytes) -> Any:
    import jsonschema_rs

    return jsonschema_rs.validator_for(schema.decode(), retriever=_not_fetched)


def _not_fetched(address: str) -> Json:
    """A schema stands alone: one that others wrote must not make us read a file or call an address."""
    raise ValueError(f"it refers to {address}, and nothing is fetched for a schema")


def schema_fault(schema: Mapping[str, Json]) -> str | None:
    """Why this is no JSON Schema that can be used; None if it is one."""
    try:
        _validator(canonical(dict(schema)))
    except Exception as problem:  # a library of another language raises what it likes
        return str(problem).split("\n", 1)[0]
    return None


def check(document: Document, schema: Mapping[str, Json], *, error: type[BadInput] = BadInput) -> None:
    """Raise `error` naming file, line and field for the first places that do not fit the JSON Schema (at most five)."""
    problems = list(islice(_problems(document, schema, document.value, ()), 5))
    if problems:
        raise error("\n".join(problems))


def _problems(document: Document, schema: Mapping[str, Json], value: Json, at: Sequence[str | int]) -> Iterator[str]:
    """What does not fit of a value that stands at this place of the document."""
    for problem in _validator(canonical(dict(schema))).iter_errors(value):
        path = [*at, *cast("list[str | int]", list(problem.instance_path))]
        where = ".".join(str(part) for part in path)
        below = cast("list[str | int]", list(problem.schema_path))
        unknown = cast("list[str]", getattr(problem.kind, "unexpected", None) or [])
        fields = _fields(schema, below[:-1])
        for name in unknown:
            yield (
                f"{document.at([*path, name])}: there is no field {name!r}{' in ' + where if where else ''}."
                f"{_nearest(name, fields)}{' Fields: ' + ', '.join(fields) + '.' if fields else ''}"
            )
        if unknown:
            continue
        form = _form(schema, below, problem.instance)
        if form is not None:
            yield from _problems(document, form, problem.instance, path)
        else:
            said = _choices(schema, below, problem.instance)
            yield f"{document.at(path)}: {where or 'the top'}: {said or problem.message}"


def _form(schema: Mapping[str, Json], path: Sequence[str | int], value: Any) -> Mapping[str, Json] | None:
    """Of several forms the one that a mapping or a list was meant for, where there is one; what it lacks says more than that
    none fits."""
    kind = "object" if isinstance(value, dict) else "array" if isinstance(value, list) else None
    forms = _at(schema, path) if path and path[-1] == "anyOf" else None
    meant = [one for one in cast("list[dict[str, Json]]", forms or []) if one.get("type") == kind]
    return meant[0] if len(meant) == 1 and b'"$ref"' not in canonical(meant[0]) else None


def _at(schema: Any, path: Sequence[str | int]) -> Any:
    """What stands at a place of a schema; None where nothing does."""
    for part in path:
        try:
            schema = schema[part]
        except (KeyError, IndexError, TypeError):
            return None
    return schema


def _fields(schema: Mapping[str, Json], path: Sequence[str | int]) -> list[str]:
    """The names of the properties that the schema knows at this place of its own."""
    found = _at(schema, path)
    if not isinstance(found, Mapping):
        return []
    return list(cast("Mapping[str, Mapping[str, Json]]", found).get("properties") or ())


_TYPES = {"object": "a mapping", "array": "a list", "string": "a text", "null": "nothing", "boolean": "true or false"}


def _choices(schema: Mapping[str, Json], path: Sequence[str | int], value: Any) -> str | None:
    """What fits where a value fits none of several forms; None where it is another problem."""
    if not path or path[-1] != "anyOf":
        return None
    found = _at(schema, path)
    if found is None:
        return None
    words = [str(word) for one in found for word in one.get("enum", ())]
    forms = [_TYPES.get(one["type"], f"a {one['type']}") for one in found if isinstance(one.get("type"), str)]
    shown = value if isinstance(value, str | int | float) else _TYPES["array" if isinstance(value, list) else "object"]
    near = _nearest(value, words) if isinstance(value, str) else ""
    return f"{shown!r} does not fit.{near} Write {', or '.join([', '.join(words)] * bool(words) + forms)}."


def _nearest(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def schema_problem(value: Json, schema: Mapping[str, Json]) -> str | None:
    """What is wrong with `value` by the JSON Schema, in one line; None if nothing is."""
    validator = _validator_of(schema)
    if validator.is_valid(value):
        return None
    for problem in validator.iter_errors(value):
        path = ".".join(str(part) for part in problem.instance_path)
        return f"{path or 'value'}: {problem.message}"
    return None


_validator_of: Once[Mapping[str, Json], Any] = Once(lambda schema: _validator(canonical(dict(schema))))
