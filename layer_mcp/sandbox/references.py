"""What the sandbox takes from a reference picture: its colour, or all of it."""

import colorsys
import io
import math
from collections.abc import Iterable

from PIL import Image

from .records import StoredFile

SAMPLE_SIDE_PIXELS = 64
MIN_SATURATION, MIN_VALUE, MIN_ALPHA = 0.25, 0.2, 128


def reference_hue(references: Iterable[StoredFile]) -> float | None:
    """The hue (0-1) of the first reference that has a colour."""
    hues = (_hue(file) for file in references)
    return next((hue for hue in hues if hue is not None), None)


def opened(file: StoredFile) -> Image.Image | None:
    """A file as a picture; None if it is none."""
    try:
        with Image.open(io.BytesIO(file.data)) as image:
            return image.convert("RGBA")
    # Pillow raises many kinds of errors for bytes that are no picture.
    except Exception:
        return None


def _hue(file: StoredFile) -> float | None:
    """The average hue of the saturated pixels, as an angle; None for grey and for no picture."""
    picture = opened(file)
    if picture is None:
        return None
    return _average_hue(picture.resize((SAMPLE_SIDE_PIXELS, SAMPLE_SIDE_PIXELS)).tobytes())


def _average_hue(rgba: bytes) -> float | None:
    east = north = 0.0
    for red, green, blue, alpha in zip(*[iter(rgba)] * 4, strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
        if saturation >= MIN_SATURATION and value >= MIN_VALUE and alpha >= MIN_ALPHA:
            # Bright, strong colours are those that a person sees; a dark backdrop is not.
            weight = saturation * value**2
            east += weight * math.cos(2 * math.pi * hue)
            north += weight * math.sin(2 * math.pi * hue)
    if math.hypot(east, north) < 1:
        return None
    return math.atan2(north, east) / (2 * math.pi) % 1
