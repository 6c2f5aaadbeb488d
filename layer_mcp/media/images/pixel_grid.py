"""Detect the block size of enlarged pixel art."""

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

SAMPLED_LINES = 64
MAX_STEP = 64
MIN_BLOCKS = 8
# Smaller steps are the noise of compression, or the bands of a smooth gradient.
NOISE_LEVELS = 8
MIN_QUIET_SHARE = 0.4
# Of the changes that chance would not put on the grid.
MIN_SHARE_ON_GRID = 0.7
# Of the lines between the first and the last one on which something changes.
MIN_ACTIVE_LINES, MIN_ACTIVE_SHARE = 6, 0.5

Grid = tuple[int, int, int]


def find_pixel_grid(image: "Image.Image") -> Grid | None:
    """Return the side of the blocks of enlarged pixel art, and where the first ones begin (x, y).

    Takes RGB or RGBA. Looks at 64 rows and 64 columns, spread over the image: nearly all of the
    changes between neighbors must be on a grid with the same step, 2 to 64 px, in both directions.
    Returns None for any other image.
    """
    from PIL import Image  # noqa: PLC0415  only runs with pictures need Pillow

    rows = image.resize((image.width, min(SAMPLED_LINES, image.height)), Image.Resampling.NEAREST)
    across = _find_step(_change_profile(rows))
    if across is None:
        return None
    columns = image.resize(
        (min(SAMPLED_LINES, image.width), image.height), Image.Resampling.NEAREST
    )
    down = _find_step(_change_profile(columns.transpose(Image.Transpose.TRANSPOSE)))
    if down is None or down[0] != across[0]:
        return None
    return across[0], across[1], down[1]


def take_blocks(image: "Image.Image", grid: Grid) -> "Image.Image":
    """Return pixel art in its own size, one pixel for each whole block."""
    from PIL import Image  # noqa: PLC0415  only runs with pictures need Pillow

    step, left, top = grid
    size = (image.width - left) // step, (image.height - top) // step
    box = (left, top, left + size[0] * step, top + size[1] * step)
    return image.resize(size, Image.Resampling.NEAREST, box=box)


def _change_profile(lines: "Image.Image") -> "array[float]":
    """Return how much each column differs from the next one, on average over the lines."""
    from PIL import Image, ImageChops  # noqa: PLC0415  only runs with pictures need Pillow

    if lines.mode == "RGBA":
        # Colors of transparent pixels aren't seen.
        seen = Image.new("RGB", lines.size, (128, 128, 128))
        seen.paste(lines, mask=lines)
        lines = seen
    width, height = lines.size
    if width < 2:
        return array("f")
    # Lossy formats keep the brightness, but blur the hues.
    lines = lines.convert("L")
    left, right = lines.crop((0, 0, width - 1, height)), lines.crop((1, 0, width, height))
    changes = ImageChops.difference(left, right)
    heard = changes.point([level if level > NOISE_LEVELS else 0 for level in range(256)])
    averages = heard.convert("F").resize((width - 1, 1), Image.Resampling.BOX)
    return array("f", averages.tobytes())


def _find_step(changes: "array[float]") -> tuple[int, int] | None:
    """Return the largest step of a grid that has the changes on it, and its first line."""
    total = sum(changes)
    if total <= 0:
        return None
    loud = total / len(changes) / 4
    if sum(change < loud for change in changes) < MIN_QUIET_SHARE * len(changes):
        return None
    found: tuple[int, int] | None = None
    for step in range(2, min(MAX_STEP, len(changes) // MIN_BLOCKS) + 1):
        sums = [sum(changes[start::step]) for start in range(step)]
        start = max(range(step), key=sums.__getitem__)
        share = (sums[start] * step / total - 1) / (step - 1)
        if share >= MIN_SHARE_ON_GRID and _is_regular(changes[start::step], loud):
            # The change at index 0 is the one between columns 0 and 1.
            found = step, (start + 1) % step
    return found


def _is_regular(on_grid: "array[float]", loud: float) -> bool:
    """Return whether something changes on most lines of a grid, from one end to the other."""
    active = [number for number, change in enumerate(on_grid) if change >= loud]
    if len(active) < MIN_ACTIVE_LINES:
        return False
    return len(active) >= MIN_ACTIVE_SHARE * (active[-1] - active[0] + 1)
