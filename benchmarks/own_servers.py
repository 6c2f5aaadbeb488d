"""Two variants of our server: one without a journal and price gate, and one that monitors itself.

Only this module depends on how the server is built inside. `python -m benchmarks.own_servers` runs
the second one on stdio, with the settings of the LAYER_* variables.
"""

import gc
import statistics
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import anyio
import psutil
from mcp.server.mcpserver import MCPServer
from pydantic import BaseModel

from layer_mcp import Run, RunRequest, Settings, open_runs
from layer_mcp.server.answers import ToolOutput, paid
from layer_mcp.server.app import create_server
from layer_mcp.server.completion import CompletionCache
from layer_mcp.server.context import App, ToolContext, begin_call, report_wait, runs_for
from layer_mcp.server.run_answers import InferenceAnswer, run_output
from layer_mcp.server.tool import make_tool
from layer_mcp.server.tools.execute_inference import DESCRIPTION, ExecuteInferenceArguments

MEMORY_SAMPLE_SECONDS = 0.05
TICK_SECONDS = 0.01


class Health(BaseModel):
    """The resident size of a process, and the delays of its event loop."""

    idle_rss_bytes: int
    peak_rss_bytes: int
    lag_ms_99: float
    longest_lag_ms: float


class Watch:
    """Samples of this process since `begin`."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.begin()

    def begin(self) -> None:
        """Forget all samples."""
        self._idle_bytes = self._peak_bytes = self._process.memory_info().rss
        self._lags: list[float] = [0.0]
        self._due = anyio.current_time() + TICK_SECONDS

    def health(self) -> Health:
        """Summarize the samples."""
        return Health(
            idle_rss_bytes=self._idle_bytes,
            peak_rss_bytes=self._peak_bytes,
            lag_ms_99=statistics.quantiles([0.0, *self._lags], n=100)[-1] * 1000,
            longest_lag_ms=max(self._lags) * 1000,
        )

    async def sample_memory(self) -> None:
        """Sample the memory until cancelled."""
        while True:
            self._peak_bytes = max(self._peak_bytes, self._process.memory_info().rss)
            await anyio.sleep(MEMORY_SAMPLE_SECONDS)

    async def sample_lag(self) -> None:
        """Record how late each tick of a clock is, until cancelled.

        The ticks keep their times, so one long block counts as many late ticks.
        """
        while True:
            await anyio.sleep(max(self._due - anyio.current_time(), 0.0))
            now = anyio.current_time()
            while self._due <= now:
                self._lags.append(now - self._due)
                self._due += TICK_SECONDS


async def serve_watched() -> None:
    """Serve on stdio, with a tool that starts sampling and one that returns the samples."""
    # The installed server does so after its imports.
    gc.freeze()
    server = create_server(Settings.from_env())
    watch = Watch()

    @server.tool()
    async def begin() -> str:  # pyright: ignore[reportUnusedFunction]
        watch.begin()
        return ""

    @server.tool()
    async def measured() -> Health:  # pyright: ignore[reportUnusedFunction]
        return watch.health()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch.sample_memory)
        tasks.start_soon(watch.sample_lag)
        await server.run_stdio_async()
        tasks.cancel_scope.cancel()


def ungated_server(settings: Settings) -> MCPServer[App]:
    """Create a server whose execute_inference has no journal and no price gate.

    It takes the same arguments, makes the same two requests to Layer, and gives the same answer,
    but it doesn't look up, check, ask about, or record anything.
    """

    @asynccontextmanager
    async def lifespan(_server: MCPServer[App]) -> AsyncGenerator[App]:
        # An App has a journal, but nothing opens this one.
        async with open_runs(settings) as runs, anyio.create_task_group() as background:
            yield App(settings, runs, CompletionCache(runs.client, background))

    tool = make_tool(
        execute_inference,
        title="Generate with Layer",
        description=DESCRIPTION,
        arguments=ExecuteInferenceArguments,
        answer=InferenceAnswer,
        annotations=paid(),
    )
    return MCPServer("ungated", tools=[tool], lifespan=lifespan, log_level=settings.log_level)


async def execute_inference(
    arguments: ExecuteInferenceArguments, context: ToolContext
) -> ToolOutput:
    """Get the price, start the run, and answer as our tool does."""
    budget, runs = begin_call(context), runs_for(context)
    workspace_id = await runs.client.workspace_id(arguments.workspace_id)
    request = arguments.request({})
    await runs.client.estimate_price(request, workspace=workspace_id)
    started = await runs.client.execute_inference(request, workspace=workspace_id)
    run = Run(RunRequest.inference(request, workspace_id, {}), "sending", datetime.now(UTC))
    wait_seconds = budget.cap(arguments.wait_seconds)
    report = report_wait(context, wait_seconds, 1)
    run = await runs.follow(run.confirm(started), wait_seconds, on_progress=report)
    return await run_output(run, context, budget, preview=arguments.preview)


if __name__ == "__main__":
    anyio.run(serve_watched)
