"""`/api/store/1/...`: the store of this server, for programs elsewhere that have it as theirs (AFERE_STORE=https://host).

Each address is a method of the session, asked with a JSON object of its arguments and answered `{"value": ...}`. What is
asked again because an answer was lost is kept once: artifacts by their content, scores by their ids, and what has
no identity of its own by `request`. Access is checked by the session itself. Spans come by OTLP, as everybody's.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afere.base.artifact import Use
from afere.base.canonical import Json
from afere.base.errors import AfereError, BadInput, NotFound, WorldFailed
from afere.base.score import Score
from afere.server.auth import actor_in
from afere.server.intake import Full
from afere.server.pages.frame import Sessions
from afere.server.problem import ProblemResponse, status_of
from afere.server.written import JsonResponse
from afere.store import Session
from afere.store.jobs import Busy, Owner
from afere.store.page import Page
from afere.store.spans.sql import patient
from afere.store.wire import VERSION, decode, decode_list, encode
from afere.tracing import otlp

_log = logging.getLogger("afere.server")
PATH = f"/api/store/{VERSION}/"
MOST = 64 * 2**20  # bytes of a body, packed and unpacked
HELD = 256 * 2**20  # bytes of all bodies in work
LONGEST = 60.0  # seconds of one question to the spans
_SILENCE = 15.0  # seconds without a byte

_Arguments = Mapping[str, Any]


def _put(session: Session, given: _Arguments) -> object:
    rest: dict[str, Any] = {**given, "uses": decode_list(Use, given.get("uses") or [])}
    return session.put_once(rest.pop("request", None), **rest)


def _claim(session: Session, given: _Arguments) -> object:
    instead = None if given.get("instead") is None else decode(Owner, given["instead"])
    return session.claim(
        given["kind"], given["key"], total=given.get("total"), owner=decode(Owner, given["owner"]), instead=instead
    )


def _find(session: Session, given: _Arguments) -> object:
    where = cast("dict[str, Any]", given.get("where") or {})
    find: Callable[..., Page[Any]] = session.find  # its overloads are by literal names
    return find(given["what"], limit=given.get("limit", 50), cursor=given.get("cursor"), **where)


def _said(session: Session, given: _Arguments) -> object:
    return [[*ids, events] for ids, events in session.spans.said(given["trace_ids"]).items()]


METHODS: Mapping[str, Callable[[Session, _Arguments], object]] = {
    "put": _put,
    "get": lambda session, given: session.get(**given),
    "up": lambda session, given: session.up(**given),
    "down": lambda session, given: session.down(**given),
    "reach": lambda session, given: session.reach(*given["refs"], up=given["up"], most=given.get("most", 200)),
    "alias": lambda session, given: session.alias(**given),
    "rollback": lambda session, given: session.rollback_once(
        given.get("request"), given["name"], why=given.get("why", "")
    ),
    "append": lambda session, given: session.append(*decode_list(Score, given["scores"])),
    "claim": _claim,
    "job.items": lambda session, given: session.job_of(given["id"]).items(),
    "job.put": lambda session, given: session.job_of(given["id"]).put(given["items"]),
    "job.end": lambda session, given: session.job_of(given["id"]).end(given["status"]).ended,
    "find": _find,
    "scores_of": lambda session, given: session.scores_of(**given),
    "follow": lambda session, given: session.follow(**given),
    "verify": lambda session, given: session.verify(**given),
    "head": lambda session, _: session.head(),
    "spans.say": lambda session, given: session.spans.say(
        (trace, span, event) for trace, span, event in given["events"]
    ),
    "spans.said": _said,
    "spans.trace": lambda session, given: session.spans.trace(**given),
    "spans.span": lambda session, given: session.spans.span(**given),
    "spans.find": lambda session, given: session.spans.find(**given),
    "spans.stats": lambda session, given: session.spans.stats(**given),
    "spans.facets": lambda session, given: session.spans.facets(**given),
    "spans.among": lambda session, given: session.spans.among(**given),
    "spans.totals": lambda session, given: session.spans.totals(**given),
    "spans.lost": lambda session, given: session.spans.lost(**given),
    "spans.losses": lambda session, _: session.spans.losses(),
    "spans.scan": lambda session, given: list(session.spans.scan(**given)),
    "spans.place": lambda session, _: session.spans.place(),
    "spans.newer": lambda session, given: session.spans.newer(**given),
    "spans.glances": lambda session, given: session.spans.glances(**given),
    "spans.at": lambda session, given: session.spans.at(**given),
    "spans.archived": lambda session, given: session.spans.archived(**given),
    "spans.ran": lambda session, given: session.spans.ran(**given),
    "spans.requests": lambda session, given: session.spans.requests(**given),
    "spans.traces_of": lambda session, given: session.spans.traces_of(**given),
    "spans.count": lambda session, given: session.spans.count(**given),
    "actors.create_key": lambda session, given: session.actors.create_key(**given),
    "actors.keys": lambda session, _: session.actors.keys(),
    "actors.revoke": lambda session, given: session.actors.revoke(**given),
    "actors.add_person": lambda session, given: session.actors.add_person(**given),
    "actors.people": lambda session, _: session.actors.people(),
    "actors.remove_person": lambda session, given: session.actors.remove_person(**given),
    "actors.set_password": lambda session, given: session.actors.set_password(**given),
}


def routes(sessions: Sessions) -> list[Route]:
    """The addresses of the store's API."""
    api = _Api(sessions)
    return [
        Route(PATH + "blobs/{digest}", api.blob, methods=["GET"]),
        Route(PATH + "put_blob", api.put_blob, methods=["POST"]),
        Route(PATH + "who", api.who, methods=["POST"]),
        *(Route(PATH + name, partial(api.method, method), methods=["POST"]) for name, method in METHODS.items()),
    ]


