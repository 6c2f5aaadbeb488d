"""A database that can't be used: nothing is spent, nothing is forgotten, and the answer helps."""

import socket
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path

import anyio
import psycopg
import pytest

from layer_mcp import LayerError
from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.databases import postgres
from layer_mcp.runs.journal.databases.postgres import PostgresDatabase
from layer_mcp.runs.journal.outcome import Outcome
from layer_mcp.runs.types.filters import RunFilter

from ....support.cutting_proxy import cutting_proxy
from ....support.postgres_server import PostgresServer
from ....support.recorded_runs import (
    ACCOUNT,
    API,
    REQUEST,
    another,
    confirmed,
    keys,
    queued_run,
    reserve,
    sending_run,
)
from ....support.storages import PostgresStorage

pytestmark = pytest.mark.anyio

ANSWER_SECONDS = 3.0
BOUND_SECONDS = 12

DISK_FULL = """
CREATE FUNCTION layer_mcp.fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$
"""
SLEEP = """
CREATE FUNCTION layer_mcp.fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$
"""
ON_INSERT = (
    "CREATE TRIGGER failing BEFORE INSERT ON layer_mcp.runs "
    "FOR EACH ROW EXECUTE FUNCTION layer_mcp.fail()"
)

Outage = Callable[[PostgresServer, PostgresStorage], AbstractContextManager[None]]


@pytest.fixture
def storage(
    postgres_server: PostgresServer, empty_database: str, state_folder: Path
) -> PostgresStorage:
    return PostgresStorage(postgres_server, empty_database, state_folder)


@pytest.fixture
def database(storage: PostgresStorage) -> Iterator[PostgresDatabase]:
    with closing(storage.make_database()) as made:
        yield made


@pytest.fixture
def journal(database: PostgresDatabase) -> Journal:
    return journal_in(database)


def journal_in(database: PostgresDatabase) -> Journal:
    return Journal(database, api_url=API, account=ACCOUNT)


@contextmanager
def stopped(server: PostgresServer, _storage: PostgresStorage) -> Generator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def paused(server: PostgresServer, _storage: PostgresStorage) -> Generator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


@contextmanager
def read_only(server: PostgresServer, storage: PostgresStorage) -> Generator[None]:
    name = storage.url.rpartition("/")[2]
    server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    storage.disconnect()
    yield
    server.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    storage.disconnect()


@contextmanager
def full(_server: PostgresServer, storage: PostgresStorage) -> Generator[None]:
    yield from failing(storage, DISK_FULL)


@contextmanager
def slow(_server: PostgresServer, storage: PostgresStorage) -> Generator[None]:
    yield from failing(storage, SLEEP)


def failing(storage: PostgresStorage, function: str) -> Generator[None]:
    storage.execute(f"{function}; {ON_INSERT}")
    yield
    storage.execute("DROP FUNCTION layer_mcp.fail CASCADE")


@contextmanager
def held(_server: PostgresServer, storage: PostgresStorage) -> Generator[None]:
    with storage.hold():
        yield


OUTAGES = [
    pytest.param(stopped, "doesn't answer", "Call again in a minute.", id="stopped"),
    pytest.param(paused, "doesn't answer", "Call again in a minute.", id="paused"),
    pytest.param(read_only, "is read-only", "name the primary server", id="read_only"),
    pytest.param(full, "disk is full", "Free up space", id="full"),
    pytest.param(slow, "too slow", "look for slow queries", id="slow"),
    pytest.param(held, "another server is writing", "Call again in a few seconds.", id="held"),
]


