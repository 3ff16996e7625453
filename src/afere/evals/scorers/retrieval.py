"""Scorers of a search: how much of what the row calls `relevant` was found, and how high it stands.

A relevant id such as `docs/a.md#2` means that passage; `docs/a.md` means any passage of that file.
"""

from __future__ import annotations

import math
from typing import cast

from afere.base.canonical import Json
from afere.base.score import Score
from afere.data import Row
from afere.evals.scorers.declare import scorer


@scorer(within=(0, 1))
def recall(context: list[Json], row: Row, *, k: int | None = None) -> object:
    """The share of the relevant passages that are among the first k found (default: all found)."""
    ranks = _ranks(context, row, k)
    return ranks if isinstance(ranks, Score) else sum(rank is not None for rank in ranks) / len(ranks)


@scorer(within=(0, 1))
def hit(context: list[Json], row: Row, *, k: int | None = None) -> object:
    """Whether any relevant passage is among the first k found."""
    ranks = _ranks(context, row, k)
    return ranks if isinstance(ranks, Score) else any(rank is not None for rank in ranks)


@scorer(within=(0, 1))
def mrr(context: list[Json], row: Row, *, k: int | None = None) -> object:
    """One over the rank of the first relevant passage (Voorhees 1999); 0 if none is among the first k."""
    ranks = _ranks(context, row, k)
    return ranks if isinstance(ranks, Score) else max((1 / rank for rank in ranks if rank is not None), default=0.0)


@scorer(within=(0, 1))
def ndcg(context: list[Json], row: Row, *, k: int | None = None) -> object:
    """Discounted gain of the relevant passages over that of a perfect order (Jarvelin, Kekalainen 2002), gain 0 or 1."""
    ranks = _ranks(context, row, k)
    if isinstance(ranks, Score):
        return ranks
    gain = math.fsum(1 / math.log2(rank + 1) for rank in ranks if rank is not None)
    best = math.fsum(1 / math.log2(rank + 1) for rank in range(1, min(len(ranks), k or len(ranks)) + 1))
    return min(1.0, gain / best)


@scorer(within=(0, 1))
def precision(context: list[Json], row: Row, *, k: int | None = None) -> object:
    """The share of the first k found (default: all found) that are relevant; k counts also where fewer were found."""
    ranks = _ranks(context, row, k)
    if isinstance(ranks, Score):
        return ranks
    looked = k or len({_id(document) for document in context})
    return sum(rank is not None for rank in ranks) / looked if looked else 0.0


@scorer(within=(0, 1))
def average_precision(context: list[Json], row: Row, *, k: int | None = None) -> object:
    """Average precision: the mean, over all relevant passages, of the precision where each was found; its mean over cases is MAP."""
    ranks = _ranks(context, row, k)
    return ranks if isinstance(ranks, Score) else _gained(ranks) / len(ranks)


@scorer(within=(0, 1))
def context_precision(context: list[Json], row: Row, *, k: int | None = None) -> object:
    """Whether relevant passages stand before others: the mean of the precision at the rank of each relevant one that was found."""
    ranks = _ranks(context, row, k)
    if isinstance(ranks, Score):
        return ranks
    found = sum(rank is not None for rank in ranks)
    return _gained(ranks) / found if found else 0.0


def _gained(ranks: list[int | None]) -> float:
    """The sum of the precision at the rank of each relevant passage that was found."""
    there = sorted(rank for rank in ranks if rank is not None)
    return math.fsum((i + 1) / rank for i, rank in enumerate(there))


def _ranks(context: list[Json], row: Row, k: int | None) -> list[int | None] | Score:
    """The rank, from 1, at which each relevant passage was found. One passage answers for one relevant id."""
    if not row.relevant:
        return Score("case", "retrieval", None, "scorer:retrieval", "the row says nothing of what is relevant")
    found = list(dict.fromkeys(_id(document) for document in context))[:k]
    taken: set[str] = set()
    ranks: list[int | None] = []
    for wanted in row.relevant:
        place = next((i for i, one in enumerate(found) if one not in taken and _means(wanted, one)), None)
        if place is not None:
            taken.add(found[place])
        ranks.append(None if place is None else place + 1)
    return ranks


def _id(document: Json) -> str:
    return str(cast("dict[str, Json]", document).get("id", "")) if isinstance(document, dict) else str(document)


def _means(wanted: str, found: str) -> bool:
    return found == wanted or found.startswith(wanted + "#")
