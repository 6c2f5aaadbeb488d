"""A run only ever moves forward, no matter how late a write is."""

from dataclasses import replace

import pytest

from layer_mcp import LayerError
from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.outcome import Outcome

from ...support.recorded_runs import (
    ERROR,
    REQUEST,
    MakeJournal,
    MakeRun,
    confirmed,
    ended,
    ended_run,
    give_slot,
    not_sent_run,
    queued_run,
    running_run,
    sending_run,
    unknown_run,
)

pytestmark = pytest.mark.anyio

LAYERS_ERROR = LayerError("OUTCOME_UNKNOWN", "Layer broke.", inference_id="RUN-1")


async def test_a_requeued_run_waits_like_a_new_one(journal: Journal) -> None:
    run = await queued_run(journal)
    await give_slot(journal, run)
    attempt = await journal.mark_sending(run)
    assert attempt == 1
    await journal.outcomes.record(Outcome.requeued(replace(run, attempt=attempt)))
    assert await journal.reload(run) == replace(run, attempt=1)
    assert await journal.find_duplicate(REQUEST) == replace(run, attempt=1)


async def test_every_attempt_to_send_a_run_is_counted(journal: Journal) -> None:
    run = await sending_run(journal)
    assert await journal.mark_sending(run) == 2
    assert (await journal.reload(run)).attempt == 2


@pytest.mark.parametrize("make", [not_sent_run, unknown_run, running_run, ended_run])
async def test_does_not_send_a_settled_run_again(make: MakeRun, journal: Journal) -> None:
    run = await make(journal)
    assert await journal.mark_sending(run) is None
    assert await journal.reload(run) == run


async def test_a_run_whose_row_was_removed_is_not_sent(journal: Journal) -> None:
    run = await queued_run(journal)
    assert await journal.mark_sending(replace(run, key="removed")) is None


async def test_a_run_whose_row_was_removed_cannot_be_confirmed(journal: Journal) -> None:
    run = await sending_run(journal)
    assert not await journal.outcomes.record(
        Outcome.confirmed(confirmed(replace(run, key="removed")))
    )


async def test_a_late_requeue_does_not_change_a_later_attempt(journal: Journal) -> None:
    first = await sending_run(journal)
    await journal.outcomes.record(Outcome.requeued(first))
    assert await journal.mark_sending(first) == 2
    await journal.outcomes.record(Outcome.requeued(first))
    assert (await journal.reload(first)).state == "sending"


async def test_a_late_requeue_does_not_change_a_confirmed_run(journal: Journal) -> None:
    sent = await sending_run(journal)
    await journal.outcomes.record(Outcome.confirmed(confirmed(sent)))
    await journal.outcomes.record(Outcome.requeued(sent))
    assert (await journal.reload(sent)).state == "in_progress"


async def test_a_late_failure_does_not_change_a_confirmed_run(journal: Journal) -> None:
    run = await running_run(journal)
    await journal.outcomes.record(Outcome.not_sent(run, ERROR))
    await journal.outcomes.record(Outcome.unknown(run, ERROR))
    assert await journal.reload(run) == run


async def test_a_late_failure_does_not_change_an_ended_run(journal: Journal) -> None:
    run = await ended_run(journal, price=1)
    await journal.outcomes.record(Outcome.not_sent(run, ERROR))
    await journal.outcomes.record(Outcome.unknown(run, ERROR))
    assert await journal.reload(run) == run


async def test_a_late_failure_does_not_turn_one_failure_into_another(journal: Journal) -> None:
    run = await not_sent_run(journal)
    await journal.outcomes.record(Outcome.unknown(run, LAYERS_ERROR))
    assert await journal.reload(run) == run


async def test_a_queued_run_can_be_sent_by_another_process(make_journal: MakeJournal) -> None:
    first, second = make_journal(), make_journal()
    run = await queued_run(first)
    assert await second.mark_sending(run) == 1
    assert (await first.reload(run)).state == "sending"


async def test_a_run_that_another_process_sends_is_not_sent_twice(
    make_journal: MakeJournal,
) -> None:
    first, second = make_journal(), make_journal()
    run = await queued_run(first)
    await second.mark_sending(run)
    assert await first.mark_sending(run) is None
    assert (await first.reload(run)).attempt == 1


async def test_another_processs_failure_does_not_change_a_run_being_sent(
    make_journal: MakeJournal,
) -> None:
    first, second = make_journal(), make_journal()
    run = await queued_run(first)
    await second.mark_sending(run)
    await first.outcomes.record(Outcome.not_sent(run, ERROR))
    await first.outcomes.record(Outcome.unknown(run, ERROR))
    await first.outcomes.record(Outcome.requeued(replace(run, attempt=1)))
    assert (await second.reload(run)).state == "sending"
    await second.outcomes.record(Outcome.requeued(replace(run, attempt=1)))
    await first.outcomes.record(Outcome.not_sent(run, ERROR))
    assert (await second.reload(run)).state == "queued"


@pytest.mark.parametrize("make", [unknown_run, not_sent_run])
async def test_records_a_late_confirmation_of_an_abandoned_run(
    make: MakeRun, journal: Journal
) -> None:
    run = await make(journal)
    assert await journal.outcomes.record(Outcome.confirmed(confirmed(run, run_id="run-1")))
    found = await journal.reload(run)
    assert (found.state, found.run_id, found.error) == ("in_progress", "run-1", None)


async def test_a_late_confirmation_does_not_change_an_ended_run(journal: Journal) -> None:
    run = await ended_run(journal)
    assert not await journal.outcomes.record(Outcome.confirmed(confirmed(run, run_id="another")))
    assert await journal.reload(run) == run


@pytest.mark.parametrize("state", ["complete", "failed", "cancelled", "deleted"])
async def test_the_end_of_a_run_is_final(state: str, journal: Journal) -> None:
    run = await ended_run(journal, state=state, price=1)
    await journal.mark_ended(ended(run, state="cancelled", price=9))
    await journal.mark_not_found(run.run_id or "")
    assert await journal.reload(run) == run


async def test_a_run_that_layer_did_not_find_can_still_end(journal: Journal) -> None:
    run = await running_run(journal)
    await journal.mark_not_found(run.key.upper())
    assert (await journal.reload(run)).state == "not_found"
    await journal.mark_ended(ended(run, price=1))
    assert (await journal.reload(run)).state == "complete"


async def test_a_run_that_was_not_sent_does_not_end(journal: Journal) -> None:
    run = await not_sent_run(journal)
    await journal.mark_not_found(run.key)
    await journal.mark_ended(ended(replace(run, run_id=run.key)))
    assert await journal.reload(run) == run
