"""Pictures that are decoded within bounds and scaled down for a preview."""

import io
import warnings
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps

from layer_mcp.media.preview.small_picture import small_picture

from ...support.drawn_pictures import (
    BLUE,
    RED,
    close,
    color_at,
    draw_sheet,
    encode,
    noise,
    plain,
    quarters,
    sheet_of,
)

# An image description whose text is beyond the end of the data.
CUT_EXIF = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x0e\x01\x02\0\xff\0\0\0\xff\x0f\0\0\0\0\0\0"


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
@pytest.mark.slow
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
    "drawn",
    [
        pytest.param(lambda: encode(Image.new("1", (10_000, 10_000))), id="large"),
        pytest.param(lambda: encode(quarters(), "JPEG", exif=CUT_EXIF), id="broken metadata"),
    ],
)
def test_raises_no_warning(drawn: Callable[[], bytes]) -> None:
    picture = drawn()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        draw_sheet([picture])
    assert caught == []


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"not a picture", id="text"),
        pytest.param(plain()[:40], id="png without pixels"),
        pytest.param(noise(side=100)[:20_000], id="cut png"),
        pytest.param(encode(quarters((500, 500)), "JPEG")[:-900], id="cut jpeg"),
        pytest.param(encode(quarters((500, 500)), "WEBP")[:-90], id="cut webp"),
    ],
)
def test_returns_no_sheet_for_files_that_cannot_be_decoded(data: bytes) -> None:
    assert draw_sheet([data]) is None


@settings(deadline=None)
@given(
    st.sampled_from(["PNG", "JPEG", "WEBP"]),
    st.lists(st.tuples(st.integers(12, 4000), st.integers(0, 255)), max_size=8),
)
@pytest.mark.slow
def test_a_damaged_picture_never_raises(kind: str, damage: list[tuple[int, int]]) -> None:
    data = bytearray(encode(quarters(), kind))
    for place, value in damage:
        data[place % len(data)] = value
    draw_sheet([bytes(data), bytes(data)])


def test_fills_the_box_in_which_it_is_largest() -> None:
    picture = small_picture(plain(RED, (1000, 500)), [(100, 100), (300, 90), (60, 400)])
    assert picture is not None
    assert picture.size == (180, 90)


def test_a_picture_on_its_side_fills_the_box_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = small_picture(encode(quarters((800, 400)), "JPEG", exif=exif), [(100, 200)])
    assert picture is not None
    assert picture.size == (100, 200)


def test_repetitions_share_the_box() -> None:
    picture = small_picture(plain(RED, (900, 900)), [(300, 300)], repeat=3)
    assert picture is not None
    assert (picture.image.size, picture.size) == ((100, 100), (300, 300))


@pytest.mark.parametrize(("alpha", "mode"), [(255, "RGB"), (254, "RGBA")])
def test_an_alpha_channel_is_dropped_if_it_is_opaque(alpha: int, mode: str) -> None:
    picture = small_picture(plain((*RED, alpha)))
    assert picture is not None
    assert picture.image.mode == mode
