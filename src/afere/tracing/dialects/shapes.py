"""The forms in which messages, calls, and documents come; all become ours. Nothing of a stranger's form is taken for granted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, cast

from afere.base.canonical import Json

_ROLES = {
    "human": "user", "ai": "assistant", "model": "assistant", "function": "tool", "developer": "system", "aimessage": "assistant",
    "aimessagechunk": "assistant", "humanmessage": "user", "systemmessage": "system", "toolmessage": "tool", "bot": "assistant",
}  # fmt: skip
KNOWN = frozenset({"user", "assistant", "system", "tool"})
_HOLDERS = (
    "messages",
    "contents",
    "choices",
    "candidates",
    "generations",
    "output",
)  # of lists of messages, in an object
_WRAPPERS = ("message", "kwargs", "data", "content")
_DEEPEST = 8
_SPECIAL = (
    "toolUse",
    "toolResult",
    "functionCall",
    "function_call",
    "functionResponse",
    "function_response",
    "message_content",
)
_CALLS = frozenset({"tool_call", "tool-call", "tool_use", "function_call"})
_RESULTS = frozenset({"tool_call_response", "tool-result", "tool_result", "function_call_output"})
_ATTACHED = frozenset(
    {"image", "image_url", "input_image", "audio", "input_audio", "blob", "uri", "file", "input_file"}
)
_PARTS = _CALLS | _RESULTS | _ATTACHED | {"text", "reasoning", "thinking"}


_JSON = ("{", "[", '"')
_READ = json.JSONDecoder(parse_constant=str).decode  # json.loads would make one for every text


def loaded(value: Any) -> Json:
    """What a text that is JSON holds; other values, and texts that are none, as they are."""
    if type(value) is str and value.startswith(_JSON):
        try:
            return _READ(value)
        except (ValueError, RecursionError):
            return value
    return value


def messages(value: Any, role: str) -> list[Json]:
    """The messages in a value, whatever its form; `role` is that of one that does not say."""
    found: list[Json] = []
    _collect(loaded(value), role, found, 0)
    return found


def text_of_last(value: Json) -> str | None:
    """The text of the last message, where these are in OpenTelemetry's form and it has nothing but one text; else None."""
    last = value[-1] if isinstance(value, list) and value else None
    if not isinstance(last, dict) or "role" not in last or not last.keys() <= _OF_MESSAGE:
        return None
    parts = last.get("parts")
    part = parts[0] if isinstance(parts, list) and len(parts) == 1 else None
    if not isinstance(part, dict) or part.keys() != _OF_TEXT or part["type"] != "text":
        return None
    return part["content"] if isinstance(part["content"], str) else None


_OF_MESSAGE, _OF_TEXT = frozenset({"role", "parts", "finish_reason"}), frozenset({"type", "content"})


def _collect(value: Json, role: str, found: list[Json], depth: int) -> None:
    if value is None or value == "" or depth > _DEEPEST:
        return
    if (plain := _plain(value)) is not None:
        found.append(plain)
    elif isinstance(value, list):
        if value and all(is_part(item) for item in value):
            found.append(_message({"parts": value}, role))
        else:
            for item in value:
                _collect(item, role, found, depth + 1)
    elif not isinstance(value, dict):
        found.append(_message({"content": value}, role))
    elif "role" in value or "parts" in value or ("content" in value and not _wrapped(value)):
        found.append(_message(value, role))
    else:
        _open(value, role, found, depth)


def _plain(value: Json) -> Json:
    """A message of nothing but a known role and a text, as most are: the same as `_message` makes, sooner."""
    if not isinstance(value, dict):
        return None
    if len(value) == 1 and isinstance(inside := value.get("message"), dict):
        value = inside
    role, text = value.get("role"), value.get("content")
    if len(value) != 2 or not isinstance(role, str) or role not in KNOWN:
        return None
    if not isinstance(text, str) or not text or text.startswith(_JSON):
        return None
    return {"role": role, "text": text, "parts": [{"type": "text", "text": text}], "tool_calls": []}


