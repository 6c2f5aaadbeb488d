"""Detect the type of a file from its first bytes, ignoring its name and declared type.

The signatures come from the specifications: PNG (W3C), JPEG (ITU-T T.81), GIF89a,
TIFF 6.0, RFC 9649 for WebP, ISO 14496-12 for MP4 and its relatives, RFC 9559 for Matroska,
RFC 3533 for Ogg, RFC 9639 for FLAC, ID3v2, ISO 11172-3 for MP3, ISO 14496-3 for AAC, glTF 2.0.
"""

import re
import zlib
from typing import BinaryIO

from .sounds.frames import (
    ADTS_HEAD_BYTES,
    MP3_HEAD_BYTES,
    adts_frame_bytes,
    id3_tag_bytes,
    is_mp3_frame,
)

HEAD_BYTES = 4096

# Signatures at the very start of a file.
MARKS = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"v/1\x01\x02", "image/x-exr"),
    (b"\xabKTX 20\xbb\r\n\x1a\n", "image/ktx2"),
    (b"\xabKTX 11\xbb\r\n\x1a\n", "image/ktx"),
    (b"DDS \x7c\0\0\0", "image/vnd-ms.dds"),
    (b"#?RADIANCE\n", "image/vnd.radiance"),
    (b"#?RGBE\n", "image/vnd.radiance"),
    (b"8BPS\0\x01\0\0\0\0\0\0", "image/vnd.adobe.photoshop"),
    (b"8BPS\0\x02\0\0\0\0\0\0", "image/vnd.adobe.photoshop"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"II+\0\x08\0\0\0", "image/tiff"),
    (b"MM\0+\0\x08\0\0", "image/tiff"),
    (b"fLaC", "audio/flac"),
    (b"Kaydara FBX Binary  \0\x1a\0", "model/x-fbx"),
    (b"PXR-USDC", "model/x-usdc"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"PK\x05\x06", "application/zip"),
)
BITMAP_HEADER_BYTES = (12, 40, 52, 56, 64, 108, 124)
BLEND = re.compile(rb"BLENDER(?:[-_][vV]\d{3}|\d\d-\d\d[vV]\d{4})")

# Major brands of MP4 video (mp4ra.org). Only these are uploaded as MP4.
MP4_BRANDS = frozenset(
    b"isom iso2 iso3 iso4 iso5 iso6 iso7 iso8 iso9 mp41 mp42 mp4v avc1 dash cmfc cmf2 MSNV XAVC "
    b"M4VH M4VP".split()
) | {b"M4V "}
BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "image/heic"),
    b"qt  ": "video/quicktime",
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P "), "audio/mp4"),
}
# These only say that it's a picture; the other brands say which format.
HEIF_BRANDS = frozenset((b"mif1", b"mif2", b"msf1", b"miaf"))
SMALLEST_FTYP_BYTES, LARGEST_FTYP_BYTES = 16, 1024
# How a QuickTime movie may begin without a type: with its index, its media, or room for either.
QUICKTIME_STARTS = (b"mdat", b"wide", b"free", b"skip", b"pnot")

EBML_HEADER = b"\x1a\x45\xdf\xa3"
# The length of an element takes one to eight bytes.
EBML_DOCTYPE = re.compile(rb"\x42\x82.{1,8}?(webm|matroska)", re.DOTALL)
EMPTY_ID3 = b"ID3\x04" + bytes(6)
OTHER_TAGS = (b"APETAGEX", b"TAG", b"LYRICSBEGIN")
GLB_VERSIONS = (1, 2)
STL_HEAD_BYTES, STL_TRIANGLE_BYTES = 84, 50


def sniff(head: bytes, size_bytes: int | None = None) -> str | None:
    """Return the media type of a file from its first bytes, or None if it's unknown.

    `head` is the first `HEAD_BYTES`, or the whole file. The first 64 bytes are enough for most
    binary formats. `size_bytes` is the size of the whole file: a binary STL is known by it.

    The result is a key of `types.FORMATS`. A container is reported as its content if the start
    shows it: USDZ instead of ZIP, glTF instead of JSON. Text needs valid UTF-8 or a BOM.
    """
    return _sniff_binary(head, size_bytes) or _sniff_text(head)


