"""Checkerboards that are drawn where transparency was meant, and pictures without one."""

import io
from collections.abc import Callable

import pytest
from PIL import Image, ImageDraw, ImageFilter

from layer_mcp.media.images.checkerboard import has_drawn_checkerboard

from ...support.drawn_pictures import grain

Drawing = Callable[[], Image.Image]


def board(side: int = 512, square: float = 16, shades: tuple[int, int] = (255, 204)) -> Image.Image:
    image = Image.new("RGB", (side, side))
    draw = ImageDraw.Draw(image)
    count = int(side / square) + 1
    for row in range(count):
        for column in range(count):
            corners = (column * square, row * square, (column + 1) * square, (row + 1) * square)
            draw.rectangle(corners, fill=(shades[(row + column) % 2],) * 3)
    return image


def with_subject(image: Image.Image) -> Image.Image:
    """Draw an object that covers much of it, and is cut at the bottom."""
    width, height = image.size
    box = (width * 0.15, height * 0.1, width * 0.85, height * 1.1)
    ImageDraw.Draw(image).ellipse(box, fill=(160, 40, 30))
    return image


def as_jpeg(image: Image.Image, quality: int = 80) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def with_noise(image: Image.Image) -> Image.Image:
    noise = grain(image.size, 18).convert("RGB")
    return Image.blend(image, noise, 0.5).point(
        [min(255, 2 * max(0, n - 64)) for n in range(256)] * 3
    )


@pytest.mark.parametrize(
    "draw",
    [
        pytest.param(board, id="plain"),
        pytest.param(lambda: board(128, 8), id="small"),
        pytest.param(lambda: board(1024, 32), id="large"),
        pytest.param(lambda: board(512, 21.3), id="squares of no whole pixels"),
        pytest.param(lambda: board(shades=(255, 239)), id="faint"),
        pytest.param(lambda: board(shades=(204, 153)), id="gray"),
        pytest.param(lambda: board(shades=(153, 102)), id="dark"),
        pytest.param(lambda: with_subject(board()), id="subject"),
        pytest.param(lambda: as_jpeg(with_subject(board())), id="jpeg"),
        pytest.param(lambda: as_jpeg(with_subject(board(1024, 24)), 50), id="poor jpeg"),
        pytest.param(lambda: with_subject(board().filter(ImageFilter.GaussianBlur(2))), id="soft"),
        pytest.param(lambda: with_noise(with_subject(board())), id="noisy"),
    ],
)
def test_finds_a_drawn_checkerboard(draw: Drawing) -> None:
    assert has_drawn_checkerboard(draw())


def stripes() -> Image.Image:
    return board().crop((0, 0, 512, 1)).resize((512, 512))


def grid() -> Image.Image:
    image = Image.new("RGB", (512, 512), "white")
    for at in range(0, 512, 16):
        image.paste((204, 204, 204), (at, 0, at + 8, 512))
        image.paste((204, 204, 204), (0, at, 512, at + 8))
    return image


def bricks() -> Image.Image:
    image = Image.new("RGB", (512, 512), (230, 230, 230))
    draw = ImageDraw.Draw(image)
    for row in range(32):
        for column in range(-1, 16):
            left = column * 32 + 16 * (row % 2)
            draw.rectangle((left, row * 16, left + 28, row * 16 + 13), fill=(190, 188, 186))
    return image


def gray_noise() -> Image.Image:
    return grain((512, 512)).convert("RGB")


def coarse_noise() -> Image.Image:
    noise = grain((32, 32)).point([255 * (n > 127) for n in range(256)])
    shades = noise.point([255 if n else 204 for n in range(256)])
    return shades.resize((512, 512), Image.Resampling.NEAREST).convert("RGB")


def tinted() -> Image.Image:
    return Image.merge(
        "RGB", (board().getchannel(0), board().getchannel(1), Image.new("L", (512, 512), 90))
    )


@pytest.mark.parametrize(
    "draw",
    [
        pytest.param(lambda: with_subject(Image.new("RGB", (512, 512), "white")), id="white"),
        pytest.param(
            lambda: as_jpeg(with_subject(Image.new("RGB", (512, 512), "white"))), id="jpeg"
        ),
        pytest.param(lambda: Image.linear_gradient("L").convert("RGB"), id="gradient"),
        pytest.param(gray_noise, id="noise"),
        pytest.param(coarse_noise, id="blocks of noise"),
        pytest.param(stripes, id="stripes"),
        pytest.param(grid, id="grid"),
        pytest.param(bricks, id="bricks"),
        pytest.param(tinted, id="yellow and white"),
        pytest.param(lambda: board(shades=(255, 0)), id="chess"),
        pytest.param(lambda: Image.new("RGB", (1, 1)), id="one pixel"),
        pytest.param(lambda: Image.new("RGB", (600, 1)), id="one row"),
    ],
)
def test_finds_no_checkerboard_in_other_pictures(draw: Drawing) -> None:
    assert not has_drawn_checkerboard(draw())


def test_a_board_at_one_edge_only_may_be_the_subject() -> None:
    image = Image.new("RGB", (512, 512), (40, 80, 60))
    image.paste(board(512).crop((0, 0, 512, 128)), (0, 384))
    assert not has_drawn_checkerboard(image)
