"""Journals of the test's own, as several processes have them; a media host."""

import sqlite3
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from layer_mcp import LayerClient, Runs, Settings
from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.databases import sqlite
from layer_mcp.runs.journal.databases.sqlite import FILE_NAME, SqliteDatabase
from layer_mcp.runs.opening import open_runs

from ..support.media_host import Media, media_host
from ..support.postgres_server import PostgresServer
from ..support.recorded_runs import ACCOUNT, API, Clock, MakeJournal
from ..support.storages import PostgresStorage, SqliteStorage, Storage


@pytest.fixture
def state_folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "layer-mcp"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def shared_database(postgres_server: PostgresServer) -> str:
    """The URL of a database whose rows each test deletes."""
    return postgres_server.create_database()


@pytest.fixture
def postgres_storage(
    postgres_server: PostgresServer, shared_database: str, state_folder: Path
) -> PostgresStorage:
    """An empty database that several processes share."""
    storage = PostgresStorage(postgres_server, shared_database, state_folder)
    storage.empty()
    return storage


@pytest.fixture(params=["sqlite", "postgres"])
def storage(request: pytest.FixtureRequest, state_folder: Path) -> Storage:
    """Where the test's journals are kept."""
    if request.param == "sqlite":
        return SqliteStorage(state_folder)
    return request.getfixturevalue("postgres_storage")


@pytest.fixture
def empty_database(postgres_server: PostgresServer) -> str:
    """The URL of a database without tables, which a test may change as it likes."""
    return postgres_server.create_database()


@pytest.fixture
def make_journal(state_folder: Path, clock: Clock) -> Iterator[MakeJournal]:
    """Journals in one folder, each with its own database."""
    made: list[SqliteDatabase] = []

    def make(
        api_url: str = API,
        account: str = ACCOUNT,
        *,
        layer_account: str | None = None,
        is_required: bool = True,
    ) -> Journal:
        made.append(SqliteDatabase(lambda: state_folder))
        return Journal(
            made[-1],
            api_url=api_url,
            account=account,
            layer_account=layer_account,
            is_required=is_required,
            clock=clock,
        )

    yield make
    for database in made:
        database.close()


@pytest.fixture
def journal(make_journal: MakeJournal) -> Journal:
    return make_journal()


@pytest.fixture
def other_process(
    state_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[sqlite3.Connection]:
    """Another process that can hold the database for longer than anybody waits."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    state_folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(state_folder / FILE_NAME, isolation_level=None)) as connection:
        yield connection


@pytest.fixture
async def runs(environment: dict[str, str]) -> AsyncGenerator[Runs]:
    """The runs of the account in the sandbox."""
    async with open_runs(Settings.from_env(environment)) as opened:
        yield opened


@pytest.fixture
def media() -> Iterator[Media]:
    with media_host() as server:
        yield server


@pytest.fixture
async def layer() -> AsyncGenerator[LayerClient]:
    """A client that downloads; there is no API."""
    async with LayerClient(None, api_url="http://127.0.0.1:1/api") as client:
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where outputs are saved; not made yet."""
    return tmp_path / "out" / "icons"
