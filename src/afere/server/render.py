"""Templates: values in, escaped HTML out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlencode

from minijinja import Environment

from afere.base.artifact import parse_ref
from afere.base.errors import BadReference
from afere.server import markup, words
from afere.server.assets import version

_FILTERS = (
    words.count, words.seconds, words.money, words.number, words.percent, words.measured, words.changed, words.when,
    words.stamp, words.said, words.spoken, words.pretty, words.many, words.glance, markup.markdown, markup.tree,
)  # fmt: skip


def render(template: str, **values: Any) -> str:
    """The template's HTML. Text is escaped, an unknown name is an error."""
    return _environment().render_template(template, **values)


@cache
def _environment() -> Environment:
    folder = files("afere.server").joinpath("templates")

    def source(name: str) -> str | None:
        file = folder.joinpath(name)
        return file.read_text(encoding="utf-8") if file.is_file() else None

    environment = Environment(
        loader=source, undefined_behavior="strict", trim_blocks=True, lstrip_blocks=True,
        auto_escape_callback=lambda _: "html", debug=False,
    )  # fmt: skip
    for word in _FILTERS:
        environment.add_filter(word.__name__, word)
    environment.add_filter("place", place)
    environment.add_filter("part", part)
    environment.add_filter("query", query)
    environment.add_global("version", version())
    return environment


def part(text: object) -> str:
    """One part of a path."""
    return quote(str(text), safe="@~:.-_")


def query(values: Mapping[str, object]) -> str:
    """`?a=1&b=2`, without what is empty; nothing for nothing."""
    filled = {key: str(value) for key, value in values.items() if value not in (None, "", False)}
    return "?" + urlencode(filled) if filled else ""


def place(ref: str, base: str) -> str:
    """The page of an artifact: `/{project}/prompts/answer/3` and so on; others have the general one."""
    try:
        parsed = parse_ref(ref)
    except BadReference:
        return f"{base}/artifacts/{part(ref)}"
    name = part(parsed.name)
    if parsed.kind == "experiment":
        return f"{base}/experiments/{name}"
    if parsed.kind in ("prompt", "dataset") and (parsed.number is not None or not parsed.selected):
        return f"{base}/{parsed.kind}s/{name}" + (f"/{parsed.number}" if parsed.number is not None else "")
    return f"{base}/artifacts/{part(ref)}"
