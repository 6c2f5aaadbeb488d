"""Which run made an output."""

import sqlite3

from .database import Database
from .entries import RunEntry
from .rows import entries

MAX_CANDIDATES = 20


class OutputLog:
    """The outputs of the runs at one API address, as far as their ends were written down."""

    def __init__(self, database: Database, api_url: str) -> None:
        self._database = database
        self._api_url = api_url

    async def maker(self, file_id: str) -> RunEntry | None:
        """The newest run that made a file, given by its UUID.

        Raises:
            sqlite3.Error: the database cannot be read.
        """
        wanted = file_id.lower()
        # An id may stand in a URL or an error too.
        where = "api_url = ? AND instr(lower(outcome), ?) ORDER BY created_at DESC LIMIT ?"
        values = (self._api_url, wanted, MAX_CANDIDATES)

        def work(connection: sqlite3.Connection) -> RunEntry | None:
            return next(
                (run for run in entries(connection, where, values) if _made(run, wanted)), None
            )

        return await self._database.read(work)


def _made(run: RunEntry, file_id: str) -> bool:
    return any(str(output.get("file_id")).lower() == file_id for output in run.outcome.outputs)
