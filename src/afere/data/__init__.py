"""Data: datasets of examples, and indexes of documents that can be searched."""

from afere.data.chunks import Chunking
from afere.data.datasets import Changed, Dataset, Difference, Unusable, dataset, usable
from afere.data.indexes import Index, index
from afere.data.rows import Row
from afere.data.searching import Passage, search

__all__ = [
    "Row", "Dataset", "dataset", "usable", "Unusable", "Difference", "Changed", "Chunking", "Index", "index", "Passage", "search",
]  # fmt: skip
