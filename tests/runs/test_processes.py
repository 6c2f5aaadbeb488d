"""Several processes of one account: one request, one sender, and nothing forgotten."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest

from layer_mcp import LayerError, Settings
from layer_mcp.runs.drafts import InferenceDraft
from layer_mcp.runs.opening import open_runs
from layer_mcp.runs.types.filters import RunFilter
from layer_mcp.sandbox import Fault, RunningSandbox

from ..support.hosts import SMALL_IMAGE
from ..support.journals import list_runs, open_journal
from ..support.library import prompts, submit, submit_batch, until_sent
from ..support.storages import Storage
from ..support.submitting_process import SubmittingProcess, submitting_process

pytestmark = [pytest.mark.anyio, pytest.mark.process]

PROCESSES = 4
SUBMISSIONS = 50


@pytest.fixture
def state_folder(tmp_path: Path) -> Path:
    """The folder in the settings."""
    return tmp_path / "state"


@pytest.fixture
def environment(environment: dict[str, str], storage: Storage) -> dict[str, str]:
    """The settings, with the journal in either database."""
    return {**environment, **storage.environment}


def potions(count: int) -> list[dict[str, Any]]:
    """Different drafts."""
    return [SMALL_IMAGE | {"prompt": f"potion {number}"} for number in range(count)]


def start_batch(child: SubmittingProcess) -> list[str]:
    """Let a process submit its batch; the states of the runs."""
    child.wait_until_ready()
    child.go()
    return [run["state"] for run in child.runs()]


async def test_fifty_equal_submissions_from_four_processes_are_one_request(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    shares = [list(range(SUBMISSIONS))[first::PROCESSES] for first in range(PROCESSES)]
    with ExitStack() as stack:
        children = [
            stack.enter_context(submitting_process(environment, "each", [SMALL_IMAGE] * len(share)))
            for share in shares
        ]
        for child in children:
            child.wait_until_ready()
        for child in children:
            child.go()
        found = [run for child in children for run in child.runs()]
    assert len(found) == SUBMISSIONS
    assert {run["run_id"] for run in found} == set(sandbox.state.runs)
    assert sum(run["is_duplicate"] for run in found) == SUBMISSIONS - 1
    assert sandbox.state.arrived["execute_inference"] == 1
    assert [run.run_id for run in await list_runs(environment)] == list(sandbox.state.runs)


async def test_a_queued_row_is_enough_for_another_process_to_send_the_run_once(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    with submitting_process(environment, "batch", potions(6)) as child:
        assert start_batch(child) == ["in_progress"] * 5 + ["queued"]
        with open_journal(environment) as journal:
            [run, *_] = await journal.list_runs(RunFilter(), 10)
            assert (run.state, run.request.prompt) == ("queued", "potion 5")
            # Layer has room again before the first process notices.
            sandbox.state.knobs.max_runs_at_once = 6
            async with open_runs(Settings.from_env(environment)) as runs:
                confirmed = await runs.send_queued(run)
            sandbox.state.knobs.run_seconds = 0
            await until_ended(environment)
    assert prompts(sandbox).count("potion 5") == 1
    assert sandbox.state.arrived["execute_inference"] == 6
    [found] = [one for one in await list_runs(environment) if one.key == run.key]
    assert (found.run_id, found.attempt) == (confirmed.run_id, 1)


async def until_ended(environment: dict[str, str]) -> None:
    """Wait until all runs have ended and every waiting call has had its chance."""
    async with open_runs(Settings.from_env(environment)) as runs:
        await runs.wait_many(RunFilter(), "all", 30)
    await anyio.sleep(2)


async def test_two_processes_that_send_the_same_row_send_it_once(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    with submitting_process(environment, "batch", potions(6)) as child:
        start_batch(child)
        sandbox.state.knobs.max_runs_at_once = 6
        sandbox.state.knobs.fail_next("execute_inference", Fault("slow", delay_seconds=1))
        errors: list[str] = []

        async def send() -> None:
            async with open_runs(Settings.from_env(environment)) as runs:
                [run, *_] = await runs.list()
                try:
                    await runs.send_queued(run)
                except LayerError as error:
                    errors.append(error.code)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            tasks.start_soon(send)
    assert errors == ["NOT_SENT"]
    assert prompts(sandbox).count("potion 5") == 1


async def test_the_queued_runs_of_a_killed_process_are_not_sent_and_the_same_call_starts_them(
    environment: dict[str, str], sandbox: RunningSandbox, storage: Storage
) -> None:
    sandbox.state.knobs.run_seconds = 600
    with submitting_process(environment, "batch", potions(7)) as child:
        assert start_batch(child) == ["in_progress"] * 5 + ["queued"] * 2
        child.kill()
    storage.expire()
    found = (await list_runs(environment))[::-1]
    assert [run.state for run in found] == ["in_progress"] * 5 + ["not_sent"] * 2
    assert {run.error.code for run in found if run.error} == {"SERVER_STOPPED"}
    sandbox.state.knobs.run_seconds = 0
    async with open_runs(Settings.from_env(environment)) as runs:
        drafts = [InferenceDraft.model_validate(fields) for fields in potions(7)]
        again = await submit_batch(runs, *drafts)
    assert [run.is_duplicate for run in again] == [True] * 5 + [False] * 2
    assert sorted(prompts(sandbox)) == [f"potion {number}" for number in range(7)]


async def test_never_resends_a_run_that_a_killed_process_was_sending(
    environment: dict[str, str], sandbox: RunningSandbox, storage: Storage
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", Fault("slow", delay_seconds=5))
    with submitting_process(environment, "each", [SMALL_IMAGE]) as child:
        child.wait_until_ready()
        child.go()
        await until_sent(sandbox)
        child.kill()
    storage.expire()
    [run] = await list_runs(environment)
    assert run.state == "unknown"
    async with open_runs(Settings.from_env(environment)) as runs:
        with pytest.raises(LayerError, match="OUTCOME_UNKNOWN"):
            await submit(runs)
    assert sandbox.state.arrived["execute_inference"] == 1
