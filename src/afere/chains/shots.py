"""Examples kept as a dataset: rows become pairs of input and output that a prompt shows the model."""

from __future__ import annotations

from pathlib import Path

from afere.base.canonical import Json
from afere.base.errors import AfereError, BadPrompt
from afere.base.project import Project
from afere.data.reading import read_file
from afere.data.rows import Row, RowProblem, encode, read_row


def read_shots(
    source: str, place: str, prompt: Path, project: Project, *, named: bool = False
) -> tuple[list[Json], list[Path]]:
    """The pairs of a dataset file (from the project's root, or beside the prompt) or ref, and the files they were read from.

    `named`: each says which row it is (`dataset:shots@3/e-1`, `data/shots.jsonl/e-1`), since not all are shown.
    """
    rows, files = read_rows(source, f"{place}: examples", prompt.parent, project)
    pairs = [_pair(row, where) for where, row in rows]
    if named:
        for (where, row), pair in zip(rows, pairs, strict=True):
            pair["row"] = f"{source if files else where.partition(': row ')[0]}/{row.id or encode(row)[0]}"
    return list[Json](pairs), files


def read_rows(source: str, place: str, beside: Path, project: Project) -> tuple[list[tuple[str, Row]], list[Path]]:
    """The rows of a dataset file (from the project's root, or from the folder `beside`) or ref, each with the words that
    name it in an error, and the files they were read from. BadPrompt begins with `place`."""
    for file in (project.path(source), beside / source):
        if file.is_file():
            return [(f"{file}: row {number}", row) for number, row in enumerate(_rows(file), start=1)], [file]
    if "/" in source or Path(source).suffix:
        raise BadPrompt(f"{place}: there is no file {source!r} in {project.root} or {beside}.")
    from afere.data import dataset

    try:
        kept = dataset(source)
    except AfereError as problem:
        raise BadPrompt(f"{place}: {problem}") from None
    return [(f"{kept.ref}: row {row.id}", row) for row in kept.rows], []


def _rows(file: Path) -> list[Row]:
    rows: list[Row] = []
    for where, value in read_file(file, str(file)):
        try:
            if isinstance(value, RowProblem):
                raise value
            rows.append(read_row(value))
        except RowProblem as problem:
            raise BadPrompt(f"{where}: {problem}.") from None
    return rows


def _pair(row: Row, place: str) -> dict[str, Json]:
    output = row.output if row.output is not None else row.expected
    if not row.input or output is None:
        raise BadPrompt(f"{place}: an example needs an input and an output (or expected).")
    text = row.input.get("input")
    return {"input": text if list(row.input) == ["input"] and isinstance(text, str) else row.input, "output": output}
