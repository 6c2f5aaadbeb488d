"""Library calls as a program makes them: drafts, plans, and runs in the sandbox."""

from collections import Counter
from typing import Any

import anyio

from layer_mcp.runs.drafts import InferenceDraft
from layer_mcp.runs.service import Runs
from layer_mcp.runs.types.budget import CallBudget
from layer_mcp.runs.types.plan import Plan, SubmitOptions
from layer_mcp.runs.types.run import Run
from layer_mcp.sandbox import RunningSandbox

from .hosts import SMALL_IMAGE

CALL_SECONDS = 45
WAIT_SECONDS = 30


def draft(**fields: Any) -> InferenceDraft:
    """Return the draft of a small image, with these fields instead."""
    return InferenceDraft.model_validate(SMALL_IMAGE | fields)


async def prepare(
    runs: Runs,
    *drafts: InferenceDraft,
    seconds: float = CALL_SECONDS,
    repeat: bool = False,
    is_batch: bool = False,
) -> Plan:
    """Plan a call, by default for one small image."""
    options = SubmitOptions(repeat=repeat, is_batch=is_batch)
    return await runs.prepare(drafts or [draft()], options, CallBudget.begin(seconds))


async def submit(
    runs: Runs, *, seconds: float = CALL_SECONDS, repeat: bool = False, **fields: Any
) -> Run:
    """Plan and submit one run."""
    plan = await prepare(runs, draft(**fields), seconds=seconds, repeat=repeat)
    return await runs.submit(plan, approved=False)


async def submit_batch(
    runs: Runs, *drafts: InferenceDraft, seconds: float = CALL_SECONDS, repeat: bool = False
) -> list[Run]:
    """Plan and submit a batch."""
    plan = await prepare(runs, *drafts, seconds=seconds, repeat=repeat, is_batch=True)
    return await runs.submit_batch(plan, approved=False)


async def until_sent(sandbox: RunningSandbox, count: int = 1) -> None:
    """Wait until paid requests have arrived at the sandbox, which runs in a separate thread."""
    with anyio.fail_after(WAIT_SECONDS):
        while sandbox.state.arrived["execute_inference"] < count:  # noqa: ASYNC110
            await anyio.sleep(0.01)


async def until_states(runs: Runs, *expected: str) -> list[Run]:
    """Wait until the runs are in these states, in order of submission."""
    with anyio.fail_after(WAIT_SECONDS):
        while True:
            found = (await runs.list(limit=100))[::-1]
            if [run.state for run in found] == list(expected):
                return found
            await anyio.sleep(0.02)


def prompts(sandbox: RunningSandbox) -> list[str]:
    """Return the prompts of the runs that the sandbox accepted, in order."""
    return [run.request.prompt or "" for run in sandbox.state.runs.values()]


async def until_counts(runs: Runs, **expected: int) -> list[Run]:
    """Wait until this many runs are in each of these states, and none in others."""
    with anyio.fail_after(WAIT_SECONDS):
        while True:
            found = list(await runs.list(limit=100))
            if Counter(run.state for run in found) == expected:
                return found
            await anyio.sleep(0.02)
