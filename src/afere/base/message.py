"""What is said to a model and by it: a message is a list of parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from afere.base.canonical import Json

Role = Literal["system", "user", "assistant", "tool"]
PartType = Literal["text", "reasoning", "image", "document", "audio"]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a message. `text` for text and reasoning; else `media_type` and a blob digest or URL."""

    type: PartType
    text: str = ""
    media_type: str = ""
    blob: str | None = None
    url: str | None = None

    def to_json(self) -> Json:
        if self.type in ("text", "reasoning"):
            return {"type": self.type, "text": self.text}
        return {"type": self.type, "media_type": self.media_type, "blob": self.blob, "url": self.url}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model asks for a tool. `arguments` is the parsed JSON object, or the raw text if it did not parse."""

    id: str
    name: str
    arguments: dict[str, Json] | str

    def to_json(self) -> Json:
        return {"id": self.id, "name": self.name, "arguments": self.arguments}


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. A tool's result has role `tool`, the id of the call and the tool's name."""

    role: Role
    parts: tuple[Part, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None

    @property
    def text(self) -> str:
        """The text parts, joined; reasoning is not included."""
        if len(self.parts) == 1 and self.parts[0].type == "text":
            return self.parts[0].text
        return "".join(part.text for part in self.parts if part.type == "text")

    def to_json(self) -> Json:
        value: dict[str, Json] = {
            "role": self.role, "text": self.text, "parts": [part.to_json() for part in self.parts],
            "tool_calls": [call.to_json() for call in self.tool_calls],
        }  # fmt: skip
        if self.tool_call_id:
            value["tool_call_id"] = self.tool_call_id
        if self.name:
            value["name"] = self.name
        return value


def message(
    role: Role, text: str, *, calls: Sequence[ToolCall] = (), call_id: str | None = None, name: str | None = None
) -> Message:
    """A message of one text part."""
    parts = (Part("text", text),) if text else ()
    return Message(role, parts, tuple(calls), call_id, name)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call; None where the provider did not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None

    def to_json(self) -> Json:
        return {
            "input_tokens": self.input_tokens, "output_tokens": self.output_tokens,
            "cached_input_tokens": self.cached_input_tokens, "reasoning_tokens": self.reasoning_tokens,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a model is told of a tool; `parameters` is a JSON Schema of an object."""

    name: str
    description: str
    parameters: dict[str, Json] = field(default_factory=lambda: {"type": "object", "properties": {}})

    def to_json(self) -> Json:
        return {"name": self.name, "description": self.description, "parameters": self.parameters}
