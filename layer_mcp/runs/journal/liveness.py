"""Which processes are alive: each holds a lock on a file of its own as long as it runs.

The lock is one of SQLite's, so the system releases it however the process ends, on every platform
and across containers that share the folder.
"""

import contextlib
import sqlite3
import time
from pathlib import Path
from uuid import uuid4

from ...paths import LOCKS_FOLDER

FOLDER_NAME = LOCKS_FOLDER
SWEEP_SECONDS = 3_600


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
        _sweep(self._folder)

    def release(self) -> None:
        """Give the lock back."""
        if self._lock is not None and self._folder is not None:
            self._lock.close()
            self._lock = None
            self.remove(self.process_id)

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
        """Delete the file of a process that has ended."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                _lock_file(self._folder, process_id).unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Delete the files of processes that were killed; a young file may not be locked yet."""
    before = time.time() - SWEEP_SECONDS
    for path in folder.glob("*.lock"):
        with contextlib.suppress(OSError, sqlite3.Error):
            if path.stat().st_mtime < before:
                _open_locked(path).close()
                path.unlink(missing_ok=True)


def _lock_file(folder: Path, process_id: str) -> Path:
    return folder / f"{process_id}.lock"


def _open_locked(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=0, check_same_thread=False, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
