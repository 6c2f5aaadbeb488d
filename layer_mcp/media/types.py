"""Media types: their kinds, extensions, and aliases."""

from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

Kind = Literal["image", "audio", "video", "mesh", "archive", "page"]

# Each type that `sniff` returns. A page has no extension here: it is what a host sends in place of
# a file, and HTML in a folder is a program.
FORMATS: dict[str, tuple[Kind, str | None]] = {
    "image/png": ("image", "png"),
    "image/jpeg": ("image", "jpg"),
    "image/webp": ("image", "webp"),
    "image/avif": ("image", "avif"),
    "image/heic": ("image", "heic"),
    "image/heif": ("image", "heif"),
    "image/gif": ("image", "gif"),
    "image/tiff": ("image", "tiff"),
    "image/bmp": ("image", "bmp"),
    "image/svg+xml": ("image", "svg"),
    "image/vnd.adobe.photoshop": ("image", "psd"),
    "image/vnd.radiance": ("image", "hdr"),
    # Not registered, but used by OpenEXR's own pages and by desktops.
    "image/x-exr": ("image", "exr"),
    # The name of the extension of glTF that carries it.
    "image/vnd-ms.dds": ("image", "dds"),
    "image/ktx": ("image", "ktx"),
    "image/ktx2": ("image", "ktx2"),
    "audio/wav": ("audio", "wav"),
    "audio/mpeg": ("audio", "mp3"),
    "audio/aac": ("audio", "aac"),
    "audio/mp4": ("audio", "m4a"),
    "audio/flac": ("audio", "flac"),
    "audio/ogg": ("audio", "ogg"),
    "audio/aiff": ("audio", "aiff"),
    "video/mp4": ("video", "mp4"),
    "video/webm": ("video", "webm"),
    "video/matroska": ("video", "mkv"),
    "video/quicktime": ("video", "mov"),
    "video/ogg": ("video", "ogv"),
    "video/x-msvideo": ("video", "avi"),
    "model/gltf-binary": ("mesh", "glb"),
    "model/gltf+json": ("mesh", "gltf"),
    "model/obj": ("mesh", "obj"),
    "model/stl": ("mesh", "stl"),
    "model/vnd.usdz+zip": ("mesh", "usdz"),
    "model/vnd.usda": ("mesh", "usda"),
    "model/vnd.collada+xml": ("mesh", "dae"),
    # FBX, PLY, binary USD and Blender's files have no registered types: these say what they are,
    # and no system opens them as anything else.
    "model/x-fbx": ("mesh", "fbx"),
    "model/x-ply": ("mesh", "ply"),
    "model/x-usdc": ("mesh", "usdc"),
    "application/x-blender": ("mesh", "blend"),
    "application/zip": ("archive", "zip"),
    "application/gzip": ("archive", "gz"),
    "application/zstd": ("archive", "zst"),
    "application/json": ("page", "json"),
    "text/plain": ("page", "txt"),
    "application/xml": ("page", None),
    "text/html": ("page", None),
}
ALIASES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/apng": "image/png",
    "image/x-png": "image/png",
    "image/avif-sequence": "image/avif",
    "image/heic-sequence": "image/heic",
    "image/heif-sequence": "image/heif",
    "image/svg": "image/svg+xml",
    "image/tif": "image/tiff",
    "image/x-ms-bmp": "image/bmp",
    "image/x-bmp": "image/bmp",
    "image/psd": "image/vnd.adobe.photoshop",
    "image/x-psd": "image/vnd.adobe.photoshop",
    "image/x-photoshop": "image/vnd.adobe.photoshop",
    "application/x-photoshop": "image/vnd.adobe.photoshop",
    "image/exr": "image/x-exr",
    "image/aces": "image/x-exr",
    "image/x-hdr": "image/vnd.radiance",
    "image/x-dds": "image/vnd-ms.dds",
    "audio/mp3": "audio/mpeg",
    "audio/x-mp3": "audio/mpeg",
    "audio/x-mpeg": "audio/mpeg",
    "audio/wave": "audio/wav",
    "audio/x-wav": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/x-pn-wav": "audio/wav",
    "audio/x-aac": "audio/aac",
    "audio/aacp": "audio/aac",
    "audio/m4a": "audio/mp4",
    "audio/x-m4a": "audio/mp4",
    "audio/x-flac": "audio/flac",
    "audio/opus": "audio/ogg",
    "audio/vorbis": "audio/ogg",
    "audio/x-ogg": "audio/ogg",
    "application/ogg": "audio/ogg",
    "audio/x-aiff": "audio/aiff",
    "video/x-m4v": "video/mp4",
    "video/x-matroska": "video/matroska",
    "video/avi": "video/x-msvideo",
    "video/vnd.avi": "video/x-msvideo",
    "model/glb": "model/gltf-binary",
    "model/gltf": "model/gltf+json",
    "model/x-obj": "model/obj",
    "application/x-tgif": "model/obj",
    "model/x-stl": "model/stl",
    "model/x.stl-ascii": "model/stl",
    "model/x.stl-binary": "model/stl",
    "application/sla": "model/stl",
    "application/vnd.ms-pki.stl": "model/stl",
    "model/vnd.usd+zip": "model/vnd.usdz+zip",
    "model/usdz": "model/vnd.usdz+zip",
    "model/fbx": "model/x-fbx",
    "model/vnd.fbx": "model/x-fbx",
    "application/fbx": "model/x-fbx",
    "application/x-fbx": "model/x-fbx",
    "application/vnd.autodesk.fbx": "model/x-fbx",
    "model/ply": "model/x-ply",
    "application/ply": "model/x-ply",
    "application/x-ply": "model/x-ply",
    "model/blend": "application/x-blender",
    "application/blender": "application/x-blender",
    "application/x-zip-compressed": "application/zip",
    "application/x-gzip": "application/gzip",
    "text/json": "application/json",
    "text/xml": "application/xml",
    "application/xhtml+xml": "text/html",
}
EXTENSIONS = frozenset(extension for _, extension in FORMATS.values() if extension)
OTHER_EXTENSION = "bin"
OTHER_SPELLINGS = {"jpeg": "jpg", "apng": "png", "tif": "tiff", "aif": "aiff", "psb": "psd"}
# The types that Layer accepts.
MEDIA_TYPES = frozenset(
    {"image/png", "image/jpeg", "image/webp", "video/mp4", "audio/mpeg", "audio/wav"}
)
# Says nothing about the content.
UNDECLARED = frozenset(
    {"", "application/octet-stream", "binary/octet-stream", "application/binary"}
)
# What others are made of: each can be declared as that.
MADE_OF = {
    "model/vnd.usdz+zip": ("application/zip",),
    "model/gltf+json": ("application/json", "text/plain"),
    "model/vnd.collada+xml": ("application/xml", "text/plain"),
    "image/svg+xml": ("application/xml", "text/plain"),
    "model/obj": ("text/plain",),
    "model/stl": ("text/plain",),
    "model/x-ply": ("text/plain",),
    "model/x-fbx": ("text/plain",),
    "model/vnd.usda": ("text/plain",),
    "application/x-blender": ("application/gzip", "application/zstd"),
    "application/json": ("text/plain",),
    "application/xml": ("text/plain",),
    # One container; whether it has a picture is in its tracks.
    "audio/mp4": ("video/mp4",),
    "audio/webm": ("video/webm",),
    "audio/matroska": ("video/matroska",),
    "audio/x-matroska": ("video/matroska",),
    "audio/ogg": ("video/ogg",),
    "image/heic": ("image/heif",),
}
GENERAL_TYPES = frozenset(
    {
        "text/plain",
        "application/json",
        "application/xml",
        "application/zip",
        "application/gzip",
        "application/zstd",
    }
)


