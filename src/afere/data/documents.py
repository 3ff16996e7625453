"""Documents: the text of a Markdown, text, HTML or PDF file, with what its structure says about each part.

Offsets are in characters of `Document.text`, in which every line ends with a line feed.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, cast

from afere.base.canonical import Json, canonical
from afere.base.document import read_yaml
from afere.base.errors import BadData, BadInput, MissingExtra
from afere.data.reading import decoded

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)?(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_PDF = threading.Lock()  # pdfium may be used by one thread at a time


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a document's text that should stay together: [start, end)."""

    start: int
    end: int
    level: int = 0  # of a heading, 1 to 6; 0 if it is none
    title: str = ""  # of a heading
    code: bool = False
    page: int | None = None  # of a PDF, from 1


@dataclass(frozen=True, slots=True)
class Document:
    """Text to cut into chunks. `blocks` cover it in order, from where its body starts."""

    text: str
    blocks: tuple[Block, ...]
    metadata: dict[str, Json] = field(default_factory=dict[str, "Json"])
    note: str = ""  # what could not be understood, though the text can


def read_document(suffix: str, data: bytes, name: str) -> Document:
    """The document in a file's bytes. BadData if it cannot be read; MissingExtra for a PDF without the extra."""
    return _READERS[suffix](data, name)


def _plain(data: bytes, name: str) -> Document:
    text = _lines(decoded(data, name))
    return Document(text, (Block(0, len(text)),))


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _markdown(data: bytes, name: str) -> Document:
    from markdown_it import MarkdownIt

    text = _lines(decoded(data, name))
    metadata, body, note = _front_matter(text, name)
    starts = _line_starts(text, body)
    blocks: list[Block] = []
    title = ""
    at, open_block = body, Block(body, body)  # what stands before the first token belongs to the first block
    tokens = MarkdownIt("commonmark").enable("table").parse(text[body:])
    for i, token in enumerate(tokens):
        if token.level or not token.map or token.nesting < 0:
            continue
        start = starts[token.map[0]]
        if start > at:
            blocks.append(_ended(open_block, at, start))
            at = start
        heading = tokens[i + 1].content.strip() if token.type == "heading_open" else ""
        open_block = Block(at, at, int(token.tag[1]) if heading else 0, heading, token.type in {"fence", "code_block"})
        title = title or heading
    blocks.append(_ended(open_block, at, len(text)))
    if title:
        metadata.setdefault("title", title)
    return Document(text, tuple(blocks), metadata, note)


def _ended(block: Block, start: int, end: int) -> Block:
    return Block(start, end, block.level, block.title, block.code)


def _line_starts(text: str, body: int) -> list[int]:
    return [body, *(match.end() for match in re.compile("\n").finditer(text, body)), len(text)]


def _front_matter(text: str, name: str) -> tuple[dict[str, Json], int, str]:
    """What stands between `---` lines at the top: its values, where the body starts, and what is wrong with it."""
    match = _FRONT_MATTER.match(text)
    if match is None:
        return {}, 0, ""
    try:
        value = read_yaml(match[1] or "", file=name, first_line=2).value
        canonical(value)
        found = value if isinstance(value, dict) else {}
    except BadInput as problem:
        return {}, match.end(), f"front matter left out: {problem}"
    tags = found.get("tags")
    if isinstance(tags, str):
        found["tags"] = [tag.strip() for tag in tags.split(",") if tag.strip()]
    return found, match.end(), ""


