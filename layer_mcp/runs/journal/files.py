"""Remember files: the contents that Layer has, folders of saved outputs, and downloads."""

import json
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from .abandoned import can_take_over
from .accounts import Account
from .databases.database import Connection, Database
from .failures import attempt


@dataclass(frozen=True)
class Download:
    """Outputs of a run that are being saved, by number, and the start of their names."""

    run_id: str
    folder: Path
    numbers: frozenset[int]
    name: str | None


class RememberedFiles:
    """The files of one account. A failure is only logged, because runs work without them."""

    def __init__(self, database: Database, account: Account, clock: Callable[[], float]) -> None:
        self._database = database
        self._account = account
        self._clock = clock

    async def note_folder(self, run_id: str, folder: Path) -> None:
        """Remember where a run's outputs are."""
        sql = (
            "INSERT INTO folders VALUES (?, ?, ?) "
            "ON CONFLICT (account, run_id) DO UPDATE SET folder = excluded.folder"
        )
        await self._write(sql, self._account.name, run_id.lower(), str(folder))

    async def find_folder(self, run_id: str) -> Path | None:
        """Return the folder of a run's outputs, even if the run wasn't started here."""
        sql = "SELECT folder FROM folders WHERE account = ? AND run_id = ?"
        values = (self._account.name, run_id.lower())

        def work(connection: Connection) -> Path | None:
            found = connection.execute(sql, values).fetchone()
            return Path(found["folder"]) if found else None

        return await attempt(self._database.read(work))

    async def find_upload(self, workspace_id: str, sha256: str) -> str | None:
        """Return the file_id of content that was already uploaded, if any."""
        values = (self._account.name, workspace_id, sha256)
        return await attempt(
            self._database.read(lambda connection: _find_upload(connection, values))
        )

    async def find_contents(self, workspace_id: str, file_ids: Collection[str]) -> dict[str, str]:
        """Return the SHA-256 of each file whose content is known, by ID."""
        marks = ", ".join("?" * len(file_ids))
        sql = (
            "SELECT file_id, sha256 FROM uploads "
            f"WHERE account = ? AND workspace_id = ? AND file_id IN ({marks})"
        )
        values = (self._account.name, workspace_id, *file_ids)

        def work(connection: Connection) -> dict[str, str]:
            rows = connection.execute(sql, values).fetchall()
            return {row["file_id"]: row["sha256"] for row in rows}

        return (await attempt(self._database.read(work)) if file_ids else None) or {}

    async def note_upload(self, workspace_id: str, sha256: str, file_id: str) -> str:
        """Remember the content of a file in Layer, and return the first file with that content.

        Two processes that upload the same file at the same time then use the same ID.
        """
        content = (self._account.name, workspace_id, sha256)
        sql = "INSERT INTO uploads VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"

        def work(connection: Connection) -> str | None:
            connection.execute(sql, (*content, file_id, self._clock()))
            return _find_upload(connection, content)

        return await attempt(self._database.write(work)) or file_id

    async def forget_upload(self, workspace_id: str, sha256: str) -> None:
        """Forget a file that Layer no longer has."""
        sql = "DELETE FROM uploads WHERE account = ? AND workspace_id = ? AND sha256 = ?"
        await self._write(sql, self._account.name, workspace_id, sha256)

    @asynccontextmanager
    async def note_download(self, download: Download) -> AsyncGenerator[None]:
        """Remember a download until the block ends.

        If the block is cancelled, because the process is ending, another server can take it over.
        """
        if not self._database.is_shared:
            yield
            return
        key = uuid4().hex
        numbers = json.dumps(sorted(download.numbers))
        what = (download.run_id.lower(), str(download.folder), numbers, download.name)

        def work(connection: Connection) -> None:
            # The process gets its ID when the database is opened.
            who = (key, self._account.name, self._database.process_id)
            connection.execute("INSERT INTO downloads VALUES (?, ?, ?, ?, ?, ?, ?)", (*who, *what))

        await attempt(self._database.write(work))
        try:
            yield
        finally:
            # If the block is cancelled, so is this write, and the download stays noted.
            await self._write("DELETE FROM downloads WHERE key = ?", key)

    async def take_over_downloads(self) -> list[Download]:
        """Return the account's downloads that ended processes left, and forget them.

        Each one is taken over by one process only.
        """

        def find(connection: Connection) -> list[Any]:
            sql = "SELECT * FROM downloads WHERE account = ?"
            rows = connection.execute(sql, (self._account.name,)).fetchall()
            database = self._database
            return [row for row in rows if can_take_over(connection, database, row["process_id"])]

        def take(connection: Connection) -> list[Download]:
            left = find(connection)
            for row in left:
                connection.execute("DELETE FROM downloads WHERE key = ?", (row["key"],))
            return [_download_from_row(row) for row in left]

        # A write makes all other servers wait, and there is rarely anything to take.
        if not await attempt(self._database.read(find)):
            return []
        return await attempt(self._database.write(take)) or []

    async def withdraw_downloads(self) -> None:
        """Record that nobody should resume what this process leaves."""
        if self._database.is_shared:
            values = (self._account.name, self._database.process_id)
            await self._write("DELETE FROM downloads WHERE account = ? AND process_id = ?", *values)

    async def _write(self, sql: str, *values: Any) -> None:
        await attempt(self._database.write(lambda connection: connection.execute(sql, values)))


def _download_from_row(row: Any) -> Download:
    return Download(
        run_id=row["run_id"],
        folder=Path(row["folder"]),
        numbers=frozenset(json.loads(row["numbers"])),
        name=row["name"],
    )


def _find_upload(connection: Connection, key: tuple[str, str, str]) -> str | None:
    sql = (
        "SELECT file_id FROM uploads WHERE account = ? AND workspace_id = ? AND sha256 = ? "
        "ORDER BY noted_at, file_id LIMIT 1"
    )
    row = connection.execute(sql, key).fetchone()
    return row["file_id"] if row else None
