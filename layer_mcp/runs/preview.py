"""One small picture that shows a model the outputs of a run."""

import io
import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from ..api.client import LayerClient
from ..api.models import Output
from ..errors import LayerError
from ..files.folders import PrivateFolders, read_file
from ..files.media_files import MEGABYTE, is_image, sniff
from .picture_headers import decoding_bytes, without_metadata

if TYPE_CHECKING:
    from PIL import Image

MAX_SIDE = 512
MAX_BYTES = 100_000
MAX_PICTURES = 16
PICTURES_AT_ONCE = 4
MAX_PICTURE_BYTES = 20 * MEGABYTE
MAX_PIXELS = 25_000_000
MAX_DECODING_BYTES = 160 * MEGABYTE
# A JPEG is reduced to no less than this while it is decoded.
DRAFT_SIDE = 2 * MAX_SIDE
START_OF_SCAN, MAX_SCANS = b"\xff\xda", 40

FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
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

logger = logging.getLogger(__name__)


async def make_preview(
    client: LayerClient,
    outputs: Sequence[Output],
    paths: Mapping[int, Path],
    *,
    limiter: anyio.CapacityLimiter,
    private: PrivateFolders,
) -> bytes | None:
    """Load the outputs that can be seen and draw them as one small JPEG, or return None.

    `paths` are those of the saved outputs by their numbers, from 1; files in `private` are not
    opened. Threads that draw take a token of `limiter`.
    """
    # What cannot be seen keeps its place, so that the numbers are those of the outputs.
    pictures: list[SmallPicture | None] = [None] * min(len(outputs), MAX_PICTURES)
    slots = anyio.Semaphore(PICTURES_AT_ONCE)

    async def load(index: int) -> None:
        async with slots:
            data = await _load(client, outputs[index], paths.get(index + 1), private)
            if data:
                # Nothing in it changes anything: the thread may be left at the deadline.
                pictures[index] = await to_thread.run_sync(
                    small_picture, data, limiter=limiter, abandon_on_cancel=True
                )

    try:
        async with anyio.create_task_group() as tasks:
            for index in range(len(pictures)):
                tasks.start_soon(load, index)
        return await to_thread.run_sync(contact_sheet, pictures, limiter=limiter)
    # A picture is a courtesy: without it the answer is as good.
    except Exception:
        logger.exception("No preview could be made")
        return None


def contact_sheet(pictures: "Sequence[SmallPicture | None]") -> bytes | None:
    """Draw the first 16 pictures as a JPEG of at most 512x512 px and 100,000 bytes.

    One picture fills the sheet. Several are arranged in a grid and numbered from 1 in their order;
    None gets a number and an empty cell. Transparent pictures get a light checkerboard as their
    background. Returns None if there is no picture. Blocks while it computes, so call it in a
    thread.
    """
    shown = [picture.image if picture else None for picture in pictures[:MAX_PICTURES]]
    if not any(shown):
        return None
    return _encode(_draw(shown))


@dataclass(frozen=True)
class SmallPicture:
    """A picture in RGB or RGBA, upright, and at most 512 px on a side."""

    image: "Image.Image"


def small_picture(data: bytes) -> SmallPicture | None:
    """Scale a PNG, JPEG, or WebP down, never up.

    Returns None for any other file, one that can't be decoded, one of more than 25 megapixels, or
    one that takes more than 160 MB to decode: a WebP of more than 8 megapixels. Blocks while it
    computes, so call it in a thread, one at a time.
    """
    kind = FORMATS.get(sniff(data[:64]) or "")
    if kind is None or not _is_affordable(data, kind):
        return None
    from PIL import Image  # noqa: PLC0415  only runs with pictures need Pillow

    with warnings.catch_warnings():
        # Pillow warns about large pictures and broken metadata; both are handled here.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        try:
            shown = without_metadata(data) if kind == "PNG" else data
            image = Image.open(io.BytesIO(shown), formats=(kind,))
            return SmallPicture(_rotate_upright(_shrink(image)))
        # Every decoder raises its own errors for broken files, such as SyntaxError.
        except Exception:
            return None


def _is_affordable(data: bytes, kind: str) -> bool:
    """Return whether a picture's own header announces no more than may be decoded."""
    # Every scan of a progressive JPEG is decoded over the whole picture: many take minutes. In
    # other formats the two bytes mean nothing and are common.
    if kind == "JPEG" and data.count(START_OF_SCAN) > MAX_SCANS:
        return False
    declared = decoding_bytes(data, kind, DRAFT_SIDE)
    if declared is None:
        return False
    pixels, size_bytes = declared
    return pixels <= MAX_PIXELS and size_bytes <= MAX_DECODING_BYTES


