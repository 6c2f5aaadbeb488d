"""What a file is by its first bytes."""

import gzip
import io
import struct
import wave
import zipfile
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from layer_mcp.media.sniff import HEAD_BYTES, sniff, sniff_file
from layer_mcp.media.types import FORMATS

from ..support.tiny_videos import VIDEOS

MP3_FRAME = b"\xff\xfb\x90\x64" + bytes(60)
AAC_FRAME = b"\xff\xf1\x50\x80\x01\x1f\xfc" + bytes(1)
SHORT_TAG = b"ID3\x04\x00\x00\x00\x00\x00\x05" + bytes(5)
LONG_TAG = b"ID3\x03\x00\x00\x00\x00\x08\x00" + bytes(1024)
LONGER_TAG = b"ID3\x03\x00\x00\x00\x00\x7f\x00" + bytes(127 * 128)
FLAC = b"fLaC\x00\x00\x00\x22" + bytes(60)
TRIANGLE = struct.pack("<12f2x", *range(12))


def picture(kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2)).save(buffer, kind, **options)
    return buffer.getvalue()


def sound() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(100))
    return buffer.getvalue()


def clip() -> bytes:
    return (files("layer_mcp.sandbox") / "clip.mp4").read_bytes()


def iso_file(brand: bytes, *others: bytes) -> bytes:
    brands = b"".join(others or (b"isom", b"mp42"))
    return struct.pack(">I4s4sI", 16 + len(brands), b"ftyp", brand, 0) + brands + bytes(40)


