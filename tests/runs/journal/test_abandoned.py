"""Processes that end: what the next one knows of the runs that they left behind."""

import os
import time
from contextlib import closing
from pathlib import Path

import pytest

from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.liveness import FOLDER_NAME, SWEEP_SECONDS
from layer_mcp.runs.journal.outcome import Outcome
from layer_mcp.runs.journal.sqlite import SqliteDatabase
from layer_mcp.runs.types import RunError, RunFilter

from ...support.journal_process import END_SECONDS, killed_process, recording_process, request_for
from ...support.recorded_runs import (
    ACCOUNT,
    API,
    Clock,
    MakeJournal,
    active_runs,
    confirmed,
    keys,
    queued_run,
    reserve,
    reserve_all,
    sending_run,
    states,
)

pytestmark = [pytest.mark.anyio, pytest.mark.process]


@pytest.fixture
def clock() -> Clock:
    """A clock that is a little ahead of the other processes."""
    return Clock(time.time() + 60)


async def test_a_queued_run_of_a_killed_process_was_not_sent(
    state_folder: Path, journal: Journal
) -> None:
    killed_process(state_folder, "queued")
    [run] = await journal.list_runs(RunFilter(), 10)
    assert (run.state, run.has_ended) == ("not_sent", True)
    assert run.error == RunError("SERVER_STOPPED", "The server stopped before it was sent.")


async def test_what_a_killed_process_was_sending_is_of_unknown_outcome(
    state_folder: Path, journal: Journal
) -> None:
    killed_process(state_folder, "sending")
    [run] = await journal.list_runs(RunFilter(), 10)
    assert (run.state, run.has_ended) == ("unknown", False)


async def test_a_confirmed_run_of_a_killed_process_goes_on(
    state_folder: Path, journal: Journal
) -> None:
    killed_process(state_folder, "in_progress")
    [run] = await journal.list_runs(RunFilter(), 10)
    assert (run.state, run.run_id, run.is_running) == ("in_progress", run.key, True)


async def test_only_what_a_killed_process_may_have_sent_counts_as_spent(
    state_folder: Path, journal: Journal
) -> None:
    killed_process(state_folder, "queued", "sending", "in_progress")
    spending = await journal.spending()
    assert (spending.day, spending.in_flight) == (4.0, {})


async def test_what_a_killed_process_of_another_account_left_does_not_count_either(
    make_journal: MakeJournal, state_folder: Path
) -> None:
    killed_process(state_folder, "queued", "sending")
    spending = await make_journal(API, f"{API}#another").spending()
    assert (spending.day, spending.in_flight) == (2.0, {})


async def test_the_same_call_after_a_kill_is_new_only_if_the_first_was_not_sent(
    state_folder: Path, journal: Journal
) -> None:
    killed_process(state_folder, "queued", "sending", "in_progress")
    requests = [request_for(state) for state in ("queued", "sending", "in_progress")]
    found = await reserve_all(journal, requests)
    assert [one.created for one in found] == [True, False, False]


async def test_the_slot_of_a_killed_process_is_free_again(
    state_folder: Path, journal: Journal
) -> None:
    with recording_process(state_folder, "has_slot") as process:
        assert len(await active_runs(journal)) == 1
        process.kill()
        process.wait(END_SECONDS)
        assert await active_runs(journal) == []


async def test_what_a_living_process_is_sending_stays(state_folder: Path, journal: Journal) -> None:
    with recording_process(state_folder, "queued", "sending"):
        assert await states(journal) == {"queued": "queued", "sending": "sending"}
        assert (await journal.spending()).in_flight == {"w1": 4.0}


async def test_a_process_that_dies_is_noticed_by_another(
    state_folder: Path, journal: Journal
) -> None:
    with recording_process(state_folder, "queued", "sending") as process:
        assert await states(journal) == {"queued": "queued", "sending": "sending"}
        process.kill()
        process.wait(END_SECONDS)
        assert await states(journal) == {"queued": "not_sent", "sending": "unknown"}


async def test_a_duplicate_is_looked_for_after_the_dead_were_noticed(
    state_folder: Path, journal: Journal
) -> None:
    killed_process(state_folder, "queued", "sending")
    assert await journal.find_duplicate(request_for("queued")) is None
    found = await journal.find_duplicate(request_for("sending"))
    assert found is not None
    assert found.state == "unknown"


