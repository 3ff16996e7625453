"""Rows as they stand in files: JSONL, a JSON array, CSV or TSV, Parquet, a log of Inspect. Each comes with the place it stands at."""

from __future__ import annotations

import ast
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from afere.base.errors import BadData, MissingExtra
from afere.data.inspectlog import is_log, read_eval, read_log
from afere.data.rows import RowProblem

# (place, row) or (place, problem): one bad row does not hide the next
Placed = tuple[str, object]

_BOMS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_LISTS = ("relevant", "tags")
_LITERAL = frozenset({*_LISTS, "metadata"})  # cells that hold no text, so that `null` is none
_MARKS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}  # what may part the cells of CSV
MAX_LINE = 16 * 1024 * 1024  # bytes of one row; a longer one is a broken file, not a row


def read_file(file: Path, name: str) -> Iterator[Placed]:
    """The rows of a file, by its suffix. `name` is how errors call the file."""
    kind = file.suffix.lower()
    if kind not in _READERS:
        raise BadData(
            f"{name}: {kind or 'a file without suffix'} is not a kind of dataset. Kinds: {', '.join(_READERS)}."
        )
    try:
        yield from _READERS[kind](file, name)
    except FileNotFoundError:
        raise BadData(f"{name}: there is no such file. Paths start at the project's folder.") from None
    except OSError as problem:
        raise BadData(f"{name}: cannot be read: {problem.strerror or problem}.") from None


