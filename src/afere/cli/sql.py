"""`afere sql`: questions that the filter language has no words for, asked of a snapshot of spans with DuckDB (extra `sql`).

The engine sees the snapshot and nothing else: no other file, no network, no setting can be changed, and only questions
(SELECT) are asked.
"""

from __future__ import annotations

import json
import tempfile
import threading
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from afere.base.canonical import Json
from afere.base.errors import BadInput, MissingExtra, NotFound, Refused
from afere.cli.common import Place, placed

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from rich.console import Console

_SHOWN = 200  # characters of a value that people read
_TABLES = "spans (a row each) and traces (a row each, with sums over its spans)"
# `start` is text in the file, as pages have it. Tokens count once: a span counts only if none below it reports its own.
_SNAPSHOT = "SELECT * REPLACE (CAST(start AS TIMESTAMP) AS start) FROM read_parquet({files})"
# Closed days have what the store has: nanoseconds, and the end.
_ARCHIVE = """SELECT {project} AS project, * EXCLUDE ("end") REPLACE (make_timestamp(start // 1000) AS start), ("end" - start) / 1e9 AS seconds
FROM read_parquet({files}, union_by_name = true)"""
_VIEWS = """
CREATE VIEW spans AS {spans};
CREATE VIEW traces AS
WITH reporting AS (SELECT * FROM spans WHERE input_tokens IS NOT NULL OR output_tokens IS NOT NULL OR cost IS NOT NULL),
counted AS (
  SELECT * FROM reporting r
  WHERE NOT EXISTS (SELECT 1 FROM reporting b WHERE b.trace_id = r.trace_id AND b.parent_id = r.span_id)
),
sums AS (
  SELECT trace_id, sum(input_tokens)::BIGINT AS input_tokens, sum(output_tokens)::BIGINT AS output_tokens,
    sum(cost) AS cost
  FROM counted GROUP BY trace_id
),
firsts AS (
  SELECT s.*, count(*) OVER (PARTITION BY s.trace_id) AS spans,
    row_number() OVER (PARTITION BY s.trace_id ORDER BY (p.span_id IS NOT NULL), s.start) AS place
  FROM spans s LEFT JOIN spans p ON p.trace_id = s.trace_id AND p.span_id = s.parent_id
)
SELECT f.project, f.trace_id, f.name, f.kind, f.start, f.seconds, f.status, f.error, f.session, f.user, f.input, f.output,
  f.spans, t.input_tokens, t.output_tokens, t.cost
FROM firsts f LEFT JOIN sums t USING (trace_id) WHERE f.place = 1;
"""


@click.command()
@click.argument("query")
@click.option(
    "--from", "file", metavar="FILE.parquet", type=click.Path(dir_okay=False, path_type=Path),
    help="A snapshot that afere export wrote (default: one is made for this question).",
)  # fmt: skip
@click.option("--filter", "words", default="", metavar="FILTER", help="Which traces the snapshot holds (default: all).")
@click.option(
    "--archive",
    is_flag=True,
    help="Ask the closed days of the project (keep: archive), which lists do not have any more.",
)
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1, 1_000_000), help="Rows at most.")
@click.option(
    "--timeout", default=60.0, show_default=True, type=click.FloatRange(0, min_open=True), metavar="SECONDS",
    help="How long the question may take, once the snapshot is there.",
)  # fmt: skip
@placed
def sql(place: Place, query: str, file: Path | None, words: str, *, archive: bool, limit: int, timeout: float) -> None:
    """Ask a snapshot of the spans in SQL. Tables: spans, and traces; `attributes ->> '$."tenant"'` looks into JSON.

    \b
      afere sql "SELECT model, count(*), sum(cost) FROM spans WHERE kind = 'llm' GROUP BY model"
      afere sql "SELECT * FROM traces ORDER BY cost DESC LIMIT 5" --filter since:7d --json
      afere sql --archive "SELECT trace_id, output FROM spans WHERE output ILIKE '%refund%'"
      afere export since:30d --to month.parquet; afere sql "DESCRIBE spans" --from month.parquet

    Needs: pip install 'afere[sql,parquet]'. The file is read and never written, and nothing else can be read.
    """
    engine = _engine()
    if file is not None and words:
        raise BadInput(
            "--filter chooses what a snapshot is made of, and --from names one that is made: give one of them."
        )
    if archive and (file is not None or words):
        raise BadInput("--archive asks all closed days: without --from, and with WHERE instead of --filter.")
    with _closed(place) if archive else _snapshot(place, file, words) as asked, _opened(engine, *asked) as connection:
        names, rows = _asked(engine, connection, query, limit, timeout)
    items: list[Json] = [dict(zip(names, map(_plain, row), strict=True)) for row in rows[:limit]]
    place.show(
        {"items": items, "next": None, "more": len(rows) > limit}, lambda console: _draw(console, names, rows, limit)
    )


@contextmanager
def _closed(place: Place) -> Generator[tuple[list[Path], str]]:
    """The files of the closed days, and their spans as SQL."""
    with place.session() as session:
        days, folder = session.spans.archived(), session.folder / "archive" / session.project
        if session.url is not None:
            raise Refused(f"Closed days are asked on the machine of the server {session.url}, where its folder is.")
        if not days:
            raise NotFound(
                f"No day of project {session.project!r} was closed yet: keep: {{archive: 14d}} in afere.yaml closes them."
            )
        yield (
            [(folder / f"{day}.parquet").resolve() for day in days],
            _ARCHIVE.replace("{project}", _quoted(session.project)),
        )


