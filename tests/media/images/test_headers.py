"""Sizes, depths and frames from headers, compared with what Pillow wrote."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from layer_mcp.media.images.headers import CUT, ImageHeader, read_header

from ...support.drawn_pictures import encode, grain

KINDS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "AVIF", "BMP")


def noise(mode: str = "RGB", size: tuple[int, int] = (60, 40)) -> Image.Image:
    return grain(size).convert(mode)


def animation(kind: str, frames: int) -> bytes:
    pictures = [
        Image.new("RGB", (8, 8), (50 * number, 90, 200 - 40 * number)) for number in range(frames)
    ]
    return encode(pictures[0], kind, save_all=True, append_images=pictures[1:], duration=50)


def gif_of(frames: int) -> bytes:
    """Return a GIF of as many frames, of one pixel each."""
    frame = b"\x21\xf9\4\0\1\0\0\0" + b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2D\1\0"
    return b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6) + frame * frames + b"\x3b"


def psd() -> bytes:
    return b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 300, 400, 16, 3) + bytes(14)


def exr(kind: int) -> bytes:
    channels = b"A\0" + struct.pack("<IIII", kind, 0, 1, 1) + b"\0"
    window = struct.pack("<iiii", -10, 0, 389, 299)
    parts = ((b"channels", b"chlist", channels), (b"dataWindow", b"box2i", window))
    return b"v/1\1\2\0\0\0" + b"".join(
        name + b"\0" + form + b"\0" + struct.pack("<I", len(value)) + value
        for name, form, value in parts
    )


def ktx2() -> bytes:
    return b"\xabKTX 20\xbb\r\n\x1a\n" + struct.pack("<4I", 37, 1, 400, 300) + bytes(40)


@pytest.mark.parametrize("kind", KINDS)
def test_reads_the_size_of_each_format(kind: str) -> None:
    header = read_header(encode(noise(), kind), kind)
    assert header == ImageHeader(60, 40, 8)


@pytest.mark.parametrize(
    ("data", "kind", "depth"),
    [
        pytest.param(encode(noise("I;16"), "PNG"), "PNG", 16, id="16-bit png"),
        pytest.param(encode(noise("1"), "PNG"), "PNG", 1, id="png of two colors"),
        pytest.param(encode(noise("P"), "PNG", bits=4), "PNG", 8, id="palette"),
        pytest.param(encode(noise("L"), "TIFF"), "TIFF", 8, id="gray tiff"),
        pytest.param(encode(noise("I;16"), "TIFF"), "TIFF", 16, id="16-bit tiff"),
        pytest.param(encode(noise("RGBA"), "WEBP", lossless=True), "WEBP", 8, id="lossless webp"),
        pytest.param(encode(noise("RGBA"), "WEBP"), "WEBP", 8, id="extended webp"),
        pytest.param(encode(noise(), "JPEG", progressive=True), "JPEG", 8, id="progressive jpeg"),
        pytest.param(encode(noise("P"), "BMP"), "BMP", 8, id="bmp with a palette"),
    ],
)
def test_reads_the_bits_of_a_channel(data: bytes, kind: str, depth: int) -> None:
    assert read_header(data, kind) == ImageHeader(60, 40, depth)


def test_reads_formats_that_pillow_does_not_write() -> None:
    assert read_header(psd(), "PSD") == ImageHeader(400, 300, 16)
    assert read_header(exr(1), "EXR") == ImageHeader(400, 300, 16)
    assert read_header(exr(2), "EXR") == ImageHeader(400, 300, 32)
    assert read_header(ktx2(), "KTX2") == ImageHeader(400, 300)


def test_reads_a_bitmap_from_the_top() -> None:
    data = bytearray(encode(noise(), "BMP"))
    data[22:26] = struct.pack("<i", -40)
    assert read_header(bytes(data), "BMP") == ImageHeader(60, 40, 8)


def test_reads_a_big_endian_tiff() -> None:
    tags = struct.pack(">HHIHHHHII", 256, 3, 1, 60, 0, 257, 4, 1, 40)
    data = b"MM\0*" + struct.pack(">IH", 8, 2) + tags + bytes(4)
    assert read_header(data, "TIFF") == ImageHeader(60, 40, 1)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_counts_the_frames_of_an_animation(kind: str) -> None:
    header = read_header(animation(kind, 5), kind)
    assert header is not None
    assert header.frames == 5


def test_counts_ten_thousand_frames_without_decoding_them() -> None:
    assert read_header(gif_of(10_000), "GIF") == ImageHeader(1, 1, 8, 10_000)


@pytest.mark.parametrize("rest", [-1, 13 + 6 + 10, 13 + 6 + 8 + 9])
def test_a_gif_that_ends_within_a_frame_is_truncated(rest: int) -> None:
    data = encode(noise("P"), "GIF")
    header = read_header(data[:-3] if rest == -1 else gif_of(3)[:rest], "GIF")
    assert header is not None
    assert header.flaw == CUT


def test_an_avif_whose_parts_reach_past_its_end_is_cut() -> None:
    header = read_header(encode(noise(), "AVIF")[:-5], "AVIF")
    assert header == ImageHeader(60, 40, 8, flaw=CUT)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_reads_the_sides_of_a_picture_from_its_start(kind: str) -> None:
    data = encode(noise(), kind)
    header = read_header(data[:1000], kind)
    assert header is not None
    assert (header.width, header.height) == (60, 40)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_a_truncated_header_has_no_sides(kind: str) -> None:
    data = encode(noise(), kind)
    assert {read_header(data[:length], kind) for length in range(24)} == {None}


@pytest.mark.parametrize("kind", [*KINDS, "PSD", "EXR", "KTX2"])
def test_other_files_have_no_header(kind: str) -> None:
    for data in (
        b"",
        b"<html>",
        b"not an image at all, but long enough to look like one",
        bytes(99),
    ):
        assert read_header(data, kind) is None


@given(st.sampled_from([*KINDS, "PSD", "EXR", "KTX2"]), st.data())
@pytest.mark.slow
def test_a_damaged_header_never_raises(kind: str, draw: st.DataObject) -> None:
    whole = {"PSD": psd(), "EXR": exr(1), "KTX2": ktx2()}.get(kind) or encode(noise(), kind)
    data = bytearray(whole[: draw.draw(st.integers(0, len(whole)))])
    for _ in range(draw.draw(st.integers(0, 4))):
        if data:
            data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    read_header(bytes(data), kind)
