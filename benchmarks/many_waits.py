"""Many get_status calls that wait at once, in one server process."""

import math
import time
from dataclasses import dataclass
from typing import Any

import anyio
from mcp import Client, StdioServerParameters

from .children import SandboxChild, running_sandbox_child, script_command

# The last poll comes well after the end of the run and well within the longest wait of a call,
# also where the first one was late.
RUN_INTERVALS = 2.6
WAIT_INTERVALS = 4.5
LIMIT_SECONDS = 120


@dataclass(frozen=True)
class ManyWaits:
    """What the server, its client and the sandbox counted.

    The least polls are `least_polls` summed over all waits, from the first poll that arrived for
    each; the least wall time ends with the runs. Memory is the growth of the server over itself
    after one call. The lag is how late ticks of 10 ms came on the server's event loop, from the
    first call to the last answer.
    """

    waits: int
    run_seconds: float
    poll_interval_seconds: int
    completed_runs: int
    polls: int
    least_polls: int
    wall_seconds: float
    least_wall_seconds: float
    idle_rss_bytes: int
    peak_rss_growth_bytes: int
    lag_ms_99: float
    longest_lag_ms: float


def measure_many_waits(waits: int, poll_interval_seconds: int) -> ManyWaits:
    """Run the sandbox and the server in a process each, and the calls in this one."""
    knobs = (
        f"--run-seconds={RUN_INTERVALS * poll_interval_seconds}",
        f"--poll-interval-seconds={poll_interval_seconds}",
    )
    with running_sandbox_child(*knobs, limit_seconds=LIMIT_SECONDS) as sandbox:
        return anyio.run(_measure, sandbox, waits, poll_interval_seconds)


def least_polls(remaining_seconds: float, interval_seconds: float) -> int:
    """The fewest polls that see the end of a run within one interval of it.

    A wait polls at 0 and then at every whole interval until the first poll at or after the run's
    end: 1 + ceil(remaining / interval).
    """
    return 1 + max(math.ceil(remaining_seconds / interval_seconds), 0)


async def _measure(sandbox: SandboxChild, waits: int, interval_seconds: int) -> ManyWaits:
    command, *script = script_command("waits_process.py")
    server = StdioServerParameters(command=command, args=script, env=sandbox.variables)
    wait_seconds = WAIT_INTERVALS * interval_seconds
    with anyio.fail_after(LIMIT_SECONDS):
        async with Client(server) as client:
            # The first call brings the imports and the connections.
            await _call(client, "get_status", _waiting(sandbox.start(1)[0], 0))
            await _call(client, "begin", {})
            started_at = time.monotonic()
            inference_ids = sandbox.start(waits)
            begun_at = time.monotonic()
            completed = await _wait_for_all(client, inference_ids, wait_seconds)
            ended_at = time.monotonic()
            health = await _call(client, "measured", {})
    run_seconds = RUN_INTERVALS * interval_seconds
    seen = sandbox.stop()
    remaining = [seen.remaining_seconds[inference_id] for inference_id in inference_ids]
    return ManyWaits(
        waits=waits,
        run_seconds=run_seconds,
        poll_interval_seconds=interval_seconds,
        completed_runs=completed,
        polls=seen.arrived["get_inference"] - 1,
        least_polls=sum(least_polls(seconds, interval_seconds) for seconds in remaining),
        wall_seconds=ended_at - begun_at,
        least_wall_seconds=started_at + run_seconds - begun_at,
        idle_rss_bytes=health["idle_rss_bytes"],
        peak_rss_growth_bytes=health["peak_rss_bytes"] - health["idle_rss_bytes"],
        lag_ms_99=health["lag_ms_99"],
        longest_lag_ms=health["longest_lag_ms"],
    )


async def _wait_for_all(client: Client, inference_ids: list[str], wait_seconds: float) -> int:
    """Wait for all runs at once, a call each; the number of them that are complete."""
    statuses: list[str] = []

    async def wait(inference_id: str) -> None:
        answer = await _call(client, "get_status", _waiting(inference_id, wait_seconds))
        statuses.append(answer["status"])

    async with anyio.create_task_group() as tasks:
        for inference_id in inference_ids:
            tasks.start_soon(wait, inference_id)
    return statuses.count("complete")


def _waiting(inference_id: str, wait_seconds: float) -> dict[str, Any]:
    # A preview would cost GETs of its own.
    return {"inference_id": inference_id, "wait_seconds": wait_seconds, "preview": False}


async def _call(client: Client, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    if result.is_error or result.structured_content is None:
        raise RuntimeError(f"{tool} failed: {result.content}")
    return result.structured_content
