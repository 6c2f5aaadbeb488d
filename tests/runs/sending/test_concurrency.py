"""Many simultaneous generations wait for slots within Layer's limits."""

import asyncio
from typing import Any

import anyio
import pytest

from layer_mcp import CallBudget, InvalidRequestError, RateLimitError
from layer_mcp.runs.sending import queue, submitter
from layer_mcp.runs.service import Runs
from layer_mcp.sandbox import Fault, RunningSandbox

from ...support.hosts import SMALL_IMAGE
from ...support.library import draft, prepare, prompts, submit, until_states

pytestmark = pytest.mark.anyio

TWENTY = [f"potion {number}" for number in range(20)]
LIMITED = Fault("status", status=429, code="RATE_LIMITED", headers={"Retry-After": "0"})


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(submitter, "PAUSE_AFTER_REFUSAL_SECONDS", 0.05)


@pytest.mark.slow
async def test_twenty_simultaneous_generations_all_finish_and_are_paid_once(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    # Together longer than a call of a host waits for its turn.
    sandbox.state.knobs.run_seconds = 2.5
    requests: list[dict[str, Any]] = [SMALL_IMAGE | {"prompt": prompt} for prompt in TWENTY]
    finished = await asyncio.gather(*(runs.generate(**fields) for fields in requests))
    assert [run.state for run in finished] == ["complete"] * 20
    assert [run.request.prompt for run in finished] == TWENTY
    assert sorted(prompts(sandbox)) == sorted(TWENTY)
    # Layer refuses a sixth run at the same time, so no request was one too many.
    assert sandbox.state.arrived["execute_inference"] == 20


@pytest.mark.slow
async def test_a_generation_without_a_slot_waits_until_a_run_ends(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    for prompt in TWENTY[:5]:
        await submit(runs, prompt=prompt)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_generate, runs)
        await until_states(runs, *["in_progress"] * 5, "queued")
        sandbox.state.knobs.run_seconds = 0
    assert sandbox.state.arrived["execute_inference"] == 6


@pytest.mark.slow
async def test_retries_a_generation_that_exceeds_layers_limit(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", *[LIMITED] * 6)
    run = await runs.generate(**SMALL_IMAGE)
    assert run.state == "complete"
    assert [run.run_id] == list(sandbox.state.runs)
    assert sandbox.state.arrived["execute_inference"] == 7


async def test_a_call_with_a_host_timeout_does_not_wait_for_another_slot(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", *[LIMITED] * 4)
    with pytest.raises(RateLimitError):
        await submit(runs)
    [run] = await runs.list()
    assert run.state == "not_sent"


@pytest.mark.slow
async def test_a_queued_run_is_followed_to_its_end(runs: Runs, sandbox: RunningSandbox) -> None:
    sandbox.state.knobs.run_seconds = 600
    plan = await runs.prepare(
        [draft(prompt=prompt) for prompt in TWENTY[:6]], budget=CallBudget.begin(45)
    )
    *_, last = await runs.submit_batch(plan)
    assert (last.state, last.run_id) == ("queued", None)
    assert (await runs.follow(last, 0.1)).state == "queued"
    sandbox.state.knobs.run_seconds = 0
    assert (await runs.follow(last, 60)).state == "complete"


async def test_a_program_waits_longer_for_a_slot_than_a_host() -> None:
    now = anyio.current_time()
    assert CallBudget.begin(3_600).submit_by - now < 60
    assert CallBudget.of_a_program().submit_by - now > 3_000


async def test_a_plan_of_several_is_not_submitted_as_one(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    plan = await prepare(runs, draft(), draft(prompt="a shield"), is_batch=True)
    with pytest.raises(InvalidRequestError, match="submit_batch"):
        await runs.submit(plan)


async def _generate(runs: Runs) -> None:
    await runs.generate(**SMALL_IMAGE)
