"""Small files that declare large pictures: refused by their headers, within little memory."""

import io
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from layer_mcp.media.images.decoding import decoding_bytes, without_metadata
from layer_mcp.media.preview.small_picture import small_picture

MEGABYTE = 1024 * 1024
MAX_GROWTH_MB = 170
THUMBNAIL = b"Exif\0\0\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\x03"
# Draws a small picture, then the others, and prints by how many MB the most memory grew.
MEASURE = """
import re, sys
from pathlib import Path
from layer_mcp.media.preview.small_picture import small_picture
def peak_mb():
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) // 1024
first, *others = [Path(path).read_bytes() for path in sys.argv[1:]]
assert small_picture(first) is not None
before = peak_mb()
for data in others:
    small_picture(data)
print(peak_mb() - before)
"""


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiny_webp(side: int) -> bytes:
    """Return a lossless WebP of some 40 bytes: one color needs no bits for a pixel."""
    data = bytearray(encode(Image.new("RGB", (1, 1)), "WEBP", lossless=True))
    assert data[12:16] == b"VP8L"
    bits = int.from_bytes(data[21:25], "little") & ~0xFFFFFFF
    data[21:25] = (bits | (side - 1) << 14 | (side - 1)).to_bytes(4, "little")
    return bytes(data)


def chunk(name: bytes, content: bytes) -> bytes:
    check = zlib.crc32(name + content).to_bytes(4)
    return len(content).to_bytes(4) + name + content + check


def png_with_texts(count: int) -> bytes:
    """Return a PNG whose texts are small only while they are compressed."""
    text = zlib.compress("\U0001f9ea".encode() + bytes(MEGABYTE - 10))
    plain = encode(Image.new("RGB", (8, 8)), "PNG")
    head, rest = plain[:33], plain[33:]
    texts = (chunk(b"iTXt", b"%d\0\x01\0\0\0" % number + text) for number in range(count))
    return head + b"".join(texts) + rest


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured in /proc")
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(tiny_webp(5000), id="webp"),
        pytest.param(png_with_texts(63), id="png with texts"),
    ],
)
@pytest.mark.slow
def test_a_small_file_takes_little_memory_regardless_of_what_it_declares(
    data: bytes, tmp_path: Path
) -> None:
    assert len(data) < 200_000
    (tmp_path / "first").write_bytes(encode(Image.new("RGB", (8, 8)), "WEBP"))
    (tmp_path / "bomb").write_bytes(data)
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "first"), str(tmp_path / "bomb")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < MAX_GROWTH_MB


@pytest.mark.parametrize(("side", "is_shown"), [(2800, True), (2900, False)])
def test_a_webp_may_have_eight_megapixels(side: int, is_shown: bool) -> None:
    assert (small_picture(tiny_webp(side)) is not None) == is_shown


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_reads_the_size_of_a_png(mode: str) -> None:
    data = encode(Image.new(mode, (300, 200)), "PNG")
    pixel_bytes = {"1": 1, "L": 1, "P": 1, "I;16": 2}.get(mode, 4)
    assert decoding_bytes(data, "PNG", 1024) == (60_000, 60_000 * pixel_bytes)


@pytest.mark.parametrize(
    "options",
    [{}, {"lossless": True}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}],
    ids=["lossy", "lossless", "extended"],
)
def test_reads_the_size_of_a_webp(options: dict[str, Any]) -> None:
    data = encode(Image.new("RGB", (300, 200)), "WEBP", **options)
    assert decoding_bytes(data, "WEBP", 1024) == (60_000, 60_000 * 20)


@pytest.mark.parametrize(
    ("size", "options", "size_bytes"),
    [
        ((300, 200), {}, 60_000 * 4),
        ((300, 200), {"progressive": True}, 60_000 * 10),
        ((2048, 2048), {}, 1024 * 1024 * 4),
        ((2048, 2047), {}, 2048 * 2047 * 4),
        (
            (300, 200),
            {"exif": b"Exif\0\0" + b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\x03"},
            240_000,
        ),
    ],
    ids=["baseline", "progressive", "reduced", "not reduced", "with a thumbnail"],
)
def test_reads_the_size_of_a_jpeg(
    size: tuple[int, int], options: dict[str, Any], size_bytes: int
) -> None:
    data = encode(Image.new("RGB", size), "JPEG", **options)
    assert decoding_bytes(data, "JPEG", 1024) == (size[0] * size[1], size_bytes)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_a_truncated_header_has_no_size(kind: str) -> None:
    data = encode(Image.new("RGB", (300, 200)), kind)
    for length in range(24):
        assert decoding_bytes(data[:length], kind, 1024) in (None, (0, 0))


def test_drops_a_second_png_header() -> None:
    plain = encode(Image.new("RGB", (8, 8)), "PNG")
    large = chunk(b"IHDR", (20_000).to_bytes(4) * 2 + plain[24:29])
    assert without_metadata(plain[:33] + large + plain[33:]) == plain


def test_a_copy_without_texts_keeps_what_shows() -> None:
    picture = Image.new("P", (8, 8))
    picture.putpalette([255, 0, 0] * 4)
    plain = encode(picture, "PNG", transparency=0)
    assert without_metadata(plain[:33] + chunk(b"tEXt", b"a\0b") + plain[33:]) == plain
