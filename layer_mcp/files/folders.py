"""Opens folders and files step by step, so the checked file is the one that's used.

A path is walked from the root of the disk: each folder is opened relative to the one before it, and
links are never followed. Files are named relative to a folder's descriptor, so replacing a parent
folder with a link has no effect. The caller first follows the links that it allows.

Windows can't open files relative to a folder. There the whole path is checked just before its use.
"""

import errno
import os
import stat
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedRandom, FileIO
from pathlib import Path
from typing import BinaryIO

IS_WALKED = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
# With O_PATH, a parent folder doesn't have to be listable.
PATH_ONLY = getattr(os, "O_PATH", 0)
FOLDER_FLAGS = PATH_ONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
# Opening a pipe would wait for a writer.
READ_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
CREATE_FLAGS = (
    os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)
CHANGE_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
# Files that SQLite puts next to a database.
COMPANIONS = ("", "-wal", "-shm", "-journal")


class PrivateFileError(PermissionError):
    """A file or folder of the journal. Closing any descriptor of one would drop SQLite's locks."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "it belongs to layer-mcp's own journal")


class LinkError(OSError):
    """A link where links must not be followed."""

    def __init__(self) -> None:
        super().__init__(errno.ELOOP, "a link is on the way")


class NotAFileError(OSError):
    """A folder, a pipe, or anything else that isn't a regular file."""

    def __init__(self) -> None:
        super().__init__(errno.EINVAL, "it is not a regular file")


@dataclass(frozen=True)
class PrivateFolders:
    """Folders whose files must not be opened, identified by device and inode.

    `allowed` are folders that the user named. One may be inside a private folder, but can't be one.
    With `has_all`, every folder is private.
    """

    folders: tuple[Path, ...] = ()
    allowed: tuple[Path, ...] = ()
    has_all: bool = False

    def first_checked(self, path: Path) -> int:
        """Return the depth at which checking a path's folders for private ones starts."""
        depths = [len(one.parts) - 1 for one in self.allowed if path.is_relative_to(one)]
        return max(depths, default=0)

    def has_folder(self, facts: os.stat_result) -> bool:
        """Return whether a folder is private."""
        return self.has_all or any(os.path.samestat(facts, one) for one in _stat_all(self.folders))

    def has_path(self, path: Path) -> bool:
        """Return whether a real path is a private folder or below one."""
        checked = (path, *path.parents)[: len(path.parts) - self.first_checked(path)]
        return self.has_all or any(map(self.has_folder, _stat_all(checked)))

    def has_file(self, facts: os.stat_result) -> bool:
        """Return whether a file is in a private folder, under this or another name."""
        return self.has_all or any(os.path.samestat(facts, one) for one in _stat_all(self._files()))

    def _files(self) -> Iterator[str]:
        # No Path objects, because this runs for each file that is opened.
        for folder in self.folders:
            with suppress(OSError), os.scandir(folder) as entries:
                for entry in entries:
                    yield entry.path
                    if entry.is_symlink():
                        real = os.path.realpath(entry.path)
                        yield from (real + ending for ending in COMPANIONS)


@dataclass(frozen=True)
class OpenFolder:
    """An open folder. Its files are named relative to it, and links are never followed."""

    path: Path
    descriptor: int | None = field(repr=False)
    private: PrivateFolders = field(repr=False)

    def names(self) -> list[str]:
        """List what is in the folder.

        Raises:
            OSError: the folder can't be listed.
        """
        if self.descriptor is None:
            return os.listdir(self.path)
        # A descriptor opened with O_PATH can't be listed.
        descriptor = os.open(".", os.O_RDONLY, dir_fd=self.descriptor)
        try:
            return os.listdir(descriptor)
        finally:
            os.close(descriptor)

    def is_writable(self) -> bool:
        """Return whether files can be created in the folder, judging by permissions."""
        return os.access(self._place("."), os.W_OK, dir_fd=self.descriptor)

    def stat(self, name: str) -> os.stat_result | None:
        """Return the stat result of a file or a link, or None if it's missing."""
        try:
            return os.stat(self._place(name), dir_fd=self.descriptor, follow_symlinks=False)
        except OSError:
            return None

    def open(self, name: str) -> FileIO:
        """Open a regular file for reading.

        Raises:
            OSError: it's missing, unreadable, not a file (`NotAFileError`), a link (`LinkError`),
                or one of the journal's files (`PrivateFileError`).
        """
        return FileIO(self._open(name), "rb")

    def read(self, name: str, max_bytes: int) -> bytes | None:
        """Read a regular file, or return None if it's larger than the limit.

        Raises:
            OSError: see `open`.
        """
        with self.open(name) as file:
            return read_bounded(file, max_bytes)

    def create(self, name: str) -> BufferedRandom:
        """Create a file that doesn't exist yet, and open it for reading and writing.

        Raises:
            OSError: the name is taken, or the folder can't be written.
        """
        descriptor = os.open(self._place(name), CREATE_FLAGS, 0o666, dir_fd=self.descriptor)
        return os.fdopen(descriptor, "w+b")

    def open_or_create(self, name: str) -> BufferedRandom | None:
        """Open a file for reading and writing, and create it if it's missing.

        Returns None unless it's a regular file with only this name that isn't the journal's.

        Raises:
            OSError: the folder can't be written.
        """
        try:
            return self.create(name)
        except FileExistsError:
            pass
        facts = self.stat(name)
        if facts is None or not _is_own_file(facts) or self.private.has_file(facts):
            return None
        descriptor = os.open(self._place(name), CHANGE_FLAGS, dir_fd=self.descriptor)
        if not os.path.samestat(facts, os.fstat(descriptor)):
            os.close(descriptor)
            return None
        return os.fdopen(descriptor, "r+b")

    def is_same_file(self, name: str, file: BinaryIO) -> bool:
        """Return whether a name still refers to an open file."""
        facts = self.stat(name)
        return facts is not None and os.path.samestat(facts, os.fstat(file.fileno()))

    def replace(self, name: str, new_name: str) -> None:
        """Rename a file, replacing any file that already has the new name.

        Raises:
            OSError: the folder can't be written.
        """
        os.replace(
            self._place(name),
            self._place(new_name),
            src_dir_fd=self.descriptor,
            dst_dir_fd=self.descriptor,
        )

    def remove(self, name: str) -> None:
        """Delete a file, if it exists.

        Raises:
            OSError: the folder can't be written.
        """
        with suppress(FileNotFoundError):
            os.unlink(self._place(name), dir_fd=self.descriptor)

    def _place(self, name: str) -> str:
        return name if self.descriptor is not None else str(self.path / name)

    def _open(self, name: str) -> int:
        if PATH_ONLY and IS_WALKED:
            # This refers to the file without opening it, and closing it drops no locks.
            handle = os.open(name, PATH_ONLY | os.O_NOFOLLOW, dir_fd=self.descriptor)
            try:
                self._check(os.fstat(handle))
                with suppress(FileNotFoundError):
                    return os.open(f"/proc/self/fd/{handle}", READ_FLAGS)
            finally:
                os.close(handle)
        return self._open_by_name(name)

    def _open_by_name(self, name: str) -> int:
        """Open a file where there's no /proc: check it before opening it, and again afterwards."""
        flags = READ_FLAGS | getattr(os, "O_NOFOLLOW", 0)
        before = os.stat(self._place(name), dir_fd=self.descriptor, follow_symlinks=False)
        self._check(before)
        descriptor = os.open(self._place(name), flags, dir_fd=self.descriptor)
        now = os.fstat(descriptor)
        is_same_folder = self.descriptor is not None or _is_real(self.path)
        if is_same_folder and os.path.samestat(before, now):
            return descriptor
        # One of the journal's files is better left open than closed.
        if not self.private.has_file(now):
            os.close(descriptor)
        raise LinkError

    def _check(self, facts: os.stat_result) -> None:
        if stat.S_ISLNK(facts.st_mode):
            raise LinkError
        if not stat.S_ISREG(facts.st_mode):
            raise NotAFileError
        if self.private.has_file(facts):
            raise PrivateFileError


