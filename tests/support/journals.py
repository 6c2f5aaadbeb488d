"""The journal, read as another process would read it."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager

from layer_mcp import Settings
from layer_mcp.runs.journal import Journal, account_of
from layer_mcp.runs.journal.databases.selection import select_database
from layer_mcp.runs.types.filters import RunFilter
from layer_mcp.runs.types.run import Run


@contextmanager
def open_journal(environment: Mapping[str, str]) -> Generator[Journal]:
    """Open the journal of the account in the settings."""
    settings = Settings.from_env(environment)
    database = select_database(settings)
    account = account_of(settings.api_url, settings.api_token or "")
    try:
        yield Journal(database, api_url=settings.api_url, account=account)
    finally:
        database.close()


async def list_runs(environment: Mapping[str, str], wanted: RunFilter | None = None) -> list[Run]:
    """List all runs in the journal, newest first."""
    with open_journal(environment) as journal:
        return await journal.list_runs(wanted or RunFilter(), 1_000)