def _open(value: dict[str, Json], role: str, found: list[Json], depth: int) -> None:
    """An object that is no message, but may hold some."""
    holder = next((name for name in _HOLDERS if isinstance(value.get(name), list)), None)
    wrapper = next((name for name in _WRAPPERS if isinstance(value.get(name), dict)), None)
    if holder is not None:
        before = value.get("system") or value.get("instructions")
        if before is not None:
            _collect(before, "system", found, depth + 1)
        _collect(value[holder], role, found, depth + 1)
    elif wrapper is not None:
        inside = cast("dict[str, Json]", value[wrapper])
        named = value.get("id")  # LangChain: ["langchain", "schema", "messages", "HumanMessage"]
        kind = named[-1] if isinstance(named, list) and named else value.get("type")
        _collect(
            {"role": kind, **inside} if "role" not in inside and isinstance(kind, str) and _role(kind) else inside,
            role,
            found,
            depth + 1,
        )
    elif is_part(value):
        found.append(_message({"parts": [value]}, role))
    elif isinstance(value.get("input"), str | list):
        _collect(value.get("instructions"), "system", found, depth + 1)
        _collect(value["input"], role, found, depth + 1)
    else:
        found.append(_message({"content": json.dumps(value, ensure_ascii=False)}, role))


def _wrapped(value: Mapping[str, Json]) -> bool:
    return isinstance(value.get("content"), dict) and "role" in cast("dict[str, Json]", value["content"])


def is_part(item: Json) -> bool:
    """Whether it is a part of a message rather than a message."""
    if not isinstance(item, dict) or not item.keys().isdisjoint(("role", "message", "kwargs")):
        return False
    return str(item.get("type")) in _PARTS or isinstance(item.get("text"), str) or not item.keys().isdisjoint(_SPECIAL)


def _role(name: object) -> str | None:
    said = str(name).lower()
    said = _ROLES.get(said, said)
    return said if said in KNOWN else None


