"""The web application: which address is which page. A page is a value; its template shows it, `.json` on the same address is it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from afere.base.errors import AfereError
from afere.server import changes, login, promptchanges, rowchanges, store_api, tryout
from afere.server.assets import serve_asset
from afere.server.auth import Access, actor_in, login_of
from afere.server.changes import theme_of
from afere.server.metrics import Metrics, Requests
from afere.server.openapi import describe
from afere.server.otlp import PATHS, Intake, doors, refused
from afere.server.pages import (
    against,
    artifacts,
    audit,
    bakeoffs,
    compare,
    datasets,
    debt,
    editing,
    experiments,
    home,
    labels,
    lineage,
    over,
    prompts,
    rows,
    spans,
    stability,
    stats,
    tools,
    trace,
    traces,
    users,
    views,
)  # fmt: skip
from afere.server.pages import sessions as threads
from afere.server.pages.asked import Asked, as_json
from afere.server.pages.frame import Sessions, frame
from afere.server.pages.fresh import Looking
from afere.server.problem import problem, status_of
from afere.server.render import render
from afere.server.safety import LOOPBACK, Guard
from afere.server.words import many
from afere.server.written import JsonResponse, marked
from afere.store.spans.sql import patient

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from afere.store import Session

_log = logging.getLogger("afere.server")


@dataclass(frozen=True, slots=True)
class Address:
    """A page: its path below the project, the verb of the navigation it stands under, what reads it and what draws it.

    Without a template the address has only its `.json`.
    """

    path: str
    here: str
    read: Callable[[Any, Asked], Any]
    template: str | None
    query: tuple[str, ...] = ()


_BESIDE = 8  # experiments that are set beside the first two of a comparison
_PAGED = ("limit", "cursor")
ADDRESSES = (
    Address("/traces", "traces", traces.page, "traces.html", ("q", "sort", "view", *_PAGED)),
    Address("/traces/new", "traces", traces.new_page, "traces_new.html", ("q", "after", "watch")),
    Address("/traces/over", "traces", over.page, "traces_over.html", ("q",)),
    Address("/traces/against", "traces", against.page, "traces_against.html", ("q", "against")),
    Address("/traces/{trace}", "traces", trace.page, "trace.html", ("cursor", "content")),
    Address("/traces/{trace}/steps", "traces", trace.steps_page, None),
    Address("/traces/{trace}/spans/{span}", "traces", trace.span_page, "span_page.html"),
    Address("/sessions", "sessions", threads.list_page, "groups.html", ("limit",)),
    Address("/sessions/{name:path}", "sessions", threads.page, "session.html", _PAGED),
    Address("/users", "users", users.list_page, "groups.html", ("limit",)),
    Address("/users/{name:path}", "users", users.page, "user.html", _PAGED),
    Address("/stats", "stats", stats.page, "stats.html", ("q", "by")),
    Address("/views", "traces", views.page, None),
    Address("/spans", "traces", spans.page, "spans.html", ("q", *_PAGED)),
    Address("/prompts", "prompts", prompts.list_page, "prompts.html", _PAGED),
    Address("/prompts/{name}", "prompts", prompts.page, "prompt.html"),
    Address("/prompts/{name}/{a:int}..{b:int}", "prompts", prompts.diff_page, "prompt.html"),
    Address("/prompts/{name}/{version}", "prompts", prompts.page, "prompt.html"),
    Address("/prompts/{name}/{version}/edit", "prompts", editing.page, "edit.html"),
    Address("/datasets", "datasets", datasets.list_page, "datasets.html", _PAGED),
    Address("/datasets/{name}", "datasets", datasets.page, "dataset.html", ("q", *_PAGED)),
    Address("/datasets/{name}/new", "datasets", rows.new_page, "row.html"),
    Address("/datasets/{name}/{version}", "datasets", datasets.page, "dataset.html", ("q", *_PAGED)),
    Address("/datasets/{name}/{version}/rows/{id:path}", "datasets", rows.page, "row.html"),
    Address("/experiments", "experiments", experiments.list_page, "experiments.html", _PAGED),
    Address("/experiments/{number}", "experiments", experiments.page, "experiment.html", ("show", "cursor", "sort")),
    Address("/bakeoffs", "experiments", bakeoffs.list_page, "bakeoffs.html", _PAGED),
    Address("/bakeoffs/{number}", "experiments", bakeoffs.page, "bakeoff.html"),
    Address("/stability", "experiments", stability.list_page, "stabilities.html", _PAGED),
    Address("/stability/{number}", "experiments", stability.page, "stability.html"),
    Address("/compare/{a}/{b}", "experiments", compare.page, "compare.html", ("with", "several")),
    Address("/labels/{number}", "experiments", labels.page, "labels.html", ("name", "case", "with", "by")),
    Address("/tools", "tools", tools.list_page, "tools.html"),
    Address("/tools/{name:path}", "tools", tools.page, "tool.html"),
    Address("/artifacts", "artifacts", artifacts.list_page, "artifacts.html", ("kind", "name", *_PAGED)),
    Address("/artifacts/{ref}", "artifacts", artifacts.page, "artifact.html"),
    Address("/lineage", "lineage", lineage.page, "lineage.html", ("of", "direction")),
    Address("/scores", "traces", artifacts.scores_page, None, ("target", "name", "by", *_PAGED)),
    Address("/debt", "debt", debt.page, "debt.html", ("as_of",)),
    Address("/audit", "audit", audit.page, "audit.html", _PAGED),
)
LONGEST = 60.0  # seconds of one question to the spans: a server that still looks can neither end nor empty its log
PATIENCE = 5.0  # seconds before a page says that it still looks
HOME = Address("", "home", home.page, "home.html", ("over",))


def create_app(
    session: Session, *, asks: bool = False, hosts: Collection[str] = LOOPBACK, intake: Intake | None = None
) -> ASGIApp:
    """The application over an open store. Unless it `asks` for keys and log-ins, serve it on loopback only.

    `hosts` are the names that one which does not ask answers to; `intake` takes OTLP where others share it.
    """
    sessions = Sessions(session)
    programs: list[Route] = []
    people: list[Route] = []
    for prefix in ("", "/{project}"):
        for address in ADDRESSES:
            programs.append(_route(prefix + address.path + ".json", partial(_answer, sessions, address, as_page=False)))
            if address.template:
                people.append(_route(prefix + address.path, partial(_answer, sessions, address, as_page=True)))
        people.append(_route(prefix + "/compare", _chosen))  # which two is chosen there
    programs.append(_route("/home.json", partial(_answer, sessions, HOME, as_page=False)))
    programs.append(_route("/{project}/home.json", partial(_answer, sessions, HOME, as_page=False)))
    programs.append(_route("/{project}.json", partial(_answer, sessions, HOME, as_page=False)))
    people.append(_route("/", partial(_answer, sessions, HOME, as_page=True)))
    people.append(_route("/{project}", partial(_answer, sessions, HOME, as_page=True)))
    intake, requests = intake or Intake(session), Requests()
    received = doors(intake)
    fixed = [
        *(Route(path, door) for path, door in received.items()),
        _route("/healthz", _alive),
        _route("/readyz", partial(_ready, session)),
        _route("/metrics", Metrics(sessions, intake, requests).answer),
        _route("/openapi.json", _described),
        _route("/static/{version}/{name}", serve_asset),
        Route("/settings", changes.set_theme, methods=["POST"]),
        Route("/scores", partial(changes.add_score, sessions), methods=["POST"]),
        Route("/{project}/scores", partial(changes.add_score, sessions), methods=["POST"]),
        Route("/views", partial(changes.save_view, sessions), methods=["POST"]),
        Route("/{project}/views", partial(changes.save_view, sessions), methods=["POST"]),
        Route("/debt", partial(changes.accept_finding, sessions), methods=["POST"]),
        Route("/{project}/debt", partial(changes.accept_finding, sessions), methods=["POST"]),
        Route("/labels/{number}", partial(changes.add_label, sessions), methods=["POST"]),
        Route("/{project}/labels/{number}", partial(changes.add_label, sessions), methods=["POST"]),
        Route("/datasets/{name}/rows", partial(rowchanges.change_rows, sessions), methods=["POST"]),
        Route("/{project}/datasets/{name}/rows", partial(rowchanges.change_rows, sessions), methods=["POST"]),
        Route("/traces/{trace}/rows", partial(rowchanges.add_trace, sessions), methods=["POST"]),
        Route("/{project}/traces/{trace}/rows", partial(rowchanges.add_trace, sessions), methods=["POST"]),
        Route("/prompts/{name}/versions", partial(promptchanges.add_version, sessions), methods=["POST"]),
        Route("/{project}/prompts/{name}/versions", partial(promptchanges.add_version, sessions), methods=["POST"]),
        Route("/prompts/{name}/{version}/try", partial(tryout.try_prompt, sessions), methods=["POST"]),
        Route("/{project}/prompts/{name}/{version}/try", partial(tryout.try_prompt, sessions), methods=["POST"]),
        Route("/aliases", partial(changes.move_alias, sessions), methods=["POST"]),
        Route("/{project}/aliases", partial(changes.move_alias, sessions), methods=["POST"]),
    ]
    fixed += [*login.routes(session), *store_api.routes(sessions)]
    # Names never end in .json, so the addresses of programs come first.
    app = Starlette(routes=[*fixed, *programs, *people], exception_handlers={HTTPException: _no_such_page})
    return Guard(
        app, Access(session, asks), large=(*PATHS, store_api.PATH), hosts=hosts, refuse=refused, note=requests.note
    )


def _route(path: str, endpoint: Callable[..., Any]) -> Route:
    return Route(path, endpoint, methods=["GET"])


def _chosen(request: Request) -> Response:
    """From the marked experiments (`of`) to their comparison: the earliest is before, the next after, others beside."""
    try:
        of = sorted({int(one) for one in request.query_params.getlist("of")})
    except ValueError:
        of = []
    if not of:
        return RedirectResponse(request.url.path.removesuffix("compare") + "experiments")
    if not 2 <= len(of) <= _BESIDE + 2:
        said = f"{many(len(of), 'experiment')} marked. Go back and mark two, or up to {_BESIDE + 2}, to compare them."
        return problem(422, said, request.headers.get("accept", ""), theme=theme_of(request))
    beside = f"?with={','.join(map(str, of[2:]))}" if of[2:] else ""
    return RedirectResponse(f"{request.url.path}/{of[0]}/{of[1]}{beside}", 303)


def _answer(sessions: Sessions, address: Address, request: Request, *, as_page: bool) -> Response:
    """Read the page's value and show it as it was asked for; an error becomes one sentence."""
    accept = "text/html" if as_page else "application/json"
    theme = theme_of(request)
    try:
        path: dict[str, Any] = dict(request.path_params)
        session = sessions.of(path.pop("project", None), actor_in(request))
        site = str(request.base_url).rstrip("/")
        asked = Asked(path, dict(request.query_params), site, PATIENCE if as_page else None)
        try:
            with patient(LONGEST):
                value, template = address.read(session, asked), address.template
        except Looking as looking:
            value, template = looking, "looking.html"
        status = getattr(value, "status", 200)
        if not as_page or template is None:
            if status != 200:  # a page that tells what is wrong with the question
                return problem(status, str(getattr(value, "problem", "")), accept, theme=theme)
            return marked(JsonResponse(as_json(value)), request.headers)
        around = frame(
            session, here=address.here, theme=theme, path=_path_of(request), logged_in=bool(login_of(request.headers))
        )
        return HTMLResponse(render(template, page=value, frame=around, base=around.base), status)
    except AfereError as error:
        return problem(status_of(error), str(error), accept, theme=theme)
    except Exception:
        _log.exception("%s failed", address.path)
        return problem(500, FAILED, accept, theme=theme)


FAILED = (
    "Something in afere itself failed on this page; what went wrong is in the log of the server. "
    "The store is not touched. Run afere doctor, and report it if it comes again."
)


def _path_of(request: Request) -> str:
    """Path and query of what was asked, for forms that come back here."""
    return request.url.path + ("?" + request.url.query if request.url.query else "")


def _alive(_request: Request) -> Response:
    return JsonResponse({"status": "ok"})


def _described(_request: Request) -> Response:
    return JsonResponse(describe((replace(HOME, path="/{project}"), *ADDRESSES)))


def _ready(session: Session, _request: Request) -> Response:
    try:
        session.find("artifacts", limit=1)
    except AfereError as error:
        return JsonResponse({"status": "not ready", "why": str(error)}, 503)
    return JsonResponse({"status": "ready"})


def _no_such_page(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = {
        404: "There is no page at this address. Start from the home page.",
        405: f"{request.method} is not something this address takes.",
    }.get(status, str(error))
    return problem(status, detail, request.headers.get("accept", ""), theme=theme_of(request))