def sniff_file(file: BinaryIO, size_bytes: int) -> str | None:
    """Return the media type of an open file, or None; skip ID3 tags of any length.

    Raises:
        OSError: the file can't be read.
    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    tag_bytes = id3_tag_bytes(head)
    if tag_bytes is None or tag_bytes + MP3_HEAD_BYTES <= len(head):
        return sniff(head, size_bytes)
    file.seek(tag_bytes)
    return _sound_type(EMPTY_ID3 + file.read(HEAD_BYTES))


def _sniff_binary(head: bytes, size_bytes: int | None) -> str | None:
    for mark, content_type in MARKS:
        if head.startswith(mark):
            return content_type
    if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR":
        return "image/png"
    if head.startswith(b"BM") and head[6:10] == bytes(4):
        header_bytes = int.from_bytes(head[14:18], "little")
        return "image/bmp" if header_bytes in BITMAP_HEADER_BYTES else None
    if BLEND.match(head):
        return "application/x-blender"
    if head.startswith(b"glTF"):
        return "model/gltf-binary" if int.from_bytes(head[4:8], "little") in GLB_VERSIONS else None
    return (
        _container_type(head)
        or _box_type(head, size_bytes)
        or _sound_type(head)
        or _stl_type(head, size_bytes)
    )


def _container_type(head: bytes) -> str | None:
    name, form = head[:4], head[8:12]
    if name == b"RIFF":
        return _riff_type(head)
    if name == b"FORM" and form in (b"AIFF", b"AIFC"):
        return "audio/aiff"
    if name == EBML_HEADER and (found := EBML_DOCTYPE.search(head[:128])):
        return f"video/{found[1].decode()}"
    if name == b"OggS":
        return "video/ogg" if b"\x80theora" in head[27:300] else "audio/ogg"
    return _archive_type(head)


def _riff_type(head: bytes) -> str | None:
    form, chunk = head[8:12], head[12:16]
    if form == b"WEBP" and chunk in (b"VP8 ", b"VP8L", b"VP8X"):
        return "image/webp"
    return {b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}.get(form)


def _archive_type(head: bytes) -> str | None:
    if head.startswith(b"PK\x03\x04"):
        return _zip_type(head)
    if head.startswith(b"\x1f\x8b\x08"):
        return "application/x-blender" if BLEND.match(_unzip(head)) else "application/gzip"
    return None


def _zip_type(head: bytes) -> str:
    """Tell a USDZ by its first file: a stage of USD that isn't compressed (USDZ specification)."""
    is_stored = head[8:10] == bytes(2)
    name_bytes = int.from_bytes(head[26:28], "little")
    name = head[30 : 30 + name_bytes].lower()
    is_stage = name.endswith((b".usd", b".usda", b".usdc"))
    return "model/vnd.usdz+zip" if is_stored and is_stage else "application/zip"


def _unzip(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(head, 64)
    except zlib.error:
        return b""


def _box_type(head: bytes, size_bytes: int | None) -> str | None:
    """Tell the formats that are made of boxes, by the brands of the first one."""
    length, name, brand = int.from_bytes(head[:4]), head[4:8], head[8:12]
    if name == b"ftyp" and length >= SMALLEST_FTYP_BYTES:
        if brand in MP4_BRANDS:
            return "video/mp4"
        if brand in HEIF_BRANDS:
            brands = head[16 : min(length, LARGEST_FTYP_BYTES)]
            others = (brands[at : at + 4] for at in range(0, len(brands), 4))
            return next((BRANDS[other] for other in others if other in BRANDS), "image/heif")
        return BRANDS.get(brand)
    if name == b"moov" and head[12:16] in (b"mvhd", b"cmov", b"rmra"):
        return "video/quicktime"
    is_movie = name in QUICKTIME_STARTS and size_bytes is not None and 8 <= length <= size_bytes
    if is_movie and (name == b"mdat" or head[length + 4 : length + 8] in (b"mdat", b"moov")):
        return "video/quicktime"
    return None


def _sound_type(head: bytes) -> str | None:
    while (tag_bytes := id3_tag_bytes(head)) is not None:
        # Some programs fill up the space behind a tag with zeros.
        head = head[tag_bytes:].lstrip(b"\0")
        # What is behind a long tag is out of sight: nearly always MP3. Others may follow it.
        if len(head) < MP3_HEAD_BYTES or head.startswith(OTHER_TAGS):
            return "audio/mpeg"
    if head.startswith(b"fLaC"):
        return "audio/flac"
    if is_mp3_frame(head):
        return "audio/mpeg"
    return "audio/aac" if _is_adts(head) else None


def _is_adts(head: bytes) -> bool:
    """Look for the header of an AAC frame, and for a second one if the head reaches that far."""
    length = adts_frame_bytes(head)
    if length is None:
        return False
    return length + ADTS_HEAD_BYTES > len(head) or adts_frame_bytes(head[length:]) is not None


def _stl_type(head: bytes, size_bytes: int | None) -> str | None:
    """Tell a binary STL: 80 bytes of anything, a count, and 50 bytes for each triangle."""
    count = int.from_bytes(head[80:84], "little")
    is_stl = count > 0 and size_bytes == STL_HEAD_BYTES + STL_TRIANGLE_BYTES * count
    return "model/stl" if is_stl else None


def _sniff_text(head: bytes) -> str | None:
    # Imported late: only text formats need it, and a server must start fast.
    from .sniff_text import sniff_text  # noqa: PLC0415

    return sniff_text(head)
