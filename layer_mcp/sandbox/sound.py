"""A short chime as WAV, with notes that depend on an item's seed."""

import array
import io
import math
import sys
import wave

from .pictures import Item

SAMPLE_RATE_HZ = 16_000
SCALE = (0, 3, 5, 7, 10, 12)


def make_chime(item: Item, duration_seconds: float) -> bytes:
    """Return three fading notes as a WAV file, 16-bit mono."""
    count = int(SAMPLE_RATE_HZ * duration_seconds)
    notes = [220 * 2 ** (SCALE[(item.seed >> 3 * n) % len(SCALE)] / 12) for n in (0, 1, 2)]
    samples = array.array("h", (_sample(notes, n / SAMPLE_RATE_HZ) for n in range(count)))
    if sys.byteorder == "big":
        samples.byteswap()
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        out.writeframes(samples.tobytes())
    return buffer.getvalue()


def _sample(notes_hz: list[float], at_seconds: float) -> int:
    loudness = math.exp(-2.5 * at_seconds)
    tone = sum(math.sin(2 * math.pi * note * at_seconds) for note in notes_hz) / len(notes_hz)
    return round(28_000 * loudness * tone)
