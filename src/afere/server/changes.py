"""What can be changed here: a person's score, where an alias points, and a saved view. Each says why, each can be undone."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from afere.base.artifact import check_alias
from afere.base.canonical import Json
from afere.base.errors import AfereError, BadInput, NotFound
from afere.base.score import Score
from afere.server.auth import actor_in
from afere.server.pages import debt, views
from afere.server.pages.frame import Sessions
from afere.server.pages.labels import keep
from afere.server.problem import problem, status_of
from afere.server.safety import MAX_BODY
from afere.store import Session
from afere.store.scores import check_approval, target_of

_log = logging.getLogger("afere.server")
_MAX_TEXT = 10_000


THEMES = ("light", "dark")


def theme_of(request: Request) -> str:
    """light, dark, or nothing for what the system says."""
    chosen = request.cookies.get("afere-theme", "")
    return chosen if chosen in THEMES else ""


async def set_theme(request: Request) -> Response:
    """`POST /settings`: the theme, for browsers without script; with script the same cookie is written there."""
    form = await read_form(request)
    answer = RedirectResponse(safe_path(form.get("back", "/")), 303)
    if form.get("theme") in THEMES:
        answer.set_cookie("afere-theme", form["theme"], max_age=31536000, samesite="strict", path="/")
    else:
        answer.delete_cookie("afere-theme", path="/", samesite="strict")
    return answer


async def add_score(sessions: Sessions, request: Request) -> Response:
    """`POST /scores`: a score by a person. JSON gives back the score, a form goes back to its page."""

    def change(given: Mapping[str, Json]) -> Json:
        session = sessions.of(request.path_params.get("project"), actor_in(request))
        by = _text(given, "by") or session.actor
        if by and ":" not in by:  # a form asks for a name
            by = f"person:{by.strip()}"
        if by.partition(":")[0] not in ("person", "user"):
            raise BadInput(f"by={by!r}: a score kept here is by a person: person:NAME, or user:NAME for an end user.")
        # A form names the judgement by a word; a program may give any value.
        value = {"yes": True, "no": False}.get(str(given.get("value")), given.get("value"))
        if isinstance(value, list | dict):
            raise BadInput("value: a number, text, true, false or null.")
        score = Score(
            _target(session, _needed(given, "target")), _needed(given, "name"), value, by, _text(given, "why")
        )
        check_approval(session, score)
        session.append(score)
        return score.to_json()

    return await _changed(request, change)


async def add_label(sessions: Sessions, request: Request) -> Response:
    """`POST /labels/12` with case and word, and name, why, by and with: what a person says of an output."""

    def change(given: Mapping[str, Json]) -> Json:
        session = sessions.of(request.path_params.get("project"), actor_in(request))
        fields = ("case", "word", "name", "why", "by", "with")
        try:
            return keep(session, request.path_params["number"], {name: _text(given, name) for name in fields}).to_json()
        except NotFound as error:  # the address is right, what was sent to it is not
            raise BadInput(str(error)) from None

    return await _changed(request, change)


def _target(session: Session, text: str) -> str:
    try:
        return target_of(session, text)
    except NotFound as error:  # the address is right, what was sent to it is not
        raise BadInput(str(error)) from None


async def move_alias(sessions: Sessions, request: Request) -> Response:
    """`POST /aliases` with name (`prompt:answer`), alias (`production`), to (a ref; nothing: take it away), why and decision."""

    def change(given: Mapping[str, Json]) -> Json:
        session = sessions.of(request.path_params.get("project"), actor_in(request))
        why = _text(given, "why").strip()
        if not why:
            raise BadInput("A reason is needed: it is what the next person reads first.")
        name = f"{_needed(given, 'name')}@{check_alias(_needed(given, 'alias'))}"
        decision = _text(given, "decision").strip() or None
        return session.alias(name, _text(given, "to") or None, why=why, decision=decision).to_json()

    return await _changed(request, change)


async def save_view(projects: Sessions, request: Request) -> Response:
    """`POST /views` with name, filter and sort keeps a view of the traces; with `remove` it is taken out of the list."""

    def change(given: Mapping[str, Json]) -> Json:
        session = projects.of(request.path_params.get("project"), actor_in(request))
        name = _needed(given, "name")
        if given.get("remove"):
            views.remove(session, name)
            return {"name": name, "removed": True}
        return views.save(
            session, name, _text(given, "filter"), _text(given, "sort") or "start", _text(given, "why")
        ).to_json()

    return await _changed(request, change)


async def accept_finding(sessions: Sessions, request: Request) -> Response:
    """`POST /debt` with rule, place, why and until (a day): live with a finding; with `withdraw`, no longer."""

    def change(given: Mapping[str, Json]) -> Json:
        session = sessions.of(request.path_params.get("project"), actor_in(request))
        fields = {name: _text(given, name) for name in ("rule", "place", "why", "until")}
        return debt.agree(session, **fields, withdrawn=bool(given.get("withdraw"))).to_json()

    return await _changed(request, change)


async def _changed(request: Request, change: Callable[[Mapping[str, Json]], Json]) -> Response:
    accept = request.headers.get("accept", "")
    try:
        given = await _given(request)
        made = await run_in_threadpool(change, given)
    except AfereError as error:
        return problem(status_of(error), str(error), accept)
    except Exception:
        _log.exception("a change failed")
        return problem(500, "The change failed inside afere and was not made; the log of the server says more.", accept)
    back = given.get("back")
    if isinstance(back, str):
        return RedirectResponse(safe_path(back), 303)
    return JSONResponse(made, 201)


async def _given(request: Request) -> Mapping[str, Json]:
    """The fields of a JSON object or a form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind == "application/x-www-form-urlencoded":
        return await read_form(request)
    if kind == "application/json":
        return await read_object(request, '{"target": ..., "name": ..., "value": ...}')
    raise BadInput(f"Content-Type {kind or 'nothing'!r}: send application/json or a form.")


async def read_object(request: Request, example: str, limit: int = MAX_BODY) -> dict[str, Json]:
    """The JSON object of a body of at most `limit` bytes; BadInput shows an `example` where it is none."""
    try:
        body: Any = json.loads(await _body(request, limit))
    except (ValueError, RecursionError):
        raise BadInput(f"The body is not JSON. Send an object such as {example}.") from None
    if not isinstance(body, dict):
        raise BadInput("The body must be a JSON object.")
    return cast("dict[str, Json]", body)


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a URL-encoded form; where one stands twice, the last."""
    return dict(await read_pairs(request))


async def read_pairs(request: Request, most: int = 50, limit: int = MAX_BODY) -> list[tuple[str, str]]:
    """The fields of a URL-encoded form, at most so many in at most `limit` bytes, in their order."""
    try:
        return parse_qsl((await _body(request, limit)).decode(), keep_blank_values=True, max_num_fields=most)
    except ValueError:
        raise BadInput("The body is not a form.") from None


async def _body(request: Request, limit: int) -> bytes:
    """The body, refused as soon as it is too long: a length need not be announced."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise BadInput(f"A change may have at most {limit:,} bytes.")
    return body


def _text(given: Mapping[str, Json], name: str) -> str:
    value = given.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise BadInput(f"{name}: text of at most {_MAX_TEXT:,} characters.")
    return value


def _needed(given: Mapping[str, Json], name: str) -> str:
    value = _text(given, name).strip()
    if not value:
        raise BadInput(f"{name} is missing.")
    return value


def safe_path(back: str) -> str:
    """A path of this server to go back to; anything that could lead elsewhere is the home page."""
    plain = back.startswith("/") and not back.startswith("//") and "\\" not in back and back.isprintable()
    return back if plain else "/"
