"""Content credentials, embedded as the library of the C2PA embeds them."""

import io
import struct
import wave
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from layer_mcp.media.content_credentials import FINDERS, has_content_credentials
from layer_mcp.media.types import FORMATS

from ..support.counting_file import CountingFile
from ..support.tiny_videos import VIDEOS

# How a manifest store begins that c2pa-rs 0.91 wrote: JUMBF, described as c2pa.
DESCRIPTION = bytes.fromhex("0000001e 6a756d64 63327061 0011 0010 8000 00aa00389b71 03 63327061 00")
STORE = struct.pack(">I4s", 90_000, b"jumb") + DESCRIPTION + bytes(200)
UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


def picture(kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((40, 30), 90).convert("RGB").save(buffer, kind, **options)
    return buffer.getvalue()


def sound() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(100))
    return buffer.getvalue()


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content), name) + content + zlib.crc32(name).to_bytes(4)


def jpeg_segment(content: bytes, sequence: int = 1) -> bytes:
    """Return an APP11 segment of JPEG XT with a part of a JUMBF box."""
    head = struct.pack(">2sHI", b"JP", 0x0211, sequence)
    return b"\xff\xeb" + struct.pack(">H", 2 + len(head) + len(content)) + head + content


def gif_extension(name: bytes, content: bytes) -> bytes:
    parts = (content[at : at + 255] for at in range(0, len(content), 255))
    return b"!\xff\x0b" + name + b"".join(bytes((len(part),)) + part for part in parts) + b"\0"


def with_gif_extension(name: bytes) -> bytes:
    plain = picture("GIF")
    end = 13 + (3 << (plain[10] & 7) + 1)
    comment = b"!\xfe\x05hello\0"
    return plain[:end] + comment + gif_extension(name, STORE) + plain[end:]


def riff(plain: bytes, name: bytes) -> bytes:
    return plain + struct.pack("<4sI", name, len(STORE)) + STORE


def tiff(tag: int, order: str = "<") -> bytes:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(f"{order}IH", 8, 2)
    entries = struct.pack(f"{order}HHII", 256, 3, 1, 40) + struct.pack(
        f"{order}HHII", tag, 7, len(STORE), 38
    )
    return head + entries + bytes(4) + STORE


def big_tiff(tag: int) -> bytes:
    head = b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 1)
    return head + struct.pack("<HHQQ", tag, 7, len(STORE), 52) + bytes(8) + STORE


def id3(kind: bytes, version: int = 4, flags: int = 0) -> bytes:
    """Return an ID3 tag with a title and a general object of a type."""
    content = b"\0" + kind + b"\0c2pa\0c2pa manifest store\0" + STORE
    text = b"\0a title"
    frames = b"TIT2" + length(len(text), version) + bytes(2) + text
    frames += b"GEOB" + length(len(content), version) + bytes(2) + content
    extended = length(6, 4) + b"\1\0" if version == 4 else length(6, 3) + bytes(6)
    body = (extended if flags & 0x40 else b"") + frames + bytes(20)
    return struct.pack(">3sBBB", b"ID3", version, 0, flags) + length(len(body), 4) + body


def length(count: int, version: int) -> bytes:
    bits = 7 if version == 4 else 8
    return bytes(count >> bits * place & ((1 << bits) - 1) for place in (3, 2, 1, 0))


def uuid_box(name: bytes) -> bytes:
    content = name + bytes(4) + b"manifest\0" + STORE
    return struct.pack(">I4s", 8 + len(content), b"uuid") + content


def with_box(plain: bytes, name: bytes) -> bytes:
    """Put a box behind the first one."""
    end = int.from_bytes(plain[:4])
    return plain[:end] + uuid_box(name) + plain[end:]


def svg(metadata: str) -> bytes:
    start = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:c2pa="http://c2pa.org/manifest">'
    return f"{start}<metadata>{metadata}</metadata></svg>".encode()


