"""From a URL to where a connection goes: address, proxy, TLS."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, unquote, urlsplit

from afere.net.address import is_loopback
from afere.net.call import HostFailed

if TYPE_CHECKING:
    import ssl

_PORTS = {"http": 80, "https": 443}
_SAFE = "/?:@!$&'()*+,;=-._~%[]"


@dataclass(frozen=True, slots=True)
class Proxy:
    """What stands between. `authorization` is the value of a header, or nothing."""

    tls: bool
    host: str
    port: int
    authorization: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where connections lead: requests with equal places may share them."""

    tls: bool
    host: str
    port: int
    proxy: Proxy | None
    key: str  # equal for equal places


@dataclass(frozen=True, slots=True)
class Route:
    """How one URL is asked for."""

    place: Place
    target: str  # of the request line
    host: str  # the value of the header
    authorization: str  # of a user name in the URL


@lru_cache(maxsize=1024)
def route(url: str) -> Route:
    """The route of a URL. HostFailed if it is none. Proxies are those of the environment when first asked."""
    try:
        parts = urlsplit(url)
        scheme, port = parts.scheme.lower(), parts.port
        host = _host(parts.hostname or "")
    except ValueError as problem:  # a port or an address that is none
        raise HostFailed(f"{_shown(url)!r} cannot be called: {problem}. Check the address.") from None
    if not scheme and not parts.netloc:
        raise HostFailed(f"{_shown(url)!r} cannot be called: relative URL without a host. Check the address.")
    if scheme not in _PORTS or not host:
        raise HostFailed(f"{_shown(url)!r} cannot be called: it is not http(s)://host/... . Check the address.")
    named = f"[{host}]" if ":" in host else host
    where = named if port in (None, _PORTS[scheme]) else f"{named}:{port}"
    target = (quote(parts.path, safe=_SAFE) or "/") + (f"?{quote(parts.query, safe=_SAFE)}" if parts.query else "")
    number, proxy = port or _PORTS[scheme], _proxy(scheme, host, port)
    place = Place(scheme == "https", host, number, proxy, f"{scheme} {host} {number} {proxy}")
    if place.proxy is not None and not place.tls:
        target = f"{scheme}://{where}{target}"
    return Route(place, target, where, _basic(parts))


def _host(name: str) -> str:
    """A host as DNS writes it."""
    if not name.isascii():
        return name.encode("idna").decode("ascii")  # UnicodeError is a ValueError
    if any(one <= " " or one in '\x7f<>"\\^`{|}' for one in name):
        raise ValueError("invalid character in the host")
    return name


def _shown(url: str) -> str:
    """A URL for messages, without the password in it."""
    head, at, tail = url[:200].rpartition("@")
    return f"{head.partition('//')[0]}//***@{tail}" if at and "//" in head else url[:200]


def _basic(parts: SplitResult) -> str:
    """User name and password of a URL as the header `authorization` (RFC 7617)."""
    if parts.username is None:
        return ""
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _proxy(scheme: str, host: str, port: int | None) -> Proxy | None:
    """The proxy that the environment names; none for this machine itself, and for what NO_PROXY lists."""
    if is_loopback(host) or _exempt(host, port or _PORTS[scheme]):
        return None
    # Of a CGI program, HTTP_PROXY is set by whoever sends the header `Proxy` (httpoxy, CVE-2016-5385).
    names = [f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY"]
    if "REQUEST_METHOD" in os.environ:
        names.remove(f"{scheme.upper()}_PROXY")
    said = next((value for name in names if (value := os.environ.get(name, "").strip())), "")
    if not said:
        return None
    try:
        parts = urlsplit(said if "://" in said else f"http://{said}")
        kind, at, found = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:
        kind, at, found, parts = "", None, None, urlsplit("")
    if kind not in _PORTS or not at:
        raise HostFailed(
            f"{host} cannot be called: the proxy of the environment is not http(s)://host:port. "
            f"Correct {scheme.upper()}_PROXY, or name the host in NO_PROXY."
        )
    return Proxy(kind == "https", at, found or _PORTS[kind], _basic(parts))


def _exempt(host: str, port: int) -> bool:
    said = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    for entry in (one.strip().lower() for one in said.split(",")):
        if entry == "*":
            return True
        name, colon, number = entry.rpartition(":") if entry.count(":") == 1 else (entry, "", "")
        if colon and number != str(port):
            continue
        name = name.strip("[]").removeprefix("*").lstrip(".")
        if name and (host == name or host.endswith(f".{name}") or _within(host, name)):
            return True
    return False


def _within(host: str, network: str) -> bool:
    """Whether a numeric host lies in a network such as 10.0.0.0/8."""
    import ipaddress

    try:
        return "/" in network and ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


@lru_cache(maxsize=1)
def tls() -> ssl.SSLContext:
    """The operating system's certificates, or those of SSL_CERT_FILE or SSL_CERT_DIR. One for the process."""
    import ssl

    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
