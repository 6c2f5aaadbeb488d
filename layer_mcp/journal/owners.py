"""Which servers are alive: each holds a lock on a file of its own as long as it runs.

The lock is one of SQLite's, so the system gives it back however the process ends, on every
platform and across containers that share the folder.
"""

import contextlib
import sqlite3
import time
from pathlib import Path
from uuid import uuid4

FOLDER_NAME = "servers"
SWEEP_SECONDS = 3_600


class Owner:
    """The server of this process, as the owner of what it is sending."""

    def __init__(self) -> None:
        self.owner_id = uuid4().hex
        self._folder: Path | None = None
        self._lock: sqlite3.Connection | None = None

    def enter(self, state_folder: Path) -> None:
        """Take the lock, under a new name.

        Raises:
            OSError: the folder cannot be made.
            sqlite3.Error: the file cannot be locked.
        """
        if self._lock is not None:
            return
        self.owner_id = uuid4().hex
        self._folder = state_folder / FOLDER_NAME
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._lock = _locked(_file(self._folder, self.owner_id))
        _sweep(self._folder)

    def leave(self) -> None:
        """Give the lock back."""
        if self._lock is not None and self._folder is not None:
            self._lock.close()
            self._lock = None
            self.bury(self.owner_id)

    def is_alive(self, owner_id: str) -> bool:
        """Whether another server, or this one, still runs."""
        if owner_id == self.owner_id:
            return True
        if self._folder is None:
            return False
        try:
            if not _file(self._folder, owner_id).exists():
                return False
            _locked(_file(self._folder, owner_id)).close()
        # What cannot be told is taken for alive: nothing is sent again then.
        except (OSError, sqlite3.Error):
            return True
        return False

    def bury(self, owner_id: str) -> None:
        """Take away the file of a server that has ended."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                _file(self._folder, owner_id).unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Take away the files of servers that were killed; a young file may not be locked yet."""
    before = time.time() - SWEEP_SECONDS
    for path in folder.glob("*.lock"):
        with contextlib.suppress(OSError, sqlite3.Error):
            if path.stat().st_mtime < before:
                _locked(path).close()
                path.unlink(missing_ok=True)


def _file(folder: Path, owner_id: str) -> Path:
    return folder / f"{owner_id}.lock"


def _locked(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=0, check_same_thread=False, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
