"""Draw the waveform of a WAV file as a small picture."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO

from ..sounds.pcm import PcmReader, read_wav
from .small_picture import SmallPicture

if TYPE_CHECKING:
    from PIL import Image

MAX_FILE_BYTES = 64 * 1024 * 1024
CLIPPED = 0.999

WIDTH, HEIGHT = 512, 176
# Drawing larger and scaling down smooths the lines.
OVERSAMPLING = 2
MARGIN_PIXELS = 24
BACKDROP = (22, 24, 31)
AXIS, LIMIT = (74, 80, 94), (44, 48, 58)
WAVE, CLIPPED_WAVE = (92, 178, 255), (255, 96, 84)
TEXT, TEXT_PIXELS = (178, 184, 196), 13

Peak = tuple[float, float]


@dataclass(frozen=True)
class Peaks:
    """The lowest and highest samples of equal parts of a sound, from -1 to 1."""

    columns: Sequence[Peak]
    duration_seconds: float

    @property
    def highest(self) -> float:
        """Return the largest distance from silence, from 0 to 1."""
        return max(max(-low, high) for low, high in self.columns)


def read_peaks(file: BinaryIO, columns: int) -> Peaks | None:
    """Return the peaks over all channels in a number of columns; fewer for a few samples.

    Returns None for a file that isn't a WAV, is larger than 64 MB, or has no samples that can be
    read.
    """
    size_bytes = file.seek(0, io.SEEK_END)
    sound = read_wav(file, size_bytes)
    if size_bytes > MAX_FILE_BYTES or not sound.frames or not sound.sample_rate_hz:
        return None
    reader, count = PcmReader(file, sound), min(columns, sound.frames)
    edges = [sound.frames * column // count for column in range(count + 1)]
    extremes = (reader.read_extremes(end - start) for start, end in pairwise(edges))
    peaks = [(_clamp(low), _clamp(high)) for low, high in extremes]
    return Peaks(peaks, sound.duration_seconds)


def draw_waveform(data: bytes) -> SmallPicture | None:
    """Draw the waveform of a WAV file with its length and peak, or return None; see `read_peaks`.

    Clipped parts are red. Blocks while it computes, so call it in a thread.
    """
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415  only previews need Pillow

    peaks = read_peaks(io.BytesIO(data), WIDTH)
    if peaks is None:
        return None
    scale = OVERSAMPLING
    large = Image.new("RGB", (WIDTH * scale, HEIGHT * scale), BACKDROP)
    _draw_columns(large, peaks)
    image = large.reduce(scale)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=TEXT_PIXELS)
    # The nearest to full scale that a whole number comes isn't -0.0.
    level = round(20 * math.log10(peaks.highest), 1) + 0.0 if peaks.highest > 0 else -math.inf
    middle = HEIGHT - MARGIN_PIXELS / 2
    draw.text((8, middle), f"{peaks.duration_seconds:.1f} s", TEXT, font, anchor="lm")
    draw.text((WIDTH - 8, middle), f"peak {level:.1f} dBFS", TEXT, font, anchor="rm")
    return SmallPicture(image)


def _draw_columns(image: "Image.Image", peaks: Peaks) -> None:
    from PIL import ImageDraw  # noqa: PLC0415  only previews need Pillow

    draw = ImageDraw.Draw(image)
    top, bottom = OVERSAMPLING * MARGIN_PIXELS / 2, image.height - OVERSAMPLING * MARGIN_PIXELS
    middle, reach = (top + bottom) / 2, (bottom - top) / 2
    for level, color in ((1, LIMIT), (-1, LIMIT), (0, AXIS)):
        y = middle - level * reach
        draw.line((0, y, image.width, y), fill=color, width=OVERSAMPLING)
    count = len(peaks.columns)
    for column, (low, high) in enumerate(peaks.columns):
        left, right = image.width * column // count, image.width * (column + 1) // count - 1
        color = CLIPPED_WAVE if max(-low, high) >= CLIPPED else WAVE
        # Silence is a line too.
        box = (left, middle - high * reach - 1, right, middle - low * reach + 1)
        draw.rectangle(box, fill=color)


def _clamp(value: float) -> float:
    return max(-1.0, min(1.0, value)) if math.isfinite(value) else 0.0
