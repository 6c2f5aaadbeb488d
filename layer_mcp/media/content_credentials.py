"""Detect content credentials: a C2PA manifest that says how a file was made.

Their location in each format is described in "Embedding manifests into various file formats"
(appendix A.3 of the C2PA specification 2.1). Nothing is verified.
"""

import re
from collections.abc import Callable
from itertools import takewhile
from typing import BinaryIO

from .containers.parts import (
    BrokenFileError,
    PartReader,
    TooManyPartsError,
    boxes,
    jpeg_segments,
    png_chunks,
    riff_chunks,
)
from .sounds.frames import id3_tag_bytes
from .types import canonical_type

JPEG_APP11 = b"\xeb"
# JPEG XT: the identifier of a box, its number, its sequence number, then its length and name.
JUMBF_SEGMENT = re.compile(rb"JP.{6}.{4}jumb", re.DOTALL)
# The description of the outermost box of JUMBF: its type is c2pa, and so is its label.
C2PA_TYPE = bytes.fromhex("63327061 0011 0010 8000 00AA00389B71")
C2PA_BOX = bytes.fromhex("D8FEC3D6 1B0E 483C 9297 5828877EC481")
C2PA_HEAD_BYTES = 64
GIF_APPLICATION = b"C2PA_GIF"
ID3_TYPES = (b"application/x-c2pa-manifest-store\0", b"application/c2pa\0")
TIFF_TAG = 0xCD41
MAX_TIFF_ENTRIES = 4096
# It is written into the metadata at the top of a drawing.
SVG_MANIFEST = re.compile(rb"<c2pa:manifest\b")
SVG_BYTES = 1024 * 1024


def has_content_credentials(file: BinaryIO, size_bytes: int, content_type: str) -> bool:
    """Return whether a C2PA manifest is embedded in a file, from the headers of its parts.

    Supports PNG, JPEG, WebP, GIF, TIFF, SVG, AVIF, HEIC, WAV, AVI, MP3, FLAC, MP4, M4A and
    QuickTime. A linked manifest doesn't count.

    Raises:
        OSError: the file can't be read.
    """
    finder = FINDERS.get(canonical_type(content_type))
    try:
        return finder is not None and finder(PartReader(file, size_bytes))
    except (BrokenFileError, TooManyPartsError):
        return False


def _find_in_png(file: PartReader) -> bool:
    # It comes before the pixels, but some programs append it.
    chunks = takewhile(lambda chunk: chunk.name != b"IEND", png_chunks(file))
    return any(chunk.name == b"caBX" for chunk in chunks)


def _find_in_jpeg(file: PartReader) -> bool:
    # A manifest that is longer than a segment begins in the first of several.
    heads = (
        file.read_some(segment.start, C2PA_HEAD_BYTES)
        for segment in jpeg_segments(file)
        if segment.name == JPEG_APP11
    )
    return any(JUMBF_SEGMENT.match(head) and C2PA_TYPE in head for head in heads)


def _find_in_riff(file: PartReader) -> bool:
    return any(chunk.name == b"C2PA" for chunk in riff_chunks(file))


def _find_in_boxes(file: PartReader) -> bool:
    return any(
        box.name == b"uuid" and file.read_some(box.start, 16) == C2PA_BOX
        for box in boxes(file, 0, file.size_bytes)
    )


def _find_in_gif(file: PartReader) -> bool:
    """Follow the extensions before the first picture (GIF89a, sections 17 to 26)."""
    flags = file.read(10, 1)[0]
    offset = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    while file.read(offset, 1) == b"!":
        label, application = file.read(offset + 1, 1), file.read_some(offset + 3, 8)
        if label == b"\xff" and application == GIF_APPLICATION:
            return True
        offset += 2
        while length := file.read(offset, 1)[0]:
            offset += 1 + length
        offset += 1
    return False


def _find_in_tiff(file: PartReader) -> bool:
    head = file.read(0, 16)
    order = "little" if head[:2] == b"II" else "big"
    is_big = int.from_bytes(head[2:4], order) == 43
    count_bytes, entry_bytes = (8, 20) if is_big else (2, 12)
    offset = int.from_bytes(head[8:16] if is_big else head[4:8], order)
    count = int.from_bytes(file.read(offset, count_bytes), order)
    entries = file.read(offset + count_bytes, min(count, MAX_TIFF_ENTRIES) * entry_bytes)
    tags = (entries[at : at + 2] for at in range(0, len(entries), entry_bytes))
    return any(int.from_bytes(tag, order) == TIFF_TAG for tag in tags)


def _find_in_id3(file: PartReader) -> bool:
    """Look for a general object of the right type in the frames of an ID3 tag."""
    head = file.read(0, 10)
    tag_bytes = id3_tag_bytes(head)
    if tag_bytes is None or head[3] < 3:
        return False
    # The lengths of version 4 have seven bits a byte.
    bits = 7 if head[3] == 4 else 8
    offset = 10
    if head[5] & 0x40:
        length = _length(file.read(10, 4), bits)
        offset += length + (0 if bits == 7 else 4)
    while offset + 10 <= tag_bytes:
        frame = file.read(offset, 10)
        if not frame[:4].strip(b"\0"):
            return False
        # The type follows a byte that tells how texts are encoded.
        if frame[:4] == b"GEOB" and file.read_some(offset + 11, 64).startswith(ID3_TYPES):
            return True
        offset += 10 + _length(frame[4:8], bits)
    return False


def _length(data: bytes, bits: int) -> int:
    length = 0
    for byte in data:
        length = length << bits | byte
    return length


def _find_in_svg(file: PartReader) -> bool:
    return SVG_MANIFEST.search(file.read_some(0, SVG_BYTES)) is not None


FINDERS: dict[str, Callable[[PartReader], bool]] = {
    "image/png": _find_in_png,
    "image/jpeg": _find_in_jpeg,
    "image/webp": _find_in_riff,
    "image/gif": _find_in_gif,
    "image/tiff": _find_in_tiff,
    "image/svg+xml": _find_in_svg,
    "image/avif": _find_in_boxes,
    "image/heic": _find_in_boxes,
    "image/heif": _find_in_boxes,
    "audio/wav": _find_in_riff,
    "audio/mpeg": _find_in_id3,
    "audio/flac": _find_in_id3,
    "audio/mp4": _find_in_boxes,
    "video/mp4": _find_in_boxes,
    "video/quicktime": _find_in_boxes,
    "video/x-msvideo": _find_in_riff,
}
