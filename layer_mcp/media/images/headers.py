"""Read an image's size, bit depth and frames from its headers, without decoding it.

Sources: PNG (W3C, with the animation chunks of its third edition), JPEG (ITU-T T.81), WebP
(RFC 9649), GIF89a, TIFF 6.0, AVIF (ISO 23008-12 and AV1's binding), BMP, Photoshop's file format,
OpenEXR's file layout and KTX 2.0.
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ..containers.parts import (
    CUT,
    JPEG_FRAMES,
    BrokenFileError,
    PartReader,
    TooManyPartsError,
    boxes,
    jpeg_segments,
    png_chunks,
    riff_chunks,
)

# Media types, and the names of their formats: Pillow's, where it has one.
KINDS = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/avif": "AVIF",
    "image/tiff": "TIFF",
    "image/bmp": "BMP",
    "image/vnd.adobe.photoshop": "PSD",
    "image/x-exr": "EXR",
    "image/ktx2": "KTX2",
}

# GIF says how long each block of at most 255 bytes is. All of 64 MB may be such blocks.
MAX_GIF_BLOCKS = 400_000
PNG_PALETTE = 3
JPEG_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
GIF_IMAGE, GIF_EXTENSION, GIF_END = 0x2C, 0x21, 0x3B
TIFF_WIDTH, TIFF_HEIGHT, TIFF_BITS = 256, 257, 258
TIFF_SHORT, TIFF_LONG = 3, 4
MAX_TIFF_ENTRIES = 1000
AVIF_PROPERTIES_BYTES = 65_536
EXR_BITS = {0: 32, 1: 16, 2: 32}
MAX_EXR_ATTRIBUTES, MAX_EXR_NAME_BYTES = 1000, 256


@dataclass(frozen=True)
class ImageHeader:
    """Pixels as stored, bits of each channel if known, and frames if it is an animation.

    `flaw` is set if the parts of the file reach past its end.
    """

    width: int
    height: int
    bit_depth: int | None = None
    frames: int = 1
    flaw: str | None = None


@dataclass(frozen=True)
class JpegFrame:
    """What a frame of a JPEG says before it."""

    width: int
    height: int
    bit_depth: int
    components: int
    is_progressive: bool


def read_header(data: bytes, kind: str) -> ImageHeader | None:
    """Read the headers of an image of one of `KINDS`.

    `data` is the whole file, or its start: 64 bytes tell the size of a PNG, WebP or KTX2.
    Returns None if it is none or has no size.
    """
    readers = {
        "PNG": _png,
        "JPEG": _jpeg,
        "WEBP": _webp,
        "GIF": _gif,
        "TIFF": _tiff,
        "AVIF": _avif,
        "BMP": _bmp,
        "PSD": _psd,
        "EXR": _exr,
        "KTX2": _ktx2,
    }
    try:
        header = readers[kind](data)
    # The header itself is cut.
    except (struct.error, IndexError, ValueError, BrokenFileError, TooManyPartsError):
        return None
    return header if header and header.width > 0 and header.height > 0 else None


def _png(data: bytes) -> ImageHeader | None:
    if data[12:16] != b"IHDR":
        return None
    width, height, depth, color = struct.unpack_from(">IIBB", data, 16)
    names = [chunk.name for chunk in png_chunks(_reader(data))]
    # The count that an animation declares can be any; each frame has a control chunk.
    frames = names.count(b"fcTL") if b"acTL" in names else 1
    # Colors of a palette always have eight bits; the depth is that of their numbers.
    return ImageHeader(width, height, 8 if color == PNG_PALETTE else depth, max(frames, 1))


def _jpeg(data: bytes) -> ImageHeader | None:
    frame = next(find_jpeg_frames(data), None)
    return ImageHeader(frame.width, frame.height, frame.bit_depth) if frame else None


def find_jpeg_frames(data: bytes) -> Iterator[JpegFrame]:
    """Yield the frames that are declared before the first scan; decoders differ in which they use.

    Raises:
        BrokenFileError: one is cut.
        TooManyPartsError: there is too much before it.
    """
    file = _reader(data)
    for segment in jpeg_segments(file):
        marker = segment.name[0]
        if marker in JPEG_FRAMES:
            depth, height, width, components = struct.unpack(">BHHB", file.read(segment.start, 6))
            yield JpegFrame(width, height, depth, components, marker in JPEG_PROGRESSIVE)


def _webp(data: bytes) -> ImageHeader | None:
    name, start = data[12:16], data[20:30]
    if data[8:12] != b"WEBP" or len(start) < 10:
        return None
    if name == b"VP8X":
        width = int.from_bytes(start[4:7], "little") + 1
        height = int.from_bytes(start[7:10], "little") + 1
        names = [chunk.name for chunk in riff_chunks(_reader(data))]
        return ImageHeader(width, height, 8, max(names.count(b"ANMF"), 1))
    if name == b"VP8L":
        bits = int.from_bytes(start[1:5], "little")
        return ImageHeader((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, 8)
    width, height = struct.unpack_from("<HH", start, 6)
    return ImageHeader(width & 0x3FFF, height & 0x3FFF, 8)


def _gif(data: bytes) -> ImageHeader | None:
    if data[:4] != b"GIF8":
        return None
    width, height = struct.unpack_from("<HH", data, 6)
    frames, is_cut = _count_gif_frames(data)
    return ImageHeader(width, height, 8, max(frames, 1), CUT if is_cut else None)


def _count_gif_frames(data: bytes) -> tuple[int, bool]:
    """Count images, and say whether a block reaches past the end."""
    offset = 13 + _gif_palette_bytes(data[10])
    frames = blocks = 0
    while offset < len(data) and blocks < MAX_GIF_BLOCKS:
        mark = data[offset]
        if mark == GIF_IMAGE and offset + 10 < len(data):
            offset += 11 + _gif_palette_bytes(data[offset + 9])
        elif mark == GIF_EXTENSION:
            offset += 2
        else:
            return frames, mark != GIF_END and mark == GIF_IMAGE
        while offset < len(data) and data[offset] and blocks < MAX_GIF_BLOCKS:
            offset += 1 + data[offset]
            blocks += 1
        blocks += 1
        if offset >= len(data):
            return frames, True
        frames += mark == GIF_IMAGE
        offset += 1
    return frames, False


def _gif_palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _tiff(data: bytes) -> ImageHeader | None:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return None
    (offset,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, offset)
    values: dict[int, int] = {}
    for index in range(min(count, MAX_TIFF_ENTRIES)):
        at = offset + 2 + 12 * index
        tag, kind, length = struct.unpack_from(order + "HHI", data, at)
        if kind not in (TIFF_SHORT, TIFF_LONG) or tag not in (TIFF_WIDTH, TIFF_HEIGHT, TIFF_BITS):
            continue
        form, size_bytes = ("H", 2) if kind == TIFF_SHORT else ("I", 4)
        is_inside = length * size_bytes <= 4
        place = at + 8 if is_inside else struct.unpack_from(order + "I", data, at + 8)[0]
        values[tag] = struct.unpack_from(order + form, data, place)[0]
    return ImageHeader(
        values.get(TIFF_WIDTH, 0), values.get(TIFF_HEIGHT, 0), values.get(TIFF_BITS, 1)
    )


def _avif(data: bytes) -> ImageHeader | None:
    if data[4:8] != b"ftyp":
        return None
    head = data[:AVIF_PROPERTIES_BYTES]
    sizes = [struct.unpack_from(">II", head, at + 8) for at in _find_all(head, b"ispe")]
    # A grid has the size of the whole, and that of its cells.
    width, height = max(sizes, default=(0, 0))
    at = head.find(b"av1C")
    bits = head[at + 6] if 0 <= at < len(head) - 6 else 0
    depth = (12 if bits & 0x20 else 10) if bits & 0x40 else 8
    return ImageHeader(width, height, depth, flaw=CUT if _has_cut_box(data) else None)


def _find_all(data: bytes, name: bytes) -> Iterator[int]:
    at = data.find(name)
    while at >= 0 and at + 16 <= len(data):
        yield at
        at = data.find(name, at + 4)


def _has_cut_box(data: bytes) -> bool:
    try:
        for _ in boxes(_reader(data), 0, len(data)):
            pass
    # Decoders don't look at what follows that isn't part of the format.
    except BrokenFileError as error:
        return error.is_cut
    return False


def _bmp(data: bytes) -> ImageHeader | None:
    if data[:2] != b"BM":
        return None
    if int.from_bytes(data[14:18], "little") == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
    else:
        width, height, _, bits = struct.unpack_from("<iiHH", data, 18)
    # A negative height means rows from the top.
    return ImageHeader(width, abs(height), None if bits == 16 else 8)


def _psd(data: bytes) -> ImageHeader | None:
    if data[:4] != b"8BPS":
        return None
    height, width, depth = struct.unpack_from(">IIH", data, 14)
    return ImageHeader(width, height, depth)


def _exr(data: bytes) -> ImageHeader | None:
    if data[:4] != b"v/1\x01":
        return None
    offset, depth = 8, None
    for _ in range(MAX_EXR_ATTRIBUTES):
        name, offset = _exr_text(data, offset)
        _, offset = _exr_text(data, offset)
        (size_bytes,) = struct.unpack_from("<I", data, offset)
        offset += 4
        if name == b"channels":
            _, at = _exr_text(data, offset)
            depth = EXR_BITS.get(int.from_bytes(data[at : at + 4], "little"))
        elif name == b"dataWindow":
            left, top, right, bottom = struct.unpack_from("<iiii", data, offset)
            return ImageHeader(right - left + 1, bottom - top + 1, depth)
        offset += size_bytes
    return None


def _exr_text(data: bytes, offset: int) -> tuple[bytes, int]:
    end = data.index(b"\0", offset, offset + MAX_EXR_NAME_BYTES)
    return data[offset:end], end + 1


def _ktx2(data: bytes) -> ImageHeader | None:
    if data[:7] != b"\xabKTX 20":
        return None
    # Its pixels may be compressed, so their bits aren't those of a channel.
    return ImageHeader(*struct.unpack_from("<II", data, 20))


def _reader(data: bytes) -> PartReader:
    return PartReader(io.BytesIO(data), len(data))
