"""What outlives the process, and what happens when it cannot be kept."""

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from layer_mcp.journal import Journal, new_journal
from layer_mcp.journal.entries import Intent, RunFilter, RunRecord
from layer_mcp.journal.schema import SCHEMA_VERSION
from layer_mcp.server.uploads import Uploads

from layer_mcp import LayerClient, Settings
from layer_mcp.paths import state_folder
from layer_mcp.runs import sqlite as database_module
from layer_mcp.runs.sqlite import FILE_NAME
from layer_mcp.sandbox import RunningSandbox

from ..support.sandbox_calls import png

pytestmark = pytest.mark.anyio

API = "https://api.layer.test/api"
SHA = "ab" * 32
PROCESSES = 4
NOTES = 20
# Waits for all others, then writes as fast as it can.
WRITER = """
import sys, time
from pathlib import Path
import anyio
from layer_mcp.paths import state_folder
from layer_mcp.journal import new_journal
folder, name = Path(sys.argv[1]), sys.argv[2]
async def write():
    journal = new_journal(lambda: folder / "state", "u")
    (folder / f"ready-{name}").touch()
    while not (folder / "go").exists():
        time.sleep(0.001)
    for number in range(int(sys.argv[3])):
        await journal.uploads.note("w", f"{name}-{number}", f"file-{name}-{number}")
    journal.close()
anyio.run(write)
"""

# Opens the journal together with all others, and tells what it finds.
READER = """
import sys, time
from pathlib import Path
import anyio
from layer_mcp.journal import new_journal
folder, name = Path(sys.argv[1]), sys.argv[2]
async def read():
    journal = new_journal(lambda: folder / "state", "u")
    (folder / f"ready-{name}").touch()
    while not (folder / "go").exists():
        time.sleep(0.001)
    print(await journal.uploads.file_id("w", "sha"), journal.problem)
    journal.close()
anyio.run(read)
"""
# As layer-mcp 0.1 made them before every submission was written down.
FIRST_VERSION = """
CREATE TABLE uploads (
    api_url TEXT, workspace_id TEXT, sha256 TEXT, file_id TEXT NOT NULL,
    PRIMARY KEY (api_url, workspace_id, sha256)
);
CREATE TABLE runs (
    api_url TEXT, run_id TEXT, facts TEXT NOT NULL, folder TEXT,
    PRIMARY KEY (api_url, run_id)
);
PRAGMA user_version = 1;
"""
OLD_FACTS: dict[str, Any] = {
    "workspace_id": "w",
    "model_id": "m",
    "prompt": "ein grüner Trank",
    "created_at": "2026-01-01T00:00:00Z",
    "estimated_price_creative_units": 1.5,
}
OLD_WORKFLOW_FACTS = {"workspace_id": "w", "workflow_id": "flow", "asked": {"count": 2}}

MakeJournal = Callable[[], Journal]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "layer-mcp"


@pytest.fixture
def make_journal(folder: Path) -> Iterator[MakeJournal]:
    """Journals on one folder, as several servers have them."""
    made: list[Journal] = []

    def make() -> Journal:
        made.append(new_journal(lambda: folder, API))
        return made[-1]

    yield make
    for journal in made:
        journal.close()


@pytest.fixture
def journal(make_journal: MakeJournal) -> Journal:
    return make_journal()


async def confirm_run(journal: Journal, facts: dict[str, Any]) -> None:
    """Write down a run that Layer calls run-1."""
    intent = Intent("inference", "w1", "model", "fingerprint", {})
    [reservation] = await journal.runs.reserve([intent], lambda _: None)
    local_id = reservation.entry.local_id
    await journal.runs.confirm(local_id, "run-1", "in_progress", None, facts)


@pytest.fixture
def first_version(tmp_path: Path) -> Path:
    """A database of the first version, with an upload, two runs and a folder of a foreign run."""
    (tmp_path / "state").mkdir()
    path = tmp_path / "state" / FILE_NAME
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(FIRST_VERSION)
        database.execute("INSERT INTO uploads VALUES ('u', 'w', 'sha', 'file-1')")
        runs = [
            ("run-1", json.dumps(OLD_FACTS), "/out"),
            ("run-2", json.dumps(OLD_WORKFLOW_FACTS), None),
            ("run-3", "{}", "/elsewhere"),
            ("run-4", "not json", "/damaged"),
        ]
        database.executemany("INSERT INTO runs VALUES ('u', ?, ?, ?)", runs)
    return path


