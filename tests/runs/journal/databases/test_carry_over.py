"""A journal of an earlier version: everything in it is there in the new one."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from layer_mcp.api.models import InferenceRequest, Output
from layer_mcp.runs.journal import Journal, account_of, find_account
from layer_mcp.runs.journal.databases.liveness import ProcessLock
from layer_mcp.runs.journal.databases.schema import SCHEMA_VERSION, create_or_carry_over
from layer_mcp.runs.journal.databases.sqlite import FILE_NAME, SqliteDatabase
from layer_mcp.runs.types.filters import RunFilter
from layer_mcp.runs.types.request import RunRequest
from layer_mcp.runs.types.run import Run, RunError

from ....support.journal_process import TOGETHER, start_together
from ....support.journal_v2 import OLD_ACCOUNT, old_run, write_journal_v2
from ....support.journal_v3 import write_journal_v3
from ....support.journal_v4 import add_run_v4, write_journal_v4
from ....support.recorded_runs import (
    API,
    MANY_RUNS,
    OTHER_API,
    Clock,
    MakeJournal,
    active_runs,
    ended,
    keys,
    reserve,
    sending_run,
)
from ....support.storages import SqliteStorage

pytestmark = pytest.mark.anyio

NEW_ACCOUNT = f"{API}#{OLD_ACCOUNT}"
MODEL_ID = "11111111-0000-4000-8000-000000000001"
# The fingerprint from version 2 for this request, which has to find its run.
REQUEST = RunRequest.inference(
    InferenceRequest(model_id=MODEL_ID, prompt="a red potion", width=64), "w1", {}
)
OLD_FINGERPRINT = "0baeca0bd5e52b3bba33d08fd9fa01bb756336f3c70ca8a608bdbd35c7579f7c"
START = {
    "created_at": "2026-01-01T00:00:00Z",
    "session_id": "session-1",
    "normalized": {"width": 128},
    "changed": ["width asked 64, runs 128"],
}
FACTS = {
    "workspace_id": "w1",
    "model_id": MODEL_ID,
    "prompt": "a red potion",
    "asked": REQUEST.body,
    "estimated_price_creative_units": 2.0,
    **START,
}
OUTPUTS = [{"file_id": "FILE-1", "url": "https://media.test/a.png", "width": 64}]
ERROR = {"code": "RATE_LIMITED", "message": "Too many."}


@pytest.fixture
def storage(state_folder: Path) -> SqliteStorage:
    return SqliteStorage(state_folder)


@pytest.fixture
def journal(make_journal: MakeJournal) -> Journal:
    """The journal of the account that wrote the old one."""
    return make_journal(API, NEW_ACCOUNT)


async def carried_over(journal: Journal, folder: Path, run: dict[str, Any]) -> Run:
    """The one run of an old journal as the new one has it."""
    write_journal_v2(folder, [run])
    [found] = await journal.list_runs(RunFilter(), 2)
    return found


@pytest.mark.parametrize(
    ("delivery", "status", "has_ended", "state"),
    [
        ("confirmed", "in_progress", 0, "in_progress"),
        ("confirmed", "pending", 0, "in_progress"),
        ("confirmed", "running", 0, "in_progress"),
        ("confirmed", "processing", 0, "in_progress"),
        ("confirmed", None, 0, "in_progress"),
        ("confirmed", "complete", 0, "in_progress"),
        ("confirmed", "failed", 0, "in_progress"),
        ("confirmed", "complete", 1, "complete"),
        ("confirmed", "failed", 1, "failed"),
        ("confirmed", "cancelled", 1, "cancelled"),
        ("confirmed", "deleted", 1, "deleted"),
        ("confirmed", "not_found", 1, "not_found"),
        ("confirmed", "success", 1, "complete"),
        ("confirmed", "failure", 1, "failed"),
        ("unknown", None, 0, "unknown"),
        ("not_sent", None, 1, "not_sent"),
    ],
)
async def test_every_old_state_has_a_new_one(
    delivery: str,
    status: str | None,
    has_ended: int,
    state: str,
    journal: Journal,
    state_folder: Path,
) -> None:
    row = old_run("a", delivery, status=status, has_ended=has_ended)
    assert (await carried_over(journal, state_folder, row)).state == state


@pytest.mark.parametrize(("delivery", "state"), [("intended", "not_sent"), ("sending", "unknown")])
async def test_settles_unanswered_runs_of_an_ended_process(
    delivery: str, state: str, journal: Journal, state_folder: Path
) -> None:
    run = await carried_over(journal, state_folder, old_run("a", delivery))
    assert run.state == state


@pytest.mark.parametrize(("delivery", "state"), [("intended", "queued"), ("sending", "sending")])
async def test_an_unanswered_run_of_a_live_process_is_still_being_sent(
    delivery: str, state: str, journal: Journal, state_folder: Path
) -> None:
    state_folder.mkdir(parents=True)
    living = ProcessLock()
    living.acquire(state_folder)
    row = old_run("a", delivery, owner_id=living.process_id)
    run = await carried_over(journal, state_folder, row)
    living.release()
    assert run.state == state


async def test_a_run_keeps_what_was_known_of_it(journal: Journal, state_folder: Path) -> None:
    row = old_run(
        "a",
        subject_id=MODEL_ID,
        batch_id="batch-1",
        status="complete",
        has_ended=1,
        actual_price=1.5,
        facts=FACTS,
        outcome={"error": None, "outputs": OUTPUTS},
    )
    run = await carried_over(journal, state_folder, row)
    assert (run.key, run.run_id, run.batch_id) == ("a", "run-a", "batch-1")
    assert (run.created_at.timestamp(), run.start) == (1_000_000.0, START)
    assert (run.estimated_price_creative_units, run.actual_price_creative_units) == (2.0, 1.5)
    assert run.outputs == tuple(Output.model_validate(output) for output in OUTPUTS)
    assert run.facts() == FACTS


async def test_the_request_of_an_inference_is_the_one_that_was_sent(
    journal: Journal, state_folder: Path
) -> None:
    row = old_run("a", subject_id=MODEL_ID, facts=FACTS)
    request = (await carried_over(journal, state_folder, row)).request
    assert (request.kind, request.subject_id, request.workspace_id) == ("inference", MODEL_ID, "w1")
    assert (request.body, request.output_count) == (REQUEST.body, 4)


async def test_the_request_of_a_workflow_has_its_inputs(
    journal: Journal, state_folder: Path
) -> None:
    facts = {"workspace_id": "w1", "workflow_id": "flow", "asked": {"count": 2}}
    row = old_run("a", kind="workflow", subject_id="flow", facts=facts)
    request = (await carried_over(journal, state_folder, row)).request
    assert (request.kind, request.subject_id, request.inputs) == ("workflow", "flow", {"count": 2})
    assert request.facts() == facts


@pytest.mark.parametrize("delivery", ["not_sent", "unknown"])
async def test_a_failed_submission_still_says_why(
    delivery: str, journal: Journal, state_folder: Path
) -> None:
    row = old_run("a", delivery, outcome={"error": ERROR, "outputs": []})
    run = await carried_over(journal, state_folder, row)
    assert run.error == RunError(**ERROR)


async def test_an_output_leads_to_the_run_that_made_it(
    journal: Journal, state_folder: Path
) -> None:
    row = old_run(
        "a", status="complete", has_ended=1, outcome={"error": None, "outputs": [*OUTPUTS, {}]}
    )
    run = await carried_over(journal, state_folder, row)
    assert await journal.find_maker("file-1") == run


async def test_repeating_a_call_finds_its_run(journal: Journal, state_folder: Path) -> None:
    row = old_run("a", subject_id=MODEL_ID, fingerprint=OLD_FINGERPRINT, facts=FACTS)
    run = await carried_over(journal, state_folder, row)
    assert await journal.find_duplicate(REQUEST) == run
    assert not (await reserve(journal, REQUEST)).created


async def test_the_newest_of_equal_runs_is_still_the_newest(
    journal: Journal, state_folder: Path
) -> None:
    common: dict[str, Any] = {"fingerprint": OLD_FINGERPRINT, "status": "complete", "has_ended": 1}
    # The clock was set back between them.
    rows = [
        old_run("b", created_at=1_000_000.0, **common),
        old_run("a", created_at=900_000.0, **common),
    ]
    write_journal_v2(state_folder, rows)
    assert await journal.find_duplicate(REQUEST) is None
    assert (await reserve(journal, REQUEST)).created


async def test_prices_still_count_toward_the_daily_limit(
    journal: Journal, state_folder: Path, clock: Clock
) -> None:
    rows = [
        old_run("a", created_at=clock.now - 10),
        old_run("b", status="complete", has_ended=1, counted_price=1.5),
        old_run("c", "not_sent", counted_price=0),
        old_run("d", created_at=clock.now - 25 * 60 * 60),
    ]
    write_journal_v2(state_folder, rows)
    assert (await journal.spending()).day == 3.5


async def test_equal_runs_of_a_batch_that_are_being_sent_are_all_kept(
    journal: Journal, state_folder: Path
) -> None:
    rows = [old_run(key, "sending", fingerprint=OLD_FINGERPRINT) for key in "abc"]
    write_journal_v2(state_folder, rows)
    assert sorted(await keys(journal)) == ["a", "b", "c"]


async def test_a_new_run_comes_after_the_old_ones(journal: Journal, state_folder: Path) -> None:
    write_journal_v2(state_folder, [old_run("a"), old_run("b")])
    run = await sending_run(journal, REQUEST)
    assert set(await keys(journal)) == {"a", "b", run.key}


async def test_uploads_are_still_known(journal: Journal, state_folder: Path) -> None:
    uploads = [(API, "w1", "sha", "file-1"), (OTHER_API, "w1", "other", "file-2")]
    write_journal_v2(state_folder, [old_run("a")], uploads=uploads)
    assert await journal.files.find_upload("w1", "sha") == "file-1"
    assert await journal.files.find_upload("w1", "other") is None


async def test_folders_are_still_known(journal: Journal, state_folder: Path) -> None:
    saved = [(API, "run-a", "/out"), (API, "run-from-elsewhere", "/elsewhere")]
    write_journal_v2(state_folder, [old_run("a")], saved=saved)
    [run] = await journal.list_runs(RunFilter(), 2)
    assert run.folder == Path("/out")
    assert await journal.files.find_folder("run-from-elsewhere") == Path("/elsewhere")


async def test_a_folder_belongs_to_the_account_of_its_run(
    make_journal: MakeJournal, state_folder: Path
) -> None:
    rows = [old_run("a"), old_run("b", account="another")]
    write_journal_v2(state_folder, rows, saved=[(API, "run-a", "/out")])
    journal, elsewhere = make_journal(API, NEW_ACCOUNT), make_journal(API, f"{API}#another")
    assert await journal.files.find_folder("run-a") == Path("/out")
    assert await elsewhere.files.find_folder("run-a") is None


@pytest.mark.parametrize("text", ["{", "[1]", "7", '{"asked": 7, "outputs": 7}'])
@pytest.mark.parametrize("column", ["facts", "outcome"])
async def test_omits_unreadable_parts_of_an_old_row(
    column: str, text: str, journal: Journal, state_folder: Path
) -> None:
    run = await carried_over(journal, state_folder, old_run("a", **{column: text}))
    assert (run.key, run.run_id, run.state) == ("a", "run-a", "in_progress")
    assert (run.request.body, run.outputs, run.error) == ({}, (), None)


async def test_each_account_has_its_own_runs(make_journal: MakeJournal, state_folder: Path) -> None:
    rows = [old_run("a"), old_run("b", account="another"), old_run("c", api_url=OTHER_API)]
    write_journal_v2(state_folder, rows)
    accounts = [NEW_ACCOUNT, f"{API}#another", f"{OTHER_API}#{OLD_ACCOUNT}"]
    found = [await keys(make_journal(API, account)) for account in accounts]
    assert found == [["a"], ["b"], ["c"]]


async def test_the_account_of_a_token_is_still_the_same() -> None:
    assert account_of(API, "token-of-nothing") == f"{API}#9c54d22aaf80d3d7"


async def test_the_old_tables_are_removed(journal: Journal, state_folder: Path) -> None:
    write_journal_v2(state_folder, [old_run("a")])
    await keys(journal)
    assert tables(state_folder) == {"runs", "outputs", "folders", "uploads", "tokens"}
    assert version(state_folder) == SCHEMA_VERSION


@pytest.mark.parametrize("spelling", [API, f"{API}//", API.replace("https", "HTTPS")])
async def test_finds_a_version_3_journal_by_every_spelling_of_its_url(
    spelling: str, make_journal: MakeJournal, state_folder: Path
) -> None:
    written = {"api_url": spelling, "account": f"{spelling}#{OLD_ACCOUNT}"}
    write_journal_v3(state_folder, **written, uploads=[("sha", "file-1"), ("same", "file-1")])
    journal = make_journal(API, NEW_ACCOUNT)
    [run] = await journal.list_runs(RunFilter(), 10)
    assert (run.run_id, run.folder) == ("run-a", Path("/out"))
    assert await journal.find_maker("file-a") == run
    assert await journal.files.find_upload("w1", "sha") == "file-1"
    assert version(state_folder) == SCHEMA_VERSION


async def test_an_old_token_keeps_its_account_in_a_journal_of_version_3(
    make_journal: MakeJournal, state_folder: Path
) -> None:
    async def nobody_asks() -> list[str]:
        raise AssertionError

    account = account_of(API, "token-of-nothing")
    write_journal_v3(state_folder, api_url=API, account=account)
    database = SqliteDatabase(lambda: state_folder)
    with closing(database):
        assert await find_account(database, API, "token-of-nothing", nobody_asks) == account


async def test_a_journal_of_version_4_keeps_everything(
    journal: Journal, state_folder: Path
) -> None:
    write_journal_v4(state_folder, api_url=API, account=NEW_ACCOUNT)
    [run] = await journal.list_runs(RunFilter(), 10)
    assert (run.run_id, run.folder) == ("run-a", Path("/out"))
    assert await journal.find_maker("file-a") == run
    assert await journal.files.find_upload("w1", "sha") == "file-1"
    assert (await journal.spending()).day == 7.0
    assert version(state_folder) == SCHEMA_VERSION


@pytest.mark.parametrize("write", [write_journal_v3, write_journal_v4])
async def test_the_runs_of_an_old_journal_belong_to_the_layer_account_of_their_account(
    write: Callable[..., None], journal: Journal, state_folder: Path
) -> None:
    write(state_folder, api_url=f"{API}//", account=f"{API}//#{OLD_ACCOUNT}")
    await keys(journal)
    with closing(sqlite3.connect(state_folder / FILE_NAME)) as database:
        found = database.execute("SELECT account, layer_account FROM runs").fetchall()
    assert found == [(NEW_ACCOUNT, NEW_ACCOUNT)]


async def test_a_run_of_a_server_that_still_runs_version_4_is_counted_and_finished(
    journal: Journal, state_folder: Path
) -> None:
    write_journal_v4(state_folder, api_url=API, account=NEW_ACCOUNT)
    await keys(journal)
    with closing(sqlite3.connect(state_folder / FILE_NAME)) as database, database:
        add_run_v4(database, "b", api_url=API, account=NEW_ACCOUNT, state="in_progress")
    [run] = await active_runs(journal)
    await journal.mark_ended(ended(run))
    assert (await journal.reload(run)).state == "complete"


def test_a_carried_over_journal_has_the_tables_and_indexes_of_a_new_one(
    tmp_path: Path,
) -> None:
    folders = [tmp_path / name for name in ("new", "v2", "v3", "v4")]
    folders[0].mkdir()
    write_journal_v2(folders[1], [old_run("a")])
    write_journal_v3(folders[2], api_url=API, account=NEW_ACCOUNT)
    write_journal_v4(folders[3], api_url=API, account=NEW_ACCOUNT)
    new, *carried_over = [schema_of(folder) for folder in folders]
    assert carried_over == [new] * 3


def schema_of(folder: Path) -> set[tuple[str, ...]]:
    """Return the columns and the indexes of a journal that the newest version opened."""
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as database:
        database.row_factory = sqlite3.Row
        [old] = database.execute("PRAGMA user_version").fetchone()
        create_or_carry_over(database, old)
        indexes = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        columns = (
            "SELECT tables.name, columns.name, columns.type FROM sqlite_master AS tables, "
            "pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'"
        )
        rows = [row for sql in (indexes, columns) for row in database.execute(sql)]
        return {tuple(" ".join(value.split()) for value in row) for row in rows}


def tables(folder: Path) -> set[str]:
    with closing(sqlite3.connect(folder / FILE_NAME)) as database:
        found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {name for [name] in found}


def version(folder: Path) -> int:
    with closing(sqlite3.connect(folder / FILE_NAME)) as database:
        [found] = database.execute("PRAGMA user_version").fetchone()
    return found


@pytest.mark.slow
@pytest.mark.process
def test_processes_that_start_together_carry_a_journal_over_once(state_folder: Path) -> None:
    rows = [old_run(f"{number}", account="account") for number in range(50)]
    write_journal_v2(state_folder, rows)
    printed = start_together("list", SqliteStorage(state_folder))
    expected = {row["local_id"] for row in rows}
    assert [set(line.split()[:-1]) for line in printed] == [expected] * TOGETHER
    assert [line.split()[-1] for line in printed] == ["None"] * TOGETHER
    assert version(state_folder) == SCHEMA_VERSION


async def test_an_unreleased_version_is_left_untouched_and_named(
    state_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_journal_v2(state_folder, [old_run("a")])
    with closing(sqlite3.connect(path)) as old, old:
        old.execute("PRAGMA user_version = 1")
    content = path.read_bytes()
    with closing(SqliteDatabase(lambda: state_folder)) as database:
        journal = Journal(database, api_url=API, account=NEW_ACCOUNT, is_required=False)
        assert await journal.list_runs(RunFilter(), MANY_RUNS) == []
        assert "unreleased version of layer-mcp wrote it" in (journal.problem or "")
        assert str(state_folder) in (journal.problem or "")
    assert path.read_bytes() == content
    assert [record.levelname for record in caplog.records] == ["WARNING"]
