"""When something is wrong: one sentence, as a page for people and as `application/problem+json` for programs (RFC 9457)."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from starlette.responses import HTMLResponse, JSONResponse, Response

from afere.base.errors import AfereError, BadInput, NotFound, Overtaken, Refused, WorldFailed
from afere.server.render import render


@dataclass(frozen=True, slots=True)
class Problem:
    """What happened, in words that say what to do next."""

    status: int
    title: str
    detail: str


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"


def problem(status: int, detail: str, accept: str, *, theme: str = "") -> Response:
    """The answer that tells `detail`: a page if the one who asks reads HTML, else JSON."""
    title = HTTPStatus(status).phrase
    if "text/html" in accept:
        page = Problem(status, title, detail)
        return HTMLResponse(render("problem.html", page=page, theme=theme), status)
    return ProblemResponse({"type": "about:blank", "title": title, "status": status, "detail": detail}, status)


def status_of(error: AfereError) -> int:
    """The HTTP status that fits an error raised on purpose."""
    match error:
        case NotFound():
            return 404
        case Refused():
            return 403
        case Overtaken():
            return 409
        case BadInput():
            return 400
        case WorldFailed():
            return 503
        case _:
            return 500
