"""A template of Jinja's syntax cut into its pieces, and the two ways in which the spaces around its blocks are read.

Ours takes away the line end after a block and the spaces before it, others keep both; written with the right signs
(`{%+ if x +%}`), one reads like the other.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from afere.base.errors import BadPrompt

_STRINGS = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
_TAG = re.compile(
    r"(?P<raw>\{%[-+]?\s*raw\s*[-+]?%\}.*?\{%[-+]?\s*endraw\s*[-+]?%\})"
    rf"|\{{\{{(?P<l1>[-+]?)(?P<expression>(?:{_STRINGS}|[^\"'}}]|\}}(?!\}}))*?)(?P<r1>[-+]?)\}}\}}"
    rf"|\{{%(?P<l2>[-+]?)(?P<block>(?:{_STRINGS}|[^\"'%]|%(?!\}}))*?)(?P<r2>[-+]?)%\}}"
    r"|\{#(?P<l3>[-+]?)(?P<comment>.*?)(?P<r3>[-+]?)#\}",
    re.DOTALL,
)
_OPENS = re.compile(r"\{[{%#]")
_SPACES = re.compile(r"[ \t]*\Z")


@dataclass(frozen=True, slots=True)
class Piece:
    """Text as it is, or the inside of a tag with the signs at its ends (`-`, `+` or nothing); `line` of the template."""

    kind: Literal["text", "expression", "block", "comment", "raw"]
    text: str
    line: int = 1
    left: str = ""
    right: str = ""

    @property
    def is_line(self) -> bool:
        """Whether the spaces around it are a matter of the dialect."""
        return self.kind in ("block", "comment")


def pieces(text: str, place: str) -> list[Piece]:
    """The template's pieces; BadPrompt for a tag that is never closed, with the line in `place`."""
    found: list[Piece] = []
    at = 0
    while opened := _OPENS.search(text, at):
        start, line = opened.start(), 1 + text.count("\n", 0, opened.start())
        tag = _TAG.match(text, start)
        if tag is None:
            raise BadPrompt(f"{place}:{line}: {text[start : start + 20]!r} is never closed.")
        if start > at:
            found.append(Piece("text", text[at:start], 1 + text.count("\n", 0, at)))
        if tag["raw"] is not None:
            found.append(Piece("raw", tag["raw"], line))
        elif tag["expression"] is not None:
            found.append(Piece("expression", tag["expression"].strip(), line, tag["l1"], tag["r1"]))
        elif tag["block"] is not None:
            found.append(Piece("block", tag["block"].strip(), line, tag["l2"], tag["r2"]))
        else:
            found.append(Piece("comment", tag["comment"], line, tag["l3"], tag["r3"]))
        at = tag.end()
    return [*found, Piece("text", text[at:], 1 + text.count("\n", 0, at))] if at < len(text) else found


def from_plain(text: str, place: str) -> str:
    """A template whose blocks leave the spaces around them alone, written so that ours does too."""
    return as_ours(pieces(text, place))


def as_ours(cut: Sequence[Piece], alone: Collection[int] = ()) -> str:
    """Pieces of a plain dialect as a template of ours. `alone`: numbers of blocks that get a line of their own."""
    out: list[str] = []
    for number, piece in enumerate(cut):
        if number in alone:
            out.append(f"{_written(piece, piece.left, piece.right)}\n")
        elif piece.is_line:
            before, after = _neighbour(cut, number - 1, "x"), _neighbour(cut, number + 1, "")
            own_line = before.rpartition("\n")[2]
            left = piece.left or ("+" if own_line and not own_line.strip(" \t") else "")
            out.append(_written(piece, left, piece.right or ("+" if after.startswith("\n") else "")))
        else:
            out.append(_written(piece, piece.left, piece.right))
    return "".join(out)


def to_plain(text: str, place: str) -> str:
    """A template of ours for a dialect whose blocks leave the spaces around them alone."""
    cut = pieces(text, place)
    return "".join(
        plain_text(cut, number)
        if piece.kind == "text"
        else _written(piece, piece.left.strip("+"), piece.right.strip("+"))
        for number, piece in enumerate(cut)
    )


def plain_text(cut: Sequence[Piece], number: int, *, kept: Collection[int] = ()) -> str:
    """A text of ours without what the blocks beside it take away; those of `kept` take nothing."""
    said = cut[number].text
    last, after = number - 1, number + 1
    if after < len(cut) and cut[after].is_line and not cut[after].left and after not in kept:
        spaces = _SPACES.search(said)
        start = spaces.start() if spaces else len(said)
        if said[:start].endswith("\n") or (not said[:start] and number == 0):
            said = said[:start]
    if last >= 0 and cut[last].is_line and not cut[last].right and last not in kept and said.startswith("\n"):
        said = said[1:]
    return said


def is_alone(cut: Sequence[Piece], number: int) -> bool:
    """Whether a block of ours has a line to itself, which is taken away with it."""
    piece = cut[number]
    if not piece.is_line or piece.left or piece.right:
        return False
    before, after = _neighbour(cut, number - 1, "\n" if number == 0 else "x"), _neighbour(cut, number + 1, "\n")
    head, line, own = before.rpartition("\n")
    starts = bool(line) or (number == 1 and not head)
    return starts and not own.strip(" \t") and after.startswith("\n")


def _neighbour(cut: Sequence[Piece], number: int, otherwise: str) -> str:
    """The text at that place; where none is, because a tag or nothing is there: "x" for a tag, else `otherwise`."""
    if not 0 <= number < len(cut):
        return otherwise
    return cut[number].text if cut[number].kind == "text" else "x"


def _written(piece: Piece, left: str, right: str) -> str:
    if piece.kind == "expression":
        return f"{{{{{left} {piece.text} {right}}}}}"
    if piece.kind == "block":
        return f"{{%{left} {piece.text} {right}%}}"
    if piece.kind == "comment":
        return f"{{#{left}{piece.text}{right}#}}"
    return piece.text
