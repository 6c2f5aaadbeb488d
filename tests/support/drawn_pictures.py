"""Drawn pictures as files, and the sheets that are made of them."""

import io
import random
from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageChops, ImageStat

from layer_mcp.media.preview.contact_sheet import contact_sheet
from layer_mcp.media.preview.small_picture import small_picture

RED, BLUE, GREEN, YELLOW = (220, 40, 40), (40, 40, 220), (40, 200, 40), (220, 220, 40)


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def plain(color: tuple[int, ...] = RED, size: tuple[int, int] = (300, 300)) -> bytes:
    return encode(Image.new("RGB" if len(color) == 3 else "RGBA", size, color))


def noise(mode: str = "RGB", side: int = 512) -> bytes:
    pixels = random.Random(1).randbytes(side * side * len(mode))
    return encode(Image.frombytes(mode, (side, side), pixels), compress_level=1)


def grain(size: tuple[int, int] = (512, 512), spread: int = 255, seed: int = 1) -> Image.Image:
    """Return gray noise around 128, the same each time."""
    pixels = random.Random(seed).randbytes(size[0] * size[1])
    levels = [128 + (level - 128) * spread // 255 for level in range(256)]
    return Image.frombytes("L", size, pixels).point(levels)


def quarters(size: tuple[int, int] = (64, 32)) -> Image.Image:
    image = Image.new("RGB", (2, 2))
    for index, color in enumerate((RED, BLUE, GREEN, YELLOW)):
        image.putpixel((index % 2, index // 2), color)
    return image.resize(size, Image.Resampling.NEAREST)


def draw_sheet(pictures: Sequence[bytes]) -> bytes | None:
    """Draw the sheet of these files."""
    return contact_sheet([small_picture(data) for data in pictures])


def sheet_of(*pictures: bytes) -> Image.Image:
    data = draw_sheet(pictures)
    assert data is not None
    return Image.open(io.BytesIO(data))


def color_at(image: Image.Image, x: float, y: float) -> tuple[int, ...]:
    """Return the color at coordinates between 0 and 1."""
    pixel = image.convert("RGB").getpixel((int(x * image.width), int(y * image.height)))
    assert isinstance(pixel, tuple)
    return pixel


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    return ImageStat.Stat(ImageChops.difference(one, other)).mean[0]


def close(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return all(abs(a - b) < 30 for a, b in zip(one, other, strict=True))
