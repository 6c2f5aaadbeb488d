"""WAV files with known samples."""

import io
import math
import struct
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from layer_mcp.media.sound_facts import measure_sound

SOUNDS = Path(__file__).parent / "sounds"
FLOAT_TAG, EXTENSIBLE_TAG = 3, 0xFFFE
GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def sine(
    seconds: float, *, rate: int = 48_000, hertz: float = 997, decibels: float = 0
) -> list[float]:
    """Return the samples of a tone whose peak is at so many dBFS."""
    peak, step = 10 ** (decibels / 20), 2 * math.pi * hertz / rate
    return [peak * math.sin(step * index) for index in range(round(seconds * rate))]


def wav(
    *channels: Sequence[float],
    rate: int = 48_000,
    bits: int = 16,
    is_float: bool = False,
    mask: int | None = None,
) -> bytes:
    """Return a WAV file with the samples of each channel, where 1.0 is full scale."""
    samples = list(chain.from_iterable(zip(*channels, strict=True)))
    frame_bytes = len(channels) * bits // 8
    tag = FLOAT_TAG if is_float else 1
    fields = struct.pack("<HIIHH", len(channels), rate, rate * frame_bytes, frame_bytes, bits)
    head = struct.pack("<H", tag) + fields
    if mask is not None:
        extension = struct.pack("<HHIH", 22, bits, mask, tag) + GUID_TAIL
        head = struct.pack("<H", EXTENSIBLE_TAG) + fields + extension
    return riff((b"fmt ", head), (b"data", _pack(samples, bits, is_float=is_float)))


def riff(*chunks: tuple[bytes, bytes], size: int | None = None) -> bytes:
    """Return a WAVE file of chunks, which may declare another size."""
    body = b"WAVE" + b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
        for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def facts_of(data: bytes, content_type: str = "audio/wav") -> dict[str, Any]:
    """Return what is measured on the content of a file."""
    return measure_sound(io.BytesIO(data), len(data), content_type)


def _pack(samples: Sequence[float], bits: int, *, is_float: bool) -> bytes:
    if is_float:
        return struct.pack(f"<{len(samples)}{'f' if bits == 32 else 'd'}", *samples)
    full = 1 << (bits - 1)
    whole = [max(min(round(sample * full), full - 1), -full) for sample in samples]
    if bits == 8:
        return bytes(value + 128 for value in whole)
    return b"".join(value.to_bytes(bits // 8, "little", signed=True) for value in whole)
