"""What kind of file something is: by its first bytes, its media type or its address."""

from pathlib import PurePosixPath
from urllib.parse import urlsplit

EXTENSION_BY_TYPE = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/jpg": "jpg",
    "image/webp": "webp",
    "image/svg+xml": "svg",
    "image/gif": "gif",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/quicktime": "mov",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
    "audio/vnd.wave": "wav",
    "audio/ogg": "ogg",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
    "model/gltf-binary": "glb",
    "model/gltf+json": "gltf",
    "model/obj": "obj",
    "model/stl": "stl",
    "model/vnd.usdz+zip": "usdz",
    "application/zip": "zip",
    "application/x-zip-compressed": "zip",
    "application/json": "json",
    "text/plain": "txt",
}
# FBX has no registered media type; it is known by its address only.
EXTENSIONS = frozenset(EXTENSION_BY_TYPE.values()) | {"fbx"}
OTHER_EXTENSION = "bin"
# Those that Layer takes, and that `sniff` knows.
MEDIA_TYPES = frozenset(
    {"image/png", "image/jpeg", "image/webp", "video/mp4", "audio/mpeg", "audio/wav"}
)
GENERAL_TYPES = frozenset({"text/plain", "application/json", "application/zip"})

# Major brands of MP4 video (mp4ra.org); HEIC, AVIF, QuickTime and M4A have brands of their own.
MP4_BRANDS = frozenset(
    b"isom iso2 iso3 iso4 iso5 iso6 iso7 iso8 iso9 mp41 mp42 mp4v avc1 dash cmfc cmf2 MSNV XAVC "
    b"M4VH M4VP".split()
) | {b"M4V "}
SMALLEST_FTYP_BYTES = 16
ID3_HEADER_BYTES = 10


def sniff(head: bytes) -> str | None:
    """The media type of a file by its first bytes, or None when it is none that Layer takes.

    `head` is the first 64 bytes or more; a shorter one is the whole file. The answer is one of
    image/png, image/jpeg, image/webp, video/mp4, audio/mpeg and audio/wav.

    Source of the marks: PNG (W3C), JPEG (ITU-T T.81), the RIFF containers of WebP (RFC 9649) and
    WAVE, ISO 14496-12 for MP4, ID3v2 and ISO 11172-3 for MP3.
    """
    if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR":
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"RIFF"):
        return _riff_type(head)
    if _is_mp4(head):
        return "video/mp4"
    return "audio/mpeg" if _is_mp3(head) else None


def extension_for(content_type: str | None, url: str | None) -> str:
    """The extension of an output, without dot: by its media type, else by its address, else bin.

    A type that others are made of (an OBJ is text, a USDZ is a ZIP) gives way to the address.
    Never one that is not in EXTENSIONS, so that nothing is saved as a program.
    """
    essence = _essence(content_type)
    by_type, by_address = EXTENSION_BY_TYPE.get(essence), _extension_of(url)
    if essence in GENERAL_TYPES:
        return by_address or by_type or OTHER_EXTENSION
    return by_type or by_address or OTHER_EXTENSION


def is_image(content_type: str | None) -> bool:
    """Whether a media type is a picture's, of any format (SVG too)."""
    return _essence(content_type).startswith("image/")


def _essence(content_type: str | None) -> str:
    """A media type without its parameters, in lower case."""
    return (content_type or "").partition(";")[0].strip().lower()


def _extension_of(url: str | None) -> str | None:
    try:
        path = urlsplit(url or "").path
    except ValueError:
        return None
    suffix = PurePosixPath(path).suffix.lower().removeprefix(".")
    suffix = "jpg" if suffix == "jpeg" else suffix
    return suffix if suffix in EXTENSIONS else None


def _riff_type(head: bytes) -> str | None:
    form, chunk = head[8:12], head[12:16]
    if form == b"WEBP" and chunk in (b"VP8 ", b"VP8L", b"VP8X"):
        return "image/webp"
    return "audio/wav" if form == b"WAVE" else None


def _is_mp4(head: bytes) -> bool:
    size_bytes, name, brand = int.from_bytes(head[:4]), head[4:8], head[8:12]
    return name == b"ftyp" and size_bytes >= SMALLEST_FTYP_BYTES and brand in MP4_BRANDS


def _is_mp3(head: bytes) -> bool:
    tag_bytes = _id3_tag_bytes(head)
    # FLAC and AAC files may carry an ID3 tag too: look behind it when the head reaches that far.
    if tag_bytes is not None and len(head) < tag_bytes + 4:
        return True
    return _is_mp3_frame(head[tag_bytes or 0 :])


def _id3_tag_bytes(head: bytes) -> int | None:
    """The length of an ID3v2 tag with header and footer; its size has seven bits in each byte."""
    header = head[:ID3_HEADER_BYTES]
    if len(header) < ID3_HEADER_BYTES or not header.startswith(b"ID3"):
        return None
    if header[3] not in (2, 3, 4) or any(byte & 0x80 for byte in header[6:]):
        return None
    size_bytes = 0
    for byte in header[6:]:
        size_bytes = size_bytes << 7 | byte
    has_footer = header[5] & 0x10
    return ID3_HEADER_BYTES + size_bytes + (ID3_HEADER_BYTES if has_footer else 0)


def _is_mp3_frame(head: bytes) -> bool:
    """Eleven set bits, then a real version, layer III, a bit rate and a sample rate.

    Layer bits of 00 are AAC (ADTS); layers I and II are no MP3, and look like UTF-16 text.
    """
    if len(head) < 4:
        return False
    header = int.from_bytes(head[:4])
    sync, version, layer = header >> 21, header >> 19 & 3, header >> 17 & 3
    bit_rate, sample_rate = header >> 12 & 15, header >> 10 & 3
    return (
        sync == 0x7FF
        and version != 1
        and layer == 1
        and bit_rate not in (0, 15)
        and sample_rate != 3
    )
