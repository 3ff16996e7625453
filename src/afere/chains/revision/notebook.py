"""Code without a file: notebook cells, the prompt of an interpreter, text that was executed.

Its source comes from the cell, where Python still has it (`linecache`); the file is called `notebook`, never by the
kernel's temporary path or the number of the cell, so that running a cell again changes nothing. Without source the
bytecode counts, which holds for one version of Python. A name such as `<string>` is shared by many texts, and Python
keeps at most one of them (3.13 that of `python -c`): it is believed only if it compiles to what runs.
"""

from __future__ import annotations
import __future__

import ast
import hashlib
import inspect
import linecache
import textwrap
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from afere.chains.revision.canonical_form import forms
from afere.chains.revision.scopes import uses_of

_FUTURES = sum({getattr(__future__, name).compiler_flag for name in __future__.all_feature_names})
_AS_IN_A_CELL = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


@dataclass(slots=True)
class Cell:
    """A function whose code is in no file of the project. `meanings` are its names as they are now."""

    key: str
    code: str
    names: list[str]
    source: str = ""
    note: str = ""
    meanings: dict[str, str] = field(default_factory=dict[str, str])

    def leaf(self) -> dict[str, object]:
        leaf: dict[str, object] = {"code": self.code}
        if self.meanings:
            leaf["names"] = dict(self.meanings)
        return leaf


def cell_of(function: types.FunctionType) -> Cell:
    """A function of a notebook or interpreter, read from its source, else from its bytecode."""
    key = f"function {function.__qualname__} in notebook"
    try:
        source = _source(function.__code__)
        tree = ast.parse(source)
    except (OSError, TypeError, ValueError, SyntaxError, IndexError):
        names = sorted(set(_names(function.__code__)))
        note = "no source to read; its bytecode counts, which holds for this version of Python only"
        return Cell(key, bytecode_digest(function.__code__), names, note=note)
    plain, _ = forms(list(tree.body))
    names = sorted({name.chain for name in uses_of(list(tree.body)).names} - {function.__name__})
    return Cell(key, plain, names, source)


def _source(code: types.CodeType) -> str:
    """The text of a function. OSError if Python keeps none, or one of other code."""
    lines, _ = inspect.getsourcelines(code)
    if code.co_filename.startswith("<") and not _compiles_to(linecache.getlines(code.co_filename), code):
        raise OSError(f"what is kept as {code.co_filename} is the text of other code")
    return textwrap.dedent("".join(lines))


def _compiles_to(lines: list[str], code: types.CodeType) -> bool:
    """Whether a whole text holds this code, at its line."""
    flags = code.co_flags & _FUTURES | _AS_IN_A_CELL
    todo = [compile("".join(lines), code.co_filename, "exec", flags=flags, dont_inherit=True)]
    digest = bytecode_digest(code)
    while todo:
        one = todo.pop()
        if one.co_firstlineno == code.co_firstlineno and bytecode_digest(one) == digest:
            return True
        todo += [inner for inner in one.co_consts if isinstance(inner, types.CodeType)]
    return False


def _names(code: types.CodeType) -> list[str]:
    inner = [name for part in code.co_consts if isinstance(part, types.CodeType) for name in _names(part)]
    return [*code.co_names, *inner]


def bytecode_digest(code: types.CodeType) -> str:
    """The digest of what a code object does: neither its lines nor its file."""
    return "sha256:" + hashlib.sha256(b"\0".join(_code_pieces(code))).hexdigest()


def _code_pieces(code: types.CodeType) -> Iterator[bytes]:
    yield code.co_code
    yield repr((code.co_name, code.co_names, code.co_varnames, code.co_freevars, code.co_flags)).encode()
    yield repr((code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)).encode()
    for value in code.co_consts:
        if isinstance(value, types.CodeType):
            yield from _code_pieces(value)
        else:
            yield _constant(value).encode()


def _constant(value: object) -> str:
    if isinstance(value, frozenset):
        return "{" + ",".join(sorted(_constant(item) for item in cast("frozenset[object]", value))) + "}"
    if isinstance(value, tuple):
        return "(" + ",".join(_constant(item) for item in cast("tuple[object, ...]", value)) + ")"
    return f"{type(value).__name__}:{value!r}"