class _Html(HTMLParser):
    """Collects text; a new block at each block-level tag; white space runs become one space outside <pre>."""

    breaks = frozenset({
        "address", "article", "aside", "blockquote", "body", "br", "caption", "dd", "details", "div", "dl", "dt",
        "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr",
        "html", "li", "main", "nav", "ol", "option", "p", "pre", "section", "summary", "table", "tbody", "tfoot",
        "thead", "title", "tr", "ul",
    })  # fmt: skip
    unseen = frozenset({"script", "style", "template"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.length = 0  # of all pieces
        self.blocks: list[Block] = []
        self.level = self.start = self.first = 0  # of the open block: heading level, offset, number of its first piece
        self.hidden = self.pre = 0  # how many such elements are open
        self.title = ""
        self.in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.unseen:
            self.hidden += 1
        if tag in self.breaks:
            self.end_block()
            self.in_title = tag == "title"
        if tag in {"td", "th"} and self.length > self.start and not self.pieces[-1].endswith(" "):
            self.add(" ")
        self.pre += tag == "pre"
        if len(tag) == 2 and tag[0] == "h" and tag[1] in "123456":
            self.level = int(tag[1])

    def handle_endtag(self, tag: str) -> None:
        if tag in self.unseen and self.hidden:
            self.hidden -= 1
        if tag in self.breaks:
            self.end_block()
        if tag == "title":
            self.in_title = False
        if tag == "pre" and self.pre:
            self.pre -= 1

    def handle_data(self, data: str) -> None:
        if self.hidden:
            return
        if self.in_title:
            self.title += data
            return
        if not self.pre:
            data = re.sub(r"\s+", " ", data)
            if not self.pieces or self.pieces[-1].endswith((" ", "\n")):
                data = data.lstrip()
        self.add(data)

    def add(self, data: str) -> None:
        if data:
            self.pieces.append(data)
            self.length += len(data)

    def end_block(self) -> None:
        """Close the block that is open; blocks stand two line feeds apart."""
        if self.length > self.start:
            self.add("\n\n")
            text = "".join(self.pieces[self.first :])
            title = " ".join(text.split()) if self.level else ""
            self.blocks.append(Block(self.start, self.length, self.level if title else 0, title, bool(self.pre)))
        self.level, self.start, self.first = 0, self.length, len(self.pieces)


def _html(data: bytes, name: str) -> Document:
    declared = re.search(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([A-Za-z0-9_.:-]{1,40})", data[:4096], re.IGNORECASE)
    try:
        text = data.decode(declared[1].decode("ascii")) if declared else decoded(data, name)
    except (LookupError, UnicodeDecodeError):
        text = decoded(data, name)
    parser = _Html()
    parser.feed(_lines(text))
    parser.close()
    parser.end_block()
    title = " ".join(parser.title.split()) or next((block.title for block in parser.blocks if block.level), "")
    whole = "".join(parser.pieces)
    return Document(whole, tuple(parser.blocks) or (Block(0, len(whole)),), {"title": title} if title else {})


def _pdf(data: bytes, name: str) -> Document:
    try:
        import pypdfium2
    except ImportError:
        raise MissingExtra("pdf", f"{name}: reading PDF") from None
    pdfium = cast("Any", pypdfium2)
    pieces: list[str] = []
    blocks: list[Block] = []
    length = 0
    with _PDF:
        try:
            opened = pdfium.PdfDocument(data)
            for number in range(len(opened)):
                text = _lines(str(opened[number].get_textpage().get_text_range())).replace("\x00", " ").strip() + "\n\n"
                pieces.append(text)
                blocks.append(Block(length, length + len(text), page=number + 1))
                length += len(text)
            title = str(opened.get_metadata_dict().get("Title") or "").strip()
            opened.close()
        except pdfium.PdfiumError as problem:
            raise BadData(
                f"{name}: this PDF cannot be opened: {problem}. Is it damaged, or locked by a password?"
            ) from None
    whole = "".join(pieces)
    if not whole.strip():
        raise BadData(f"{name}: this PDF holds no text. If it is a scan, recognise its text first.")
    return Document(whole, tuple(blocks), {"title": title} if title else {})


_READERS: dict[str, Callable[[bytes, str], Document]] = {
    ".md": _markdown, ".markdown": _markdown, ".txt": _plain, ".text": _plain, ".rst": _plain, ".html": _html, ".htm": _html,
    ".pdf": _pdf,
}  # fmt: skip
SUFFIXES = tuple(_READERS)
