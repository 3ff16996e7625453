"""Step 3 of reading code: one index per source file, made from its text, importing nothing.

A file becomes pieces: a function, a method, a class without its methods, a constant (all statements that bind the name,
in all branches, with their conditions), an import effect (what a module does when it is imported). Besides the pieces:
what each name is imported from, which modules an import of the file runs, star imports.
Left out are `if TYPE_CHECKING:` and `if __name__ == "__main__":`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from afere.chains.revision.canonical_form import Definition, forms, literal, says_nothing
from afere.chains.revision.scopes import Walker, import_enters, import_names, uses_of
from afere.chains.revision.uses import Import, Name, Uses

Spans = list[tuple[int, int]]  # first and last line, from 1


@dataclass(slots=True)
class Piece:
    """One definition of a file. `plain` and `prose` are the digests of its two forms."""

    kind: str  # "function", "method", "class", "constant", "import effect"
    name: str
    plain: str
    prose: str
    uses: Uses
    lines: Spans
    value: str | None = None  # the text of a constant's literal
    schema: bool = False  # docstrings and annotations always count: a class with a base, and its methods
    decorators: list[Name] = field(default_factory=list[Name])
    bases: list[Name] = field(default_factory=list[Name])
    methods: list[str] = field(default_factory=list[str])
    hooks: bool = False  # subclasses announce themselves: `__init_subclass__`, a metaclass
    alone: bool = True  # bound by this one definition alone


@dataclass(slots=True)
class FileIndex:
    """What a file defines, imports and does on import. `problem` says why it could not be read as Python."""

    pieces: dict[str, Piece] = field(default_factory=dict[str, Piece])
    effects: list[str] = field(default_factory=list[str])  # names of pieces, in order
    imports: dict[str, list[Import]] = field(default_factory=dict[str, list[Import]])
    enters: list[Import] = field(default_factory=list[Import])
    stars: list[Import] = field(default_factory=list[Import])
    exports: list[str] | None = None  # `__all__`, where it is written out
    problem: str | None = None


class _Placed(NamedTuple):
    """A top-level statement, with what decides whether it runs."""

    statement: ast.stmt
    conditions: tuple[ast.AST, ...]


def index_source(text: str) -> FileIndex:
    """The index of a file's text. A text that is no Python gives an empty index with a `problem`."""
    try:
        tree = ast.parse(text)
        return _Indexer(tree).index
    except (SyntaxError, ValueError, RecursionError) as problem:
        return FileIndex(problem=f"cannot be read as Python ({type(problem).__name__}); the whole file counts")


class _Indexer:
    def __init__(self, tree: ast.Module) -> None:
        self.index = FileIndex()
        self._bound: dict[str, list[_Placed]] = {}
        self._containers: set[str] = set()
        statements = list(_placed(tree.body, ()))
        for placed in statements:
            self._take_names(placed)
        effects = [placed for placed in statements if self._is_effect(placed)]
        for name, bound in self._bound.items():
            self._add(name, bound)
        for number, placed in enumerate(effects, start=1):
            piece = _piece("import effect", str(number), [placed])
            self.index.pieces[f"effect {number}"] = piece
            self.index.effects.append(f"effect {number}")

    def _take_names(self, placed: _Placed) -> None:
        statement = placed.statement
        if isinstance(statement, ast.Import | ast.ImportFrom):
            self._take_import(statement, placed)
            return
        for name in _binds(statement):
            self._bound.setdefault(name, []).append(placed)
        value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
        if value is not None and _is_container(value):
            self._containers.update(_binds(statement))
        if "__all__" in self._bound and isinstance(value, ast.List | ast.Tuple) and "__all__" in _binds(statement):
            self.index.exports = [str(item.value) for item in value.elts if isinstance(item, ast.Constant)]

    def _take_import(self, statement: ast.Import | ast.ImportFrom, placed: _Placed) -> None:
        for name, origin in import_names(statement):
            if name == "*":
                self.index.stars.append(Import(origin.module, None, origin.level))
                self.index.enters.append(Import(origin.module, None, origin.level))
                continue
            origins = self.index.imports.setdefault(name, [])
            if origin not in origins:
                origins.append(origin)
            if any(isinstance(condition, ast.expr) for condition in placed.conditions):
                self._bound.setdefault(name, []).append(placed)
        self.index.enters.extend(entered for entered in import_enters(statement) if entered.attr != "*")

    def _is_effect(self, placed: _Placed) -> bool:
        """Whether a statement does more than bind names here. What fills a container of this file belongs to it."""
        statement = placed.statement
        if isinstance(statement, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return False
        owner = _changed(statement)
        if owner in self._containers:
            self._bound[owner].append(placed)
            return False
        return any(_acts(inner) for inner in _inside(statement))

    def _add(self, name: str, bound: list[_Placed]) -> None:
        last = bound[-1].statement
        if isinstance(last, ast.ClassDef):
            self._add_class(name, last, bound)
            return
        function = isinstance(last, ast.FunctionDef | ast.AsyncFunctionDef)
        piece = _piece("function" if function else "constant", name, bound)
        if isinstance(last, ast.FunctionDef | ast.AsyncFunctionDef):
            piece.decorators = _decorators(last)
        elif len(bound) == 1:
            piece.value = _literal_text(last, name)
        self.index.pieces[name] = piece

    def _add_class(self, name: str, node: ast.ClassDef, bound: list[_Placed]) -> None:
        methods = [item for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)]
        piece = _piece("class", name, bound, without=frozenset[ast.stmt](methods))
        piece.decorators = _decorators(node)
        piece.bases = [found for base in node.bases for found in Walker(frozenset()).named(_callee(base))]
        piece.schema = bool(node.keywords) or any(base.chain != "object" for base in piece.bases) or len(node.bases) > 1
        piece.hooks = any(word.arg == "metaclass" for word in node.keywords)
        self.index.pieces[name] = piece
        for method in methods:
            full = f"{name}.{method.name}"
            same = [_Placed(item, ()) for item in methods if item.name == method.name]
            if full in piece.methods:
                continue
            piece.methods.append(full)
            piece.hooks = piece.hooks or method.name == "__init_subclass__"
            self.index.pieces[full] = made = _piece("method", full, same, inside=node)
            made.schema = piece.schema
            made.decorators = _decorators(method)