@contextmanager
def _snapshot(place: Place, file: Path | None, words: str) -> Generator[tuple[list[Path], str]]:
    if file is not None:
        if not file.is_file():
            raise NotFound(f"There is no file {file}. Make it with: afere export [FILTER] --to {file}")
        yield [file.resolve()], _SNAPSHOT
        return
    from afere.cli.export import export

    with tempfile.TemporaryDirectory(prefix="afere-sql-") as folder:
        snapshot = Path(folder) / "spans.parquet"
        with place.session() as session:
            export(session, words, snapshot)
        yield [snapshot], _SNAPSHOT


def _engine() -> Any:
    try:
        import duckdb  # pyright: ignore[reportMissingImports]  of an extra
    except ImportError:
        raise MissingExtra("sql", "afere sql") from None
    return cast("Any", duckdb)


@contextmanager
def _opened(engine: Any, files: Sequence[Path], spans: str) -> Generator[Any]:
    """The engine, in memory, with a snapshot or closed days as its only files; `spans` is how to read them."""
    connection = engine.connect(":memory:")
    names = f"[{', '.join(_quoted(str(file)) for file in files)}]"
    try:
        # Before the door is shut: what looks into JSON may have to be loaded from what is installed, never from the network.
        connection.execute("SET autoinstall_known_extensions = false; SET autoload_known_extensions = false")
        connection.execute("SET temp_directory = ''; SET memory_limit = '2GB'; SET threads = 2")
        connection.execute(f"SET allowed_paths = {names}")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        try:
            connection.execute(_VIEWS.replace("{spans}", spans.replace("{files}", names)))
        except engine.Error as problem:
            raise BadInput(
                f"{files[0].name} is no snapshot of spans: {_first(problem)}. Make one with: afere export --to FILE.parquet"
            ) from None
        yield connection
    finally:
        connection.close()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _asked(
    engine: Any, connection: Any, query: str, limit: int, timeout: float
) -> tuple[list[str], list[tuple[Any, ...]]]:
    alarm = threading.Timer(min(timeout, threading.TIMEOUT_MAX), connection.interrupt)
    alarm.daemon = True
    alarm.start()
    try:
        statements = connection.extract_statements(query)
        kinds = [str(getattr(one.type, "name", one.type)).removeprefix("StatementType.") for one in statements]
        if len(kinds) != 1 or kinds[0] != "SELECT":  # EXPLAIN ANALYZE runs what it explains
            said = " and ".join(kinds) or "nothing"
            raise BadInput(f"One question, please, such as: SELECT name FROM spans; this is {said}.")  # noqa: S608  no query
        result = connection.execute(statements[0])
        names = _unlike([str(column[0]) for column in result.description])
        return names, result.fetchmany(limit + 1)
    except engine.InterruptException:
        raise BadInput(
            f"The question took more than {timeout:g} s and was stopped. Ask for less (a join without a condition? a LIMIT?), "
            f"of a smaller snapshot (--filter since:7d), or give it longer: --timeout {max(timeout, 1) * 10:g}"
        ) from None
    except engine.Error as problem:
        raise BadInput(_why(engine, connection, problem)) from None
    finally:
        alarm.cancel()
        alarm.join()  # so that it never stops what comes after


def _why(engine: Any, connection: Any, problem: Any) -> str:
    """What the engine says, and what there is to ask."""
    said = " ".join(str(problem).split())
    if isinstance(problem, engine.PermissionException) or "disabled by configuration" in said:
        return f"{said[:300]}. The snapshot is all that a question can read, and it cannot be changed."
    columns = ", ".join(row[0] for row in connection.execute("DESCRIBE spans").fetchall())
    return f"{said[:600]} Tables: {_TABLES}. Columns of spans: {columns}."


def _first(problem: Any) -> str:
    return str(problem).splitlines()[0][:300].rstrip(".")


def _unlike(names: list[str]) -> list[str]:
    """Names of columns, each once."""
    seen: dict[str, int] = {}
    made: list[str] = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        made.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return made


def _plain(value: Any) -> Json:
    match value:
        case float() if value - value != 0:  # NaN, or endless
            return None
        case None | bool() | int() | str() | float():
            return value
        case Decimal():
            return int(value) if value == int(value) else float(value)
        case list() | tuple():
            return [_plain(one) for one in cast("list[Any]", value)]
        case dict():
            return {str(name): _plain(one) for name, one in cast("dict[Any, Any]", value).items()}
        case _:  # a time has no zone in the file: it is UTC
            return f"{value.isoformat()}Z" if isinstance(value, datetime) and value.tzinfo is None else str(value)


def _draw(console: Console, names: list[str], rows: list[tuple[Any, ...]], limit: int) -> None:
    from rich.table import Table
    from rich.text import Text

    cells = [[_shown(value) for value in row] for row in rows[:limit]]
    widths = (
        [max(len(name), *(min(len(row[at]), 40) for row in cells)) + 2 for at, name in enumerate(names)]
        if cells
        else []
    )
    if sum(widths) > console.width:  # too wide to be read as a table
        for number, row in enumerate(cells, 1):
            console.print(f"-- row {number}", style="dim", markup=False)
            for name, cell in zip(names, row, strict=True):
                console.print(f"{name}: {cell}", markup=False)
        cells, names = [], []
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in names:
        table.add_column(Text(name))
    for row in cells:
        table.add_row(*map(Text, row))
    if names:
        console.print(table)
    if not rows:
        console.print("No rows.")
    if len(rows) > limit:
        console.print(f"More than {limit:,} rows: narrow the question, or give --limit.")


def _shown(value: Any) -> str:
    plain = _plain(value)
    text = "" if plain is None else plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
    return " ".join(text[:_SHOWN].split()) + ("…" if len(text) > _SHOWN else "")
