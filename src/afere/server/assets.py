"""Style, script and icons, from the package: one address per state of the files, so that browsers may keep them for ever."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@cache
def assets() -> dict[str, tuple[bytes, str]]:
    """name -> (bytes, media type)."""
    found: dict[str, tuple[bytes, str]] = {}
    for file in files("afere.server").joinpath("static").iterdir():
        kind = _TYPES.get("." + file.name.rpartition(".")[2])
        if kind:
            found[file.name] = (file.read_bytes(), kind)
    return found


@cache
def version() -> str:
    """A hash over all of them: script and icons name each other, so they move together."""
    total = hashlib.sha256()
    for name, (data, _) in sorted(assets().items()):
        total.update(name.encode() + b"\0" + data)
    return total.hexdigest()[:12]


def serve_asset(request: Request) -> Response:
    """`/static/VERSION/NAME`. Another version gets today's file, not to be kept."""
    found = assets().get(request.path_params["name"])
    if found is None:
        return Response("No such file.", 404, media_type="text/plain")
    data, kind = found
    current = request.path_params["version"] == version()
    keep = "public, max-age=31536000, immutable" if current else "no-cache"
    headers = {"etag": f'"{version()}"', "cache-control": keep}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=kind, headers=headers)
