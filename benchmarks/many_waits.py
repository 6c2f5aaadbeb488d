"""Many waits at once in one process: polls beside the least possible, memory and wall time."""

import json
from dataclasses import dataclass

from .children import output_line, running_sandbox_child, script_command

RUN_SECONDS = 6
POLL_INTERVAL_SECONDS = 1
LIMIT_SECONDS = 60


@dataclass(frozen=True)
class ManyWaits:
    """What the waiting process and the sandbox counted.

    The least polls are `waits_process.least_polls` summed over all waits; the least wall time
    ends with the last run. Memory is the growth over a client that has made one request.
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


def measure_many_waits(waits: int) -> ManyWaits:
    """Run the waits and the sandbox in a process each."""
    knobs = [
        f"--run-seconds={RUN_SECONDS}",
        f"--poll-interval-seconds={POLL_INTERVAL_SECONDS}",
    ]
    command = script_command("waits_process.py", f"--waits={waits}", *knobs)
    with running_sandbox_child(*knobs, limit_seconds=LIMIT_SECONDS) as sandbox:
        waited = json.loads(
            output_line(command, limit_seconds=LIMIT_SECONDS, variables=sandbox.variables)
        )
        arrived = sandbox.stop()
    return ManyWaits(
        waits=waits,
        run_seconds=RUN_SECONDS,
        poll_interval_seconds=POLL_INTERVAL_SECONDS,
        completed_runs=waited["completed_runs"],
        polls=arrived["get_inference"],
        least_polls=waited["least_polls"],
        wall_seconds=waited["wall_seconds"],
        least_wall_seconds=waited["least_wall_seconds"],
        idle_rss_bytes=waited["idle_rss_bytes"],
        peak_rss_growth_bytes=waited["peak_rss_bytes"] - waited["idle_rss_bytes"],
    )