@pytest.fixture
def migrated(first_version: Path) -> Iterator[Journal]:
    """The journal of today on a database of the first version."""
    journal = new_journal(lambda: first_version.parent, "u")
    yield journal
    journal.close()


def together(folder: Path, script: str, *arguments: str) -> list[str]:
    """What several processes print that go on at the same moment."""
    command = [sys.executable, "-c", script, str(folder)]
    children = [
        subprocess.Popen([*command, str(number), *arguments], stdout=subprocess.PIPE, text=True)
        for number in range(PROCESSES)
    ]
    while len(list(folder.glob("ready-*"))) < PROCESSES:
        assert all(child.poll() is None for child in children)
    (folder / "go").touch()
    printed = [child.communicate(timeout=60)[0] for child in children]
    assert [child.returncode for child in children] == [0] * PROCESSES
    return printed


async def test_an_upload_is_known_to_the_next_server(make_journal: MakeJournal) -> None:
    first = make_journal()
    await first.uploads.note("w1", SHA, "file-1")
    first.close()
    assert await make_journal().uploads.file_id("w1", SHA) == "file-1"


async def test_an_upload_is_known_to_a_server_beside_it(make_journal: MakeJournal) -> None:
    first, second = make_journal(), make_journal()
    assert await second.uploads.file_id("w1", SHA) is None
    await first.uploads.note("w1", SHA, "file-1")
    assert await second.uploads.file_id("w1", SHA) == "file-1"


async def test_an_upload_belongs_to_its_workspace(journal: Journal) -> None:
    await journal.uploads.note("w1", SHA, "file-1")
    assert await journal.uploads.file_id("w2", SHA) is None


async def test_an_upload_belongs_to_its_api_address(journal: Journal, folder: Path) -> None:
    await journal.uploads.note("w1", SHA, "file-1")
    other = new_journal(lambda: folder, "http://127.0.0.1:1/api")
    assert await other.uploads.file_id("w1", SHA) is None
    other.close()


async def test_an_upload_that_is_noted_again_keeps_the_first_name_and_says_so(
    make_journal: MakeJournal,
) -> None:
    first, second = make_journal(), make_journal()
    assert await first.uploads.note("w1", SHA, "file-1") == "file-1"
    assert await second.uploads.note("w1", SHA, "file-2") == "file-1"
    assert await first.uploads.file_id("w1", SHA) == "file-1"


async def test_a_file_that_was_forgotten_gets_the_name_of_the_next_upload(
    journal: Journal,
) -> None:
    await journal.uploads.note("w1", SHA, "file-1")
    await journal.uploads.forget("w1", SHA)
    assert await journal.uploads.note("w1", SHA, "file-2") == "file-2"


async def test_an_upload_can_be_forgotten(journal: Journal) -> None:
    await journal.uploads.note("w1", SHA, "file-1")
    await journal.uploads.forget("w1", SHA)
    assert await journal.uploads.file_id("w1", SHA) is None


async def test_a_run_keeps_its_facts_and_its_folder(make_journal: MakeJournal) -> None:
    journal = make_journal()
    facts = {"prompt": "ein grüner Trank", "asked": {"width": 64}}
    await confirm_run(journal, facts)
    await journal.runs.note_folder("run-1", Path("/out"))
    assert await make_journal().runs.record("run-1") == RunRecord(facts, Path("/out"), is_open=True)


async def test_a_run_from_elsewhere_keeps_its_folder_only(journal: Journal) -> None:
    await journal.runs.note_folder("run-1", Path("/out"))
    assert await journal.runs.record("run-1") == RunRecord({}, Path("/out"), is_known=False)


async def test_an_unknown_run_is_none(journal: Journal) -> None:
    assert await journal.runs.record("run-1") is None


