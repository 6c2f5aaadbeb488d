"""Remember files: the contents that Layer has, and the folders of saved outputs."""

from collections.abc import Callable, Collection
from pathlib import Path

from .accounts import Account
from .databases.database import Connection, Database
from .failures import attempt


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
        values = (self._account.name, run_id.lower(), str(folder))
        await attempt(self._database.write(lambda connection: connection.execute(sql, values)))

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
        values = (self._account.name, workspace_id, sha256)
        await attempt(self._database.write(lambda connection: connection.execute(sql, values)))


def _find_upload(connection: Connection, key: tuple[str, str, str]) -> str | None:
    sql = (
        "SELECT file_id FROM uploads WHERE account = ? AND workspace_id = ? AND sha256 = ? "
        "ORDER BY noted_at, file_id LIMIT 1"
    )
    row = connection.execute(sql, key).fetchone()
    return row["file_id"] if row else None
