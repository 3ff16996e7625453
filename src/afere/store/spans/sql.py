"""What SQLite does not know and our SQL asks for: attributes and texts inside chunks, sums of a trace, buckets of latency."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

from afere.base.errors import BadInput
from afere.base.span import summed
from afere.store.spans import rollup as span_rollup
from afere.store.spans.chunks import Chunks
from afere.store.spans.texts import says

_until: ContextVar[float] = ContextVar("until", default=math.inf)
_OFTEN = 20_000  # steps of SQLite, some milliseconds


@contextmanager
def patient(seconds: float) -> Generator[None]:
    """What this thread asks of spans in the block is given up after so many seconds, with BadInput."""
    before = _until.set(time.monotonic() + seconds)
    try:
        yield
    except sqlite3.OperationalError:  # interrupted, or a function of ours was, inside
        if _is_over():
            raise BadInput(_TOO_LONG) from None
        raise
    finally:
        _until.reset(before)


_TOO_LONG = (
    "This question takes too long, and was given up. Narrow it, by since:24h for instance. What is asked of an attribute (attr.KEY) reads "
    "every trace unless afere.yaml names it: spans: {filterable: [KEY]}."
)


def _is_over() -> bool:
    return time.monotonic() > _until.get()


class Taught(sqlite3.Connection):
    """A connection that knows it. It is taught once: each lesson makes SQLite prepare all its statements anew."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.chunks = Chunks(self)
        self.create_function("attribute", 3, self._attribute)
        self.create_function("says", 4, self._says)
        self.create_aggregate("trace_sum", 6, cast("Any", _TraceSum))
        span_rollup.register(self)
        self.set_progress_handler(_is_over, _OFTEN)

    def _attribute(self, chunk: int, line: int, key: str) -> str | int | float | None:
        value = cast("object", self.chunks.attributes(chunk, line).get(key))
        if isinstance(value, bool):
            return "true" if value else "false"
        return value if isinstance(value, str | int | float) else None

    def _says(self, chunk: int, line: int, words: str, prefix: int) -> bool:
        return says(self.chunks.texts(chunk, line), words.split(), prefix=bool(prefix))


def chunks_of(connection: sqlite3.Connection) -> Chunks:
    """The chunks that these functions read in this block, none unpacked yet: an earlier block may have seen another state."""
    taught = cast("Taught", connection)
    taught.chunks = Chunks(taught)
    return taught.chunks


class _TraceSum:
    """The sum over a trace's calls, by the same rule as `Trace.totals`."""

    def __init__(self) -> None:
        self._field = ""
        self._rows: list[Any] = []

    def step(self, field: str, *row: Any) -> None:
        self._field = field
        span_id, parent, given, made, cost = row
        self._rows.append((span_id, parent, given, made, None, None, cost))

    def finalize(self) -> float | None:
        sums = summed(self._rows)
        if self._field == "tokens":
            known = [count for count in (sums.input_tokens, sums.output_tokens) if count is not None]
            return sum(known) if known else None
        return getattr(sums, self._field)
