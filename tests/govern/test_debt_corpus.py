"""What the audit finds of planted debt, rule by rule, in prompts and traces that the rules were developed on and in others."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from types import ModuleType

import configurations
import prompts_dev
import prompts_heldout
import prompts_third
import pytest
import traffic
import traffic_third
from worlds import World, add_prompts, hits

from afere.govern.debt.finding import Rules

MEANING = ("prompt.contradiction", "tools.ambiguous", "prompt.mixed-topics", "prompt.untested", "prompt.stale")
CORPORA: dict[str, tuple[ModuleType, tuple[str, ...]]] = {
    "dev": (prompts_dev, ("en", "pt")),
    "held": (prompts_heldout, ("es",)),
    "third": (prompts_third, ("en",)),
}


def worlds(corpus: str, root: Path) -> list[World]:
    """All worlds of a corpus: one of prompts for each language, and those of its traces."""
    texts, grown = CORPORA[corpus]
    found: list[World] = []
    for language in ("en", "pt", "es"):
        world = World(root / f"prompts-{language}")
        prompts = [one for one in texts.PROMPTS if one.language == language]
        prompts += texts.grown(language) if language in grown else []
        prompts += [texts.long_prompt()] if language == "en" else []
        add_prompts(world, prompts)
        found.append(world)
    if corpus == "third":
        return [*found, *(make(root / make.__name__) for make in traffic_third.WORLDS)]
    for key in traffic.EDITIONS[corpus]:
        found += [make(root / f"{make.__name__}-{key}", key) for make in (*traffic.WORLDS, *configurations.WORLDS)]
    return found


@pytest.mark.parametrize("corpus", CORPORA)
def test_planted_debt_is_found_and_what_only_looks_like_it_is_not(
    corpus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    details: list[str] = []
    for world in worlds(corpus, tmp_path):
        found = world.audit()
        assert not found.problems
        for rule in {one.rule for one in found.findings} | {one.rule for one in world.planted}:
            recalled, right, missed, wrong = hits(found, world.planted, rule)
            row = counts[rule]
            row[0] += recalled
            row[1] += sum(one.rule == rule and one.must for one in world.planted)
            row[2] += right
            row[3] += right + len(wrong)
            details += [f"missed {rule} {one}" for one in missed] + [f"wrong {rule} {one}" for one in wrong]
    with capsys.disabled():
        print(f"\n{corpus:28} planted  found  recall  findings  precision")
        for rule, (recalled, planted, right, every) in sorted(counts.items()):
            print(
                f"{rule:28} {planted:7} {recalled:6} {recalled / max(1, planted):7.2f} {every:9} {right / max(1, every):10.2f}"
            )
    assert corpus == "third" or set(counts) == {rule.id for rule in Rules()}
    for rule, (recalled, planted, right, every) in counts.items():
        assert right >= 0.9 * every, (rule, details)
        assert recalled >= (0.6 if rule in MEANING else 0.9) * planted, (rule, details)
