"""A local file that is about to be uploaded: opened once, checked by its content.

What was checked is what is read: size, type and hash come from the same open file.
"""

import hashlib
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from ..errors import LayerError
from .media_types import sniff

CHUNK_BYTES = 1024 * 1024
HEAD_BYTES = 64
MEGABYTE = 1024 * 1024
DEFAULT_MAX_BYTES = 64 * MEGABYTE
# Opening a pipe would wait for a writer; a link in the last place was not what was checked.
OPEN_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)
)


@dataclass(frozen=True)
class LocalFile:
    """An open media file: its media type by content, exact size and SHA-256."""

    path: Path
    content_type: str
    size_bytes: int
    sha256: str
    stream: FileIO = field(repr=False)
    changed_at_ns: int = field(repr=False)

    def is_at(self, path: Path) -> bool:
        """Whether this is the very file that a path leads to now."""
        try:
            return os.path.samestat(os.fstat(self.stream.fileno()), path.stat())
        except OSError:
            return False

    def read_from(self, offset: int) -> bytes:
        """The next bytes, at most a megabyte; empty at the end.

        Raises:
            LayerError: FILE_CHANGED, when the file is not what it was when it was checked;
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
def open_media_file(path: Path, *, max_bytes: int = DEFAULT_MAX_BYTES) -> Generator[LocalFile]:
    """Open a file whose content is one of the six media types that Layer takes.

    Raises:
        LayerError: FILE_NOT_FOUND, NOT_A_FILE, FILE_UNREADABLE, FILE_EMPTY, FILE_TOO_LARGE or
            FILE_TYPE_NOT_SUPPORTED.
    """
    with _opened(path) as stream:
        try:
            file = _checked(path, stream, max_bytes)
        except OSError as error:
            raise _unreadable(path, error) from None
        yield file


def _opened(path: Path) -> FileIO:
    try:
        descriptor = os.open(path, OPEN_FLAGS)
    # ValueError: a NUL or half a surrogate pair, which no path can have.
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise LayerError("FILE_NOT_FOUND", f"There is no file {path}.") from None
    except OSError as error:
        # Windows opens no folders, and says that they are not permitted.
        is_folder = os.path.isdir(path)
        raise _not_a_file(path) if is_folder else _unreadable(path, error) from None
    try:
        return FileIO(descriptor, "rb")
    except IsADirectoryError:
        os.close(descriptor)
        raise _not_a_file(path) from None


def _checked(path: Path, stream: FileIO, max_bytes: int) -> LocalFile:
    facts = os.fstat(stream.fileno())
    if not stat.S_ISREG(facts.st_mode):
        raise _not_a_file(path)
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
    stream.seek(0)
    sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return LocalFile(path, content_type, facts.st_size, sha256, stream, facts.st_mtime_ns)


def _not_a_file(path: Path) -> LayerError:
    return LayerError("NOT_A_FILE", f"{path} is a folder or no regular file.")


def _unreadable(path: Path, error: OSError) -> LayerError:
    return LayerError("FILE_UNREADABLE", f"{path} cannot be read: {error.strerror or error}.")
