"""Handlebars, the part of it that dotprompt's templates use, read into a template of ours. Nothing is run.

Variables, `#if`, `#unless`, `#each`, `#with`, `#ifEquals`, `#unlessEquals`, `else`, `json` and `role` mean the same here; history, media
and sections are lost and told; helpers of a program, partials and everything else are refused by name and line.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Literal, cast

from afere.base.errors import BadPrompt
from afere.base.message import Role
from afere.chains.shapes.pieces import Piece, as_ours
from afere.chains.shapes.shaped import Notes
from afere.chains.template import Section

_TAG = re.compile(
    r"\{\{(?P<l>~)?(?:!--(?P<long>.*?)--|!(?P<short>.*?)|\{(?P<triple>[^{}]*)\}"
    r"|(?P<inner>(?:\"[^\"]*\"|'[^']*'|[^\"'{}~]|~(?!\}\}))*))(?P<r>~)?\}\}",
    re.DOTALL,
)
_WORD = re.compile(r"\"[^\"]*\"|'[^']*'|[\w.@/-]+=(?:\"[^\"]*\"|'[^']*'|[^\s]+)|\|[^|]*\||[^\s]+")
_PATH = re.compile(
    r"(?P<up>(?:\.\./)*)(?P<rest>\.\.|this|\.|@?[A-Za-z_]\w*)(?P<more>(?:[./](?:[A-Za-z_]\w*|\[?\d+\]?))*)"
)
_SEGMENT = re.compile(r"[./](\w+|\[\d+\])")
_RESERVED = frozenset(
    (
        "and",
        "or",
        "not",
        "in",
        "is",
        "if",
        "else",
        "elif",
        "for",
        "none",
        "None",
        "true",
        "false",
        "True",
        "False",
        "loop",
    )
)
_LITERAL = re.compile(r"\"[^\"]*\"|'[^']*'|-?\d+(?:\.\d+)?|true|false|null")
_OURS = re.compile(r"\{[{%#]")
_ROLES = {"system": "system", "user": "user", "model": "assistant", "assistant": "assistant", "tool": "tool"}


@dataclass
class _Block:
    """An open block: `name` as written, how ours ends, and whether it changed what names are looked up in."""

    name: str
    end: str
    line: int
    scoped: bool = False


@dataclass(frozen=True, slots=True)
class _Mark:
    """Text, or a tag; `alone` tags have a line of their own, which goes with them."""

    kind: Literal["text", "tag", "comment"]
    text: str
    line: int
    alone: bool = False


def from_handlebars(
    text: str, file: str, first: int, inputs: Collection[str], notes: Notes, *, optional: Collection[str] = (),
    mustache: bool = False,
) -> list[Section]:  # fmt: skip
    """The messages as templates of ours. `optional`: inputs that may be null. `mustache`: nothing but variables is taken over."""
    return _Reader(file, inputs, optional, notes, mustache=mustache).read(text, first)


@dataclass
class _Reader:
    file: str
    inputs: Collection[str]
    optional: Collection[str]
    notes: Notes
    mustache: bool = False
    sections: list[Section] = field(default_factory=list[Section])
    cut: list[Piece] = field(default_factory=list[Piece])
    alone: set[int] = field(default_factory=set[int])
    blocks: list[_Block] = field(default_factory=list[_Block])
    scopes: list[tuple[str, dict[str, str]]] = field(default_factory=lambda: [("", {})])
    role: str = "user"
    begun: int = 1

    def read(self, text: str, first: int) -> list[Section]:
        self.begun = first
        for mark in _marks(text, self.file, first):
            if mark.kind == "text":
                self._text(mark)
            elif mark.kind == "tag":
                self._tag(mark)
        if self.blocks:
            raise BadPrompt(f"{self.file}:{self.blocks[-1].line}: {{{{#{self.blocks[-1].name}}}}} is never closed.")
        self._flush(self.begun)
        return self.sections or [Section("user", "", first)]

    def _text(self, mark: _Mark) -> None:
        at = 0
        for sign in _OURS.finditer(mark.text):  # what begins a tag in ours and is text here
            if sign.start() > at:
                self.cut.append(Piece("text", mark.text[at : sign.start()], mark.line))
            self.cut.append(Piece("expression", f'"{sign[0]}"', mark.line))
            at = sign.end()
        if at < len(mark.text):
            self.cut.append(Piece("text", mark.text[at:], mark.line))

    def _put(self, kind: Literal["expression", "block"], text: str, mark: _Mark) -> None:
        if mark.alone and kind == "block":
            self.alone.add(len(self.cut))
        self.cut.append(Piece(kind, text, mark.line))

    def _flush(self, line: int) -> None:
        text = as_ours(self.cut, self.alone)
        lead = len(text) - len(text.lstrip("\n"))
        if text.strip():
            self.sections.append(Section(cast("Role", self.role), text.strip("\n").rstrip(), self.begun + lead))
        self.cut, self.alone, self.begun = [], set(), line

    def _tag(self, mark: _Mark) -> None:
        inner = mark.text.strip()
        if self.mustache and inner[:1] in ("#", "/", "^", ">"):
            raise self._no(mark, "a template of variables")
        if inner.startswith("#"):
            self._open(inner[1:].strip(), mark)
        elif inner.startswith("/"):
            self._close(inner[1:].strip(), mark)
        elif inner == "^" or inner.split(None, 1)[0:1] == ["else"]:
            self._else(inner.removeprefix("else").removeprefix("^").strip(), mark)
        else:
            self._value(inner.removeprefix("&").strip(), mark)

    def _value(self, inner: str, mark: _Mark) -> None:
        words = _WORD.findall(inner)
        name = words[0] if words else ""
        if name == "role" and len(words) == 2:
            self._begin(words[1].strip("\"'"), mark)
        elif name in ("history", "media", "section") and (name == "history" or len(words) > 1):
            self.notes.lost(f"line {mark.line}: {{{{{inner}}}}}", _LOST[name], spoils=True)
        elif name == "json" and len(words) in (2, 3):
            indent = words[2].partition("=") if len(words) == 3 else ("", "", "")
            if len(words) == 3 and (indent[0] != "indent" or not indent[2].isdigit()):
                raise self._no(mark)
            filter_ = f"tojson(indent={indent[2]})" if indent[2] else "tojson"
            self._put("expression", f"{self._path(words[1], mark)} | {filter_}", mark)
            self.notes.changed(f"line {mark.line}: json", "the same JSON with other spaces and escapes")
        elif len(words) == 1:
            path = self._path(name, mark)
            self._put("expression", f'{path} if {path} is not none else ""' if path in self.optional else path, mark)
        else:
            raise self._no(mark)

    def _begin(self, role: str, mark: _Mark) -> None:
        if self.blocks:
            raise BadPrompt(
                f"{self.file}:{mark.line}: a message cannot begin within {{{{#{self.blocks[-1].name}}}}} here. "
                "Write the messages out, or give earlier turns as one text."
            )
        if role not in _ROLES:
            raise BadPrompt(f"{self.file}:{mark.line}: there is no role {role!r} here: {', '.join(_ROLES)}.")
        self._flush(mark.line)
        self.role = _ROLES[role]

    def _open(self, inner: str, mark: _Mark) -> None:
        words = _WORD.findall(inner)
        name, rest = (words[0], words[1:]) if words else ("", [])
        if name in ("each", "with"):
            self._scoped(name, rest, mark)
            return
        condition = self._condition(name, rest, mark)
        self._put("block", f"if {condition}", mark)
        self.blocks.append(_Block(name, "endif", mark.line))

    def _scoped(self, name: str, rest: list[str], mark: _Mark) -> None:
        named: list[str] = rest[2].strip("|").split() if len(rest) == 3 and rest[1] == "as" else []
        if not rest or len(rest) not in (1, 3) or (len(rest) == 3 and len(named) != 1):
            raise self._no(mark)
        path = self._path(rest[0], mark)
        if name == "with":
            self._put("block", f"if {_asked(path)}", mark)
            self.scopes.append((path, dict.fromkeys(named, path)))
        else:
            taken = {*self.inputs, *(scope for scope, _ in self.scopes)}
            free = (one for one in ("item", *(f"item{n}" for n in range(2, 99))) if one not in taken)
            item = self._name(named[0], mark) if named else next(free)
            self._put("block", f"for {item} in {path}", mark)
            self.scopes.append((item, dict.fromkeys(named, item)))
        self.blocks.append(_Block(name, "endfor" if name == "each" else "endif", mark.line, scoped=True))

    def _condition(self, name: str, rest: list[str], mark: _Mark) -> str:
        if name in ("if", "unless") and len(rest) == 1:
            asked = _asked(self._path(rest[0], mark))
            return asked if name == "if" else (f"not ({asked})" if " " in asked else f"not {asked}")
        if name in ("ifEquals", "unlessEquals") and len(rest) == 2:
            one, other = (self._operand(word, mark) for word in rest)
            return f"{one} {'==' if name == 'ifEquals' else '!='} {other}"
        raise self._no(mark)

    def _operand(self, word: str, mark: _Mark) -> str:
        if _LITERAL.fullmatch(word):
            return "none" if word == "null" else word
        return self._path(word, mark)

    def _else(self, inner: str, mark: _Mark) -> None:
        if not self.blocks:
            raise BadPrompt(f"{self.file}:{mark.line}: {{{{else}}}} stands in no block.")
        block = self.blocks[-1]
        if block.scoped:
            self.scopes.pop()
            block.scoped = False
        if not inner:
            self._put("block", "else", mark)
            return
        name, *rest = _WORD.findall(inner)
        if block.end != "endif" or name in ("each", "with"):
            raise self._no(mark)
        self._put("block", f"elif {self._condition(name, rest, mark)}", mark)

    def _close(self, name: str, mark: _Mark) -> None:
        if not self.blocks or self.blocks[-1].name != name:
            opened = f"; {{{{#{self.blocks[-1].name}}}}} is open" if self.blocks else ""
            raise BadPrompt(f"{self.file}:{mark.line}: {{{{/{name}}}}} closes no block{opened}.")
        block = self.blocks.pop()
        if block.scoped:
            self.scopes.pop()
        self._put("block", block.end, mark)

    def _path(self, word: str, mark: _Mark) -> str:
        """A path as ours writes it: from the innermost `#each` or `#with`, upwards with `../`, or a variable of the loop."""
        found = _PATH.fullmatch(word)
        if found is None:
            raise self._no(mark)
        rest, more = found["rest"], [part.strip("[]") for part in _SEGMENT.findall(found["more"])]
        depth = found["up"].count("../") + (rest == "..")
        if depth >= len(self.scopes):
            raise BadPrompt(f"{self.file}:{mark.line}: {word!r} leads out of the template.")
        scope, _ = self.scopes[-1 - depth]
        if rest.startswith("@"):
            return self._special(rest, more, depth, mark)
        params = next((names[rest] for _, names in reversed(self.scopes) if rest in names), None) if not depth else None
        if rest in ("this", ".", ".."):
            if not scope and not more:
                raise BadPrompt(f"{self.file}:{mark.line}: {word!r} is all inputs at once; name the one that is meant.")
            parts = [scope, *more] if scope else more
        elif params is not None:
            parts = [params, *more]
        else:
            parts = [scope, rest, *more] if scope else [rest, *more]
        head = self._name(parts[0].partition(".")[0], mark) + parts[0][len(parts[0].partition(".")[0]) :]
        return head + "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in parts[1:])

    def _special(self, name: str, more: list[str], depth: int, mark: _Mark) -> str:
        if name == "@root" and more and not depth:
            return self._name(more[0], mark) + "".join(f".{part}" for part in more[1:])
        loops = {"@index": "loop.index0", "@first": "loop.first", "@last": "loop.last"}
        in_loop = any(block.end == "endfor" and block.scoped for block in self.blocks)
        if name in loops and not more and not depth and in_loop:
            return loops[name]
        raise self._no(mark)

    def _name(self, name: str, mark: _Mark) -> str:
        if name in _RESERVED:
            raise BadPrompt(f"{self.file}:{mark.line}: {name!r} cannot be a variable here. Give it another name.")
        return name

    def _no(self, mark: _Mark, where: str = "a prompt file") -> BadPrompt:
        return BadPrompt(f"{self.file}:{mark.line}: '{{{{{mark.text.strip()}}}}}' has no equal in {where}.")


_LOST = {
    "history": "earlier turns have no place of their own; give them as an input",
    "media": "pictures and documents cannot be filled into text here",
    "section": "a part of a message that a program fills in",
}


def _asked(path: str) -> str:
    """A property that may be missing is asked for first."""
    return f"{path} is defined and {path}" if "." in path and not path.startswith("loop.") else path


def _marks(text: str, file: str, first: int) -> Iterator[_Mark]:
    """Texts and tags, with the spaces gone that Handlebars takes away: the line of a block that stands alone, and at `~`."""
    at, strip = 0, ""
    while True:
        start = text.find("{{", at)
        part = text[at:] if start < 0 else text[at:start]
        line = first + text.count("\n", 0, at)
        if start >= 0 and part.endswith("\\") and not part.endswith("\\\\"):
            yield _Mark("text", _begin(part[:-1], strip) + "{{", line)  # an escaped tag is text
            at, strip = start + 2, ""
            continue
        if start < 0:
            yield _Mark("text", _begin(part, strip), line)
            return
        tag = _TAG.match(text, start)
        here = first + text.count("\n", 0, start)
        if tag is None:
            raise BadPrompt(f"{file}:{here}: {text[start : start + 20]!r} is not a tag that can be read.")
        inner, comment = _inside(tag)
        block = comment or inner.lstrip()[:1] in ("#", "/", "^") or inner.split(None, 1)[:1] == ["else"]
        line_start = text.rfind("\n", 0, start) + 1
        line_end = text.find("\n", tag.end())
        tail = text[tag.end() : len(text) if line_end < 0 else line_end]
        alone = block and not text[line_start:start].strip() and not tail.strip() and not (tag["l"] or tag["r"])
        part = _begin(part[:-1] if part.endswith("\\\\") else part, strip)
        yield _Mark("text", part.rstrip() if tag["l"] else part.rstrip(" \t") if alone else part, line)
        yield _Mark("comment" if comment else "tag", inner, here, alone)
        at, strip = tag.end(), "~" if tag["r"] else ""
        if alone:
            at = len(text) if line_end < 0 else line_end + 1


def _inside(tag: re.Match[str]) -> tuple[str, bool]:
    """What a tag says, and whether it is a comment."""
    for name in ("long", "short"):
        if tag[name] is not None:
            return tag[name], True
    return (tag["triple"] if tag["triple"] is not None else tag["inner"]), False


def _begin(part: str, strip: str) -> str:
    return part.lstrip() if strip else part
