"""Subjects that are cut at the frame, on transparency and on a plain background."""

import pytest
from PIL import Image, ImageDraw, ImageFilter

from layer_mcp.media.images.edges import (
    EDGES,
    find_edges_cut_by_alpha,
    find_edges_cut_on_background,
)

from ...support.drawn_pictures import grain

SIDES = [64, 1024]
CENTERS = {"left": (0, 0.5), "top": (0.5, 0), "right": (1, 0.5), "bottom": (0.5, 1)}


def ball(side: int, x: float, y: float, radius: float = 0.3) -> Image.Image:
    """Return a ball as an alpha channel; places and radius are shares of the side."""
    alpha = Image.new("L", (side, side))
    box = ((x - radius) * side, (y - radius) * side, (x + radius) * side, (y + radius) * side)
    ImageDraw.Draw(alpha).ellipse(box, fill=255)
    return alpha


def on_background(alpha: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    image = Image.new("RGB", alpha.size, background)
    image.paste((150, 50, 40), mask=alpha)
    return image


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("side", SIDES)
def test_finds_the_edge_that_cuts_a_subject_on_transparency(side: int, edge: str) -> None:
    assert find_edges_cut_by_alpha(ball(side, *CENTERS[edge])) == [edge]


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("background", [(255, 255, 255), (20, 60, 30)], ids=str)
@pytest.mark.parametrize("side", SIDES)
def test_finds_the_edge_that_cuts_a_subject_on_a_background(
    side: int, background: tuple[int, int, int], edge: str
) -> None:
    image = on_background(ball(side, *CENTERS[edge]), background)
    assert find_edges_cut_on_background(image) == [edge]


def test_finds_two_edges_in_the_corner() -> None:
    assert find_edges_cut_by_alpha(ball(256, 0, 0)) == ["left", "top"]
    white = (255, 255, 255)
    assert find_edges_cut_on_background(on_background(ball(256, 1, 1), white)) == [
        "right",
        "bottom",
    ]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("x", [0.5, 0.305], ids=["in the middle", "touches"])
def test_a_whole_ball_is_not_cut_off(side: int, x: float) -> None:
    alpha = ball(side, x, 0.5)
    assert find_edges_cut_by_alpha(alpha) == []
    assert find_edges_cut_on_background(on_background(alpha, (255, 255, 255))) == []


def test_a_subject_that_touches_all_edges_is_not_cut() -> None:
    alpha = ball(256, 0.5, 0.5, radius=0.6)
    assert find_edges_cut_by_alpha(alpha) == []
    assert find_edges_cut_by_alpha(Image.new("L", (256, 256), 255)) == []


def test_a_sprite_that_was_trimmed_is_not_cut() -> None:
    flag = Image.new("L", (256, 256))
    draw = ImageDraw.Draw(flag)
    draw.rectangle((0, 0, 20, 255), fill=255)
    draw.polygon(((20, 0), (255, 60), (20, 120)), fill=255)
    assert find_edges_cut_by_alpha(flag) == []


def test_a_small_sprite_may_fill_its_canvas() -> None:
    assert find_edges_cut_by_alpha(ball(32, 0, 0.5)) == []


def test_a_faint_shadow_at_the_edge_is_not_cut() -> None:
    shadow = ball(256, 0, 0.5).point([0] * 255 + [100])
    assert find_edges_cut_by_alpha(shadow) == []


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(Image.new("RGB", (256, 256), "white"), id="blank"),
        pytest.param(grain((256, 256)).convert("RGB"), id="noise"),
        pytest.param(Image.linear_gradient("L").convert("RGB"), id="gradient"),
        pytest.param(
            grain((256, 256)).filter(ImageFilter.GaussianBlur(8)).convert("RGB"),
            id="clouds",
        ),
        pytest.param(Image.new("RGB", (1, 1)), id="one pixel"),
    ],
)
def test_a_picture_without_a_subject_is_not_reported_as_cut_off(image: Image.Image) -> None:
    assert find_edges_cut_on_background(image) == []


def test_a_landscape_is_not_cut() -> None:
    sky = Image.new("RGB", (256, 256), (180, 210, 240))
    sky.paste((60, 120, 50), (0, 120, 256, 256))
    assert find_edges_cut_on_background(sky) == []