def archive(name: str, compression: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        file.writestr(name, "content" * 10)
    return buffer.getvalue()


def stl(count: int, head: bytes = b"") -> bytes:
    return head.ljust(80, b"\0") + struct.pack("<I", count) + TRIANGLE * count


def ogg(packet: bytes) -> bytes:
    return b"OggS\0\x02" + bytes(20) + bytes((1, len(packet))) + packet


def bitmap() -> bytes:
    return b"BM" + struct.pack("<IIIIii", 100, 0, 54, 40, 3, 2) + bytes(60)


IMAGES = {
    "image/png": [
        picture("PNG"),
        picture("PNG", save_all=True, append_images=[Image.new("RGB", (3, 2), "red")]),
    ],
    "image/jpeg": [picture("JPEG")],
    "image/webp": [picture("WEBP"), picture("WEBP", lossless=True)],
    "image/avif": [
        picture("AVIF"),
        iso_file(b"avis"),
        iso_file(b"mif1", b"mif1", b"avif", b"miaf"),
    ],
    "image/heic": [iso_file(b"heic"), iso_file(b"heix"), iso_file(b"mif1", b"mif1", b"heic")],
    "image/heif": [iso_file(b"mif1", b"mif1", b"miaf")],
    "image/gif": [picture("GIF")],
    "image/tiff": [picture("TIFF"), picture("TIFF", big_tiff=True), b"MM\0*\0\0\0\x08" + bytes(9)],
    "image/bmp": [picture("BMP"), bitmap()],
    "image/vnd-ms.dds": [picture("DDS")],
    "image/ktx2": [b"\xabKTX 20\xbb\r\n\x1a\n" + bytes(60)],
    "image/x-exr": [b"v/1\x01\x02\0\0\0channels\0"],
    "image/vnd.radiance": [b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 2 +X 3\n\2\2\0\3"],
    "image/vnd.adobe.photoshop": [b"8BPS\0\x01" + bytes(6) + b"\0\x03" + bytes(30)],
}
SOUNDS = {
    "audio/wav": [sound()],
    "audio/mpeg": [
        MP3_FRAME,
        SHORT_TAG + MP3_FRAME,
        LONG_TAG + bytes(3000) + MP3_FRAME,
        SHORT_TAG + b"APETAGEX" + bytes(60),
    ],
    "audio/aac": [AAC_FRAME * 3, SHORT_TAG + AAC_FRAME * 3, LONG_TAG + AAC_FRAME * 3],
    "audio/mp4": [VIDEOS["sound.m4a"]],
    "audio/flac": [FLAC, SHORT_TAG + FLAC, LONG_TAG + FLAC],
    "audio/ogg": [ogg(b"\x01vorbis" + bytes(23)), ogg(b"OpusHead" + bytes(11))],
    "audio/aiff": [b"FORM\0\0\0\x50AIFFCOMM", b"FORM\0\0\0\x50AIFCFVER"],
}
FILMS = {
    "video/mp4": [clip(), iso_file(b"mp42"), VIDEOS["fragmented.mp4"]],
    "video/webm": [VIDEOS["vp9.webm"], VIDEOS["pipe.webm"]],
    "video/matroska": [VIDEOS["h264.mkv"]],
    "video/quicktime": [VIDEOS["turned.mov"], b"\0\0\0\x08wide\0\0\0\x10mdat12345678"],
    "video/ogg": [ogg(b"\x80theora" + bytes(35))],
    "video/x-msvideo": [b"RIFF\x00\x01\x00\x00AVI LIST" + bytes(48)],
}
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
GLTF = b'{"asset":{"generator":"tool","version":"2.0"},"scene":0}'
ACCESSORS = b'{"accessors": [{"bufferView": 0, "componentType": 5126, "count": 3}]}'
OBJ = (
    b"# made by a tool\nmtllib a.mtl\no Cube\nv 1.0 1 -1\nv 1 -1.5e-3 -1\nv 1 1 1\nf 1/1/1 2//2 3\n"
)
STL = b"solid a name\n  facet normal 0 0 1.0e0\n    outer loop\n      vertex 0 0 0\n"
PLY = b"ply\nformat ascii 1.0\ncomment made by a tool\nelement vertex 3\n"
BINARY_PLY = b"ply\r\ncomment first\r\nformat binary_little_endian 1.0\r\nend_header\r\n" + bytes(
    99
)
FBX = b"; FBX 7.4.0 project file\n; ----\n\nFBXHeaderExtension:  {\n\tFBXVersion: 7400\n"
MESHES = {
    "model/gltf-binary": [b"glTF\x02\0\0\0\x64\0\0\0"],
    "model/gltf+json": [GLTF, b"\n \t" + GLTF, b"\xef\xbb\xbf" + GLTF, ACCESSORS],
    "model/obj": [OBJ, OBJ.replace(b"\n", b"\r\n"), b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"],
    "model/stl": [STL, stl(1), stl(3), stl(2, b"solid that is binary")],
    "model/x-ply": [PLY, BINARY_PLY],
    "model/x-fbx": [FBX, b"Kaydara FBX Binary  \0\x1a\0\xe8\x1c\0\0"],
    "model/vnd.usdz+zip": [archive("scene.usdc", zipfile.ZIP_STORED)],
    "model/vnd.usda": [b'#usda 1.0\n(\n    defaultPrim = "a"\n)\n'],
    "model/x-usdc": [b"PXR-USDC\0\x08" + bytes(90)],
    "model/vnd.collada+xml": [b'<?xml version="1.0"?>\n<COLLADA version="1.4.1">'],
    "application/x-blender": [
        b"BLENDER-v300REND",
        b"BLENDER17-01v0500",
        gzip.compress(b"BLENDER_V279" + bytes(900)),
    ],
}
ARCHIVES = {
    "application/zip": [
        archive("scene.usdc", zipfile.ZIP_DEFLATED),
        archive("a.png", zipfile.ZIP_STORED),
        b"PK\x05\x06" + bytes(18),
    ],
    "application/gzip": [gzip.compress(b"text")],
    "application/zstd": [b"\x28\xb5\x2f\xfd\x04\x58"],
}
PROLOG = b'<?xml version="1.0" encoding="utf-8"?>\n<!-- made by <a> tool -->\n'
SVG_DOCTYPE = (
    b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/svg11.dtd" [\n'
    b'<!ENTITY ns "http://www.w3.org/2000/svg">\n]>\n'
)
PAGES = {
    "image/svg+xml": [
        SVG,
        b"\xef\xbb\xbf \n" + SVG,
        PROLOG + SVG,
        PROLOG + SVG_DOCTYPE + SVG,
        b'<s:svg xmlns:s="http://www.w3.org/2000/svg"/>',
        SVG.decode().encode("utf-16"),
    ],
    "text/html": [
        b"<!DOCTYPE html><html><body>" + SVG,
        b"\n<html>\n<head><title>403 Forbidden</title></head>",
        b"<!-- a --><!doctype HTML PUBLIC '-//W3C//DTD HTML 4.01//EN'>\n<HTML>",
        b"<div>Access denied</div>",
        b"<html><title>Zugriff verweigert f\xfcr Sie</title>",
        "<!DOCTYPE html><html>".encode("utf-16"),
    ],
    "application/json": [
        b'{"error": {"code": 403}}',
        b' \n[\n {"a": 1}]',
        b"\xef\xbb\xbf{}",
        b'{"nodes": [{"id": 1}]}',
    ],
    "application/xml": [PROLOG + b"<Error><Code>AccessDenied</Code></Error>", b"<Error/>"],
    "text/plain": [
        b"Not found",
        "hello, \u00ff".encode("utf-16"),
        "\u751f\u6210".encode() * 2000,
        b"a,b\n1,2\n",
        b"newmtl a\nKd 1 1 1\n",
    ],
}
GROUPS = (IMAGES, SOUNDS, FILMS, MESHES, ARCHIVES, PAGES)
SAMPLES = [
    pytest.param(data, content_type, id=f"{content_type}-{number}")
    for group in GROUPS
    for content_type, samples in group.items()
    for number, data in enumerate(samples, 1)
]
WHOLE = [data for group in GROUPS for samples in group.values() for data in samples]


@pytest.mark.parametrize(("data", "content_type"), SAMPLES)
def test_detects_the_type_from_the_first_bytes(data: bytes, content_type: str) -> None:
    assert sniff(data[:HEAD_BYTES], len(data)) == content_type


@pytest.mark.parametrize(("data", "content_type"), SAMPLES)
def test_every_type_is_in_the_table_of_formats(data: bytes, content_type: str) -> None:
    assert sniff(data[:HEAD_BYTES], len(data)) in FORMATS


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (data, content_type)
        for group in (IMAGES, SOUNDS, FILMS)
        for content_type, samples in group.items()
        for data in samples[:1]
    ],
)
def test_64_bytes_identify_pictures_sounds_and_videos(data: bytes, content_type: str) -> None:
    assert sniff(data[:64]) == content_type


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b" \n\t", id="blanks"),
        pytest.param(bytes(5000), id="zeros"),
        pytest.param(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(55), id="pdf"),
        pytest.param(b"RIFF\x00\x01\x00\x00WEBPJUNK" + bytes(48), id="webp without a picture"),
        pytest.param(b"\xff\xd8\x00\x00" + bytes(60), id="jpeg without a second mark"),
        pytest.param(b"\x89PNG\r\n\x1a\n", id="png without a header"),
        pytest.param(b"\x89PNG\n\x1a\n" + bytes(60), id="png whose line ends were changed"),
        pytest.param(b"glTF\x09\0\0\0" + bytes(60), id="gltf of a version to come"),
        pytest.param(b"BM\x01\x02\x03\x04" + bytes(60), id="no bitmap"),
        pytest.param(b"BLENDER is a program\0\0", id="no blend"),
        pytest.param(iso_file(b"zzzz"), id="unknown brand"),
        pytest.param(b"\xff\xf1\x50\x80" + bytes(60), id="aac frame without a length"),
        pytest.param(AAC_FRAME + bytes(60), id="one aac frame, then zeros"),
        pytest.param(stl(2) + b"\0", id="stl of another size"),
        pytest.param(stl(0), id="stl of nothing"),
        pytest.param(SHORT_TAG + b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", id="png behind a tag"),
        pytest.param("Zugriff verweigert f\xfcr Sie".encode("latin-1"), id="text in latin-1"),
        pytest.param(b"text\0with a zero", id="text with a zero"),
        pytest.param(b"# a license\n" * 500, id="comments only"),
        pytest.param(PROLOG + b"<!-- " + b"a license " * 500, id="markup of comments only"),
        pytest.param(b'{"nodes": [' + b'{"name": "a"},' * 300, id="json that may be gltf"),
    ],
)
def test_anything_else_has_no_type(data: bytes) -> None:
    assert sniff(data[:HEAD_BYTES], len(data)) is None


