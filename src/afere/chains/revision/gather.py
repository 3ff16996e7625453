"""What reaches back: definitions that nobody names, and that still take part.

A container that is reached brings the functions that change it, and what those decorate (`@tool`, `@registry.add`,
`@f.register`). A class that is told of its subclasses brings them. A function whose annotations can be read brings the
names in them. Looked for in the modules that are entered, each time the worklist of `reach.py` runs empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from afere.chains.revision.file_index import Piece
from afere.chains.revision.modules import Defined, Module, Outside
from afere.chains.revision.uses import Name

if TYPE_CHECKING:
    from afere.chains.revision.reach import Part, Reach

# Decorators of distributions that hand the function on and read neither docstring nor annotations.
_PLAIN = frozenset({
    "afere.chain", "afere.trace", "afere.scorer", "tenacity.retry", "backoff.on_exception", "backoff.on_predicate",
    "cachetools.cached", "cachetools.cachedmethod", "numba.njit", "numba.jit", "torch.no_grad", "torch.inference_mode",
    "typing_extensions.override", "typing_extensions.deprecated", "joblib.delayed", "pytest.fixture",
})  # fmt: skip


class Gathering:
    """Knows which entered modules have been looked at, and looks again for what newly reached parts bring."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._fillers: set[str] = set()
        self._read: set[str] = set()  # keys whose annotations have been followed

    def more(self) -> None:
        """Add to the worklist what the parts reached so far bring."""
        for module in list(self._reach.entered.values()):
            pieces = self._reach.modules.index(module).pieces
            for name, piece in pieces.items():
                if piece.uses.writes and piece.kind in ("function", "method"):
                    self._filler(module, name, piece)
        for module in list(self._reach.entered.values()):
            for name, piece in self._reach.modules.index(module).pieces.items():
                if piece.kind in ("function", "class") and not self._has(module, piece):
                    registered = any(self._registers(module, decorator) for decorator in piece.decorators)
                    if registered or self._announces(module, piece):
                        self._reach.follow(Defined(module, name), None)
        for part in list(self._reach.reached.parts.values()):
            self._prose(part)

    def _has(self, module: Module, piece: Piece) -> bool:
        return self._key(module, piece) in self._reach.reached.parts

    def _key(self, module: Module, piece: Piece) -> str:
        return f"{piece.kind} {piece.name} in {module.label}"

    def _reached(self, module: Module, name: Name) -> tuple[list[Part], bool]:
        """The reached parts that a name means, and whether the name goes on past them (`registry.add`)."""
        targets, used = self._reach.modules.resolve(module, name)
        keys = [self._reach.meaning(target) for target in targets if isinstance(target, Defined)]
        return [part for key in keys if (part := self._reach.reached.parts.get(key))], used != name.chain

    def _filler(self, module: Module, name: str, piece: Piece) -> None:
        """A function that changes a reached constant in place."""
        key = self._key(module, piece)
        if key in self._fillers:
            return
        changed = [
            part
            for written in piece.uses.writes
            for part in self._reached(module, written)[0]
            if part.piece.kind == "constant"
        ]
        if not changed:
            return
        owner = name.rpartition(".")[0]
        self._fillers.add(key)
        if owner:
            self._fillers.add(f"class {owner} in {module.label}")
        for part in changed:
            self._reach.follow(Defined(module, owner or name), part)

    def _registers(self, module: Module, decorator: Name) -> bool:
        """Whether a decorator puts what it decorates where reached code can find it."""
        parts, goes_on = self._reached(module, decorator)
        return any(goes_on or part.key in self._fillers for part in parts)

    def _announces(self, module: Module, piece: Piece) -> bool:
        return any(
            part.piece.kind == "class" and (part.piece.hooks or self._reach.reads_subclasses)
            for base in piece.bases
            for part in self._reached(module, base)[0]
        )

    def _prose(self, part: Part) -> None:
        """Docstrings and annotations count where something can read them."""
        if part.key in self._read or not self._is_read(part):
            return
        self._read.add(part.key)
        part.prose = True
        self._reach.names(part, part.piece.uses.annotated)

    def _is_read(self, part: Part) -> bool:
        piece = part.piece
        owner = piece.name.rpartition(".")[0] if piece.kind == "method" else ""
        if piece.schema or part.key in self._reach.handed:
            return True
        if owner and f"class {owner} in {part.module.label}" in self._reach.handed:
            return True
        return any(self._reads(part.module, decorator) for decorator in piece.decorators)

    def _reads(self, module: Module, decorator: Name) -> bool:
        """Whether a decorator may read docstring or annotations of what it decorates."""
        if decorator.chain.endswith(".register"):
            return True  # functools.singledispatch chooses by annotation
        for target in self._reach.modules.resolve(module, decorator)[0]:
            if not isinstance(target, Outside):
                if self._reach.reads_prose:
                    return True
            elif target.distributed and target.name not in _PLAIN:
                return True
        return False
