"""Classification: labels held against the expected ones, with precision, recall and F1 over all cases."""

from __future__ import annotations

import json

from afere.base.canonical import Json
from afere.base.score import Score
from afere.evals.scorers.declare import scorer
from afere.evals.scorers.text import as_text


@scorer(within=(0, 1))
def classification(
    output: Json, expected: Json, *, labels: list[str] | None = None, field: str | None = None, ignore_case: bool = True
) -> Score:
    """Whether the label is the expected one (its mean is the accuracy), and over all cases precision, recall and F1.

    `NAME.f1`, `NAME.precision`, `NAME.recall` are means over labels (macro); `NAME.micro_f1` and its siblings count all
    decisions; `NAME.f1.LABEL` is of one label. A list of labels is several at once (multi-label). `field` takes the label
    out of an object; `labels` names those that exist: anything else counts as `other`.

    >>> score({"name": "label", "kind": "classification"}, "Billing", "billing").value
    True
    """
    said, wanted = (_labels(value, field, labels, ignore_case) for value in (output, expected))
    right = set(said) == set(wanted)
    counts: dict[str, Json] = {f"tp {one}": 1 for one in wanted if one in said}
    counts |= {f"fp {one}": 1 for one in said if one not in wanted}
    counts |= {f"fn {one}": 1 for one in wanted if one not in said}
    if len(said) == 1 and len(wanted) == 1:
        counts[json.dumps([wanted[0], said[0]], ensure_ascii=False)] = 1
    why = "" if right else f"said {', '.join(said) or 'nothing'}, expected {', '.join(wanted) or 'nothing'}"
    data: dict[str, Json] = {"pool": "classification", "counts": counts}
    return Score("case", "classification", right, "scorer:classification", why, data=data)


def _labels(value: Json, field: str | None, labels: list[str] | None, ignore_case: bool) -> list[str]:
    if isinstance(value, str) and field is not None and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except ValueError:
            value = {}
    if field is not None and isinstance(value, dict):
        value = value.get(field)
    several = value if isinstance(value, list) else [] if value is None else [value]
    found = [as_text(one).strip() for one in several]
    if labels is not None:
        known = {(one.casefold() if ignore_case else one): one for one in labels}
        found = [known.get(one.casefold() if ignore_case else one, "other") for one in found]
    elif ignore_case:
        found = [one.casefold() for one in found]
    return list(dict.fromkeys(found))
