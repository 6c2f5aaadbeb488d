"""What kind of file something is."""

import io
import wave
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from layer_mcp.files.media_files import EXTENSIONS, OTHER_EXTENSION, extension_for, is_image, sniff

MP3_FRAME = b"\xff\xfb\x90\x64" + bytes(60)
AAC_FRAME = b"\xff\xf1\x50\x80" + bytes(60)
BEHIND_A_SHORT_TAG = b"ID3\x04\x00\x00\x00\x00\x00\x05" + bytes(5)
LONG_TAG = b"ID3\x03\x00\x00\x00\x00\x08\x00" + bytes(54)


def picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2)).save(buffer, kind)
    return buffer.getvalue()


def sound() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(100))
    return buffer.getvalue()


def clip() -> bytes:
    return (files("layer_mcp.sandbox") / "clip.mp4").read_bytes()


def iso_file(brand: bytes) -> bytes:
    return b"\x00\x00\x00\x18ftyp" + brand + b"\x00\x00\x00\x00isommp42" + bytes(40)


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        pytest.param(picture("PNG"), "image/png", id="png"),
        pytest.param(picture("JPEG"), "image/jpeg", id="jpeg"),
        pytest.param(picture("WEBP"), "image/webp", id="webp"),
        pytest.param(clip(), "video/mp4", id="mp4"),
        pytest.param(iso_file(b"mp42"), "video/mp4", id="mp4 of version 2"),
        pytest.param(sound(), "audio/wav", id="wav"),
        pytest.param(MP3_FRAME, "audio/mpeg", id="mp3"),
        pytest.param(LONG_TAG, "audio/mpeg", id="mp3 with a tag"),
        pytest.param(BEHIND_A_SHORT_TAG + MP3_FRAME, "audio/mpeg", id="mp3 with a short tag"),
    ],
)
def test_the_first_bytes_tell_each_type_that_layer_takes(data: bytes, content_type: str) -> None:
    assert sniff(data[:64]) == content_type


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"This is text in a file named .png, long enough to be looked at.", id="text"),
        pytest.param("\ufeffhello, ÿ".encode("utf-16-le") * 5, id="utf-16 text"),
        pytest.param(picture("GIF"), id="gif"),
        pytest.param(picture("AVIF"), id="avif"),
        pytest.param(b'<svg xmlns="http://www.w3.org/2000/svg"></svg>', id="svg"),
        pytest.param(b"\x1a\x45\xdf\xa3\x01\x00\x00\x00webm" + bytes(52), id="webm"),
        pytest.param(b"%PDF-1.7\n" + bytes(55), id="pdf"),
        pytest.param(b"RIFF\x00\x01\x00\x00AVI LIST" + bytes(48), id="avi"),
        pytest.param(b"RIFF\x00\x01\x00\x00WEBPJUNK" + bytes(48), id="webp without a picture"),
        pytest.param(iso_file(b"heic"), id="heic"),
        pytest.param(iso_file(b"heix"), id="heic of ten bits"),
        pytest.param(iso_file(b"mif1"), id="heif"),
        pytest.param(iso_file(b"avif"), id="avif of an iso file"),
        pytest.param(iso_file(b"qt  "), id="quicktime"),
        pytest.param(iso_file(b"M4A "), id="m4a"),
        pytest.param(AAC_FRAME, id="aac"),
        pytest.param(BEHIND_A_SHORT_TAG + AAC_FRAME, id="aac with a tag"),
        pytest.param(BEHIND_A_SHORT_TAG + b"fLaC" + bytes(60), id="flac with a tag"),
        pytest.param(b"\xff\xd8\x00\x00" + bytes(60), id="jpeg without a second mark"),
        pytest.param(b"\x89PNG\r\n\x1a\n", id="png without a header"),
        pytest.param(b"\x89PNG\n\x1a\n" + bytes(60), id="png whose line ends were changed"),
    ],
)
def test_anything_else_has_no_type(data: bytes) -> None:
    assert sniff(data[:64]) is None


@given(st.sampled_from([b"", b"ID3\x04", b"RIFF", b"\xff", b"\0\0\0 ftyp"]), st.binary(max_size=80))
def test_any_bytes_are_looked_at_without_failing(start: bytes, rest: bytes) -> None:
    sniff(start + rest)


@pytest.mark.parametrize(
    ("content_type", "extension"),
    [
        ("image/png", "png"),
        ("IMAGE/JPEG", "jpg"),
        ("image/svg+xml; charset=utf-8", "svg"),
        (" video/quicktime ;x=y", "mov"),
        ("model/gltf-binary", "glb"),
        ("audio/x-wav", "wav"),
    ],
)
def test_an_extension_follows_the_media_type(content_type: str, extension: str) -> None:
    assert extension_for(content_type, "https://media.example/a.zip") == extension


@pytest.mark.parametrize(
    ("content_type", "name", "extension"),
    [
        ("text/plain", "mesh.obj", "obj"),
        ("application/json", "mesh.gltf", "gltf"),
        ("application/zip", "mesh.usdz", "usdz"),
        ("application/json", "facts", "json"),
        ("text/plain; charset=utf-8", "run.exe", "txt"),
    ],
)
def test_a_type_that_others_are_made_of_gives_way_to_the_address(
    content_type: str, name: str, extension: str
) -> None:
    assert extension_for(content_type, f"https://media.example/{name}") == extension


@pytest.mark.parametrize(
    ("url", "extension"),
    [
        ("https://media.example/files/sword-12.png", "png"),
        ("https://media.example/SWORD.FBX", "fbx"),
        ("https://media.example/a.jpeg?width=3", "jpg"),
        ("/a.glb#part", "glb"),
    ],
)
def test_the_address_tells_when_the_media_type_does_not(url: str, extension: str) -> None:
    assert extension_for("application/octet-stream", url) == extension
    assert extension_for(None, url) == extension


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "https://media.example/run.exe",
        "https://media.example/a.png.exe",
        "https://media.example/a.png/download",
        "https://media.example/download?name=a.png",
        "https://media.example.png",
        "https://[/a.png",
    ],
)
def test_an_unknown_kind_is_bin(url: str | None) -> None:
    assert extension_for(None, url) == "bin"


@given(st.none() | st.text(), st.none() | st.text())
def test_an_extension_is_always_one_of_the_list(content_type: str | None, url: str | None) -> None:
    assert extension_for(content_type, url) in EXTENSIONS | {OTHER_EXTENSION}


def test_the_known_extensions_change_only_on_purpose() -> None:
    known = (
        "png jpg webp svg gif mp4 webm mov mp3 wav ogg flac glb gltf obj fbx stl usdz zip json txt"
    )
    assert set(known.split()) == EXTENSIONS


def test_a_picture_is_recognized_by_its_media_type() -> None:
    assert is_image("Image/PNG; q=1")
    assert not is_image("video/mp4")
    assert not is_image(None)
