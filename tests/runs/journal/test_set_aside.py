"""Outcomes that the journal can't record: kept in order, written later, never lost."""

import os
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from layer_mcp.runs.journal import Journal, recorder
from layer_mcp.runs.journal.databases.liveness import FOLDER_NAME
from layer_mcp.runs.journal.databases.sqlite import FILE_NAME
from layer_mcp.runs.journal.outcome import Outcome
from layer_mcp.runs.types.run import Run

from ...support.recorded_runs import (
    ACCOUNT,
    API,
    ERROR,
    REQUEST,
    MakeJournal,
    confirmed,
    queued_run,
    sending_run,
    states,
)
from ...support.storages import AnyDatabase, Storage

pytestmark = pytest.mark.anyio


@pytest.fixture
def ending(database: AnyDatabase) -> Journal:
    """The journal of a process that the test ends."""
    return Journal(database, api_url=API, account=ACCOUNT)


def aside_files(state_folder: Path) -> list[Path]:
    return sorted((state_folder / FOLDER_NAME).glob("*.aside"))


async def test_writes_an_id_as_soon_as_the_journal_is_writable(
    journal: Journal, impatient: Storage
) -> None:
    run = await sending_run(journal)
    outcome = Outcome.confirmed(confirmed(run, run_id="run-1"))
    with impatient.hold():
        assert not await journal.outcomes.record(outcome)
        assert journal.outcomes.has_pending
    assert await journal.outcomes.record_pending() == [outcome]
    assert not journal.outcomes.has_pending
    assert (await journal.reload(run)).run_id == "run-1"


def refused(run: Run) -> Outcome:
    return Outcome.not_sent(run, ERROR)


@pytest.mark.parametrize("outcome_of", [Outcome.requeued, refused])
async def test_drops_a_late_outcome_if_the_run_was_sent_again(
    outcome_of: Callable[[Run], Outcome], journal: Journal, impatient: Storage
) -> None:
    first = await sending_run(journal)
    with impatient.hold():
        assert not await journal.outcomes.record(outcome_of(first))
    assert await journal.mark_sending(first) == 2
    await journal.outcomes.record_pending()
    assert (await journal.reload(first)).state == "sending"


async def test_outcomes_are_written_in_order(
    journal: Journal, impatient: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "FAILING_SECONDS", 0)
    run = await sending_run(journal)
    requeued, answered = Outcome.requeued(run), Outcome.confirmed(confirmed(run, run_id="run-1"))
    with impatient.hold():
        assert not await journal.outcomes.record(requeued)
    assert await journal.outcomes.record(answered)
    assert (await journal.reload(run)).state == "in_progress"


async def test_after_a_failure_outcomes_are_set_aside_without_waiting_for_the_journal(
    ending: Journal,
    database: AnyDatabase,
    make_journal: MakeJournal,
    impatient: Storage,
) -> None:
    other = replace(REQUEST, body={"prompt": "a shield"})
    runs = [await sending_run(ending), await sending_run(ending, other)]
    with impatient.hold():
        assert not await ending.outcomes.record(Outcome.confirmed(confirmed(runs[0])))
    assert not await ending.outcomes.record(Outcome.confirmed(confirmed(runs[1])))
    database.close()
    assert set((await states(make_journal())).values()) == {"in_progress"}


async def test_outcomes_that_arrive_together_are_all_recorded(journal: Journal) -> None:
    requests = [replace(REQUEST, body={"prompt": str(number)}) for number in range(10)]
    runs = [await sending_run(journal, request) for request in requests]
    recorded: list[bool] = []

    async def record(run: Run) -> None:
        recorded.append(await journal.outcomes.record(Outcome.confirmed(confirmed(run))))

    async with anyio.create_task_group() as tasks:
        for run in runs:
            tasks.start_soon(record, run)
    assert recorded == [True] * 10


