"""Rows as other tools write them: known by their keys, or told; each becomes a row of ours by a map of fields.

The maps are in `shapes.toml`. Nothing is lost: what no field takes goes to the row's metadata.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from itertools import chain, islice
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.errors import BadData
from afere.data.reading import Placed, opened
from afere.data.rows import FIELDS, RowProblem

OWN = "afere"  # the shape of our own rows
_OWN_MAP = "own"  # a map that somebody gave
_LOOKED_AT = 100  # rows whose keys say which shape it is
_ARGUMENTS = ("arguments", "args", "input_parameters", "inputParameters", "input")
_ROLES = {"human": "user", "ai": "assistant", "model": "assistant", "bot": "assistant"}
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function", *_ROLES})  # that a message may have
_GIVEN = frozenset({"output", "expected"})
_ANY = "*"
_OPEN = frozenset({"input", "metadata"})  # fields that a map may write into, `input.question`
_ANYWHERE = frozenset({"id", "tags", "split", "group", "weight", "metadata"})  # ours that mean the same elsewhere

Told = str | Mapping[str, str] | None  # the name of a shape, a map of one's own (our field -> their key), or nothing


@dataclass(frozen=True)
class Path:
    """Where a field is found: `expectations.expected_response`, `outputs.*`, `messages | asked`."""

    text: str
    steps: tuple[str, ...]
    reading: str = ""

    @classmethod
    def of(cls, text: str) -> Path:
        path, _, reading = text.partition("|")
        return cls(path.strip(), tuple(path.strip().split(".")), reading.strip())

    @property
    def key(self) -> str:
        """The key of the row that it starts at."""
        return self.steps[0].removesuffix("[]")

    def take(self, row: Mapping[str, Any]) -> tuple[Any, tuple[str, ...], bool] | None:
        """The value, the keys that lead to it, and whether it is all that stands there; None if it is not there."""
        value: Any = row
        keys: list[str] = []
        for i, step in enumerate(self.steps):
            if not isinstance(value, Mapping):
                return None
            here = cast("Mapping[str, Any]", value)
            if step == "*":
                if len(here) != 1:
                    return None
                keys.append(next(iter(here)))
            else:
                keys.append(step.removesuffix("[]"))
            value = here.get(keys[-1])
            if step.endswith("[]"):
                inner = self.steps[i + 1] if i + 1 < len(self.steps) else ""
                items = cast("list[Any]", value) if isinstance(value, list) else []
                value = [one[inner] for one in items if isinstance(one, Mapping) and inner in one] or None
                break
        if value is not None and self.reading:
            value = _READINGS[self.reading](value)
        whole = self.reading not in _PARTS and not any(step.endswith("[]") for step in self.steps)
        return None if value is None else (value, tuple(keys), whole)


@dataclass(frozen=True)
class Shape:
    """A way to write rows: by which keys it is known, and which of them becomes which field."""

    name: str
    title: str
    seen: str
    when: tuple[str, ...]
    maybe: tuple[str, ...]
    fields: Mapping[str, tuple[Path, ...]]
    omit: Mapping[str, Json] = field(default_factory=dict[str, "Json"])  # rows with one of these values are left out

    @property
    def keys(self) -> frozenset[str]:
        """The keys that it knows."""
        return frozenset(path.key for paths in self.fields.values() for path in paths)

    @property
    def omits(self) -> str:
        """Which rows are left out, in words: `being status ARCHIVED`."""
        return " or ".join(
            f"with {key}" if value == _ANY else f"being {key} {value if isinstance(value, str) else json.dumps(value)}"
            for key, value in self.omit.items()
        )

    def leaves_out(self, row: Mapping[Any, Any]) -> bool:
        return any(bool(row.get(key)) if value == _ANY else row.get(key) == value for key, value in self.omit.items())

    def known_by(self, keys: Collection[str], lines: Iterable[str]) -> bool:
        """Whether one of the lines is all there. Keys of ours that it does not know say that the rows are ours."""
        if {"expected", "relevant"} & set(keys) - self.keys:
            return False
        return any(all(self._holds(word, keys) for word in line.split()) for line in lines)

    def _holds(self, word: str, keys: Collection[str]) -> bool:
        if word == "only":
            return not set(keys) - self.keys
        return word[1:] not in keys if word[0] == "!" else word in keys

    def row(self, said: Mapping[str, Any], taken: dict[str, str]) -> dict[str, Json]:
        """A row of ours. What was read as what is noted in `taken`. RowProblem if what it needs is missing."""
        row: dict[str, Any] = {}
        used: set[tuple[str, ...]] = set()  # the paths of which nothing is left
        at: dict[str, tuple[str, ...]] = {}
        for target, paths in self.fields.items():
            found = next((one for path in paths if (one := path.take(said))), None)
            if found is None:
                continue
            value, keys, whole = found
            if whole:
                used.add(keys)
            if target in _GIVEN and value == {}:  # as MLflow writes a row that has none
                continue
            taken.setdefault(target, ".".join(keys))
            outer, dot, inner = target.partition(".")
            if dot:
                _into(row, outer, inner, value)
            else:
                row[target] = _input(value) if target == "input" else value
                at[target] = keys
        if "input" in at:
            row["input"] = _without(row["input"], at["input"], used)
        self._check(said, row)
        return self._with_rest(said, row, used)

    def _check(self, said: Mapping[str, Any], row: Mapping[str, Any]) -> None:
        if row.get("input") is not None or not any(name.split(".")[0] == "input" for name in self.fields):
            return
        wanted = " or ".join(
            dict.fromkeys(
                path.text for name, paths in self.fields.items() if name.split(".")[0] == "input" for path in paths
            )
        )
        there = ", ".join(list(said)[:8]) or "nothing"
        empty = any(key in said for key in wanted.split(" or "))
        raise RowProblem(
            f"{wanted}: {'empty, or not what it should be,' if empty else 'missing'} in a {self.title} row; it has: {there}. "
            "Write it, or say what the rows are: shape: afere, or shape: {input: KEY}"
        )

    def _with_rest(self, said: Mapping[str, Any], row: dict[str, Any], used: set[tuple[str, ...]]) -> dict[str, Json]:
        rest: dict[str, Any] = {}
        for key, value in said.items():
            left = (
                _left(value, {keys[1:] for keys in used if keys[0] == key}) if any(k[0] == key for k in used) else value
            )
            if left is None:
                continue
            if key in _ANYWHERE and key not in row and key not in {keys[0] for keys in used}:
                row[key] = left
            else:
                rest[key] = left
        if not isinstance(row.setdefault("metadata", {}), dict):
            return row | {
                key: value for key, value in rest.items() if key not in row
            }  # `metadata` itself is refused later
        metadata = cast("dict[str, Any]", row["metadata"])
        if isinstance(rest.get("metadata"), Mapping):
            rest |= {key: value for key, value in rest.pop("metadata").items() if key not in rest}
        for key, value in rest.items():
            metadata[key if key not in metadata else f"{self.name}.{key}"] = value
        return row


@dataclass
class Reading:
    """How rows were read: by which shape, and which key became which field."""

    shape: Shape
    taken: dict[str, str] = field(default_factory=dict[str, str])
    omitted: int = 0

    def __str__(self) -> str:
        """`read as Ragas rows: user_input -> input, reference -> expected`"""
        pairs = [f"{key} -> {name}" for name, key in self.taken.items() if key != name]
        left = f"; {self.omitted} left out, {self.shape.omits}" if self.omitted else ""
        return f"read as {self.shape.title} rows: {', '.join(pairs) or 'as they are'}{left}"


@cache
def shapes() -> dict[str, Shape]:
    """All shapes by name, in the order in which they are looked for."""
    text = files("afere.data").joinpath("shapes.toml").read_text(encoding="utf-8")
    return {name: _shape(name, said) for name, said in tomllib.loads(text).items()}


def _shape(name: str, said: Mapping[str, Any]) -> Shape:
    fields = {target: tuple(Path.of(text) for text in paths) for target, paths in said["fields"].items()}
    return Shape(
        name,
        said["title"],
        said["seen"],
        tuple(said["when"]),
        tuple(said.get("maybe", ())),
        fields,
        said.get("omit", {}),
    )


def told_in(text: str | None) -> Told:
    """What a command line says: a shape's name, or a map `expected=answer,input.question=q`."""
    if text is None or "=" not in text:
        return text
    pairs = [pair.partition("=") for pair in text.split(",")]
    if bad := next((name for name, equals, key in pairs if not equals or not key.strip()), None):
        raise BadData(f"--shape: {bad!r} has no key. Write our field = their key: expected=answer,input.question=q.")
    return {name.strip(): key.strip() for name, _, key in pairs}


