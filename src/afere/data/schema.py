"""A JSON Schema inferred from rows: which fields there are, of which types, and which are in every row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from afere.base.canonical import Json
from afere.data.rows import Row

_DEPTH = 4  # nested deeper, a value is described by its type alone
_KEYS = 200  # an object with more keys than this is used as a table: its keys are data, not fields

_TYPES = {
    "NoneType": "null", "bool": "boolean", "int": "integer", "float": "number", "str": "string", "list": "array",
    "dict": "object",
}  # fmt: skip


def infer(rows: Iterable[Row]) -> dict[str, Json]:
    """The schema that all these rows fit: of `input`, and of `expected`, `output` and `metadata` where they stand."""
    whole = _Shape()
    for row in rows:
        whole.see(written(row), 0)
    return whole.schema()


def written(row: Row) -> dict[str, Json]:
    """What a schema speaks about: the parts of a row that its author chooses the shape of."""
    optional: dict[str, Json] = {"expected": row.expected, "output": row.output, "metadata": row.metadata or None}
    return {"input": row.input, **{name: value for name, value in optional.items() if value is not None}}


@dataclass(slots=True)
class _Shape:
    """What has been seen at one place."""

    types: set[str] = field(default_factory=set[str])
    objects: int = 0
    keys: dict[str, _Shape] = field(default_factory=dict[str, "_Shape"])
    seen: dict[str, int] = field(default_factory=dict[str, int])
    items: _Shape | None = None
    table: bool = False

    def see(self, value: Json, depth: int) -> None:
        self.types.add(_type(value))
        if depth == _DEPTH:
            return
        if isinstance(value, dict) and not self.table:
            self.objects += 1
            for key, item in value.items():
                self.seen[key] = self.seen.get(key, 0) + 1
                self.keys.setdefault(key, _Shape()).see(item, depth + 1)
            if len(self.keys) > _KEYS:
                self.table, self.keys, self.seen = True, {}, {}
        elif isinstance(value, list):
            self.items = self.items or _Shape()
            for item in value:
                self.items.see(item, depth + 1)

    def schema(self) -> dict[str, Json]:
        types = sorted(self.types - ({"integer"} if "number" in self.types else set()))
        made: dict[str, Json] = {}
        if types:
            made["type"] = types[0] if len(types) == 1 else list[Json](types)
        if self.keys:
            made["properties"] = {key: shape.schema() for key, shape in sorted(self.keys.items())}
            always: list[Json] = [key for key in sorted(self.keys) if self.seen[key] == self.objects]
            if always:
                made["required"] = always
        if self.items is not None and self.items.types:
            made["items"] = self.items.schema()
        return made


def _type(value: Json) -> str:
    return _TYPES[type(value).__name__]
