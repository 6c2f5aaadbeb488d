"""Local media files, opened and checked before they are uploaded."""

import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from ..errors import LayerError
from ..media.sniff import HEAD_BYTES, sniff
from ..media.types import MEDIA_TYPES
from .folders import NotAFileError, PrivateFileError, PrivateFolders, open_file

WHOLE_FILE_STEP = "Save the file again in an editor that writes this type, then call again."

CHUNK_BYTES = 1024 * 1024
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
    """Equal for the same file, as long as its content hasn't changed."""

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
    """Open a file whose whole content is one of the six media types that Layer takes.

    The path is the real one: no link in it is followed. Files in `private` aren't even opened.

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
        sentence = f"{path} belongs to layer-mcp's journal and can't be used."
        raise LayerError("PATH_NOT_ALLOWED", sentence, next_step="Use another file.") from None
    # ValueError: a NUL or half a surrogate pair, which no path can contain.
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise LayerError("FILE_NOT_FOUND", f"There is no file {path}.") from None
    except NotAFileError:
        raise LayerError(
            "NOT_A_FILE", f"{path} isn't a regular file; it may be a folder."
        ) from None
    except OSError as error:
        raise _unreadable(path, error) from None


def _check(path: Path, stream: FileIO, max_bytes: int) -> LocalFile:
    # Imported here because only uploads need it, and the server starts faster without it.
    from ..media.structure import find_flaw  # noqa: PLC0415

    facts = os.fstat(stream.fileno())
    if facts.st_size == 0:
        raise LayerError("FILE_EMPTY", f"{path} is empty.")
    if facts.st_size > max_bytes:
        size, limit = facts.st_size / MEGABYTE, max_bytes / MEGABYTE
        sentence = f"{path} is {size:,.2f} MB ({facts.st_size:,} bytes); the limit is {limit:g} MB."
        raise LayerError("FILE_TOO_LARGE", sentence)
    content_type = sniff(stream.read(HEAD_BYTES), facts.st_size)
    if content_type not in MEDIA_TYPES:
        sentence = f"{path} isn't a PNG, JPEG, WebP, MP4, MP3, or WAV file."
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
        "FILE_UNREADABLE", f"{path} can't be read: {error.strerror or type(error).__name__}."
    )