def shape_of(told: Told) -> Shape | None:
    """The shape that was told; None for our own. BadData names the nearest, or what is wrong with a map."""
    if told is None or told == OWN:
        return None
    if isinstance(told, str):
        found = shapes().get(told.lower())
        if found is None:
            near = get_close_matches(told.lower(), [*shapes(), OWN], n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise BadData(
                f"There is no shape called {told!r}.{hint} Shapes: {', '.join([*shapes(), OWN])}; or a map of your own such "
                "as {input.question: q, expected: answer}."
            )
        return found
    for target in told:
        outer, dot, inner = target.partition(".")
        if outer not in FIELDS or (dot and (outer not in _OPEN or not inner)):
            raise BadData(
                f"shape: {target!r} is no field of a row. Fields: {', '.join(FIELDS)}, input.NAME and metadata.NAME."
            )
    return Shape(_OWN_MAP, "your own", "", (), (), {target: (Path.of(key),) for target, key in told.items()})


def shaped(placed: Iterable[Placed], label: str, told: Told = None) -> tuple[Iterator[Placed], Reading | None]:
    """Rows of ours from rows of any shape, and how they were read; None where they are ours already.

    `told`: the shape's name, or a map; without, the keys of the first rows say it. BadData where two shapes with other
    meanings have these keys.
    """
    rows = iter(placed)
    head = list(islice(rows, _LOOKED_AT))
    found = shape_of(told) if told is not None else _known(head, label)
    if found is None:
        return chain(head, rows), None
    reading = Reading(found)
    first = list(_read(head, reading, label))
    return chain(first, _read(rows, reading, label)), reading


def _read(placed: Iterable[Placed], reading: Reading, label: str) -> Iterator[Placed]:
    cells = label.lower().endswith((".csv", ".tsv"))
    for place, value in placed:
        if not isinstance(value, Mapping):
            yield place, value
            continue
        row = cast("Mapping[Any, Any]", value)
        if reading.shape.leaves_out(row):
            reading.omitted += 1
        else:
            yield place, _row(row, reading, cells)


def _row(value: Mapping[Any, Any], reading: Reading, cells: bool) -> object:
    said = {str(key): item for key, item in value.items() if item is not None}
    if cells:
        own = reading.shape.name == _OWN_MAP
        said = {key: item if own and key not in reading.shape.keys else opened(item) for key, item in said.items()}
    try:
        return reading.shape.row(said, reading.taken)
    except RowProblem as problem:
        return problem


def _known(head: Iterable[Placed], label: str) -> Shape | None:
    """The shape whose keys these rows have; None: ours."""
    rows = [cast("Mapping[Any, Any]", value) for _, value in head if isinstance(value, Mapping)]
    keys = {str(key) for row in rows for key, item in row.items() if item is not None}
    for one in shapes().values():
        if one.known_by(keys, one.when):
            return one
    several = [one for one in shapes().values() if one.known_by(keys, one.maybe)]
    if len(several) > 1:
        meanings = "; ".join(f"shape: {one.name} ({one.seen})" for one in several)
        raise BadData(
            f"{label}: these rows could be of {' or of '.join(one.title for one in several)}. Say which: {meanings}."
        )
    return several[0] if several else None


def messages_in(value: object) -> list[dict[str, Json]] | None:
    """A list of messages with `role` and `content`, whatever the tool calls them; None if it is no such list."""
    if not isinstance(value, list) or not value:
        return None
    made: list[dict[str, Json]] = []
    for one in cast("list[Any]", value):
        if not isinstance(one, Mapping):
            return None
        said = dict(cast("Mapping[str, Any]", one))
        role = said.pop("role", None) or said.pop("type", None) or said.pop("from", None)
        if not isinstance(role, str) or not ("content" in said or "value" in said or "tool_calls" in said):
            return None
        content = said.pop("content", said.pop("value", ""))
        # A message's id is new each time the tool makes the message: it would make another row of the same one.
        kept = {key: item for key, item in said.items() if item is not None and key not in ("type", "id")}
        if (calls := kept.pop("tools_called", None) or kept.get("tool_calls")) is not None:
            kept["tool_calls"] = [_call(one) for one in cast("list[Any]", calls)] if isinstance(calls, list) else calls
        made.append({"role": _ROLES.get(role, role), "content": content if content is not None else "", **kept})
    return made


def turns_of(messages: list[dict[str, Json]]) -> list[list[dict[str, Json]]]:
    """The turns of a conversation: each begins with the user's message (the first with what stands before it)."""
    turns: list[list[dict[str, Json]]] = [[]]
    for one in messages:
        if (
            one["role"] == "user"
            and any(said["role"] == "user" for said in turns[-1])
            and turns[-1][-1]["role"] != "user"
        ):
            turns.append([])
        turns[-1].append(one)
    return turns


def _asked(value: object) -> Json:
    """A conversation up to the last message of the user: what is still to be answered, with what was answered before."""
    messages = messages_in(value)
    if messages is None:
        return None
    last = max((i for i, one in enumerate(messages) if one["role"] == "user"), default=len(messages) - 1)
    return {"messages": [cast("Json", one) for one in messages[: last + 1]]}


def _replies(value: object) -> list[Json]:
    """What the assistant said last in each turn in which it said something."""
    said: list[Json] = []
    for turn in turns_of(messages_in(value) or []):
        replies = [one["content"] for one in turn if one["role"] == "assistant" and one["content"] not in ("", None)]
        said += replies[-1:]
    return said


def _answered(value: object) -> Json:
    replies = _replies(value)
    return replies[0] if len(replies) == 1 else replies or None


def _said(value: object) -> Json:
    """The whole conversation as an output, where the assistant spoke in it."""
    messages = messages_in(value)
    return {"messages": [cast("Json", one) for one in messages]} if messages and _replies(value) else None


def _texts(value: object) -> Json:
    items = cast("list[Any]", value) if isinstance(value, list) else [value]
    return [str(item) for item in items] or None


def _tools(value: object) -> Json:
    """Calls of tools as ours: name and arguments."""
    calls: list[Json] = []
    for one in cast("list[Any]", value) if isinstance(value, list) else []:
        call = _call(one)
        if isinstance(call, dict) and call.get("name"):
            given = call.get("arguments")
            calls.append({"name": call["name"], **({} if given is None else {"arguments": given})})
        else:
            calls.append(str(cast("object", one)))
    return calls or None


def _call(said: object) -> Json:
    """A call of a tool with its arguments under `arguments`; as OpenAI writes it, it stays."""
    if not isinstance(said, Mapping) or "function" in said:
        return cast("Json", said)
    call = dict(cast("Mapping[str, Any]", said))
    key = next((key for key in _ARGUMENTS if call.get(key) is not None), None)
    if key is not None:
        call["arguments"] = call.pop(key)
    return call


def _called(value: object) -> Json:
    """The calls that a conversation's last turn asks for."""
    turns = turns_of(messages_in(value) or [])
    calls = [
        call
        for one in (turns[-1] if turns else [])
        if one["role"] == "assistant"
        for call in _listed(one.get("tool_calls"))
    ]
    return _tools(
        [cast("Mapping[str, Any]", one).get("function", one) if isinstance(one, Mapping) else one for one in calls]
    )


def _listed(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _parts(value: object) -> Json:
    """Texts that DeepEval joined by bars when it wrote them into one cell."""
    return cast("Json", value.split("|") if isinstance(value, str) else value)


def _one(value: object) -> Json:
    return (str(cast("list[Any]", value)[0]) if value else None) if isinstance(value, list) else str(value)


_READINGS: dict[str, Callable[[object], Json]] = {
    "asked": _asked, "answered": _answered, "said": _said, "texts": _texts, "one": _one, "tools": _tools, "called": _called,
    "parts": _parts,
}  # fmt: skip


_PARTS = frozenset(
    {"one", "tools", "called"}
)  # readings that may leave something behind, so that the whole is kept beside


def _input(value: Any) -> Any:
    """An input that is a list of messages is a conversation."""
    messages = messages_in(value)
    return {"messages": messages} if messages is not None else value


def _without(value: Any, at: tuple[str, ...], used: set[tuple[str, ...]]) -> Any:
    """An input without what other fields took out of it: the answer that stands beside the question is none of its arguments."""
    inner = {keys[len(at)] for keys in used if keys[: len(at)] == at and len(keys) > len(at)}
    if not inner or not isinstance(value, Mapping):
        return value
    return {key: item for key, item in cast("Mapping[str, Any]", value).items() if key not in inner}


def _into(row: dict[str, Any], outer: str, inner: str, value: Any) -> None:
    held = row.get(outer)
    row[outer] = {**(held if isinstance(held, dict) else {} if held is None else {outer: held}), inner: value}


def _left(value: Any, used: set[tuple[str, ...]]) -> Any:
    """What of an object no field took; None if nothing."""
    if () in used or not isinstance(value, Mapping):
        return None
    rest = {key: item for key, item in cast("Mapping[str, Any]", value).items() if (key,) not in used}
    return rest or None
