"""A bake-off's record as text: the table for people, Markdown to hand on. What is read is the record alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from afere.evals.report import INTERVALS, interval, number
from afere.evals.standing import SHOWN

FAMILY = (
    "Better and worse are against the current one, by tests that hold for all of them together (Holm, 5%); "
    "what is not marked is not shown. Latency is compared by the mean of the same cases."
)
FRONT = "On the front: no other is at least as good on all of"
_SIGNS = {"better": "better", "worse": "worse", "open": ""}
_SWEPT = {"set", "prompts", "examples", "targets"}  # what is tried beside models
_NAMES = {"quality": "quality", "cost_per_1000": "cost", "seconds.p50": "latency"}


def columns(record: Mapping[str, Any]) -> list[str]:
    """The numbers of the table, those of scorers first; one that no cell has is left out."""
    found = dict.fromkeys(
        one["name"]
        for cell in record["cells"]
        for one in cell["numbers"]
        if one["value"] is not None or one["name"] == "cost_per_1000"
    )
    return list(found)


def called(record: Mapping[str, Any]) -> str:
    """What people call it: of models alone it is a bake-off, else a sweep."""
    return "sweep" if _SWEPT & record["sweep"].keys() else "bake-off"


def heading(name: str, record: Mapping[str, Any] | None = None) -> str:
    return f"{name}: wins" if record and name in judges(record) else SHOWN.get(name, name)


def judges(record: Mapping[str, Any]) -> list[str]:
    """The pairwise judges that read the cells against each other."""
    return [str(one["by"]) for one in record.get("preferred", ())]


def about_pairs(one: Mapping[str, Any]) -> list[str]:
    """How a pairwise judge read, what it did not, and how much the place of an answer decided."""
    said = [f"{one['why']}."] if one["why"] else []
    if one["asked"] or one["same"]:
        same = f"; {one['same']} more were the same answer, a draw without asking" if one["same"] else ""
        said.append(f"{one['asked']} pairs were read in both positions{same}.")
    if one["unread"] and not one["why"]:
        said.append(f"{one['unread']} have no verdict: {one['unread_why']}.")
    return [*said, *one.get("about", ())]


def share_of(pair: Mapping[str, Any]) -> str:
    """`mid won 0.620 (0.540 to 0.700) of 40 cases against small`"""
    if pair["share"] is None:
        return f"{pair['b']} against {pair['a']}: {pair['why']}"
    ends = f" ({interval(pair['low'], pair['high'])})" if pair["low"] is not None else ""
    return f"{pair['b']} won {number(pair['share'])}{ends} of {pair['n']} cases against {pair['a']}"


def answer_in(pair: Mapping[str, Any]) -> str:
    return {"better": "shown to be preferred", "worse": "shown to be less preferred"}.get(pair["answer"], "not shown")


def answer_of(cell: Mapping[str, Any], name: str) -> str:
    """`better`, `worse` or nothing, for a number of the table that was compared."""
    measure = {"seconds.p50": "seconds", "cost_per_1000": "cost"}.get(name, name)
    found = next((one for one in cell["against"] if one["measure"] == measure), None)
    return _SIGNS[found["answer"]] if found else ""


def known_of(facts: Mapping[str, Any] | None) -> str:
    """Who runs it, licence, residency and promises, as far as they are known."""
    if facts is None:
        return "several models"
    residency, promises = cast("list[str] | None", facts["residency"]), cast("list[str] | None", facts["compliance"])
    said = [str(facts["hosting"] or "hosting unknown"), f"licence {facts['licence'] or 'unknown'}"]
    said.append(f"data in {', '.join(residency)}" if residency else "residency unknown")
    said += promises or []
    return ", ".join(said)


def axes_of(record: Mapping[str, Any]) -> str:
    return ", ".join(_NAMES.get(str(one), str(one)) for one in record["axes"])


def lines(record: Mapping[str, Any]) -> list[str]:
    """What is said under the table."""
    anew = "All answers were asked for anew" if record["asked_anew"] else "Answers may come from the cache"
    load = (
        f"{anew}, {record['concurrency']} rows at once, one cell after the other: times and tokens a second are at that load, "
        f"without the first {record['warming']} cases, which warm up."
    )
    said = [INTERVALS, FAMILY, load, drifted(record)]
    if record["axes"]:
        said.append(f"{FRONT} {axes_of(record)}, by the estimates.")
    for name in judges(record):
        said.append(
            f"{name}: wins is the share of cases won against the current one, draws half; differences are from a half."
        )
    if record["uncalibrated"]:
        said.append(
            f"Uncalibrated: {', '.join(record['uncalibrated'])} is a model's verdict that was not compared with people's."
        )
    return said


def drifted(record: Mapping[str, Any]) -> str:
    """How times drifted while it ran, by the current one."""
    found = record["drift"]
    if found is None:
        return "The current one was not timed again at the end: no difference in latency is said to be shown."
    return (
        f"Asked again at the end, the current one took {'+' if found['value'] > 0 else ''}{number(found['value'])} s "
        f"({interval(found['low'], found['high'])}) on {found['n']} cases: a difference in latency counts only beyond that."
    )


def markdown(record: Mapping[str, Any], ref: str) -> str:
    """The record for a decision paper or a pull request."""
    names = columns(record)
    recommended = record["recommendation"]
    out = [
        f"**{_cell(record['name'])}: {ref}** ({record['cases']} cases, {record['repeats']} runs each, {_cell(record['dataset'][0])})",
        "",
    ]
    out += [_cell(recommended["say"]), "", *(f"- {_cell(one)}" for one in (*recommended["more"], *record["notes"])), ""]
    out += [
        f"| | {' | '.join(_cell(heading(one, record)) for one in names)} | failed | refused | front |",
        "|---" * (len(names) + 4) + "|",
    ]
    for cell in record["cells"]:
        if cell["numbers"]:
            table = {one["name"]: one for one in cell["numbers"]}
            cells = [_value(table.get(name), answer_of(cell, name)) for name in names]
            placed = {True: "yes", False: "", None: "no place"}[cell["front"]]
            out.append(
                f"| {_cell(cell['label'])} | {' | '.join(cells)} | {cell['errors']} | {cell['refusals']} | {placed} |"
            )
    for one in record.get("preferred", ()):
        out += ["", *_ranking(one)]
    out += ["", "| | runs | experiment |", "|---|---|---|"]
    out += [
        f"| {_cell(cell['label'])} | {_cell(known_of(cell['facts']))} | {cell['experiment'] or ''} |"
        for cell in record["cells"]
    ]
    left_out = [cell for cell in record["cells"] if cell["excluded"]]
    out += (
        ["", *(f"- left out: {_cell(cell['label'])}: {_cell(cell['excluded'])}" for cell in left_out)]
        if left_out
        else []
    )
    return "\n".join([*out, "", *(f"- {one}" for one in lines(record))]) + "\n"


def _ranking(one: Mapping[str, Any]) -> list[str]:
    """Who was preferred, strongest first, and every pair."""
    out = [f"**Read in pairs by {_cell(one['by'])}** (Bradley-Terry, 90% intervals)", ""]
    if one["ranking"]:
        out += ["| | strength | 90% interval | beats the average in |", "|---|---|---|---|"]
        for each in one["ranking"]:
            ends = f"{each['low']:+.2f} to {each['high']:+.2f}" if each["low"] is not None else "too few cases"
            out.append(f"| {_cell(each['label'])} | {each['strength']:+.2f} | {ends} | {each['wins']:.0%} |")
        out += ["", *(f"- {_cell(share_of(pair))}: {answer_in(pair)}" for pair in one["pairs"])]
    return [*out, *(f"- {_cell(line)}" for line in about_pairs(one))]


def _value(one: Mapping[str, Any] | None, answer: str) -> str:
    if one is None or one["value"] is None:
        return _cell(f"unknown: {one['why']}") if one else ""
    ends = f" ({interval(one['low'], one['high'])})" if one["low"] is not None or one["high"] is not None else ""
    return f"{number(one['value'])}{ends}{' **' + answer + '**' if answer else ''}"


def _cell(text: str) -> str:
    """Text of others in a table of Markdown: one line, no table, no HTML, no links of its own."""
    return re.sub(r"([\\|<>\[\]`*_])", r"\\\1", " ".join(str(text).split()))
