"""Selects the journal's database: a file on this machine, or a PostgreSQL server."""

from functools import partial

from ....files.paths import state_folder
from ....settings import Settings, SettingsError
from .database import Database
from .sqlite import SqliteDatabase


def select_database(settings: Settings) -> Database:
    """Return the database in the settings; it isn't opened yet.

    Raises:
        SettingsError: LAYER_DATABASE_URL is set, but the driver isn't installed.
    """
    find_folder = partial(state_folder, settings)
    if settings.database_url is None:
        return SqliteDatabase(find_folder)
    try:
        # Optional, and slow to import.
        from .postgres import PostgresDatabase  # noqa: PLC0415
    except ImportError:
        raise SettingsError(
            "LAYER_DATABASE_URL needs psycopg, which isn't installed. Install layer-mcp[postgres]."
        ) from None
    return PostgresDatabase(settings.database_url, find_folder)
