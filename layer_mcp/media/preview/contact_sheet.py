"""Draw several small pictures on one sheet, numbered by output."""

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .small_picture import MAX_SIDE, Size, SmallPicture, fit_size, scale_down

if TYPE_CHECKING:
    from PIL import Image

MAX_BYTES = 100_000
MAX_PICTURES = 16
QUALITIES = (85, 75, 65, 55, 45, 35)

GAP_PIXELS = 4
# Leaves room for a label next to the smallest picture; five such cells fill a line.
MIN_CELL_PIXELS = 96
MAX_IN_A_LINE = 5
LABEL_PIXELS = 20
BACKDROP = (44, 44, 48)
EMPTY = (66, 66, 71)
EMPTY_LINE = (96, 96, 102)
LABEL = (20, 20, 22)
LABEL_TEXT = (255, 255, 255)
# Squares as large as JPEG's blocks add few bytes, and both white and black stand out on them.
SQUARE_PIXELS = 8
SQUARES = (188, 222)


def contact_sheet(pictures: "Sequence[SmallPicture | None]") -> bytes | None:
    """Draw the first 16 pictures as a JPEG of at most 512x512 px and 100,000 bytes.

    One picture fills the sheet. Several are arranged in a grid and numbered from 1 in their order;
    None gets a number and an empty cell. Transparent pictures get a light checkerboard as their
    background. Returns None if there is no picture. Blocks while it computes, so call it in a
    thread.
    """
    shown = pictures[:MAX_PICTURES]
    if not any(shown):
        return None
    return _encode(_draw(shown))


def cell_sizes(count: int) -> list[Size]:
    """Return the sizes of the cells in which this many pictures may be shown."""
    if count <= 1:
        return [(MAX_SIDE, MAX_SIDE)]
    return [_cell_size(columns, count) for columns in _column_counts(count)]


def _draw(pictures: "Sequence[SmallPicture | None]") -> "Image.Image":
    from PIL import Image  # noqa: PLC0415  only runs with pictures need Pillow

    first = pictures[0]
    if len(pictures) > 1 or first is None:
        return _draw_grid(pictures)
    image = _fill(first, (MAX_SIDE, MAX_SIDE))
    sheet = Image.new("RGB", image.size)
    _place(sheet, image, (0, 0))
    return sheet


def _draw_grid(pictures: "Sequence[SmallPicture | None]") -> "Image.Image":
    """Arrange the pictures in rows of cells that are as small as possible."""
    from PIL import Image  # noqa: PLC0415  only runs with pictures need Pillow

    columns = _best_columns([picture.size for picture in pictures if picture], len(pictures))
    rows = math.ceil(len(pictures) / columns)
    largest = _cell_size(columns, len(pictures))
    images = [picture and _fill(picture, largest) for picture in pictures]
    width = max(MIN_CELL_PIXELS, *(image.width for image in images if image))
    height = max(MIN_CELL_PIXELS, *(image.height for image in images if image))
    step_x, step_y = width + GAP_PIXELS, height + GAP_PIXELS
    sheet = Image.new("RGB", (columns * step_x + GAP_PIXELS, rows * step_y + GAP_PIXELS), BACKDROP)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        left, top = GAP_PIXELS + column * step_x, GAP_PIXELS + row * step_y
        _draw_cell(sheet, image, (left, top, left + width, top + height), number=index + 1)
    return sheet


def _best_columns(sizes: Sequence[Size], count: int) -> int:
    """Find the number of columns that shows the pictures largest; prefer the squarer grid."""
    square = math.ceil(math.sqrt(count))

    def score(columns: int) -> tuple[int, int]:
        shown = (fit_size(size, _cell_size(columns, count)) for size in sizes)
        return sum(width * height for width, height in shown), -abs(columns - square)

    return max(_column_counts(count), key=score)


def _column_counts(count: int) -> range:
    return range(math.ceil(count / MAX_IN_A_LINE), min(count, MAX_IN_A_LINE) + 1)


def _cell_size(columns: int, count: int) -> Size:
    """Return the largest size of a cell if this many pictures are shown in so many columns."""
    return _cell_pixels(columns), _cell_pixels(math.ceil(count / columns))


def _cell_pixels(count: int) -> int:
    """Return the side of a cell if this many share the side of the sheet."""
    return (MAX_SIDE - GAP_PIXELS * (count + 1)) // count


def _fill(picture: SmallPicture, box: Size) -> "Image.Image":
    """Scale a picture down to a box, with its repetitions."""
    from PIL import Image  # noqa: PLC0415  only runs with pictures need Pillow

    count = picture.repeat
    tile = scale_down(picture.image, fit_size(picture.image.size, box, count))
    if count == 1:
        return tile
    tiled = Image.new(tile.mode, (count * tile.width, count * tile.height))
    for index in range(count * count):
        row, column = divmod(index, count)
        tiled.paste(tile, (column * tile.width, row * tile.height))
    return tiled


def _draw_cell(
    sheet: "Image.Image",
    image: "Image.Image | None",
    cell: tuple[int, int, int, int],
    *,
    number: int,
) -> None:
    left, top, right, bottom = cell
    if image is None:
        _cross_out(sheet, cell)
    else:
        x = left + (right - left - image.width) // 2
        y = top + (bottom - top - image.height) // 2
        _place(sheet, image, (x, y))
    _label(sheet, str(number), (left, top))


def _place(sheet: "Image.Image", picture: "Image.Image", corner: tuple[int, int]) -> None:
    if picture.mode != "RGBA":
        sheet.paste(picture, corner)
        return
    left, top = corner
    board = _checkerboard().crop((left, top, left + picture.width, top + picture.height))
    sheet.paste(board, corner)
    sheet.paste(picture, corner, picture)


def _checkerboard() -> "Image.Image":
    """Draw a board as large as the largest sheet, so that squares align with JPEG's blocks."""
    from PIL import Image  # noqa: PLC0415  only runs with pictures need Pillow

    count = MAX_SIDE // SQUARE_PIXELS
    squares = bytes(SQUARES[(x + y) % 2] for y in range(count) for x in range(count))
    small = Image.frombytes("L", (count, count), squares)
    return small.resize((MAX_SIDE, MAX_SIDE), Image.Resampling.NEAREST)


def _cross_out(sheet: "Image.Image", cell: tuple[int, int, int, int]) -> None:
    from PIL import ImageDraw  # noqa: PLC0415  only runs with pictures need Pillow

    left, top, right, bottom = cell
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((left, top, right - 1, bottom - 1), fill=EMPTY)
    draw.line((left, top, right - 1, bottom - 1), fill=EMPTY_LINE)
    draw.line((left, bottom - 1, right - 1, top), fill=EMPTY_LINE)


def _label(sheet: "Image.Image", text: str, corner: tuple[int, int]) -> None:
    from PIL import ImageDraw, ImageFont  # noqa: PLC0415  only runs with pictures need Pillow

    left, top = corner
    width = LABEL_PIXELS + 8 * (len(text) - 1)
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((left, top, left + width - 1, top + LABEL_PIXELS - 1), fill=LABEL)
    middle = (left + width / 2, top + LABEL_PIXELS / 2)
    draw.text(middle, text, LABEL_TEXT, ImageFont.load_default(size=15), anchor="mm")


def _encode(sheet: "Image.Image") -> bytes:
    """Encode the sheet in the best quality that fits, at half the size if none does."""
    for quality in QUALITIES:
        buffer = io.BytesIO()
        sheet.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= MAX_BYTES:
            return buffer.getvalue()
    return _encode(sheet.reduce(2))