async def test_the_next_process_knows_the_id_that_could_not_be_written(
    ending: Journal,
    database: AnyDatabase,
    make_journal: MakeJournal,
    impatient: Storage,
    state_folder: Path,
) -> None:
    run = await sending_run(ending)
    with impatient.hold():
        await ending.outcomes.record(Outcome.confirmed(confirmed(run, run_id="run-1", price=7.0)))
        database.close()
    journal = make_journal()
    await journal.spending()
    found = await journal.reload(run)
    assert (found.state, found.run_id) == ("in_progress", "run-1")
    assert found.estimated_price_creative_units == 7.0
    assert len(aside_files(state_folder)) == 1, "only its own file is left"


async def test_the_next_process_knows_all_outcomes_of_several_runs(
    ending: Journal,
    database: AnyDatabase,
    make_journal: MakeJournal,
    impatient: Storage,
) -> None:
    other = replace(REQUEST, body={"prompt": "a shield"})
    runs = [await sending_run(ending), await sending_run(ending, other)]
    with impatient.hold():
        await ending.outcomes.record(Outcome.not_sent(runs[0], ERROR))
        await ending.outcomes.record(Outcome.confirmed(confirmed(runs[1])))
        database.close()
    assert await states(make_journal()) == {"a red potion": "not_sent", "a shield": "in_progress"}


async def test_journals_that_share_a_database_keep_each_other_s_outcomes(
    ending: Journal,
    database: AnyDatabase,
    make_journal: MakeJournal,
    impatient: Storage,
) -> None:
    other = Journal(database, api_url=API, account="other")
    runs = [await sending_run(ending), await sending_run(other)]
    with impatient.hold():
        await ending.outcomes.record(Outcome.confirmed(confirmed(runs[0])))
        await other.outcomes.record(Outcome.confirmed(confirmed(runs[1])))
        database.close()
    for account in (ACCOUNT, "other"):
        found = await states(make_journal(account=account))
        assert found == {"a red potion": "in_progress"}


async def test_a_line_that_was_written_in_part_leaves_an_unknown_outcome(
    ending: Journal,
    database: AnyDatabase,
    make_journal: MakeJournal,
    impatient: Storage,
    state_folder: Path,
) -> None:
    run = await sending_run(ending)
    with impatient.hold():
        await ending.outcomes.record(Outcome.confirmed(confirmed(run)))
        database.close()
    [file] = aside_files(state_folder)
    os.truncate(file, 40)
    assert await states(make_journal()) == {"a red potion": "unknown"}


async def test_an_outcome_is_no_longer_set_aside_once_it_is_written(
    ending: Journal, database: AnyDatabase, impatient: Storage, state_folder: Path
) -> None:
    run = await sending_run(ending)
    with impatient.hold():
        await ending.outcomes.record(Outcome.confirmed(confirmed(run)))
    await ending.outcomes.record_pending()
    database.close()
    assert aside_files(state_folder) == []


async def test_a_process_that_ends_leaves_no_files(
    ending: Journal, database: AnyDatabase, state_folder: Path
) -> None:
    await queued_run(ending)
    database.close()
    assert list((state_folder / FOLDER_NAME).iterdir()) == []


async def fill_disk(ending: Journal, run: Run, state_folder: Path) -> None:
    """Record an id while no file can grow, as on a full disk."""
    log = state_folder / f"{FILE_NAME}-wal"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, hard))
    try:
        assert not await ending.outcomes.record(Outcome.confirmed(confirmed(run, run_id="run-1")))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("storage", ["sqlite"], indirect=True)
async def test_an_id_that_arrives_on_a_full_disk_is_known_to_the_next_process(
    ending: Journal, database: AnyDatabase, make_journal: MakeJournal, state_folder: Path
) -> None:
    run = await sending_run(ending)
    await fill_disk(ending, run, state_folder)
    database.close()
    journal = make_journal()
    await journal.spending()
    assert (await journal.reload(run)).run_id == "run-1"
