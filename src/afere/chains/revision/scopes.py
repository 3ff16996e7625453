"""Step 2 of reading code: which names outside of itself a piece of code uses, and what else it betrays.

`uses_of(nodes)` walks a definition once, with Python's scopes respected (parameters, locals, comprehensions, nested
functions, class bodies, imports inside functions), and answers with `Uses`: plain names and texts, nothing looked up.
What the names mean is decided later, by `modules.py`. A name is kept with its attributes: `json.dumps`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from afere.chains.revision.canonical_form import Function, says_nothing
from afere.chains.revision.clues import note_call, path_text
from afere.chains.revision.uses import Import, Name, Uses


def import_names(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Import]]:
    """What an import statement binds: (name, what it means). `import a.b` binds `a`."""
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, Import(node.module or "", alias.name, node.level)
        elif alias.asname:
            yield alias.asname, Import(alias.name)
        else:
            yield alias.name.partition(".")[0], Import(alias.name.partition(".")[0])


def import_enters(node: ast.Import | ast.ImportFrom) -> Iterator[Import]:
    """Which modules an import statement runs."""
    for alias in node.names:
        yield (
            Import(node.module or "", alias.name, node.level)
            if isinstance(node, ast.ImportFrom)
            else Import(alias.name)
        )


def uses_of(
    nodes: Sequence[ast.AST], *, without: frozenset[ast.stmt] = frozenset(), inside: ast.ClassDef | None = None
) -> Uses:
    """What these nodes use. `inside` is the class around a method; statements in `without` are passed over."""
    walker = Walker(without)
    if inside is not None:
        walker.scopes.append(_class_scope(inside))
    for node in nodes:
        walker.visit(node)
    walker.uses.strings -= walker.uses.written
    return walker.uses


@dataclass(slots=True)
class _Scope:
    is_class: bool = False
    bound: set[str] = field(default_factory=set[str])
    imports: dict[str, list[Import]] = field(default_factory=dict[str, list[Import]])
    outer: set[str] = field(default_factory=set[str])  # declared global


def _class_scope(node: ast.ClassDef) -> _Scope:
    scope = _Scope(is_class=True)
    _bind(node.body, scope)
    return scope


def _function_scope(arguments: ast.arguments, body: Iterable[ast.AST]) -> _Scope:
    scope = _Scope()
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
        if argument is not None:
            scope.bound.add(argument.arg)
    _bind(body, scope)
    scope.bound -= scope.outer
    return scope


def _bind(nodes: Iterable[ast.AST], scope: _Scope) -> None:
    """Collect the names that statements bind in their own scope."""
    todo = list(nodes)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            scope.bound.add(node.name)
            continue
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name, origin in import_names(node):
                scope.bound.add(name)
                scope.imports.setdefault(name, []).append(origin)
        elif isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                scope.bound.add(node.id)
        elif isinstance(node, ast.Global):
            scope.outer.update(node.names)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            scope.bound.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            scope.bound.add(node.rest)
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            todo.extend(inner.target for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr))
        else:
            todo.extend(ast.iter_child_nodes(node))


class Walker:
    """One walk over a definition."""

    def __init__(self, without: frozenset[ast.stmt]) -> None:
        self.uses = Uses()
        self.scopes: list[_Scope] = []
        self._without = without

    # -- names

    def origins(self, name: str) -> list[Import | None]:
        """[None] for a name from outside, the imports for one imported in a function, [] for a local one."""
        innermost = True
        for scope in reversed(self.scopes):
            if scope.is_class and not innermost:
                continue
            innermost = False
            if name in scope.outer:
                return [None]
            if name in scope.imports:
                return list(scope.imports[name])
            if name in scope.bound:
                return [None] if scope.is_class else []  # before its own binding, a class body sees the outer name
        return [None]

    def named(self, node: ast.AST) -> list[Name]:
        """The names that `a.b.c` stands for; none if it is local or no such chain."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return []
        chain = ".".join([node.id, *reversed(parts)])
        return [Name(chain, origin) for origin in self.origins(node.id)]

    # -- the walk

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt) and (node in self._without or says_nothing(node)):
            return
        method = getattr(self, "_visit_" + type(node).__name__, None)
        if method is not None:
            method(node)
        else:
            self.children(node)

    def children(self, node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            self.visit(child)

    def _each(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    def _visit_Name(self, node: ast.Name) -> None:
        found = [Name(node.id, origin) for origin in self.origins(node.id)]
        if isinstance(node.ctx, ast.Load):
            self.uses.names.update(found)
        elif any(node.id in scope.outer for scope in self.scopes):
            self.uses.names.update(found)
            self.uses.writes.update(found)

    def _visit_Attribute(self, node: ast.Attribute) -> None:
        found = self.named(node)
        if node.attr in _TELLING:
            self.uses.marks.add(_TELLING[node.attr])
        if not isinstance(node.ctx, ast.Load):
            self.uses.writes.update(self.named(node.value))
        self.uses.names.update(found)
        if found and found[0].chain == "sys.modules":
            self.uses.marks.add("globals")
        if not found:
            inner: ast.AST = node
            while isinstance(inner, ast.Attribute):
                inner = inner.value
            if not isinstance(inner, ast.Name):
                self.visit(inner)

    def _visit_Subscript(self, node: ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.uses.writes.update(self.named(node.value))
        elif isinstance(node.slice, ast.Constant) and any(
            name.chain.endswith("environ") for name in self.named(node.value)
        ):
            self.uses.environment.add(str(node.slice.value))
        self.children(node)

    def _visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and 0 < len(node.value) <= 260 and "\n" not in node.value:
            self.uses.strings.add(node.value)

    def _visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self._each(piece for piece in node.values if not isinstance(piece, ast.Constant))

    def _visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.op, ast.Div) and (text := path_text(node)):
            self.uses.strings.add(text)
        self.children(node)

    def _visit_List(self, node: ast.List | ast.Set | ast.Tuple) -> None:
        self._hand(Name("["), node.elts)
        self.children(node)

    _visit_Set = _visit_List

    def _visit_Dict(self, node: ast.Dict) -> None:
        self._hand(Name("["), node.values)
        self.children(node)

    def _hand(self, to: Name, values: Iterable[ast.AST]) -> None:
        for value in values:
            inner = value.value if isinstance(value, ast.Starred | ast.keyword) else value
            self.uses.handed.update((to, name) for name in self.named(inner))

    def _visit_Call(self, node: ast.Call) -> None:
        callees = self.named(node.func)
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        for to in callees or [Name(f"?{method}")]:
            self._hand(to, (*node.args, *node.keywords))
        note_call(self, node, callees, method)
        self.children(node)

    # -- scopes

    def _visit_FunctionDef(self, node: Function) -> None:
        self._each(node.decorator_list)
        self._each([*node.args.defaults, *node.args.kw_defaults])
        arguments = node.args
        annotated = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        for annotation in (*(argument.annotation for argument in annotated if argument), node.returns):
            self._annotation(annotation)
        self._within(_function_scope(node.args, node.body), node.body)

    _visit_AsyncFunctionDef = _visit_FunctionDef

    def _visit_Lambda(self, node: ast.Lambda) -> None:
        self._each([*node.args.defaults, *node.args.kw_defaults])
        self._within(_function_scope(node.args, [node.body]), [node.body])

    def _visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._each([*node.decorator_list, *node.bases, *node.keywords])
        self._within(_class_scope(node), node.body)

    def _visit_comprehension_of(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        self.visit(node.generators[0].iter)
        scope = _Scope()
        _bind((generator.target for generator in node.generators), scope)
        inner: list[ast.AST] = [part for generator in node.generators for part in (generator.target, *generator.ifs)]
        inner += [generator.iter for generator in node.generators[1:]]
        inner += [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._within(scope, inner)

    _visit_ListComp = _visit_SetComp = _visit_GeneratorExp = _visit_DictComp = _visit_comprehension_of

    def _within(self, scope: _Scope, nodes: Iterable[ast.AST]) -> None:
        self.scopes.append(scope)
        self._each(nodes)
        self.scopes.pop()

    # -- the rest

    def _visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if self.scopes and self.scopes[-1].is_class:
            self._annotation(node.annotation, into=self.uses.names)
        else:
            self._annotation(node.annotation)
        self._each([node.target, node.value])

    def _annotation(self, node: ast.expr | None, into: set[Name] | None = None) -> None:
        if node is None:
            return
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                node = ast.parse(node.value, mode="eval").body
            except SyntaxError:
                return
        inner = Walker(frozenset())
        inner.scopes = self.scopes
        inner.visit(node)
        (self.uses.annotated if into is None else into).update(inner.uses.names)

    def _visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        if self.scopes:
            self.uses.imported.update(import_enters(node))

    _visit_ImportFrom = _visit_Import


_TELLING = {
    "__doc__": "prose",
    "signature": "prose",
    "getdoc": "prose",
    "get_type_hints": "prose",
    "__annotations__": "prose",
    "get_annotations": "prose",
    "__subclasses__": "subclasses",
}
