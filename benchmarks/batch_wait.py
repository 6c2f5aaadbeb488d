"""Waiting for all runs of a batch by list_runs: polls beside the least possible."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio
from mcp import Client

from .children import running_sandbox_child
from .finished_run import MODEL_ID
from .four_pictures import stdio_server

POLL_INTERVAL_SECONDS = 1
RUN_SECONDS = 1.6
# The answer to a submission counts as its first look.
LEAST_POLLS_A_RUN = math.ceil(RUN_SECONDS / POLL_INTERVAL_SECONDS)
WAIT_SECONDS = 40
MAX_PRICE_CREATIVE_UNITS = 1000
LIMIT_SECONDS = 180


@dataclass(frozen=True)
class BatchWait:
    """What arrived at the sandbox; the least polls see each run's end within one interval.

    The server keeps Layer's limit of five runs at once, so most runs wait for others to end.
    """

    runs: int
    run_seconds: float
    poll_interval_seconds: int
    calls: int
    polls: int
    least_polls: int


def measure_batch_wait(runs: int) -> BatchWait:
    """Call the installed server, beside a sandbox in a process of its own."""
    knobs = (
        f"--run-seconds={RUN_SECONDS}",
        f"--poll-interval-seconds={POLL_INTERVAL_SECONDS}",
    )
    with running_sandbox_child(*knobs, limit_seconds=LIMIT_SECONDS) as sandbox:
        calls = anyio.run(_run_a_batch, sandbox.variables, runs)
        polls = sandbox.stop().arrived["get_inference"]
    return BatchWait(
        runs=runs,
        run_seconds=RUN_SECONDS,
        poll_interval_seconds=POLL_INTERVAL_SECONDS,
        calls=calls,
        polls=polls,
        least_polls=runs * LEAST_POLLS_A_RUN,
    )


async def _run_a_batch(variables: Mapping[str, str], runs: int) -> int:
    """Start a batch and wait for its end; the number of calls that waited."""
    batch: dict[str, Any] = {
        "defaults": {"model_id": MODEL_ID, "batch_size": 1, "width": 64, "height": 64},
        "requests": [{"prompt": f"a red potion, number {number}"} for number in range(runs)],
        "max_price_creative_units": MAX_PRICE_CREATIVE_UNITS,
    }
    with anyio.fail_after(LIMIT_SECONDS):
        async with Client(stdio_server(variables)) as client:
            batch_id = (await _call(client, "execute_batch", batch))["batch_id"]
            wait = {"batch_id": batch_id, "wait_for": "all", "wait_seconds": WAIT_SECONDS}
            calls = 0
            while True:
                listed = await _call(client, "list_runs", wait)
                calls += 1
                if listed["running"] == 0:
                    break
            ended = await _call(client, "list_runs", {"batch_id": batch_id, "status": "complete"})
    if ended["total"] != runs:
        raise RuntimeError(f"{ended['total']} of {runs} runs are complete.")
    return calls


async def _call(client: Client, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    if result.is_error or result.structured_content is None:
        raise RuntimeError(f"{tool} failed: {result.content}")
    return result.structured_content