@contextmanager
def open_folder(
    path: Path, private: PrivateFolders, *, make: bool = False
) -> Generator[OpenFolder]:
    """Open a folder by its real path; with `make`, create it and its parents.

    Raises:
        OSError: it can't be opened or created, its path contains a link (`LinkError`), or it's one
            of the journal's folders or below one (`PrivateFileError`).
    """
    if not path.is_absolute() or ".." in path.parts:
        raise OSError(errno.EINVAL, "it is not the real path of a folder")
    if not IS_WALKED:
        _check_path(path, private)
        if make:
            path.mkdir(parents=True, exist_ok=True)
            _check_path(path, private)
        yield OpenFolder(path, None, private)
        return
    descriptor = _walk(path, private, make=make)
    try:
        yield OpenFolder(path, descriptor, private)
    finally:
        os.close(descriptor)


def open_file(path: Path, private: PrivateFolders) -> FileIO:
    """Open a regular file by its real path for reading.

    Raises:
        OSError: see `open_folder` and `OpenFolder.open`.
    """
    with open_folder(path.parent, private) as folder:
        return folder.open(path.name)


def read_file(path: Path, max_bytes: int, private: PrivateFolders) -> bytes | None:
    """Read a regular file by its real path, or return None if it's larger than the limit.

    Raises:
        OSError: see `open_file`.
    """
    with open_file(path, private) as file:
        return read_bounded(file, max_bytes)


def read_bounded(file: BinaryIO, max_bytes: int) -> bytes | None:
    """Read the rest of a file, or return None if that is more than `max_bytes`.

    Raises:
        OSError: it can't be read.
    """
    parts: list[bytes] = []
    left_bytes = max_bytes + 1
    # An unbuffered file may return less than requested.
    while left_bytes and (part := file.read(left_bytes)):
        parts.append(part)
        left_bytes -= len(part)
    return b"".join(parts) if left_bytes else None


def _walk(path: Path, private: PrivateFolders, *, make: bool) -> int:
    first_checked = private.first_checked(path)
    descriptor = os.open(path.anchor, FOLDER_FLAGS)
    try:
        for depth, name in enumerate(path.parts[1:], 1):
            below = _open_below(descriptor, name, make=make)
            os.close(descriptor)
            descriptor = below
            if depth >= first_checked and private.has_folder(os.fstat(descriptor)):
                raise PrivateFileError
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _open_below(folder: int, name: str, *, make: bool) -> int:
    try:
        return os.open(name, FOLDER_FLAGS, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
    except OSError:
        facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISLNK(facts.st_mode):
            raise LinkError from None
        raise
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=folder)
    return os.open(name, FOLDER_FLAGS, dir_fd=folder)


def _check_path(path: Path, private: PrivateFolders) -> None:
    """Check a whole path on a system where it can't be walked."""
    if not _is_real(path):
        raise LinkError
    if private.has_path(path):
        raise PrivateFileError


def _is_real(path: Path) -> bool:
    """Return whether the path contains no links."""
    return Path(os.path.realpath(path)) == path


def _is_own_file(facts: os.stat_result) -> bool:
    """Return whether it's a regular file with no second name."""
    return stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1


def _stat_all(paths: Iterable[Path | str]) -> Iterator[os.stat_result]:
    """Yield the stat results of the paths that exist, following links."""
    for path in paths:
        with suppress(OSError, ValueError):
            yield os.stat(path)
