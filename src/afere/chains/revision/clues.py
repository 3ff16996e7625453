"""What single calls in the code betray: files, modules imported by name, environment variables, code made of text.

Called by `scopes.py` for each call. Only the shape of the call is looked at; whether `prompt` is afere's is found later.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from afere.chains.revision.uses import Call, Name

if TYPE_CHECKING:
    from afere.chains.revision.scopes import Walker

AFERE_CALLS = frozenset({"prompt", "search", "dataset", "tool", "agent", "index", "judge", "evaluate"})
_CHANGES = (
    "add", "append", "attach", "clear", "connect", "delete", "extend", "include", "insert", "install", "mount", "pop",
    "push", "put", "register", "remove", "set", "subscribe", "update", "discard",
)  # fmt: skip
_PROSE = frozenset({"signature", "getdoc", "get_type_hints", "get_annotations"})


def note_call(walker: Walker, node: ast.Call, callees: list[Name], method: str) -> None:
    """Add to the walker's uses what this call betrays."""
    uses = walker.uses
    last = callees[0].chain.rpartition(".")[2] if callees else method
    first = node.args[0] if node.args else None
    if method.startswith(_CHANGES) and isinstance(node.func, ast.Attribute):
        uses.writes.update(walker.named(node.func.value))
    if last in _PROSE:
        uses.marks.add("prose")
    if last in AFERE_CALLS and callees:
        _note_afere(walker, node, callees)
    elif last in ("getattr", "setattr", "hasattr") and callees:
        _note_attribute(walker, node, last)
    elif last in ("import_module", "__import__"):
        uses.dynamic.add(_module_pattern(node))
    elif last in ("eval", "exec", "globals", "entry_points") and callees:
        uses.marks.add(last)
    elif last in ("getenv", "get") and isinstance(first, ast.Constant):
        if last == "getenv" or (callees and callees[0].chain.endswith("environ.get")):
            uses.environment.add(str(first.value))
    elif last in ("glob", "rglob", "iglob", "iterdir", "listdir", "scandir", "walk"):
        uses.marks.add("folder")
    elif last in ("open", "read_text", "read_bytes", "write_text", "write_bytes", "Path", "join", "joinpath"):
        _note_file(walker, node, last, method)


def path_text(node: ast.AST | None) -> str:
    """The part of a path that is written out: `Path(__file__).parent / "data" / "x.json"` is `data/x.json`. Else empty."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        right = path_text(node.right)
        left = path_text(node.left)
        return f"{left.rstrip('/')}/{right}" if left and right else right
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in ("Path", "PurePath", "join", "joinpath", "str", "fspath", "open", "resolve"):
            start = (
                [node.func.value]
                if isinstance(node.func, ast.Attribute) and called in ("joinpath", "open", "resolve")
                else []
            )
            return "/".join(text for part in (*start, *node.args) if (text := path_text(part)))
    return ""


def _note_afere(walker: Walker, node: ast.Call, callees: list[Name]) -> None:
    def argument(value: ast.expr) -> list[object] | None:
        try:
            return ["=", ast.literal_eval(value)]
        except ValueError:
            names = walker.named(value)
            return ["name", names[0].chain] if names and names[0].origin is None else None

    args = [argument(value) for value in node.args]
    keywords = {word.arg: argument(word.value) for word in node.keywords if word.arg}
    walker.uses.calls.extend(Call(callee, args, keywords) for callee in callees)


def _note_attribute(walker: Walker, node: ast.Call, last: str) -> None:
    if len(node.args) < 2:
        return
    owners, what = walker.named(node.args[0]), node.args[1]
    if last == "setattr":
        walker.uses.writes.update(owners)
    elif isinstance(what, ast.Constant):
        for owner in owners:
            walker.uses.names.add(owner._replace(chain=f"{owner.chain}.{what.value}"))
    elif owners:
        walker.uses.computed.update(owners)
    else:
        walker.uses.marks.add("getattr")


def _module_pattern(node: ast.Call) -> str:
    """`import_module(f"app.plugins.{x}")` is `app.plugins.*`; what cannot be said is `*`. Relative ones keep their dots."""
    return _pattern(node.args[0]) if node.args else "*"


def _pattern(node: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(piece.value) if isinstance(piece, ast.Constant) else _inserted(piece) for piece in node.values
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _pattern(node.left) + _pattern(node.right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return _pattern(node.left).replace("%s", "*").replace("%r", "*")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _pattern(node.func.value).replace("{}", "*").replace("{0}", "*")
    return "{package}" if isinstance(node, ast.Name) and node.id in ("__name__", "__package__") else "*"


def _inserted(piece: ast.AST) -> str:
    return _pattern(piece.value) if isinstance(piece, ast.FormattedValue) else "*"


def _note_file(walker: Walker, node: ast.Call, last: str, method: str) -> None:
    """A file that is read: its path if it is written out; one that is written does not count."""
    on_path = isinstance(node.func, ast.Attribute) and (
        last.startswith(("read_", "write_")) or (last == "open" and method == last)
    )
    place = node.func.value if on_path and isinstance(node.func, ast.Attribute) else node.args[0] if node.args else None
    text = path_text(node) if last in ("Path", "join", "joinpath") else path_text(place)
    if last in ("Path", "join", "joinpath"):
        if text and "/" in text:
            walker.uses.strings.add(text)
        return
    if last.startswith("write_") or _writes(node, on_path=on_path):
        walker.uses.written.update({text, *_texts(place)} - {""})
    elif text:
        walker.uses.strings.add(text)
    elif place is not None and not walker.named(place) and not _names_file(walker, place):
        walker.uses.marks.add("open")


def _names_file(walker: Walker, place: ast.AST) -> bool:
    """Whether a path is made of names from outside, whose own definitions tell the file: `open(DATA)`, `Path(DATA)`."""
    return isinstance(place, ast.Call) and len(place.args) == 1 and bool(walker.named(place.args[0]))


def _texts(node: ast.AST | None) -> set[str]:
    return {str(inner.value) for inner in ast.walk(node) if isinstance(inner, ast.Constant)} if node else set()


def _writes(node: ast.Call, *, on_path: bool) -> bool:
    modes = [word.value for word in node.keywords if word.arg == "mode"] + node.args[0 if on_path else 1 :][:1]
    return any(isinstance(mode, ast.Constant) and set("wax") & set(str(mode.value)) for mode in modes)
