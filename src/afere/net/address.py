"""Where the product may call: addresses that other people write (webhooks, targets) are checked before use."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from afere.base.errors import Refused


def check_address(url: str, *, private_ok: bool) -> str:
    """The URL itself, or Refused: not http(s), or its host leads to a place it must not.

    `private_ok` allows loopback and private networks. Link-local addresses (where clouds keep their metadata and
    credentials), multicast and unspecified ones are never allowed. A host that does not resolve is left to the call.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused(f"{url[:200]!r} is not an address to call: write http://host/... or https://host/...")
    for address in _addresses(parts.hostname):
        problem = _problem(address, private_ok=private_ok)
        if problem:
            raise Refused(f"{parts.hostname} is {address}, {problem}: not called. Give a public address.")
    return url


def is_loopback(host: str) -> bool:
    """Whether a host as written in a URL is this machine itself (no look-up)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _addresses(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ipaddress.ip_address(str(info[4][0]).partition("%")[0]) for info in found]


def _problem(address: ipaddress.IPv4Address | ipaddress.IPv6Address, *, private_ok: bool) -> str:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return "a link-local, multicast or unspecified address"
    if not private_ok and not address.is_global:
        return "an address of a private network or of this machine"
    return ""
