"""Waiting at scale: many get_status calls at the same time, and list_runs over a whole batch."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio
from mcp import Client, StdioServerParameters

from .harness import (
    IMAGE_MODEL_ID,
    SandboxChild,
    call,
    call_for_answer,
    module_command,
    running_sandbox_child,
    stdio_server,
)
from .report import MEGABYTE, Row, budget_row, count, megabytes, ms, seconds

MAX_POLLS_RATIO = 1.05
MAX_GROWTH_BYTES = 64 * MEGABYTE
MAX_LAG_MS = 50.0
LIMIT_SECONDS = 180
# The last poll comes well after the end of the run and well within the longest wait of a call,
# even if the first one was late.
RUN_INTERVALS = 2.6
WAIT_INTERVALS = 4.5
BATCH_POLL_INTERVAL_SECONDS = 1
BATCH_RUN_SECONDS = 1.6
# The answer to a submission counts as its first look.
BATCH_LEAST_POLLS_A_RUN = math.ceil(BATCH_RUN_SECONDS / BATCH_POLL_INTERVAL_SECONDS)
BATCH_WAIT_SECONDS = 40
BATCH_MAX_PRICE = 1000


@dataclass(frozen=True)
class ManyWaits:
    """What the server, its client, and the sandbox counted.

    The least polls are `least_polls` summed over all waits, from the first poll that arrived for
    each. The least wall time ends with the runs. Memory is the growth of the server over itself
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


@dataclass(frozen=True)
class BatchWait:
    """What arrived at the sandbox. The least polls see each run's end within one interval.

    The server keeps Layer's limit of five runs at the same time, so most runs wait for others.
    """

    runs: int
    run_seconds: float
    poll_interval_seconds: int
    calls: int
    polls: int
    least_polls: int


def measure_many_waits(waits: int, poll_interval_seconds: int) -> ManyWaits:
    """Run the sandbox and the server in a process each, and the calls in this one."""
    options = (
        f"--run-seconds={RUN_INTERVALS * poll_interval_seconds}",
        f"--poll-interval-seconds={poll_interval_seconds}",
    )
    with running_sandbox_child(*options, limit_seconds=LIMIT_SECONDS) as sandbox:
        return anyio.run(_measure_waits, sandbox, waits, poll_interval_seconds)


def measure_batch_wait(runs: int) -> BatchWait:
    """Call the installed server, with a sandbox in another process."""
    options = (
        f"--run-seconds={BATCH_RUN_SECONDS}",
        f"--poll-interval-seconds={BATCH_POLL_INTERVAL_SECONDS}",
    )
    with running_sandbox_child(*options, limit_seconds=LIMIT_SECONDS) as sandbox:
        calls = anyio.run(_run_batch, sandbox.variables, runs)
        polls = sandbox.stop().arrived["get_inference"]
    return BatchWait(
        runs=runs,
        run_seconds=BATCH_RUN_SECONDS,
        poll_interval_seconds=BATCH_POLL_INTERVAL_SECONDS,
        calls=calls,
        polls=polls,
        least_polls=runs * BATCH_LEAST_POLLS_A_RUN,
    )


def least_polls(remaining_seconds: float, interval_seconds: float) -> int:
    """Return the fewest polls that see the end of a run within one interval of it.

    A wait polls at 0 and then at every whole interval until the first poll at or after the run's
    end: 1 + ceil(remaining / interval).
    """
    return 1 + max(math.ceil(remaining_seconds / interval_seconds), 0)


def waits_rows(waits: ManyWaits) -> list[Row]:
    """Compare polls, time until all are answered, memory and lag with their references."""
    name = f"{waits.waits:,} waits"
    late_seconds = waits.wall_seconds - waits.least_wall_seconds
    return [
        _polls_row(f"{name}: polls", waits.polls, waits.least_polls),
        Row(
            measure=f"{name}: all answered",
            ours=waits.wall_seconds,
            shown=seconds,
            reference=waits.least_wall_seconds,
            reference_name="end of the last run",
            compared=f"{late_seconds:+.2f} s",
            aim=f"at most +{waits.poll_interval_seconds} s",
            is_met=late_seconds <= waits.poll_interval_seconds,
            group="waits",
        ),
        budget_row(f"{name}: memory", waits.peak_rss_growth_bytes, MAX_GROWTH_BYTES, megabytes),
        Row(measure="  the server before", ours=waits.idle_rss_bytes, shown=megabytes),
        budget_row(f"{name}: lag, 99th percentile", waits.lag_ms_99, MAX_LAG_MS, ms),
        Row(measure="  the longest lag", ours=waits.longest_lag_ms, shown=ms),
    ]


