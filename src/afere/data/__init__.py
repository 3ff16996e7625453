"""Data: datasets of examples, and indexes of documents that can be searched."""

from typing import TYPE_CHECKING

from afere.data.datasets import Changed, Dataset, Difference, Unusable, dataset, usable
from afere.data.rows import Row

if TYPE_CHECKING:
    from afere.data.chunks import Chunking
    from afere.data.indexes import Index, index
    from afere.data.searching import Passage, search

__all__ = [
    "Row", "Dataset", "dataset", "usable", "Unusable", "Difference", "Changed", "Chunking", "Index", "index", "Passage", "search",
]  # fmt: skip

# Found when somebody asks: most programs that have data search nothing.
_LATER = {"Chunking": "chunks", "Index": "indexes", "index": "indexes", "Passage": "searching", "search": "searching"}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    return found
