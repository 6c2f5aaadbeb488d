"""What outlives the process: which content was uploaded, and what each run was asked.

SQLite in the user's state folder, safe for several servers beside each other. It holds prompts and
ids, never a token. Without a usable folder it lives in memory, and says so in the log.
"""

import json
import logging
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from anyio import to_thread

FILE_NAME = "journal.sqlite3"
# Between "paid for" and "answered" there is no time for more.
BUSY_SECONDS = 1.0
# Several servers that start at once make the database in turn.
OPEN_SECONDS = 5.0
OPEN_PAUSE_SECONDS = 0.05
BUSY_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS uploads (
    api_url TEXT, workspace_id TEXT, sha256 TEXT, file_id TEXT NOT NULL,
    PRIMARY KEY (api_url, workspace_id, sha256)
);
CREATE TABLE IF NOT EXISTS runs (
    api_url TEXT, run_id TEXT, facts TEXT NOT NULL, folder TEXT,
    PRIMARY KEY (api_url, run_id)
);
PRAGMA user_version = 1;
"""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunRecord:
    """What only the start of a run knows, and the folder its outputs were last saved to.

    `facts` is plain JSON: what was asked, what the model made of it, the estimated price.
    """

    facts: dict[str, Any]
    folder: Path | None = None


class Journal:
    """The records of one API address; `folder` says where, at the first use.

    A record that cannot be read or written is a line in the log, never a failed call.
    """

    def __init__(self, folder: Callable[[], Path | None], api_url: str) -> None:
        self._folder = folder
        self._api_url = api_url
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None

    def close(self) -> None:
        """Close the database; a later use opens it again."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    async def uploaded_file_id(self, workspace_id: str, sha256: str) -> str | None:
        """The file_id of a content that was uploaded before."""
        rows = await self._rows(
            "SELECT file_id FROM uploads WHERE api_url = ? AND workspace_id = ? AND sha256 = ?",
            workspace_id,
            sha256,
        )
        return rows[0][0] if rows else None

    async def note_upload(self, workspace_id: str, sha256: str, file_id: str) -> None:
        """Remember where a content is."""
        sql = "INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?)"
        await self._rows(sql, workspace_id, sha256, file_id)

    async def forget_upload(self, workspace_id: str, sha256: str) -> None:
        """Forget a file that Layer does not have any more."""
        await self._rows(
            "DELETE FROM uploads WHERE api_url = ? AND workspace_id = ? AND sha256 = ?",
            workspace_id,
            sha256,
        )

    async def run(self, run_id: str) -> RunRecord | None:
        """What is known of a run that was started here."""
        sql = "SELECT facts, folder FROM runs WHERE api_url = ? AND run_id = ?"
        rows = await self._rows(sql, run_id)
        if not rows:
            return None
        facts, folder = rows[0]
        return RunRecord(_facts(facts), Path(folder) if folder else None)

    async def note_run(self, run_id: str, facts: dict[str, Any]) -> None:
        """Remember what a run was asked."""
        sql = (
            "INSERT INTO runs (api_url, run_id, facts) VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET facts = excluded.facts"
        )
        await self._rows(sql, run_id, json.dumps(facts))

    async def note_folder(self, run_id: str, folder: Path) -> None:
        """Remember where a run's outputs are."""
        sql = (
            "INSERT INTO runs (api_url, run_id, facts, folder) VALUES (?, ?, '{}', ?) "
            "ON CONFLICT DO UPDATE SET folder = excluded.folder"
        )
        await self._rows(sql, run_id, str(folder))

    async def _rows(self, sql: str, *values: str) -> list[tuple[Any, ...]]:
        return await to_thread.run_sync(self._execute, sql, (self._api_url, *values))

    def _execute(self, sql: str, values: tuple[str, ...]) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._answer(sql, values)
            # ValueError: a path with bytes that are no text.
            except (sqlite3.Error, ValueError) as error:
                logger.warning("The journal cannot be used: %s", error)
                return []

    def _answer(self, sql: str, values: tuple[str, ...]) -> list[tuple[Any, ...]]:
        if self._database is None:
            self._database = _opened(self._folder)
        try:
            with self._database:
                return self._database.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            if type(error) is not sqlite3.DatabaseError:
                raise
            # SQLite says so of a damaged file, which stays as it is.
            logger.warning("Nothing is kept between runs: %s", error)
            self._database.close()
            self._database = _prepared(":memory:")
            return self._database.execute(sql, values).fetchall()


def _facts(text: str) -> dict[str, Any]:
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError):
        return {}


def _opened(place: Callable[[], Path | None]) -> sqlite3.Connection:
    """The database in its folder, or in memory when there is none or it cannot be used."""
    folder: Path | None = None
    try:
        folder = place()
        if folder is None:
            return _prepared(":memory:")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A folder that was there before may be open to others; prompts are not for them.
        (folder / FILE_NAME).touch(mode=0o600)
        return _prepared(str(folder / FILE_NAME))
    except (OSError, sqlite3.Error) as error:
        if _is_busy(error):
            raise
        logger.warning("Nothing is kept between runs: %s cannot be used (%s)", folder, error)
        return _prepared(":memory:")


def _prepared(path: str) -> sqlite3.Connection:
    """The database, made if need be; waits for another process that is making it.

    The switch to WAL does not wait by itself (sqlite.org, "Write-Ahead Logging").
    """
    deadline = monotonic() + OPEN_SECONDS
    while True:
        try:
            return _made(path)
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or monotonic() > deadline:
                raise
            sleep(OPEN_PAUSE_SECONDS)


def _is_busy(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in BUSY_CODES


def _made(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)
    try:
        [version] = database.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise sqlite3.NotSupportedError(f"it was written by a newer layer-mcp ({version})")
        if version < SCHEMA_VERSION:
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(SCHEMA)
    except sqlite3.Error:
        database.close()
        raise
    return database