def batch_rows(wait: BatchWait) -> list[Row]:
    """Compare the polls of a list_runs call that waits for a batch with the fewest possible."""
    return [_polls_row(f"Batch of {wait.runs}: polls", wait.polls, wait.least_polls)]


def _polls_row(measure: str, polls: int, fewest: int) -> Row:
    ratio = polls / fewest
    return Row(
        measure=measure,
        ours=polls,
        shown=count,
        reference=fewest,
        reference_name="one an interval",
        compared=f"{ratio:.2f} x",
        aim=f"at most {MAX_POLLS_RATIO:.2f} x",
        is_met=ratio <= MAX_POLLS_RATIO,
        group="waits",
    )


async def _measure_waits(sandbox: SandboxChild, waits: int, interval_seconds: int) -> ManyWaits:
    command, *arguments = module_command("own_servers")
    server = StdioServerParameters(command=command, args=arguments, env=sandbox.variables)
    wait_seconds = WAIT_INTERVALS * interval_seconds
    with anyio.fail_after(LIMIT_SECONDS):
        async with Client(server) as client:
            # The first call includes the imports and connections.
            await call(client, "get_status", _waiting(sandbox.start_runs(1)[0], 0))
            await call(client, "begin", {})
            started_at = time.monotonic()
            inference_ids = sandbox.start_runs(waits)
            begun_at = time.monotonic()
            completed = await _wait_for_all(client, inference_ids, wait_seconds)
            ended_at = time.monotonic()
            health = await call_for_answer(client, "measured", {})
    run_seconds = RUN_INTERVALS * interval_seconds
    seen = sandbox.stop()
    remaining = [seen.remaining_seconds[inference_id] for inference_id in inference_ids]
    return ManyWaits(
        waits=waits,
        run_seconds=run_seconds,
        poll_interval_seconds=interval_seconds,
        completed_runs=completed,
        polls=seen.arrived["get_inference"] - 1,
        least_polls=sum(least_polls(left, interval_seconds) for left in remaining),
        wall_seconds=ended_at - begun_at,
        least_wall_seconds=started_at + run_seconds - begun_at,
        idle_rss_bytes=health["idle_rss_bytes"],
        peak_rss_growth_bytes=health["peak_rss_bytes"] - health["idle_rss_bytes"],
        lag_ms_99=health["lag_ms_99"],
        longest_lag_ms=health["longest_lag_ms"],
    )


async def _wait_for_all(client: Client, inference_ids: list[str], wait_seconds: float) -> int:
    """Wait for every run with its own call, and return how many are complete."""
    statuses: list[str] = []

    async def wait(inference_id: str) -> None:
        run = await call_for_answer(client, "get_status", _waiting(inference_id, wait_seconds))
        statuses.append(run["status"])

    async with anyio.create_task_group() as tasks:
        for inference_id in inference_ids:
            tasks.start_soon(wait, inference_id)
    return statuses.count("complete")


def _waiting(inference_id: str, wait_seconds: float) -> dict[str, Any]:
    # A preview would cost more GETs.
    return {"inference_id": inference_id, "wait_seconds": wait_seconds, "preview": False}


async def _run_batch(variables: Mapping[str, str], runs: int) -> int:
    """Start a batch, wait until it ends, and return the number of calls that waited."""
    batch: dict[str, Any] = {
        "defaults": {"model_id": IMAGE_MODEL_ID, "batch_size": 1, "width": 64, "height": 64},
        "requests": [{"prompt": f"a red potion, number {number}"} for number in range(runs)],
        "max_price_creative_units": BATCH_MAX_PRICE,
    }
    with anyio.fail_after(LIMIT_SECONDS):
        async with Client(stdio_server(variables)) as client:
            batch_id = (await call_for_answer(client, "execute_batch", batch))["batch_id"]
            wait = {"batch_id": batch_id, "wait_for": "all", "wait_seconds": BATCH_WAIT_SECONDS}
            calls, running = 0, runs
            while running:
                running = (await call_for_answer(client, "list_runs", wait))["running"]
                calls += 1
            complete = {"batch_id": batch_id, "status": "complete"}
            ended = await call_for_answer(client, "list_runs", complete)
    if ended["total"] != runs:
        raise RuntimeError(f"{ended['total']} of {runs} runs are complete.")
    return calls