def _placed(body: Sequence[ast.stmt], conditions: tuple[ast.AST, ...]) -> Iterator[_Placed]:
    """All statements that run on import, with the conditions above them."""
    for statement in body:
        if isinstance(statement, ast.If):
            runs, otherwise = _branches(statement.test)
            if runs:
                yield from _placed(statement.body, (*conditions, statement.test))
            if otherwise:
                yield from _placed(statement.orelse, (*conditions, statement.test, ast.Constant("else")))
        elif isinstance(statement, ast.Try | ast.TryStar):
            yield from _placed(statement.body, (*conditions, _mark("try")))
            for handler in statement.handlers:
                kinds = (handler.type,) if handler.type else ()
                yield from _placed(handler.body, (*conditions, _mark("except"), *kinds))
            yield from _placed(statement.orelse, (*conditions, _mark("try else")))
            yield from _placed(statement.finalbody, (*conditions, _mark("finally")))
        elif not says_nothing(statement):
            yield _Placed(statement, conditions)


def _mark(text: str) -> ast.AST:
    """A word between nodes; not an expression, so that it is no condition."""
    return ast.Module(body=[ast.Global(names=[text])], type_ignores=[])


def _branches(test: ast.expr) -> tuple[bool, bool]:
    """Which branches of an `if` count. Type checking and the main guard never run in a chain."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        first, second = _branches(test.operand)
        return second, first
    if isinstance(test, ast.Name | ast.Attribute):
        name = test.id if isinstance(test, ast.Name) else test.attr
        return name != "TYPE_CHECKING", True
    if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Eq):
        sides = [test.left, *test.comparators]
        if any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides):
            return False, True
    return True, True


def _inside(statement: ast.AST) -> Iterator[ast.AST]:
    """The statement and the statements within it that run with it; not the bodies of functions and classes."""
    todo: list[ast.AST] = [statement]
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            todo.extend(ast.iter_child_nodes(node))


def _binds(statement: ast.stmt) -> list[str]:
    """The module names that a statement binds."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    found: list[str] = []
    for node in _inside(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.append(node.id)
        elif node is not statement and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.append(node.name)
    return list(dict.fromkeys(found))


def _acts(node: ast.AST) -> bool:
    """Whether this statement, by itself, changes something other than a name of the module."""
    if isinstance(node, ast.Expr):
        return not isinstance(node.value, ast.Constant)
    if isinstance(node, ast.Assign | ast.Delete):
        return any(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets)
    if isinstance(node, ast.AugAssign | ast.AnnAssign):
        return isinstance(node.target, ast.Attribute | ast.Subscript)
    return isinstance(node, ast.Assert | ast.Raise)


def _changed(statement: ast.stmt) -> str:
    """The name whose value a simple statement changes in place: `NAME.append(x)`, `NAME[key] = x`. Else empty."""
    target: ast.AST | None = None
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        target = statement.value.func
    elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
    if isinstance(target, ast.Attribute | ast.Subscript) and isinstance(target.value, ast.Name):
        return target.value.id
    return ""


def _is_container(value: ast.expr) -> bool:
    """Whether a value is a container of this module's own making."""
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id in ("list", "dict", "set", "defaultdict", "deque")
    return isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)


def _piece(
    kind: str,
    name: str,
    bound: Iterable[_Placed],
    *,
    without: frozenset[ast.stmt] = frozenset(),
    inside: ast.ClassDef | None = None,
) -> Piece:
    placed = list(bound)
    nodes = [node for one in placed for node in (*one.conditions, one.statement)]
    plain, prose = forms(nodes, without=without)
    lines = [_lines(one.statement) for one in placed]
    uses = uses_of(nodes, without=without, inside=inside)
    return Piece(kind, name, plain, prose, uses, lines, alone=len(placed) == 1 and not placed[0].conditions)


def _lines(statement: ast.stmt) -> tuple[int, int]:
    decorators = [] if not isinstance(statement, Definition) else statement.decorator_list
    first = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
    return first, statement.end_lineno or statement.lineno


def _callee(node: ast.AST) -> ast.AST:
    """The name under calls and subscripts: `registry.tool("x")` is `registry.tool`, `Generic[T]` is `Generic`."""
    while isinstance(node, ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node


def _decorators(node: Definition) -> list[Name]:
    walker = Walker(frozenset())
    return [name for decorator in node.decorator_list for name in walker.named(_callee(decorator))]


def _literal_text(statement: ast.stmt, name: str) -> str | None:
    value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
    if not isinstance(value, ast.Constant | ast.UnaryOp):
        return None
    try:
        held = ast.literal_eval(value)
    except ValueError:
        return None
    if isinstance(held, float):
        return repr(held)  # for reading; the digest has the exact one
    text = literal(held, name)
    return "secret" if text.startswith("secret:") else text if len(text) <= 200 else None