def canonical_type(content_type: str | None) -> str:
    """Return the canonical name of a media type, lowercase and without parameters."""
    essence = (content_type or "").partition(";")[0].strip().lower()
    return ALIASES.get(essence, essence)


def kind_of(content_type: str | None) -> Kind | None:
    """Return the kind of a media type, or None if it's unknown."""
    name = canonical_type(content_type)
    if name in FORMATS:
        return FORMATS[name][0]
    family = name.partition("/")[0].replace("model", "mesh")
    return family if family in ("image", "audio", "video", "mesh") else None


def extension_of(content_type: str | None) -> str | None:
    """Return the extension of a media type without the dot, or None."""
    known = FORMATS.get(canonical_type(content_type))
    return known[1] if known else None


def type_of_extension(extension: str) -> str | None:
    """Return the media type of an extension without the dot, in any case, or None."""
    wanted = extension.lower()
    wanted = OTHER_SPELLINGS.get(wanted, wanted)
    return next((name for name, (_, known) in FORMATS.items() if known == wanted), None)


def extension_for(content_type: str | None, url: str | None) -> str:
    """Return the extension of a file whose bytes don't show its type: by media type, then by URL.

    It has no dot. The URL wins over a type that others are made of (a USDZ is a ZIP). The result
    is always in EXTENSIONS or bin, so that nothing is saved as a program.
    """
    by_type, by_url = extension_of(content_type), _url_extension(url)
    if canonical_type(content_type) in GENERAL_TYPES:
        return by_url or by_type or OTHER_EXTENSION
    return by_type or by_url or OTHER_EXTENSION


def same_type(one: str | None, other: str | None) -> bool:
    """Return whether two media types can be the same file's: other names, or what it is made of.

    A type that says nothing, such as application/octet-stream, agrees with every other.
    """
    first, second = canonical_type(one), canonical_type(other)
    if first == second or first in UNDECLARED or second in UNDECLARED:
        return True
    return second in MADE_OF.get(first, ()) or first in MADE_OF.get(second, ())


def is_image(content_type: str | None) -> bool:
    """Return whether a media type is an image, including SVG."""
    return kind_of(content_type) == "image"


def is_page(content_type: str | None) -> bool:
    """Return whether a host may send this type instead of a file: HTML, JSON, or text."""
    return kind_of(content_type) == "page"


def replaces_medium(sniffed: str | None, declared: str | None, url: str | None = None) -> bool:
    """Return whether a page was sent instead of the declared file.

    `sniffed` is what `sniff` returned. Without a declared type the URL's extension counts. If the
    declared type is a text's, or one that `sniff` doesn't know, JSON and text are no surprise;
    HTML and XML still are, unless the declared type can be written in them.
    """
    if not is_page(sniffed):
        return False
    expected = canonical_type(declared)
    if expected in UNDECLARED:
        expected = _url_type(url)
    kind = kind_of(expected)
    if kind in ("image", "audio", "video") or (expected in FORMATS and kind != "page"):
        return True
    is_markup = canonical_type(sniffed) in ("text/html", "application/xml")
    return is_markup and not (expected.startswith("text/") or expected.endswith("xml"))


def _url_type(url: str | None) -> str:
    return type_of_extension(_url_extension(url) or "") or ""


def _url_extension(url: str | None) -> str | None:
    try:
        path = urlsplit(url or "").path
    except ValueError:
        return None
    suffix = PurePosixPath(path).suffix.lower().removeprefix(".")
    suffix = OTHER_SPELLINGS.get(suffix, suffix)
    return suffix if suffix in EXTENSIONS else None