PNG, JPEG, FLAC = picture("PNG"), picture("JPEG"), b"fLaC\x80\0\0\x22" + bytes(34)
SIGNED = {
    "png": (PNG[:33] + png_chunk(b"caBX", STORE) + PNG[33:], "image/png"),
    "jpeg": (JPEG[:2] + jpeg_segment(STORE) + JPEG[2:], "image/jpeg"),
    "jpeg in two segments": (
        JPEG[:20] + jpeg_segment(STORE[:60]) + jpeg_segment(STORE[:8] + STORE[60:], 2) + JPEG[20:],
        "image/jpeg",
    ),
    "webp": (riff(picture("WEBP"), b"C2PA"), "image/webp"),
    "gif": (with_gif_extension(b"C2PA_GIF\1\0\0"), "image/gif"),
    "tiff": (tiff(0xCD41), "image/tiff"),
    "big-endian tiff": (tiff(0xCD41, ">"), "image/tiff"),
    "bigtiff": (big_tiff(0xCD41), "image/tiff"),
    "svg": (svg("<c2pa:manifest>AAAA</c2pa:manifest>"), "image/svg+xml"),
    "avif": (with_box(picture("AVIF"), UUID), "image/avif"),
    "wav": (riff(sound(), b"C2PA"), "audio/x-wav"),
    "mp3": (id3(b"application/c2pa") + b"\xff\xfb\x90\x64", "audio/mpeg"),
    "mp3 of version 3": (id3(b"application/x-c2pa-manifest-store", 3), "audio/mpeg"),
    "mp3 with an extended header": (id3(b"application/c2pa", 4, 0x40), "audio/mpeg"),
    "mp3 of version 3, extended": (id3(b"application/c2pa", 3, 0x40), "audio/mpeg"),
    "flac": (id3(b"application/c2pa") + FLAC, "audio/flac"),
    "mp4": (with_box(VIDEOS["plain.mp4"], UUID), "video/mp4"),
    "mov": (with_box(VIDEOS["turned.mov"], UUID), "video/quicktime"),
}
PLAIN = {
    "png": (PNG[:33] + png_chunk(b"tEXt", STORE) + PNG[33:], "image/png"),
    "png with a store behind its end": (PNG + png_chunk(b"caBX", STORE), "image/png"),
    "jpeg": (JPEG, "image/jpeg"),
    "jpeg with another box": (
        JPEG[:2] + jpeg_segment(STORE.replace(b"c2pa", b"json")) + JPEG[2:],
        "image/jpeg",
    ),
    "jpeg with a store behind its start": (JPEG + jpeg_segment(STORE), "image/jpeg"),
    "webp": (riff(picture("WEBP"), b"EXIF"), "image/webp"),
    "gif": (with_gif_extension(b"NETSCAPE2.0"), "image/gif"),
    "tiff": (tiff(700), "image/tiff"),
    "svg": (svg("c2pa:manifest"), "image/svg+xml"),
    "wav": (sound(), "audio/wav"),
    "mp3": (id3(b"image/png"), "audio/mpeg"),
    "flac": (FLAC, "audio/flac"),
    "mp4": (with_box(VIDEOS["plain.mp4"], bytes(16)), "video/mp4"),
    "webm": (VIDEOS["vp9.webm"], "video/webm"),
}


def is_signed(data: bytes, content_type: str) -> bool:
    return has_content_credentials(io.BytesIO(data), len(data), content_type)


@pytest.mark.parametrize("name", SIGNED)
def test_finds_a_manifest(name: str) -> None:
    assert is_signed(*SIGNED[name])


@pytest.mark.parametrize("name", PLAIN)
def test_a_file_without_a_manifest_has_none(name: str) -> None:
    assert not is_signed(*PLAIN[name])


def test_each_format_has_one_name() -> None:
    assert set(FINDERS) <= set(FORMATS)


def test_pixels_and_frames_are_not_read() -> None:
    chunks = png_chunk(b"IDAT", bytes(1_000_000)) * 3
    data = PNG[:33] + chunks + PNG[33:]
    file = CountingFile(data)
    assert not has_content_credentials(file, len(data), "image/png")
    assert file.read_bytes < 100


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"\xff\xd8" + b"\xff" * 3_000_000, "image/jpeg"),
        (PNG[:33] + png_chunk(b"tEXt", b"") * 300_000, "image/png"),
        (b"GIF89a" + bytes(7) + b"!\xfe\1a\0" * 300_000, "image/gif"),
        (b"RIFF\0\0\0\0WEBP" + bytes(3_000_000), "image/webp"),
    ],
    ids=["jpeg", "png", "gif", "webp"],
)
@pytest.mark.slow
def test_ignores_a_file_with_too_many_parts(data: bytes, content_type: str) -> None:
    file = CountingFile(data)
    assert not has_content_credentials(file, len(data), content_type)
    assert file.reads <= 200_000


def test_an_offset_may_lead_far_beyond_the_end() -> None:
    assert not is_signed(b"II+\0\x08\0\0\0" + b"\xff" * 100, "image/tiff")


@given(
    st.sampled_from(sorted(SIGNED)),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=8),
    st.none() | st.integers(0, 3000),
)
@pytest.mark.slow
def test_inspecting_a_damaged_file_does_not_fail(
    name: str, damage: list[tuple[int, int]], end: int | None
) -> None:
    data, content_type = bytearray(SIGNED[name][0]), SIGNED[name][1]
    for place, value in damage:
        data[place % len(data)] = value
    is_signed(bytes(data[:end]), content_type)


@given(st.sampled_from(sorted(FINDERS)), st.binary(max_size=200))
def test_inspecting_any_bytes_does_not_fail(content_type: str, data: bytes) -> None:
    is_signed(data, content_type)
