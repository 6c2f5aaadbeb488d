"""Many waits at once in one process, with one LayerClient and no MCP; prints a line of JSON.

Takes the sandbox from the LAYER_* variables and the numbers from the command line.
"""

import argparse
import json
import math
import time
from dataclasses import asdict, dataclass

import anyio
import psutil

from layer_mcp import InferenceRequest, LayerClient

# The sandbox's video model: its file is copied, not drawn, so 500 runs that end at once do not
# keep the sandbox busy while it is polled.
MODEL_ID = "00000000-0000-4000-8000-000000000003"
SUBMISSIONS_AT_ONCE = 20
MEMORY_SAMPLE_SECONDS = 0.05
WAIT_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Waited:
    """What the waiting process saw."""

    least_polls: int
    completed_runs: int
    wall_seconds: float
    least_wall_seconds: float
    idle_rss_bytes: int
    peak_rss_bytes: int


def main() -> None:
    """Start the runs, wait for all of them at once, print what came of it."""
    parser = argparse.ArgumentParser(description="Many waits at once.")
    parser.add_argument("--waits", type=int, required=True)
    parser.add_argument("--run-seconds", type=float, required=True)
    parser.add_argument("--poll-interval-seconds", type=int, required=True)
    options = parser.parse_args()
    waited = anyio.run(
        wait_for_many, options.waits, options.run_seconds, options.poll_interval_seconds
    )
    print(json.dumps(asdict(waited)))


async def wait_for_many(waits: int, run_seconds: float, poll_interval_seconds: int) -> Waited:
    """Start runs, then wait for all of them at once."""
    async with LayerClient.from_env() as client:
        await client.list_workspaces()
        memory = Memory()
        submitted_at = await _submit(client, waits)
        start = time.monotonic()
        completed = await _wait_for_all(client, list(submitted_at), memory)
        end = time.monotonic()
    remaining = [at + run_seconds - start for at in submitted_at.values()]
    return Waited(
        least_polls=sum(least_polls(seconds, poll_interval_seconds) for seconds in remaining),
        completed_runs=completed,
        wall_seconds=end - start,
        least_wall_seconds=max(remaining),
        idle_rss_bytes=memory.idle_bytes,
        peak_rss_bytes=memory.peak_bytes,
    )


def least_polls(remaining_seconds: float, interval_seconds: float) -> int:
    """The fewest polls that see the end of a run within one interval of it.

    A wait polls at once, at 0, and then at every whole interval until the first poll at or after
    the run's end: 1 + ceil(remaining / interval). `remaining` is counted from the moment at which
    the submission was sent, so it is never longer than the truth, and neither is this number.
    """
    return 1 + max(math.ceil(remaining_seconds / interval_seconds), 0)


class Memory:
    """The resident size of this process: when it was made, and at most since."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.idle_bytes = self.peak_bytes = self._process.memory_info().rss

    async def watch(self) -> None:
        """Sample until cancelled."""
        while True:
            self.peak_bytes = max(self.peak_bytes, self._process.memory_info().rss)
            await anyio.sleep(MEMORY_SAMPLE_SECONDS)


async def _submit(client: LayerClient, runs: int) -> dict[str, float]:
    """Start the runs; each one's id and the moment at which its submission was sent."""
    submitted_at: dict[str, float] = {}
    limiter = anyio.CapacityLimiter(SUBMISSIONS_AT_ONCE)
    request = InferenceRequest(model_id=MODEL_ID, prompt="a red potion", batch_size=1)

    async def submit() -> None:
        async with limiter:
            sent_at = time.monotonic()
            started = await client.execute_inference(request)
            submitted_at[started.inference_id] = sent_at

    async with anyio.create_task_group() as tasks:
        for _ in range(runs):
            tasks.start_soon(submit)
    return submitted_at


async def _wait_for_all(client: LayerClient, inference_ids: list[str], memory: Memory) -> int:
    """Wait for all runs at once; the number of them that are complete."""
    statuses: list[str] = []

    async def wait(inference_id: str) -> None:
        run = await client.wait(inference_id, WAIT_TIMEOUT_SECONDS)
        statuses.append(run.status)

    async with anyio.create_task_group() as watching:
        watching.start_soon(memory.watch)
        async with anyio.create_task_group() as waiting:
            for inference_id in inference_ids:
                waiting.start_soon(wait, inference_id)
        watching.cancel_scope.cancel()
    return statuses.count("complete")


if __name__ == "__main__":
    main()
