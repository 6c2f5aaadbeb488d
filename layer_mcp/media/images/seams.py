"""Measure how visible a texture's seams are when it's tiled."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

PERCENTILE = 0.98
SAMPLED_BANDS, BAND_PIXELS = 8, 8
# A step of two of 255 levels is invisible.
UNSEEN_LEVELS = 2
MIN_SIDE = 8


def measure_seams(image: "Image.Image") -> tuple[float | None, float | None]:
    """Return the seam ratios in x and y: 1 is seamless, 3 is three times the usual step.

    The step from the last column to the first is compared with the steps between neighboring
    columns inside, each at the 98th percentile over pixels and channels. The whole edge is looked
    at, and inside eight bands of 8 columns. The same for rows. Takes RGB or RGBA. None stands for
    a direction with less than 8 px.
    """
    return _seam(image, 0), _seam(image, 1)


def _seam(image: "Image.Image", axis: int) -> float | None:
    length = image.size[axis]
    if length < MIN_SIDE:
        return None
    edge = _steps([(_strip(image, axis, length - 1, length), _strip(image, axis, 0, 1))])
    inner = _steps(_neighbors(image, axis, start, end) for start, end in _bands(length))
    seam, usual = _percentile(edge), max(_percentile(inner), UNSEEN_LEVELS)
    return round(max(seam / usual, 1.0), 2)


def _neighbors(
    image: "Image.Image", axis: int, start: int, end: int
) -> "tuple[Image.Image, Image.Image]":
    """Return all columns or rows of a band but its last one, and all but its first one."""
    band = _strip(image, axis, start, end)
    count = end - start
    return _strip(band, axis, 0, count - 1), _strip(band, axis, 1, count)


def _bands(length: int) -> Iterator[tuple[int, int]]:
    """Yield where bands begin and end that are spread evenly; all of a short side is one band."""
    if length <= SAMPLED_BANDS * (BAND_PIXELS + 1):
        yield 0, length
        return
    for index in range(SAMPLED_BANDS):
        start = (length - BAND_PIXELS - 1) * index // (SAMPLED_BANDS - 1)
        yield start, start + BAND_PIXELS + 1


def _strip(image: "Image.Image", axis: int, start: int, end: int) -> "Image.Image":
    """Return columns (axis 0) or rows (axis 1) of an image."""
    box = (start, 0, end, image.height) if axis == 0 else (0, start, image.width, end)
    strip = image.crop(box)
    # Colors of transparent pixels aren't seen.
    return strip.convert("RGBa") if strip.mode == "RGBA" else strip


def _steps(pairs: "Iterable[tuple[Image.Image, Image.Image]]") -> list[int]:
    """Count the differences of each size, from 0 to 255, over pixels and channels."""
    from PIL import ImageChops  # noqa: PLC0415  only runs with pictures need Pillow

    counts = [ImageChops.difference(one, other).histogram() for one, other in pairs]
    channels = (many[start : start + 256] for many in counts for start in range(0, len(many), 256))
    return [sum(levels) for levels in zip(*channels, strict=True)]


def _percentile(counts: Sequence[int]) -> int:
    """Return the smallest difference that at least 98% are not larger than."""
    left = PERCENTILE * sum(counts)
    for level, count in enumerate(counts):
        left -= count
        if left <= 0:
            return level
    return len(counts) - 1
