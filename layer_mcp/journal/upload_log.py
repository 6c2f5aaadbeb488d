"""Which content was uploaded before, by workspace."""

import sqlite3

from .database import Database
from .lenient import or_nothing

FIND = "SELECT file_id FROM uploads WHERE api_url = ? AND workspace_id = ? AND sha256 = ?"
FORGET = "DELETE FROM uploads WHERE api_url = ? AND workspace_id = ? AND sha256 = ?"


class UploadLog:
    """The uploads to one API address. What cannot be read or written is a line in the log."""

    def __init__(self, database: Database, api_url: str) -> None:
        self._database = database
        self._api_url = api_url

    async def file_id(self, workspace_id: str, sha256: str) -> str | None:
        """The file_id of a content that was uploaded before."""
        key = (self._api_url, workspace_id, sha256)

        def find(connection: sqlite3.Connection) -> str | None:
            row = connection.execute(FIND, key).fetchone()
            return row["file_id"] if row else None

        return await or_nothing(self._database.read(find))

    async def note(self, workspace_id: str, sha256: str, file_id: str) -> str:
        """Remember where a content is, and say where: the first upload of it counts.

        Two servers that upload the same file at once then name it alike.
        """
        key = (self._api_url, workspace_id, sha256)

        def note(connection: sqlite3.Connection) -> str:
            connection.execute("INSERT OR IGNORE INTO uploads VALUES (?, ?, ?, ?)", (*key, file_id))
            return connection.execute(FIND, key).fetchone()["file_id"]

        return await or_nothing(self._database.write(note)) or file_id

    async def forget(self, workspace_id: str, sha256: str) -> None:
        """Forget a file that Layer does not have any more."""
        key = (self._api_url, workspace_id, sha256)
        await or_nothing(self._database.write(lambda connection: connection.execute(FORGET, key)))
