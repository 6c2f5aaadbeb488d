"""Facts about images, from drawn pictures in files of several encoders."""

import io
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFile
from PIL.GifImagePlugin import GifImageFile

from layer_mcp.media.image_facts import describe_image, measure_image

from ..support.drawn_pictures import encode, grain

TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "AVIF": "image/avif",
    "TIFF": "image/tiff",
    "BMP": "image/bmp",
}
HEADER_NAMES = {"width", "height", "bit_depth", "power_of_two", "frames"}


def facts_of(data: bytes, kind: str = "PNG") -> dict[str, Any]:
    return measure_image(io.BytesIO(data), len(data), TYPES[kind])


def measure(image: Image.Image, kind: str = "PNG", **options: Any) -> dict[str, Any]:
    return facts_of(encode(image, kind, **options), kind)


def sprite(mode: str = "RGBA", side: int = 32) -> Image.Image:
    image = Image.new(mode, (side, side))
    draw = ImageDraw.Draw(image)
    draw.ellipse((4, 4, side - 5, side - 5), fill=(200, 40, 40, 255)[: len(mode)])
    draw.ellipse((8, 8, side - 12, side - 12), fill=(250, 220, 90, 255)[: len(mode)])
    return image


def board_with_subject() -> Image.Image:
    board = Image.new("L", (32, 32))
    board.putdata([255 if (n + n // 32) % 2 else 204 for n in range(1024)])
    picture = board.resize((512, 512), Image.Resampling.NEAREST).convert("RGB")
    ImageDraw.Draw(picture).ellipse((90, 90, 420, 420), fill=(60, 140, 60))
    return picture


def header_png(width: int, height: int) -> bytes:
    """Return the start of a PNG, with a few pixels' worth of data."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + name
            + content
            + struct.pack(">I", zlib.crc32(name + content))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + chunk(b"IDAT", zlib.compress(bytes(99)))
        + chunk(b"IEND", b"")
    )


def test_measures_a_sprite_in_full() -> None:
    picture = sprite().resize((512, 512), Image.Resampling.NEAREST)
    assert measure(picture) == {
        "width": 512,
        "height": 512,
        "bit_depth": 8,
        "power_of_two": True,
        "alpha": "one_bit",
        "transparent_share": pytest.approx(0.567, abs=0.05),
        "seam_x": 1.0,
        "seam_y": 1.0,
        "pixel_grid": 16,
        "colors": 3,
    }


@pytest.mark.parametrize("kind", TYPES)
def test_measures_the_pixels_of_each_format(kind: str) -> None:
    facts = measure(grain((80, 64)).convert("RGB"), kind)
    assert (facts["width"], facts["height"], facts["power_of_two"]) == (80, 64, False)
    assert facts["alpha"] == "none"
    assert facts["seam_x"] == pytest.approx(1, abs=0.5)
    assert "flaw" not in facts


def test_an_opaque_alpha_channel_is_unused() -> None:
    facts = measure(Image.new("RGBA", (64, 64), (90, 80, 70, 255)))
    assert facts["alpha"] == "unused"
    assert "transparent_share" not in facts


def test_an_unused_alpha_channel_changes_nothing_else() -> None:
    picture = grain((200, 200)).convert("RGB")
    plain, with_alpha = measure(picture), measure(picture.convert("RGBA"))
    assert with_alpha == plain | {"alpha": "unused"}


def test_a_shadow_is_soft_alpha() -> None:
    picture = Image.merge(
        "RGBA", (*Image.new("RGB", (256, 256)).split(), Image.linear_gradient("L"))
    )
    facts = measure(picture)
    assert facts["alpha"] == "soft"
    assert facts["transparent_share"] == pytest.approx(0.02, abs=0.003)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_each_format_with_alpha_keeps_its_share(kind: str) -> None:
    picture = Image.new("RGBA", (64, 64))
    picture.paste((200, 40, 40, 255), (0, 16, 64, 64))
    facts = measure(picture, kind)
    assert facts["transparent_share"] == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(encode(sprite().convert("P"), "PNG", transparency=0), id="palette"),
        pytest.param(encode(sprite().convert("LA"), "PNG"), id="gray"),
        pytest.param(encode(sprite("RGB"), "PNG", transparency=(0, 0, 0)), id="one color"),
    ],
)
def test_other_kinds_of_transparency_are_one_bit(picture: bytes) -> None:
    assert facts_of(picture)["alpha"] == "one_bit"


def test_counts_colors_up_to_a_limit() -> None:
    few = grain((512, 512), 60).convert("RGB")
    many = Image.merge("RGB", [grain(seed=seed) for seed in range(3)])
    assert measure(few)["colors"] < 256
    assert "colors" not in measure(many)


def test_measures_16_bit_gray() -> None:
    steps = Image.frombytes("I;16", (64, 64), b"\0\0" * 2048 + b"\0\x80" * 2048)
    facts = measure(steps)
    assert (facts["bit_depth"], facts["colors"]) == (16, 2)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_drawn_checkerboard_is_reported_once(kind: str) -> None:
    facts = measure(board_with_subject(), kind)
    assert facts["drawn_checkerboard"] is True
    assert describe_image(facts) == ["a checkerboard is drawn instead of transparency"]


def test_a_checkerboard_behind_alpha_that_is_hardly_used_is_found() -> None:
    picture = board_with_subject().convert("RGBA")
    picture.putpixel((200, 200), (0, 0, 0, 100))
    facts = measure(picture)
    assert (facts["alpha"], facts["drawn_checkerboard"]) == ("soft", True)


def test_does_not_check_real_transparency_for_a_checkerboard() -> None:
    picture = board_with_subject().convert("RGBA")
    picture.paste((0, 0, 0, 0), (200, 200, 300, 300))
    assert "drawn_checkerboard" not in measure(picture)


def test_reports_the_edges_that_cut_off_a_subject() -> None:
    picture = Image.new("RGB", (256, 256), "white")
    ImageDraw.Draw(picture).ellipse((-80, -90, 150, 140), fill=(150, 50, 40))
    facts = measure(picture)
    assert facts["cut_edges"] == ["left", "top"]
    assert describe_image(facts) == ["the subject is cut at the left and top edges"]


def test_ground_that_continues_at_the_other_edge_is_not_cut_off() -> None:
    ground = Image.new("RGBA", (256, 256))
    ground.paste((90, 60, 30, 255), (0, 128, 256, 200))
    assert "cut_edges" not in measure(ground)


def test_a_photo_has_no_remarks() -> None:
    red, green, blue = (grain((16, 16), seed=seed).resize((256, 256)) for seed in range(3))
    facts = measure(Image.merge("RGB", (red, green, blue)), "JPEG")
    assert facts["seam_x"] > 1.3
    assert describe_image(facts) == []


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_an_animation_has_frames(kind: str) -> None:
    frames = [Image.new("RGB", (64, 64), color) for color in ("red", "lime", "blue")]
    facts = measure(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)
    assert facts["frames"] == 3


@pytest.mark.parametrize(
    ("kind", "share"), [("PNG", 0.6), ("JPEG", 0.6), ("WEBP", 0.6), ("GIF", 0.6)]
)
def test_a_truncated_file_is_reported(kind: str, share: float) -> None:
    data = encode(grain((200, 200)).convert("RGB"), kind)
    facts = facts_of(data[: int(len(data) * share)], kind)
    assert (facts["width"], facts["height"]) == (200, 200)
    assert facts["flaw"] == "it ends too early"
    assert describe_image(facts) == ["it ends too early"]


def test_pixels_that_cannot_be_decoded_are_a_flaw() -> None:
    facts = facts_of(header_png(100, 100))
    assert facts == {
        "width": 100,
        "height": 100,
        "bit_depth": 8,
        "power_of_two": False,
        "flaw": "it can't be decoded",
    }


@pytest.mark.parametrize(
    ("data", "kind", "size"),
    [
        pytest.param(header_png(50_000, 50_000), "PNG", (50_000, 50_000), id="png"),
        pytest.param(
            b"GIF89a" + struct.pack("<HHBBB", 50_000, 50_000, 0, 0, 0) + b"\x3b",
            "GIF",
            (50_000, 50_000),
            id="gif",
        ),
        pytest.param(
            b"BM" + bytes(12) + struct.pack("<IiiHH", 40, 50_000, 50_000, 1, 24) + bytes(24),
            "BMP",
            (50_000, 50_000),
            id="bmp",
        ),
        pytest.param(
            encode(Image.new("1", (6000, 6000)), "TIFF", compression="group4"),
            "TIFF",
            (6000, 6000),
            id="tiff",
        ),
    ],
)
def test_too_many_pixels_are_answered_from_the_header(
    data: bytes, kind: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(_image: ImageFile.ImageFile) -> None:
        pytest.fail("It is decoded.")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    facts = facts_of(data, kind)
    assert (facts["width"], facts["height"]) == size
    assert facts.keys() <= HEADER_NAMES


def test_decodes_one_frame_of_a_gif_with_ten_thousand(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2D\1\0"
    data = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6) + frame * 10_000 + b"\x3b"
    decoded: list[int] = []
    end = GifImageFile.load_end

    def load_end(image: GifImageFile) -> None:
        decoded.append(image.tell())
        end(image)

    monkeypatch.setattr(GifImageFile, "load_end", load_end)
    assert facts_of(data, "GIF")["frames"] == 10_000
    assert decoded == [0]


def test_reads_only_the_header_of_a_file_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layer_mcp.media.image_facts.MAX_FILE_BYTES", 1000)
    facts = measure(grain((100, 100)))
    assert facts == {"width": 100, "height": 100, "bit_depth": 8, "power_of_two": False}


@pytest.mark.parametrize("content_type", ["image/svg+xml", "image/x-unknown", "model/obj", ""])
def test_other_types_have_no_facts(content_type: str) -> None:
    assert measure_image(io.BytesIO(b"<svg/>"), 6, content_type) == {}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n", b"<html></html>" * 20], ids=["0", "8", "page"]
)
def test_a_file_that_is_not_an_image_has_no_size(kind: str, data: bytes) -> None:
    assert facts_of(data, kind).keys() <= {"flaw"}


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (2, 2), (3, 3), (9, 9)], ids=str)
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_measures_any_shape_and_pixel_format(mode: str, size: tuple[int, int]) -> None:
    facts = measure(Image.new(mode, size))
    assert (facts["width"], facts["height"]) == size
    assert "alpha" in facts


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(sorted(TYPES)),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=8),
    st.floats(0, 1),
)
@pytest.mark.slow
def test_a_damaged_file_never_raises(
    kind: str, damage: list[tuple[int, int]], share: float
) -> None:
    data = bytearray(encode(sprite("RGB", 64), kind))
    data = data[: max(1, int(len(data) * share * 1.5))]
    for place, value in damage:
        data[place % len(data)] = value
    describe_image(facts_of(bytes(data), kind))


@settings(deadline=None)
@given(st.sampled_from(sorted(TYPES)), st.binary(max_size=300))
def test_no_bytes_raise(kind: str, data: bytes) -> None:
    starts = {"PNG": b"\x89PNG\r\n\x1a\n", "JPEG": b"\xff\xd8\xff", "GIF": b"GIF89a", "BMP": b"BM"}
    facts_of(starts.get(kind, b"") + data, kind)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda child: st.lists(child, max_size=3) | st.dictionaries(st.text(max_size=5), child),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["drawn_checkerboard", "cut_edges", "flaw", "alpha"]), JSON))
@pytest.mark.slow
def test_facts_of_unknown_origin_never_raise(facts: Mapping[str, Any]) -> None:
    assert all(isinstance(remark, str) for remark in describe_image(facts))
