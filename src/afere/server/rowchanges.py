"""`POST /datasets/{name}/rows`: rows are added, changed, removed and uploaded; each change is a new version, and says why."""

from __future__ import annotations

import json
import logging
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from afere.base.artifact import check_name
from afere.base.canonical import Json
from afere.base.errors import AfereError, BadData, BadInput, Overtaken
from afere.data import Dataset
from afere.data.editing import Edit, edit, fits
from afere.data.reading import Placed, parse_json, read_file
from afere.data.rows import RowProblem
from afere.evals.harvest import Harvest, harvest
from afere.server.auth import actor_in, login_of
from afere.server.changes import read_form, theme_of
from afere.server.pages import rows
from afere.server.pages.asked import Asked
from afere.server.pages.frame import Sessions, frame
from afere.server.problem import problem, status_of
from afere.server.render import part, render
from afere.server.safety import MAX_UPLOAD
from afere.store import Session

_log = logging.getLogger("afere.server")
_MAX_FIELDS = 2000
_FILENAME = re.compile(rb'filename="((?:[^"\\]|\\.)*)"')
_NAME = re.compile(rb'[; ]name="([^"]*)"')


@dataclass
class _Form:
    """What was sent: fields (the last of each name), the ids to remove, and a file."""

    fields: dict[str, str] = field(default_factory=dict[str, str])
    ids: list[str] = field(default_factory=list[str])
    file: tuple[str, bytes] | None = None


class _Wrong(Exception):
    """A field of the form is wrong: what to say at which control."""

    def __init__(self, wrong: Mapping[str, str]) -> None:
        super().__init__("; ".join(wrong.values()))
        self.wrong = wrong


async def change_rows(sessions: Sessions, request: Request) -> Response:
    """A form goes back to the dataset, or is shown again with what is wrong; JSON gets the new version."""
    kind = request.headers.get("content-type", "")
    try:
        body = await _body(request)
    except BadInput as error:
        return problem(413, str(error), request.headers.get("accept", ""))
    name = str(request.path_params["name"])

    def made() -> Response:
        if kind.partition(";")[0].strip() == "application/json":
            session = sessions.of(request.path_params.get("project"), actor_in(request))
            return _answer(edit(session, name, _told(body)))
        form = _read(kind, body)
        session = sessions.of(request.path_params.get("project"), actor_in(request))
        try:
            data = edit(session, name, _asked(session, name, form))
        except (_Wrong, BadData, BadInput, Overtaken) as error:
            return _again(request, session, name, form, error)
        anchor = form.fields.get("id", "")
        where = f"/{session.project}/datasets/{part(name)}/{data.artifact.version}"
        return RedirectResponse(where + (f"#{part(anchor)}" if anchor else ""), 303)

    try:
        return await run_in_threadpool(made)
    except AfereError as error:
        return problem(status_of(error), str(error), request.headers.get("accept", ""))
    except Exception:
        _log.exception("a change of rows failed")
        return problem(500, "The change failed inside afere and was not made; the log of the server says more.", "")


async def add_trace(sessions: Sessions, request: Request) -> Response:
    """`POST /traces/{trace}/rows` with name and why, and right, tags and split: the trace becomes a row of a dataset."""
    accept = request.headers.get("accept", "")
    try:
        given = await read_form(request)

        def made() -> str:
            session = sessions.of(request.path_params.get("project"), actor_in(request))
            name = check_name(given.get("name", "").strip(), "dataset")
            tags = [one.strip() for one in given.get("tags", "").split(",") if one.strip()]
            trace = str(request.path_params["trace"])
            what = Harvest([trace], None, tags, given.get("split", "").strip() or None, bool(given.get("right")))
            done = harvest(session, name, what, why=given.get("why", ""))
            if done.data is None:
                raise BadInput(f"The trace is no new row of dataset:{name}: {', '.join(done.left_out)}.")
            return f"/{session.project}/datasets/{part(name)}/{done.data.artifact.version}?q={part(done.data.rows[-1].id)}#rows"

        return RedirectResponse(await run_in_threadpool(made), 303)
    except AfereError as error:
        return problem(status_of(error), str(error), accept, theme=theme_of(request))


def _answer(data: Dataset) -> Response:
    return JSONResponse({"ref": data.ref, "hash": data.hash, "count": len(data)}, 201)


def _told(body: bytes) -> Edit:
    """`{"base": 3, "why": "...", "rows": [...], "remove": ["e-1"]}`"""
    try:
        said: Any = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict) or not {"base", "why"} <= said.keys():
        raise BadInput(
            'The body is a JSON object such as {"base": 3, "why": "...", "rows": [{"input": {...}}], "remove": []}.'
        )
    given = cast("dict[str, Any]", said)
    if not all(isinstance(given.get(key, []), list) for key in ("rows", "remove")) or not isinstance(
        given["base"], int
    ):
        raise BadInput("rows and remove are lists, base is the number of the version that was looked at.")
    placed: list[Placed] = [(f"row {i}", one) for i, one in enumerate(cast("list[Any]", given.get("rows", [])), 1)]
    return Edit(
        given["base"], str(given["why"]), placed, [str(one) for one in cast("list[Any]", given.get("remove", []))],
        whole=bool(given.get("whole")), any_shape=bool(given.get("any_shape")),
    )  # fmt: skip


