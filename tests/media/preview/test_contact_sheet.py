"""The contact sheet that shows a model the outputs of a run."""

import io
import math
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from layer_mcp.media.preview.contact_sheet import MAX_BYTES, cell_sizes, contact_sheet
from layer_mcp.media.preview.small_picture import MAX_SIDE, small_picture

from ...support.drawn_pictures import (
    BLUE,
    GREEN,
    RED,
    YELLOW,
    close,
    color_at,
    draw_sheet,
    encode,
    mean_difference,
    noise,
    plain,
    quarters,
    sheet_of,
)


@pytest.mark.parametrize("count", [1, 2, 4, 16])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_sheet_of_noise_stays_within_the_limits(count: int, mode: str) -> None:
    data = draw_sheet([noise(mode)] * count)
    assert data is not None
    assert len(data) <= MAX_BYTES
    assert max(Image.open(io.BytesIO(data)).size) <= MAX_SIDE


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 900), st.integers(1, 900)), min_size=1, max_size=16))
def test_pictures_of_any_size_fit_on_a_sheet(sizes: list[tuple[int, int]]) -> None:
    assert max(sheet_of(*(plain(RED, size) for size in sizes)).size) <= MAX_SIDE


def test_a_sheet_is_a_jpeg() -> None:
    assert sheet_of(plain()).format == "JPEG"


def test_one_picture_keeps_its_aspect_ratio() -> None:
    assert sheet_of(plain(RED, (2000, 1000))).size == (512, 256)


def test_a_small_picture_is_not_scaled_up() -> None:
    assert sheet_of(plain(RED, (40, 30))).size == (40, 30)


def test_shows_a_picture_of_one_row() -> None:
    assert sheet_of(plain(RED, (5000, 1))).size == (512, 1)


def test_pictures_appear_in_their_order() -> None:
    sheet = sheet_of(*(plain(color) for color in (RED, BLUE, GREEN, YELLOW)))
    places = [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)]
    shown = [color_at(sheet, *place) for place in places]
    assert all(map(close, shown, (RED, BLUE, GREEN, YELLOW)))


def test_every_cell_has_its_number() -> None:
    sheet = sheet_of(*[plain()] * 16)
    step = (sheet.width - 4) // 4
    corners = [(4 + step * (i % 4), 4 + step * (i // 4)) for i in range(16)]
    labels = [sheet.crop((x, y, x + 28, y + 20)).convert("L") for x, y in corners]
    # Compression alone causes a difference of up to 4.
    assert all(mean_difference(*pair) > 5 for pair in combinations(labels, 2))


def test_one_picture_has_no_number() -> None:
    assert close(color_at(sheet_of(plain()), 0.03, 0.03), RED)


def test_wide_pictures_are_stacked() -> None:
    assert sheet_of(*[plain(RED, (1600, 400))] * 2).size == (512, 264)


def test_omits_pictures_after_the_sixteenth() -> None:
    assert draw_sheet([plain()] * 17) == draw_sheet([plain()] * 16)


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(plain((0, 0, 0, 0)), id="rgba"),
        pytest.param(encode(Image.new("LA", (300, 300))), id="grey"),
        pytest.param(encode(Image.new("P", (300, 300)), transparency=0), id="palette"),
        pytest.param(encode(Image.new("RGB", (300, 300)), transparency=(0, 0, 0)), id="one colour"),
        pytest.param(encode(Image.new("RGBA", (300, 300)), "WEBP"), id="webp"),
    ],
)
def test_transparent_pictures_get_a_light_checkerboard(picture: bytes) -> None:
    extrema = sheet_of(picture).convert("L").getextrema()
    assert extrema == (pytest.approx(188, abs=9), pytest.approx(222, abs=9))


def test_opaque_pictures_get_no_checkerboard() -> None:
    assert close(color_at(sheet_of(plain((*RED, 255))), 0.5, 0.5), RED)


def test_drops_metadata() -> None:
    exif = Image.Exif()
    exif[0x010E] = "where it was made"
    data = draw_sheet([encode(quarters(), "JPEG", exif=exif, comment=b"secret")])
    assert data is not None
    assert b"where it was made" not in data
    assert b"secret" not in data


def test_returns_no_sheet_without_pictures() -> None:
    assert draw_sheet([]) is None


def test_a_picture_that_cannot_be_decoded_leaves_an_empty_cell() -> None:
    sheet = sheet_of(b"not a picture", plain())
    assert close(color_at(sheet, 0.25, 0.3), (66, 66, 71))
    assert close(color_at(sheet, 0.75, 0.5), RED)


@pytest.mark.parametrize("count", [1, 4])
def test_a_texture_is_repeated_three_times_in_each_direction(count: int) -> None:
    tile = small_picture(encode(quarters((300, 300))), cell_sizes(count), repeat=3)
    data = contact_sheet([tile] * count)
    assert data is not None
    sheet = Image.open(io.BytesIO(data))
    rows = math.isqrt(count)
    cell = sheet.crop((0, 0, sheet.width // rows, sheet.height // rows))
    centers = [(column + 0.5) / 6 for column in range(6)]
    for row, y in enumerate(centers):
        for column, x in enumerate(centers):
            if (row, column) != (0, 0) or count == 1:
                color = ((RED, BLUE), (GREEN, YELLOW))[row % 2][column % 2]
                assert close(color_at(cell, x, y), color), (row, column)


def test_a_small_texture_is_not_scaled_up() -> None:
    data = contact_sheet([small_picture(encode(quarters()), repeat=3)])
    assert data is not None
    assert Image.open(io.BytesIO(data)).size == (192, 96)


@pytest.mark.parametrize("count", range(1, 17))
def test_pictures_that_fit_their_cells_are_not_scaled_again(count: int) -> None:
    picture = small_picture(plain(RED, (2000, 2000)), cell_sizes(count))
    assert picture is not None
    largest = max(min(size) for size in cell_sizes(count))
    assert picture.size == (largest, largest)
    sheet = contact_sheet([picture] * count)
    assert sheet is not None
    assert max(Image.open(io.BytesIO(sheet)).size) <= MAX_SIDE