@contextmanager
def impatience() -> Generator[None]:
    """Let nobody wait long for the database."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(postgres, "LOCK_SECONDS", 0.1)
        patched.setattr(postgres, "STATEMENT_SECONDS", 0.3)
        patched.setattr(postgres, "ANSWER_SECONDS", ANSWER_SECONDS)
        yield


@pytest.mark.parametrize(("outage", "reason", "step"), OUTAGES)
async def test_nothing_is_recorded_during_an_outage_and_the_answer_says_what_to_do(
    outage: Outage,
    reason: str,
    step: str,
    postgres_server: PostgresServer,
    storage: PostgresStorage,
    journal: Journal,
) -> None:
    await keys(journal)
    began = time.monotonic()
    with outage(postgres_server, storage), impatience():
        with pytest.raises(LayerError, match=f"JOURNAL_UNAVAILABLE: .*{reason}") as caught:
            await reserve(journal)
        assert time.monotonic() - began < BOUND_SECONDS
    assert step in caught.value.next_step
    assert caught.value.person_step == caught.value.next_step
    assert await keys(journal) == []
    assert (await reserve(journal)).created


@pytest.mark.parametrize("outage", [stopped, paused, read_only, held])
async def test_an_answer_that_arrives_during_an_outage_is_recorded_afterwards(
    outage: Outage, postgres_server: PostgresServer, storage: PostgresStorage, journal: Journal
) -> None:
    run = await sending_run(journal)
    outcome = Outcome.confirmed(confirmed(run, run_id="run-1"))
    with outage(postgres_server, storage), impatience():
        assert not await journal.outcomes.record(outcome)
    assert await journal.outcomes.record_pending() == [outcome]
    assert (await journal.reload(run)).run_id == "run-1"


async def test_the_next_server_on_the_machine_knows_an_answer_that_arrived_during_an_outage(
    postgres_server: PostgresServer, storage: PostgresStorage
) -> None:
    with closing(storage.make_database()) as database:
        run = await sending_run(journal_in(database))
        with stopped(postgres_server, storage):
            await journal_in(database).outcomes.record(
                Outcome.confirmed(confirmed(run, run_id="run-1"))
            )
            database.close()
    with closing(storage.make_database()) as database:
        [found] = await journal_in(database).list_runs(RunFilter(), 10)
    assert (found.state, found.run_id) == ("in_progress", "run-1")
    assert list(storage.folder.rglob("*.aside")) == []


@pytest.mark.parametrize(
    ("outage", "sentences"),
    [
        (stopped, "the database doesn't answer. Call again in a minute."),
        (read_only, "the database is read-only. Let LAYER_DATABASE_URL name the primary server"),
    ],
)
async def test_a_database_that_is_out_of_use_at_the_start_is_used_once_it_is_back(
    outage: Outage,
    sentences: str,
    postgres_server: PostgresServer,
    storage: PostgresStorage,
    database: PostgresDatabase,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with outage(postgres_server, storage):
        await database.open()
        assert f"The journal can't be used yet: {sentences}" in caplog.text
        with pytest.raises(LayerError, match="JOURNAL_UNAVAILABLE"):
            await reserve(journal_in(database))
    assert (await reserve(journal_in(database))).created


async def test_a_restart_between_two_calls_is_not_noticed(
    postgres_server: PostgresServer, storage: PostgresStorage, journal: Journal
) -> None:
    first = await queued_run(journal)
    with stopped(postgres_server, storage):
        pass
    second = await queued_run(journal, another())
    assert await keys(journal) == [second.key, first.key]


async def test_calls_that_wait_for_a_lost_database_fail_together(
    storage: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgres.PARAMETERS, "connect_timeout", 2)
    errors: list[str] = []
    with silent_server() as url, closing(PostgresDatabase(url, lambda: storage.folder)) as database:

        async def find() -> None:
            with pytest.raises(LayerError) as caught:
                await journal_in(database).list_runs(RunFilter(), 1)
            errors.append(caught.value.code)

        began = time.monotonic()
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(find)
        assert time.monotonic() - began < BOUND_SECONDS / 2
    assert errors == ["JOURNAL_UNAVAILABLE"] * 4


@contextmanager
def silent_server() -> Generator[str]:
    """A server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"postgresql://layer@127.0.0.1:{listener.getsockname()[1]}/layer"


async def test_a_server_with_too_many_connections_is_busy(
    postgres_server: PostgresServer, storage: PostgresStorage, database: PostgresDatabase
) -> None:
    open_ones: list[psycopg.Connection] = []
    try:
        with suppress(psycopg.OperationalError):
            while True:
                open_ones.append(psycopg.connect(postgres_server.url()))
        with pytest.raises(LayerError, match="has no free connection") as caught:
            await journal_in(database).list_runs(RunFilter(), 1)
        assert "raise max_connections in the database" in caught.value.next_step
    finally:
        for connection in open_ones:
            connection.close()


async def test_a_run_whose_recording_is_uncertain_is_withdrawn(storage: PostgresStorage) -> None:
    with (
        cutting_proxy(storage.url) as proxy,
        closing(PostgresDatabase(proxy.url, lambda: storage.folder)) as database,
    ):
        journal = journal_in(database)
        await keys(journal)
        proxy.lose_commit_of("INSERT INTO runs")
        with pytest.raises(LayerError, match="JOURNAL_UNAVAILABLE"):
            await reserve(journal)
        assert proxy.cuts == 1
        assert storage.execute("SELECT state FROM runs") == [("queued",)]
        assert (await reserve(journal, REQUEST)).created
    assert storage.execute("SELECT state FROM runs ORDER BY sequence") == [
        ("not_sent",),
        ("queued",),
    ]
