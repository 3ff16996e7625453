"""What checking a dataset costs: rows of random words with every hundredth again, nearly; how many of those are found.

python benchmarks/dataset_check.py [ROWS]
"""

from __future__ import annotations

import random
import sys
import time
from itertools import accumulate

from afere.data.alike import Join, fields_of
from afere.data.checks import check_rows
from afere.data.rows import Row

_WORDS = 20_000  # as common as Zipf's law says


def texts_of(count: int) -> tuple[list[str], set[tuple[int, int]]]:
    """Texts of ten words, and the pairs that were planted: a letter more, a letter less, or the shortest word left out."""
    dice = random.Random(3)
    words = ["".join(dice.choices("abcdefghijklmnoprstuvw", k=dice.randint(3, 9))) for _ in range(_WORDS)]
    weights = list(accumulate(1 / (i + 1) for i in range(_WORDS)))
    texts = [" ".join(dice.choices(words, cum_weights=weights, k=10)) + "?" for _ in range(count)]
    planted: set[tuple[int, int]] = set()
    for i in range(count // 100):
        text = texts[i]
        at = dice.randrange(len(text))
        said = text.split()
        left = min(range(len(said)), key=lambda place: len(said[place]))
        near = (
            text[:at] + dice.choice("xyz") + text[at:],
            text[:at] + text[at + 1 :],
            " ".join(said[:left] + said[left + 1 :]),
        )[i % 3]
        planted.add((i, len(texts)))
        texts.append(near)
    return texts, planted


def main(count: int = 100_000) -> None:
    texts, planted = texts_of(count)
    join = Join([fields_of({"q": text}) for text in texts])
    begun = time.process_time()
    found = {(pair.first, pair.second) for pair in join.pairs()}
    took = time.process_time() - begun
    print(
        f"nearly the same, of {len(texts):,} texts: {took:.1f} s of processor; {len(planted & found):,} of {len(planted):,} planted"
    )
    print(f"{len(found - planted):,} others reported; {join.skipped:,} texts with more candidates than are compared")
    rows = [Row(f"r{i}", {"question": text}, "x") for i, text in enumerate(texts)]
    begun, clock = time.process_time(), time.monotonic()
    check_rows(rows)
    print(f"all checks: {time.process_time() - begun:.1f} s of processor, {time.monotonic() - clock:.1f} by the clock")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
