"""Journals in both databases: each test of the journal's behavior runs with either."""

from collections.abc import Callable, Iterator

import pytest

from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.databases import postgres, sqlite

from ...support.recorded_runs import ACCOUNT, API, Clock, MakeJournal
from ...support.storages import AnyDatabase, Storage

HELD_SECONDS = 0.05

MakeDatabase = Callable[[], AnyDatabase]


@pytest.fixture
def impatient(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """The same, but nobody waits long for another process that holds it."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", HELD_SECONDS)
    monkeypatch.setattr(postgres, "LOCK_SECONDS", HELD_SECONDS)
    return storage


@pytest.fixture
def make_database(storage: Storage) -> Iterator[MakeDatabase]:
    """Databases in one place, as several processes have them."""
    made: list[AnyDatabase] = []

    def make() -> AnyDatabase:
        made.append(storage.make_database())
        return made[-1]

    yield make
    for database in made:
        database.close()


@pytest.fixture
def database(make_database: MakeDatabase) -> AnyDatabase:
    return make_database()


@pytest.fixture
def make_journal(make_database: MakeDatabase, clock: Clock) -> MakeJournal:
    """Journals in one place, each with its own database."""

    def make(
        api_url: str = API,
        account: str = ACCOUNT,
        *,
        layer_account: str | None = None,
        is_required: bool = True,
    ) -> Journal:
        return Journal(
            make_database(),
            api_url=api_url,
            account=account,
            layer_account=layer_account,
            is_required=is_required,
            clock=clock,
        )

    return make