def decoded(data: bytes, name: str, first_line: int = 1) -> str:
    """UTF-8 text, its byte order mark dropped. BadData names the encoding it seems to be, the line, and the remedy."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            raise BadData(f"{name}: this is {encoding}, not UTF-8. {_convert(encoding, name)}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        start = problem.start + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
        line = first_line + data.count(b"\n", 0, start)
        if b"\x00" in data[:4]:
            raise BadData(f"{name}: this looks like UTF-16, not UTF-8. {_convert('UTF-16', name)}") from None
        begun = max(data.rfind(b"\n", 0, start) + 1, start - 12)
        around = data[begun : start + 12].decode("cp1252", "replace").split("\n")[0].strip()
        raise BadData(
            f"{name}:{line}: byte 0x{data[start]:02x} is not UTF-8. "
            f"If it should read {around!r}, the file is Windows-1252: {_convert('WINDOWS-1252', name)}"
        ) from None


def _convert(encoding: str, name: str) -> str:
    return f"Save it as UTF-8, or run: iconv -f {encoding} -t UTF-8 {name}"


def parse_json(text: str) -> Any:
    """One JSON value. RowProblem for what is not JSON, NaN and Infinity, and a key that stands twice in an object."""
    try:
        return _DECODER.decode(text)
    except _TooLarge as problem:
        raise _too_large(problem.args[0], text) from None
    except json.JSONDecodeError as problem:
        raise RowProblem(f"column {problem.colno}: this is not JSON: {problem.msg}") from None
    except RecursionError:
        raise RowProblem("nested too deep") from None


def _refuse_constant(name: str) -> Any:
    raise RowProblem(f"{name} is not a JSON number; write null for an unknown value")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in names if names.count(key) > 1)
        raise RowProblem(f"{twice}: stands twice in the same object; keep one")
    return made


def _integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) >= 2**53:
        raise _TooLarge(text)
    return int(text)


class _TooLarge(ValueError):
    """An integer that is no exact JSON number; `args[0]` is its digits."""


def _too_large(digits: str, text: str) -> RowProblem:
    """Names the key that it stands under, which the parser does not tell."""
    key = re.search(r'"((?:[^"\\]|\\.)*)"\s*:\s*(?:\[[^\]"{}]*)?' + re.escape(digits), text)
    return RowProblem(
        f"{key[1] + ': ' if key else ''}{digits[:20]} is too large for a JSON number to be exact; write it as text"
    )


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant, parse_int=_integer)


def _jsonl(file: Path, name: str) -> Iterator[Placed]:
    with file.open("rb") as lines:
        number = 0
        while data := lines.readline(MAX_LINE + 1):
            number += 1
            place = f"{name}:{number}"
            if len(data) > MAX_LINE:
                raise BadData(
                    f"{place}: longer than {MAX_LINE >> 20} MB, too long for one row. One row stands on one line."
                )
            text = decoded(data, name, number).strip()
            if not text:
                continue
            if number == 1 and text.startswith("["):
                raise BadData(f"{place}: this is a JSON array. Name the file .json, or write one object a line.")
            yield place, _or_problem(text)


def _or_problem(text: str) -> object:
    try:
        return parse_json(text)
    except RowProblem as problem:
        return problem


def _json(file: Path, name: str) -> Iterator[Placed]:
    text = decoded(file.read_bytes(), name)
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        if is_log(log := _or_none(text)):
            yield from read_log(log, name)
            return
        raise BadData(f"{name}:1: a .json dataset is an array of rows. One object a line goes into a .jsonl file.")
    line, counted = 1, 0
    at = _skip(text, at + 1)
    while text[at : at + 1] != "]":
        line, counted = line + text.count("\n", counted, at), at
        place = f"{name}:{line}"
        try:
            value, end = _DECODER.raw_decode(text, at)
        except RowProblem as problem:
            raise BadData(f"{place}: {problem}.") from None
        except _TooLarge as problem:
            raise BadData(f"{place}: {_too_large(problem.args[0], text[at:])}.") from None
        except (json.JSONDecodeError, RecursionError) as problem:
            where = (
                f"{name}:{problem.lineno}: column {problem.colno}"
                if isinstance(problem, json.JSONDecodeError)
                else place
            )
            raise BadData(f"{where}: this is not JSON: {getattr(problem, 'msg', 'nested too deep')}.") from None
        yield place, value
        at = _skip(text, end)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != "]":
            line = 1 + text.count("\n", 0, at)
            raise BadData(f"{name}:{line}: this is not JSON: a ',' or the closing ']' is missing.")


def _or_none(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _skip(text: str, at: int) -> int:
    match = re.compile(r"[ \t\r\n]*").match(text, at)
    return match.end() if match else at


def _csv(file: Path, name: str) -> Iterator[Placed]:
    text = decoded(file.read_bytes(), name)
    mark, text, line = _delimiter(text, "\t" if file.suffix.lower() == ".tsv" else ",")
    table = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    header: list[str] | None = None
    before = line - 1
    try:
        for cells in table:
            place, line = f"{name}:{line}", before + table.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = _header([cell.strip() for cell in cells], place)
            elif len(cells) != len(header):
                yield place, RowProblem(_uneven(len(cells), len(header), mark))
            else:
                yield place, _from_cells(header, cells)
    except csv.Error as problem:
        raise BadData(
            f"{name}:{before + table.line_num}: this is not CSV: {problem}. Double the quotes inside a quoted cell."
        ) from None


def _uneven(cells: int, columns: int, mark: str) -> str:
    said = f"{cells} cells, but the header has {columns}"
    return f"{said}; quote cells that hold {_MARKS[mark]}" if cells > columns else f"{said}; write also the empty ones"


def _delimiter(text: str, usual: str) -> tuple[str, str, int]:
    """What parts the cells, the text of the table, and the line at which it begins. Spreadsheets in many languages write
    `;`: the mark that the header has most of, or the one of a first line `sep=;`."""
    if (said := re.match(r"sep=([,;\t|])\r?\n", text)) is not None:
        return said[1], text[said.end() :], 2
    header = re.sub(r'"[^"]*"', "", text.lstrip("\r\n").split("\n", 1)[0])
    return max((usual, *_MARKS), key=header.count), text, 1


def _header(names: list[str], place: str) -> list[str]:
    if names[0] == "" and "index" not in names:  # as pandas writes its index
        names[0] = "index"
    if "" in names and any(names[names.index("") :]):
        raise BadData(f"{place}: column {names.index('') + 1} has no name. The first line names the columns.")
    names = [
        name or f"column {number}" for number, name in enumerate(names, 1)
    ]  # ends of lines that spreadsheets leave
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadData(f"{place}: column {twice[0]!r} stands twice. Rename one.")
    return names


def _from_cells(header: list[str], cells: list[str]) -> object:
    """A row from text cells: an empty cell is absent; `input.question` and `metadata.source` are keys of those objects."""
    row: dict[str, Any] = {}
    name = ""
    try:
        for name, cell in zip(header, cells, strict=True):
            outer, dot, inner = name.partition(".")
            if cell == "" or (cell == "null" and name in _LITERAL):
                continue
            if dot and outer in {"input", "metadata"}:
                row.setdefault(outer, {})[inner] = cell
            elif name in _LISTS:
                row[name] = (
                    _literal(cell)
                    if cell.lstrip().startswith(("[", "{"))
                    else [t.strip() for t in cell.split(";") if t.strip()]
                )
            elif name in {"input", "metadata"}:
                row[name] = _literal(cell) if cell.lstrip().startswith("{") else cell
            elif name == "weight":
                row[name] = _number(cell)
            else:
                row[name] = cell
    except RowProblem as problem:
        return RowProblem(f"{name}: {problem}")
    return row


def _literal(cell: str) -> Any:
    """A cell that begins as a list or an object, as JSON or as Python prints it. RowProblem where it is neither."""
    try:
        return parse_json(cell)
    except RowProblem:
        found = opened(cell)
        if isinstance(found, str):
            raise
        return found


def opened(cell: Any) -> Any:
    """A cell that holds a list or an object, as JSON or as Python prints it; else the cell itself."""
    if not isinstance(cell, str) or not re.match(r"\s*[\[{]", cell):
        return cell
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(cell)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return cast("Any", found) if isinstance(found, list | dict) else cell
    return cell


def _number(cell: str) -> object:
    try:
        return float(cell)
    except ValueError:
        return cell


def _parquet(file: Path, name: str) -> Iterator[Placed]:
    for number, value in enumerate(parquet_rows(file, name), 1):
        yield f"{name}: row {number}", _json_types(value)


def parquet_rows(file: Path, name: str) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file, some in memory at once. BadData where it is none, MissingExtra without pyarrow."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra("parquet", f"{name}: reading Parquet") from None
    table = cast("Any", parquet)
    try:
        with table.ParquetFile(file) as opened:
            for batch in opened.iter_batches(batch_size=200):
                yield from batch.to_pylist()
    except cast("type[Exception]", cast("Any", pyarrow).ArrowException) as problem:
        raise BadData(f"{name}: this is not a Parquet file: {str(problem).splitlines()[0]}") from None


def _json_types(value: Any) -> Any:
    """Times as ISO 8601 text and exact decimals as text; nulls of a row are absent."""
    if isinstance(value, dict):
        return {str(k): _json_types(v) for k, v in cast("dict[Any, Any]", value).items() if v is not None}
    if isinstance(value, list):
        return [_json_types(item) for item in cast("list[Any]", value)]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value) if type(value).__name__ == "Decimal" else value


def from_python(rows: Iterable[object]) -> Iterator[Placed]:
    """Rows given as Python values; the place is their position, from 1."""
    for number, value in enumerate(rows, 1):
        to_json = getattr(value, "to_json", None)
        yield f"row {number}", to_json() if callable(to_json) else value


_READERS = {".jsonl": _jsonl, ".ndjson": _jsonl, ".json": _json, ".csv": _csv, ".tsv": _csv, ".parquet": _parquet, ".eval": read_eval}  # fmt: skip
