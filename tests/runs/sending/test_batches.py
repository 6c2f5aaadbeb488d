"""A batch: recorded as a whole, and sent in order as fast as Layer's limits allow."""

import anyio
import pytest

from layer_mcp import LayerError, Settings
from layer_mcp.runs.drafts import InferenceDraft
from layer_mcp.runs.opening import open_runs
from layer_mcp.runs.sending import queue
from layer_mcp.runs.service import Runs
from layer_mcp.runs.types.filters import RunFilter
from layer_mcp.sandbox import Fault, RunningSandbox

from ...support.journals import list_runs
from ...support.library import (
    draft,
    prepare,
    prompts,
    submit,
    submit_batch,
    until_counts,
    until_sent,
    until_states,
)

pytestmark = pytest.mark.anyio

SIX = [f"potion {number}" for number in range(6)]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(queue, "PAUSE_AFTER_REFUSAL_SECONDS", 0.05)


def drafts(prompts: list[str]) -> list[InferenceDraft]:
    return [draft(prompt=prompt) for prompt in prompts]


async def test_sends_what_layers_limits_allow_and_queues_the_rest(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    found = await submit_batch(runs, *drafts([*SIX, "a shield"]))
    assert [run.state for run in found] == ["in_progress"] * 5 + ["queued"] * 2
    assert set(prompts(sandbox)) == set(SIX[:5])
    listed = await runs.list(RunFilter(batch_id=found[0].batch_id))
    assert {run.key for run in listed} == {run.key for run in found}


async def test_the_rest_is_sent_in_its_order_when_runs_end(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 1
    await submit_batch(runs, *drafts([*SIX, "a shield"]))
    with anyio.fail_after(30):
        await runs.wait_many(RunFilter(), "all", 30)
    assert [run.state for run in await runs.list()] == ["complete"] * 7
    assert set(prompts(sandbox)[:5]) == set(SIX[:5])
    assert set(prompts(sandbox)[5:]) == {SIX[5], "a shield"}


async def test_a_small_batch_returns_once_all_runs_are_sent(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    found = await submit_batch(runs, *drafts(SIX[:3]))
    assert {run.run_id for run in found} == set(sandbox.state.runs)


async def test_repeating_a_batch_returns_its_existing_runs(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    first = await submit_batch(runs, *drafts(SIX))
    again = await submit_batch(runs, *drafts(SIX))
    assert [run.key for run in again] == [run.key for run in first]
    assert all(run.is_duplicate for run in again)
    assert sandbox.state.arrived["execute_inference"] == 5


async def test_starts_only_new_runs_in_a_batch(runs: Runs, sandbox: RunningSandbox) -> None:
    known = await submit(runs, prompt=SIX[1])
    found = await submit_batch(runs, *drafts(SIX[:3]))
    assert [run.is_duplicate for run in found] == [False, True, False]
    assert found[1].run_id == known.run_id
    assert len(sandbox.state.runs) == 3


async def test_equal_requests_of_one_batch_are_refused(runs: Runs, sandbox: RunningSandbox) -> None:
    with pytest.raises(LayerError, match="Requests 1 and 2 are equal"):
        await prepare(runs, draft(), draft(), is_batch=True)
    assert not sandbox.state.arrived["estimate_price"]


async def test_equal_requests_of_one_batch_are_started_when_they_are_wanted(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    found = await submit_batch(runs, draft(), draft(), draft(), repeat=True)
    assert {run.run_id for run in found} == set(sandbox.state.runs)
    assert [run.request.copy_number for run in found] == [0, 1, 2]


async def test_a_refused_run_does_not_block_the_others(runs: Runs, sandbox: RunningSandbox) -> None:
    refusal = Fault("status", status=422, code="CONTENT_POLICY_VIOLATION")
    sandbox.state.knobs.fail_next("execute_inference", refusal)
    await submit_batch(runs, *drafts(SIX))
    # The last one is sent in the background, once the refused one has given its slot back.
    found = await until_counts(runs, in_progress=5, not_sent=1)
    [refused] = [run for run in found if run.state == "not_sent"]
    assert refused.error is not None
    assert refused.error.code == "CONTENT_POLICY_VIOLATION"
    assert len(sandbox.state.runs) == 5


async def test_retries_a_run_that_exceeds_layers_limit(runs: Runs, sandbox: RunningSandbox) -> None:
    limited = Fault("status", status=429, code="RATE_LIMITED", headers={"Retry-After": "0"})
    sandbox.state.knobs.fail_next("execute_inference", *[limited] * 6)
    await submit_batch(runs, draft())
    [run] = await until_states(runs, "in_progress")
    assert [run.run_id] == list(sandbox.state.runs)
    assert run.attempt == sandbox.state.arrived["execute_inference"] == 7


async def test_runs_that_are_confirmed_together_have_no_warnings(runs: Runs) -> None:
    found = await submit_batch(runs, *drafts(SIX[:5]))
    assert [run.warnings for run in found] == [()] * 5


async def test_gives_up_on_a_run_that_exceeds_layers_limit_too_often(
    runs: Runs, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "MAX_REFUSALS", 1)
    monkeypatch.setattr(queue, "PAUSE_AFTER_REFUSAL_SECONDS", 0)
    limited = Fault("status", status=429, code="RATE_LIMITED", headers={"Retry-After": "0"})
    sandbox.state.knobs.fail_next("execute_inference", *[limited] * 4)
    await submit_batch(runs, draft())
    [run] = await until_states(runs, "not_sent")
    assert (run.attempt, run.error and run.error.code) == (4, "RATE_LIMITED")


async def test_a_batch_continues_when_its_caller_is_cancelled(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", *[Fault("slow", delay_seconds=0.5)] * 3)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(submit_batch, runs, *drafts(SIX[:3]))
        await until_sent(sandbox)
        tasks.cancel_scope.cancel()
    found = await until_states(runs, *["in_progress"] * 3)
    assert {run.run_id for run in found} == set(sandbox.state.runs)


async def test_a_batch_above_a_limit_starts_nothing(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    limited = environment | {"LAYER_MAX_SPEND_PER_DAY": "0.25"}
    pictures = [draft(prompt=prompt, width=1000, height=1000) for prompt in SIX[:3]]
    async with open_runs(Settings.from_env(limited)) as runs:
        with pytest.raises(LayerError, match="SPENDING_LIMIT_REACHED"):
            await submit_batch(runs, *pictures)
        assert await runs.list() == []
    assert not sandbox.state.runs


async def test_unsent_runs_of_an_ended_block_can_be_requested_again(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    async with open_runs(Settings.from_env(environment)) as runs:
        await submit_batch(runs, *drafts([*SIX, "a shield"]))
    states = [run.state for run in await list_runs(environment)][::-1]
    assert states == ["in_progress"] * 5 + ["not_sent"] * 2
    sandbox.state.knobs.run_seconds = 0
    async with open_runs(Settings.from_env(environment)) as runs:
        again = await submit_batch(runs, *drafts([*SIX, "a shield"]))
    assert [run.is_duplicate for run in again] == [True] * 5 + [False] * 2
    assert sorted(prompts(sandbox)) == sorted([*SIX, "a shield"])
