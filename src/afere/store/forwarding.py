"""What a server has sent on to other collectors, noted in the store's folder so that `afere doctor` can tell it."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

STATE = "forward.json"
_KINDS = {"sent": int, "waiting": int, "lost": int, "problem": str, "problem_at": str}


@dataclass(slots=True)
class Forwarded:
    """One target: spans and events that it took, that wait for it, and that it will never get; and what went wrong last."""

    target: str
    sent: int = 0
    waiting: int = 0
    lost: int = 0
    problem: str = ""
    problem_at: str = ""

    @classmethod
    def read(cls, folder: Path) -> list[Forwarded]:
        """What the last server over this folder noted; nothing where none did, or the note cannot be read."""
        found: list[Forwarded] = []
        with suppress(OSError, ValueError):
            said = json.loads((folder / STATE).read_text(encoding="utf-8"))
            for one in cast("list[Any]", said) if isinstance(said, list) else []:
                values = cast("dict[str, Any]", one) if isinstance(one, dict) else {}
                if isinstance(values.get("target"), str):
                    right = {name: values[name] for name, kind in _KINDS.items() if type(values.get(name)) is kind}
                    found.append(cls(values["target"], **right))
        return found
