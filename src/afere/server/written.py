"""JSON as it leaves the server: quickly where that can be, and whole where it cannot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import orjson
from starlette.responses import Response


class JsonResponse(Response):
    """Answers with a value as JSON. What no JSON has (NaN, numbers without end) becomes null."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The value as UTF-8, or in ASCII where it holds halves of characters or numbers beyond 64 bits."""
        try:
            return orjson.dumps(content)
        except TypeError:
            return json.dumps(content, separators=(",", ":")).encode()


def marked(answer: Response, asked: Mapping[str, str]) -> Response:
    """The answer with an `ETag` of what it says; 304 without a body for who has that already (`If-None-Match`)."""
    tag = f'"{blake2b(bytes(answer.body), digest_size=16).hexdigest()}"'
    known = (one.strip().removeprefix("W/") for one in asked.get("if-none-match", "").split(","))
    if tag in known:
        return Response(status_code=304, headers={"etag": tag})
    answer.headers["etag"] = tag
    return answer
