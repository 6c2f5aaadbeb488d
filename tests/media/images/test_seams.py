"""The step that is seen where a texture meets itself, on drawn textures."""

import math

import pytest
from PIL import Image, ImageChops, ImageFilter

from layer_mcp.media.images.seams import measure_seams

from ...support.drawn_pictures import grain

SIDES = [64, 1024]


def waves(side: int) -> Image.Image:
    """Return whole waves in x and y, which meet at the edges."""
    levels = bytes(round(127 + 100 * math.sin(2 * math.pi * 4 * n / side)) for n in range(side))
    across = Image.frombytes("L", (side, 1), levels).resize((side, side))
    down = Image.frombytes("L", (1, side), levels).resize((side, side))
    return Image.blend(across, down, 0.5).convert("RGB")


def with_step(image: Image.Image, levels: int) -> Image.Image:
    """Brighten the left half, which makes a step at the edge in x and one in the middle."""
    half = image.crop((0, 0, image.width // 2, image.height))
    image = image.copy()
    image.paste(ImageChops.add(half, Image.new("RGB", half.size, (levels,) * 3)))
    return image


@pytest.mark.parametrize("side", SIDES)
def test_a_texture_that_meets_itself_has_a_ratio_of_one(side: int) -> None:
    assert measure_seams(waves(side)) == (pytest.approx(1, abs=0.2), pytest.approx(1, abs=0.2))


def test_noise_that_meets_itself_by_nature_has_a_ratio_of_one() -> None:
    noise = grain((512, 512)).convert("RGB")
    assert measure_seams(noise) == (pytest.approx(1, abs=0.15), pytest.approx(1, abs=0.15))


@pytest.mark.parametrize("side", SIDES)
def test_half_a_wave_too_much_is_a_seam_in_that_direction(side: int) -> None:
    cut = waves(side).crop((0, 0, side - side // 8 - 1, side))
    seam_x, seam_y = measure_seams(cut)
    assert seam_y == pytest.approx(1, abs=0.2)
    assert seam_x is not None
    assert seam_x > 1.3


def test_the_ratio_is_that_of_the_steps() -> None:
    # Steps of 2 inside, and one of 126 from the last column to the first.
    ramp = Image.frombytes("L", (64, 1), bytes(range(0, 128, 2))).resize((64, 64)).convert("RGB")
    assert measure_seams(ramp) == (63.0, 1.0)


def test_an_invisible_step_is_not_a_seam() -> None:
    assert measure_seams(with_step(Image.new("RGB", (64, 64), (90, 90, 90)), 2)) == (1.0, 1.0)


def test_a_step_in_one_channel_counts() -> None:
    image = Image.new("RGB", (64, 64), (90, 90, 90))
    image.paste((190, 90, 90), (0, 0, 32, 64))
    seam_x, _ = measure_seams(image.filter(ImageFilter.GaussianBlur(6)))
    assert seam_x is not None
    assert seam_x > 3


def test_colors_of_transparent_pixels_are_not_seen() -> None:
    image = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    image.paste((0, 0, 0, 0), (32, 0, 64, 64))
    assert measure_seams(image) == (1.0, 1.0)


def test_a_side_of_a_few_pixels_has_no_ratio() -> None:
    assert measure_seams(Image.new("RGB", (7, 64))) == (None, 1.0)