async def test_a_closed_journal_opens_again(journal: Journal) -> None:
    await journal.uploads.note("w1", SHA, "file-1")
    journal.close()
    assert await journal.uploads.file_id("w1", SHA) == "file-1"


async def test_nothing_is_made_before_the_first_use(journal: Journal, folder: Path) -> None:
    journal.close()
    assert not folder.parent.exists()


def test_several_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    together(tmp_path, WRITER, str(NOTES))
    with closing(sqlite3.connect(tmp_path / "state" / FILE_NAME)) as database:
        assert database.execute("SELECT count(*) FROM uploads").fetchone() == (PROCESSES * NOTES,)


@pytest.mark.skipif(os.name != "posix", reason="permissions of another kind")
async def test_the_folder_is_the_users_own(journal: Journal, folder: Path) -> None:
    await journal.uploads.note("w1", SHA, "file-1")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.skipif(os.name != "posix", reason="permissions of another kind")
async def test_the_files_are_the_users_own_in_a_folder_that_was_there_before(
    journal: Journal, folder: Path
) -> None:
    folder.mkdir(parents=True, mode=0o755)
    await journal.uploads.note("w1", SHA, "file-1")
    files = [path for path in folder.iterdir() if path.is_file()]
    assert FILE_NAME in {path.name for path in files}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


@pytest.mark.skipif(os.name != "posix", reason="permissions of another kind")
async def test_the_folder_of_the_servers_locks_is_the_users_own(
    journal: Journal, folder: Path
) -> None:
    await journal.uploads.note("w1", SHA, "file-1")
    assert stat.S_IMODE((folder / "servers").stat().st_mode) == 0o700