class _Making:
    """One message while its parts are read."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.parts: list[Json] = []
        self.calls: list[Json] = []
        self.call_id: str | None = None

    def part(self, value: Any, depth: int = 0) -> None:
        value = value if depth else loaded(value) if isinstance(value, str) and value[:2] in ("[{", '{"') else value
        if value is None or value == "" or depth > _DEEPEST:
            return
        if isinstance(value, list):
            for item in cast("list[Any]", value):
                self.part(item, depth + 1)
        elif isinstance(value, dict):
            self._object(cast("dict[str, Any]", value), depth)
        else:
            self._text(value if isinstance(value, str) else json.dumps(value))

    def _text(self, text: str, kind: str = "text") -> None:
        if text:
            self.parts.append({"type": kind, "text": text})

    def _object(self, value: dict[str, Any], depth: int) -> None:
        if isinstance(value.get("tool_call"), dict):
            return self.call(value)
        for name in ("message_content", "toolUse", "functionCall", "function_call"):
            if isinstance(value.get(name), dict):
                inside = cast("dict[str, Any]", value[name])
                return self.part(inside, depth + 1) if name == "message_content" else self.call(inside)
        for name in ("toolResult", "functionResponse", "function_response"):
            if isinstance(value.get(name), dict):
                return self._result(cast("dict[str, Any]", value[name]), depth)
        kind = str(value.get("type") or "")
        text = _first(value, "text", "content", "thinking")
        if kind in _CALLS:
            self.call(value)
        elif kind in _RESULTS:
            self._result(value, depth)
        elif kind in ("reasoning", "thinking") or value.get("thought") is True:
            self._text(text if isinstance(text, str) else "", "reasoning")
        elif isinstance(text, str) and kind not in _ATTACHED:
            self._text(text)
        elif kind:
            self._attached(kind, value)
        else:
            self._text(json.dumps(value, ensure_ascii=False, default=str))
        return None

    def _attached(self, kind: str, value: dict[str, Any]) -> None:
        inside = value.get("image_url") or value.get("image") or value.get("source") or value
        inside = cast("dict[str, Any]", inside) if isinstance(inside, dict) else {"url": inside}
        url = inside.get("url") or inside.get("uri")
        modality = str(value.get("modality") or inside.get("mime_type") or kind)
        known = next((name for name in ("image", "audio", "document") if name in modality), "document")
        self.parts.append({
            "type": known, "media_type": str(inside.get("media_type") or inside.get("mime_type") or ""), "blob": None,
            "url": url if isinstance(url, str) and url.startswith("http") else None,
        })  # fmt: skip

    def _result(self, value: dict[str, Any], depth: int) -> None:
        self.role = "tool"
        named = _first(value, "id", "tool_use_id", "toolUseId", "toolCallId", "call_id", "tool_call_id")
        self.call_id = str(named) if named is not None else None
        said = _first(value, "response", "result", "content", "output")
        inside = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
        self.part(
            inside.get("value", json.dumps(said, ensure_ascii=False)) if isinstance(said, dict) else said, depth + 1
        )

    def call(self, value: Any) -> None:
        """A tool that is asked for."""
        if not isinstance(value, dict):
            return
        said = cast("dict[str, Any]", value)
        said = said["tool_call"] if isinstance(said.get("tool_call"), dict) else said
        inside = said["function"] if isinstance(said.get("function"), dict) else said
        named = _first(said, "id", "toolCallId", "toolUseId", "call_id")
        if named is not None and any(cast("dict[str, Json]", call)["id"] == str(named) for call in self.calls):
            return  # OpenInference writes those of Anthropic twice
        self.calls.append({
            "id": str(named) if named is not None else None, "name": str(_first(inside, "name", "toolName") or ""),
            "arguments": arguments(_first(inside, "arguments", "args", "input")),
        })  # fmt: skip


def tool_arguments(value: Any) -> Json:
    """What a tool was given, without the envelope of a caller who writes {args, kwargs}, or of LangChain's callbacks."""
    plain = arguments(value)
    if isinstance(plain, dict):
        if set(plain) <= {"args", "kwargs"} and isinstance(plain.get("kwargs"), dict) and not plain.get("args"):
            return plain["kwargs"]
        if "input_str" in plain and isinstance(plain.get("inputs"), dict):
            return plain["inputs"]
    return plain


def tool_result(value: Any) -> Json:
    """What a tool answered, without the message that carried it."""
    plain = loaded(value)
    for _ in range(_DEEPEST):
        if not isinstance(plain, dict):
            break
        inner = next((plain[name] for name in ("kwargs", "data") if _is_answer(plain.get(name))), None)
        if inner is not None:
            plain = inner
        elif _is_answer(plain.get("output")) or _is_answer(_object(plain.get("output")).get("kwargs")):
            plain = plain["output"]
        elif _is_answer(plain):
            return loaded(plain["content"])
        elif "raw_output" in plain and "tool_name" in plain:  # llama-index
            return plain["raw_output"]
        else:
            break
    if isinstance(plain, list) and plain and all(isinstance(item, dict) and set(item) == {"text"} for item in plain):
        return "".join(str(cast("dict[str, Json]", item)["text"]) for item in plain)  # Strands
    return plain


def _is_answer(value: Any) -> bool:
    said = _object(value)
    return "content" in said and (said.get("type") == "tool" or "tool_call_id" in said)


def arguments(value: Any) -> Json:
    """The arguments of a call; some libraries write JSON in JSON."""
    for _ in range(2):
        value = loaded(value)
    return value