def _shrink(image: "Image.Image") -> "Image.Image":
    """Scale to at most 512 px on a side, and convert to RGB or RGBA."""
    from PIL import Image  # noqa: PLC0415  only runs with pictures need Pillow

    has_transparency = image.has_transparency_data
    # Reduce a JPEG while it is decoded, then subsample what is still large without a copy.
    image.draft(None, (DRAFT_SIDE, DRAFT_SIDE))
    image.thumbnail((4 * MAX_SIDE, 4 * MAX_SIDE), Image.Resampling.NEAREST, reducing_gap=None)
    if image.mode == "I;16":
        # Pillow clips 16-bit gray at 255, so take the high bytes, which come second.
        image = Image.frombytes("L", image.size, image.tobytes()[1::2])
    small = image.convert("RGBA" if has_transparency else "RGB")
    small.thumbnail((MAX_SIDE, MAX_SIDE))
    return small


def _rotate_upright(image: "Image.Image") -> "Image.Image":
    """Rotate or flip a picture by its EXIF orientation (1-8)."""
    from PIL import ExifTags, Image  # noqa: PLC0415  only runs with pictures need Pillow

    transposes = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    try:
        transpose = transposes.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        # Broken metadata is no reason to lose the picture.
        return image
    return image if transpose is None else image.transpose(transpose)


def _draw(pictures: "Sequence[Image.Image | None]") -> "Image.Image":
    from PIL import Image  # noqa: PLC0415  only runs with pictures need Pillow

    first = pictures[0]
    if len(pictures) > 1 or first is None:
        return _draw_grid(pictures)
    sheet = Image.new("RGB", first.size)
    _place(sheet, first, (0, 0))
    return sheet


def _draw_grid(pictures: "Sequence[Image.Image | None]") -> "Image.Image":
    """Arrange the pictures in rows of cells that are as small as possible."""
    from PIL import Image  # noqa: PLC0415  only runs with pictures need Pillow

    columns = _best_columns([p.size for p in pictures if p], len(pictures))
    rows = math.ceil(len(pictures) / columns)
    for picture in filter(None, pictures):
        picture.thumbnail((_cell_pixels(columns), _cell_pixels(rows)))
    width = max(MIN_CELL_PIXELS, *(picture.width for picture in pictures if picture))
    height = max(MIN_CELL_PIXELS, *(picture.height for picture in pictures if picture))
    step_x, step_y = width + GAP_PIXELS, height + GAP_PIXELS
    sheet = Image.new("RGB", (columns * step_x + GAP_PIXELS, rows * step_y + GAP_PIXELS), BACKDROP)
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        left, top = GAP_PIXELS + column * step_x, GAP_PIXELS + row * step_y
        cell = (left, top, left + width, top + height)
        _fill_cell(sheet, picture, cell, number=index + 1)
    return sheet


def _best_columns(sizes: Sequence[tuple[int, int]], count: int) -> int:
    """Find the number of columns that shows the pictures largest; prefer the squarer grid."""
    square = math.ceil(math.sqrt(count))

    def score(columns: int) -> tuple[int, int]:
        box = _cell_pixels(columns), _cell_pixels(math.ceil(count / columns))
        return sum(_shown_pixels(size, box) for size in sizes), -abs(columns - square)

    fewest = math.ceil(count / MAX_IN_A_LINE)
    return max(range(fewest, min(count, MAX_IN_A_LINE) + 1), key=score)


def _shown_pixels(size: tuple[int, int], box: tuple[int, int]) -> int:
    """Count the pixels of a picture that is scaled down to fit a box."""
    scale = min(1, box[0] / size[0], box[1] / size[1])
    return round(size[0] * scale) * round(size[1] * scale)


def _cell_pixels(count: int) -> int:
    """Return the side of a cell if this many share the side of the sheet."""
    return (MAX_SIDE - GAP_PIXELS * (count + 1)) // count


def _fill_cell(
    sheet: "Image.Image",
    picture: "Image.Image | None",
    cell: tuple[int, int, int, int],
    *,
    number: int,
) -> None:
    left, top, right, bottom = cell
    if picture is None:
        _cross_out(sheet, cell)
    else:
        x = left + (right - left - picture.width) // 2
        y = top + (bottom - top - picture.height) // 2
        _place(sheet, picture, (x, y))
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


async def _load(
    client: LayerClient, output: Output, path: Path | None, private: PrivateFolders
) -> bytes:
    """Return a picture of an output: Layer's small one, else the output; empty for none."""
    if not output.preview_url and not is_image(output.content_type):
        return b""
    if path and not output.preview_url:
        return await to_thread.run_sync(_read_small_file, path, private)
    sink = io.BytesIO()
    try:
        url = output.preview_url or output.url or ""
        await client.download(url, sink, max_bytes=MAX_PICTURE_BYTES)
    except LayerError as error:
        logger.info("No preview: %s", error)
        return b""
    return sink.getvalue()


def _read_small_file(path: Path, private: PrivateFolders) -> bytes:
    try:
        return read_file(path, MAX_PICTURE_BYTES, private) or b""
    except OSError:
        return b""
