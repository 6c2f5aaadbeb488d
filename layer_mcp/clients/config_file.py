"""Reads a client's configuration file, and replaces it atomically with a backup next to it."""

import contextlib
import errno
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..files.folders import read_bounded
from .errors import ClientConfigError

BACKUP_ENDING = ".layer-mcp-backup"
MAX_BYTES = 64_000_000
OWNER_ONLY = 0o600
ANY_WRITE = 0o222
UTF8_BOM = b"\xef\xbb\xbf"
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
WRITE_STEP = "Make it writable, or paste what layer-mcp config prints."


@dataclass(frozen=True)
class ConfigFile:
    """A file's bytes, None if there is no file; `target` is `path` after following links."""

    path: Path
    target: Path
    raw: bytes | None

    @property
    def text(self) -> str:
        """The text without a byte order mark.

        Raises:
            ClientConfigError: The file isn't UTF-8.
        """
        return _decode(self.path, self.raw or b"")

    @property
    def backup(self) -> Path:
        """The path of the backup from before our entry was added."""
        return self.target.with_name(self.target.name + BACKUP_ENDING)

    def encode(self, text: str) -> bytes:
        """Return a text as bytes, with the file's byte order mark.

        Raises:
            ClientConfigError: A path in the text isn't Unicode.
        """
        mark = UTF8_BOM if (self.raw or b"").startswith(UTF8_BOM) else b""
        try:
            return mark + text.encode()
        except UnicodeEncodeError:
            raise ClientConfigError(
                "A path has bytes that aren't Unicode.", "Install layer-mcp in another folder."
            ) from None


def read_config(path: Path) -> ConfigFile:
    """Read the file at a path, following links; a missing file is empty.

    Raises:
        ClientConfigError: It isn't a file, is too large, or can't be read.
    """
    try:
        target = Path(os.path.realpath(path, strict=False))
        if not os.path.lexists(target):
            return ConfigFile(path, target, None)
        status = target.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ClientConfigError(
                f"{path} isn't a file.", "Move it, or use --file for another one."
            )
        if status.st_size > MAX_BYTES:
            size, most = status.st_size // 1_000_000, MAX_BYTES // 1_000_000
            raise ClientConfigError(
                f"{path} is {size} MB; files over {most} MB aren't edited.",
                "Paste what layer-mcp config prints.",
            )
        return ConfigFile(path, target, _read_bytes(target))
    except OSError as error:
        raise ClientConfigError(
            f"{path} can't be read: {_reason(error)}.", "Check its permissions and links."
        ) from None


def replace_config(file: ConfigFile, raw: bytes, *, backup: bool) -> None:
    """Replace a file atomically, keeping its permissions and owner.

    Only its owner can read a new file, because it may contain a token.

    Raises:
        ClientConfigError: The file can't be written, or has changed since it was read.
    """
    try:
        check_writable(file)
        file.target.parent.mkdir(parents=True, exist_ok=True)
        _refuse_changed(file)
        if backup and file.raw is not None:
            _write_atomically(file.backup, file.raw, like=file.target)
        _write_atomically(file.target, raw, like=file.target)
    except OSError as error:
        raise _write_error(file, "written", error) from None


def remove_config(file: ConfigFile) -> None:
    """Delete a file.

    Raises:
        ClientConfigError: Its folder can't be written, or it has changed since it was read.
    """
    try:
        check_writable(file)
        _refuse_changed(file)
        file.target.unlink()
    except OSError as error:
        raise _write_error(file, "removed", error) from None


def read_backup(file: ConfigFile) -> bytes | None:
    """Return the backup's bytes, or None if it's missing, unreadable, or too large."""
    with contextlib.suppress(OSError):
        return _read_bytes(file.backup)
    return None


def remove_backup(file: ConfigFile) -> None:
    """Delete the backup, if any."""
    with contextlib.suppress(OSError):
        file.backup.unlink()


def check_writable(file: ConfigFile) -> None:
    """Check that a file and the nearest existing folder can be written.

    Renaming would replace even a read-only file, and root can write anywhere.

    Raises:
        ClientConfigError: One of them is read-only.
    """
    try:
        folder = next(path for path in file.target.parents if path.exists())
        for path, name in ((file.target, file.path), (folder, folder)):
            if path.exists() and not (path.stat().st_mode & ANY_WRITE and os.access(path, os.W_OK)):
                raise ClientConfigError(f"{name} is read-only.", WRITE_STEP)
    except OSError as error:
        raise _write_error(file, "written", error) from None


def _refuse_changed(file: ConfigFile) -> None:
    if _read_bytes(file.target) != file.raw:
        raise ClientConfigError(
            f"{file.path} changed in the meantime.", "Run the same command again."
        )


def _read_bytes(path: Path) -> bytes | None:
    if not os.path.lexists(path):
        return None
    with path.open("rb") as file:
        raw = read_bounded(file, MAX_BYTES)
    if raw is None:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return raw


def _decode(path: Path, raw: bytes) -> str:
    if raw.startswith(UTF16_BOMS) or b"\0" in raw:
        raise ClientConfigError(f"{path} isn't UTF-8; it's UTF-16 or binary.", "Save it as UTF-8.")
    try:
        return raw.removeprefix(UTF8_BOM).decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ClientConfigError(
            f"{path} isn't UTF-8 at line {line}.", "Save it as UTF-8."
        ) from None


def _write_atomically(path: Path, raw: bytes, *, like: Path) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as temporary:
            temporary.write(raw)
            temporary.flush()
            os.fsync(temporary.fileno())
        _copy_permissions(name, like)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    _sync_folder(path.parent)


def _copy_permissions(name: str, like: Path) -> None:
    if not like.exists():
        os.chmod(name, OWNER_ONLY)
        return
    status = like.stat()
    os.chmod(name, stat.S_IMODE(status.st_mode))
    if os.name == "posix":
        # Only root can change a file's owner.
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


def _write_error(file: ConfigFile, action: str, error: OSError) -> ClientConfigError:
    return ClientConfigError(f"{file.path} can't be {action}: {_reason(error)}.", WRITE_STEP)


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).rstrip(".")
