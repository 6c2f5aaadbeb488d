"""Which earlier run covers an equal request, so that nothing is paid for twice."""

import sqlite3
from dataclasses import replace

import psycopg
import pytest

from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.reservations import Reservation
from layer_mcp.runs.journal.spending import DAY_SECONDS
from layer_mcp.runs.rules.duplicates import DUPLICATE_SECONDS

from ...support.recorded_runs import (
    ACCOUNT,
    API,
    OTHER_API,
    REQUEST,
    SENDING_RUNS,
    SENT_RUNS,
    UNFINISHED_RUNS,
    Clock,
    MakeJournal,
    MakeRun,
    another,
    ended_run,
    not_sent_run,
    queued_run,
    reserve,
    reserve_all,
    running_run,
    sending_run,
    unknown_run,
)
from ...support.storages import Storage

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("age_seconds", [0, DUPLICATE_SECONDS + 1, 10 * DAY_SECONDS])
@pytest.mark.parametrize("make", UNFINISHED_RUNS)
async def test_an_equal_run_that_may_still_be_charged_is_a_duplicate_at_any_age(
    make: MakeRun, age_seconds: float, journal: Journal, clock: Clock
) -> None:
    run = await make(journal)
    clock.now += age_seconds
    assert await reserve(journal) == Reservation(run, created=False)
    assert await journal.find_duplicate(REQUEST) == run


@pytest.mark.parametrize("state", ["complete", "failed", "cancelled"])
async def test_an_equal_run_that_has_ended_is_the_duplicate_for_two_minutes(
    state: str, journal: Journal, clock: Clock
) -> None:
    run = await ended_run(journal, state=state)
    clock.now += DUPLICATE_SECONDS - 1
    assert await journal.find_duplicate(REQUEST) == run
    clock.now += 1
    assert await journal.find_duplicate(REQUEST) is None


async def test_a_run_that_ended_long_ago_frees_a_slot(journal: Journal, clock: Clock) -> None:
    run = await ended_run(journal)
    clock.now += DUPLICATE_SECONDS
    reservation = await reserve(journal)
    assert reservation.created
    assert reservation.run.key != run.key


async def test_setting_the_clock_back_does_not_make_an_old_run_recent(
    journal: Journal, clock: Clock
) -> None:
    await ended_run(journal)
    clock.now -= DAY_SECONDS
    assert await journal.find_duplicate(REQUEST) is None


async def test_a_run_that_was_not_sent_covers_nothing(journal: Journal) -> None:
    await not_sent_run(journal)
    assert (await reserve(journal)).created


@pytest.mark.parametrize("make", SENDING_RUNS)
async def test_repeating_a_run_that_is_being_sent_returns_that_run(
    make: MakeRun, journal: Journal
) -> None:
    run = await make(journal)
    assert await reserve(journal, repeat=True) == Reservation(run, created=False)
    assert await journal.find_duplicate(REQUEST, repeat=True) == run


@pytest.mark.parametrize("make", SENT_RUNS)
async def test_a_repeat_gets_a_separate_run(make: MakeRun, journal: Journal) -> None:
    run = await make(journal)
    assert await journal.find_duplicate(REQUEST, repeat=True) is None
    reservation = await reserve(journal, repeat=True)
    assert reservation.created
    assert reservation.run.key != run.key


async def test_a_repeat_is_the_duplicate_of_what_comes_after_it(
    journal: Journal, clock: Clock
) -> None:
    await ended_run(journal)
    clock.now += 1
    repeated = (await reserve(journal, repeat=True)).run
    assert await journal.find_duplicate(REQUEST) == repeated


async def test_a_running_equal_run_counts_even_if_a_newer_one_has_ended(
    journal: Journal, clock: Clock
) -> None:
    running = await running_run(journal)
    clock.now += 1
    await ended_run(journal)
    assert await journal.find_duplicate(REQUEST) == running
    clock.now += DUPLICATE_SECONDS
    assert await reserve(journal) == Reservation(running, created=False)


