"""What kind of medium a media type is, its extension, and its other names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layer_mcp.media.types import (
    ALIASES,
    EXTENSIONS,
    FORMATS,
    MEDIA_TYPES,
    OTHER_EXTENSION,
    Kind,
    canonical_type,
    extension_for,
    extension_of,
    is_image,
    is_page,
    kind_of,
    replaces_medium,
    same_type,
)


@pytest.mark.parametrize(
    ("content_type", "extension"),
    [
        ("image/png", "png"),
        ("IMAGE/JPEG", "jpg"),
        ("image/svg+xml; charset=utf-8", "svg"),
        (" video/quicktime ;x=y", "mov"),
        ("model/gltf-binary", "glb"),
        ("audio/x-wav", "wav"),
        ("model/x-fbx", "fbx"),
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
        ("application/zstd", "mesh.blend", "blend"),
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
        ("https://media.example/a.TIF", "tiff"),
        ("/a.glb#part", "glb"),
    ],
)
def test_the_url_determines_the_type_if_the_media_type_does_not(url: str, extension: str) -> None:
    assert extension_for("application/octet-stream", url) == extension
    assert extension_for(None, url) == extension


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "https://media.example/run.exe",
        "https://media.example/page.html",
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
        "png jpg webp avif heic heif gif tiff bmp svg psd hdr exr dds ktx ktx2 "
        "wav mp3 aac m4a flac ogg aiff mp4 webm mkv mov ogv avi "
        "glb gltf obj stl usdz usda usdc dae fbx ply blend zip gz zst json txt"
    )
    assert set(known.split()) == EXTENSIONS


def test_a_picture_is_recognized_by_its_media_type() -> None:
    assert is_image("Image/PNG; q=1")
    assert not is_image("video/mp4")
    assert not is_image(None)


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("image/avif", "image"),
        ("IMAGE/JPG; q=1", "image"),
        ("image/unheard-of", "image"),
        ("audio/x-m4a", "audio"),
        ("video/x-matroska", "video"),
        ("model/x-fbx", "mesh"),
        ("application/x-blender", "mesh"),
        ("model/mtl", "mesh"),
        ("application/x-zip-compressed", "archive"),
        ("text/xml", "page"),
        ("application/json", "page"),
        ("application/octet-stream", None),
        ("application/pdf", None),
        ("", None),
        (None, None),
    ],
)
def test_a_media_type_determines_the_kind_of_media(
    content_type: str | None, kind: Kind | None
) -> None:
    assert kind_of(content_type) == kind


def test_an_alias_refers_to_a_format_but_is_not_one() -> None:
    assert set(ALIASES.values()) <= set(FORMATS)
    assert not set(ALIASES) & set(FORMATS)


def test_each_format_except_web_pages_has_its_own_extension() -> None:
    extensions = [extension_of(name) for name in FORMATS]
    assert len(set(extensions) - {None}) == len(FORMATS) - 2
    assert extension_of("text/html") is extension_of("application/xml") is None


def test_every_media_type_has_one_canonical_name() -> None:
    assert {canonical_type(name.upper()) for name in MEDIA_TYPES} == MEDIA_TYPES


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("image/jpg", "IMAGE/JPEG; q=1"),
        ("audio/x-wav", "audio/vnd.wave"),
        ("model/gltf-binary", "application/octet-stream"),
        ("image/png", None),
        ("model/vnd.usdz+zip", "application/zip"),
        ("model/gltf+json", "application/json"),
        ("model/obj", "text/plain; charset=utf-8"),
        ("application/x-blender", "application/gzip"),
        ("video/webm", "audio/webm"),
        ("video/mp4", "audio/mp4"),
    ],
)
def test_types_that_can_be_of_one_file_are_the_same(one: str | None, other: str | None) -> None:
    assert same_type(one, other)
    assert same_type(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("image/jpeg", "image/png"),
        ("audio/mpeg", "audio/wav"),
        ("model/obj", "application/zip"),
        ("text/html", "image/svg+xml"),
        ("video/webm", "video/matroska"),
    ],
)
def test_types_that_cannot_be_of_one_file_differ(one: str, other: str) -> None:
    assert not same_type(one, other)
    assert not same_type(other, one)


@pytest.mark.parametrize("name", ["text/html", "application/json", "text/xml", "text/plain"])
def test_markup_json_and_text_are_pages(name: str) -> None:
    assert is_page(name)
    assert not is_page("image/svg+xml")


@pytest.mark.parametrize(
    ("sniffed", "declared", "url"),
    [
        ("text/html", "image/png", None),
        ("application/json", "model/gltf-binary", None),
        ("application/json", "model/gltf+json", None),
        ("text/plain", "model/obj", None),
        ("text/plain", "audio/unheard-of", None),
        ("application/xml", "video/mp4", None),
        ("application/xml", "image/svg+xml", None),
        ("text/html", "application/zip", None),
        ("text/html", "application/json", None),
        ("text/html", "model/mtl", None),
        ("text/html", None, None),
        ("application/xml", "application/octet-stream", None),
        ("application/json", None, "https://media.example/a.fbx"),
        ("text/plain", "application/octet-stream", "https://media.example/a.png"),
    ],
)
def test_recognizes_a_web_page_in_place_of_media(
    sniffed: str, declared: str | None, url: str | None
) -> None:
    assert replaces_medium(sniffed, declared, url)


@pytest.mark.parametrize(
    ("sniffed", "declared", "url"),
    [
        (None, "image/png", None),
        ("image/png", "video/mp4", None),
        ("image/svg+xml", "image/png", None),
        ("application/json", "application/json; charset=utf-8", None),
        ("application/json", "text/plain", None),
        ("text/plain", "application/json", None),
        ("text/plain", "text/csv", None),
        ("text/html", "text/markdown", None),
        ("application/xml", "model/x3d+xml", None),
        ("text/plain", "model/mtl", None),
        ("application/json", "application/unheard-of", None),
        ("application/json", None, None),
        ("application/json", None, "https://media.example/a.json"),
        ("text/plain", None, "https://media.example/a.txt"),
    ],
)
def test_a_declared_or_ambiguous_page_does_not_replace_a_file(
    sniffed: str | None, declared: str | None, url: str | None
) -> None:
    assert not replaces_medium(sniffed, declared, url)
