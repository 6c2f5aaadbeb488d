"""Inspect the edges of an image: pixel lines, background, and a cut subject."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

EDGES = ("left", "top", "right", "bottom")

# Icons and small sprites usually fill their canvas.
MIN_SIDE = 64
OPAQUE_FROM = 128
# A run is part of the subject if it is this long, and more than half as long as the one further in:
# a ball that touches the frame isn't cut.
MIN_RUN_SHARE, MIN_RUN_PIXELS = 0.02, 4
INSIDE_SHARE, INSIDE_PIXELS = 0.02, 3
MIN_CUT_SHARE = 0.6

BACKGROUND_LEVELS, SUBJECT_LEVELS = 16, 48
MIN_BACKGROUND_SHARE = 0.65
MIN_PLAIN_EDGE_SHARE = 0.98


def edge_line(image: "Image.Image", edge: str, depth: int = 0) -> "Image.Image":
    """Return the line of pixels that is `depth` px away from an edge, without its alpha."""
    width, height = image.size
    boxes = {
        "left": (depth, 0, depth + 1, height),
        "top": (0, depth, width, depth + 1),
        "right": (width - depth - 1, 0, width - depth, height),
        "bottom": (0, height - depth - 1, width, height - depth),
    }
    line = image.crop(boxes[edge])
    return line.convert("RGB") if line.mode == "RGBA" else line


def find_edges_cut_by_alpha(alpha: "Image.Image") -> list[str]:
    """Return the edges that the opaque part of an image touches; empty if it touches all four.

    Takes the alpha channel, of at least 64x64 px. Looks at the outer lines, and at those 2%
    further in.
    """
    return _cut_edges({edge: _opaque_runs(alpha, edge) for edge in EDGES}, alpha.size)


def find_edges_cut_on_background(image: "Image.Image") -> list[str]:
    """Return the edges that the subject of an opaque image on a plain background touches.

    Takes RGB or RGBA, of at least 64x64 px. The background is plain if 65% of the frame has nearly
    the same color, and at least one edge has no other. Returns an empty list without a plain
    background, and if the subject touches all four edges. Looks at the outer lines, and at those 2%
    further in.
    """
    lines = {edge: edge_line(image, edge) for edge in EDGES}
    background = _middle_color(list(lines.values()))
    near = {edge: _count_near(line, background) for edge, line in lines.items()}
    pixels = {edge: line.width * line.height for edge, line in lines.items()}
    if sum(near.values()) < MIN_BACKGROUND_SHARE * sum(pixels.values()):
        return []
    if not any(near[edge] >= MIN_PLAIN_EDGE_SHARE * pixels[edge] for edge in EDGES):
        return []
    runs = {edge: _subject_runs(image, edge, background) for edge in EDGES}
    return _cut_edges(runs, image.size)


def difference_from(line: "Image.Image", color: Sequence[int]) -> "Image.Image":
    """Return how much each pixel of an RGB image differs from a color, in its worst channel."""
    from PIL import Image, ImageChops  # noqa: PLC0415  only runs with pictures need Pillow

    plain = Image.new("RGB", line.size, tuple(color))
    red, green, blue = ImageChops.difference(line, plain).split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue)


def _cut_edges(runs: dict[str, tuple[int, int]], size: tuple[int, int]) -> list[str]:
    """Choose the edges by the longest runs on them and further in."""
    # A trimmed image touches every edge.
    if min(size) < MIN_SIDE or all(outer > 0 for outer, _ in runs.values()):
        return []
    sides = {"left": size[1], "right": size[1], "top": size[0], "bottom": size[0]}
    return [
        edge
        for edge, (outer, inner) in runs.items()
        if outer >= max(MIN_RUN_SHARE * sides[edge], MIN_RUN_PIXELS)
        and outer >= MIN_CUT_SHARE * inner
    ]


def _opaque_runs(alpha: "Image.Image", edge: str) -> tuple[int, int]:
    outer, inner = (edge_line(alpha, edge, depth) for depth in (0, _inside(alpha, edge)))
    return _longest_run(outer, OPAQUE_FROM), _longest_run(inner, OPAQUE_FROM)


def _subject_runs(image: "Image.Image", edge: str, background: Sequence[int]) -> tuple[int, int]:
    lines = (edge_line(image, edge, depth) for depth in (0, _inside(image, edge)))
    outer, inner = (difference_from(line, background) for line in lines)
    return _longest_run(outer, SUBJECT_LEVELS), _longest_run(inner, SUBJECT_LEVELS)


def _inside(image: "Image.Image", edge: str) -> int:
    across = image.width if edge in ("left", "right") else image.height
    return min(max(round(INSIDE_SHARE * across), INSIDE_PIXELS), across - 1)


def _longest_run(line: "Image.Image", least: int) -> int:
    """Return the length of the longest run of pixels that have at least a level."""
    marks = line.point([255 * (level >= least) for level in range(256)]).tobytes()
    return max(len(run) for run in marks.split(b"\0"))


def _middle_color(lines: Sequence["Image.Image"]) -> list[int]:
    """Return the median of each channel over some lines."""
    counts = [sum(level) for level in zip(*(line.histogram() for line in lines), strict=True)]
    return [_median(counts[start : start + 256]) for start in range(0, len(counts), 256)]


def _median(counts: Sequence[int]) -> int:
    left = sum(counts) / 2
    for level, count in enumerate(counts):
        left -= count
        if left <= 0:
            return level
    return len(counts) - 1


def _count_near(line: "Image.Image", color: Sequence[int]) -> int:
    return sum(difference_from(line, color).histogram()[: BACKGROUND_LEVELS + 1])
