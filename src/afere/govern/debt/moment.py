"""A day or time as people write it, as the moment until which an audit looks."""

from __future__ import annotations

from datetime import UTC, datetime

from afere.base.errors import BadInput


def moment(text: str) -> int:
    """The end of a day, or a time, in ns."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(
            f"as of {text!r}: write a day, such as 2026-11-22, or a time, such as 2026-11-22T14:00:00Z."
        ) from None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    if len(text) == len("2026-11-22"):
        found = found.replace(hour=23, minute=59, second=59)
    return int(found.timestamp() * 1_000_000_000)
