"""The contact sheet that shows a model the outputs of a run."""

import io
import random
import warnings
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageFile, ImageOps, ImageStat

from layer_mcp.runs.preview import MAX_BYTES, MAX_SIDE, contact_sheet, small_picture

RED, BLUE, GREEN, YELLOW = (220, 40, 40), (40, 40, 220), (40, 200, 40), (220, 220, 40)

# An image description whose text is beyond the end of the data.
CUT_EXIF = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x0e\x01\x02\0\xff\0\0\0\xff\x0f\0\0\0\0\0\0"


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def plain(color: tuple[int, ...] = RED, size: tuple[int, int] = (300, 300)) -> bytes:
    return encode(Image.new("RGB" if len(color) == 3 else "RGBA", size, color))


def noise(mode: str = "RGB", side: int = 512) -> bytes:
    pixels = random.Random(1).randbytes(side * side * len(mode))
    return encode(Image.frombytes(mode, (side, side), pixels), compress_level=1)


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


def test_rejects_a_jpeg_with_many_scans() -> None:
    few = encode(quarters(), "JPEG", progressive=True)
    assert small_picture(few) is not None
    assert small_picture(few + b"\xff\xda" * 41) is None


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_other_formats_may_contain_the_bytes_of_jpeg_scans(kind: str) -> None:
    assert small_picture(encode(quarters(), kind) + b"\xff\xda" * 41) is not None


@pytest.mark.parametrize(("width", "is_shown"), [(5000, True), (5001, False)])
def test_rejects_a_picture_with_too_many_pixels(width: int, is_shown: bool) -> None:
    assert (small_picture(encode(Image.new("1", (width, 5000)))) is not None) == is_shown


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


@pytest.mark.parametrize("orientation", range(1, 9))
def test_rotates_a_picture_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = encode(quarters(), "JPEG", exif=exif, quality=95, subsampling=0)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(picture)))
    sheet = sheet_of(picture)
    assert sheet.size == upright.size
    places = [(x, y) for x in (0.25, 0.75) for y in (0.25, 0.75)]
    assert all(close(color_at(sheet, *place), color_at(upright, *place)) for place in places)


def test_broken_metadata_does_not_lose_the_picture() -> None:
    picture = encode(quarters(), "JPEG", exif=b"Exif\0\0no metadata")
    assert sheet_of(picture).size == (64, 32)


def test_drops_metadata() -> None:
    exif = Image.Exif()
    exif[0x010E] = "where it was made"
    data = draw_sheet([encode(quarters(), "JPEG", exif=exif, comment=b"secret")])
    assert data is not None
    assert b"where it was made" not in data
    assert b"secret" not in data


def test_16_bit_gray_is_not_clipped() -> None:
    picture = encode(Image.frombytes("I;16", (50, 50), b"\x00\x80" * 2500))
    assert close(color_at(sheet_of(picture), 0.5, 0.5), (128, 128, 128))


@pytest.mark.parametrize("mode", ["1", "L", "CMYK"])
def test_shows_other_pixel_formats(mode: str) -> None:
    image = Image.new("RGB", (300, 300), (255, 255, 255)).convert(mode)
    picture = encode(image, "JPEG" if mode == "CMYK" else "PNG")
    assert close(color_at(sheet_of(picture), 0.5, 0.5), (255, 255, 255))


def test_scales_a_large_picture_down() -> None:
    sheet = sheet_of(encode(quarters((4900, 4900)), "JPEG"))
    assert sheet.size == (512, 512)
    assert close(color_at(sheet, 0.75, 0.25), BLUE)


@pytest.mark.parametrize("side", [9000, 10_000, 20_000])
def test_rejects_too_many_pixels_without_decoding(
    side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[object] = []

    def load(image: ImageFile.ImageFile) -> None:
        decoded.append(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    assert draw_sheet([encode(Image.new("1", (side, side)))]) is None
    assert decoded == []


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(encode(Image.new("1", (10_000, 10_000))), id="large"),
        pytest.param(encode(quarters(), "JPEG", exif=CUT_EXIF), id="broken metadata"),
    ],
)
def test_raises_no_warning(picture: bytes) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        draw_sheet([picture])
    assert caught == []


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"not a picture", id="text"),
        pytest.param(encode(quarters(), "GIF"), id="gif"),
        pytest.param(encode(quarters(), "BMP"), id="bmp"),
        pytest.param(plain()[:40], id="png without pixels"),
        pytest.param(noise(side=100)[:20_000], id="cut png"),
        pytest.param(encode(quarters((500, 500)), "JPEG")[:-900], id="cut jpeg"),
        pytest.param(encode(quarters((500, 500)), "WEBP")[:-90], id="cut webp"),
    ],
)
def test_returns_no_sheet_for_files_that_cannot_be_decoded(data: bytes) -> None:
    assert draw_sheet([data]) is None


def test_returns_no_sheet_without_pictures() -> None:
    assert draw_sheet([]) is None


def test_a_picture_that_cannot_be_decoded_leaves_an_empty_cell() -> None:
    sheet = sheet_of(b"not a picture", plain())
    assert close(color_at(sheet, 0.25, 0.3), (66, 66, 71))
    assert close(color_at(sheet, 0.75, 0.5), RED)


@settings(deadline=None)
@given(
    st.sampled_from(["PNG", "JPEG", "WEBP"]),
    st.lists(st.tuples(st.integers(12, 4000), st.integers(0, 255)), max_size=8),
)
def test_a_damaged_picture_never_raises(kind: str, damage: list[tuple[int, int]]) -> None:
    data = bytearray(encode(quarters(), kind))
    for place, value in damage:
        data[place % len(data)] = value
    draw_sheet([bytes(data), bytes(data)])
