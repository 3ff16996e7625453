"""What lineage costs in a store of 100,000 artifacts and 50,000 traces: `python benchmarks/lineage_walk.py [ARTIFACTS]`.

A few shared prompts and models at the bottom, components and chains over them, experiments on top: as a team's registry
grows. Times are of `lineage(...)` with 200 things by name and all of them counted; the best of five.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

import afere
from afere.base.artifact import Use
from afere.base.clock import now_ns
from afere.base.span import Span
from afere.govern.lineage import lineage


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    chance = random.Random(11)
    with tempfile.TemporaryDirectory() as folder, afere.store.open(Path(folder) / ".afere", project="p") as session:
        layers: list[list[tuple[str, str]]] = []
        for kind, share in (("prompt", 0.1), ("component", 0.2), ("chain", 0.4), ("experiment", 0.3)):
            made: list[tuple[str, str]] = []
            for number in range(int(count * share)):
                below = layers[-1] if layers else []
                # Some parts are used by nearly everything, most by few.
                used = {below[int(len(below) * chance.random() ** 4)] for _ in range(3)} if below else set()
                uses = [Use(f"part {i}", ref, hash_) for i, (ref, hash_) in enumerate(sorted(used))]
                content = {"n": number, "k": kind, "template": f"Answer {number}."}  # a prompt without one is told so
                one = session.put(kind, None if kind == "experiment" else f"n{number}", content, uses=uses)
                made.append((one.ref, one.hash))
            layers.append(made)
            print(f"{len(made):,} {kind}s", flush=True)
        now = now_ns()
        for first in range(0, count // 2, 1000):
            session.spans.write(
                [
                    Span(f"{n + 1:032x}", "a" * 16, "s", now, end=now, artifacts=[chance.choice(layers[2])])
                    for n in range(first, first + 1000)
                ]
            )
        for title, ref, up in (
            ("up from an experiment", layers[3][-1][0], True), ("down from a rare prompt", layers[0][-1][0], False),
            ("down from a common prompt", layers[0][len(layers[0]) // 50][0], False), ("down from the commonest prompt", layers[0][0][0], False),
        ):  # fmt: skip
            times: list[float] = []
            for _ in range(5):
                begun = time.process_time()
                found = lineage(session, ref, up=up, down=not up)
                times.append(time.process_time() - begun)
            side = found.up if up else found.down
            assert side is not None
            print(
                f"{title:32} {sum(side.counts.values()):>8,} reached  {min(times) * 1000:6.0f} ms  {side.counts}",
                flush=True,
            )


if __name__ == "__main__":
    main()
