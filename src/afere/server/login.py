"""How people come in and leave: `/login`, `/logout`, and the invitation with which they choose a password."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from afere.base.errors import AfereError, BadInput
from afere.server.auth import COOKIE, Failures, TooOften, login_of
from afere.server.changes import read_form, safe_path, theme_of
from afere.server.problem import problem, status_of
from afere.server.render import render
from afere.store.actors import LOGIN_SECONDS, SHORTEST, password_fits

if TYPE_CHECKING:
    from afere.store import Session


@dataclass(frozen=True, slots=True)
class Form:
    """What the page asks for: a name and password, or (invited) a new password. `wrong` is what was wrong before."""

    title: str
    action: str
    back: str = "/"
    name: str = ""
    invited: bool = False
    wrong: str = ""
    shortest: int = SHORTEST


def routes(session: Session) -> list[Route]:
    """The addresses of this page's things."""
    failures = Failures()
    return [
        Route("/login", _show, methods=["GET"]),
        Route("/login", partial(_enter, session, failures), methods=["POST"]),
        Route("/logout", partial(_leave, session), methods=["POST"]),
        Route("/invitation/{invitation}", partial(_invited, session), methods=["GET"]),
        Route("/invitation/{invitation}", partial(_choose, session), methods=["POST"]),
    ]


def _drawn(request: Request, form: Form, status: int = 200) -> Response:
    return HTMLResponse(render("login.html", page=form, theme=theme_of(request)), status)


async def _show(request: Request) -> Response:
    return _drawn(request, Form("Log in", "/login", safe_path(request.query_params.get("back", "/"))))


async def _enter(session: Session, failures: Failures, request: Request) -> Response:
    try:
        given = await read_form(request)
    except BadInput as error:
        return problem(400, str(error), request.headers.get("accept", ""))
    name, back = given.get("name", "").strip().lower()[:64], safe_path(given.get("back", "/"))
    address = request.client.host if request.client else ""
    asked = Form("Log in", "/login", back, name)
    try:
        failures.check(name, address)
    except TooOften as error:
        refused = _drawn(request, _wrong(asked, str(error)), 429)
        refused.headers["retry-after"] = str(error.wait)
        return refused
    hashed = session.actors.password_of(name)
    if not await run_in_threadpool(password_fits, given.get("password", ""), hashed):
        failures.note(name, address)
        return _drawn(request, _wrong(asked, "This name and password do not belong together."), 401)
    failures.forget(name, address)
    return await _let_in(session, request, name, back)


def _wrong(form: Form, why: str) -> Form:
    return Form(form.title, form.action, form.back, form.name, form.invited, why)


async def _let_in(session: Session, request: Request, name: str, back: str) -> Response:
    try:
        token = await run_in_threadpool(session.actors.log_in, name)
    except AfereError as error:
        return problem(status_of(error), str(error), request.headers.get("accept", ""))
    answer = RedirectResponse(back, 303)
    answer.set_cookie(
        COOKIE, token, max_age=int(LOGIN_SECONDS), path="/", httponly=True, samesite="lax",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return answer


async def _leave(session: Session, request: Request) -> Response:
    token = login_of(request.headers)
    if token:
        await run_in_threadpool(session.actors.log_out, token)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    return answer


_GONE = "This invitation was used already, or is older than three days. Ask for a new one: afere user password NAME"


async def _invited(session: Session, request: Request) -> Response:
    name = session.actors.invited(request.path_params["invitation"])
    if name is None:
        return problem(404, _GONE, request.headers.get("accept", ""))
    return _drawn(request, Form("Choose a password", request.url.path, name=name, invited=True))


async def _choose(session: Session, request: Request) -> Response:
    invitation, accept = request.path_params["invitation"], request.headers.get("accept", "")
    try:
        given = await read_form(request)
        name = await run_in_threadpool(session.actors.accept, invitation, given.get("password", ""))
    except BadInput as error:
        known = session.actors.invited(invitation)
        return _drawn(
            request, Form("Choose a password", request.url.path, name=known or "", invited=True, wrong=str(error)), 400
        )
    except AfereError as error:
        return problem(status_of(error), str(error), accept)
    if name is None:
        return problem(404, _GONE, accept)
    return await _let_in(session, request, name, "/")
