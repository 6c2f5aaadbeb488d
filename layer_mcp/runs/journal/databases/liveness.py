"""Track which processes are alive, and what they couldn't write to the journal.

Each process locks its own file while it runs. The lock is SQLite's, so the system releases it
however the process ends, on every platform and across containers that share the folder. A second
file keeps what the journal can't store. It's preallocated, so it can be written when the disk is
full.
"""

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from ....files.paths import LOCKS_FOLDER

FOLDER_NAME = LOCKS_FOLDER
SWEEP_SECONDS = 3_600
ASIDE_BYTES = 16 * 1024

logger = logging.getLogger(__name__)


class ProcessLock:
    """The lock of this process, and the means to check those of others."""

    def __init__(self) -> None:
        self.process_id = uuid4().hex
        self._folder: Path | None = None
        self._lock: sqlite3.Connection | None = None
        self._aside: dict[object, Sequence[str]] = {}
        self._writing_aside = threading.Lock()

    def acquire(self, state_folder: Path, prefix: str = "") -> None:
        """Acquire the lock under a new ID. The prefix tells journals that share a folder apart.

        Raises:
            OSError: the folder can't be created.
            sqlite3.Error: the file can't be locked.
        """
        if self._lock is not None:
            return
        self.process_id = f"{prefix}{uuid4().hex}"
        self._folder = state_folder / FOLDER_NAME
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._lock = _open_locked(_lock_file(self._folder, self.process_id))
        # What was set aside under the earlier ID is in that ID's file.
        self._aside.clear()
        _write_aside(_aside_file(self._folder, self.process_id), ())
        _sweep(self._folder)

    def release(self) -> None:
        """Release the lock; what was set aside stays for the next process."""
        if self._lock is not None and self._folder is not None:
            self._lock.close()
            self._lock = None
            _remove_ended(self._folder, self.process_id)

    def set_aside(self, journal: object, lines: Sequence[str]) -> None:
        """Replace a journal's lines in this process's file; a failure is logged."""
        with self._writing_aside:
            if self._lock is None or self._folder is None:
                return
            self._aside[journal] = lines
            every_line = [line for kept in self._aside.values() for line in kept]
            try:
                _write_aside(_aside_file(self._folder, self.process_id), every_line)
            except OSError as error:
                logger.error("Can't write to the state folder: %s", error.strerror)

    def read_set_aside(self, process_id: str) -> list[str]:
        """Return the lines that a process set aside."""
        return _read_aside(_aside_file(self._folder, process_id)) if self._folder else []

    def find_orphans(self, prefix: str) -> list[str]:
        """Return the IDs of ended processes, with this prefix, that set lines aside."""
        if self._folder is None:
            return []
        found = [path.stem for path in self._folder.glob(f"{prefix}*.aside") if _read_aside(path)]
        return [process_id for process_id in found if not self.is_alive(process_id)]

    def is_alive(self, process_id: str) -> bool:
        """Return whether another process, or this one, is running."""
        if process_id == self.process_id:
            return True
        if self._folder is None:
            return False
        try:
            if not _lock_file(self._folder, process_id).exists():
                return False
            _open_locked(_lock_file(self._folder, process_id)).close()
        # If in doubt, it's alive, so nothing is sent twice.
        except (OSError, sqlite3.Error):
            return True
        return False

    def remove(self, process_id: str) -> None:
        """Delete the files of an ended process."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                _lock_file(self._folder, process_id).unlink(missing_ok=True)
                _aside_file(self._folder, process_id).unlink(missing_ok=True)


def create_private_folder(folder: Path) -> None:
    """Create a folder and its parents so that only this user can read them.

    Raises:
        OSError: a folder can't be created.
    """
    # `parents=True` would leave the parent folders readable by everybody.
    for part in reversed((folder, *folder.parents)):
        part.mkdir(mode=0o700, exist_ok=True)


def _remove_ended(folder: Path, process_id: str) -> None:
    """Delete the files of an ended process, except lines that haven't been read."""
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
    """Delete the files of killed processes, except new files, which may not be locked yet."""
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