@pytest.mark.parametrize(
    "text",
    [
        "v is for victory\nv 1 2 3 go\nv 2 2 2\nv 3 3 3\n",
        "v 0 0 0\nv 1 0 0\nv 0 1 0\nand a sentence\n",
        "solid gold is heavy\nfacet joint\n",
        "ply is a word\nformat ascii 1.0\n",
        "the FBXHeaderExtension: {\n",
        "[INFO] started\n",
        "< 3 things\n",
    ],
)
def test_a_text_that_begins_like_a_mesh_is_text(text: str) -> None:
    assert sniff(text.encode()) == "text/plain"


@pytest.mark.parametrize(
    ("behind", "content_type"),
    [(FLAC, "audio/flac"), (AAC_FRAME * 3, "audio/aac"), (MP3_FRAME, "audio/mpeg")],
)
def test_detects_the_type_after_a_tag_of_any_length(behind: bytes, content_type: str) -> None:
    data = LONGER_TAG + behind
    assert sniff(data[:HEAD_BYTES], len(data)) == "audio/mpeg"
    assert sniff_file(io.BytesIO(data), len(data)) == content_type


@pytest.mark.parametrize(("data", "content_type"), SAMPLES)
def test_detects_an_open_files_type_from_its_first_bytes(data: bytes, content_type: str) -> None:
    file = io.BytesIO(data)
    file.seek(5)
    assert sniff_file(file, len(data)) == content_type


