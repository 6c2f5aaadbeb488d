"""The journal of one API address."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .database import Database
from .output_log import OutputLog
from .run_log import RunLog
from .upload_log import UploadLog


@dataclass(frozen=True)
class Journal:
    """The uploads, the runs and their outputs, in one database."""

    database: Database
    uploads: UploadLog
    runs: RunLog
    outputs: OutputLog

    @property
    def problem(self) -> str | None:
        """Why nothing outlives the process although it should; known after the first use."""
        return self.database.problem

    def close(self) -> None:
        """Close the database; a later use opens it again."""
        self.database.close()


def new_journal(
    place: Callable[[], Path | None], api_url: str, account: str | Callable[[], str] = ""
) -> Journal:
    """A journal that `place` says the folder of; opened at the first use.

    `account` tells callers apart and must be no secret; a function is called in a thread when a
    run is looked for or written down.
    """
    database = Database(place)
    return Journal(
        database,
        UploadLog(database, api_url),
        RunLog(database, api_url, account),
        OutputLog(database, api_url),
    )
