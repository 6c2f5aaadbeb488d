"""Processes that end: what the next one knows about their runs."""

import time

import pytest

from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.outcome import Outcome
from layer_mcp.runs.types.filters import RunFilter
from layer_mcp.runs.types.run import RunError

from ...support.journal_process import (
    END_SECONDS,
    kill,
    killed_process,
    recording_process,
    request_for,
)
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
from ...support.storages import AnyDatabase, Storage

pytestmark = [pytest.mark.anyio, pytest.mark.process]


@pytest.fixture
def clock() -> Clock:
    """A clock that is a little ahead of the other processes."""
    return Clock(time.time() + 60)


async def test_a_queued_run_of_a_killed_process_was_not_sent(
    storage: Storage, journal: Journal
) -> None:
    killed_process(storage, "queued")
    [run] = await journal.list_runs(RunFilter(), 10)
    assert (run.state, run.has_ended) == ("not_sent", True)
    assert run.error == RunError("SERVER_STOPPED", "The server stopped before the run was sent.")


async def test_a_run_that_a_killed_process_was_sending_has_an_unknown_outcome(
    storage: Storage, journal: Journal
) -> None:
    killed_process(storage, "sending")
    [run] = await journal.list_runs(RunFilter(), 10)
    assert (run.state, run.has_ended) == ("unknown", False)


async def test_a_killed_processs_confirmed_run_continues(
    storage: Storage, journal: Journal
) -> None:
    killed_process(storage, "in_progress")
    [run] = await journal.list_runs(RunFilter(), 10)
    assert (run.state, run.run_id, run.is_running) == ("in_progress", run.key, True)


async def test_only_possibly_sent_runs_of_a_killed_process_count_as_spent(
    storage: Storage, journal: Journal
) -> None:
    killed_process(storage, "queued", "sending", "in_progress")
    spending = await journal.spending()
    assert (spending.day, spending.in_flight) == (4.0, {})


async def test_queued_runs_of_another_accounts_killed_process_do_not_count(
    make_journal: MakeJournal, storage: Storage
) -> None:
    killed_process(storage, "queued", "sending")
    spending = await make_journal(API, f"{API}#another").spending()
    assert (spending.day, spending.in_flight) == (2.0, {})


async def test_the_same_call_after_a_kill_is_new_only_if_the_first_was_not_sent(
    storage: Storage, journal: Journal
) -> None:
    killed_process(storage, "queued", "sending", "in_progress")
    requests = [request_for(state) for state in ("queued", "sending", "in_progress")]
    found = await reserve_all(journal, requests)
    assert [one.created for one in found] == [True, False, False]


async def test_the_slot_of_a_killed_process_is_free_again(
    storage: Storage, journal: Journal
) -> None:
    with recording_process(storage, "has_slot") as process:
        assert len(await active_runs(journal)) == 1
        kill(process, storage)
        assert await active_runs(journal) == []


async def test_keeps_runs_that_a_live_process_is_sending(
    storage: Storage, journal: Journal
) -> None:
    with recording_process(storage, "queued", "sending"):
        assert await states(journal) == {"queued": "queued", "sending": "sending"}
        assert (await journal.spending()).in_flight == {"w1": 4.0}


async def test_a_process_that_dies_is_noticed_by_another(
    storage: Storage, journal: Journal
) -> None:
    with recording_process(storage, "queued", "sending") as process:
        assert await states(journal) == {"queued": "queued", "sending": "sending"}
        kill(process, storage)
        assert await states(journal) == {"queued": "not_sent", "sending": "unknown"}


async def test_looks_for_a_duplicate_after_recovering_abandoned_runs(
    storage: Storage, journal: Journal
) -> None:
    killed_process(storage, "queued", "sending")
    assert await journal.find_duplicate(request_for("queued")) is None
    found = await journal.find_duplicate(request_for("sending"))
    assert found is not None
    assert found.state == "unknown"


async def test_removing_a_dead_process_does_not_affect_a_running_one(
    storage: Storage, journal: Journal
) -> None:
    killed_process(storage, "sending")
    with recording_process(storage, "queued"):
        assert await states(journal) == {"queued": "queued", "sending": "unknown"}


async def test_a_normal_exit_leaves_runs_being_sent_as_unknown(
    storage: Storage, journal: Journal
) -> None:
    with recording_process(storage, "sending") as process:
        process.communicate(timeout=END_SECONDS)
    assert await states(journal) == {"sending": "unknown"}


async def test_journals_in_one_process_share_their_state(make_journal: MakeJournal) -> None:
    first, second = make_journal(), make_journal()
    run = await queued_run(first)
    assert await second.find_duplicate(run.request) == run
    assert (await first.reload(run)).state == "queued"


async def test_a_database_that_is_opened_again_owns_what_it_records_then(
    database: AnyDatabase, storage: Storage
) -> None:
    journal = Journal(database, api_url=API, account=ACCOUNT)
    first = await queued_run(journal)
    database.close()
    storage.expire()
    second = await queued_run(journal)
    await keys(journal)
    assert [(await journal.reload(run)).state for run in (first, second)] == [
        "not_sent",
        "queued",
    ]


async def test_a_process_considered_dead_does_not_send(
    make_journal: MakeJournal, storage: Storage
) -> None:
    first, second = make_journal(), make_journal()
    run = await queued_run(first)
    storage.end_processes()
    again = (await reserve(second, run.request)).run
    assert again.key != run.key
    assert await first.mark_sending(run) is None
    assert await second.mark_sending(again) is not None


async def test_records_a_confirmation_from_a_process_considered_dead(
    make_journal: MakeJournal, storage: Storage
) -> None:
    first, second = make_journal(), make_journal()
    run = await sending_run(first)
    storage.end_processes()
    await keys(second)
    assert (await second.reload(run)).state == "unknown"
    assert await first.outcomes.record(Outcome.confirmed(confirmed(run, run_id="run-1")))
    found = await second.reload(run)
    assert (found.state, found.run_id) == ("in_progress", "run-1")


async def test_a_failure_in_a_process_considered_dead_does_not_change_its_run(
    make_journal: MakeJournal, storage: Storage
) -> None:
    first, second = make_journal(), make_journal()
    run = await sending_run(first)
    storage.end_processes()
    await keys(second)
    await first.outcomes.record(Outcome.requeued(run))
    assert (await second.reload(run)).state == "unknown"
