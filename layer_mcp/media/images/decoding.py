"""Open images for decoding only if that takes limited time and memory.

A file of fifty bytes can declare a picture of hundreds of megabytes.
"""

import io
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..containers.parts import PNG_CHECK_BYTES, PNG_HEAD_BYTES, PartReader, png_chunks
from .headers import JpegFrame, find_jpeg_frames, read_header

if TYPE_CHECKING:
    from PIL import Image

HEADER_ONLY = frozenset(("PSD", "EXR", "KTX2"))

MAX_PIXELS = 25_000_000
MAX_DECODING_BYTES = 160 * 1024 * 1024
PIXEL_BYTES = 4
# libwebp keeps two canvases and the pixels of a frame; Pillow copies them twice.
WEBP_PIXEL_BYTES = 20
# The planes or numbers of another decoder, its canvas, and Pillow's copy.
OTHER_PIXEL_BYTES = 12
PNG_COLOR_OFFSET, PNG_GRAY, PNG_PALETTE = 25, 0, 3
# What shows in a small copy: the pixels, their transparency, and which side is up.
PNG_KEPT = frozenset((b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"))
MAX_EXIF_BYTES = 65_536
JPEG_SCALES, JPEG_COEFFICIENT_BYTES = (8, 4, 2), 2
START_OF_SCAN, MAX_SCANS = b"\xff\xda", 40


def is_affordable(data: bytes, kind: str, side: int) -> bool:
    """Return whether an image's header declares no more than is affordable to decode.

    25 megapixels and 160 MB are the most, so a WebP may have 8 megapixels. A JPEG that is larger
    than `side` is reduced while it is decoded.
    """
    if kind in HEADER_ONLY:
        return False
    # Every scan of a progressive JPEG is decoded over the whole picture: many take minutes. In
    # other formats the two bytes mean nothing and are common.
    if kind == "JPEG" and data.count(START_OF_SCAN) > MAX_SCANS:
        return False
    declared = decoding_bytes(data, kind, side)
    if declared is None:
        return False
    pixels, size_bytes = declared
    return pixels <= MAX_PIXELS and size_bytes <= MAX_DECODING_BYTES


def decoding_bytes(data: bytes, kind: str, side: int) -> tuple[int, int] | None:
    """Return the pixels that an image declares, and what decoding them takes in bytes.

    A JPEG that is larger than `side` is reduced while it is decoded. Returns None if the header
    can't be read.
    """
    header = read_header(data, kind)
    if header is None:
        return None
    if kind == "JPEG":
        frames = (_jpeg_bytes(data, frame, side) for frame in find_jpeg_frames(data))
        return max(frames, key=lambda frame: frame[1])
    pixel_bytes = WEBP_PIXEL_BYTES if kind == "WEBP" else OTHER_PIXEL_BYTES
    if kind == "PNG":
        is_narrow = data[PNG_COLOR_OFFSET] in (PNG_GRAY, PNG_PALETTE)
        pixel_bytes = max((header.bit_depth or 0) // 8, 1) if is_narrow else PIXEL_BYTES
    pixels = header.width * header.height
    return pixels, pixels * pixel_bytes


def _jpeg_bytes(data: bytes, frame: JpegFrame, side: int) -> tuple[int, int]:
    pixels, shorter = frame.width * frame.height, min(frame.width, frame.height)
    fits = (scale for scale in JPEG_SCALES if shorter >= side * scale)
    decoded_bytes = pixels * PIXEL_BYTES // next(fits, 1) ** 2
    if frame.is_progressive or data.count(START_OF_SCAN) > 1:
        # All coefficients of the whole picture are kept until the last scan.
        decoded_bytes += pixels * frame.components * JPEG_COEFFICIENT_BYTES
    return pixels, decoded_bytes


@contextmanager
def quiet_pillow() -> Generator[None]:
    """Suppress Pillow's warnings about large pictures and broken metadata, which are handled."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def open_image(data: bytes, kind: str) -> "Image.Image":
    """Open an affordable image without its texts and profiles, without decoding it.

    Raises:
        Exception: the file is broken. Every decoder raises its own errors, such as SyntaxError.
    """
    from PIL import Image  # noqa: PLC0415  only runs with pictures need Pillow

    shown = without_metadata(data) if kind == "PNG" else data
    image = Image.open(io.BytesIO(shown), formats=(kind,))
    # A frame of a GIF may be larger than the whole of it.
    if image.width * image.height > MAX_PIXELS:
        raise ValueError("The image is larger than it declared.")
    return image


def without_metadata(png: bytes) -> bytes:
    """Return a PNG without texts, color profiles and frames, which may be compressed bombs."""
    parts = [png[:PNG_HEAD_BYTES]]
    for chunk in png_chunks(PartReader(io.BytesIO(png), len(png))):
        is_first = chunk.name != b"IHDR" or len(parts) == 1
        is_small = chunk.name != b"eXIf" or chunk.end - chunk.start <= MAX_EXIF_BYTES
        if chunk.name in PNG_KEPT and is_first and is_small:
            parts.append(png[chunk.start - 8 : chunk.end + PNG_CHECK_BYTES])
    return b"".join(parts)


def to_8_bits(image: "Image.Image") -> "Image.Image":
    """Return 16-bit gray as 8-bit gray, and any other image as it is."""
    from PIL import Image  # noqa: PLC0415  only runs with pictures need Pillow

    if image.mode != "I;16":
        return image
    # Pillow clips 16-bit gray at 255, so take the high bytes, which come second.
    return Image.frombytes("L", image.size, image.tobytes()[1::2])
