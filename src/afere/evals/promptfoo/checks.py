"""promptfoo's assertions that need no model, as scorers: one for each metric or kind, and `passed` for all of a test."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.document import schema_problem
from afere.base.rule import BUILTIN
from afere.base.score import Score
from afere.base.span import Trace
from afere.chains.calls import CACHED
from afere.chains.template import Section, Template
from afere.data import Row
from afere.evals.scorers import Scorer
from afere.evals.scorers.nearness import levenshtein
from afere.evals.scorers.text import as_text

KINDS = (
    "equals", "contains", "icontains", "contains-any", "contains-all", "icontains-any", "icontains-all", "starts-with",
    "regex", "is-json", "contains-json", "levenshtein", "latency", "cost",
)  # fmt: skip
_VALUELESS = ("is-json", "contains-json", "latency", "cost")
_READ = ("type", "value", "threshold", "weight", "metric")


def why_skipped(one: Mapping[str, Json]) -> str:
    """Why an assertion is not run; empty where it is."""
    kind, value, limit = _kind(one), one.get("value"), one.get("threshold")
    more = sorted(set(one) - set(_READ))
    limited = kind in ("latency", "cost") or limit is not None
    reasons = (
        (kind not in KINDS, "this type is not read"),
        (bool(more), f"its option {', '.join(more)} is not read"),
        (isinstance(value, str) and value.startswith("file://"), "a value from a file is not read"),
        (value is None and kind not in _VALUELESS, "it has no value"),
        (kind.endswith(("-any", "-all")) and not isinstance(value, list), "its value must be a list"),
        (kind.endswith("json") and not isinstance(value, dict | None), "its value must be a JSON Schema"),
        (limited and not isinstance(limit, int | float), "it needs a number as threshold"),
        (not isinstance(one.get("weight", 1), int | float), "its weight must be a number"),
    )
    return next((f"{one['type']} ({reason})" for wrong, reason in reasons if wrong), "")


def scorers_of(tests: Sequence[Sequence[Mapping[str, Json]]]) -> tuple[Scorer, ...]:
    """`passed`, and a scorer for each metric or kind that stands in the tests."""
    labels = dict.fromkeys(_label(one) for asserts in tests for one in asserts)
    return (Scorer(_passed, name="passed"), *(Scorer(_share, name=one, options={"label": one}) for one in labels))


def _label(one: Mapping[str, Json]) -> str:
    made = re.sub(r"[^a-z0-9._-]+", "-", str(one.get("metric") or one["type"]).lower()).strip("-._")
    made = made if made[:1].isalpha() else f"m-{made}"
    return f"{made}-assert" if made in (*BUILTIN, "passed") else made


def _kind(one: Mapping[str, Json]) -> str:
    return str(one["type"]).removeprefix("not-")


def _share(output: Json, row: Row, trace: Trace, *, label: str = "") -> Score | None:
    """The weighted share of this test's assertions of that name that hold; None where it has none."""
    mine = [one for one in _asserts(row) if _label(one) == label]
    if not mine:
        return None
    held = [_holds(one, output, row, trace) for one in mine]
    weights = [cast("float", one.get("weight", 1)) for one in mine]
    weights = weights if sum(weights) > 0 else [1.0] * len(mine)
    share = sum(w for w, (fits, _) in zip(weights, held, strict=True) if fits) / sum(weights)
    return _said(label, share, "; ".join(why for fits, why in held if not fits))


def _passed(output: Json, row: Row, trace: Trace) -> Score | None:
    """Whether the test passes as promptfoo decides: every assertion holds; with a threshold, their weighted share reaches it.
    An assertion of weight 0 is only measured. None where no assertion of the test is run.
    """
    asserts = _asserts(row)
    if not asserts:
        return None
    held = [(one, *_holds(one, output, row, trace)) for one in asserts if one.get("weight", 1) != 0]
    why = "; ".join(why for _, fits, why in held if not fits)
    limit, total = row.metadata.get("threshold"), sum(cast("float", one.get("weight", 1)) for one, _, _ in held)
    if isinstance(limit, int | float) and total:
        share = sum(cast("float", one.get("weight", 1)) for one, fits, _ in held if fits) / total
        return _said("passed", share >= limit, why)
    return _said("passed", not why, why)


def _said(name: str, value: bool | float, why: str) -> Score:
    return Score("case", name, value, f"scorer:{name}", why)


def _asserts(row: Row) -> list[dict[str, Json]]:
    return cast("list[dict[str, Json]]", row.metadata["assert"])


def _holds(one: Mapping[str, Json], output: Json, row: Row, trace: Trace) -> tuple[bool, str]:
    negated = str(one["type"]).startswith("not-")
    value = _filled(one.get("value"), row.input)
    fits = _fits(_kind(one), value, cast("float | None", one.get("threshold")), output, trace)
    said = f" {as_text(value)}" if value is not None else ""
    return fits != negated, f"{one['type']}{said} does not hold"


def _filled(value: Json, values: dict[str, Json]) -> Json:
    """An assertion's value with the test's vars in it."""
    if isinstance(value, list):
        return [_filled(one, values) for one in value]
    if not isinstance(value, str) or "{{" not in value:
        return value
    made = Template((Section("user", value, 1),), {}, "assert").render(values)
    return "".join(one.text for one in made)


def _fits(kind: str, value: Json, limit: float | None, output: Json, trace: Trace) -> bool:
    said = as_text(output)
    if kind in ("latency", "cost"):
        return _measured(kind, trace) <= cast("float", limit)
    if kind in ("is-json", "contains-json"):
        found = _whole(said) if kind == "is-json" else _jsons(said)
        return any(value is None or schema_problem(one, cast("dict[str, Json]", value)) is None for one in found)
    if "contains" in kind:
        return _contains(kind, value, said)
    return {
        "equals": lambda: _equal(value, output),
        "starts-with": lambda: said.startswith(as_text(value)),
        "regex": lambda: re.search(as_text(value), said) is not None,
        "levenshtein": lambda: levenshtein(said, as_text(value)) <= (5 if limit is None else limit),
    }[kind]()


def _measured(kind: str, trace: Trace) -> float:
    """Milliseconds or USD of a run; ValueError where they are not known, so that there is no verdict."""
    costs = [span.cost for span in trace.spans if span.cost is not None]
    cached = any(CACHED in span.attributes for span in trace.spans)
    seconds = None if cached else trace.root.seconds
    found = seconds if kind == "latency" else sum(costs) if costs else None
    if found is None:
        raise ValueError(f"the {kind} of this run is not known")
    return found * 1000 if kind == "latency" else found


def _contains(kind: str, value: Json, said: str) -> bool:
    def folded(text: str) -> str:
        return text.casefold() if kind.startswith("i") else text

    held = [folded(as_text(one)) in folded(said) for one in (value if isinstance(value, list) else [value])]
    return any(held) if kind.endswith("-any") else all(held)


def _equal(value: Json, output: Json) -> bool:
    if isinstance(value, dict | list) and isinstance(output, str):
        return _whole(output) == [value]
    return value == output if isinstance(output, dict | list) else as_text(value) == as_text(output)


def _whole(text: str) -> list[Any]:
    try:
        return [json.loads(text)]
    except ValueError:
        return []


def _jsons(text: str) -> list[Any]:
    """Objects and lists that stand in a text."""
    found, decoder, place = list[Any](), json.JSONDecoder(), 0
    while (begun := re.compile(r"[\[{]").search(text, place)) is not None and len(found) < 100:
        try:
            value, place = decoder.raw_decode(text, begun.start())
            found.append(value)
        except ValueError:
            place = begun.start() + 1
    return found