async def test_an_unusable_folder_is_a_warning_and_the_journal_lives_in_memory(
    journal: Journal, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.parent.parent.mkdir(exist_ok=True)
    folder.parent.write_text("a file in the way")
    await journal.uploads.note("w1", SHA, "file-1")
    assert await journal.uploads.file_id("w1", SHA) == "file-1"
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert str(folder) in record.message


async def test_without_a_folder_it_lives_in_memory(caplog: pytest.LogCaptureFixture) -> None:
    journal = new_journal(lambda: None, API)
    await journal.uploads.note("w1", SHA, "file-1")
    assert await journal.uploads.file_id("w1", SHA) == "file-1"
    assert caplog.records == []
    journal.close()


async def test_a_file_that_is_no_database_stays_as_it_is_and_the_journal_lives_in_memory(
    journal: Journal, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir(parents=True)
    (folder / FILE_NAME).write_bytes(b"not a database" * 1000)
    await journal.uploads.note("w1", SHA, "file-1")
    assert await journal.uploads.file_id("w1", SHA) == "file-1"
    assert (folder / FILE_NAME).read_bytes() == b"not a database" * 1000
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_a_database_that_is_damaged_inside_is_left_for_the_memory(
    make_journal: MakeJournal, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = make_journal()
    for number in range(200):
        await first.uploads.note("w1", f"{number:064}", "file-1")
    first.close()
    content = (folder / FILE_NAME).read_bytes()
    # The first page, which names the tables, is whole.
    (folder / FILE_NAME).write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    second = make_journal()
    await second.uploads.note("w1", SHA, "file-2")
    assert await second.uploads.file_id("w1", SHA) == "file-2"
    assert "Nothing is kept between runs" in caplog.text


async def test_a_database_with_other_tables_is_left_untouched_and_the_journal_lives_in_memory(
    journal: Journal, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir(parents=True)
    with closing(sqlite3.connect(folder / FILE_NAME)) as database:
        database.execute("CREATE TABLE uploads (other TEXT)")
    await journal.uploads.note("w1", SHA, "file-1")
    assert await journal.uploads.file_id("w1", SHA) == "file-1"
    [record] = caplog.records
    assert record.levelname == "WARNING"
    with closing(sqlite3.connect(folder / FILE_NAME)) as database:
        tables = database.execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("uploads",)]


async def test_a_table_that_is_gone_is_a_warning_and_not_a_failed_call(
    journal: Journal, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await journal.uploads.note("w1", SHA, "file-1")
    with closing(sqlite3.connect(folder / FILE_NAME)) as database:
        database.execute("DROP TABLE uploads")
    assert await journal.uploads.note("w1", SHA, "file-2") == "file-2"
    assert await journal.uploads.file_id("w1", SHA) is None
    assert "The journal cannot be used" in caplog.text


async def test_a_database_that_another_process_holds_is_a_warning_for_what_is_only_a_help(
    journal: Journal,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.05)
    await journal.uploads.file_id("w1", SHA)
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await journal.uploads.note("w1", SHA, "file-1") == "file-1"
    assert "The journal cannot be used: database is locked" in caplog.text
    assert journal.problem is None
    assert await journal.uploads.note("w1", SHA, "file-2") == "file-2"


async def test_a_submission_that_cannot_be_written_down_is_an_error(
    journal: Journal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.05)
    await journal.uploads.file_id("w1", SHA)
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            await confirm_run(journal, {})


async def test_a_newer_database_is_left_untouched_and_the_journal_lives_in_memory(
    make_journal: MakeJournal, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = make_journal()
    await first.uploads.note("w1", SHA, "file-1")
    first.close()
    with closing(sqlite3.connect(folder / FILE_NAME)) as database, database:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    content = (folder / FILE_NAME).read_bytes()
    second = make_journal()
    assert await second.uploads.file_id("w1", SHA) is None
    await second.uploads.note("w1", SHA, "file-2")
    assert await second.uploads.file_id("w1", SHA) == "file-2"
    assert (folder / FILE_NAME).read_bytes() == content
    [record] = caplog.records
    assert (record.levelname, "newer layer-mcp" in record.message) == ("WARNING", True)


async def test_facts_that_are_noted_again_leave_the_folder(journal: Journal) -> None:
    await journal.runs.note_folder("run-1", Path("/out"))
    await confirm_run(journal, {"prompt": "x"})
    assert await journal.runs.record("run-1") == RunRecord(
        {"prompt": "x"}, Path("/out"), is_open=True
    )


@pytest.mark.parametrize("place", ["relative", "/a\0b"])
async def test_a_folder_that_cannot_be_found_is_no_failed_call(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    journal = new_journal(partial(state_folder, Settings(state_dir=place)), API)
    await confirm_run(journal, {})
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    journal.close()


@pytest.mark.parametrize("facts", ["{", "[1]", "7"])
async def test_facts_that_cannot_be_read_are_none(
    facts: str, make_journal: MakeJournal, folder: Path
) -> None:
    first = make_journal()
    await confirm_run(first, {"prompt": "x"})
    first.close()
    with closing(sqlite3.connect(folder / FILE_NAME)) as database, database:
        database.execute("UPDATE runs SET facts = ?", (facts,))
    assert await make_journal().runs.record("run-1") == RunRecord({}, is_open=True)


async def test_a_folder_whose_name_is_no_text_is_a_warning(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    await journal.runs.note_folder("run-1", Path("/out/\udcff"))
    assert await journal.runs.record("run-1") is None
    assert "The journal cannot be used" in caplog.text


async def test_no_token_is_in_the_file(
    journal: Journal, sandbox: RunningSandbox, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(png("red"))
    settings = Settings(input_dirs=(str(tmp_path),))
    async with LayerClient(sandbox.token, api_url=sandbox.api_url) as layer:
        uploads = Uploads(settings, layer, journal)
        [file] = await uploads.upload(["a.png"], sandbox.workspace_id, total_seconds=10)
    await confirm_run(journal, {"prompt": "x"})
    kept = b"".join(part.read_bytes() for part in folder.rglob("*") if part.is_file())
    assert file.sha256.encode() in kept
    assert sandbox.token.encode() not in kept


async def test_a_journal_that_can_be_used_has_no_problem(journal: Journal) -> None:
    await journal.uploads.note("w1", SHA, "file-1")
    assert journal.problem is None


async def test_a_folder_that_cannot_be_used_is_named_as_the_problem(
    journal: Journal, folder: Path
) -> None:
    folder.parent.parent.mkdir(exist_ok=True)
    folder.parent.write_text("a file in the way")
    await journal.uploads.note("w1", SHA, "file-1")
    assert str(folder) in (journal.problem or "")


async def test_a_damaged_file_is_named_as_the_problem(journal: Journal, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / FILE_NAME).write_bytes(b"not a database" * 1000)
    await journal.uploads.note("w1", SHA, "file-1")
    assert "file is not a database" in (journal.problem or "")


async def test_a_newer_version_is_named_as_the_problem(journal: Journal, folder: Path) -> None:
    folder.mkdir(parents=True)
    with closing(sqlite3.connect(folder / FILE_NAME)) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    await journal.uploads.note("w1", SHA, "file-1")
    assert "newer layer-mcp" in (journal.problem or "")


async def test_a_journal_that_is_meant_to_live_in_memory_has_no_problem() -> None:
    journal = new_journal(lambda: None, API)
    await journal.uploads.note("w1", SHA, "file-1")
    assert journal.problem is None
    journal.close()


async def test_uploads_outlive_the_change_from_the_first_version(migrated: Journal) -> None:
    assert await migrated.uploads.file_id("w", "sha") == "file-1"


async def test_facts_and_folders_outlive_the_change_from_the_first_version(
    migrated: Journal,
) -> None:
    records = [await migrated.runs.record(f"run-{number}") for number in (1, 2, 3)]
    assert records == [
        RunRecord(OLD_FACTS, Path("/out"), is_open=True),
        RunRecord(OLD_WORKFLOW_FACTS, is_open=True),
        RunRecord({}, Path("/elsewhere"), is_known=False),
    ]


async def test_the_folder_of_a_run_outlives_the_change_although_its_facts_are_unreadable(
    migrated: Journal,
) -> None:
    assert await migrated.runs.record("run-4") == RunRecord({}, Path("/damaged"), is_known=False)


async def test_runs_of_the_first_version_are_listed_with_what_is_known_of_them(
    migrated: Journal,
) -> None:
    [inference, workflow] = await migrated.runs.listed(RunFilter(), 10)
    assert (inference.kind, inference.subject_id, inference.run_id) == ("inference", "m", "run-1")
    assert inference.created_at == datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert inference.estimated_price_creative_units == 1.5
    assert inference.folder == Path("/out")
    assert (workflow.kind, workflow.subject_id, workflow.run_id) == ("workflow", "flow", "run-2")
    assert {inference.delivery, workflow.delivery} == {"confirmed"}


def test_several_processes_bring_a_first_version_up_to_date_once(
    first_version: Path, tmp_path: Path
) -> None:
    assert together(tmp_path, READER) == ["file-1 None\n"] * PROCESSES
    with closing(sqlite3.connect(first_version)) as database:
        runs = database.execute("SELECT run_id FROM runs ORDER BY run_id").fetchall()
        [version] = database.execute("PRAGMA user_version").fetchone()
    assert runs == [("run-1",), ("run-2",)]
    assert version == SCHEMA_VERSION


async def test_a_journal_whose_folder_was_deleted_is_begun_anew_and_shared_again(
    make_journal: MakeJournal, folder: Path
) -> None:
    first, second = make_journal(), make_journal()
    for journal in (first, second):
        await journal.uploads.note("w1", SHA, "file-1")
    shutil.rmtree(folder)
    await first.uploads.note("w1", SHA, "file-2")
    assert await second.uploads.file_id("w1", SHA) == "file-2"
    assert (first.problem, second.problem) == (None, None)


async def test_a_journal_whose_folder_was_deleted_tells_servers_apart_again(
    make_journal: MakeJournal, folder: Path
) -> None:
    first, second = make_journal(), make_journal()
    for journal in (first, second):
        await journal.uploads.note("w1", SHA, "file-1")
    shutil.rmtree(folder)
    intent = Intent("inference", "w1", "model", "fingerprint", {})
    [reservation] = await first.runs.reserve([intent], lambda _: None)
    [entry] = await second.runs.listed(RunFilter(), 10)
    assert entry == reservation.entry
