"""File indexes on disk, in the user's cache folder: plain JSON, one small file per source file, deletable at any time.

A file that is missing, damaged or of another version is as if it were not there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from afere.chains.revision.file_index import FileIndex, Piece
from afere.chains.revision.uses import Call, Import, Name, Uses


def load(path: str) -> dict[str, Any] | None:
    """What was kept for a source file: `stamp`, `read_at`, `digest`, and `index` as JSON (see `decoded`)."""
    try:
        return json.loads(_place(path).read_bytes())
    except (OSError, ValueError):
        return None


def save(path: str, stamp: tuple[int, int], read_at: int, digest: str, index: FileIndex) -> None:
    """Keep the index of a source file, whole or not at all."""
    place = _place(path)
    kept = {"stamp": stamp, "read_at": read_at, "digest": digest, "index": _encoded(index)}
    beside = place.with_suffix(f".{os.getpid()}")
    try:
        beside.write_text(json.dumps(kept, separators=(",", ":")), encoding="ascii")
        beside.replace(place)
    except OSError:
        beside.unlink(missing_ok=True)  # a cache that cannot be written is no problem of the user's


@lru_cache(maxsize=1)
def _folder() -> Path:
    """One folder per version of this package and of Python."""
    stats = [
        (file.name, (stat := file.stat()).st_mtime_ns, stat.st_size)
        for file in sorted(Path(__file__).parent.glob("*.py"))
    ]
    version = hashlib.sha256(repr((stats, sys.version_info[:2])).encode()).hexdigest()[:16]
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "afere" / "source-index" / version
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _place(path: str) -> Path:
    return _folder() / f"{hashlib.sha256(path.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.json"


def _encoded(index: FileIndex) -> dict[str, Any]:
    return {
        "pieces": {name: _piece_out(piece) for name, piece in index.pieces.items()},
        "effects": index.effects, "imports": index.imports, "enters": index.enters, "stars": index.stars,
        "exports": index.exports, "problem": index.problem,
    }  # fmt: skip


def decoded(kept: dict[str, Any]) -> FileIndex:
    """The index that `save` wrote."""
    return FileIndex(
        {name: _piece_in(piece) for name, piece in kept["pieces"].items()},
        kept["effects"],
        {name: _imports(found) for name, found in kept["imports"].items()},
        _imports(kept["enters"]),
        _imports(kept["stars"]),
        kept["exports"],
        kept["problem"],
    )


def _piece_out(piece: Piece) -> list[Any]:
    return [
        piece.kind, piece.name, piece.plain, piece.prose, _uses_out(piece.uses), piece.lines, piece.value, piece.schema,
        piece.decorators, piece.bases, piece.methods, piece.hooks, piece.alone,
    ]  # fmt: skip


def _piece_in(kept: list[Any]) -> Piece:
    kind, name, plain, prose, uses, lines, value, schema, decorators, bases, methods, hooks, alone = kept
    return Piece(
        kind, name, plain, prose, _uses_in(uses), [(first, last) for first, last in lines], value, schema,
        [_name(one) for one in decorators], [_name(one) for one in bases], methods, hooks, alone,
    )  # fmt: skip


_TEXTS = ("strings", "written", "dynamic", "environment", "marks")
_NAMES = ("names", "annotated", "writes", "computed")


def _uses_out(uses: Uses) -> dict[str, Any]:
    """Only the fields that hold something."""
    kept: dict[str, Any] = {field: list(getattr(uses, field)) for field in (*_TEXTS, *_NAMES, "imported", "handed")}
    kept["calls"] = [[call.callee, call.args, call.keywords] for call in uses.calls if _is_json(call)]
    return {field: value for field, value in kept.items() if value}


def _is_json(call: Call) -> bool:
    """Literals that JSON has no word for (bytes, sets) are of no use to us."""
    try:
        json.dumps([call.args, call.keywords])
    except (TypeError, ValueError):
        return False
    return True


def _uses_in(kept: dict[str, Any]) -> Uses:
    uses = Uses()
    for field in _TEXTS:
        if field in kept:
            setattr(uses, field, set(kept[field]))
    for field in _NAMES:
        if field in kept:
            setattr(uses, field, {_name(one) for one in kept[field]})
    uses.imported = set(_imports(kept.get("imported", ())))
    uses.handed = {(_name(to), _name(what)) for to, what in kept.get("handed", ())}
    uses.calls = [Call(_name(callee), args, keywords) for callee, args, keywords in kept.get("calls", ())]
    return uses


def _name(kept: list[Any]) -> Name:
    return Name(kept[0], Import(*kept[1]) if kept[1] else None)


def _imports(kept: Any) -> list[Import]:
    return [Import(*one) for one in kept]