class _Api:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._held = 0

    async def method(self, method: Callable[[Session, _Arguments], object], request: Request) -> Response:
        """A method of the session."""

        def work(session: Session, body: bytes) -> object:
            try:
                return encode(method(session, _object(body)))
            except (KeyError, TypeError) as error:
                raise BadInput(f"The arguments do not fit {request.url.path}: {error}.") from error

        return await self._answered(request, work)

    async def who(self, request: Request) -> Response:
        """Who asks, and the project that they ask about."""

        def work(session: Session, _: bytes) -> object:
            rights = session.rights
            grants = [[project, sorted(given)] for project, given in rights.grants]
            return {"id": rights.id, "roles": list(rights.roles), "grants": grants, "project": session.project}

        return await self._answered(request, work)

    async def put_blob(self, request: Request) -> Response:
        """Keep the bytes of the body."""
        return await self._answered(request, lambda session, body: session.put_blob(body))

    async def blob(self, request: Request) -> Response:
        """The bytes with a digest."""
        digest = request.path_params["digest"]
        answer = await self._answered(request, lambda session, _: session.blob(digest), plain=True)
        answer.headers["content-disposition"] = "attachment"
        return answer

    async def _answered(
        self, request: Request, work: Callable[[Session, bytes], object], *, plain: bool = False
    ) -> Response:
        held = _Held(self)
        try:
            body = await _received(request, held)
            value = await run_in_threadpool(self._done, request, body, work)
        except AfereError as error:
            return _problem(error)
        except Exception:
            _log.exception("%s failed", request.url.path)
            return _problem(WorldFailed("The server failed inside; its log says more. Nothing of this was kept."), 500)
        finally:
            held.release()
        if plain:
            return Response(cast("bytes", value), media_type="application/octet-stream")
        return JsonResponse({"value": value})

    def _done(self, request: Request, body: bytes, work: Callable[[Session, bytes], object]) -> object:
        session = self._sessions.begun(request.headers.get("afere-project"), actor_in(request))
        encoding = request.headers.get("content-encoding", "").strip().lower()
        with patient(LONGEST):
            return work(session, otlp.unpack(body, encoding, most=MOST) if encoding else body)


class _Held:
    """The bytes that one request holds; all together have a bound."""

    def __init__(self, api: _Api) -> None:
        self._api, self._bytes = api, 0

    def add(self, count: int) -> None:
        if self._api._held + count > HELD:
            raise Full("The server holds as much as it may; send again in a moment.", 1)
        self._api._held += count
        self._bytes += count

    def release(self) -> None:
        self._api._held -= self._bytes
        self._bytes = 0


async def _received(request: Request, held: _Held) -> bytes:
    body = bytearray()
    pieces = request.stream()
    while True:
        try:
            piece = await asyncio.wait_for(anext(pieces), _SILENCE)
        except StopAsyncIteration:
            return bytes(body)
        except TimeoutError:
            raise BadInput("The rest of the body did not come in time.") from None
        body += piece
        held.add(len(piece))
        if len(body) > MOST:
            raise BadInput(f"The body has more than {MOST:,} bytes. Send less at once.")


def _object(body: bytes) -> dict[str, Json]:
    try:
        given: Any = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise BadInput("The body is not JSON.") from None
    if not isinstance(given, dict):
        raise BadInput("The body is a JSON object of arguments.")
    return cast("dict[str, Json]", given)


def _problem(error: AfereError, status: int | None = None) -> Response:
    """The error, with its kind, so that it can be raised again where it was asked."""
    code = status or (409 if isinstance(error, Busy) else status_of(error))
    kind = next(one.__name__ for one in type(error).__mro__ if one.__module__ == NotFound.__module__)
    said: dict[str, Json] = {"type": "about:blank", "title": kind, "status": code, "detail": str(error), "error": kind}
    if isinstance(error, Busy):
        said["owner"] = encode(error.owner)
    headers = {"retry-after": str(error.wait)} if isinstance(error, Full) else None
    return ProblemResponse(said, code, headers)