async def test_a_dead_process_does_not_take_a_living_one_with_it(
    state_folder: Path, journal: Journal
) -> None:
    killed_process(state_folder, "sending")
    with recording_process(state_folder, "queued"):
        assert await states(journal) == {"queued": "queued", "sending": "unknown"}


async def test_a_process_that_ends_in_order_leaves_what_it_was_sending_as_unknown(
    state_folder: Path, journal: Journal
) -> None:
    with recording_process(state_folder, "sending") as process:
        process.communicate(timeout=END_SECONDS)
    assert await states(journal) == {"sending": "unknown"}


def locks(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER_NAME).glob("*.lock"))


async def test_the_lock_of_a_dead_process_is_removed(state_folder: Path, journal: Journal) -> None:
    killed_process(state_folder, "queued", "sending")
    [dead] = locks(state_folder)
    await keys(journal)
    assert dead not in locks(state_folder)
    assert len(locks(state_folder)) == 1


async def test_the_lock_of_a_living_process_stays(state_folder: Path, journal: Journal) -> None:
    with recording_process(state_folder, "sending"):
        [living] = locks(state_folder)
        await keys(journal)
        assert living in locks(state_folder)


def make_old(lock: Path) -> None:
    """Let a lock look as if its process had started long ago."""
    before = time.time() - 2 * SWEEP_SECONDS
    os.utime(lock, (before, before))


async def test_the_lock_of_a_dead_process_that_left_nothing_is_removed_later(
    state_folder: Path, journal: Journal
) -> None:
    killed_process(state_folder)
    [dead] = locks(state_folder)
    make_old(dead)
    await keys(journal)
    assert dead not in locks(state_folder)


async def test_the_lock_of_a_process_that_runs_for_long_stays(
    state_folder: Path, journal: Journal
) -> None:
    with recording_process(state_folder, "sending"):
        [living] = locks(state_folder)
        make_old(living)
        assert await states(journal) == {"sending": "sending"}
        assert living in locks(state_folder)


async def test_a_process_that_ends_in_order_removes_its_lock(state_folder: Path) -> None:
    with recording_process(state_folder) as process:
        assert len(locks(state_folder)) == 1
        process.communicate(timeout=END_SECONDS)
        assert locks(state_folder) == []


async def test_journals_in_one_process_know_of_each_other(make_journal: MakeJournal) -> None:
    first, second = make_journal(), make_journal()
    run = await queued_run(first)
    assert await second.find_duplicate(run.request) == run
    assert (await first.reload(run)).state == "queued"


async def test_a_database_that_is_opened_again_owns_what_it_records_then(
    state_folder: Path,
) -> None:
    with closing(SqliteDatabase(lambda: state_folder)) as database:
        journal = Journal(database, api_url=API, account=ACCOUNT)
        first = await queued_run(journal)
        database.close()
        second = await queued_run(journal)
        await keys(journal)
        assert [(await journal.reload(run)).state for run in (first, second)] == [
            "not_sent",
            "queued",
        ]


def take_for_dead(folder: Path) -> None:
    """Let all processes look as if they had ended."""
    for lock in locks(folder):
        lock.unlink()


async def test_a_process_that_was_taken_for_dead_does_not_send(
    make_journal: MakeJournal, state_folder: Path
) -> None:
    first, second = make_journal(), make_journal()
    run = await queued_run(first)
    take_for_dead(state_folder)
    again = (await reserve(second, run.request)).run
    assert again.key != run.key
    assert await first.mark_sending(run) is None
    assert await second.mark_sending(again) is not None


async def test_the_confirmation_of_a_process_that_was_taken_for_dead_is_recorded(
    make_journal: MakeJournal, state_folder: Path
) -> None:
    first, second = make_journal(), make_journal()
    run = await sending_run(first)
    take_for_dead(state_folder)
    await keys(second)
    assert (await second.reload(run)).state == "unknown"
    assert await first.record(Outcome.confirmed(confirmed(run, run_id="run-1")))
    found = await second.reload(run)
    assert (found.state, found.run_id) == ("in_progress", "run-1")


async def test_a_failure_of_a_process_that_was_taken_for_dead_does_not_change_its_run(
    make_journal: MakeJournal, state_folder: Path
) -> None:
    first, second = make_journal(), make_journal()
    run = await sending_run(first)
    take_for_dead(state_folder)
    await keys(second)
    await first.record(Outcome.requeued(run))
    assert (await second.reload(run)).state == "unknown"
