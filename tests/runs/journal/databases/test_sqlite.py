"""The embedded database: its file and folder, damage, and processes that use it together."""

import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from layer_mcp import LayerError, Settings
from layer_mcp.files.paths import state_folder as state_folder_of
from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.databases import sqlite
from layer_mcp.runs.journal.databases.database import Connection, DatabaseError
from layer_mcp.runs.journal.databases.schema import SCHEMA_VERSION
from layer_mcp.runs.journal.databases.sqlite import FILE_NAME, SqliteDatabase
from layer_mcp.runs.types.filters import RunFilter

from ....support.journal_process import TOGETHER, start_together
from ....support.recorded_runs import ACCOUNT, API, queued_run
from ....support.storages import SqliteStorage

pytestmark = pytest.mark.anyio

NOTES = 20
NO_DATABASE = b"not a database" * 1000
ON_POSIX = pytest.mark.skipif(os.name != "posix", reason="permissions of another kind")

MakeDatabase = Callable[[], SqliteDatabase]


@pytest.fixture
def make_database(state_folder: Path) -> Iterator[MakeDatabase]:
    """Databases in one folder, as several processes have them."""
    made: list[SqliteDatabase] = []

    def make() -> SqliteDatabase:
        made.append(SqliteDatabase(lambda: state_folder))
        return made[-1]

    yield make
    for database in made:
        database.close()


@pytest.fixture
def database(make_database: MakeDatabase) -> SqliteDatabase:
    return make_database()


async def note(database: SqliteDatabase, sha256: str = "sha", file_id: str = "file-1") -> None:
    """Write a row."""
    values = (ACCOUNT, "w1", sha256, file_id)
    sql = "INSERT INTO uploads VALUES (?, ?, ?, ?, 0)"
    await database.write(lambda connection: connection.execute(sql, values))


