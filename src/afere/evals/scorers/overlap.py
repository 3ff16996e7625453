"""Overlap with reference texts: BLEU, chrF (sacrebleu) and ROUGE. Good for translation and summaries, weak for the rest.

BLEU and chrF are defined over a whole corpus: `bleu.corpus` and `chrf.corpus` stand beside the mean over cases.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from afere.base.canonical import Json
from afere.base.errors import BadInput, MissingExtra
from afere.base.score import Score
from afere.evals.scorers.declare import scorer
from afere.evals.scorers.text import as_text

Part = Literal["f1", "precision", "recall"]
Count = Callable[[list[str], list[str]], tuple[int, int, int]]  # what both have, what was said, what was wanted
_WORD = re.compile(r"[^a-z0-9]+")


@scorer(within=(0, 100))
def bleu(output: Json, expected: Json, *, tokenize: Literal["13a", "intl", "char", "zh", "none"] = "13a") -> Score:
    """BLEU, 0 to 100: n-grams of the output that references have (Papineni et al. 2002), by sacrebleu.

    Of each case smoothed and of the orders that it has; `NAME.corpus` is the one that papers report, over all cases.
    A list of expected texts is several references.

    >>> round(score("bleu", "the cat sat on a mat", "the cat sat on the mat").value, 1)
    53.7
    """
    metrics = _sacrebleu()
    said, references = as_text(output), _references(expected)
    value = metrics.BLEU(effective_order=True, tokenize=tokenize).sentence_score(said, references).score
    corpus: Any = metrics.BLEU(tokenize=tokenize)
    counted = corpus.corpus_score([said], [[one] for one in references])
    return _pooled(
        "bleu", value,
        {"said": counted.sys_len, "wanted": counted.ref_len, **_orders("right", counted.counts), **_orders("all", counted.totals)},
    )  # fmt: skip


@scorer(within=(0, 100))
def chrf(output: Json, expected: Json, *, words: int = 0) -> Score:
    """chrF, 0 to 100: F score of character n-grams up to 6 (Popovic 2015), by sacrebleu; `words: 2` is chrF++.

    `NAME.corpus` is over all cases, from summed counts. A list of expected texts is several references.

    >>> round(score("chrf", "the cat sat on a mat", "the cat sat on the mat").value, 1)
    66.0
    """
    metrics = _sacrebleu()
    said, references = as_text(output), _references(expected)
    metric: Any = metrics.CHRF(word_order=words)
    value = metric.sentence_score(said, references).score
    statistics: list[int] = metric._extract_corpus_statistics([said], [[one] for one in references])[
        0
    ]  # no public way to its counts
    kept = {name: statistics[i::3] for i, name in enumerate(("said", "wanted", "both"))}
    return _pooled("chrf", value, {key: n for name, held in kept.items() for key, n in _orders(name, held).items()})


def _orders(name: str, counts: list[int]) -> dict[str, float]:
    return {f"{name} {i + 1}": float(n) for i, n in enumerate(counts)}


def _pooled(name: str, value: float, counts: dict[str, float]) -> Score:
    return Score("case", name, value, f"scorer:{name}", data={"pool": name, "counts": dict[str, Json](counts)})


def _references(expected: Json) -> list[str]:
    found = [as_text(one) for one in (expected if isinstance(expected, list) else [expected])]
    if not found:
        raise BadInput("the list of expected texts is empty")
    return found


def _sacrebleu() -> Any:
    try:
        import sacrebleu.metrics
    except ImportError:
        raise MissingExtra("metrics", "BLEU and chrF") from None
    return sacrebleu.metrics


@scorer(within=(0, 1))
def rouge1(output: Json, expected: Json, *, part: Part = "f1") -> float:
    """ROUGE-1: overlap of words with the reference (Lin 2004); lower case, letters a-z and digits, no stemming.

    `part` gives the F score, precision or recall. Of a list of references, the best.

    >>> round(score("rouge1", "the cat sat", "the cat sat on the mat").value, 3)
    0.667
    """
    return _best(output, expected, part, partial(_grams, 1))


@scorer(within=(0, 1))
def rouge2(output: Json, expected: Json, *, part: Part = "f1") -> float:
    """ROUGE-2: overlap of pairs of neighbouring words with the reference (Lin 2004). Options as `rouge1`.

    >>> round(score("rouge2", "the cat sat", "the cat sat on the mat").value, 3)
    0.571
    """
    return _best(output, expected, part, partial(_grams, 2))


@scorer(within=(0, 1))
def rouge_l(output: Json, expected: Json, *, part: Part = "f1") -> float:
    """ROUGE-L: the longest common subsequence of words (Lin 2004). Options as `rouge1`.

    >>> round(score("rouge_l", "the mat sat the cat", "the cat sat on the mat").value, 3)
    0.545
    """
    return _best(output, expected, part, _subsequence)


def _best(output: Json, expected: Json, part: Part, count: Count) -> float:
    said = _tokens(as_text(output))
    return max(_part(count(said, _tokens(one)), part) for one in _references(expected))


def _tokens(text: str) -> list[str]:
    return [word for word in _WORD.split(text.lower()) if word]


def _grams(n: int, said: list[str], wanted: list[str]) -> tuple[int, int, int]:
    a, b = (Counter(zip(*(words[i:] for i in range(n)), strict=False)) for words in (said, wanted))
    return (a & b).total(), a.total(), b.total()


def _subsequence(said: list[str], wanted: list[str]) -> tuple[int, int, int]:
    """Its length by the bit-parallel method (Hyyro 2004): one integer operation for each word of the output."""
    places: dict[str, int] = {}
    for i, word in enumerate(wanted):
        places[word] = places.get(word, 0) | 1 << i
    full = (1 << len(wanted)) - 1
    state = full
    for word in said:
        hit = state & places.get(word, 0)
        state = (state + hit | state - hit) & full
    return len(wanted) - state.bit_count(), len(said), len(wanted)


def _part(counts: tuple[int, int, int], part: Part) -> float:
    both, said, wanted = counts
    precision, recall = both / said if said else 0.0, both / wanted if wanted else 0.0
    if part == "f1":
        return 2 * precision * recall / (precision + recall) if both else 0.0
    return precision if part == "precision" else recall
