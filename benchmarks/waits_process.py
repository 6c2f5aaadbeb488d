"""A layer-mcp server on stdio that measures itself, by two more tools: `begin` and `measured`.

Takes its settings from the LAYER_* variables.
"""

import gc
import statistics

import anyio
import psutil
from pydantic import BaseModel

from layer_mcp import Settings
from layer_mcp.server.app import create_server

MEMORY_SAMPLE_SECONDS = 0.05
TICK_SECONDS = 0.01


class Health(BaseModel):
    """The resident size of a process, and how late its event loop was."""

    idle_rss_bytes: int
    peak_rss_bytes: int
    lag_ms_99: float
    longest_lag_ms: float


class Watch:
    """Samples this process from `begin` on."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.begin()

    def begin(self) -> None:
        """Forget what was sampled."""
        self._idle_bytes = self._peak_bytes = self._process.memory_info().rss
        self._lags: list[float] = [0.0]
        self._due = anyio.current_time() + TICK_SECONDS

    def health(self) -> Health:
        """What was sampled so far."""
        return Health(
            idle_rss_bytes=self._idle_bytes,
            peak_rss_bytes=self._peak_bytes,
            lag_ms_99=statistics.quantiles([0.0, *self._lags], n=100)[-1] * 1000,
            longest_lag_ms=max(self._lags) * 1000,
        )

    async def sample_memory(self) -> None:
        """Look until cancelled."""
        while True:
            self._peak_bytes = max(self._peak_bytes, self._process.memory_info().rss)
            await anyio.sleep(MEMORY_SAMPLE_SECONDS)

    async def sample_lag(self) -> None:
        """Note how late each tick of a clock is, until cancelled.

        The ticks keep their times: one long standstill counts as many late ticks, not as one.
        """
        while True:
            await anyio.sleep(max(self._due - anyio.current_time(), 0.0))
            now = anyio.current_time()
            while self._due <= now:
                self._lags.append(now - self._due)
                self._due += TICK_SECONDS


async def serve() -> None:
    """Serve until stdin closes."""
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


if __name__ == "__main__":
    anyio.run(serve)
