"""Who asks a server: by a key (programs), by a log-in (people), or, on this machine alone, whoever sits at it."""

from __future__ import annotations

import math
import threading
import time
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from afere.base.actor import EVERY, Actor
from afere.base.errors import BadInput
from afere.store.access import require
from afere.store.actors import KEY

if TYPE_CHECKING:
    from starlette.requests import Request

    from afere.store import Session

COOKIE = "afere-login"
ACTOR = "afere.actor"  # where the ASGI scope of a request that was let in has its Actor


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not let in, with its HTTP status; 401 asks for a key or a log-in."""

    status: int
    why: str


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask this server. `asks`: nobody without a key or a log-in; else whoever brings nothing is the session's."""

    session: Session
    asks: bool = False

    def actor_of(self, headers: Mapping[str, str]) -> Actor | Refusal:
        """Who brings these headers (names in small letters): of HTTP, or the metadata of a gRPC call.

        A key comes as `Authorization: Bearer KEY`, as the password of Basic (with any user name), or as `x-api-key`.
        """
        key = _key(headers)
        # An open server takes the keys that clients of other tools insist on sending, and looks at its own alone.
        if key is not None and (self.asks or key.startswith(KEY)):
            actor = self.session.actors.by_key(key)
            return actor or Refusal(401, "This key is unknown, expired or revoked. Ask for one: afere key create NAME")
        token = login_of(headers)
        if token and (actor := self.session.actors.by_login(token)) is not None:
            return actor
        if not self.asks:
            return self.session.rights
        return Refusal(
            401,
            "This server asks who you are: send a key (Authorization: Bearer KEY), or log in at /login. "
            "Whoever runs it makes keys with afere key create, and accounts with afere user add.",
        )


def actor_in(request: Request) -> Actor:
    """Who makes a request that was let in."""
    return request.scope[ACTOR]


def project_for(actor: Actor, asked: str | None, default: str) -> str | None:
    """The project of what an actor sends: the key's own, else the one asked for. None: each item may say, anywhere.

    Refused, where they may not send to it.
    """
    if actor.project is None and actor.may("ingest", EVERY):
        return asked
    project = actor.project or asked or default
    require(actor, "ingest", project)
    return project


def login_of(headers: Mapping[str, str]) -> str | None:
    """The token of the log-in that a browser sends."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel is not None else None


def _key(headers: Mapping[str, str]) -> str | None:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    match scheme.lower():
        case "bearer":
            return given.strip()
        case "basic":
            try:
                return b64decode(given.strip(), validate=True).decode().partition(":")[2]
            except ValueError:
                return ""
        case _:
            return headers.get("x-api-key")


class TooOften(BadInput):
    """Too many failed log-ins; `wait` is after how many seconds to try again."""

    def __init__(self, wait: int) -> None:
        super().__init__(f"Too many log-ins failed. Try again in {math.ceil(wait / 60)} min.")
        self.wait = wait


class Failures:
    """Failed log-ins of the last quarter of an hour, by name, by address, and by both; in this process's memory."""

    WINDOW = 900.0  # seconds
    MOST = 5  # of one name from one address
    MOST_ADDRESS = 30  # of one address, whatever the name
    MOST_NAME = 50  # of one name, from wherever: who is attacked so can still log in between
    _KEPT = 10_000

    def __init__(self) -> None:
        self._failed: dict[tuple[str, str], list[float]] = {}
        self._lock = threading.Lock()

    def check(self, name: str, address: str) -> None:
        """TooOften where this log-in must wait."""
        now = time.monotonic()
        with self._lock:
            for place, most in self._places(name, address):
                recent = [at for at in self._failed.get(place, []) if at > now - self.WINDOW]
                if len(recent) >= most:
                    raise TooOften(math.ceil(recent[-most] + self.WINDOW - now))

    def note(self, name: str, address: str) -> None:
        """One failed."""
        now = time.monotonic()
        with self._lock:
            for place, most in self._places(name, address):
                self._failed[place] = [*self._failed.pop(place, []), now][-most:]
            while len(self._failed) > self._KEPT:
                del self._failed[next(iter(self._failed))]  # the one that has been quiet for longest

    def forget(self, name: str, address: str) -> None:
        """This name has logged in from this address."""
        with self._lock:
            self._failed.pop((name, address), None)

    def _places(self, name: str, address: str) -> tuple[tuple[tuple[str, str], int], ...]:
        return ((name, address), self.MOST), (("", address), self.MOST_ADDRESS), ((name, ""), self.MOST_NAME)
