"""Row: one example of a dataset, and the rules for what people may write in one."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, cast

from afere.base.canonical import Json, canonical, plain
from afere.base.errors import BadData, BadInput

FIELDS = ("id", "input", "expected", "relevant", "output", "group", "tags", "split", "weight", "metadata")
_KINDS = {
    "NoneType": "null", "bool": "true or false", "int": "a number", "float": "a number", "str": "text", "list": "a list",
    "dict": "an object",
}  # fmt: skip
_CASE = ("input", "expected", "relevant", "output", "group")  # what a row's id is made of, with `metadata` if no input


@dataclass(frozen=True, slots=True)
class Row:
    """One example: what goes in, what is expected, and how it is to be counted.

    `relevant` holds ids of passages that a good search finds (`docs/a.md#2`); `group` clusters rows that belong together,
    such as turns of one session; `output` is an answer given elsewhere, to be scored as it is. Unknown is None.
    """

    id: str
    input: dict[str, Json] = field(default_factory=dict[str, "Json"])
    expected: Json = None
    output: Json = None
    relevant: tuple[str, ...] = ()
    group: str | None = None
    tags: tuple[str, ...] = ()
    split: str | None = None
    weight: float = 1.0
    metadata: dict[str, Json] = field(default_factory=dict[str, "Json"])

    def bind(self, parameters: Sequence[str] | None) -> dict[str, Json]:
        """The keyword arguments for a target with these parameters; None: it takes any.

        Without `input`, the keys of the row that match a parameter are the input; an input that was written as plain
        text is the only parameter, whatever its name. BadData if nothing fits.
        """
        if parameters is not None and len(parameters) == 1 and list(self.input) == ["input"]:
            return {parameters[0]: self.input["input"]}
        if not self.input:
            if parameters is None:
                return dict(self.metadata)
            found = {name: self.metadata[name] for name in parameters if name in self.metadata}
            if parameters and not found:
                keys = ", ".join(sorted(self.metadata)) or "none"
                raise BadData(
                    f"row {self.id}: no input for {', '.join(parameters)}; the row's own keys are: {keys}. "
                    f'Write "input": {{"{parameters[0]}": ...}}.'
                )
            return found
        strange = [] if parameters is None else [key for key in self.input if key not in parameters]
        if strange:
            near = get_close_matches(strange[0], parameters or (), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            left = [name for name in parameters or () if name not in self.input]
            without = f", and no {', '.join(map(repr, left))}" if left else ""
            raise BadData(
                f"row {self.id}: the target takes {', '.join(parameters or ()) or 'nothing'}, "
                f"but the row's input {'' if left else 'also '}has {', '.join(map(repr, strange))}{without}.{hint}"
            )
        return dict(self.input)

    def to_json(self) -> dict[str, Json]:
        return {
            "id": self.id, "input": self.input, "expected": self.expected, "relevant": list(self.relevant),
            "output": self.output, "group": self.group, "tags": list(self.tags), "split": self.split,
            "weight": self.weight, "metadata": self.metadata,
        }  # fmt: skip


class RowProblem(Exception):
    """One field of a row is wrong. `args[0]` names the field, what is wrong with it and the remedy."""


_DEFAULTS = {name: getattr(Row(""), name) for name in FIELDS}


def read_row(value: object) -> Row:
    """A row as people write it, checked. Without an id, `id` is empty. RowProblem says which field is wrong."""
    if not isinstance(value, Mapping):
        raise RowProblem(f'a row is an object such as {{"input": {{...}}}}, not {_kind(value)}')
    written = cast("Mapping[object, object]", value)
    known: dict[str, Any] = {}
    loose: dict[str, Json] = {}
    for key, item in written.items():
        name = str(key)
        clean = _json(name, item)
        if name in FIELDS:
            known[name] = clean
        else:
            loose[name] = clean
    metadata = _object("metadata", known.get("metadata"))
    if twice := sorted(metadata.keys() & loose.keys()):
        raise RowProblem(f"{twice[0]}: stands both in the row and in its metadata; keep one")
    row = Row(
        id=_id(known.get("id")),
        input=_input(known.get("input")),
        expected=known.get("expected"),
        output=known.get("output"),
        relevant=_texts("relevant", known.get("relevant"), '["docs/a.md#2"]'),
        group=_text("group", known.get("group")),
        tags=_texts("tags", known.get("tags"), '["edge"]'),
        split=_text("split", known.get("split")),
        weight=_weight(known.get("weight")),
        metadata=metadata | loose,
    )
    if not row.input and row.output is None and not loose and known.get("input") is None:
        raise RowProblem('input: missing; write the target\'s parameters, such as "input": {"question": "..."}')
    return row


def encode(row: Row) -> tuple[str, dict[str, bytes]]:
    """The id that a row's content gives it, and its fields in canonical JSON, for `line`. RowProblem names a field that has none.

    Fields at their default are left out, so that a field added later changes no digest.
    """
    parts: dict[str, bytes] = {}
    for name in sorted(FIELDS):
        value = getattr(row, name)
        if name == "id" or value == _DEFAULTS[name]:
            continue
        try:
            parts[name] = canonical(list(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else value)
        except BadInput as problem:
            raise RowProblem(f"{name}: {str(problem)[0].lower()}{str(problem)[1:].rstrip('.')}") from None
    case = [*_CASE, "metadata"] if not row.input else _CASE
    content = b",".join(name.encode() + b":" + parts[name] for name in case if name in parts)
    return "r-" + hashlib.sha256(content).hexdigest()[:10], parts


def line(id_: str, parts: Mapping[str, bytes]) -> bytes:
    """The row as one line of canonical JSON (RFC 8785: the fields' names sort as written)."""
    whole = {**parts, "id": canonical(id_)}
    return b"{" + b",".join(b'"%s":%s' % (name.encode(), whole[name]) for name in sorted(whole)) + b"}"


def short(row: Row) -> dict[str, Json]:
    """The row as people write it: fields at their default left out, and without input its own keys beside the others.

    `read_row` gives the same row again.
    """
    said = {name: value for name, value in row.to_json().items() if getattr(row, name) != _DEFAULTS[name]}
    if row.input:
        return said
    loose = {key: value for key, value in row.metadata.items() if key not in FIELDS}
    kept: dict[str, Json] = {key: value for key, value in row.metadata.items() if key in FIELDS}
    said.pop("metadata", None)
    if kept:
        said["metadata"] = kept
    if not loose and row.output is None:
        said["input"] = {}
    return {**said, **loose}


def from_line(text: bytes) -> Row:
    """A row of the store's own canonical lines; nothing is checked again."""
    made = cast("dict[str, Any]", _LINES.decode(text.decode()))
    for name in ("relevant", "tags"):
        made[name] = tuple(made.get(name, ()))
    made["weight"] = float(made.get("weight", 1))
    return Row(**made)


def _number(text: str) -> float:
    """Canonical JSON writes a large float like an integer; real integers of this size are refused when rows come in."""
    number = int(text)
    return number if abs(number) < 2**53 else float(text)


_LINES = json.JSONDecoder(parse_int=_number)


def _json(name: str, value: object) -> Json:
    try:
        return plain(value, where=name)
    except BadInput as problem:
        raise RowProblem(str(problem)) from None


def _kind(value: object) -> str:
    return _KINDS.get(type(value).__name__, f"a {type(value).__name__}")


def _object(name: str, value: Json) -> dict[str, Json]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RowProblem(f'{name}: must be an object such as {{"question": "..."}}, not {_kind(value)}')
    return value


def _input(value: Json) -> dict[str, Json]:
    """An object, or the value of the only parameter."""
    return {"input": value} if value is not None and not isinstance(value, dict) else _object("input", value)


def _text(name: str, value: Json) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise RowProblem(f"{name}: must be text, not {_kind(value)}")
    return str(value)


def _texts(name: str, value: Json, example: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise RowProblem(f"{name}: must be a list of text such as {example}, not {_kind(value)}")
    return tuple(dict.fromkeys(cast("list[str]", value)))


def _id(value: Json) -> str:
    text = _text("id", value)
    if text is None:
        return ""
    if len(text) > 200 or not text.isprintable() or text != text.strip():
        raise RowProblem("id: must be at most 200 printable characters without spaces around it")
    return text


def _weight(value: Json) -> float:
    if value is None:
        return 1.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise RowProblem(
            f"weight: must be a number from 0 up, not {_kind(value)}" + (f" ({value})" if value != "" else "")
        )
    return float(value)
