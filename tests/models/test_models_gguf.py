"""Weights rewritten for speed stay the same weights."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from afere.base.errors import WorldFailed
from afere.models.gguf import requantise


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def test_four_bit_weights_become_eight_bit_ones_with_the_same_values(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    blocks = [(0.5, -2.0), (0.0, 0.0), (-0.25, 1.0)]  # (d, m): x = d q + m for q in 0..15
    nibbles = bytes((15 - i) << 4 | i for i in range(16))
    q4_1 = b"".join(struct.pack("<ee", d, m) + nibbles for d, m in blocks)
    plain = struct.pack("<4f", 1, 2, 3, 4)
    pairs = text(b"general.file_type") + struct.pack("<II", 4, 3)
    pairs += text(b"words") + struct.pack("<IIQ", 9, 8, 2) + text(b"a") + text(b"bc")
    tensors = text(b"w") + struct.pack("<IQQIQ", 2, 32, 3, 3, 0) + text(b"f") + struct.pack("<IQIQ", 1, 4, 0, 64)
    head = struct.pack("<4sIQQ", b"GGUF", 3, 2, 2) + pairs + tensors
    source, target = tmp_path / "a.gguf", tmp_path / "b.gguf"
    source.write_bytes(head.ljust(-(-len(head) // 32) * 32, b"\0") + q4_1.ljust(64, b"\0") + plain)
    shares: list[float] = []
    requantise(source, target, shares.append)

    made = target.read_bytes()
    data = -(-len(head) // 32) * 32
    assert shares == [0.5, 1.0]
    assert struct.pack("<II", 4, 7) in made[:data], "the file says what it is now"
    for number, (d, m) in enumerate(blocks):
        scale, *quants = struct.unpack_from("<e32b", made, data + 34 * number)
        expected = [d * q + m for q in [*range(16), *range(15, -1, -1)]]
        assert [scale * q for q in quants] == pytest.approx(expected, abs=max(map(abs, expected)) / 127)
    assert made[data + 128 :].rstrip(b"\0") == plain.rstrip(b"\0")


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"PK\3\4" + bytes(60))
    with pytest.raises(WorldFailed, match="not a GGUF file"):
        requantise(tmp_path / "a", tmp_path / "b", lambda _: None)
