"""Step 5: everything that can be reached from a start, by a worklist over pieces.

A piece that is reached becomes a part. Its names are resolved and what they mean is reached in turn; its module is
entered, which brings what the module does on import and the modules it imports. When the list is empty, `gather.py`
adds what reaches back: what fills a reached container, subclasses that announce themselves, annotations that are read.
Nothing is executed, so the answer is the same before and after the first call.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from afere.chains.revision.file_index import Piece, Spans
from afere.chains.revision.gather import Gathering
from afere.chains.revision.modules import Defined, Module, Modules, Outside, Target, Whole
from afere.chains.revision.pointers import Pointers
from afere.chains.revision.uses import Call, Name


@dataclass(slots=True)
class Part:
    """A piece that is reached: what is kept of it, and what it leads to."""

    module: Module
    piece: Piece
    names: dict[str, str] = field(default_factory=dict[str, str])
    leads: set[str] = field(default_factory=set[str])
    prose: bool = False

    @property
    def key(self) -> str:
        return f"{self.piece.kind} {self.piece.name} in {self.module.label}"

    def leaf(self) -> dict[str, object]:
        leaf: dict[str, object] = {"code": self.piece.prose if self.prose else self.piece.plain}
        if self.piece.value is not None:
            leaf["value"] = self.piece.value
        if self.names:
            leaf["names"] = dict(self.names)
        return leaf


@dataclass(slots=True)
class Reached:
    """All that was reached. `files` are data files by label; `calls` are calls of afere, with the module they stand in."""

    parts: dict[str, Part] = field(default_factory=dict[str, Part])
    files: dict[str, str] = field(default_factory=dict[str, str])  # label -> path
    file_leads: dict[str, set[str]] = field(default_factory=dict[str, set[str]])  # label -> keys that name it
    outside: set[str] = field(default_factory=set[str])
    calls: list[tuple[str, Module, Call]] = field(default_factory=list[tuple[str, Module, Call]])
    strings: set[str] = field(default_factory=set[str])
    environment: set[str] = field(default_factory=set[str])
    notes: set[str] = field(default_factory=set[str])

    def spans(self, key: str) -> tuple[str, Spans]:
        """The file and lines of a part."""
        part = self.parts[key]
        return part.module.file or "", part.piece.lines


class Reach:
    """One walk from some starts. `ignore` are patterns of paths (as in `afere.yaml`) at which it stops."""

    def __init__(self, modules: Modules, ignore: Iterable[str] = ()) -> None:
        self.modules = modules
        self.reached = Reached()
        self.entered: dict[str, Module] = {}  # by label
        self.handed: set[str] = set()  # keys of what something may read the docstring of
        self.reads_prose = False
        self.reads_subclasses = False
        self._ignore = tuple(ignore)
        self._queue: list[Part] = []
        self._pointers = Pointers(self)

    def run(self, starts: Iterable[Defined | Whole]) -> Reached:
        """Reach everything from these starts."""
        for start in starts:
            self.follow(start, None)
        gathering = Gathering(self)
        while True:
            while self._queue:
                self._process(self._queue.pop())
            gathering.more()
            if not self._queue:
                return self.reached

    # -- one target

    def follow(self, target: Target, part: Part | None) -> None:
        """Reach what a name means. `part` is what led there."""
        if isinstance(target, Outside):
            self.reached.outside.add(target.name)
        elif isinstance(target, Whole):
            self.whole(target.module, part)
        else:
            self._add(target.module, target.name, part)

    def whole(self, module: Module, part: Part | None, why: str = "is used as a value") -> None:
        """Reach all of a module."""
        self.enter(module, part)
        if part is not None and module.file is not None:
            self.note(part, f"{module.label} {why}; the whole module counts")
        for name, piece in self.modules.index(module).pieces.items():
            if piece.kind != "method":
                self._add(module, name, part)

    def _add(self, module: Module, name: str, by: Part | None) -> None:
        piece = self.modules.index(module).pieces[name]
        part = Part(module, piece)
        if by is not None:
            by.leads.add(part.key)
        if part.key in self.reached.parts or self._is_ignored(module):
            return
        self.reached.parts[part.key] = part
        self._queue.append(part)
        self.enter(module, part)

    def _is_ignored(self, module: Module) -> bool:
        return any(fnmatchcase(module.label, pattern) for pattern in self._ignore)

    def note(self, part: Part, text: str) -> None:
        self.reached.notes.add(f"{part.key}: {text}")

    # -- one module

    def enter(self, module: Module, part: Part | None) -> None:
        """A module that runs when it is imported: its effects, the packages around it, and what it imports."""
        todo = [module]
        while todo:
            one = todo.pop()
            if one.label in self.entered or self._is_ignored(one):
                continue
            self.entered[one.label] = one
            index = self.modules.index(one)
            if one.file is not None and (one.binary or index.problem):
                self.file(one.label, one.file, part)
            if index.problem:
                self.reached.notes.add(f"{one.label}: {index.problem}")
            for effect in index.effects:
                self._add(one, effect, None)
            names = one.name.split(".")[:-1]
            todo += [found for i in range(len(names)) if (found := self.modules.find(".".join(names[: i + 1])))]
            for origin in index.enters:
                todo += self.modules.entered(one, origin)

    def file(self, label: str, path: str, part: Part | None) -> None:
        """A data file of the project."""
        self.reached.files[label] = path
        keys = self.reached.file_leads.setdefault(label, set())
        if part is not None:
            keys.add(part.key)

    # -- one part

    def _process(self, part: Part) -> None:
        uses = part.piece.uses
        self.names(part, uses.names)
        for origin in uses.imported:
            for module in self.modules.entered(part.module, origin):
                self.enter(module, part)
        for method in part.piece.methods:
            self._add(part.module, method, part)
        if part.module.label in self.entered:
            part.leads.update(self._effects_of(part.module))
        self._hand_over(part)
        self._pointers.follow(part)
        for call in uses.calls:
            self._afere_call(part, call)
        self.reached.environment |= uses.environment

    def _effects_of(self, module: Module) -> set[str]:
        return {f"import effect {name.split()[1]} in {module.label}" for name in self.modules.index(module).effects}

    def names(self, part: Part, names: Iterable[Name]) -> None:
        """Resolve names that a part uses, note what imported ones mean, and reach that."""
        for name in names:
            targets, used = self.modules.resolve(part.module, name)
            if targets and self.modules.imported(part.module, name):
                part.names[used] = " or ".join(sorted(self.meaning(target) for target in targets))
            for target in targets:
                if isinstance(target, Whole) and used.endswith("__path__"):
                    self._pointers.package(target.module, part)
                else:
                    self.follow(target, part)

    def meaning(self, target: Target) -> str:
        """What a target is called in `names`."""
        if isinstance(target, Defined):
            return Part(target.module, self.modules.index(target.module).pieces[target.name]).key
        return f"module {target.module.label}" if isinstance(target, Whole) else target.name

    def _hand_over(self, part: Part) -> None:
        """Note which definitions are given to something that may read their docstrings."""
        for to, name in part.piece.uses.handed:
            if not self._may_read(part.module, to):
                continue
            for target in self.modules.resolve(part.module, name)[0]:
                if isinstance(target, Defined):
                    self.handed.add(self.meaning(target))

    def _may_read(self, module: Module, to: Name) -> bool:
        if to.chain == "[":
            return True
        if to.chain.startswith("?"):
            return to.chain[1:] not in _RUNNERS
        targets, used = self.modules.resolve(module, to)
        return any(target.distributed if isinstance(target, Outside) else used != to.chain for target in targets)

    def _afere_call(self, part: Part, call: Call) -> None:
        for target in self.modules.resolve(part.module, call.callee)[0]:
            if isinstance(target, Outside) and target.name.startswith("afere."):
                self.reached.calls.append((target.name.rpartition(".")[2], part.module, call))


_RUNNERS = frozenset({
    "submit", "map", "imap", "starmap", "apply", "apply_async", "run_in_executor", "add_done_callback", "call_soon",
    "call_later", "start_soon", "create_task", "sort", "run", "sub", "join", "format", "get", "add_task",
})  # fmt: skip
