"""A run is read, and waited for as long as asked."""

import anyio
import pytest

from layer_mcp import LayerError, Settings
from layer_mcp.runs.opening import open_runs
from layer_mcp.runs.service import Runs
from layer_mcp.sandbox import Fault, RunningSandbox

from ..support.hosts import SMALL_IMAGE
from ..support.library import submit

pytestmark = pytest.mark.anyio

UNKNOWN_ID = "99999999-0000-4000-8000-000000000000"


async def test_a_run_is_read_by_its_id(runs: Runs) -> None:
    run = await submit(runs)
    found = await runs.get((run.run_id or "").upper(), wait_seconds=10)
    assert (found.state, found.run_id, found.key) == ("complete", run.run_id, run.key)
    assert found.request.prompt == "a red potion"


async def test_a_run_of_another_program_is_read_too(
    runs: Runs, environment: dict[str, str]
) -> None:
    elsewhere = environment | {"LAYER_STATE_DIR": environment["LAYER_STATE_DIR"] + "-other"}
    async with open_runs(Settings.from_env(elsewhere)) as others:
        run = await others.generate(**SMALL_IMAGE)
    found = await runs.get(run.run_id or "")
    assert (found.state, found.outputs, found.key) == ("complete", run.outputs, "")


async def test_a_run_that_layer_does_not_have_is_an_error(runs: Runs) -> None:
    with pytest.raises(LayerError, match="INFERENCE_NOT_FOUND"):
        await runs.get(UNKNOWN_ID)


async def test_a_wait_ends_with_its_time(runs: Runs, sandbox: RunningSandbox) -> None:
    sandbox.state.knobs.run_seconds = 600
    run = await submit(runs)
    assert (await runs.follow(run, 0.2)).state == "in_progress"


async def test_a_wait_can_be_ended_early(runs: Runs, sandbox: RunningSandbox) -> None:
    sandbox.state.knobs.run_seconds = 600
    run = await submit(runs)

    async def stop() -> None:
        await anyio.sleep(0.2)
        runs.stop_waiting((run.run_id or "").upper())

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop)
            assert (await runs.follow(run, 600)).state == "in_progress"


async def test_a_failed_run_says_why_and_what_it_cost(runs: Runs, sandbox: RunningSandbox) -> None:
    sandbox.state.knobs.run_error = ("NO_MEDIA_GENERATED", "Nothing came of it.")
    run = await runs.generate(**SMALL_IMAGE)
    assert run.state == "failed"
    assert run.error is not None
    assert (run.error.code, run.error.message) == ("NO_MEDIA_GENERATED", "Nothing came of it.")


async def test_a_failure_while_waiting_is_a_warning_on_the_paid_run(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    run = await submit(runs)
    refusal = Fault("status", status=403, code="FORBIDDEN")
    sandbox.state.knobs.fail_next("get_inference", *[refusal] * 5)
    followed = await runs.follow(run, 10)
    assert followed.run_id == run.run_id
    assert "The run was started, but then" in followed.warnings[0]


async def test_a_failure_while_waiting_for_a_duplicate_is_an_error(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    await submit(runs)
    run = await submit(runs)
    refusal = Fault("status", status=403, code="FORBIDDEN")
    sandbox.state.knobs.fail_next("get_inference", *[refusal] * 5)
    with pytest.raises(LayerError, match="FORBIDDEN") as caught:
        await runs.follow(run, 10)
    assert caught.value.facts["duplicate"] is True
