"""Detect a gray checkerboard that was drawn instead of transparency."""

import re
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from .edges import EDGES, edge_line

if TYPE_CHECKING:
    from PIL import Image

# Editors show transparency as white and light gray, the dark ones as two grays.
DARKEST_LEVEL = 90
MIN_CONTRAST, MAX_CONTRAST = 6, 110
NEUTRAL_LEVELS = 20
# Both shades together fill at least half of the line, each a fifth.
MIN_SHADES_SHARE, MIN_SHADE_SHARE = 0.5, 0.15
SHADE_LEVELS = 5

MIN_SQUARE_PIXELS = 3
MIN_SQUARES = 6
SQUARE_TOLERANCE = 0.3
MIN_REGULAR_SHARE = 0.6
MIN_AGREEING_SHARE = 0.8
MIN_EDGES = 2
DEPTH_SHARE = 0.01

RUN = re.compile(rb"0+|1+")


def has_drawn_checkerboard(image: "Image.Image") -> bool:
    """Return whether a checkerboard of two light grays seems to be drawn at the frame.

    Takes RGB or RGBA. Looks at a few lines along each edge: two edges must show squares of about
    the same size, which alternate along the edge and away from it.
    """
    sizes = sorted(size for edge in EDGES if (size := _square_pixels(image, edge)) is not None)
    return any(
        after <= before * (1 + SQUARE_TOLERANCE)
        for before, after in zip(sizes, sizes[MIN_EDGES - 1 :], strict=False)
    )


def _square_pixels(image: "Image.Image", edge: str) -> float | None:
    """Return the side of the squares along an edge, if there are squares."""
    across = image.width if edge in ("left", "right") else image.height
    start = max(1, round(DEPTH_SHARE * across))
    if start >= across:
        return None
    line = edge_line(image, edge, start)
    shades = _find_shades(line)
    if shades is None:
        return None
    side = _regular_run(_classify(line, shades))
    if side is None or start + 3 * side >= across:
        return None
    # The first line may run along the border of two rows of squares.
    for depth in (start, start + round(side / 2)):
        here, next_row, second_row = (
            _classify(edge_line(image, edge, depth + round(row * side)), shades) for row in range(3)
        )
        is_opposite = _agreement(here, next_row) <= 1 - MIN_AGREEING_SHARE
        if is_opposite and _agreement(here, second_row) >= MIN_AGREEING_SHARE:
            return side
    return None


def _find_shades(line: "Image.Image") -> tuple[int, int] | None:
    """Return the two light grays that most of a line consists of, the darker one first."""
    from PIL import ImageChops  # noqa: PLC0415  only runs with pictures need Pillow

    red, green, blue = line.split()
    one, other = ImageChops.difference(red, green), ImageChops.difference(green, blue)
    colored = ImageChops.lighter(one, other).histogram()
    pixels = line.width * line.height
    if sum(colored[:NEUTRAL_LEVELS]) < MIN_SHADES_SHARE * pixels:
        return None
    counts = green.histogram()
    first = _most_common(counts)
    rest = [0 if abs(level - first) < MIN_CONTRAST else count for level, count in enumerate(counts)]
    second = _most_common(rest)
    masses = [_mass(counts, first), _mass(rest, second)]
    shades = min(first, second), max(first, second)
    is_board = (
        shades[0] >= DARKEST_LEVEL
        and MIN_CONTRAST <= shades[1] - shades[0] <= MAX_CONTRAST
        and min(masses) >= MIN_SHADE_SHARE * pixels
        and sum(masses) >= MIN_SHADES_SHARE * pixels
    )
    return shades if is_board else None


def _most_common(counts: Sequence[int]) -> int:
    """Return the level with the most pixels near it."""
    return max(range(256), key=lambda level: (_mass(counts, level), counts[level]))


def _mass(counts: Sequence[int], level: int) -> int:
    return sum(counts[max(0, level - SHADE_LEVELS) : level + SHADE_LEVELS + 1])


def _classify(line: "Image.Image", shades: tuple[int, int]) -> bytes:
    """Return "0" for a pixel of the darker shade, "1" for the lighter one, "-" for others."""
    dark, light = shades
    middle = (dark + light) / 2
    reach = (light - dark) / 2 + SHADE_LEVELS
    marks = bytes(
        ord("-") if abs(level - middle) > reach + SHADE_LEVELS else ord("0") + (level > middle)
        for level in range(256)
    )
    return line.getchannel(1).tobytes().translate(marks)


def _regular_run(marks: bytes) -> float | None:
    """Return the usual length of the runs, if most of the line consists of such runs."""
    lengths = [len(run) for run in RUN.findall(marks)]
    long = [length for length in lengths if length >= MIN_SQUARE_PIXELS]
    if len(long) < MIN_SQUARES:
        return None
    usual = median(long)
    regular = [n for n in long if abs(n - usual) <= max(SQUARE_TOLERANCE * usual, 1)]
    if len(regular) < MIN_SQUARES or sum(regular) < MIN_REGULAR_SHARE * len(marks):
        return None
    return sum(regular) / len(regular)


def _agreement(one: bytes, other: bytes) -> float:
    """Return the share of pixels that have the same shade in two lines, of those that have any."""
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a != 45 and b != 45]
    return sum(a == b for a, b in pairs) / len(pairs) if pairs else 0.5
