"""How a submission is recorded before it's sent, and its outcome afterwards."""

from dataclasses import replace
from typing import Any

import pytest

from layer_mcp import LayerError
from layer_mcp.api.models import Output
from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.outcome import Outcome
from layer_mcp.runs.types.filters import RunFilter
from layer_mcp.runs.types.limits import SpendLimits
from layer_mcp.runs.types.request import RunRequest
from layer_mcp.runs.types.run import RunError

from ...support.recorded_runs import (
    PRICE,
    REQUEST,
    Clock,
    MakeJournal,
    another,
    confirmed,
    ended,
    keys,
    queued_run,
    refused_run,
    reserve,
    reserve_all,
    running_run,
    sending_run,
)
from ...support.storages import Storage

pytestmark = pytest.mark.anyio

NOTHING_ALLOWED = SpendLimits(confirm_above=20, max_spend_per_day=0)
LAYERS_ERROR = LayerError("OUTCOME_UNKNOWN", "Layer broke.", inference_id="RUN-1")
INFERENCE = RunRequest(
    "inference",
    "model",
    "w1",
    {"prompt": "ein grüner Trank", "width": 64, "guidance_files": [{"file_id": "file-1"}]},
    given=("prompt", "width"),
    files={"file-1": "ab" * 32},
    output_count=4,
    label="request 2: ",
    copy_number=1,
)
WORKFLOW = RunRequest(
    "workflow",
    "flow",
    "w1",
    {"inputs": {"count": 2}, "session_name": "today"},
    subject_name="Potions",
)


async def test_a_new_run_waits_in_the_queue(journal: Journal, clock: Clock) -> None:
    reservation = await reserve(journal, batch_id="batch-1")
    run = reservation.run
    assert reservation.created
    assert (run.state, run.created_at, run.batch_id) == ("queued", clock.time, "batch-1")
    assert (run.estimated_price_creative_units, run.request) == (PRICE, REQUEST)
    assert (run.run_id, run.attempt, run.has_ended) == (None, 0, False)
    assert run.is_being_sent


@pytest.mark.parametrize("request_", [INFERENCE, WORKFLOW], ids=["inference", "workflow"])
async def test_a_request_is_unchanged_when_read_from_its_row(
    request_: RunRequest, journal: Journal
) -> None:
    await queued_run(journal, request_)
    [run] = await journal.list_runs(RunFilter(), 1)
    assert run.request == request_
    assert run.request.fingerprint == request_.fingerprint


async def test_another_process_knows_a_recorded_run(make_journal: MakeJournal) -> None:
    first, second = make_journal(), make_journal()
    run = await queued_run(first)
    assert await keys(second) == [run.key]


async def test_records_nothing_if_a_limit_does_not_allow_the_price(journal: Journal) -> None:
    with pytest.raises(LayerError, match="SPENDING_LIMIT_REACHED"):
        await reserve_all(journal, [REQUEST, another()], limits=NOTHING_ALLOWED)
    assert await keys(journal) == []


async def test_limits_are_not_checked_when_nothing_is_new(journal: Journal) -> None:
    await queued_run(journal)
    [reservation] = await reserve_all(journal, [REQUEST], limits=NOTHING_ALLOWED)
    assert not reservation.created


async def test_each_request_gets_its_own_row_or_the_run_that_covers_it(journal: Journal) -> None:
    run = await queued_run(journal)
    found = await reserve_all(journal, [another(), REQUEST, another()])
    assert [one.created for one in found] == [True, False, True]
    assert found[1].run == run


async def test_a_confirmed_run_has_layers_id_and_its_price(journal: Journal) -> None:
    run = await sending_run(journal)
    assert await journal.outcomes.record(
        Outcome.confirmed(confirmed(run, run_id="RUN-1", price=2.5))
    )
    found = await journal.reload(run)
    assert (found.run_id, found.state) == ("run-1", "in_progress")
    assert (found.estimated_price_creative_units, found.session_id) == (2.5, "session-1")
    assert found.is_running


async def test_a_confirmation_without_a_price_keeps_the_estimate(journal: Journal) -> None:
    assert (await running_run(journal)).estimated_price_creative_units == PRICE


async def test_a_run_that_has_ended_when_it_is_confirmed_is_running_until_its_end_is_recorded(
    journal: Journal,
) -> None:
    run = await sending_run(journal)
    await journal.outcomes.record(Outcome.confirmed(replace(confirmed(run), state="complete")))
    assert (await journal.reload(run)).state == "in_progress"
    outputs = (Output(file_id="file-1"),)
    last = ended(await journal.reload(run), price=1.5, outputs=outputs)
    await journal.mark_ended(last)
    found = await journal.reload(run)
    assert (found.state, found.outputs) == ("complete", outputs)
    assert found.actual_price_creative_units == 1.5


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("in_progress", "in_progress"),
        ("processing", "processing"),
        ("unknown", "in_progress"),
        ("not_sent", "in_progress"),
        ("sending", "in_progress"),
    ],
)
async def test_no_status_of_layers_is_taken_for_a_state_of_the_journal(
    status: str, state: str, journal: Journal
) -> None:
    run = await sending_run(journal)
    await journal.outcomes.record(Outcome.confirmed(replace(confirmed(run), state=status)))
    found = await journal.reload(run)
    assert (found.state, found.is_running) == (state, True)


