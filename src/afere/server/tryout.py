"""`POST /prompts/{name}/{version}/try`: models answer side by side what a version of a prompt asks, or are priced only."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from afere.base.artifact import Artifact
from afere.base.canonical import Json
from afere.base.errors import AfereError, BadInput, Refused, WorldFailed
from afere.evals.trying import Plan, begin, cap_of, plan
from afere.server.auth import actor_in, login_of
from afere.server.changes import read_object, read_pairs, theme_of
from afere.server.pages import prompts
from afere.server.pages.asked import Asked, as_json
from afere.server.pages.frame import Sessions, frame
from afere.server.pages.trying import Wanted, read_inputs, rows_of, trying
from afere.server.problem import problem, status_of
from afere.server.render import part, render
from afere.server.written import JsonResponse
from afere.store import Session
from afere.tracing import flush

_log = logging.getLogger("afere.server")
_FORM = "application/x-www-form-urlencoded"
_EXAMPLE = '{"models": ["fast"], "inputs": {"question": "..."}, "cap": 0.5}'
_MOST_FIELDS = 200
_INPUT = "in."  # before the name of an input, among the fields of a form
_seats = threading.BoundedSemaphore(4)  # tries of this process at a time


async def try_prompt(sessions: Sessions, request: Request) -> Response:
    """A form gets the page with the answers, a program their value. An error of one model stands in its column."""
    accept, theme = request.headers.get("accept", ""), theme_of(request)
    try:
        given = await _given(request)
        session, artifact = await run_in_threadpool(_found, sessions, request)
        try:
            wanted, told, planned = await _tried(session, artifact, given)
        except Refused:
            raise
        except AfereError as error:  # told on the form, with all that was written
            if "text/html" not in accept:
                raise
            wanted, told, planned = _kept(given), str(error), None
        return await run_in_threadpool(_answer, request, session, artifact, (wanted, told, planned))
    except AfereError as error:
        return problem(status_of(error), str(error), accept, theme=theme)
    except Exception:
        _log.exception("a try failed")
        return problem(500, "The try failed inside afere; the log of the server says more.", accept, theme=theme)


def _found(sessions: Sessions, request: Request) -> tuple[Session, Artifact]:
    session = sessions.of(request.path_params.get("project"), actor_in(request))
    session.require("write")
    return session, session.get(f"prompt:{request.path_params['name']}@{request.path_params['version']}")


async def _tried(
    session: Session, artifact: Artifact, given: Sequence[tuple[str, str]] | Mapping[str, Json]
) -> tuple[Wanted, str, Plan]:
    """What was wanted, what is wrong with it (the cap), and the plan with its answers."""

    def ready() -> tuple[Wanted, float, Plan]:
        wanted = _of_program(given) if isinstance(given, Mapping) else _of_form(artifact, given)
        return wanted, cap_of(wanted.cap), plan(session, artifact, wanted.models, rows_of(session, artifact, wanted))

    wanted, cap, planned = await run_in_threadpool(ready)
    try:
        planned.check(cap)
    except BadInput as error:
        if isinstance(given, Mapping) and wanted.run:
            raise
        return wanted, str(error), planned
    if not wanted.run:
        return wanted, "", planned
    if not _seats.acquire(blocking=False):
        raise WorldFailed("Four tries are running on this server already. Try again in a minute.")
    try:
        planned = await asyncio.wrap_future(await run_in_threadpool(begin, planned, cap))
        await run_in_threadpool(flush)  # so that the traces are there when their links are followed
    finally:
        _seats.release()
    return wanted, "", planned


def _answer(request: Request, session: Session, artifact: Artifact, came: tuple[Wanted, str, Plan | None]) -> Response:
    wanted, told, planned = came
    value = trying(session, artifact, wanted, told, planned)
    if "text/html" not in request.headers.get("accept", ""):
        return JsonResponse(as_json(value))
    asked = Asked({"name": artifact.name, "version": str(artifact.version)}, {"show": "text"})
    page = replace(prompts.page(session, asked), shown="try", trying=value)
    around = frame(
        session, here="prompts", theme=theme_of(request),
        path=f"/{session.project}/prompts/{part(artifact.name)}/{artifact.version}?show=try",
        logged_in=bool(login_of(request.headers)),
    )  # fmt: skip
    return HTMLResponse(render("prompt.html", page=page, frame=around, base=around.base), 422 if told else 200)


async def _given(request: Request) -> list[tuple[str, str]] | dict[str, Json]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind == _FORM:
        return await read_pairs(request, _MOST_FIELDS)
    if kind == "application/json":
        return await read_object(request, _EXAMPLE)
    raise BadInput(f"Content-Type {kind or 'nothing'!r}: send application/json or a form.")


def _kept(given: Sequence[tuple[str, str]] | Mapping[str, Json]) -> Wanted:
    """What a form held, as it was written; numbers that do not read are the usual ones."""
    if isinstance(given, Mapping):
        return Wanted()
    said = dict(given)
    first, texts = said.get("first", ""), _texts(given)
    return Wanted(
        tuple(value for name, value in given if name == "model"), cast("Mapping[str, Json]", texts),
        said.get("dataset", ""), _ids(said.get("ids", "")),
        int(first) if first.isascii() and first.isdigit() and len(first) < 4 else Wanted().first, said.get("cap"),
        said.get("do") == "run",
    )  # fmt: skip


def _of_form(artifact: Artifact, given: Sequence[tuple[str, str]]) -> Wanted:
    kept = _kept(given)
    return kept if kept.dataset else replace(kept, inputs=read_inputs(artifact, _texts(given)))


def _texts(given: Sequence[tuple[str, str]]) -> dict[str, str]:
    return {name.removeprefix(_INPUT): value.replace("\r\n", "\n") for name, value in given if name.startswith(_INPUT)}


def _ids(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


def _of_program(given: Mapping[str, Json]) -> Wanted:
    """BadInput names the field that is not as it must be."""
    known = ("models", "inputs", "dataset", "ids", "first", "cap", "run")
    if strange := [name for name in given if name not in known]:
        raise BadInput(f"There is no field {strange[0]!r}. Fields: {', '.join(known)}.")
    models, ids, inputs, first = given.get("models"), given.get("ids", []), given.get("inputs", {}), given.get("first")
    for name, value in (("models", models), ("ids", ids)):
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise BadInput(f"{name}: a list of texts, such as {_EXAMPLE}.")
    if not isinstance(inputs, dict) or not isinstance(given.get("dataset", ""), str):
        raise BadInput(f"inputs is an object and dataset a name, such as {_EXAMPLE}.")
    if first is not None and (isinstance(first, bool) or not isinstance(first, int)):
        raise BadInput("first: how many rows, a whole number.")
    return Wanted(
        tuple(cast("list[str]", models)), inputs, cast("str", given.get("dataset", "")), tuple(cast("list[str]", ids)),
        Wanted().first if first is None else first, given.get("cap"), given.get("run", True) is True,
    )  # fmt: skip
