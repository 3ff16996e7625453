"""Tools that model calls were offered, as their spans say: names, descriptions and schemas, by the dialects' attributes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from afere.base.canonical import Json
from afere.chains.toolcard import ToolCard, read_card

# Attributes that hold a list of tools, or a request with `tools` in it; as JSON text, or plain.
_LISTS = (
    "gen_ai.tool.definitions", "gen_ai.request.tools", "mlflow.chat.tools", "ai.prompt.tools", "llm.invocation_parameters",
    "langfuse.observation.input", "langfuse.observation.model.parameters", "mlflow.spanInputs", "input.value", "model_request_parameters",
    "request_data", "gcp.vertex.agent.llm_request",
)  # fmt: skip
_NUMBERED = re.compile(r"llm\.tools\.\d+\.tool\.json_schema")
_FLAT = re.compile(r"(llm\.request\.functions\.\d+)\.name")
_KEYS = ("tools", "function_tools", "functions", "function_declarations", "config")
_MOST = 200_000  # characters of an attribute that is looked into


class Offered:
    """Collects the tools that spans name; what was read once is not read again."""

    def __init__(self) -> None:
        self._seen: dict[str, ToolCard] = {}
        self._read: dict[int, tuple[str, ...]] = {}
        self._same: dict[tuple[str, ...], tuple[str, ...]] = {}

    def look(self, attributes: Mapping[str, Json], day: str) -> tuple[str, ...]:
        """Learn the tools that a span's attributes define; their names. `day`: when it began; spans come in any order."""
        names: list[str] = []
        for name, value in attributes.items():
            if name in _LISTS or _NUMBERED.fullmatch(name):
                names += self._take(value, day)
            elif flat := _FLAT.fullmatch(name):
                parts = {part: attributes.get(f"{flat[1]}.{part}") for part in ("description", "parameters")}
                names += self._keep({"name": value, **{part: _plain(said) for part, said in parts.items()}}, day)
        found = tuple(dict.fromkeys(names))
        return self._same.setdefault(found, found) if found else ()

    @property
    def cards(self) -> list[ToolCard]:
        """Each tool once, with the fullest description, `added` on the day it was first offered."""
        return list(self._seen.values())

    def _take(self, value: Json, day: str) -> tuple[str, ...]:
        key = hash((value, day[:7])) if isinstance(value, str) else 0
        if isinstance(value, str) and ("name" not in value or len(value) > _MOST):
            return ()
        if key and key in self._read:
            return self._read[key]
        names = tuple(name for one in _tools(_plain(value)) for name in self._keep(one, day))
        if key:
            self._read[key] = names
        return names

    def _keep(self, said: Json, day: str) -> tuple[str, ...]:
        card = read_card(said, "")
        if card is None:
            return ()
        known = self._seen.get(card.name)
        first = min(day, known.added or day) if known else day
        fuller = card if known is None or len(card.description) > len(known.description) else known
        self._seen[card.name] = ToolCard(
            card.name, fuller.description, None, (), fuller.parameters or card.parameters, first
        )
        return (card.name,)


def _tools(value: Json, depth: int = 0) -> Iterator[Json]:
    """The definitions in a list, or under `tools` and its like in a request."""
    if isinstance(value, list):
        for one in value:
            plain = _plain(one)
            if isinstance(plain, dict) and isinstance(plain.get("function_declarations"), list):
                yield from _tools(plain["function_declarations"], depth + 1)
            elif isinstance(plain, dict) and (_defines(plain) or isinstance(plain.get("function"), dict)):
                yield plain
    elif isinstance(value, dict):
        if _defines(value) or isinstance(value.get("function"), dict):
            yield value
        elif depth < 3:
            for key in _KEYS:
                if key in value:
                    yield from _tools(value[key], depth + 1)


def _defines(value: Mapping[str, Json]) -> bool:
    return isinstance(value.get("name"), str) and any(
        key in value for key in ("parameters", "input_schema", "inputSchema", "parameters_json_schema", "description")
    )


def _plain(value: Json) -> Json:
    if not isinstance(value, str) or value[:1] not in "[{":
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
