"""Step 6: the live object. Where it starts in the source, and what only the object itself knows.

A chain is unwrapped (afere's own objects, `__wrapped__`, `partial`, bound methods) down to a function in a file. What
is bound into it is taken by value: closures, bound arguments, the state of an instance, defaults of a nested function.
Functions found in those values are followed like the first one. Functions without a file go to `notebook.py`.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from afere.base.errors import AfereError
from afere.chains.revision.cache import resolved
from afere.chains.revision.modules import Defined, Module, Modules, Whole, installed
from afere.chains.revision.notebook import Cell, cell_of
from afere.chains.revision.values import shortened, value_text


class Live:
    """Collects starts and values from live objects. `values` and `cells` become parts of their own."""

    def __init__(self, modules: Modules) -> None:
        self.modules = modules
        self.starts: dict[Defined | Whole, None] = {}
        self.values: dict[str, str] = {}
        self.cells: dict[str, Cell] = {}
        self.components: list[Any] = []
        self.outside: set[str] = set()
        self.notes: set[str] = set()
        self._seen: dict[int, str] = {}
        self._kept: list[object] = []  # keeps ids unique while we work
        self._holder = ""

    # -- the way in

    def begin(self, target: object) -> str:
        """Take everything from the live chain; returns what it starts with, in words."""
        while isinstance(target, functools.partial):
            partial = cast("functools.partial[Any]", target)
            self._bind_arguments(partial)
            target = partial.func
        special = self.special(target, "")
        if special is not None:
            return special
        if isinstance(target, types.MethodType):
            return self._bound_method(target)
        function = _unwrapped(target)
        if function is not None:
            return self.function(function)
        if isinstance(target, type):
            return self.type_(target)
        call = _class_attribute(type(target), "__call__")
        if isinstance(call, types.FunctionType):
            return self._bound_method(types.MethodType(call, target))
        return self._value(target, "chain", "it")

    def replace(self, key: str, value: object) -> None:
        """What the process has in the place of a function of a file: patched, or mocked."""
        text = self._value(value, key, "")
        self.values[f"patched {key}"] = text
        self.notes.add(f"{key}: not the one in its file, but {text}")

    def _bind_arguments(self, partial: functools.partial[Any]) -> None:
        label = getattr(partial.func, "__qualname__", type(partial.func).__name__)
        for number, value in enumerate(partial.args, start=1):
            self.values[f"bound argument {number} of {label}"] = self._value(value, label, str(number))
        for name, value in partial.keywords.items():
            self.values[f"bound argument {name} of {label}"] = self._value(value, label, name)

    def _bound_method(self, method: types.MethodType) -> str:
        """The state of the instance, then its class."""
        owner = method.__self__
        kind = owner if isinstance(owner, type) else type(owner)
        label = self.type_(cast("type", kind))
        if not isinstance(owner, type):
            self.values[f"state of {kind.__qualname__}"] = self._value(owner, kind.__qualname__, "")
        function = _unwrapped(method.__func__)
        if function is not None and not self.ours(cast("type", kind)):
            return self.function(function)
        return f"method {method.__func__.__qualname__} of {label}"

    def _value(self, value: object, holder: str, name: str) -> str:
        outside, self._holder = self._holder, holder
        try:
            return shortened(value_text(value, name, self))
        except RecursionError:
            self.note(f"{name or 'a value'} is nested too deep; of it only the type counts")
            return type(value).__name__
        finally:
            self._holder = outside

    # -- what can be inside a value (`values.Follow`)

    def function(self, value: types.FunctionType) -> str:
        """Reach a function, with what is bound into it."""
        function = _unwrapped(value) or value
        if id(function) in self._seen:
            return self._seen[id(function)]
        self._kept.append(function)
        module = self._module_of(function)
        if module is None:
            label = self._elsewhere(function)
        else:
            top = self._top_level(module, function)
            label = f"function {function.__qualname__} in {module.label}"
            self.starts[Defined(module, top) if top else Whole(module)] = None
        self._seen[id(function)] = label
        self._closure(function)
        return label

    def _elsewhere(self, function: types.FunctionType) -> str:
        """A function of a distribution, or one without a file."""
        file = function.__code__.co_filename
        if installed(file) or _is_afere(function):
            self.outside.add(f"{function.__module__}.{function.__qualname__}")
            return f"{function.__module__}.{function.__qualname__}"
        cell = cell_of(function)
        self._seen[id(function)] = cell.key
        if cell.key not in self.cells:
            self.cells[cell.key] = cell
            self._cell_names(cell, function)
        return cell.key

    def _cell_names(self, cell: Cell, function: types.FunctionType) -> None:
        """Names in a notebook mean what they mean now."""
        if cell.note:
            self.notes.add(f"{cell.key}: {cell.note}")
        for name in cell.names:
            first, *rest = name.split(".")
            if first not in function.__globals__:
                continue  # a built-in, or not there yet
            value, used = function.__globals__[first], first
            while rest and isinstance(value, types.ModuleType) and hasattr(value, rest[0]):
                value, used = getattr(value, rest[0]), f"{used}.{rest.pop(0)}"
            cell.meanings[used] = self._value(value, cell.key, used.rpartition(".")[2])

    def _module_of(self, function: types.FunctionType) -> Module | None:
        file = function.__code__.co_filename
        if file.startswith("<") or installed(file) or _is_afere(function):
            return None
        path = Path(file)
        return self.modules.by_file(resolved(file)) if path.suffix == ".py" and path.is_file() else None

    def _top_level(self, module: Module, function: types.FunctionType) -> str | None:
        """The top-level name whose definition holds this function: by name, else by line."""
        pieces = self.modules.index(module).pieces
        name = function.__qualname__.partition(".")[0]
        line = function.__code__.co_firstlineno
        if name in pieces:
            return name
        for name, piece in pieces.items():
            if piece.kind != "method" and any(first <= line <= last for first, last in piece.lines):
                return name
        return None

    def _closure(self, function: types.FunctionType) -> None:
        label = function.__qualname__
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                held = cell.cell_contents
            except ValueError:
                continue  # not bound yet
            if held is not function and name != "__class__":
                self.values[f"closure {name} of {label}"] = self._value(held, label, name)
        if "<locals>" in label or "<lambda>" in label:
            self._defaults(function, label)

    def _defaults(self, function: types.FunctionType, label: str) -> None:
        names = function.__code__.co_varnames[: function.__code__.co_argcount]
        given = function.__defaults__ or ()
        for name, value in zip(names[len(names) - len(given) :], given, strict=True):
            self.values[f"default {name} of {label}"] = self._value(value, label, name)
        for name, value in (function.__kwdefaults__ or {}).items():
            self.values[f"default {name} of {label}"] = self._value(value, label, name)

    def type_(self, value: type) -> str:
        """Reach a class."""
        if value.__module__ == "builtins":
            return value.__name__
        module = self._module_of_type(value)
        name = value.__qualname__.partition(".")[0]
        if module is None or name not in self.modules.index(module).pieces:
            if module is None and not self.ours(value):
                self.outside.add(f"{value.__module__}.{value.__qualname__}")
            return f"{value.__module__}.{value.__qualname__}"
        self.starts[Defined(module, name)] = None
        return f"class {value.__qualname__} in {module.label}"

    def _module_of_type(self, value: type) -> Module | None:
        file = getattr(sys.modules.get(value.__module__), "__file__", None)
        if not file or installed(file) or value.__module__.partition(".")[0] == "afere":
            return None
        return self.modules.by_file(resolved(file))

    def ours(self, value: type) -> bool:
        """Whether a class is of the project, or of a notebook."""
        loaded = sys.modules.get(value.__module__)
        return self._module_of_type(value) is not None or (
            value.__module__ == "__main__" and getattr(loaded, "__file__", None) is None
        )

    def module(self, value: types.ModuleType) -> str:
        """A module as a value: all of it, if it is of the project."""
        file = getattr(value, "__file__", None)
        found = self.modules.by_file(resolved(file)) if file and not installed(file) else None
        if found is not None and found.name != "afere" and not found.name.startswith("afere."):
            self.starts[Whole(found)] = None
            self.notes.add(f"{self._holder}: {found.label} is used as a value; the whole module counts")
            return f"module {found.label}"
        self.outside.add(value.__name__)
        return f"module {value.__name__}"

    def special(self, value: object, name: str) -> str | None:
        """Objects of afere: a prompt is used by its content; a chain, tool or scorer by its function.

        Objects of other libraries (a compiled graph, a client) count by their definition, where a module has them.
        """
        kind = type(value)
        if isinstance(value, type | types.FunctionType | types.MethodType | types.BuiltinFunctionType) or self.ours(
            kind
        ):
            return None
        if kind.__module__.partition(".")[0] != "afere":
            return self._defined(value)
        if kind.__name__ == "Component":
            self.components.append(value)
            self._tools_of(value)
            return f"component {getattr(value, 'name', name)}"
        inner: object = getattr(value, "fn", None)
        if inner is None:
            return None
        held = [inner, *cast("tuple[object, ...]", getattr(value, "tools", ()))]
        texts = [self._tool(one) if isinstance(one, str) else self.begin(one) for one in held]
        steps: object = getattr(value, "max_steps", None)
        if steps is not None:
            label = getattr(value, "name", name)
            self.values[f"steps of {label}"] = str(steps)
            return f"agent {label} of {', '.join(texts)}"
        return texts[0]

    def _tools_of(self, component: Any) -> None:
        """The tools that a prompt names by text."""
        try:
            names = component.prompt.tools
        except AfereError:
            return  # `named_uses` notes why it cannot be read
        for name in names:
            self._tool(name)

    def _tool(self, name: str) -> str:
        """A tool that is named by text runs as the function that this process knows by it."""
        from afere.chains.tool import find

        found = find(name)
        return self.begin(found) if found is not None else name

    def _defined(self, value: object) -> str | None:
        """Reach the definition of an object that a loaded module of the project has under a name; a decorated one first."""
        places: list[tuple[bool, str, Defined]] = []
        for loaded in list(sys.modules.values()):
            file = getattr(loaded, "__file__", None)
            if not isinstance(file, str) or installed(file):
                continue
            names = [name for name, held in list(loaded.__dict__.items()) if held is value]
            module = self.modules.by_file(resolved(file)) if names else None
            pieces = self.modules.index(module).pieces if module else {}
            for name in names:
                if module is not None and name in pieces:
                    piece = pieces[name]
                    label = f"{piece.kind} {name} in {module.label}"
                    places.append((piece.kind == "constant", label, Defined(module, name)))
        if not places:
            return None
        _, label, defined = min(places, key=lambda place: place[:2])
        self.starts[defined] = None
        return label

    def path(self, value: str) -> str:
        """A path, from the project's folder where it lies inside."""
        root = self.modules.project + "/"
        return value[len(root) :] if value.startswith(root) else value

    def note(self, text: str) -> None:
        self.notes.add(f"{self._holder}: {text}")


def _unwrapped(value: object) -> types.FunctionType | None:
    """The function under wrappers that say what they wrap."""
    seen: set[int] = set()
    while id(value) not in seen:
        seen.add(id(value))
        inner = getattr(value, "__wrapped__", None)
        if inner is None:
            break
        value = cast("Callable[..., Any]", inner)
    return value if isinstance(value, types.FunctionType) else None


def _class_attribute(kind: type, name: str) -> object:
    return next((base.__dict__[name] for base in kind.__mro__ if name in base.__dict__), None)


def _is_afere(function: types.FunctionType) -> bool:
    return (function.__module__ or "").partition(".")[0] == "afere"
