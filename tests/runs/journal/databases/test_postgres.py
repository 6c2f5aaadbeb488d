"""The shared database: its tables, its transactions, and servers that start together."""

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event

import anyio
import pytest
from anyio import from_thread, to_thread
from anyio.lowlevel import checkpoint

from layer_mcp import Settings, SettingsError
from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.databases import postgres_schema
from layer_mcp.runs.journal.databases.database import Connection, DatabaseError
from layer_mcp.runs.journal.databases.postgres import PostgresDatabase
from layer_mcp.runs.journal.databases.schema import SCHEMA_VERSION
from layer_mcp.runs.journal.databases.selection import select_database
from layer_mcp.runs.journal.databases.sqlite import SqliteDatabase

from ....support.journal_process import TOGETHER, start_together
from ....support.postgres_server import PostgresServer
from ....support.recorded_runs import ACCOUNT, API, queued_run
from ....support.storages import PostgresStorage

pytestmark = pytest.mark.anyio

NOTES = 20


@pytest.fixture
def storage(
    postgres_server: PostgresServer, empty_database: str, state_folder: Path
) -> PostgresStorage:
    return PostgresStorage(postgres_server, empty_database, state_folder)


@pytest.fixture
def database(storage: PostgresStorage) -> Iterator[PostgresDatabase]:
    with closing(storage.make_database()) as made:
        yield made


async def note(database: PostgresDatabase, file_id: str = "file-1") -> None:
    """Write a row."""
    sql = "INSERT INTO uploads VALUES (?, 'w1', 'sha', ?, 0)"
    await database.write(lambda connection: connection.execute(sql, (ACCOUNT, file_id)))


async def noted(database: PostgresDatabase) -> list[str]:
    """Read all rows."""

    def work(connection: Connection) -> list[str]:
        rows = connection.execute("SELECT file_id FROM uploads ORDER BY file_id").fetchall()
        return [row["file_id"] for row in rows]

    return await database.read(work)


def test_the_url_selects_the_database(empty_database: str) -> None:
    assert isinstance(select_database(Settings()), SqliteDatabase)
    shared = select_database(Settings(database_url=empty_database))
    assert isinstance(shared, PostgresDatabase)


def test_a_url_without_the_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "layer_mcp.runs.journal.databases.postgres")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SettingsError, match=r"Install layer-mcp\[postgres\]\."):
        select_database(Settings(database_url="postgresql://localhost/layer"))


async def test_a_closed_database_opens_again(database: PostgresDatabase) -> None:
    await note(database)
    database.close()
    assert await noted(database) == ["file-1"]


async def test_nothing_is_written_when_the_work_raises(database: PostgresDatabase) -> None:
    def work(connection: Connection) -> None:
        connection.execute("INSERT INTO uploads VALUES ('a', 'w', 'sha', 'file-1', 0)")
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(work)
    assert await noted(database) == []


async def test_a_read_writes_nothing(database: PostgresDatabase) -> None:
    sql = "INSERT INTO uploads VALUES ('a', 'w', 'sha', 'file-1', 0)"
    with pytest.raises(DatabaseError, match="read-only"):
        await database.read(lambda connection: connection.execute(sql))


async def test_a_percent_sign_is_text(database: PostgresDatabase) -> None:
    def work(connection: Connection) -> str:
        row = connection.execute("SELECT '100%s' || ? AS text", ("%",)).fetchone()
        return row["text"]

    assert await database.read(work) == "100%s%"


async def test_a_statement_that_fails_is_a_database_error(database: PostgresDatabase) -> None:
    with pytest.raises(DatabaseError, match="reported an error") as caught:
        await database.read(lambda connection: connection.execute("SELECT * FROM missing"))
    assert "server's log" in (caught.value.fix or "")
    assert await noted(database) == []


