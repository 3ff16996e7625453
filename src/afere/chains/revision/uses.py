"""What a piece of code uses of the world outside of it, in plain values: the language between reading and reaching.

`scopes.py` fills it from a syntax tree, `cache.py` keeps it on disk, `reach.py` follows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Import(NamedTuple):
    """`from module import attr`, or with `attr` None the module itself. `level` counts the leading dots."""

    module: str
    attr: str | None = None
    level: int = 0


class Name(NamedTuple):
    """A name with its attributes; `origin` is set if the first part comes from an import inside the function."""

    chain: str
    origin: Import | None = None


@dataclass(slots=True)
class Call:
    """A call by a name that may be one of afere's. An argument is `["=", literal]`, `["name", chain]` or None."""

    callee: Name
    args: list[list[object] | None]
    keywords: dict[str, list[object] | None]


@dataclass(slots=True)
class Uses:
    """What a piece of code uses of the world outside of it.

    `handed` are names given to something: to a call, to a list or dict (`[`), to a method of a local object (`?method`).
    """

    names: set[Name] = field(default_factory=set[Name])
    annotated: set[Name] = field(default_factory=set[Name])  # names in annotations of functions
    imported: set[Import] = field(default_factory=set[Import])  # imports inside functions
    strings: set[str] = field(default_factory=set[str])
    written: set[str] = field(default_factory=set[str])  # files that are written, not read
    handed: set[tuple[Name, Name]] = field(default_factory=set[tuple[Name, Name]])  # (to what, which)
    writes: set[Name] = field(default_factory=set[Name])  # what it changes in place
    calls: list[Call] = field(default_factory=list[Call])
    dynamic: set[str] = field(default_factory=set[str])  # patterns of module names that are imported: `app.plugins.*`
    computed: set[Name] = field(default_factory=set[Name])  # getattr(this, computed)
    environment: set[str] = field(default_factory=set[str])
    marks: set[str] = field(default_factory=set[str])  # "eval", "globals", "open", "getattr", "prose", ...
