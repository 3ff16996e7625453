"""Samples of Inspect's logs (`.eval`, or `.json`) as rows: what was asked, what is right, and what the model answered."""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from afere.base.errors import BadData

if sys.version_info >= (3, 14):
    import zipfile

    from compression.zstd import ZstdError
else:
    from backports.zstd import ZstdError, zipfile  # Inspect packs with zstd, which Python's own reads from 3.14 on

_KEPT = ("target", "choices", "metadata", "scores", "error")
_ATTACHED = "attachment://"
_MOST = 1024 * 1024 * 1024  # bytes of all samples, unpacked


def read_eval(file: Path, name: str) -> Iterator[tuple[str, object]]:
    """The samples of a packed log, by the files in it."""
    try:
        with zipfile.ZipFile(file) as packed:
            entries = [one for one in packed.infolist() if one.filename.startswith("samples/")]
            if sum(one.file_size for one in entries) > _MOST:
                raise BadData(
                    f"{name}: more than {_MOST >> 20} MB unpacked. Write its samples as JSON lines, with less in them."
                )
            several = not all(one.filename.endswith("_epoch_1.json") for one in entries)
            for one in entries:
                sample = _unpacked(packed, one, name)
                yield f"{name}: {one.filename}", _row(sample, several)
    except (zipfile.BadZipFile, zlib.error, ZstdError, RuntimeError, EOFError) as problem:  # RuntimeError: a password
        raise BadData(f"{name}: this is no log of Inspect, or half of one: {problem}.") from None


def is_log(value: object) -> bool:
    """Whether this is a log that Inspect wrote as JSON."""
    if not isinstance(value, Mapping):
        return False
    said = cast("Mapping[str, Any]", value)
    return isinstance(said.get("eval"), Mapping) and "samples" in said


def read_log(log: Mapping[str, Any], name: str) -> Iterator[tuple[str, object]]:
    """The samples of a log in JSON, by their numbers."""
    samples = cast("list[Any]", log["samples"]) if isinstance(log["samples"], list) else []
    several = any(_epoch(one) != 1 for one in samples)
    for number, one in enumerate(samples, 1):
        yield f"{name}: sample {number}", _row(one, several)


def _epoch(sample: object) -> object:
    return cast("Mapping[str, Any]", sample).get("epoch", 1) if isinstance(sample, Mapping) else 1


def _unpacked(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> object:
    try:
        return json.loads(packed.read(entry))
    except (ValueError, RecursionError) as problem:
        raise BadData(f"{name}: {entry.filename}: this is not JSON: {problem}.") from None


def _row(found: object, several: bool) -> object:
    """A sample as a row that is read further: several epochs of one sample are one group, each with an id of its own."""
    if not isinstance(found, Mapping):
        return found
    sample = cast("Mapping[str, Any]", found)
    said = {key: sample[key] for key in _KEPT if sample.get(key) not in (None, {})}
    attached = cast("Mapping[str, Any]", sample.get("attachments") or {})
    id_ = str(sample.get("id", ""))
    answer = cast("Mapping[str, Any]", sample.get("output") or {}).get("completion")
    named = {"id": f"{id_}-{_epoch(sample)}", "group": id_} if several else {"id": id_}
    output = {} if answer is None or "error" in said else {"output": _whole(answer, attached)}
    return {**named, "input": _whole(sample.get("input"), attached), **said, **output}


def _whole(value: Any, attached: Mapping[str, Any]) -> Any:
    """A value with the long texts that the log keeps apart."""
    if isinstance(value, str) and value.startswith(_ATTACHED):
        return attached.get(value.removeprefix(_ATTACHED), value)
    if isinstance(value, list):
        return [_whole(one, attached) for one in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: _whole(one, attached) for key, one in cast("dict[str, Any]", value).items()}
    return value
