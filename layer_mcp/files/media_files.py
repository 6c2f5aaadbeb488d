"""Media files: the type of a file by its content or name, and a local file opened and checked."""

import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from ..errors import LayerError
from .folders import NotAFileError, PrivateFileError, PrivateFolders, open_file

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
# FBX has no registered media type; it is known by its URL only.
EXTENSIONS = frozenset(EXTENSION_BY_TYPE.values()) | {"fbx"}
OTHER_EXTENSION = "bin"
# The types that Layer takes, and that `sniff` knows.
MEDIA_TYPES = frozenset(
    {"image/png", "image/jpeg", "image/webp", "video/mp4", "audio/mpeg", "audio/wav"}
)
GENERAL_TYPES = frozenset({"text/plain", "application/json", "application/zip"})

# Major brands of MP4 video (mp4ra.org); HEIC, AVIF, QuickTime and M4A have other brands.
MP4_BRANDS = frozenset(
    b"isom iso2 iso3 iso4 iso5 iso6 iso7 iso8 iso9 mp41 mp42 mp4v avc1 dash cmfc cmf2 MSNV XAVC "
    b"M4VH M4VP".split()
) | {b"M4V "}
SMALLEST_FTYP_BYTES = 16
ID3_HEADER_BYTES = 10

WHOLE_FILE_STEP = "Save the file again in an editor that writes this type, then call again."

CHUNK_BYTES = 1024 * 1024
HEAD_BYTES = 64
MEGABYTE = 1024 * 1024
DEFAULT_MAX_BYTES = 64 * MEGABYTE


@dataclass(frozen=True)
class LocalFile:
    """An open media file: its type by content, and its exact size.

    Size, type and hash come from the same open file, so what was checked is what is sent.
    """

    path: Path
    content_type: str
    size_bytes: int
    stream: FileIO = field(repr=False)
    changed_at_ns: int = field(repr=False)
    identity: tuple[int, ...] = field(repr=False)
    """The same for the same file, as long as nothing in it has changed."""

    def sha256(self) -> str:
        """Read the whole file and return its SHA-256.

        Raises:
            LayerError: FILE_UNREADABLE.
        """
        try:
            self.stream.seek(0)
            return hashlib.file_digest(self.stream, "sha256").hexdigest()
        except OSError as error:
            raise _unreadable(self.path, error) from None

    def read_from(self, offset: int) -> bytes:
        """Read the next bytes, at most a megabyte; empty at the end.

        Raises:
            LayerError: FILE_CHANGED, when the file has changed since it was checked;
                FILE_UNREADABLE.
        """
        try:
            self.stream.seek(offset)
            chunk = self.stream.read(min(CHUNK_BYTES, self.size_bytes - offset))
            now = os.fstat(self.stream.fileno())
        except OSError as error:
            raise _unreadable(self.path, error) from None
        if (now.st_size, now.st_mtime_ns) != (self.size_bytes, self.changed_at_ns):
            raise LayerError("FILE_CHANGED", f"{self.path} changed while it was read.")
        return chunk


