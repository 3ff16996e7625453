"""GGUF files: the weights of a model made quicker to read, once.

The Q4_1 tensors become Q8_0: the file grows by half, prompts are read twice as fast (there is no fast matrix path for
Q4_1). Layouts after ggml's `gguf.md` and `ggml-quants.c`: a Q4_1 block is 32 weights as half floats d, m and 16 bytes of
nibbles, x = d q + m; a Q8_0 block is a half float d and 32 signed bytes, x = d q.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from afere.base.errors import WorldFailed

_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes of each kind of number
_TEXT, _LIST = 8, 9
_Q4_1, _Q8_0 = 3, 8
_FILE_TYPE_Q8_0 = 7
_ALIGNMENT = 32


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: bytes
    shape: tuple[int, ...]
    type: int
    offset: int  # from the beginning of the data

    @property
    def head(self) -> bytes:
        shape = struct.pack(f"<I{len(self.shape)}Q", len(self.shape), *self.shape)
        return struct.pack("<Q", len(self.name)) + self.name + shape + struct.pack("<IQ", self.type, self.offset)


def requantise(source: Path, target: Path, progress: Callable[[float], None]) -> None:
    """Write `source` with its Q4_1 tensors as Q8_0. `progress` gets the share done, 0 to 1."""
    data = source.read_bytes()
    head, tensors, start = _read(data)
    ends = [tensor.offset for tensor in tensors[1:]] + [len(data) - start]
    moved: list[_Tensor] = []
    offset = 0
    for tensor, end in zip(tensors, ends, strict=True):
        changed = tensor.type == _Q4_1
        moved.append(replace(tensor, type=_Q8_0 if changed else tensor.type, offset=offset))
        offset += _padded(math.prod(tensor.shape) // 32 * 34 if changed else end - tensor.offset)
    with target.open("wb") as out:
        written = head + b"".join(tensor.head for tensor in moved)
        out.write(written.ljust(_padded(len(written)), b"\0"))
        for number, (tensor, end) in enumerate(zip(tensors, ends, strict=True), 1):
            block = data[start + tensor.offset : start + end]
            if tensor.type == _Q4_1:
                block = _q8_0(block[: math.prod(tensor.shape) // 32 * 20])
            out.write(block.ljust(_padded(len(block)), b"\0"))
            progress(number / len(tensors))


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _read(data: bytes) -> tuple[bytes, list[_Tensor], int]:
    """What comes before the tensors' heads (its file type set to Q8_0), those heads in order, and where the data begin."""
    magic, version, tensors, pairs = struct.unpack_from("<4sIQQ", data)
    if magic != b"GGUF" or version not in (2, 3):
        raise WorldFailed("This is not a GGUF file of version 2 or 3.")
    head = bytearray(data)
    place = 24
    for _ in range(pairs):
        key, place = _text(data, place)
        (kind,) = struct.unpack_from("<I", data, place)
        if key == b"general.file_type":
            struct.pack_into("<I", head, place + 4, _FILE_TYPE_Q8_0)
        place = _skip(data, place + 4, kind)
    end, found = place, list[_Tensor]()
    for _ in range(tensors):
        name, place = _text(data, place)
        (dimensions,) = struct.unpack_from("<I", data, place)
        *shape, kind, offset = struct.unpack_from(f"<{dimensions}QIQ", data, place + 4)
        found.append(_Tensor(name, tuple(shape), kind, offset))
        place += 4 + 8 * dimensions + 12
    return bytes(head[:end]), sorted(found, key=lambda tensor: tensor.offset), _padded(place)


def _text(data: bytes, place: int) -> tuple[bytes, int]:
    (size,) = struct.unpack_from("<Q", data, place)
    return data[place + 8 : place + 8 + size], place + 8 + size


def _skip(data: bytes, place: int, kind: int) -> int:
    """Where a value of that kind ends."""
    if kind == _TEXT:
        return _text(data, place)[1]
    if kind == _LIST:
        kind, count = struct.unpack_from("<IQ", data, place)
        place += 12
        if kind in _SIZES:
            return place + _SIZES[kind] * count
        for _ in range(count):
            place = _skip(data, place, kind)
        return place
    return place + _SIZES[kind]


def _q8_0(q4_1: bytes) -> bytes:
    import numpy as np

    blocks = np.frombuffer(q4_1, np.uint8).reshape(-1, 20)
    d: Any = blocks[:, 0:2].copy().view(np.float16).astype(np.float32)
    m: Any = blocks[:, 2:4].copy().view(np.float16).astype(np.float32)
    nibbles = np.concatenate([blocks[:, 4:] & 0x0F, blocks[:, 4:] >> 4], axis=1)
    weights = d * nibbles.astype(np.float32) + m
    scale = np.abs(weights).max(axis=1, keepdims=True) / np.float32(127)
    with np.errstate(divide="ignore"):
        inverse = np.where(scale == 0, np.float32(0), np.float32(1) / scale)
    scaled = weights * inverse
    halves_away = np.copysign(np.floor(np.abs(scaled) + np.float32(0.5)), scaled)  # as C's roundf
    quants = halves_away.astype(np.int8)
    return np.concatenate([scale.astype(np.float16).view(np.uint8), quants.view(np.uint8)], axis=1).tobytes()
