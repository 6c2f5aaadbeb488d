"""What the journal remembers about files: uploads by content, outputs by run, and folders."""

from pathlib import Path

import pytest

from layer_mcp.api.models import Output
from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.outcome import Outcome

from ...support.recorded_runs import (
    API,
    OTHER_API,
    MakeJournal,
    confirmed,
    ended,
    keys,
    running_run,
    sending_run,
)
from ...support.storages import Storage

pytestmark = pytest.mark.anyio

SHA = "ab" * 32
FILE_ID = "1234ABCD-0000-4000-8000-0000000000f1"
ELSEWHERE = pytest.mark.parametrize(
    ("api_url", "account"), [(OTHER_API, f"{OTHER_API}#account"), (API, f"{API}#another")]
)


async def test_another_process_knows_an_upload(make_journal: MakeJournal) -> None:
    first, second = make_journal(), make_journal()
    assert await second.files.find_upload("w1", SHA) is None
    await first.files.note_upload("w1", SHA, "file-1")
    assert await second.files.find_upload("w1", SHA) == "file-1"


async def test_an_upload_belongs_to_its_workspace(journal: Journal) -> None:
    await journal.files.note_upload("w1", SHA, "file-1")
    assert await journal.files.find_upload("w2", SHA) is None


@ELSEWHERE
async def test_an_upload_belongs_to_its_account(
    api_url: str, account: str, make_journal: MakeJournal
) -> None:
    elsewhere, journal = make_journal(api_url, account), make_journal()
    await journal.files.note_upload("w1", SHA, "file-1")
    assert await elsewhere.files.find_upload("w1", SHA) is None
    await elsewhere.files.note_upload("w1", SHA, "file-2")
    await elsewhere.files.forget_upload("w1", SHA)
    assert await journal.files.find_upload("w1", SHA) == "file-1"


async def test_the_first_upload_of_a_content_counts(make_journal: MakeJournal) -> None:
    first, second = make_journal(), make_journal()
    assert await first.files.note_upload("w1", SHA, "file-1") == "file-1"
    assert await second.files.note_upload("w1", SHA, "file-2") == "file-1"
    assert await first.files.find_upload("w1", SHA) == "file-1"


async def test_an_upload_can_be_forgotten(journal: Journal) -> None:
    await journal.files.note_upload("w1", SHA, "file-1")
    await journal.files.forget_upload("w1", SHA)
    assert await journal.files.find_upload("w1", SHA) is None


async def test_forgotten_content_gets_the_id_of_its_next_upload(journal: Journal) -> None:
    await journal.files.note_upload("w1", SHA, "file-1")
    await journal.files.forget_upload("w1", SHA)
    assert await journal.files.note_upload("w1", SHA, "file-2") == "file-2"


async def test_the_run_that_made_a_file_is_found_by_its_id(journal: Journal) -> None:
    run = await running_run(journal)
    await journal.mark_ended(ended(run, outputs=(Output(file_id=FILE_ID), Output())))
    assert await journal.find_maker(FILE_ID.lower()) == await journal.reload(run)
    assert await journal.find_maker(FILE_ID.upper()) == await journal.reload(run)


async def test_a_file_that_no_run_made_has_no_maker(journal: Journal) -> None:
    assert await journal.find_maker(FILE_ID) is None


@ELSEWHERE
async def test_the_maker_of_a_file_is_of_the_same_account(
    api_url: str, account: str, make_journal: MakeJournal
) -> None:
    journal = make_journal()
    run = await running_run(journal)
    await journal.mark_ended(ended(run, outputs=(Output(file_id=FILE_ID),)))
    assert await make_journal(api_url, account).find_maker(FILE_ID) is None


async def test_a_run_keeps_the_folder_of_its_files(make_journal: MakeJournal) -> None:
    first, second = make_journal(), make_journal()
    run = await running_run(first)
    await first.files.note_folder(run.key, Path("/out"))
    found = await second.find(run.key)
    assert found is not None
    assert found.folder == Path("/out")


async def test_the_last_folder_counts(journal: Journal) -> None:
    await journal.files.note_folder("run-1", Path("/first"))
    await journal.files.note_folder("run-1", Path("/second"))
    assert await journal.files.find_folder("run-1") == Path("/second")


async def test_the_folder_of_a_run_from_elsewhere_is_remembered(journal: Journal) -> None:
    await journal.files.note_folder("RUN-1", Path("/out"))
    assert await journal.find("run-1") is None
    assert await journal.files.find_folder("run-1") == Path("/out")
    assert await journal.files.find_folder("run-2") is None


async def test_a_folder_is_kept_when_its_run_is_confirmed_later(journal: Journal) -> None:
    await journal.files.note_folder("run-1", Path("/out"))
    run = await sending_run(journal)
    await journal.outcomes.record(Outcome.confirmed(confirmed(run, run_id="run-1")))
    assert (await journal.reload(run)).folder == Path("/out")


@ELSEWHERE
async def test_a_folder_belongs_to_its_account(
    api_url: str, account: str, make_journal: MakeJournal
) -> None:
    await make_journal().files.note_folder("run-1", Path("/out"))
    assert await make_journal(api_url, account).files.find_folder("run-1") is None


async def test_a_folder_whose_name_is_not_text_is_only_a_warning(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    await journal.files.note_folder("run-1", Path("/out/\udcff"))
    assert await journal.files.find_folder("run-1") is None
    assert "The journal can't be used" in caplog.text


async def test_a_table_that_was_removed_is_only_a_warning(
    journal: Journal, storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    await journal.files.note_upload("w1", SHA, "file-1")
    storage.execute("DROP TABLE uploads")
    assert await journal.files.note_upload("w1", SHA, "file-2") == "file-2"
    assert await journal.files.find_upload("w1", SHA) is None
    assert "The journal can't be used" in caplog.text


async def test_a_database_that_another_process_holds_is_only_a_warning(
    make_journal: MakeJournal, impatient: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    await keys(make_journal())
    journal = make_journal()
    with impatient.hold():
        assert await journal.files.note_upload("w1", SHA, "file-1") == "file-1"
    assert "The journal can't be used: " in caplog.text
    assert journal.problem is None
    assert await journal.files.note_upload("w1", SHA, "file-2") == "file-2"
