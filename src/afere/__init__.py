"""afere: every answer traced to what made it, no change shipped unless it is measurably better.

What a user types is named here and imported when first used; importing the package does no work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from afere.base.artifact import Artifact as Artifact
    from afere.base.decision import Decision as Decision
    from afere.base.score import Score as Score
    from afere.base.span import Trace as Trace
    from afere.chains import Chain as Chain
    from afere.chains import Component as Component
    from afere.chains import Run as Run
    from afere.chains import Tool as Tool
    from afere.chains import agent as agent
    from afere.chains import chain as chain
    from afere.chains import prompt as prompt
    from afere.chains import replay as replay
    from afere.chains import tool as tool
    from afere.data import Chunking as Chunking
    from afere.data import Dataset as Dataset
    from afere.data import Index as Index
    from afere.data import Passage as Passage
    from afere.data import Row as Row
    from afere.data import dataset as dataset
    from afere.data import index as index
    from afere.data import search as search
    from afere.evals import Comparison as Comparison
    from afere.evals import Experiment as Experiment
    from afere.evals import Judge as Judge
    from afere.evals import Measure as Measure
    from afere.evals import Scorer as Scorer
    from afere.evals import compare as compare
    from afere.evals import evaluate as evaluate
    from afere.evals import judge as judge
    from afere.evals import scorer as scorer
    from afere.models import Reply as Reply
    from afere.models import Stream as Stream
    from afere.store import Session as Session
    from afere.store import open as open
    from afere.tracing import Flushed as Flushed
    from afere.tracing import Span as Span
    from afere.tracing import context as context
    from afere.tracing import current as current
    from afere.tracing import flush as flush
    from afere.tracing import instrument as instrument
    from afere.tracing import now as now
    from afere.tracing import score as score
    from afere.tracing import span as span
    from afere.tracing import trace as trace

_WHERE: dict[str, str] = {
    "Artifact": "afere.base.artifact",
    "Decision": "afere.base.decision",
    "Score": "afere.base.score",
    "Trace": "afere.base.span",
    "Session": "afere.store",
    "open": "afere.store",
    "Flushed": "afere.tracing",
    "Span": "afere.tracing",
    "context": "afere.tracing",
    "current": "afere.tracing",
    "flush": "afere.tracing",
    "instrument": "afere.tracing",
    "now": "afere.tracing",
    "score": "afere.tracing",
    "span": "afere.tracing",
    "trace": "afere.tracing",
    "Reply": "afere.models",
    "Stream": "afere.models",
    "Chunking": "afere.data",
    "Dataset": "afere.data",
    "Index": "afere.data",
    "Passage": "afere.data",
    "Row": "afere.data",
    "dataset": "afere.data",
    "index": "afere.data",
    "search": "afere.data",
    "Chain": "afere.chains",
    "Component": "afere.chains",
    "Run": "afere.chains",
    "Tool": "afere.chains",
    "agent": "afere.chains",
    "chain": "afere.chains",
    "prompt": "afere.chains",
    "replay": "afere.chains",
    "tool": "afere.chains",
    "Comparison": "afere.evals",
    "Experiment": "afere.evals",
    "Judge": "afere.evals",
    "Measure": "afere.evals",
    "Scorer": "afere.evals",
    "compare": "afere.evals",
    "evaluate": "afere.evals",
    "judge": "afere.evals",
    "scorer": "afere.evals",
}


def __getattr__(name: str) -> Any:
    place = _WHERE.get(name)
    if place is None:
        raise AttributeError(f"module 'afere' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(place), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
