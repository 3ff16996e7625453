"""A mark beside `spans.db` that it was made, so that a file that is gone is not taken for a new store in silence."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

from afere.base.clock import now_ns, rfc3339

_log = logging.getLogger("afere.store")

NAME = "spans.made"
_MADE = "spans.db was made"
_GONE = "spans.db was gone"


def look(file: Path) -> None:
    """Before the file is opened, which makes it where there is none: say loudly if it was there once."""
    if not missing(file.parent):
        return
    mark = file.with_name(NAME)
    _log.error(
        "%s is gone, though this store had one: its traces are lost unless you have them elsewhere. An empty one is begun, and "
        "new spans are kept in it. To get the old ones back, stop all programs and restore a backup: afere restore FILE --replace",
        file,
    )
    with suppress(OSError), mark.open("a", encoding="utf-8") as stream:
        stream.write(f"{_GONE} at {rfc3339(now_ns())}\n")


def missing(folder: Path) -> bool:
    """Whether the file was there once and is not."""
    return (folder / NAME).exists() and not (folder / "spans.db").exists()


def note(file: Path) -> None:
    """After the file was made, or opened."""
    mark = file.with_name(NAME)
    with suppress(OSError):  # a mark that cannot be written must not keep spans from being kept
        if not mark.exists():
            mark.write_text(f"{_MADE} by {rfc3339(now_ns())}\n", encoding="utf-8")


def gone(folder: Path) -> list[str]:
    """When the file was found to be gone (RFC 3339), the newest last."""
    mark = folder / NAME
    if not mark.exists():
        return []
    lines = mark.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.removeprefix(f"{_GONE} at ") for line in lines if line.startswith(_GONE)]
