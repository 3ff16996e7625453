"""JSON as it leaves the server: quickly where that can be, and whole where it cannot."""

from __future__ import annotations

import json
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
