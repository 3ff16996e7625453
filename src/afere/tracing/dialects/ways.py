"""Where spans of one shape and kind have their input, output and documents, so that a glance finds them without reading the rest."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

from afere.base.canonical import Json
from afere.store.spans.rows import PREVIEW
from afere.tracing.dialects import shapes
from afere.tracing.dialects.plan import Plan


class Source(NamedTuple):
    """Where a text is: an attribute, with that of its role where it is a message. Without a name there is none."""

    name: str = ""
    role: str = ""
    json: bool = True  # whether JSON is shown as it was written
    plain: bool = True  # False: it has to be read
    inside: Callable[[Json], str | None] | None = None  # what finds the text in its value, read; None: it is the value

    @classmethod
    def of(cls, plan: Plan, *fields: str, json: bool = True) -> Source:
        """The first rule for the first of the fields that has one."""
        for field in fields:
            if field in plan.rules:
                name = plan.rules[field][0][0]
                return cls(name, json=json, plain=bool(name))
        return cls()


class Way(NamedTuple):
    """Where spans of one kind have what they say."""

    input: Source
    output: Source
    documents: tuple[str, ...] | None = ()  # the ids; None where they have to be read


def way_of(plan: Plan, kind: str) -> Way:
    """Of spans of this kind in this shape."""
    if kind == "tool":
        return Way(Source.of(plan, "tool_arguments", "input"), Source.of(plan, "tool_result", "output"))
    if kind == "retrieval":
        given = Source.of(plan, "input")
        if "documents" in plan.rules:
            return Way(given, Source(), _document_ids(plan))
        return Way(given, Source.of(plan, "output"))
    given, made = _last_of(plan, "input_messages", kind), _last_of(plan, "output_messages", kind)
    if given is None and kind == "embedding":
        given = (
            Source(name, inside=_one_embedded) if (name := _embedded(plan)) else Source.of(plan, "input", json=False)
        )
    elif given is None:
        given = Source.of(plan, "input")
    if made is None and kind == "llm" and ("output_text" in plan.rules or "output_calls" in plan.rules):
        made = Source(plain=False)
    if made is None:
        made = Source() if kind == "embedding" else Source.of(plan, "output")
    return Way(given, made)


def _last_of(plan: Plan, field: str, kind: str) -> Source | None:
    """Where the last message is; None where no rule can find one."""
    rules = [rule for rule, shared in plan.messages[field] if kind == "llm" or not shared]
    if not rules:
        return None
    if rules[0].plain:
        return Source(rules[0].terms[0][0], inside=shapes.text_of_last)
    end = _end(plan, field)
    return Source(plain=False) if end is None else Source(end[1], end[0])


def _embedded(plan: Plan) -> str:
    """Where the only text that was embedded is, in numbered attributes; empty where it has to be looked for."""
    rule = plan.rules["input"][0][1] if "input" in plan.rules else None
    tree = plan.numbered[rule.terms[0][0]] if rule is not None and rule.numbered else None
    only = tree[0] if isinstance(tree, list) and len(tree) == 1 else None
    inside = only.get("embedding") if isinstance(only, dict) else None
    name = inside.get("text") if isinstance(inside, dict) else None
    return name if isinstance(name, str) else ""


def _one_embedded(value: Json) -> str | None:
    """As `embedded` has the only text, written as far as it is shown."""
    return json.dumps([value[: PREVIEW + 1]], ensure_ascii=False) if type(value) is str else None


def _end(plan: Plan, field: str) -> tuple[str, str] | None:
    """Role and text of the last message, where the first rule finds messages in numbered attributes that say no more."""
    rules = plan.messages[field]
    if not rules or not rules[0][0].numbered or rules[0][1]:
        return None
    tree = plan.numbered[rules[0][0].terms[0][0]]
    last = tree[-1] if isinstance(tree, list) and tree else None
    if isinstance(last, dict) and len(last) == 1:
        last = last.get("message", last)
    if not isinstance(last, dict) or last.keys() != {"role", "content"}:
        return None
    role, text = last["role"], last["content"]
    return (role, text) if isinstance(role, str) and isinstance(text, str) else None


def _document_ids(plan: Plan) -> tuple[str, ...] | None:
    """Where the ids of documents are; None where they are not plain attributes."""
    rule = plan.rules["documents"][0][1]
    tree = plan.numbered[rule.terms[0][0]] if rule.numbered else None
    found: list[str] = []
    for one in tree if isinstance(tree, list) else []:
        inside = one.get("document") if isinstance(one, dict) else None
        name = inside.get("id") if isinstance(inside, dict) else None
        if not isinstance(name, str):
            return None
        found.append(name)
    return tuple(found) or None
