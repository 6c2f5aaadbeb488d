"""What the measurements share: child processes that always end, MCP calls, and mixed rounds."""

import json
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.client.stdio import get_default_environment
from mcp.types import CallToolResult

from layer_mcp import Inference, InferenceRequest, LayerClient, Settings

IMAGE_MODEL_ID = "00000000-0000-4000-8000-000000000001"
RUN_ENDS_SECONDS = 30
GRACE_SECONDS = 5
QUICK_RUNS = ("--run-seconds=0", "--poll-interval-seconds=1")
"""Options of a sandbox whose runs end as soon as they start."""

Call = Callable[[], Awaitable[object]]
"""Makes one call and checks its answer."""


async def mixed_rounds_ms(
    calls: Mapping[str, Call], rounds: int, *, warm_up_rounds: int, after_each: Call | None = None
) -> dict[str, list[float]]:
    """Make every call once per round, in a changing order, so that noise affects all of them.

    The warm-up rounds don't count, and neither does `after_each`, which follows every call.
    """
    elapsed_ms: dict[str, list[float]] = {name: [] for name in calls}
    order, chance = list(calls), random.Random(0)
    for round_number in range(warm_up_rounds + rounds):
        chance.shuffle(order)
        for name in order:
            start = time.perf_counter()
            await calls[name]()
            if round_number >= warm_up_rounds:
                elapsed_ms[name].append((time.perf_counter() - start) * 1000)
            if after_each is not None:
                await after_each()
    return elapsed_ms


def medians_of(times: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the median of each list."""
    return {name: statistics.median(values) for name, values in times.items()}


async def call(client: Client, tool: str, arguments: dict[str, Any]) -> CallToolResult:
    """Call a tool.

    Raises:
        RuntimeError: The call failed.
    """
    result = await client.call_tool(tool, arguments)
    if result.is_error:
        raise RuntimeError(f"{tool} failed: {result.content}")
    return result


async def call_for_answer(client: Client, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Call a tool and return its structured content.

    Raises:
        RuntimeError: The call failed, or has no structured content.
    """
    answer = (await call(client, tool, arguments)).structured_content
    if answer is None:
        raise RuntimeError(f"{tool} answered without structured content.")
    return answer


async def finished_run(settings: Settings, request: InferenceRequest) -> Inference:
    """Start a run without a server, wait until it has ended, and return it with its files."""
    async with LayerClient.from_settings(settings) as client:
        started = await client.execute_inference(request)
        run = await client.wait(started.inference_id, RUN_ENDS_SECONDS)
    if run.status != "complete":
        raise RuntimeError(f"The run is {run.status}.")
    return run


def server_command(*arguments: str) -> list[str]:
    """Return the command for this interpreter's `layer-mcp`."""
    return [str(Path(sys.executable).with_name("layer-mcp")), *arguments]


def stdio_server(variables: Mapping[str, str]) -> StdioServerParameters:
    """Return how a client starts `layer-mcp` with these settings."""
    return StdioServerParameters(command=server_command()[0], env=dict(variables))


def script_command(name: str, *arguments: str) -> list[str]:
    """Return the command for a script in this folder, without importing this package."""
    return [sys.executable, str(Path(__file__).with_name(name)), *arguments]


def module_command(name: str, *arguments: str) -> list[str]:
    """Return the command for a module of this package, to be run from the repository's root."""
    return [sys.executable, "-m", f"{__package__}.{name}", *arguments]


@contextmanager
def running(
    command: Sequence[str],
    *,
    limit_seconds: float,
    variables: Mapping[str, str] | None = None,
    stderr: int | None = None,
) -> Generator[subprocess.Popen[str]]:
    """Run a command until the block ends or the limit is reached, with pipes on stdin and stdout.

    The environment is the one that MCP hosts give to their servers, plus `variables`.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={**get_default_environment(), **(variables or {})},
        encoding="utf-8",
    ) as process:
        timer = threading.Timer(limit_seconds, process.kill)
        timer.start()
        try:
            yield process
        finally:
            _end(process)
            timer.cancel()


@dataclass(frozen=True)
class ServerChild:
    """A server in its own process: the URL of its endpoint, and the process's ID."""

    url: str
    process_id: int


@contextmanager
def running_http_server(
    command: Sequence[str], *, limit_seconds: float, variables: Mapping[str, str] | None = None
) -> Generator[ServerChild]:
    """Run a server that prints its URL as the first line on stderr."""
    with running(
        command, limit_seconds=limit_seconds, variables=variables, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        url = process.stderr.readline().strip()
        if not url.startswith("http://127.0.0.1:"):
            raise RuntimeError(f"The server printed no URL but: {url!r}")
        try:
            yield ServerChild(url, process.pid)
        finally:
            process.terminate()


@dataclass(frozen=True)
class Seen:
    """Requests to the sandbox by operation, and each run's remaining time at its first poll."""

    arrived: dict[str, int]
    remaining_seconds: dict[str, float]


@dataclass(frozen=True)
class SandboxChild:
    """A sandbox in its own process, and the LAYER_* variables that point to it."""

    variables: dict[str, str]
    process: subprocess.Popen[str]

    def start_runs(self, count: int) -> list[str]:
        """Start runs that no server knows, and return their IDs."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        return json.loads(read_line(self.process))

    def stop(self) -> Seen:
        """Stop the sandbox and return what it saw."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return Seen(json.loads(read_line(self.process)), json.loads(read_line(self.process)))


@contextmanager
def running_sandbox_child(*options: str, limit_seconds: float) -> Generator[SandboxChild]:
    """Run a sandbox in another process, so that its work isn't counted as the server's."""
    with running(
        module_command("sandbox_process", *options), limit_seconds=limit_seconds
    ) as process:
        yield SandboxChild(json.loads(read_line(process)), process)


def read_line(process: subprocess.Popen[str]) -> str:
    """Return the next line that a child process prints.

    Raises:
        RuntimeError: The process ended first.
    """
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("A child process ended without an answer.")
    return line


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    # End of input stops every stdio server; the signals are for those that hang.
    process.stdin.close()
    for insist in (process.terminate, process.kill):
        try:
            process.wait(GRACE_SECONDS)
            return
        except subprocess.TimeoutExpired:
            insist()
