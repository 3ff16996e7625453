"""Fit the model of `afere.govern.debt.sameness` on written sets of tools, and say how well it tells those it did not see.

    python benchmarks/tool_overlap.py

Logistic regression with a penalty; each set of tools is left out in turn (leave one out by set), and the weights printed are of all.
The sets: tests/govern/fitted_tools.txt, the looked-at half of later_tools.txt, and the looked-at worlds of a stranger.
"""

from __future__ import annotations

import re
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from afere.chains.toolcard import ToolCard
from afere.govern.debt.likeness import Likeness
from afere.govern.debt.sameness import features

GOVERN = Path(__file__).parents[1] / "tests" / "govern"
sys.path.insert(0, str(GOVERN))
STRANGER = {
    "shop": {"find_orders", "search_orders"},
    "hotel": {"meteorologia_local", "previsao_tempo"},
    "banco": {"calcular_cuota_vivienda", "simular_hipoteca"},
    "helpdesk": {"get_device_details", "laptop_lookup"},
}


def sets() -> list[tuple[str, list[ToolCard], list[set[str]]]]:
    """Sets of tools, each with the pairs that are for one purpose."""
    import stranger_dev
    import stranger_words
    from stranger_kit import Tool

    found: list[tuple[str, list[ToolCard], list[set[str]]]] = []

    def card(tool: Any) -> ToolCard:
        return ToolCard(name=tool.name, description=tool.description or "", parameters=tool.spec()["parameters"])

    for file, step in (("fitted_tools.txt", 1), ("later_tools.txt", 2)):
        for block in re.split(r"(?m)^== ", (GOVERN / file).read_text(encoding="utf-8"))[1::step]:
            title, _, body = block.partition("\n")
            cards, groups = list[ToolCard](), dict[str, set[str]]()
            for line in body.rstrip().split("\n"):
                mark, rest = line.split(" ", 1)
                name, description, params = (part.strip() for part in rest.split("|"))
                cards.append(card(Tool(name, description, params.strip("-"))))
                groups.setdefault(mark, set()).add(name)
            groups.pop("-", None)
            found.append((f"{file} {title}", cards, list(groups.values())))
    office = {lang: stranger_words.office(lang, 40) for lang in ("en", "pt", "es")}
    found += [(f"office {lang}", [card(one) for one in tools], []) for lang, tools in office.items()]
    known = {one.name for tools in office.values() for one in tools}
    for make in stranger_dev.WORLDS:
        world = make()
        cards = [card(one) for one in world.tools.values() if one.name not in known and one.description]
        pair = STRANGER.get(world.name)
        found.append((f"stranger {world.name}", cards, [pair] if pair else []))
    return found


def fit(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Weights of the features as they are, the last one always counts."""
    mean, spread = x.mean(0), x.std(0) + 1e-9
    z = np.c_[(x - mean) / spread, np.ones(len(x))]

    def loss(w: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
        said = z @ w
        wrong = 1 / (1 + np.exp(-said)) - y
        return float((np.logaddexp(0, said) - y * said).sum() + (w[:-1] ** 2).sum() / 2), z.T @ wrong + np.r_[w[:-1], 0]

    w = minimize(loss, np.zeros(z.shape[1]), jac=True, method="L-BFGS-B").x
    return np.r_[w[:-1] / spread, w[-1] - (w[:-1] * mean / spread).sum()]


def main() -> None:
    likeness = Likeness()
    rows: list[dict[str, float]] = []
    labels: list[bool] = []
    places: list[tuple[int, str, str]] = []
    every = sets()
    for number, (_, cards, twins) in enumerate(every):
        for a, b in combinations(cards, 2):
            rows.append(features(a, b, likeness))
            labels.append({a.name, b.name} in twins)
            places.append((number, a.name, b.name))
    names = list(rows[0])
    x, y = np.array([[row[name] for name in names] for row in rows]), np.array(labels, dtype=float)
    group = np.array([number for number, _, _ in places])
    said = np.zeros(len(x))
    for number in range(len(every)):
        out = group == number
        if out.any():
            said[out] = 1 / (1 + np.exp(-(np.c_[x[out], np.ones(out.sum())] @ fit(x[~out], y[~out]))))
    best: dict[tuple[int, str], float] = {}
    for (number, *pair), one in zip(places, said, strict=True):
        for name in pair:
            best[number, name] = max(best.get((number, name), 0.0), float(one))
    first = np.array([one >= best[n, a] and one >= best[n, b] for (n, a, b), one in zip(places, said, strict=True)])
    print(f"{len(every)} sets, {len(x):,} pairs, {int(y.sum())} for one purpose; left out by set:")
    for least in (0.3, 0.35, 0.4, 0.45, 0.5, 0.6):
        told = first & (said >= least)
        print(f"  from {least}: {int((told & (y == 1)).sum())} found, {int((told & (y == 0)).sum())} wrong")
    for name, weight in zip([*names, "always"], fit(x, y), strict=True):
        print(f"{name} = {weight:.2f}")


if __name__ == "__main__":
    main()
