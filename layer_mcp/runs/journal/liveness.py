"""Which processes are alive, and what they could not write to the journal.

Each process holds a lock on a file of its own as long as it runs. The lock is one of SQLite's, so
the system releases it however the process ends, on every platform and across containers that share
the folder. A second file takes what the journal cannot: it has its size from the start, so that it
can be written when the disk is full.
"""

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from ...files.paths import LOCKS_FOLDER

FOLDER_NAME = LOCKS_FOLDER
SWEEP_SECONDS = 3_600
ASIDE_BYTES = 16 * 1024

logger = logging.getLogger(__name__)


class ProcessLock:
    """The lock of this process, and a look at those of others."""

    def __init__(self) -> None:
        self.process_id = uuid4().hex
        self._folder: Path | None = None
        self._lock: sqlite3.Connection | None = None

    def acquire(self, state_folder: Path) -> None:
        """Take the lock, under a new id.

        Raises:
            OSError: the folder cannot be made.
            sqlite3.Error: the file cannot be locked.
        """
        if self._lock is not None:
            return
        self.process_id = uuid4().hex
        self._folder = state_folder / FOLDER_NAME
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._lock = _open_locked(_lock_file(self._folder, self.process_id))
        _write_aside(_aside_file(self._folder, self.process_id), ())
        _sweep(self._folder)

    def release(self) -> None:
        """Give the lock back; what was set aside stays for the next process."""
        if self._lock is not None and self._folder is not None:
            self._lock.close()
            self._lock = None
            _remove_ended(self._folder, self.process_id)

    def set_aside(self, lines: Sequence[str]) -> None:
        """Keep lines in this process's file, in place of those before; a failure is logged."""
        if self._lock is None or self._folder is None:
            return
        try:
            _write_aside(_aside_file(self._folder, self.process_id), lines)
        except OSError as error:
            logger.error("Nothing can be written to the state folder: %s", error.strerror)

    def read_set_aside(self, process_id: str) -> list[str]:
        """Return the lines that a process left."""
        return _read_aside(_aside_file(self._folder, process_id)) if self._folder else []

    def is_alive(self, process_id: str) -> bool:
        """Return whether another process, or this one, still runs."""
        if process_id == self.process_id:
            return True
        if self._folder is None:
            return False
        try:
            if not _lock_file(self._folder, process_id).exists():
                return False
            _open_locked(_lock_file(self._folder, process_id)).close()
        # If in doubt it is alive: nothing is sent again then.
        except (OSError, sqlite3.Error):
            return True
        return False

    def remove(self, process_id: str) -> None:
        """Delete the files of a process that has ended."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                _lock_file(self._folder, process_id).unlink(missing_ok=True)
                _aside_file(self._folder, process_id).unlink(missing_ok=True)


def _remove_ended(folder: Path, process_id: str) -> None:
    """Delete the files of a process that has ended, but for lines that nobody has read."""
    with contextlib.suppress(OSError):
        _lock_file(folder, process_id).unlink(missing_ok=True)
        if not _read_aside(_aside_file(folder, process_id)):
            _aside_file(folder, process_id).unlink(missing_ok=True)


def _write_aside(path: Path, lines: Sequence[str]) -> None:
    content = "".join(f"{line}\n" for line in lines).encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content.ljust(ASIDE_BYTES))
        file.flush()
        if lines:
            os.fsync(file.fileno())


def _read_aside(path: Path) -> list[str]:
    try:
        text = path.read_bytes().decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()]


def _sweep(folder: Path) -> None:
    """Delete the files of processes that were killed; a young file may not be locked yet."""
    before = time.time() - SWEEP_SECONDS
    for path in folder.glob("*.lock"):
        with contextlib.suppress(OSError, sqlite3.Error):
            if path.stat().st_mtime < before:
                _open_locked(path).close()
                _remove_ended(folder, path.stem)


def _lock_file(folder: Path, process_id: str) -> Path:
    return folder / f"{process_id}.lock"


def _aside_file(folder: Path, process_id: str) -> Path:
    return folder / f"{process_id}.aside"


def _open_locked(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=0, check_same_thread=False, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
