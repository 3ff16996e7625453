"""Data: datasets of examples, and indexes of documents that can be searched."""

from afere.data.datasets import Dataset, dataset
from afere.data.rows import Row

__all__ = ["Dataset", "Row", "dataset"]
