"""A run is submitted at most once, no matter how the call ends."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from layer_mcp import LayerError, Settings
from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.databases import sqlite
from layer_mcp.runs.journal.databases.sqlite import FILE_NAME
from layer_mcp.runs.journal.reservations import Reservation
from layer_mcp.runs.opening import open_runs
from layer_mcp.runs.sending import sender
from layer_mcp.runs.service import Runs
from layer_mcp.runs.types.run import Run
from layer_mcp.sandbox import Fault, RunningSandbox

from ...support.journals import list_runs
from ...support.library import prepare, submit, until_sent, until_states
from ...support.stub_layer import RUN_ID, Reply, stub_layer

pytestmark = pytest.mark.anyio

CALLS = 20
LATE = Fault("slow", delay_seconds=1)
REFUSED = Fault("status", status=422, code="INVALID_INPUTS")
UNANSWERED = Fault("drop", accepted=True)


def sent(sandbox: RunningSandbox) -> int:
    """How many paid requests arrived."""
    return sandbox.state.arrived["execute_inference"]


async def submit_together(runs: Runs, count: int, *, repeat: bool = False) -> list[Run]:
    """Submit equal calls at the same time."""
    answers: list[Run] = []

    async def submit_one() -> None:
        answers.append(await submit(runs, repeat=repeat))

    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(submit_one)
    return answers


async def test_equal_calls_at_the_same_time_are_one_request(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    answers = await submit_together(runs, CALLS)
    assert {run.run_id for run in answers} == set(sandbox.state.runs)
    assert sum(run.is_duplicate for run in answers) == CALLS - 1
    assert sent(sandbox) == 1


async def test_a_repeated_call_gets_the_existing_run_and_says_so(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    first, again = await submit(runs), await submit(runs)
    assert (again.run_id, again.key) == (first.run_id, first.key)
    assert "you weren't charged again" in again.warnings[0]
    assert sent(sandbox) == 1


async def test_two_repeats_at_the_same_time_are_paid_once(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", LATE)
    answers = await submit_together(runs, 2, repeat=True)
    assert {run.run_id for run in answers} == set(sandbox.state.runs)
    assert sent(sandbox) == 1


async def test_a_late_repeat_gets_the_run_that_has_since_been_answered(
    runs: Runs, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve = Journal.reserve

    async def reserve_and_wait(self: Journal, *args: Any, **options: Any) -> list[Reservation]:
        found = await reserve(self, *args, **options)
        if not found[0].created:
            await until_states(runs, "in_progress")
        return found

    monkeypatch.setattr(Journal, "reserve", reserve_and_wait)
    sandbox.state.knobs.fail_next("execute_inference", LATE)
    plans = [await prepare(runs, repeat=True) for _ in range(2)]
    async with anyio.create_task_group() as tasks:
        for plan in plans:
            tasks.start_soon(partial(runs.submit, plan, approved=False))
    assert sent(sandbox) == 1


async def test_a_caller_that_is_cancelled_while_sending_leaves_a_recorded_run(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", LATE)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(submit, runs)
        await until_sent(sandbox)
        tasks.cancel_scope.cancel()
    [run] = await runs.list()
    assert (run.state, [run.run_id]) == ("in_progress", list(sandbox.state.runs))
    again = await submit(runs)
    assert (again.run_id, again.is_duplicate) == (run.run_id, True)
    assert sent(sandbox) == 1


async def test_a_block_that_ends_while_sending_leaves_a_recorded_run(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", LATE)
    async with anyio.create_task_group() as tasks:
        async with open_runs(Settings.from_env(environment)) as runs:
            tasks.start_soon(submit, runs)
            await until_sent(sandbox)
        tasks.cancel_scope.cancel()
    [run] = await list_runs(environment)
    assert (run.state, [run.run_id]) == ("in_progress", list(sandbox.state.runs))


async def test_a_task_that_asyncio_cancels_while_sending_leaves_a_recorded_run(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", LATE)

    async def submit_alone() -> None:
        async with open_runs(Settings.from_env(environment)) as runs:
            await submit(runs)

    task = asyncio.create_task(submit_alone())
    await until_sent(sandbox)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [run] = await list_runs(environment)
    assert [run.run_id] == list(sandbox.state.runs)


async def test_a_caller_that_is_cancelled_in_the_queue_pays_nothing(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    for number in range(5):
        await submit(runs, prompt=f"potion {number}")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(submit, runs)
        await until_states(runs, *["in_progress"] * 5, "queued")
        tasks.cancel_scope.cancel()
    [run, *_] = await runs.list()
    assert run.state == "not_sent"
    assert run.error is not None
    assert run.error.code == "CANCELLED"
    assert sent(sandbox) == 5


async def test_never_resends_a_run_with_an_unknown_outcome(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", UNANSWERED)
    for _ in range(3):
        with pytest.raises(LayerError, match="OUTCOME_UNKNOWN"):
            await submit(runs)
    assert [run.state for run in await runs.list()] == ["unknown"]
    assert (len(sandbox.state.runs), sent(sandbox)) == (1, 1)


async def test_a_run_with_an_unknown_outcome_can_be_repeated_on_purpose(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", UNANSWERED)
    with pytest.raises(LayerError, match="OUTCOME_UNKNOWN"):
        await submit(runs)
    assert (await submit(runs, repeat=True)).run_id is not None
    assert sent(sandbox) == 2


async def test_a_call_that_layer_refuses_was_not_sent_and_can_be_made_again(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", REFUSED)
    with pytest.raises(LayerError, match="INVALID_INPUTS"):
        await submit(runs)
    [refused] = await runs.list()
    assert (refused.state, refused.error and refused.error.code) == ("not_sent", "INVALID_INPUTS")
    assert not (await submit(runs)).is_duplicate
    assert len(sandbox.state.runs) == 1


async def test_a_request_that_never_left_is_sent_again_within_the_call(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    busy = Fault("status", status=503, code="SERVICE_UNAVAILABLE")
    sandbox.state.knobs.fail_next("execute_inference", busy)
    run = await submit(runs)
    assert (len(sandbox.state.runs), sent(sandbox)) == (1, 2)
    [found] = await runs.list()
    assert (found.run_id, found.attempt) == (run.run_id, 2)


async def test_a_call_without_a_slot_at_the_deadline_is_not_sent(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    for number in range(5):
        await submit(runs, prompt=f"potion {number}")
    with pytest.raises(LayerError, match="RUNS_AT_LIMIT"):
        await submit(runs, seconds=1)
    [run, *_] = await runs.list()
    assert run.state == "not_sent"
    assert sent(sandbox) == 5


async def test_the_unseen_end_of_an_active_run_frees_a_slot(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    for number in range(5):
        await submit(runs, prompt=f"potion {number}")
    assert (await submit(runs)).run_id is not None
    assert sent(sandbox) == 6


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (Fault("status", status=422, code="INVALID_INPUTS", delay_seconds=1), "not_sent"),
        (Fault("status", status=500, delay_seconds=1), "unknown"),
        (LATE, "in_progress"),
    ],
    ids=["refused", "unknown", "started"],
)
async def test_records_a_calls_outcome_later_if_it_cannot_be_recorded_now(
    fault: Fault,
    state: str,
    runs: Runs,
    sandbox: RunningSandbox,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sender, "RETRY_SECONDS", 0.05)
    with monkeypatch.context() as patched:
        patched.setattr(sqlite, "BUSY_SECONDS", 0.05)
        async with call_being_sent(runs, sandbox, fault) as answers, held(environment):
            await until_answered(answers)
    await until_states(runs, state)


async def test_a_stopping_process_writes_pending_outcomes(
    sandbox: RunningSandbox, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_runs(Settings.from_env(environment)) as runs:
        await runs.list()
        with monkeypatch.context() as patched:
            patched.setattr(sqlite, "BUSY_SECONDS", 0.05)
            async with call_being_sent(runs, sandbox, LATE) as answers, held(environment):
                await until_answered(answers)
    [run] = await list_runs(environment)
    assert [run.run_id] == list(sandbox.state.runs)


async def until_answered(answers: Sequence[Run | LayerError]) -> None:
    """Wait until a call is answered."""
    with anyio.fail_after(20):
        while not answers:  # noqa: ASYNC110
            await anyio.sleep(0.02)


@asynccontextmanager
async def held(environment: dict[str, str]) -> AsyncGenerator[None]:
    """Hold the journal as another process would."""
    path = Path(environment["LAYER_STATE_DIR"]) / FILE_NAME
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@asynccontextmanager
async def call_being_sent(
    runs: Runs, sandbox: RunningSandbox, fault: Fault
) -> AsyncGenerator[list[Run | LayerError]]:
    """A call that Layer has and did not answer yet; its answer is there after the block."""
    answers: list[Run | LayerError] = []
    sandbox.state.knobs.fail_next("execute_inference", fault)

    async def call() -> None:
        try:
            answers.append(await submit(runs))
        except LayerError as error:
            answers.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        await until_sent(sandbox)
        yield answers


async def test_a_run_whose_row_was_removed_while_it_was_sent_has_a_warning(
    runs: Runs, sandbox: RunningSandbox, environment: dict[str, str]
) -> None:
    async with call_being_sent(runs, sandbox, LATE) as answers:
        path = Path(environment["LAYER_STATE_DIR"]) / FILE_NAME
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("DELETE FROM runs")
    [run] = answers
    assert isinstance(run, Run)
    assert [run.run_id] == list(sandbox.state.runs)
    assert "could not be written" in run.warnings[0]


async def test_a_run_that_layer_ends_at_its_start_has_its_files_and_its_price(
    tmp_path: Path,
) -> None:
    with stub_layer() as layer:
        started = {"inference_id": RUN_ID, "status": "complete"}
        layer.answers["/inferences"] = Reply(started, status=202)
        layer.finish(layer.file("/a.png", b"one"), actual_price_creative_units=0.5)
        async with open_runs(Settings.from_env(layer.environment(tmp_path))) as runs:
            run = await runs.follow(await submit(runs), 5)
            [found] = await runs.list()
    assert (run.state, run.actual_price_creative_units, len(run.outputs)) == ("complete", 0.5, 1)
    assert (found.state, found.outputs) == ("complete", run.outputs)
    assert found.actual_price_creative_units == 0.5


async def test_a_duplicate_that_layer_deleted_says_how_to_start_another(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    await submit(runs)
    sandbox.state.runs.clear()
    with pytest.raises(LayerError) as caught:
        await runs.follow(await submit(runs), 0)
    assert caught.value.code == "INFERENCE_NOT_FOUND"
    assert "set repeat to true" in caught.value.next_step
