"""Many waits that are open at the same time over HTTP: how much they make the server grow.

The reference is an SDK server whose tool only sleeps. Each wait has its own connection.
"""

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

import psutil

from .harness import (
    SandboxChild,
    ServerChild,
    running_http_server,
    running_sandbox_child,
    script_command,
)
from .http_calls import ToolCall, connections, our_http_server
from .report import Row, megabytes

LIMIT_SECONDS = 180
SAMPLE_SECONDS = 0.05
# The runs outlast the waits.
SANDBOX_OPTIONS = ("--run-seconds=600", "--poll-interval-seconds=10")
# A server accepts as many connections as half of its descriptors.
MIN_DESCRIPTORS = 4096


@dataclass(frozen=True)
class WaitsMemory:
    """The size of a server before its waits, and by how much the waits made it grow at most.

    `open_at_once` is how many of them were open at the moment when the last one began.
    """

    open_at_once: int
    idle_rss_bytes: int
    peak_rss_growth_bytes: int


@dataclass(frozen=True)
class HttpWaits:
    """The waits for runs on our server, and those of a tool that only sleeps."""

    waits: int
    wait_seconds: int
    get_status: WaitsMemory
    sleeping_tool: WaitsMemory


def measure_http_waits(waits: int, wait_seconds: int) -> HttpWaits:
    """Let this many calls wait, first on our server and then on the SDK's.

    The time has to be enough for all of them to begin.
    """
    _allow_descriptors()
    sleeping = [*script_command("sdk_server.py", "--sleep"), "--http"]
    with (
        running_sandbox_child(*SANDBOX_OPTIONS, limit_seconds=LIMIT_SECONDS) as sandbox,
        our_http_server(sandbox.variables, limit_seconds=LIMIT_SECONDS) as ours,
        running_http_server(sleeping, limit_seconds=LIMIT_SECONDS) as reference,
    ):
        return HttpWaits(
            waits=waits,
            wait_seconds=wait_seconds,
            get_status=_measure(
                ours,
                _status_calls(ours.url, sandbox, 1, 0),
                _status_calls(ours.url, sandbox, waits, wait_seconds),
            ),
            sleeping_tool=_measure(
                reference,
                _sleep_calls(reference.url, 1, 0),
                _sleep_calls(reference.url, waits, wait_seconds),
            ),
        )


def http_waits_rows(waits: HttpWaits) -> list[Row]:
    """Compare how much the two servers grow."""
    ours, reference = waits.get_status, waits.sleeping_tool
    return [
        Row(
            measure=f"{ours.open_at_once:,} waits over HTTP: memory",
            ours=ours.peak_rss_growth_bytes,
            shown=megabytes,
            reference=reference.peak_rss_growth_bytes,
            reference_name=f"{reference.open_at_once:,} that sleep, SDK alone",
            compared=f"{ours.peak_rss_growth_bytes / reference.peak_rss_growth_bytes:.2f} x",
            group="waits",
        )
    ]


def _allow_descriptors() -> None:
    """Let this process and its children open enough connections, if the system allows it."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415  only POSIX has it

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MIN_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(MIN_DESCRIPTORS, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _status_calls(url: str, sandbox: SandboxChild, count: int, seconds: int) -> list[ToolCall]:
    return [
        ToolCall(url, "get_status", {"inference_id": inference_id, "wait_seconds": seconds})
        for inference_id in sandbox.start_runs(count)
    ]


def _sleep_calls(url: str, count: int, seconds: int) -> list[ToolCall]:
    return [ToolCall(url, "sleep", {"seconds": seconds})] * count


def _measure(
    server: ServerChild, first: Sequence[ToolCall], waiting: Sequence[ToolCall]
) -> WaitsMemory:
    # The first call includes the imports and connections.
    for call in first:
        _begin_and_end(call)
    process = psutil.Process(server.process_id)
    idle_bytes = peak_bytes = process.memory_info().rss
    with ThreadPoolExecutor(len(waiting)) as threads:
        pending = {threads.submit(_begin_and_end, call) for call in waiting}
        ended = set(pending)
        while pending:
            _, pending = wait(pending, SAMPLE_SECONDS)
            peak_bytes = max(peak_bytes, process.memory_info().rss)
    times = [one.result() for one in ended]
    last_began_at = max(began_at for began_at, _ in times)
    return WaitsMemory(
        open_at_once=sum(ended_at > last_began_at for _, ended_at in times),
        idle_rss_bytes=idle_bytes,
        peak_rss_growth_bytes=peak_bytes - idle_bytes,
    )


def _begin_and_end(call: ToolCall) -> tuple[float, float]:
    """Make a call, and return when it began and ended."""
    with connections() as opened:
        began_at = time.monotonic()
        opened.send(call)
        return began_at, time.monotonic()
