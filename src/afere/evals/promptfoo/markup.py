"""promptfoo's assertions about HTML, XML and refusals: what they say of one output."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import cast
from xml.etree import ElementTree

from afere.base.canonical import Json
from afere.evals.promptfoo.held import Held, held
from afere.evals.scorers.wording import refusal

_HTML = (
    "html head title base link meta style body article section nav aside h1 h2 h3 h4 h5 h6 header footer address p hr pre "
    "blockquote ol ul li dl dt dd figure figcaption main div a em strong small s cite q dfn abbr ruby rt rp data time code var "
    "samp kbd sub sup i b u mark bdi bdo span br wbr img iframe embed object param picture source video audio track map area "
    "svg math script noscript canvas ins del table caption colgroup col tbody thead tfoot tr td th form label input button "
    "select datalist optgroup option textarea output progress meter fieldset legend details summary dialog menu slot template"
)
_VOID = "area base br col embed hr img input link meta param source track wbr"
_ELEMENTS, _EMPTY = frozenset(_HTML.split()), frozenset(_VOID.split())  # all, and those that hold nothing
_SIGNS = (  # of HTML in a text, each with its weight; from 2 on it is held to be some
    (r"<[a-zA-Z][\w-]*(?:\s[^>]*)?>", 1), (r"</[a-zA-Z][\w-]*\s*>", 1), (r"<[a-zA-Z][\w-]*(?:\s[^>]*)?/>", 1),
    (r"&(?:[a-zA-Z]+|#[0-9]+|#x[0-9a-fA-F]+);", 1), (r"(?i)<!DOCTYPE\s+html", 2), (r"<!--.*?-->", 1),
    (r"""\s[a-zA-Z-]+=\s*["'][^"']*["']""", 1),
    (r"(?i)<(html|head|body|div|span|p|a|img|h[1-6]|ul|ol|li|table|tr|td|th|form|input|button|script|style|link|meta|br|hr)\b", 2),
)  # fmt: skip
_XML = re.compile(r"<\?xml.*?>.*</[^>]+>|<[A-Za-z_][^>]*>.*</[^>]+>", re.DOTALL)
_LONGEST = 1_000_000  # characters that are looked through


class _Tags(HTMLParser):
    """The elements of a text, and the first words that stand outside of all."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.outside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        if tag not in _EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            del self.open[len(self.open) - 1 - self.open[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        if not self.open and not self.outside:
            self.outside = data.strip()


def is_html(text: str) -> Held:
    """Whether all of it is HTML: known elements, and no text outside of them."""
    text = text.strip()
    if not text or len(text) > _LONGEST or re.match(r"(?i)<\?xml", text):
        return held(False, why="the output is empty, XML, or longer than a million characters")
    tags = _Tags()
    tags.feed(text)
    tags.close()
    if tags.outside:
        return held(False, why=f"text stands outside of elements: {tags.outside[:40]!r}")
    known = any(name in _ELEMENTS or "-" in name for name in tags.names)
    return held(known, why="" if known else "no HTML element is in it")


def contains_html(text: str) -> Held:
    text = text[:_LONGEST]
    found = sum(weight for sign, weight in _SIGNS if re.search(sign, text, re.DOTALL))
    return held(found >= 2, why="" if found >= 2 else "no HTML is in it")


def is_xml(text: str, elements: Json) -> Held:
    """Whether it is well-formed XML, with these elements: paths such as `order.id`, from the root."""
    if "<!ENTITY" in text:
        return held(False, why="XML with entities of its own is not read")
    try:
        root = ElementTree.fromstring(text.strip())  # noqa: S314 - its own entities are refused above
    except ElementTree.ParseError as problem:
        return held(False, why=f"the output is no XML: {problem}")
    missing = [path for path in _paths(elements) if not _stands(root, path.split("."))]
    return held(not missing, why=f"elements are missing: {', '.join(missing)}" if missing else "")


def contains_xml(text: str, elements: Json) -> Held:
    found = _XML.search(text[:_LONGEST])
    return is_xml(found[0], elements) if found else held(False, why="no XML is in it")


def _paths(said: Json) -> list[str]:
    if isinstance(said, dict):
        said = said.get("requiredElements")
    paths = said.split(",") if isinstance(said, str) else cast("list[Json]", said or [])
    return [str(one).strip() for one in paths]


def _stands(root: ElementTree.Element, path: list[str]) -> bool:
    found = [root] if root.tag == path[0] else []
    for step in path[1:]:
        found = [child for one in found for child in one if child.tag == step]
    return bool(found)


def is_refusal(text: str) -> Held:
    """Whether the output declines to answer, by the words of the scorer `refusal`; an empty one does."""
    return held(not text.strip() or refusal(text).value is True)
