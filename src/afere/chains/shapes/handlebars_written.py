"""A template of ours as Handlebars, where it has an equal there; any other construct is refused by name and line."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from afere.base.errors import BadPrompt
from afere.chains.shapes.pieces import Piece, is_alone, pieces, plain_text
from afere.chains.template import Section

_PATH = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[\d+\])*"
_VALUE = re.compile(_PATH)
_JSON = re.compile(rf"({_PATH})\s*\|\s*tojson(?:\(indent=(\d+)\))?")
_OR_EMPTY = re.compile(rf"({_PATH}) if \1 is not none else \"\"")
_LITERAL = re.compile(r"\"([^\"\\]*)\"|'([^'\\]*)'")
_FOR = re.compile(rf"for\s+([A-Za-z_]\w*)\s+in\s+({_PATH})")
_ASKED = re.compile(rf"({_PATH})(?: is defined and \1)?")
_UNASKED = re.compile(rf"not\s+(?:({_PATH})|\(({_PATH}) is defined and \2\))")
_EQUAL = re.compile(rf"({_PATH})\s*(==|!=)\s*(\"[^\"]*\"|'[^']*'|-?\d+(?:\.\d+)?|true|false|none|{_PATH})")
_LOOPS = {"loop.index0": "@index", "loop.first": "@first", "loop.last": "@last"}


def to_handlebars(section: Section, file: str, inputs: Collection[str]) -> str:
    """The message's template. BadPrompt names what has no equal, with its line."""
    return _Writer(file, section.line, inputs).write(pieces(section.text, file))


@dataclass
class _Writer:
    file: str
    first: int
    inputs: Collection[str]
    loops: list[str] = field(default_factory=list[str])
    open: list[str] = field(default_factory=list[str])

    def write(self, cut: Sequence[Piece]) -> str:
        alone = {number for number in range(len(cut)) if is_alone(cut, number)}
        out = ""
        for number, piece in enumerate(cut):
            if piece.kind == "text":
                said = plain_text(cut, number, kept=alone)
                tagged = number + 1 < len(cut)
                out += f"{said}\\" if tagged and said.endswith("\\") else said
                continue
            if piece.kind == "raw":
                raise self._no(piece)
            tag = self._tag(piece)
            after = (
                plain_text(cut, number + 1, kept=alone)
                if number + 1 < len(cut) and cut[number + 1].kind == "text"
                else "x"
            )
            if piece.is_line and number not in alone and _stands_alone(out, after):
                tag = f"{{{{!}}}}{tag}"  # else Handlebars takes its line away, which ours keeps
            out += tag
        return out

    def _tag(self, piece: Piece) -> str:
        left, right = "~" if piece.left == "-" else "", "~" if piece.right == "-" else ""
        if piece.kind == "comment":
            if "--" in piece.text:
                raise self._no(piece)
            return f"{{{{{left}!-- {piece.text.strip()} --{right}}}}}"
        said = self._expression(piece) if piece.kind == "expression" else self._block(piece)
        return said if said in ("{%", "{#", "\\{{") else f"{{{{{left}{said}{right}}}}}"

    def _expression(self, piece: Piece) -> str:
        text = piece.text
        if found := _LITERAL.fullmatch(text):
            literal = found[1] or found[2] or ""
            if literal not in ("{{", "{%", "{#"):
                raise self._no(piece)
            return "\\{{" if literal == "{{" else literal
        if found := _OR_EMPTY.fullmatch(text):
            return self._path(found[1], piece)
        if found := _JSON.fullmatch(text):
            return f"json {self._path(found[1], piece)}{f' indent={found[2]}' if found[2] else ''}"
        if _VALUE.fullmatch(text):
            return self._path(text, piece)
        raise self._no(piece)

    def _block(self, piece: Piece) -> str:
        word, _, rest = piece.text.partition(" ")
        if word == "for" and (found := _FOR.fullmatch(piece.text)):
            path = self._path(found[2], piece)
            self.loops.append(found[1])
            self.open.append("each")
            return f"#each {path}"
        if word == "if":
            name, condition = self._condition(rest.strip(), piece)
            self.open.append(name)
            return f"#{condition}"
        if word == "elif" and self.open and self.open[-1] != "each":
            return f"else {self._condition(rest.strip(), piece)[1]}"
        if word == "else" and self.open:
            if self.open[-1] == "each":
                raise self._no(piece)
            return "else"
        if word in ("endif", "endfor") and self.open:
            name = self.open.pop()
            if name == "each":
                self.loops.pop()
            return f"/{name}"
        raise self._no(piece)

    def _condition(self, text: str, piece: Piece) -> tuple[str, str]:
        if found := _UNASKED.fullmatch(text):
            return "unless", f"unless {self._path(found[1] or found[2], piece)}"
        if found := _ASKED.fullmatch(text):
            return "if", f"if {self._path(found[1], piece)}"
        if found := _EQUAL.fullmatch(text):
            name = "ifEquals" if found[2] == "==" else "unlessEquals"
            other = found[3]
            if other == "none":
                other = "null"
            elif _VALUE.fullmatch(other) and other not in ("true", "false"):
                other = self._path(other, piece)
            return name, f"{name} {self._path(found[1], piece)} {other}"
        raise self._no(piece)

    def _path(self, text: str, piece: Piece) -> str:
        """A name as it is found from within the loops around it."""
        if text in _LOOPS and self.loops:
            return _LOOPS[text]
        head, rest = re.match(r"(\w+)(.*)", text).groups()  # pyright: ignore[reportOptionalMemberAccess]
        rest = re.sub(r"\[(\d+)\]", r".[\1]", rest)
        if head == "loop":
            raise self._no(piece)
        if head in self.loops:
            up = len(self.loops) - 1 - max(number for number, name in enumerate(self.loops) if name == head)
            if not up:
                return f"this{rest}"
            return "../" * up + rest.removeprefix(".") if rest else "/".join([".."] * up)
        return "../" * len(self.loops) + head + rest

    def _no(self, piece: Piece) -> BadPrompt:
        marks = {"block": "{{% {} %}}", "expression": "{{{{ {} }}}}"}
        said = marks.get(piece.kind, "{}").format(piece.text)
        return BadPrompt(f"{self.file}:{self.first + piece.line - 1}: {said!r} has no equal in Handlebars.")


def _stands_alone(before: str, after: str) -> bool:
    own = before.rpartition("\n")[2]
    head = after.partition("\n")[0]
    return not own.strip() and not head.strip() and after != "x"
