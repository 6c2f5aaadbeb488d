"""A client's configuration file: read as it is, replaced in one step, with a backup beside it."""

import contextlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .errors import AttachError

BACKUP_ENDING = ".layer-mcp-backup"
MAX_BYTES = 64_000_000
OWNER_ONLY = 0o600
ANY_WRITE = 0o222
UTF8_BOM = b"\xef\xbb\xbf"
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
WRITE_STEP = "Make it writable, or paste what layer-mcp config prints."


@dataclass(frozen=True)
class ConfigFile:
    """A file as it was read. `raw` is None when there is none; `target` is what a link leads to."""

    path: Path
    target: Path
    raw: bytes | None

    @property
    def text(self) -> str:
        """What it says, without a byte order mark.

        Raises:
            AttachError: it is not UTF-8.
        """
        return _decoded(self.path, self.raw or b"")

    @property
    def backup(self) -> Path:
        """Where the bytes are kept that it had before our entry."""
        return self.target.with_name(self.target.name + BACKUP_ENDING)

    def encoded(self, text: str) -> bytes:
        """A text as bytes, with the byte order mark of the file.

        Raises:
            AttachError: a path in it is no Unicode.
        """
        mark = UTF8_BOM if (self.raw or b"").startswith(UTF8_BOM) else b""
        try:
            return mark + text.encode()
        except UnicodeEncodeError:
            raise AttachError(
                "A path has bytes that are no Unicode.", "Install layer-mcp in another folder."
            ) from None


def read_config(path: Path) -> ConfigFile:
    """The file at a path, links followed; one that is not there is empty.

    Raises:
        AttachError: it is no file, is too large or cannot be read.
    """
    try:
        target = Path(os.path.realpath(path, strict=False))
        if not os.path.lexists(target):
            return ConfigFile(path, target, None)
        status = target.stat()
        if not stat.S_ISREG(status.st_mode):
            raise AttachError(
                f"{path} is not a file.", "Move it away, or name another with --file."
            )
        if status.st_size > MAX_BYTES:
            size, most = status.st_size // 1_000_000, MAX_BYTES // 1_000_000
            raise AttachError(
                f"{path} has {size} MB, more than the {most} MB that are edited here.",
                "Paste what layer-mcp config prints.",
            )
        return ConfigFile(path, target, target.read_bytes())
    except OSError as error:
        raise AttachError(
            f"{path} cannot be read: {_reason(error)}.", "Check its permissions and links."
        ) from None


def replace_config(file: ConfigFile, raw: bytes, *, backup: bool) -> None:
    """Put new bytes in the place of the file, all or none of them.

    Its permissions and owner stay; a new file is the user's alone, as it may hold a token.

    Raises:
        AttachError: it cannot be written, or was changed since it was read.
    """
    try:
        refuse_read_only(file)
        file.target.parent.mkdir(parents=True, exist_ok=True)
        _refuse_changed(file)
        if backup and file.raw is not None:
            _write_whole(file.backup, file.raw, like=file.target)
        _write_whole(file.target, raw, like=file.target)
    except OSError as error:
        raise AttachError(f"{file.path} cannot be written: {_reason(error)}.", WRITE_STEP) from None


def remove_config(file: ConfigFile) -> None:
    """Remove a file that holds nothing but our entry.

    Raises:
        AttachError: its folder cannot be written, or it was changed since it was read.
    """
    try:
        refuse_read_only(file)
        _refuse_changed(file)
        file.target.unlink()
    except OSError as error:
        raise AttachError(f"{file.path} cannot be removed: {_reason(error)}.", WRITE_STEP) from None


def backup_bytes(file: ConfigFile) -> bytes | None:
    """What the backup holds; None when there is none that can be read."""
    with contextlib.suppress(OSError):
        return _bytes_of(file.backup)
    return None


def remove_backup(file: ConfigFile) -> None:
    """Remove the backup, if there is one."""
    with contextlib.suppress(OSError):
        file.backup.unlink()


def _refuse_changed(file: ConfigFile) -> None:
    if _bytes_of(file.target) != file.raw:
        raise AttachError(f"{file.path} was changed meanwhile.", "Run the same command again.")


def _bytes_of(path: Path) -> bytes | None:
    return path.read_bytes() if os.path.lexists(path) else None


def _decoded(path: Path, raw: bytes) -> str:
    if raw.startswith(UTF16_BOMS) or b"\0" in raw:
        raise AttachError(f"{path} is not UTF-8 but UTF-16 or binary.", "Save it as UTF-8.")
    try:
        return raw.removeprefix(UTF8_BOM).decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise AttachError(f"{path} is not UTF-8 in line {line}.", "Save it as UTF-8.") from None


def refuse_read_only(file: ConfigFile) -> None:
    """Make sure that the file and its folder may be written, or the first folder that is there.

    Renaming would replace a file that is marked read-only, and root may write anywhere.

    Raises:
        AttachError: one of them may not.
    """
    try:
        folder = next(path for path in file.target.parents if path.exists())
        for path, name in ((file.target, file.path), (folder, folder)):
            if path.exists() and not (path.stat().st_mode & ANY_WRITE and os.access(path, os.W_OK)):
                raise AttachError(f"{name} is read-only.", WRITE_STEP)
    except OSError as error:
        raise AttachError(f"{file.path} cannot be written: {_reason(error)}.", WRITE_STEP) from None


def _write_whole(path: Path, raw: bytes, *, like: Path) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as temporary:
            temporary.write(raw)
            temporary.flush()
            os.fsync(temporary.fileno())
        _take_over(name, like)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    _sync_folder(path.parent)


def _take_over(name: str, like: Path) -> None:
    """Permissions and owner of the file that is replaced."""
    if not like.exists():
        os.chmod(name, OWNER_ONLY)
        return
    status = like.stat()
    os.chmod(name, stat.S_IMODE(status.st_mode))
    if os.name == "posix":
        # Only root may give a file away.
        with contextlib.suppress(PermissionError):
            os.chown(name, status.st_uid, status.st_gid)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).rstrip(".")