def _message(said: Mapping[str, Any], role: str) -> Json:
    named = said.get("role") or (said.get("type") if "parts" not in said else None)
    known = _role(named) if named is not None else role
    making = _Making(known or role)
    for name in ("parts", "content", "contents", "text"):
        if said.get(name) not in (None, "", []):
            making.part(said[name])
            break
    reasoning = said.get("reasoning_content") or said.get("reasoning")
    if isinstance(reasoning, str):
        making.parts.insert(0, {"type": "reasoning", "text": reasoning})
    extra = _object(said.get("additional_kwargs"))
    calls = said.get("tool_calls") or said.get("toolCalls") or extra.get("tool_calls")
    for call in cast("list[Any]", calls) if isinstance(calls, list) else []:
        making.call(call)
    if isinstance(said.get("function_call"), dict):
        making.call(said["function_call"])
    text = "".join(
        str(cast("dict[str, Json]", part).get("text", ""))
        for part in making.parts
        if cast("dict[str, Json]", part)["type"] == "text"
    )
    made: dict[str, Json] = {"role": making.role, "text": text, "parts": making.parts, "tool_calls": making.calls}
    call_id = making.call_id or said.get("tool_call_id") or said.get("id" if making.role == "tool" else "tool_call_id")
    if isinstance(call_id, str) and making.role == "tool":
        made["tool_call_id"] = call_id
    if isinstance(said.get("name"), str):
        made["name"] = said["name"]
    return made


def documents(value: Any) -> list[Json]:
    """What was retrieved: {id, text, score} each."""
    plain = loaded(value)
    if isinstance(plain, dict):
        plain = plain.get("documents") or plain.get("results") or plain.get("data")
    found: list[Json] = []
    for item in plain if isinstance(plain, list) else []:
        said: dict[str, Any] = item if isinstance(item, dict) else {"text": item}
        for wrapper in ("document", "kwargs", "node"):
            said = _object(said.get(wrapper)) or said
        about = {**_object(loaded(said.get("metadata"))), **said}
        text, named = (
            _first(said, "text", "content", "page_content"),
            _first(about, "id", "doc_uri", "source", "chunk_id"),
        )
        score = _first(about, "score", "relevance_score", "similarity")
        found.append({
            "id": str(named) if named is not None else None, "text": text if isinstance(text, str) or text is None else json.dumps(text),
            "score": float(score) if isinstance(score, int | float) and not isinstance(score, bool) else None,
        })  # fmt: skip
    return found


# What numbered names make: a list, an object, or the name of an attribute whose value goes there.
Tree: TypeAlias = "str | list[Tree] | dict[str, Tree]"


def tree(names: Iterable[str], prefix: str) -> Tree:
    """Where the values of `prefix.0.a.b`, `prefix.1.a.b` go: [{a: {b}}, {a: {b}}]; empty if there are none."""
    start, made = f"{prefix}.", dict[str, Any]()
    for name in names:
        first, *path = name[len(start) :].split(".", 13) if name.startswith(start) else [""]
        if not first.isdecimal():
            continue
        at: Any = made
        for word in (first, *path[:-1]) if path else ():
            at = cast("dict[str, Any]", at).setdefault(word, {}) if isinstance(at, dict) else at
        if isinstance(at, dict):  # else a shorter name has the place
            cast("dict[str, Any]", at).setdefault(path[-1] if path else first, name)
    listed = _listed(made)
    return listed if isinstance(listed, list) else []


def _listed(value: Any) -> Tree:
    if not isinstance(value, dict):
        return cast("str", value)
    said = cast("dict[str, Any]", value)
    if said and all(word.isdecimal() and len(word) < 10 for word in said):
        return [_listed(said[word]) for word in sorted(said, key=int)]
    return {word: _listed(below) for word, below in said.items()}


def grown(tree: Tree, attributes: Mapping[str, Json]) -> Json:
    """What a tree makes of the attributes that it was made for."""
    if isinstance(tree, str):
        return attributes[tree]
    if isinstance(tree, list):
        return [grown(below, attributes) for below in tree]
    return {
        word: attributes[below] if isinstance(below, str) else grown(below, attributes) for word, below in tree.items()
    }


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _first(value: Mapping[str, Any], *names: str) -> Any:
    return next((value[name] for name in names if value.get(name) is not None), None)
