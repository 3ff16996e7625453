"""Examples chosen at each call: of many pairs, those nearest to what is asked. The same input always gets the same ones."""

from __future__ import annotations

import asyncio
import json
import operator
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from afere.base.canonical import Json
from afere.base.project import Project
from afere.base.steps import Effect

if TYPE_CHECKING:
    from afere.chains.prompt import Example

_REMEMBERED = 1000  # inputs whose choice is kept


@dataclass(frozen=True)
class Nearest:
    """How many are shown, by which inputs they are compared (none: those that the examples have), and by which embedder."""

    count: int
    by: tuple[str, ...] = ()
    embed: str = "hash"
    project: Project | None = field(default=None, compare=False)  # in which `embed` is looked up

    def to_json(self) -> dict[str, Json]:
        by: dict[str, Json] = {"by": list(self.by)} if self.by else {}
        return {"nearest": self.count, **by, "embed": self.embed}


@dataclass(frozen=True, slots=True)
class Picked:
    """One that was chosen: its place among all, the row it is, and its cosine with what is asked."""

    number: int
    row: str
    likeness: float

    def to_json(self) -> Json:
        return {"row": self.row, "likeness": round(self.likeness, 4)}


class Chooser:
    """Chooses among the examples of one prompt. Their vectors are made at the first call and kept."""

    def __init__(self, name: str, examples: Sequence[Example], nearest: Nearest) -> None:
        self._name = name
        self._examples = examples
        self._nearest = nearest
        self._lock = threading.Lock()
        self._vectors: list[list[float]] | None = None
        self._known: dict[str, tuple[Picked, ...]] = {}

    def __call__(self, values: Mapping[str, Json]) -> tuple[Picked, ...]:
        """The nearest ones, the nearest of all last, next to the question. Of equals the first of the dataset is taken."""
        if not self._nearest.count or not self._examples:
            return ()
        asked = self._text(values)
        known = self._known.get(asked)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known = {}
            known = self._known[asked] = self._chosen(asked)
        return known

    def _chosen(self, asked: str) -> tuple[Picked, ...]:
        from afere.models import embedder

        embed = embedder(self._nearest.embed, self._nearest.project)
        with self._lock:
            if self._vectors is None:
                self._vectors = embed([self._of(one) for one in self._examples])
            vectors = self._vectors
        (vector,) = embed([asked])
        likeness = [sum(map(operator.mul, vector, one)) for one in vectors]
        order = sorted(range(len(vectors)), key=lambda i: (-likeness[i], i))[: self._nearest.count]
        return tuple(Picked(i, self._row(i), likeness[i]) for i in reversed(order))

    def _row(self, number: int) -> str:
        return self._examples[number].row or f"{self._name} example {number + 1}"

    def _of(self, example: Example) -> str:
        return example.input if isinstance(example.input, str) else self._text(example.input)

    def _text(self, values: Mapping[str, Json]) -> str:
        names = self._nearest.by or self._shared
        found = [values[name] for name in names or sorted(values) if name in values]
        return "\n".join(one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in found)

    @property
    def _shared(self) -> list[str]:
        """The inputs that all examples have; none where one of them is plain text."""
        inputs = [one.input for one in self._examples]
        written = [one for one in inputs if isinstance(one, Mapping)]
        if len(written) < len(inputs):
            return []
        return sorted(name for name in written[0] if all(name in one for one in written))


@dataclass(frozen=True, slots=True)
class Choosing(Effect):
    """Choosing, which may ask a server for vectors: off the loop of async callers."""

    choose: Callable[[], tuple[Picked, ...]]

    def run(self) -> tuple[Picked, ...]:
        return self.choose()

    async def arun(self) -> tuple[Picked, ...]:
        return await asyncio.to_thread(self.choose)
