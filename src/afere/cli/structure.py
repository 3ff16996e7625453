"""What changed between two values, place by place: plain values as old and new, texts of several lines line by line."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import unified_diff

from afere.base.artifact import Artifact
from afere.base.canonical import Json


def changes(a: Artifact, b: Artifact) -> list[dict[str, Json]]:
    """`{path, before, after, lines}` for each place that differs; `lines` is a unified diff where text has several lines.

    A place that one side does not have is None there, and its name is in `missing` ("before" or "after").
    """
    return list(_compare(_comparable(a), _comparable(b), ""))


def _comparable(artifact: Artifact) -> dict[str, Json]:
    uses: dict[str, Json] = {}
    for use in artifact.uses:
        uses[use.role if use.role not in uses else f"{use.role} {use.ref}"] = use.ref
    return {"content": artifact.content, "blob": artifact.blob, "uses": uses}


def _compare(a: Json, b: Json, path: str) -> Iterator[dict[str, Json]]:
    if isinstance(a, dict) and isinstance(b, dict):
        for key in [*a, *(key for key in b if key not in a)]:
            place = f"{path}.{key}" if path else key
            if key not in b:
                yield {"path": place, "before": a[key], "after": None, "missing": "after"}
            elif key not in a:
                yield {"path": place, "before": None, "after": b[key], "missing": "before"}
            else:
                yield from _compare(a[key], b[key], place)
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (before, after) in enumerate(zip(a, b, strict=True)):
            yield from _compare(before, after, f"{path}[{i}]")
    elif isinstance(a, str) and isinstance(b, str) and a != b and "\n" in a + b:
        lines = unified_diff(a.splitlines(), b.splitlines(), lineterm="", n=3)
        yield {
            "path": path,
            "before": a,
            "after": b,
            "lines": [line for line in lines if line[:3] not in ("---", "+++")],
        }
    elif a != b or isinstance(a, bool) != isinstance(b, bool):
        yield {"path": path, "before": a, "after": b}
