"""`POST /prompts/{name}/versions`: a prompt edited on its page or by a program becomes a version; nobody's work is lost."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from afere.base.canonical import Json
from afere.base.errors import AfereError, BadInput, Overtaken, Refused
from afere.govern.promptediting import keep
from afere.server.auth import actor_in, login_of
from afere.server.changes import read_object, read_pairs, theme_of
from afere.server.pages.editing import EditPage, checked, overtaken, read
from afere.server.pages.frame import Sessions, frame
from afere.server.pages.rows import version_in
from afere.server.problem import problem, status_of
from afere.server.render import part, render
from afere.server.safety import MAX_UPLOAD
from afere.store import Session

_log = logging.getLogger("afere.server")
_EXAMPLE = '{"base": 3, "text": "# system\\n...", "why": "shorter"}'
_FIELDS = ("base", "text", "why")


async def add_version(sessions: Sessions, request: Request) -> Response:
    """A form goes to the new version, or is shown again with what is wrong; a program gets the version and what lint finds."""
    accept, theme = request.headers.get("accept", ""), theme_of(request)
    try:
        if request.headers.get("content-type", "").partition(";")[0].strip() == "application/json":
            told = await read_object(request, _EXAMPLE, MAX_UPLOAD)
            return await run_in_threadpool(_of_program, sessions, request, told)
        form = dict(await read_pairs(request, limit=MAX_UPLOAD))
        return await run_in_threadpool(_of_form, sessions, request, form)
    except AfereError as error:
        return problem(status_of(error), str(error), accept, theme=theme)
    except Exception:
        _log.exception("an edit of a prompt failed")
        return problem(500, "The edit failed inside afere and was not kept; the log of the server says more.", accept)


def _session(sessions: Sessions, request: Request) -> Session:
    session = sessions.of(request.path_params.get("project"), actor_in(request))
    session.require("write")
    return session


def _of_program(sessions: Sessions, request: Request, told: Mapping[str, Json]) -> Response:
    session, name = _session(sessions, request), str(request.path_params["name"])
    if strange := [key for key in told if key not in _FIELDS]:
        raise BadInput(f"There is no field {strange[0]!r}. Fields: {', '.join(_FIELDS)}.")
    base, text, why = told.get("base"), told.get("text"), told.get("why")
    if not isinstance(text, str) or not isinstance(why, str):
        raise BadInput(f"text and why are texts, such as {_EXAMPLE}.")
    if not isinstance(base, int) or isinstance(base, bool) or base < 0:
        raise BadInput("base: the number of the newest version that the text was made of; 0 for a new prompt.")
    draft = read(session, name, base, text)
    made = keep(session, draft, why)
    lint: list[Json] = [one.to_json() for one in draft.problems]
    return JSONResponse({"ref": made.ref, "hash": made.hash, "lint": lint}, 201)


def _of_form(sessions: Sessions, request: Request, form: Mapping[str, str]) -> Response:
    """Saved at once where lint has nothing to say, or has said it of this very text."""
    session = _session(sessions, request)
    name = str(request.path_params["name"])
    name = form.get("name", "").strip() or name if form.get("of") == "0" else name
    base, of = version_in(form.get("base", "")), version_in(form.get("of", ""))
    shown = EditPage(name, base, of, form.get("text", ""), form.get("why", ""))
    try:
        draft = read(session, name, base, shown.text)
        shown = checked(shown, draft)
        told = form.get("checked") == draft.hash or not any(one.severity != "note" for one in draft.problems)
        if form.get("do") != "check" and told:
            made = keep(session, draft, shown.why)
            return RedirectResponse(f"/{session.project}/prompts/{part(made.name)}/{made.version}", 303)
    except Overtaken:
        shown = overtaken(session, shown)
    except Refused:
        raise
    except AfereError as error:  # told on the form, with all that was written
        shown = replace(shown, problem=str(error), status=422)
    return _again(request, session, shown)


def _again(request: Request, session: Session, shown: EditPage) -> Response:
    accept = request.headers.get("accept", "")
    if "text/html" not in accept and shown.problem:
        return problem(shown.status, shown.problem, accept)
    around = frame(
        session,
        here="prompts",
        theme=theme_of(request),
        path=request.url.path,
        logged_in=bool(login_of(request.headers)),
    )
    return HTMLResponse(render("edit.html", page=shown, frame=around, base=around.base), shown.status)