def _asked(session: Session, name: str, form: _Form) -> Edit:
    """What a form asks for."""
    given = form.fields
    base, why, free = rows.version_in(given.get("base", "")), given.get("why", ""), bool(given.get("any_shape"))
    match given.get("do"):
        case "delete":
            if not form.ids:
                raise BadInput("Mark the rows to remove first.")
            return Edit(base, why, remove=form.ids)
        case "lines":
            return Edit(base, why, _lines(given.get("lines", "")), any_shape=free)
        case "file":
            return Edit(base, why, _uploaded(form), whole=bool(given.get("whole")), any_shape=free, shape=None)
        case _:
            return Edit(base, why, [("this row", _one(session, name, base, given, free))], any_shape=free)


def _one(session: Session, name: str, base: int, given: Mapping[str, str], free: bool) -> dict[str, Json]:
    """The row that a form holds, checked field by field."""
    row, wrong = rows.row_of(given)
    if given.get("id"):
        row["id"] = given["id"]
    if not wrong:
        schema = None if free or not base else Dataset(session.get(f"dataset:{name}@{base}"), session).schema
        try:
            fits(row, schema)
        except RowProblem as error:
            place = rows.place_of(str(error), given)
            if place is None:
                raise BadData(str(error)) from None
            wrong = {place: str(error)}
    if wrong:
        raise _Wrong(wrong)
    return row


def _lines(text: str) -> list[Placed]:
    found: list[Placed] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                found.append((f"line {number}", parse_json(line)))
            except RowProblem as error:
                found.append((f"line {number}", error))
    return found


def _uploaded(form: _Form) -> list[Placed]:
    if form.file is None or not form.file[0]:
        raise BadData("Choose a file first: .jsonl, .json, .csv, .tsv or .parquet.")
    name, data = form.file
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"rows{Path(name).suffix.lower()[:10]}"
        file.write_bytes(data)
        return list(read_file(file, Path(name).name[:100]))


def _again(request: Request, session: Session, name: str, form: _Form, error: Exception) -> Response:
    """The page once more, with all that was written and what is wrong; nothing was kept."""
    status = 409 if isinstance(error, Overtaken) else 422
    accept, given = request.headers.get("accept", ""), form.fields
    if "text/html" not in accept or given.get("do") == "delete":
        return problem(status, str(error), accept, theme=theme_of(request))
    path = {"name": name, "version": given.get("base", ""), "id": given.get("id", "")}
    shown = rows.page(session, Asked(path)) if given.get("id") else rows.new_page(session, Asked(path))
    wrong: Mapping[str, str] = error.wrong if isinstance(error, _Wrong) else dict[str, str]()
    says = f"{len(wrong)} field{'s' if len(wrong) > 1 else ''} cannot be kept as written." if wrong else str(error)
    value = rows.with_problems(shown, given, wrong, says, status)
    around = frame(
        session,
        here="datasets",
        theme=theme_of(request),
        path=request.url.path,
        logged_in=bool(login_of(request.headers)),
    )
    return HTMLResponse(render("row.html", page=value, frame=around, base=around.base), status)


async def _body(request: Request) -> bytes:
    """All of it, refused as soon as it is too long: a length need not be announced."""
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > MAX_UPLOAD:
            raise BadInput(
                f"An upload may have at most {MAX_UPLOAD >> 20} MB. Larger files go in where they are: afere.dataset('FILE'), "
                "or AFERE_STORE with a key from elsewhere."
            )
        pieces.append(piece)
    return b"".join(pieces)


def _read(kind: str, body: bytes) -> _Form:
    """A form, URL-encoded or multipart. BadInput for anything else."""
    if kind.startswith("application/x-www-form-urlencoded"):
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
        except ValueError:
            raise BadInput(f"The body is not a form of at most {_MAX_FIELDS:,} fields.") from None
        return _Form(dict(pairs), [value for name, value in pairs if name == "row"])
    boundary = re.search(r'boundary="?([^";]{1,70})"?', kind)
    if not kind.startswith("multipart/form-data") or boundary is None:
        raise BadInput(f"Content-Type {kind or 'nothing'!r}: send a form, a file in a form, or application/json.")
    return _multipart(body, b"--" + boundary[1].encode())


def _multipart(body: bytes, mark: bytes) -> _Form:
    """RFC 7578: parts between boundaries, each with its head."""
    form = _Form()
    for piece in (b"\r\n" + body).split(b"\r\n" + mark)[1:_MAX_FIELDS]:
        head, blank, data = piece.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if not blank or name is None:
            continue
        if file := _FILENAME.search(head):
            form.file = (file[1].decode("utf-8", "replace"), data)
        else:
            form.fields[name[1].decode("utf-8", "replace")] = data.decode("utf-8", "replace")
    return form
