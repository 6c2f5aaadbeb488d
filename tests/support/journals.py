"""The journal on disk, read as another process would read it."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import partial

from layer_mcp import Settings
from layer_mcp.files.paths import state_folder
from layer_mcp.runs.journal import Journal, account_of
from layer_mcp.runs.journal.sqlite import SqliteDatabase
from layer_mcp.runs.types import Run, RunFilter


@contextmanager
def open_journal(environment: Mapping[str, str]) -> Generator[Journal]:
    """The journal of the account that the settings lead to."""
    settings = Settings.from_env(environment)
    database = SqliteDatabase(partial(state_folder, settings))
    account = account_of(settings.api_url, settings.api_token or "")
    try:
        yield Journal(database, api_url=settings.api_url, account=account)
    finally:
        database.close()


async def list_runs(environment: Mapping[str, str], wanted: RunFilter | None = None) -> list[Run]:
    """All runs that the journal on disk has, newest first."""
    with open_journal(environment) as journal:
        return await journal.list_runs(wanted or RunFilter(), 1_000)
