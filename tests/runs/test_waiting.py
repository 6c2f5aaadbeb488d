"""Several runs are waited for together."""

import pytest

from layer_mcp.runs.service import Runs
from layer_mcp.runs.types.filters import RunFilter
from layer_mcp.sandbox import RunningSandbox

from ..support.library import submit

pytestmark = pytest.mark.anyio


async def test_waits_for_many_runs_together(runs: Runs, sandbox: RunningSandbox) -> None:
    sandbox.state.knobs.run_seconds = 0.3
    for prompt in "abc":
        await submit(runs, prompt=prompt)
    reported: list[tuple[int, int]] = []

    async def report(ended: int, count: int) -> None:
        reported.append((ended, count))

    await runs.wait_many(RunFilter(), "all", 20, on_ended=report)
    assert [run.state for run in await runs.list()] == ["complete"] * 3
    assert reported[-1] == (3, 3)


async def test_waiting_for_any_ends_with_the_first(runs: Runs, sandbox: RunningSandbox) -> None:
    sandbox.state.knobs.run_seconds = 50
    for prompt, now in (("first", 0), ("second", 40)):
        sandbox.state.clock = lambda now=now: now
        await submit(runs, prompt=prompt)
    sandbox.state.clock = lambda: 60
    await runs.wait_many(RunFilter(), "any", 20)
    found = {run.request.prompt: run.state for run in await runs.list()}
    assert found == {"first": "complete", "second": "in_progress"}
