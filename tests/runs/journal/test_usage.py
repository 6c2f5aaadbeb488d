"""What counts toward Layer's limits on starting runs."""

from dataclasses import replace

import pytest

from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.outcome import Outcome
from layer_mcp.runs.journal.usage import LONGEST_RUN_SECONDS, UNKNOWN_SECONDS
from layer_mcp.runs.rules.rates import MINUTE_SECONDS
from layer_mcp.runs.types.limits import RateLimits
from layer_mcp.runs.types.request import RunRequest

from ...support.recorded_runs import (
    API,
    ERROR,
    NO_SLOTS,
    OTHER_API,
    REQUEST,
    Clock,
    MakeJournal,
    active_runs,
    ages_of_last_minute,
    another,
    confirmed,
    ended,
    give_slot,
    queued_run,
    reserve_all,
    run_with_slot,
)

pytestmark = pytest.mark.anyio

ELSEWHERE = RunRequest("inference", "model", "w2", REQUEST.body)


async def test_a_run_gets_its_slot_when_nothing_is_active(journal: Journal, clock: Clock) -> None:
    run = await run_with_slot(journal)
    clock.now += 10
    assert await active_runs(journal) == [run]
    assert await ages_of_last_minute(journal) == [10]


async def test_a_reserved_run_gets_a_slot_if_one_is_free(journal: Journal) -> None:
    [reservation] = await reserve_all(journal, [REQUEST], rates=RateLimits())
    assert reservation.has_slot
    assert await active_runs(journal) == [reservation.run]


async def test_a_reserved_run_gets_no_slot_if_none_is_free(journal: Journal) -> None:
    rates = RateLimits(runs_at_once=1)
    found = await reserve_all(journal, [REQUEST, another()], rates=rates)
    assert [one.has_slot for one in found] == [True, False]


async def test_the_runs_of_a_batch_all_wait_for_their_slots(journal: Journal) -> None:
    requests = [REQUEST, another()]
    found = await reserve_all(journal, requests, rates=RateLimits(), batch_id="batch-1")
    assert [one.has_slot for one in found] == [False, False]
    assert await active_runs(journal) == []


async def test_a_run_waiting_for_its_slot_does_not_block_others(journal: Journal) -> None:
    run = await queued_run(journal)
    assert await journal.acquire_slot(run, NO_SLOTS, {}) is not None
    assert await active_runs(journal) == []
    assert await ages_of_last_minute(journal) == []


async def test_a_requeued_run_does_not_block_others(journal: Journal) -> None:
    run = await run_with_slot(journal)
    attempt = await journal.mark_sending(run)
    await journal.outcomes.record(Outcome.requeued(replace(run, attempt=attempt or 0)))
    assert await active_runs(journal) == []
    assert await ages_of_last_minute(journal) == []


async def test_a_run_that_was_not_sent_is_no_longer_active(journal: Journal) -> None:
    run = await run_with_slot(journal)
    await journal.outcomes.record(Outcome.not_sent(run, ERROR))
    assert await active_runs(journal) == []


async def test_an_abandoned_run_gets_no_slot(journal: Journal) -> None:
    run = await queued_run(journal)
    await journal.outcomes.record(Outcome.not_sent(run, ERROR))
    await give_slot(journal, run)
    assert await ages_of_last_minute(journal) == []


async def test_a_run_with_an_unknown_outcome_counts_as_active_for_five_minutes(
    journal: Journal, clock: Clock
) -> None:
    run = await run_with_slot(journal)
    await journal.outcomes.record(Outcome.unknown(run, ERROR))
    clock.now += UNKNOWN_SECONDS - 1
    assert await active_runs(journal) == [await journal.reload(run)]
    clock.now += 1
    assert await active_runs(journal) == []


async def test_runs_started_before_the_clock_was_set_back_block_nothing(
    journal: Journal, clock: Clock
) -> None:
    await run_with_slot(journal)
    clock.now -= 1
    assert await active_runs(journal) == []
    assert await ages_of_last_minute(journal) == []


async def test_definitely_unsent_runs_do_not_count_toward_the_minute(journal: Journal) -> None:
    run = await run_with_slot(journal)
    await journal.outcomes.record(Outcome.not_sent(run, ERROR))
    assert await ages_of_last_minute(journal) == []


async def test_a_run_with_an_unknown_outcome_counts_toward_the_minute(journal: Journal) -> None:
    run = await run_with_slot(journal)
    await journal.outcomes.record(Outcome.unknown(run, ERROR))
    assert len(await ages_of_last_minute(journal)) == 1


async def test_an_ended_run_frees_a_slot_but_counts_toward_the_minute(journal: Journal) -> None:
    run = await run_with_slot(journal)
    await journal.outcomes.record(Outcome.confirmed(confirmed(run)))
    assert len(await active_runs(journal)) == 1
    await journal.mark_ended(ended(replace(run, run_id=run.key), price=1))
    assert await active_runs(journal) == []
    assert len(await ages_of_last_minute(journal)) == 1


async def test_the_minute_begins_with_the_slot_and_not_with_the_call(
    journal: Journal, clock: Clock
) -> None:
    run = await queued_run(journal)
    clock.now += 2 * MINUTE_SECONDS
    await give_slot(journal, run)
    clock.now += MINUTE_SECONDS - 1
    assert await ages_of_last_minute(journal) == [MINUTE_SECONDS - 1]
    clock.now += 1
    assert await ages_of_last_minute(journal) == []


async def test_each_submission_of_the_minute_has_its_own_age(
    journal: Journal, clock: Clock
) -> None:
    for _ in range(2):
        await run_with_slot(journal, another())
        clock.now += 5
    assert await ages_of_last_minute(journal) == [5, 10]


async def test_the_models_of_the_minute_are_looked_up_to_find_videos(journal: Journal) -> None:
    await run_with_slot(journal, replace(another(), subject_id="other-model"))
    await run_with_slot(journal, RunRequest("workflow", "flow", "w1"))
    probe = await queued_run(journal)
    blocked = await journal.acquire_slot(probe, RateLimits(videos_per_minute=1), {})
    assert blocked is not None
    assert blocked.unknown_models == {"model", "other-model"}


async def test_runs_in_another_workspace_count_only_toward_the_minute(journal: Journal) -> None:
    await run_with_slot(journal)
    assert await active_runs(journal, ELSEWHERE) == []
    assert len(await ages_of_last_minute(journal, ELSEWHERE)) == 1


@pytest.mark.parametrize(
    ("api_url", "account"), [(OTHER_API, f"{OTHER_API}#account"), (API, f"{API}#another")]
)
async def test_runs_of_another_account_do_not_count_for_layers_limits(
    api_url: str, account: str, make_journal: MakeJournal
) -> None:
    await run_with_slot(make_journal())
    elsewhere = make_journal(api_url, account)
    assert await active_runs(elsewhere) == []
    assert await ages_of_last_minute(elsewhere) == []


async def test_a_run_with_an_unseen_end_blocks_for_an_hour_at_most(
    journal: Journal, clock: Clock
) -> None:
    await run_with_slot(journal)
    clock.now += LONGEST_RUN_SECONDS
    assert len(await active_runs(journal)) == 1
    clock.now += 1
    assert await active_runs(journal) == []