@contextmanager
def open_media_file(
    path: Path,
    *,
    private: PrivateFolders,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> Generator[LocalFile]:
    """Open a file that is one of the six media types that Layer takes, from its start to its end.

    The path is the real one: no link in it is followed. Files in `private` are not even opened.

    Raises:
        LayerError: PATH_NOT_ALLOWED, FILE_NOT_FOUND, NOT_A_FILE, FILE_UNREADABLE, FILE_EMPTY,
            FILE_TOO_LARGE or FILE_TYPE_NOT_SUPPORTED.
    """
    with _open(path, private) as stream:
        try:
            file = _check(path, stream, max_bytes)
        except OSError as error:
            raise _unreadable(path, error) from None
        yield file


def _open(path: Path, private: PrivateFolders) -> FileIO:
    try:
        return open_file(path, private)
    except PrivateFileError:
        sentence = f"{path} belongs to layer-mcp's own journal and cannot be used."
        raise LayerError("PATH_NOT_ALLOWED", sentence, next_step="Use another file.") from None
    # ValueError: a NUL or half a surrogate pair, which no path can have.
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise LayerError("FILE_NOT_FOUND", f"There is no file {path}.") from None
    except NotAFileError:
        raise LayerError("NOT_A_FILE", f"{path} is a folder or no regular file.") from None
    except OSError as error:
        raise _unreadable(path, error) from None


def _check(path: Path, stream: FileIO, max_bytes: int) -> LocalFile:
    # Only an upload needs it: a server that lists its tools starts without it.
    from .media_structure import find_flaw  # noqa: PLC0415

    facts = os.fstat(stream.fileno())
    if facts.st_size == 0:
        raise LayerError("FILE_EMPTY", f"{path} is empty.")
    if facts.st_size > max_bytes:
        size, limit = facts.st_size / MEGABYTE, max_bytes / MEGABYTE
        sentence = f"{path} has {size:,.2f} MB ({facts.st_size:,} bytes); {limit:g} MB is the most."
        raise LayerError("FILE_TOO_LARGE", sentence)
    content_type = sniff(stream.read(HEAD_BYTES))
    if content_type is None:
        sentence = f"{path} is not a PNG, JPEG, WebP, MP4, MP3 or WAV file by its content."
        raise LayerError("FILE_TYPE_NOT_SUPPORTED", sentence)
    flaw = find_flaw(stream, facts.st_size, content_type)
    if flaw is not None:
        sentence = f"{path} begins like {content_type}, but {flaw}."
        raise LayerError("FILE_TYPE_NOT_SUPPORTED", sentence, next_step=WHOLE_FILE_STEP)
    changed_at_ns = facts.st_mtime_ns
    identity = (facts.st_dev, facts.st_ino, facts.st_size, changed_at_ns, facts.st_ctime_ns)
    return LocalFile(path, content_type, facts.st_size, stream, changed_at_ns, identity)


def _unreadable(path: Path, error: OSError) -> LayerError:
    return LayerError(
        "FILE_UNREADABLE", f"{path} cannot be read: {error.strerror or type(error).__name__}."
    )


def sniff(head: bytes) -> str | None:
    """Return the media type of a file by its first bytes, or None if Layer doesn't take it.

    `head` is the first 64 bytes or more; a shorter one is the whole file. The result is image/png,
    image/jpeg, image/webp, video/mp4, audio/mpeg or audio/wav.

    The marks come from PNG (W3C), JPEG (ITU-T T.81), the RIFF containers of WebP (RFC 9649) and
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
    """Return the extension of an output, without dot: by media type, else by URL, else bin.

    The URL wins over a type that others are made of (an OBJ is text, a USDZ is a ZIP). The result
    is always in EXTENSIONS or bin, so that nothing is saved as a program.
    """
    essence = _essence(content_type)
    by_type, by_url = EXTENSION_BY_TYPE.get(essence), _url_extension(url)
    if essence in GENERAL_TYPES:
        return by_url or by_type or OTHER_EXTENSION
    return by_type or by_url or OTHER_EXTENSION


def is_image(content_type: str | None) -> bool:
    """Return whether a media type is a picture's, in any format (SVG too)."""
    return _essence(content_type).startswith("image/")


def _essence(content_type: str | None) -> str:
    """Return a media type without its parameters, in lower case."""
    return (content_type or "").partition(";")[0].strip().lower()


def _url_extension(url: str | None) -> str | None:
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
    tag_bytes = id3_tag_bytes(head)
    # FLAC and AAC files may carry an ID3 tag too: look behind it when the head reaches that far.
    if tag_bytes is not None and len(head) < tag_bytes + 4:
        return True
    return is_mp3_frame(head[tag_bytes or 0 :])


def id3_tag_bytes(head: bytes) -> int | None:
    """Return the length of an ID3v2 tag with header and footer; its size has seven bits a byte."""
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


def is_mp3_frame(head: bytes) -> bool:
    """Look for eleven set bits, then a real version, layer III, a bit rate and a sample rate.

    Layer bits of 00 are AAC (ADTS); layers I and II are not MP3, and look like UTF-16 text.
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