STARTS = st.sampled_from(
    (
        *(b"", b"ID3\x04", b"RIFF", b"\xff", b"\0\0\0 ftyp", b"\x1a\x45\xdf\xa3", b"PK\3\4"),
        *(b"\x1f\x8b\x08", b"<", b"<!DOCTYPE ", b"{", b"v 1 1", b"solid ", b"ply\n", b"\xff\xfe"),
        *(b"OggS", b"II*\0"),
    )
)


@given(STARTS, st.binary(max_size=200), st.none() | st.integers(0, 300))
@example(b"", (b"ID3\x04" + bytes(6)) * 400, None)
@pytest.mark.slow
def test_inspecting_any_bytes_does_not_fail(
    start: bytes, rest: bytes, size_bytes: int | None
) -> None:
    assert sniff(start + rest, size_bytes) in {None, *FORMATS}


@given(st.sampled_from(WHOLE), st.integers(0, HEAD_BYTES), st.integers(0, 255))
def test_inspecting_a_damaged_file_does_not_fail(data: bytes, place: int, value: int) -> None:
    damaged = bytearray(data[:HEAD_BYTES])
    damaged[place % len(damaged)] = value
    assert sniff(bytes(damaged), len(data)) in {None, *FORMATS}
    assert sniff(bytes(damaged[:place])) in {None, *FORMATS}


@given(st.binary(min_size=200, max_size=200))
def test_random_bytes_are_not_text_a_mesh_or_a_page(data: bytes) -> None:
    assert sniff(b"\x80" + data, 5000) not in {*MESHES, *PAGES}


@pytest.mark.parametrize(
    "unit",
    [
        "v" + " 1" * 9,
        "v 1.",
        "; ",
        "solid ",
        "<!-- ",
        "<?",
        "<!doctype a [",
        '{"asset":{',
        "f 1/",
        "1" * 9,
    ],
)
def test_long_texts_without_a_match_end_quickly(unit: str) -> None:
    text = (unit * HEAD_BYTES)[:HEAD_BYTES].encode()
    assert sniff(text) in {None, *PAGES}
