"""Step 1 of reading code: one text for a piece of syntax tree, the same on every Python and in every layout.

`forms(nodes)` gives two digests of a definition: `plain`, without docstrings and annotations, and `prose`, with them
(`reach.py` decides which of the two counts). `ast.dump` would not do: it differs between Python versions.

Left out are positions, comments, quotes, parentheses, `pass`, statements that are only a constant, and fields that are
empty: a field that a later Python adds then changes nothing. An import inside a function is written as the names that
it binds; what those mean is told by the part's `names`. A literal that looks like a secret is written as a keyed digest.

Only the standard library is used here, so that any interpreter can check the promise.
"""

from __future__ import annotations

import ast
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Sequence
from inspect import cleandoc
from typing import Any, cast

FORM = 1  # a change of the form never compares as a change of the user's code
_SKIPPED = frozenset({"ctx", "kind", "type_comment", "simple", "type_ignores"})
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:api_?key|secret(?:_?key)?|access_?key|private_?key|(?:auth|access|api|bearer|refresh)?_?token|passwo?r?d|passwd|credentials?)$",
    re.IGNORECASE,
)
_SECRET_SHAPE = re.compile(
    r"(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|AKIA[0-9A-Z]{16}|AIza[\w-]{30,}"
    r"|xox[abprs]-[\w-]{10,}|hf_[A-Za-z0-9]{20,}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]*|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
_ASSIGNED = re.compile(
    r"""((?P<name>\b\w+)["']?\s*(?::\s*[\w.\[\]| ]+)?\s*[=:]\s*)(["'])(?P<text>[^"'\n]*)\3""",
)

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def secret_name(name: str) -> bool:
    """Whether a value under this name is probably a secret (`api_key`, `DB_PASSWORD`; not `max_tokens`)."""
    return _SECRET_NAME.search(name) is not None


def is_secret(name: str, text: str) -> bool:
    """Whether this text, under this name, is probably a secret."""
    return _SECRET_SHAPE.search(text) is not None or (len(text) >= 6 and secret_name(name))


def keyed(text: str) -> str:
    """A keyed digest: equal secrets compare as equal, and the plain hash of a guess does not find them."""
    return hmac.new(b"afere revision", text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:24]


def mask_secrets(source: str) -> str:
    """Source text with what looks like a secret replaced, for keeping and showing."""
    masked = _SECRET_SHAPE.sub("<secret>", source)
    return _ASSIGNED.sub(lambda m: f"{m[1]}{m[3]}<secret>{m[3]}" if is_secret(m["name"], m["text"]) else m[0], masked)


def literal(value: object, name: str = "") -> str:
    """The text of a constant by type and value: `4` is not `4.0`; floats in hex. `name` is what holds it, if anything."""
    text = type(value).__name__
    if isinstance(value, str):
        text = f"secret:{keyed(value)}" if is_secret(name, value) else json.dumps(value)
    elif value is None or isinstance(value, bool):
        text = str(value)
    elif isinstance(value, int):
        text = str(value) if abs(value) < 1 << 64 else hex(value)
    elif isinstance(value, float):
        text = value.hex()
    elif isinstance(value, complex):
        text = f"complex({value.real.hex()},{value.imag.hex()})"
    elif isinstance(value, bytes):
        text = f"bytes:{value.hex()}"
    return text


def docstring(node: Definition | ast.Module) -> str | None:
    """The cleaned docstring of a definition."""
    first = node.body[0] if node.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return cleandoc(first.value.value)
    return None


def says_nothing(statement: ast.stmt) -> bool:
    """Whether a statement does nothing when it runs: `pass`, `...`, text."""
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def forms(nodes: Sequence[ast.AST], *, without: frozenset[ast.stmt] = frozenset()) -> tuple[str, str]:
    """The digests (plain, prose) of some nodes; statements in `without` are left out (methods are parts of their own)."""
    writer = _Writer(without)
    for node in nodes:
        writer.write(node)
    plain, prose = "".join(writer.plain), "".join(writer.prose)
    first = _digest(plain)
    return first, first if plain == prose else _digest(prose)


def form_text(nodes: Sequence[ast.AST], *, prose: bool = False) -> str:
    """The canonical text itself, for tests and for people who want to see why two digests differ."""
    writer = _Writer(frozenset())
    for node in nodes:
        writer.write(node)
    return "".join(writer.prose if prose else writer.plain)


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class _Writer:
    """Walks a tree once and writes both forms."""

    def __init__(self, without: frozenset[ast.stmt]) -> None:
        self.plain: list[str] = []
        self.prose: list[str] = []
        self._without = without
        self._in_class = False
        self._special: dict[type, Callable[[Any, str], None]] = {
            ast.Constant: self._constant,
            ast.JoinedStr: self._joined,
            ast.FunctionDef: self._definition,
            ast.AsyncFunctionDef: self._definition,
            ast.ClassDef: self._definition,
            ast.Lambda: self._lambda,
            ast.arg: self._argument,
            ast.AnnAssign: self._annotated,
            ast.Assign: self._assign,
            ast.keyword: self._keyword,
            ast.Dict: self._dict,
            ast.Import: self._import,
            ast.ImportFrom: self._import,
            ast.FormattedValue: self._formatted,
            ast.MatchSingleton: self._singleton,
        }

    def write(self, node: ast.AST, name: str = "") -> None:
        special = self._special.get(type(node))
        if special is not None:
            special(node, name)
        else:
            self._plainly(node)

    def _both(self, text: str) -> None:
        self.plain.append(text)
        self.prose.append(text)

    def _plainly(self, node: ast.AST, skip: Iterable[str] = ()) -> None:
        """Type, then the fields that hold something, by name."""
        self._both(type(node).__name__ + "(")
        for field in _fields(type(node)):
            if field not in skip:
                self._field(field, getattr(node, field, None))
        self._both(")")

    def _field(self, field: str, value: Any) -> None:
        if value is None or value == []:
            return
        if isinstance(value, list):
            self._items(field, cast("list[Any]", value))
        elif isinstance(value, ast.AST):
            self._both(field + "=")
            self.write(value)
            self._both(",")
        elif value != 0 or isinstance(value, str):
            self._both(f"{field}={json.dumps(value)},")

    def _items(self, field: str, items: list[Any]) -> None:
        kept = [item for item in items if not self._left_out(item)]
        if not kept:
            return
        self._both(field + "=[")
        for item in kept:
            if isinstance(item, ast.AST):
                self.write(item)
            else:
                self._both(json.dumps(item))
            self._both(",")
        self._both("],")

    def _left_out(self, item: Any) -> bool:
        if not isinstance(item, ast.stmt):
            return False
        bare = isinstance(item, ast.AnnAssign) and item.value is None and not self._in_class
        return bare or says_nothing(item) or item in self._without

    def _constant(self, node: ast.Constant, name: str) -> None:
        self._both(literal(node.value, name))

    def _singleton(self, node: ast.MatchSingleton, _: str) -> None:
        self._both(f"MatchSingleton({node.value})")

    def _joined(self, node: ast.JoinedStr, _: str) -> None:
        """f-strings: adjacent pieces of text joined, since Pythons cut them differently."""
        self._both("JoinedStr(")
        text = ""
        for piece in node.values:
            if isinstance(piece, ast.Constant):
                text += str(piece.value)
                continue
            if text:
                self._both(literal(text) + ",")
            text = ""
            self.write(piece)
            self._both(",")
        self._both((literal(text) if text else "") + ")")

    def _formatted(self, node: ast.FormattedValue, _: str) -> None:
        spec = node.format_spec
        empty = isinstance(spec, ast.JoinedStr) and all(
            isinstance(piece, ast.Constant) and piece.value == "" for piece in spec.values
        )
        self._both("FormattedValue(")
        if node.conversion != -1:
            self._both(f"conversion={node.conversion},")
        self._field("value", node.value)
        self._field("format_spec", None if empty else spec)
        self._both(")")

    def _definition(self, node: Definition, _: str) -> None:
        """A function or class: docstring and returned type only in the prose form."""
        outside, self._in_class = self._in_class, isinstance(node, ast.ClassDef)
        self._plainly(node, skip=("returns",))
        self._in_class = outside
        if (text := docstring(node)) is not None:
            self.prose.append(f"doc={json.dumps(text)}")
        if not isinstance(node, ast.ClassDef) and node.returns is not None:
            self._annotation(node.returns)

    def _lambda(self, node: ast.Lambda, _: str) -> None:
        outside, self._in_class = self._in_class, False
        self._plainly(node)
        self._in_class = outside

    def _argument(self, node: ast.arg, _: str) -> None:
        self._both(f"arg({node.arg}")
        if node.annotation is not None:
            self._annotation(node.annotation)
        self._both(")")

    def _annotation(self, node: ast.expr) -> None:
        """An annotation, in the prose form alone. `"int"` and `int` are one: both are read as the same type."""
        kept, self.plain = self.plain, []
        self.prose.append(":")
        self.write(_unquoted(node))
        self.plain = kept

    def _annotated(self, node: ast.AnnAssign, _: str) -> None:
        """`x: int = 3` is `x = 3`; as a field of a class its type counts always, since schemas are made of it."""
        self._both("Assign(")
        if self._in_class:
            self._field("annotation", _unquoted(node.annotation))
        else:
            self._annotation(node.annotation)
        self._both("targets=[")
        self.write(node.target)
        self._both(",],")
        if node.value is not None:
            self._both("value=")
            self.write(node.value, _name_of(node.target))
            self._both(",")
        self._both(")")

    def _assign(self, node: ast.Assign, _: str) -> None:
        self._both("Assign(")
        self._items("targets", cast("list[Any]", node.targets))
        self._both("value=")
        self.write(node.value, _name_of(node.targets[0]))
        self._both(",)")

    def _keyword(self, node: ast.keyword, _: str) -> None:
        self._both(f"keyword({node.arg or '**'}=")
        self.write(node.value, node.arg or "")
        self._both(")")

    def _dict(self, node: ast.Dict, _: str) -> None:
        self._both("Dict(")
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                self._both("**")
            else:
                self.write(key)
            self._both(":")
            self.write(value, str(key.value) if isinstance(key, ast.Constant) else "")
            self._both(",")
        self._both(")")

    def _import(self, node: ast.Import | ast.ImportFrom, _: str) -> None:
        bound = sorted(alias.asname or alias.name.partition(".")[0] for alias in node.names)
        self._both(f"Import({','.join(bound)})")


_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {}


def _fields(kind: type[ast.AST]) -> tuple[str, ...]:
    if kind not in _FIELDS:
        _FIELDS[kind] = tuple(sorted(set(kind._fields) - _SKIPPED))
    return _FIELDS[kind]


def _name_of(target: ast.expr) -> str:
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        return str(target.slice.value)
    return target.id if isinstance(target, ast.Name) else target.attr if isinstance(target, ast.Attribute) else ""


def _unquoted(node: ast.expr) -> ast.expr:
    """An annotation written as text, read as code."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            return ast.parse(node.value, mode="eval").body
        except SyntaxError:
            return node
    return node
