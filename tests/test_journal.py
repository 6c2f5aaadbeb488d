"""What outlives the process, and what happens when it cannot be kept."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from layer_mcp import LayerClient, Settings
from layer_mcp.folders import state_folder
from layer_mcp.journal import FILE_NAME, Journal, RunRecord
from layer_mcp.sandbox import RunningSandbox
from layer_mcp.server.uploads import Uploads

from .sandbox_calls import png

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
from layer_mcp.folders import state_folder
from layer_mcp.journal import Journal
folder, name = Path(sys.argv[1]), sys.argv[2]
async def write():
    journal = Journal(lambda: folder / "state", "u")
    (folder / f"ready-{name}").touch()
    while not (folder / "go").exists():
        time.sleep(0.001)
    for number in range(int(sys.argv[3])):
        await journal.note_upload("w", f"{name}-{number}", f"file-{name}-{number}")
    journal.close()
anyio.run(write)
"""

MakeJournal = Callable[[], Journal]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "layer-mcp"


@pytest.fixture
def new_journal(folder: Path) -> Iterator[MakeJournal]:
    """Journals on one folder, as several servers have them."""
    made: list[Journal] = []

    def make() -> Journal:
        made.append(Journal(lambda: folder, API))
        return made[-1]

    yield make
    for journal in made:
        journal.close()


@pytest.fixture
def journal(new_journal: MakeJournal) -> Journal:
    return new_journal()


async def test_an_upload_is_known_to_the_next_server(new_journal: MakeJournal) -> None:
    first = new_journal()
    await first.note_upload("w1", SHA, "file-1")
    first.close()
    assert await new_journal().uploaded_file_id("w1", SHA) == "file-1"


async def test_an_upload_is_known_to_a_server_beside_it(new_journal: MakeJournal) -> None:
    first, second = new_journal(), new_journal()
    assert await second.uploaded_file_id("w1", SHA) is None
    await first.note_upload("w1", SHA, "file-1")
    assert await second.uploaded_file_id("w1", SHA) == "file-1"


async def test_an_upload_belongs_to_its_workspace(journal: Journal) -> None:
    await journal.note_upload("w1", SHA, "file-1")
    assert await journal.uploaded_file_id("w2", SHA) is None


async def test_an_upload_belongs_to_its_api_address(journal: Journal, folder: Path) -> None:
    await journal.note_upload("w1", SHA, "file-1")
    other = Journal(lambda: folder, "http://127.0.0.1:1/api")
    assert await other.uploaded_file_id("w1", SHA) is None
    other.close()


async def test_an_upload_that_is_noted_again_is_replaced(journal: Journal) -> None:
    await journal.note_upload("w1", SHA, "file-1")
    await journal.note_upload("w1", SHA, "file-2")
    assert await journal.uploaded_file_id("w1", SHA) == "file-2"


async def test_an_upload_can_be_forgotten(journal: Journal) -> None:
    await journal.note_upload("w1", SHA, "file-1")
    await journal.forget_upload("w1", SHA)
    assert await journal.uploaded_file_id("w1", SHA) is None


async def test_a_run_keeps_its_facts_and_its_folder(new_journal: MakeJournal) -> None:
    journal = new_journal()
    facts = {"prompt": "ein grüner Trank", "asked": {"width": 64}}
    await journal.note_run("run-1", facts)
    await journal.note_folder("run-1", Path("/out"))
    assert await new_journal().run("run-1") == RunRecord(facts, Path("/out"))


async def test_a_run_from_elsewhere_keeps_its_folder_only(journal: Journal) -> None:
    await journal.note_folder("run-1", Path("/out"))
    assert await journal.run("run-1") == RunRecord({}, Path("/out"))


async def test_an_unknown_run_is_none(journal: Journal) -> None:
    assert await journal.run("run-1") is None


async def test_a_closed_journal_opens_again(journal: Journal) -> None:
    await journal.note_upload("w1", SHA, "file-1")
    journal.close()
    assert await journal.uploaded_file_id("w1", SHA) == "file-1"


async def test_nothing_is_made_before_the_first_use(journal: Journal, folder: Path) -> None:
    journal.close()
    assert not folder.parent.exists()


def test_several_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(number), str(NOTES)])
        for number in range(PROCESSES)
    ]
    while len(list(tmp_path.glob("ready-*"))) < PROCESSES:
        assert all(writer.poll() is None for writer in writers)
    (tmp_path / "go").touch()
    assert [writer.wait(60) for writer in writers] == [0] * PROCESSES
    with closing(sqlite3.connect(tmp_path / "state" / FILE_NAME)) as database:
        assert database.execute("SELECT count(*) FROM uploads").fetchone() == (PROCESSES * NOTES,)


@pytest.mark.skipif(os.name != "posix", reason="permissions of another kind")
async def test_the_folder_is_the_users_own(journal: Journal, folder: Path) -> None:
    await journal.note_upload("w1", SHA, "file-1")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.skipif(os.name != "posix", reason="permissions of another kind")
