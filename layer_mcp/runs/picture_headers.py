"""What decoding a picture would take, by its own header, before anything is decoded.

A file of fifty bytes can declare a picture of hundreds of megabytes.
"""

from collections.abc import Iterator

from ..files.media_structure import JPEG_FRAMES

PNG_SIGNATURE_BYTES = 8
PNG_CHUNK_BYTES = 12
PNG_GRAY, PNG_PALETTE = 0, 3
# What shows in a small copy: the pixels, their transparency, and which side is up.
PNG_KEPT = frozenset((b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"))
MAX_EXIF_BYTES = 65_536

JPEG_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
JPEG_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xDA)))
JPEG_SCAN, JPEG_START_OF_SCAN = 0xDA, b"\xff\xda"
JPEG_SCALES = (8, 4, 2)
JPEG_COEFFICIENT_BYTES = 2

PIXEL_BYTES = 4
# libwebp keeps two canvases and the pixels of a frame; Pillow copies them twice.
WEBP_PIXEL_BYTES = 20


def decoding_bytes(data: bytes, kind: str, side: int) -> tuple[int, int] | None:
    """Return the pixels that a PNG, JPEG or WebP declares, and what decoding them takes in bytes.

    A JPEG that is larger than `side` is reduced while it is decoded. Returns None if the header
    can't be read.
    """
    readers = {"PNG": _png, "WEBP": _webp}
    try:
        return _jpeg(data, side) if kind == "JPEG" else readers[kind](data)
    except IndexError:
        return None


def without_metadata(png: bytes) -> bytes:
    """Return a PNG without texts, color profiles and frames, which may be compressed bombs."""
    parts = [png[:PNG_SIGNATURE_BYTES]]
    for name, chunk in _png_chunks(png):
        is_first = name != b"IHDR" or len(parts) == 1
        is_small = name != b"eXIf" or len(chunk) <= MAX_EXIF_BYTES
        if name in PNG_KEPT and is_first and is_small:
            parts.append(chunk)
    return b"".join(parts)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name of each chunk and all of its bytes."""
    offset = PNG_SIGNATURE_BYTES
    while offset + PNG_CHUNK_BYTES <= len(data):
        end = offset + PNG_CHUNK_BYTES + int.from_bytes(data[offset : offset + 4])
        yield data[offset + 4 : offset + 8], data[offset:end]
        offset = end
    if offset < len(data):
        yield data[offset + 4 : offset + 8], data[offset:]


def _png(data: bytes) -> tuple[int, int]:
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    depth, color = data[24], data[25]
    is_narrow = color in (PNG_GRAY, PNG_PALETTE)
    pixel_bytes = max(depth // 8, 1) if is_narrow else PIXEL_BYTES
    return width * height, width * height * pixel_bytes


def _webp(data: bytes) -> tuple[int, int] | None:
    name, start = data[12:16], data[20:30]
    if len(start) < 10:
        return None
    if name == b"VP8X":
        width = int.from_bytes(start[4:7], "little") + 1
        height = int.from_bytes(start[7:10], "little") + 1
    elif name == b"VP8L":
        bits = int.from_bytes(start[1:5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width = int.from_bytes(start[6:8], "little") & 0x3FFF
        height = int.from_bytes(start[8:10], "little") & 0x3FFF
    return width * height, width * height * WEBP_PIXEL_BYTES


def _jpeg(data: bytes, side: int) -> tuple[int, int] | None:
    """Take the largest frame before the first scan; decoders differ in which one they use."""
    frames = [_jpeg_frame(data, offset, side) for offset in _find_jpeg_frames(data)]
    return max(frames, key=lambda frame: frame[1]) if frames else None


def _find_jpeg_frames(data: bytes) -> Iterator[int]:
    """Yield where the segments begin that say how large the picture is."""
    offset = 2
    while offset + 4 <= len(data):
        if data[offset] != 0xFF or data[offset + 1] in (0x00, 0xFF):
            # Decoders skip what is between segments.
            offset += 1
            continue
        marker = data[offset + 1]
        if marker == JPEG_SCAN:
            return
        if marker in JPEG_FRAMES:
            yield offset
        has_length = marker not in JPEG_WITHOUT_LENGTH
        offset += 2 + (int.from_bytes(data[offset + 2 : offset + 4]) if has_length else 0)


def _jpeg_frame(data: bytes, offset: int, side: int) -> tuple[int, int]:
    height = int.from_bytes(data[offset + 5 : offset + 7])
    width = int.from_bytes(data[offset + 7 : offset + 9])
    components = data[offset + 9]
    pixels = width * height
    fits = (scale for scale in JPEG_SCALES if min(width, height) >= side * scale)
    decoded_bytes = pixels * PIXEL_BYTES // next(fits, 1) ** 2
    if data[offset + 1] in JPEG_PROGRESSIVE or data.count(JPEG_START_OF_SCAN) > 1:
        # All coefficients of the whole picture are kept until the last scan.
        decoded_bytes += pixels * components * JPEG_COEFFICIENT_BYTES
    return pixels, decoded_bytes
