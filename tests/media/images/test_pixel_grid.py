"""The blocks of enlarged pixel art, and pictures that have none."""

import io

import pytest
from PIL import Image, ImageDraw, ImageFilter

from layer_mcp.media.images.pixel_grid import find_pixel_grid, take_blocks

from ...support.drawn_pictures import grain

NEAREST = Image.Resampling.NEAREST


def sprite(side: int = 32, mode: str = "RGB") -> Image.Image:
    """Return a round object in a few colors, with an outline."""
    image = Image.new(mode, (side, side), (30, 40, 60, 0)[: len(mode)])
    draw = ImageDraw.Draw(image)
    for number, color in enumerate([(20, 10, 20), (200, 40, 40), (240, 120, 90), (250, 230, 200)]):
        inset = 2 + number * side // 10
        draw.ellipse((inset, inset, side - inset - number, side - inset - 1), fill=color)
    return image


def enlarged(step: int, mode: str = "RGB", side: int = 32) -> Image.Image:
    image = sprite(side, mode)
    return image.resize((side * step, side * step), NEAREST)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("step", [2, 3, 8, 16, 32])
def test_finds_the_blocks_of_enlarged_pixel_art(step: int, mode: str) -> None:
    assert find_pixel_grid(enlarged(step, mode)) == (step, 0, 0)


def test_finds_blocks_that_begin_outside() -> None:
    cropped = enlarged(8).crop((3, 5, 256, 256))
    assert find_pixel_grid(cropped) == (8, 5, 3)


def test_finds_the_blocks_of_a_narrow_sprite_on_a_large_canvas() -> None:
    canvas = Image.new("RGBA", (32, 32))
    canvas.paste(sprite(16, "RGBA").crop((2, 0, 12, 16)), (11, 8))
    assert find_pixel_grid(canvas.resize((512, 512), NEAREST)) == (16, 0, 0)


@pytest.mark.parametrize("quality", [75, 95])
def test_finds_blocks_after_lossy_compression(quality: int) -> None:
    buffer = io.BytesIO()
    enlarged(16).save(buffer, "JPEG", quality=quality)
    assert find_pixel_grid(Image.open(buffer).convert("RGB")) == (16, 0, 0)


@pytest.mark.parametrize("grid", [(8, 0, 0), (8, 5, 3)])
def test_takes_one_pixel_of_each_whole_block(grid: tuple[int, int, int]) -> None:
    left, top = (8 - start if start else 0 for start in grid[1:])
    image = enlarged(8).crop((left, top, 256, 256))
    first = 1 if left else 0
    expected = sprite().crop((first, first, 32, 32))
    assert take_blocks(image, grid).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(sprite(), id="not enlarged"),
        pytest.param(sprite(256).resize((512, 512), Image.Resampling.BICUBIC), id="smooth"),
        pytest.param(grain((512, 512)).convert("RGB"), id="noise"),
        pytest.param(grain((64, 64)).convert("RGB").resize((512, 512)), id="blurred noise"),
        pytest.param(Image.new("RGB", (512, 512), "red"), id="plain"),
        pytest.param(Image.linear_gradient("L").resize((1024, 1024)).convert("RGB"), id="gradient"),
        pytest.param(
            Image.merge(
                "RGB",
                (
                    Image.linear_gradient("L").resize((1024, 1024), NEAREST),
                    Image.linear_gradient("L").rotate(90).resize((1024, 1024), NEAREST),
                    Image.new("L", (1024, 1024)),
                ),
            ),
            id="gradients in bands",
        ),
        pytest.param(
            grain((512, 512)).filter(ImageFilter.GaussianBlur(4)).convert("RGB"),
            id="clouds",
        ),
        pytest.param(enlarged(8).resize((256, 128), NEAREST), id="stretched"),
        pytest.param(Image.new("RGB", (1, 1)), id="one pixel"),
        pytest.param(Image.new("RGB", (1, 400)), id="one column"),
    ],
)
def test_other_images_have_no_grid(image: Image.Image) -> None:
    assert find_pixel_grid(image) is None


def test_a_few_straight_lines_are_not_a_grid() -> None:
    image = Image.new("RGB", (512, 512), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((128, 128, 383, 383), fill="black")
    draw.rectangle((192, 192, 319, 319), fill="red")
    assert find_pixel_grid(image) is None


def test_colors_of_transparent_pixels_are_not_seen() -> None:
    image = enlarged(8, "RGBA")
    noise = grain(image.size).convert("RGB")
    clear = image.getchannel("A").point([255] + [0] * 255)
    image.paste(Image.merge("RGBA", (*noise.split(), Image.new("L", image.size))), mask=clear)
    assert find_pixel_grid(image) == (8, 0, 0)