async def test_the_files_are_the_users_own_in_a_folder_that_was_there_before(
    journal: Journal, folder: Path
) -> None:
    folder.mkdir(parents=True, mode=0o755)
    await journal.note_upload("w1", SHA, "file-1")
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


async def test_an_unusable_folder_is_a_warning_and_the_journal_lives_in_memory(
    journal: Journal, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.parent.parent.mkdir(exist_ok=True)
    folder.parent.write_text("a file in the way")
    await journal.note_upload("w1", SHA, "file-1")
    assert await journal.uploaded_file_id("w1", SHA) == "file-1"
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert str(folder) in record.message


async def test_without_a_folder_it_lives_in_memory(caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal(lambda: None, API)
    await journal.note_upload("w1", SHA, "file-1")
    assert await journal.uploaded_file_id("w1", SHA) == "file-1"
    assert caplog.records == []
    journal.close()


async def test_a_file_that_is_no_database_stays_as_it_is_and_the_journal_lives_in_memory(
    journal: Journal, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir(parents=True)
    (folder / FILE_NAME).write_bytes(b"not a database" * 1000)
    await journal.note_upload("w1", SHA, "file-1")
    assert await journal.uploaded_file_id("w1", SHA) == "file-1"
    assert (folder / FILE_NAME).read_bytes() == b"not a database" * 1000
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_a_database_that_is_damaged_inside_is_left_for_the_memory(
    new_journal: MakeJournal, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = new_journal()
    for number in range(200):
        await first.note_upload("w1", f"{number:064}", "file-1")
    first.close()
    content = (folder / FILE_NAME).read_bytes()
    # The first page, which names the tables, is whole.
    (folder / FILE_NAME).write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    second = new_journal()
    await second.note_upload("w1", SHA, "file-2")
    assert await second.uploaded_file_id("w1", SHA) == "file-2"
    assert "Nothing is kept between runs" in caplog.text


async def test_a_database_with_other_tables_is_a_warning_and_not_a_failed_call(
    journal: Journal, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir(parents=True)
    with closing(sqlite3.connect(folder / FILE_NAME)) as database:
        database.execute("CREATE TABLE uploads (other TEXT)")
    await journal.note_upload("w1", SHA, "file-1")
    assert await journal.uploaded_file_id("w1", SHA) is None
    assert "The journal cannot be used" in caplog.text


async def test_a_newer_database_is_left_untouched_and_the_journal_lives_in_memory(
    new_journal: MakeJournal, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = new_journal()
    await first.note_upload("w1", SHA, "file-1")
    first.close()
    with closing(sqlite3.connect(folder / FILE_NAME)) as database, database:
        database.execute("PRAGMA user_version = 2")
    content = (folder / FILE_NAME).read_bytes()
    second = new_journal()
    assert await second.uploaded_file_id("w1", SHA) is None
    await second.note_upload("w1", SHA, "file-2")
    assert await second.uploaded_file_id("w1", SHA) == "file-2"
    assert (folder / FILE_NAME).read_bytes() == content
    [record] = caplog.records
    assert (record.levelname, "newer layer-mcp" in record.message) == ("WARNING", True)


async def test_facts_that_are_noted_again_leave_the_folder(journal: Journal) -> None:
    await journal.note_folder("run-1", Path("/out"))
    await journal.note_run("run-1", {"prompt": "x"})
    assert await journal.run("run-1") == RunRecord({"prompt": "x"}, Path("/out"))


@pytest.mark.parametrize("place", ["relative", "/a\0b"])
async def test_a_folder_that_cannot_be_found_is_no_failed_call(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    journal = Journal(partial(state_folder, Settings(state_dir=place)), API)
    await journal.note_run("run-1", {})
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    journal.close()


@pytest.mark.parametrize("facts", ["{", "[1]", "7"])
async def test_facts_that_cannot_be_read_are_none(
    facts: str, new_journal: MakeJournal, folder: Path
) -> None:
    first = new_journal()
    await first.note_run("run-1", {"prompt": "x"})
    first.close()
    with closing(sqlite3.connect(folder / FILE_NAME)) as database, database:
        database.execute("UPDATE runs SET facts = ?", (facts,))
    assert await new_journal().run("run-1") == RunRecord({})


async def test_a_folder_whose_name_is_no_text_is_a_warning(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    await journal.note_folder("run-1", Path("/out/\udcff"))
    assert await journal.run("run-1") is None
    assert "The journal cannot be used" in caplog.text


async def test_no_token_is_in_the_file(
    journal: Journal, sandbox: RunningSandbox, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(png("red"))
    settings = Settings(input_dirs=(str(tmp_path),))
    async with LayerClient(sandbox.token, api_url=sandbox.api_url) as layer:
        uploads = Uploads(settings, layer, journal)
        [file] = await uploads.upload(["a.png"], sandbox.workspace_id, total_seconds=10)
    kept = b"".join(part.read_bytes() for part in folder.iterdir())
    assert file.sha256.encode() in kept
    assert sandbox.token.encode() not in kept
