"""Text that keeps some form: Markdown of models, and JSON as nested lists. Both come out as HTML that holds nothing of the input but text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, cast
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from minijinja import escape, safe

from afere.server import words

_LINKS = ("http", "https", "mailto")
_MAX_MARKDOWN = 50_000  # characters; what is longer is shown as it is
_MAX_ITEMS = 200  # of one list or object


class _Parser(MarkdownIt):
    def validateLink(self, url: str) -> bool:
        try:
            return urlsplit(url.strip()).scheme.lower() in _LINKS
        except ValueError:
            return False


def markdown(text: str) -> str:
    """Markdown as HTML that is safe: no HTML, no images (nothing is fetched), links to http(s) and mail only."""
    if len(text) > _MAX_MARKDOWN:
        return safe(f'<p class="plain">{escape(text)}</p>')
    return safe(_parser().render(text))


@cache
def _parser() -> _Parser:
    parser = _Parser("commonmark", {"html": False, "maxNesting": 20})
    parser.enable("table").disable("image")
    for token, rule in (
        ("link_open", _link), ("heading_open", _heading), ("heading_close", _heading), ("th_open", _bare), ("td_open", _bare),
        ("fence", _code), ("code_block", _code),
    ):  # fmt: skip
        parser.add_render_rule(token, rule)
    return parser


def _link(self: Any, tokens: Sequence[Any], at: int, options: Any, env: Any) -> str:
    tokens[at].attrSet("rel", "noopener nofollow noreferrer")
    return self.renderToken(tokens, at, options, env)


def _heading(_self: Any, tokens: Sequence[Any], at: int, _options: Any, _env: Any) -> str:
    # The page's own headings are its outline; a model's are bold lines in it.
    return '<p class="title">' if tokens[at].nesting == 1 else "</p>\n"


def _bare(self: Any, tokens: Sequence[Any], at: int, options: Any, env: Any) -> str:
    tokens[at].attrs.pop("style", None)  # the policy forbids style attributes
    return self.renderToken(tokens, at, options, env)


def _code(_self: Any, tokens: Sequence[Any], at: int, _options: Any, _env: Any) -> str:
    return f'<pre class="raw">{escape(tokens[at].content)}</pre>\n'


def tree(value: Any, key: str = "", *, opened: bool = True) -> str:
    """JSON as nested lists that open and close."""
    label = f'<span class="k">{escape(key)}</span>' if key else ""
    colon = f"{label}: " if key else ""
    if isinstance(value, Mapping | list | tuple):
        pairs = _pairs(value)
        if not pairs:
            return safe(f'<div>{colon}<span class="quiet">empty</span></div>')
        inside = "".join(tree(below, name, opened=False) for name, below in pairs[:_MAX_ITEMS])
        rest = len(pairs) - _MAX_ITEMS
        more = f'<div class="quiet">and {rest:,} more, in the raw JSON</div>' if rest > 0 else ""
        head = label or '<span class="k">value</span>'
        return safe(
            f'<details{" open" if opened else ""}><summary>{head} <span class="quiet">{len(pairs):,}</span></summary>'
            f"<div>{inside}{more}</div></details>"
        )
    kind = "u" if value is None else "s" if isinstance(value, str) else "n"
    text = f'"{value}"' if isinstance(value, str) else words.pretty(value)
    return safe(f'<div>{colon}<span class="{kind}">{escape(text)}</span></div>')


def _pairs(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(str(name), below) for name, below in cast("Mapping[object, Any]", value).items()]
    return [(str(at), below) for at, below in enumerate(cast("Sequence[Any]", value))]