async def test_the_newest_of_equal_runs_that_have_ended_decides(
    journal: Journal, clock: Clock
) -> None:
    await unknown_run(journal)
    clock.now += 1
    await ended_run(journal)
    clock.now += DUPLICATE_SECONDS
    assert await journal.find_duplicate(REQUEST) is None


async def test_a_run_that_was_started_after_the_clock_was_set_back_counts(
    journal: Journal, clock: Clock
) -> None:
    await ended_run(journal)
    clock.now -= DAY_SECONDS
    running = await running_run(journal)
    assert await reserve(journal) == Reservation(running, created=False)


async def test_a_run_that_ended_after_the_clock_was_set_back_is_the_newest(
    journal: Journal, clock: Clock
) -> None:
    await ended_run(journal)
    clock.now -= DAY_SECONDS
    again = await ended_run(journal)
    assert await journal.find_duplicate(REQUEST) == again


async def test_ignores_a_newer_equal_run_that_was_not_sent(journal: Journal, clock: Clock) -> None:
    running = await running_run(journal)
    clock.now += 1
    await not_sent_run(journal)
    assert await journal.find_duplicate(REQUEST) == running


@pytest.mark.parametrize(
    ("api_url", "account"), [(OTHER_API, f"{OTHER_API}#account"), (API, f"{API}#another")]
)
@pytest.mark.parametrize("make", UNFINISHED_RUNS)
async def test_the_runs_of_another_account_cover_nothing(
    make: MakeRun, api_url: str, account: str, make_journal: MakeJournal
) -> None:
    await make(make_journal())
    elsewhere = make_journal(api_url, account)
    assert await elsewhere.find_duplicate(REQUEST) is None
    assert (await reserve(elsewhere)).created


async def test_a_request_with_another_prompt_is_not_a_duplicate(journal: Journal) -> None:
    await queued_run(journal)
    assert (await reserve(journal, another())).created


async def test_equal_requests_of_one_batch_get_a_run_each_when_they_are_wanted(
    journal: Journal,
) -> None:
    copies = [replace(REQUEST, copy_number=number) for number in range(3)]
    found = await reserve_all(journal, copies, repeat=True, batch_id="batch-1")
    assert [one.created for one in found] == [True] * 3
    assert [one.run.request for one in found] == copies


COPY = """
INSERT INTO runs (
    key, sequence, api_url, account, process_id, workspace_id, kind, subject_id, fingerprint,
    copy_number, state, created_at, request
)
SELECT
    'copy', 1000, api_url, '{account}', process_id, workspace_id, kind, subject_id, fingerprint,
    copy_number + {copies}, '{state}', created_at, request
FROM runs
"""


def insert_copy(storage: Storage, account: str, copies: int, state: str) -> None:
    """Record an equal run behind the journal's back."""
    storage.execute(COPY.format(account=account, copies=copies, state=state))


@pytest.mark.parametrize("state", ["queued", "sending"])
@pytest.mark.parametrize("make", SENDING_RUNS)
async def test_the_database_refuses_two_equal_runs_that_are_being_sent(
    make: MakeRun, state: str, journal: Journal, storage: Storage
) -> None:
    await make(journal)
    refused = (sqlite3.IntegrityError, psycopg.IntegrityError)
    with pytest.raises(refused, match="fingerprint"):
        insert_copy(storage, ACCOUNT, 0, state)


@pytest.mark.parametrize(
    ("account", "copies", "state"),
    [
        (f"{API}#another", 0, "queued"),
        (ACCOUNT, 1, "queued"),
        (ACCOUNT, 0, "in_progress"),
    ],
    ids=["another account", "another copy of a batch", "not being sent"],
)
async def test_the_database_accepts_equal_runs_that_are_not_duplicates(
    account: str, copies: int, state: str, journal: Journal, storage: Storage
) -> None:
    await sending_run(journal)
    insert_copy(storage, account, copies, state)
    assert await journal.find_duplicate(REQUEST) is not None