async def test_a_run_that_is_being_sent_says_so(journal: Journal) -> None:
    run = await sending_run(journal)
    assert (run.state, run.is_being_sent, run.attempt) == ("sending", True, 1)


@pytest.mark.parametrize(("state", "has_ended"), [("not_sent", True), ("unknown", False)])
async def test_a_failed_submission_says_why(state: str, has_ended: bool, journal: Journal) -> None:
    run = await refused_run(journal, state)
    assert (run.state, run.has_ended) == (state, has_ended)
    assert run.error == RunError("RATE_LIMITED", "Too many.")
    assert not run.is_being_sent
    assert not run.is_running


async def test_finds_the_id_of_a_run_with_an_unknown_outcome_in_any_case(journal: Journal) -> None:
    run = await sending_run(journal)
    await journal.outcomes.record(Outcome.unknown(run, LAYERS_ERROR))
    assert (await journal.reload(run)).run_id == "run-1"
    found = await journal.find("RUN-1")
    assert found is not None
    assert found.key == run.key


async def test_a_run_with_an_unknown_outcome_ends_once_its_end_is_seen(journal: Journal) -> None:
    run = await sending_run(journal)
    await journal.outcomes.record(Outcome.unknown(run, LAYERS_ERROR))
    await journal.mark_ended(ended(await journal.reload(run), price=1.5))
    found = await journal.reload(run)
    assert (found.state, found.actual_price_creative_units) == ("complete", 1.5)
    assert await keys(journal, RunFilter(status="complete")) == [run.key]


async def test_an_ended_run_says_what_it_made(journal: Journal) -> None:
    run = await running_run(journal)
    outputs = (Output(file_id="file-1", url="https://media.test/a.png"),)
    last = ended(run, price=2.5, outputs=outputs)
    await journal.mark_ended(replace(last, run_id=run.key.upper()))
    found = await journal.reload(run)
    assert (found.state, found.has_ended, found.is_running) == ("complete", True, False)
    assert (found.actual_price_creative_units, found.outputs) == (2.5, outputs)


async def test_a_failed_run_says_why(journal: Journal) -> None:
    run = await running_run(journal)
    error = RunError("NO_MEDIA_GENERATED", "Nothing came of it.")
    await journal.mark_ended(ended(run, state="failed", error=error))
    found = await journal.reload(run)
    assert (found.state, found.error) == ("failed", error)


async def test_the_end_of_a_run_from_elsewhere_changes_nothing(journal: Journal) -> None:
    run = await running_run(journal)
    await journal.mark_ended(ended(replace(run, run_id="another"), price=1))
    assert await journal.reload(run) == run


@pytest.mark.parametrize("text", ["{", "[1]", "7"])
@pytest.mark.parametrize(
    ("column", "without"),
    [
        ("request", {"request": RunRequest("inference", "model", "w1")}),
        ("start", {"start": {}}),
        ("error", {"error": None}),
        ("outputs", {"outputs": ()}),
    ],
)
async def test_omits_unreadable_parts_of_a_row(
    column: str, without: dict[str, Any], text: str, journal: Journal, storage: Storage
) -> None:
    run = await running_run(journal)
    storage.execute(f"UPDATE runs SET {column} = '{text}'")
    assert await journal.list_runs(RunFilter(), 1) == [replace(run, **without)]


async def test_a_run_that_cannot_be_recorded_is_refused(
    impatient: Storage, journal: Journal
) -> None:
    await keys(journal)
    with impatient.hold(), pytest.raises(LayerError, match="JOURNAL_UNAVAILABLE") as caught:
        await reserve(journal)
    assert "Call again in a few seconds" in caught.value.next_step


async def test_a_run_has_no_row_if_an_optional_record_fails(
    impatient: Storage, make_journal: MakeJournal
) -> None:
    journal = make_journal(is_required=False)
    await keys(journal)
    with impatient.hold():
        reservation = await reserve(journal)
        assert await journal.find_duplicate(REQUEST) is None
        assert await journal.mark_sending(reservation.run) == 1
    assert (reservation.created, reservation.run.is_in_journal) == (True, False)
    assert (reservation.run.request, reservation.run.state) == (REQUEST, "queued")
    assert reservation.run.estimated_price_creative_units == PRICE
