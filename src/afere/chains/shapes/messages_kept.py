"""Other messages written into a `.prompt.yml` that is there: comments, the order of keys, and what only that tool reads stay."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, cast

import yaml

_UNPRINTABLE = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ufeff\\ufffe\\uffff]")  # not in a block
Message = tuple[str, str]  # role, text


def with_messages(old: str, messages: Sequence[Message]) -> str | None:
    """The old text with these messages: only the texts that differ are written anew. None where it has no messages to change."""
    listed = _value(_composed(old), "messages")
    there: list[Any] = listed.value if isinstance(listed, yaml.SequenceNode) else []
    contents = [_value(one, "content") for one in there]
    if not there or not all(isinstance(one, yaml.ScalarNode) for one in contents):
        return None
    if [getattr(_value(one, "role"), "value", None) for one in there] != [role for role, _ in messages]:
        last = there[-1].value[-1][1].end_mark.index  # not the list's own, which is where the next key begins
        return old[: listed.start_mark.index] + _whole(listed, messages, old[:last].endswith("\n")) + old[last:]
    text = old
    for node, content, (_, new) in reversed(list(zip(there, contents, messages, strict=True))):
        if content.value.strip("\n").rstrip() != new:  # what ends a text is no part of a version
            said = new + ("\n" if content.value.endswith("\n") else "")
            written = _written(old, node, content, said, flow=bool(listed.flow_style or node.flow_style))
            text = text[: content.start_mark.index] + written + text[content.end_mark.index :]
    return text


def _composed(old: str) -> Any:
    try:
        return cast("Any", yaml).compose(old, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None


def _value(node: Any, key: str) -> Any:
    """What a mapping says under a key."""
    pairs: list[Any] = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for name, value in pairs if getattr(name, "value", None) == key), None)


def _written(old: str, message: Any, content: Any, text: str, *, flow: bool) -> str:
    """A text as its place had one: below its key as a block, or beside it in quotes."""
    block = content.style in ("|", ">")
    span, rest = (
        old[content.start_mark.index : content.end_mark.index],
        old[content.end_mark.index :].partition("\n")[0],
    )
    end = span[len(span.rstrip("\n")) :] if block else ""  # with the empty lines below it
    if flow or not (block or ("\n" in text and not rest.strip())):
        return _quoted(text, content.style) + end
    column = next(name.start_mark.column for name, value in message.value if value is content)
    return _scalar(text, column + 2) + end


def _quoted(text: str, style: str | None) -> str:
    """A text on one line, as it was quoted before where YAML takes it so."""
    written = text if style is None else "'" + text.replace("'", "''") + "'"
    try:
        same = style != '"' and "\n" not in text and yaml.safe_load(f"[{written}]") == [text]
    except yaml.YAMLError:
        same = False
    return written if same else _flow(text)


def _scalar(text: str, indent: int) -> str:
    """A text on the lines below `|`, or in quotes where YAML takes it only so; without the end of its last line."""
    if _UNPRINTABLE.search(text) or not text.strip():
        return _flow(text)
    ends = "" if text.endswith("\n") and not text.endswith("\n\n") else "+" if text.endswith("\n") else "-"
    begins = "2" if text[:1] in (" ", "\n") else ""  # else the first line would say how far in the block stands
    lines = text.removesuffix("\n").split("\n")
    return f"|{begins}{ends}\n" + "\n".join(" " * indent + line if line else "" for line in lines)


def _whole(listed: Any, messages: Sequence[Message], ends: bool) -> str:
    """All messages, where their number or their roles are others."""
    if listed.flow_style:
        return "[" + ", ".join(f"{{role: {role}, content: {_flow(text)}}}" for role, text in messages) + "]"
    pad = "\n" + " " * listed.start_mark.column
    items = [f"- role: {role}{pad}  content: {_scalar(text, listed.start_mark.column + 4)}" for role, text in messages]
    return pad.join(items) + ("\n" if ends else "")


def _flow(text: str) -> str:
    """A text in double quotes, on one line."""
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