async def test_reads_continue_while_another_process_writes(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    await note(database)
    with storage.hold():
        assert await noted(database) == ["file-1"]


async def test_several_threads_read_at_the_same_time(database: PostgresDatabase) -> None:
    both, arrived = Event(), anyio.Semaphore(0)

    def work(_connection: Connection) -> bool:
        from_thread.run_sync(arrived.release)
        return both.wait(10)

    results: list[bool] = []

    async def read() -> None:
        results.append(await database.read(work))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        tasks.start_soon(read)
        for _ in range(2):
            await arrived.acquire()
        await to_thread.run_sync(both.set)
    assert results == [True, True]


async def test_a_writer_sees_what_was_written_while_it_waited(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    storage.execute(
        f"ALTER DATABASE {storage.url.rpartition('/')[2]} "
        "SET default_transaction_isolation = 'repeatable read'"
    )
    other = storage.make_database()
    with closing(other):
        await note(other, "file-1")
        await database.open()
        results: list[list[str]] = []

        def list_files(connection: Connection) -> list[str]:
            rows = connection.execute("SELECT file_id FROM uploads ORDER BY file_id").fetchall()
            return [row["file_id"] for row in rows]

        async def write() -> None:
            results.append(await database.write(list_files))

        async with anyio.create_task_group() as tasks:
            with storage.hold() as held:
                tasks.start_soon(write)
                await until_waiting(storage)
                held.execute("INSERT INTO layer_mcp.uploads VALUES ('a', 'w', 'sha', 'late', 0)")
    assert results == [["file-1", "late"]]


async def until_waiting(storage: PostgresStorage) -> None:
    """Wait until a process waits for the lock."""
    sql = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    while not await to_thread.run_sync(storage.execute, sql):
        await checkpoint()


@pytest.mark.process
def test_several_servers_that_start_together_create_the_tables_once(
    storage: PostgresStorage, state_folder: Path
) -> None:
    state_folder.parent.mkdir()
    start_together("note_uploads", storage, str(NOTES))
    [(count,)] = storage.execute("SELECT COUNT(*) FROM uploads")
    assert count == TOGETHER * NOTES
    assert len(storage.execute("SELECT * FROM journal")) == 1


async def test_other_tables_in_the_database_are_left_alone(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    storage.execute("CREATE TABLE public.runs (other TEXT)")
    await queued_run(Journal(database, api_url=API, account=ACCOUNT))
    assert storage.execute("SELECT * FROM public.runs") == []
    assert len(storage.execute("SELECT * FROM layer_mcp.runs")) == 1


async def test_an_earlier_version_is_migrated_and_keeps_its_rows(
    storage: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(storage.make_database()) as before:
        await note(before)
        later = SCHEMA_VERSION + 1
        statements = ("ALTER TABLE uploads ADD COLUMN size BIGINT",)
        monkeypatch.setattr(postgres_schema, "MIGRATIONS", {later: statements})
        monkeypatch.setattr(postgres_schema, "SCHEMA_VERSION", later)
        with closing(storage.make_database()) as after:
            assert await noted(after) == ["file-1"]
        assert storage.execute("SELECT size FROM uploads") == [(None,)]
        assert storage.execute("SELECT version FROM journal") == [(later,)]
        storage.disconnect()
        assert await noted(before) == ["file-1"], "the version before it still runs"


async def test_a_newer_database_is_refused_and_left_untouched(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    with closing(storage.make_database()) as first:
        await note(first)
    storage.execute(f"UPDATE journal SET version = {SCHEMA_VERSION + 1}")
    with pytest.raises(SettingsError, match=r"a newer layer-mcp wrote the database .*Install"):
        await database.open()
    with pytest.raises(DatabaseError, match="a newer layer-mcp"):
        await noted(database)
    assert storage.execute("SELECT version FROM journal") == [(SCHEMA_VERSION + 1,)]
    assert storage.execute("SELECT * FROM processes") == []


async def test_a_database_that_was_emptied_is_refused(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    with closing(storage.make_database()) as first:
        await note(first)
    storage.execute("DELETE FROM journal")
    with pytest.raises(SettingsError, match=r"journal is empty\. Restore the database"):
        await database.open()


async def test_two_journals_that_share_a_folder_stay_apart(
    storage: PostgresStorage, database: PostgresDatabase, state_folder: Path
) -> None:
    with closing(SqliteDatabase(lambda: state_folder)) as other:
        await other.write(lambda _: None)
        await other.set_aside("journal", ["{}"])
    await note(database)
    [aside] = [
        file for file in (state_folder / "servers").iterdir() if file.stem == other.process_id
    ]
    assert aside.read_text().strip() == "{}"
