"""promptfoo's templates, filled in by a sandboxed engine of the same family: nothing in one runs code or reads a file.

What differs from Nunjucks: no JavaScript methods on values (`{{ name.toUpperCase() }}`; write `name | upper`), no `import`
of other files, no filters of one's own; lists and mappings are shown as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from minijinja import Environment, TemplateError

from afere.base.canonical import Json
from afere.base.errors import BadPrompt
from afere.chains.template import FUEL


def _shown(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return "" if value is None else value


def _dump(value: Any, indent: int | None = None) -> str:
    separators = (",", ":") if indent is None else None
    return json.dumps(value, ensure_ascii=False, default=str, indent=indent, separators=separators)


def _environment() -> Environment:
    made = Environment(
        finalizer=_shown, undefined_behavior="chainable", fuel=FUEL, auto_escape_callback=lambda _: False,
        keep_trailing_newline=True, debug=False, filters={"dump": _dump, "safe": str},
    )  # fmt: skip
    made.remove_global("debug")
    return made


_ENGINE = _environment()


def render(text: str, values: Mapping[str, Json]) -> str:
    """The text with these values; a name that nobody gave is empty. BadPrompt where it is no template."""
    if "{{" not in text and "{%" not in text and "{#" not in text:
        return text
    try:
        return _ENGINE.render_str(text, **cast("dict[str, Any]", values))
    except TemplateError as problem:
        what = problem.detail or problem.kind
        raise BadPrompt(f"the template {text[:80]!r}: {what} (line {problem.line or 1}).") from None


def render_all(value: Json, values: Mapping[str, Json]) -> Json:
    """Every text in a value filled in; keys stay."""
    if isinstance(value, str):
        return render(value, values)
    if isinstance(value, list):
        return [render_all(one, values) for one in value]
    return {key: render_all(one, values) for key, one in value.items()} if isinstance(value, dict) else value


def resolved(values: Mapping[str, Json]) -> dict[str, Json]:
    """Values with each other in them: one may be a template of the others."""
    return {key: render(value, values) if isinstance(value, str) else value for key, value in values.items()}
