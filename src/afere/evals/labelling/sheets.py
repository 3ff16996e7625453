"""Sheets of labels: CSV or JSON lines that people fill in where they like and send back."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from afere.base.canonical import Json
from afere.base.errors import BadData, BadInput, NotFound, StoreFailed
from afere.evals.labelling.labels import Labels, Sheet
from afere.evals.scorers.text import as_text

COLUMNS = ("case", "input", "output", "expected", "label", "why", "by")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MOST = 50_000_000  # bytes of a sheet


def write(labels: Labels, sheet: Sheet, file: Path) -> int:
    """Write a CSV with one line an output in random order, its column `label` empty; how many. No judge's verdict is in it.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    text = io.StringIO()
    out = csv.writer(text)
    out.writerow(COLUMNS)
    examples = labels.experiment.examples
    for item in labels.shuffled:
        row = examples.get(item.run.row)
        shown = [
            _shown(row.input or row.metadata) if row else "", _shown(labels.experiment.output_of(item.run)),
            _shown(row.expected) if row and row.expected is not None else "",
        ]  # fmt: skip
        out.writerow([_safe(item.key), *map(_safe, shown), "", "", ""])
    try:
        file.write_text(text.getvalue(), encoding="utf-8-sig", newline="")  # spreadsheets know UTF-8 by its mark
    except OSError as problem:
        raise StoreFailed(f"{file}: cannot be written: {problem.strerror}.") from None
    return len(labels.items)


def _shown(value: Json) -> str:
    if isinstance(value, dict) and len(value) == 1:
        return as_text(next(iter(value.values())))
    return as_text(value)


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def read(labels: Labels, sheet: Sheet, file: Path, by: str | None) -> tuple[int, int]:
    """Keep the labels of a filled-in sheet; how many, and how many lines had none. BadData names file and line.

    All or nothing: every line is read before the first label is kept. A line read again changes nothing new.
    """
    found: list[tuple[str, object, str, str]] = []
    empty = 0
    for place, line in _lines(file):
        said = line.get("label")
        if said is None or str(said).strip() == "":
            empty += 1
            continue
        who = str(line.get("by") or by or "")
        key = str(line.get("case") or line.get("row") or "").removeprefix("'")
        if not who.startswith("person:"):
            raise BadData(f"{place}: by is {who!r}: fill in the column `by`, or say --by person:NAME.")
        try:
            labels.item(key)
            found.append((key, sheet.read(_word(said)), who, str(line.get("why") or "")))
        except (BadInput, NotFound) as problem:
            raise BadData(f"{place}: {problem}") from None
    known = labels.of(sheet.name)
    for key, value, who, why in found:
        before = known.get(labels.item(key).target, {}).get(who)
        if before is None or (before.value, before.why) != (value, why):
            labels.put(sheet.name, key, cast("bool | float | str", value), by=who, why=why)
    return len(found), empty


def _word(said: object) -> object:
    return str(said).lower() if isinstance(said, bool) else said


def _lines(file: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Each line with where it stands."""
    try:
        if file.stat().st_size > _MOST:
            raise BadData(f"{file}: larger than {_MOST // 1_000_000} MB; split it.")
        text = file.read_text(encoding="utf-8-sig")
    except OSError as problem:
        raise BadData(f"{file}: cannot be read: {problem.strerror}.") from None
    except UnicodeDecodeError as problem:
        raise BadData(f"{file}: not UTF-8 (byte {problem.start}). Save it as CSV UTF-8.") from None
    if file.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        yield from _json_lines(file, text)
        return
    first = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text), delimiter=";" if first.count(";") > first.count(",") else ",")
    columns = [name.strip().lower() for name in reader.fieldnames or ()]
    if not {"case", "row"} & set(columns) or "label" not in columns:
        raise BadData(f"{file}:1: the columns are {', '.join(columns) or 'none'}; a sheet needs case and label.")
    reader.fieldnames = columns
    try:
        for line in reader:
            yield f"{file}:{reader.line_num}", line
    except csv.Error as problem:
        raise BadData(f"{file}:{reader.line_num}: not CSV: {problem}.") from None


def _json_lines(file: Path, text: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as problem:
            raise BadData(f"{file}:{number}: not JSON: {problem}") from None
        if not isinstance(value, dict):
            raise BadData(f'{file}:{number}: a label is an object such as {{"case": "r-1", "label": "pass"}}.')
        yield f"{file}:{number}", cast("dict[str, object]", value)