async def noted(database: SqliteDatabase) -> list[str]:
    """Read all rows."""

    def work(connection: Connection) -> list[str]:
        rows = connection.execute("SELECT file_id FROM uploads ORDER BY sha256").fetchall()
        return [row["file_id"] for row in rows]

    return await database.read(work)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged, which is nothing but warnings."""
    assert {record.levelname for record in caplog.records} <= {"WARNING"}
    return [record.message for record in caplog.records]


async def test_written_data_outlives_the_process(make_database: MakeDatabase) -> None:
    first = make_database()
    await note(first)
    first.close()
    assert await noted(make_database()) == ["file-1"]


async def test_a_closed_database_opens_again(database: SqliteDatabase) -> None:
    await note(database)
    database.close()
    assert await noted(database) == ["file-1"]


async def test_nothing_is_made_before_the_first_use(
    database: SqliteDatabase, state_folder: Path
) -> None:
    database.close()
    assert not state_folder.parent.exists()


async def test_nothing_is_written_when_the_work_raises(database: SqliteDatabase) -> None:
    def work(connection: Connection) -> None:
        connection.execute("INSERT INTO uploads VALUES ('a', 'w', 'sha', 'file-1', 0)")
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(work)
    assert await noted(database) == []


async def test_a_statement_that_fails_is_a_database_error(database: SqliteDatabase) -> None:
    with pytest.raises(DatabaseError, match="no such table") as caught:
        await database.read(lambda connection: connection.execute("SELECT * FROM missing"))
    assert (caught.value.is_busy, caught.value.is_full) == (False, False)


async def test_reports_a_full_disk(database: SqliteDatabase) -> None:
    def fill(connection: Connection) -> None:
        [pages] = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        for number in range(1_000):
            connection.execute("INSERT INTO uploads VALUES ('a', 'w', 'sha', ?, 0)", (number,))

    with pytest.raises(DatabaseError, match="full") as caught:
        await database.write(fill)
    assert (caught.value.is_busy, caught.value.is_full) == (False, True)


async def test_a_database_that_another_process_holds_is_busy(
    database: SqliteDatabase, state_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    await noted(database)
    with closing(sqlite3.connect(state_folder / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseError, match="locked") as caught:
            await note(database)
    assert caught.value.is_busy
    assert database.problem is None


@pytest.mark.process
def test_several_processes_that_start_together_lose_nothing(state_folder: Path) -> None:
    state_folder.parent.mkdir()
    start_together("note_uploads", SqliteStorage(state_folder), str(NOTES))
    with closing(sqlite3.connect(state_folder / FILE_NAME)) as database:
        [count] = database.execute("SELECT COUNT(*) FROM uploads").fetchone()
    assert count == TOGETHER * NOTES


@ON_POSIX
async def test_the_folder_is_closed_to_others(database: SqliteDatabase, state_folder: Path) -> None:
    await note(database)
    made = (state_folder, state_folder.parent)
    assert [stat.S_IMODE(one.stat().st_mode) for one in made] == [0o700, 0o700]


@ON_POSIX
async def test_the_files_are_closed_to_others_in_a_folder_that_was_there_before(
    database: SqliteDatabase, state_folder: Path
) -> None:
    state_folder.mkdir(parents=True, mode=0o755)
    await note(database)
    files = [path for path in state_folder.iterdir() if path.is_file()]
    assert FILE_NAME in {path.name for path in files}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


@ON_POSIX
async def test_the_folder_of_the_locks_is_closed_to_others(
    database: SqliteDatabase, state_folder: Path
) -> None:
    await note(database)
    assert stat.S_IMODE((state_folder / "servers").stat().st_mode) == 0o700


async def test_a_database_that_can_be_used_has_no_problem(database: SqliteDatabase) -> None:
    await note(database)
    assert database.problem is None


async def test_without_a_folder_the_database_is_in_memory(caplog: pytest.LogCaptureFixture) -> None:
    with closing(SqliteDatabase(lambda: None)) as database:
        await note(database)
        assert await noted(database) == ["file-1"]
        assert database.problem is None
    assert caplog.records == []


async def test_an_unusable_folder_is_a_warning_and_the_rows_are_in_memory(
    database: SqliteDatabase, state_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state_folder.parent.write_text("a file in the way")
    await note(database)
    assert await noted(database) == ["file-1"]
    [message] = warnings(caplog)
    assert str(state_folder) in message
    assert str(state_folder) in (database.problem or "")


async def test_a_database_that_could_not_be_opened_is_opened_by_the_next_call(
    make_database: MakeDatabase, state_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = make_database()
    state_folder.parent.write_text("a file in the way")
    assert await noted(first) == []
    state_folder.parent.unlink()
    await note(first)
    assert await noted(make_database()) == ["file-1"]
    assert (first.problem, first.fix) == (None, None)
    assert len(warnings(caplog)) == 1


async def test_runs_in_memory_are_not_forgotten_when_the_folder_can_be_used(
    database: SqliteDatabase, state_folder: Path
) -> None:
    journal = Journal(database, api_url=API, account=ACCOUNT, is_required=False)
    state_folder.parent.write_text("a file in the way")
    run = await queued_run(journal)
    state_folder.parent.unlink()
    assert await journal.list_runs(RunFilter(), 10) == [run]
    assert database.problem is not None


@pytest.mark.parametrize("place", ["relative", "/a\0b"])
async def test_a_folder_that_cannot_be_found_fails_no_call(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "removed").mkdir()
    monkeypatch.chdir(tmp_path / "removed")
    (tmp_path / "removed").rmdir()
    find_folder = partial(state_folder_of, Settings(state_dir=place))
    with closing(SqliteDatabase(find_folder)) as database:
        await note(database)
        assert await noted(database) == ["file-1"]
    assert len(warnings(caplog)) == 1


async def test_a_file_that_is_not_a_database_is_left_untouched(
    database: SqliteDatabase, state_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state_folder.mkdir(parents=True)
    (state_folder / FILE_NAME).write_bytes(NO_DATABASE)
    await note(database)
    assert await noted(database) == ["file-1"]
    assert (state_folder / FILE_NAME).read_bytes() == NO_DATABASE
    assert "file is not a database" in (database.problem or "")
    assert len(warnings(caplog)) == 1


async def test_a_database_that_is_damaged_inside_is_replaced_by_memory(
    make_database: MakeDatabase, state_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = make_database()
    for number in range(200):
        await note(first, f"{number:064}", file_id=f"file-{number}")
    first.close()
    content = (state_folder / FILE_NAME).read_bytes()
    # The first page, which names the tables, is whole.
    damaged = content[:4096] + b"\xff" * (len(content) - 4096)
    (state_folder / FILE_NAME).write_bytes(damaged)
    second = make_database()
    await note(second, file_id="file-2")
    assert await noted(second) == ["file-2"]
    assert "the journal is damaged" in (second.problem or "")
    assert second.fix is not None
    assert second.fix.startswith(f"Move {state_folder} away.")
    assert "Runs are only kept in memory" in caplog.text


async def test_a_database_with_other_tables_is_left_untouched(
    database: SqliteDatabase, state_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state_folder.mkdir(parents=True)
    with closing(sqlite3.connect(state_folder / FILE_NAME)) as other:
        other.execute("CREATE TABLE uploads (other TEXT)")
    await note(database)
    assert await noted(database) == ["file-1"]
    assert len(warnings(caplog)) == 1
    with closing(sqlite3.connect(state_folder / FILE_NAME)) as other:
        tables = other.execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("uploads",)]


async def test_a_newer_database_is_left_untouched(
    make_database: MakeDatabase, state_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = make_database()
    await note(first)
    first.close()
    with closing(sqlite3.connect(state_folder / FILE_NAME)) as other, other:
        other.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    content = (state_folder / FILE_NAME).read_bytes()
    second = make_database()
    assert await noted(second) == []
    await note(second, file_id="file-2")
    assert await noted(second) == ["file-2"]
    assert (state_folder / FILE_NAME).read_bytes() == content
    assert "newer layer-mcp" in (second.problem or "")
    assert len(warnings(caplog)) == 1
    with pytest.raises(LayerError, match="JOURNAL_UNAVAILABLE") as caught:
        Journal(second, api_url=API, account=ACCOUNT).check()
    assert "Install the newest layer-mcp" in caught.value.next_step
    assert caught.value.person_step == caught.value.next_step


async def test_recreates_and_shares_a_database_whose_folder_was_removed(
    make_database: MakeDatabase, state_folder: Path
) -> None:
    first, second = make_database(), make_database()
    assert (await noted(first), await noted(second)) == ([], [])
    shutil.rmtree(state_folder)
    await note(first, file_id="file-2")
    assert await noted(second) == ["file-2"]
    assert (first.problem, second.problem) == (None, None)


async def test_processes_are_distinguished_after_the_folder_was_removed(
    make_database: MakeDatabase, state_folder: Path
) -> None:
    first, second = make_database(), make_database()
    assert (await noted(first), await noted(second)) == ([], [])
    shutil.rmtree(state_folder)
    run = await queued_run(Journal(first, api_url=API, account=ACCOUNT))
    [found] = await Journal(second, api_url=API, account=ACCOUNT).list_runs(RunFilter(), 10)
    assert found == run
    assert await second.read(lambda connection: second.is_alive(connection, first.process_id))
