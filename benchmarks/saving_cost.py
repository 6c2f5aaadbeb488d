"""What it costs to save a finished run: the first get_status call of a server that saves."""

import statistics
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from mcp import Client

from layer_mcp import Inference, Settings

from .children import running_sandbox_child
from .four_pictures import PICTURES, SANDBOX_KNOBS, four_pictures, get_status, stdio_server

LIMIT_SECONDS = 120


@dataclass(frozen=True)
class SavingCost:
    """First calls about runs of four pictures, without a preview; medians.

    Each run is asked about once of a server that saves and once of one that does not.
    """

    runs: int
    saved_bytes_a_run: int
    saving_median_ms: float
    without_saving_median_ms: float


def measure_saving_cost(runs: int) -> SavingCost:
    """Call two servers, beside a sandbox in a process of its own."""
    with (
        running_sandbox_child(*SANDBOX_KNOBS, limit_seconds=LIMIT_SECONDS) as sandbox,
        TemporaryDirectory() as folder,
    ):
        return anyio.run(_measure, sandbox.variables, Path(folder), runs)


async def _measure(variables: Mapping[str, str], folder: Path, runs: int) -> SavingCost:
    settings = Settings.from_env(variables)
    saving = stdio_server({**variables, "LAYER_OUTPUT_DIR": str(folder)})
    elapsed_ms: dict[str, list[float]] = {"saving": [], "looking": []}
    with anyio.fail_after(LIMIT_SECONDS):
        async with AsyncExitStack() as stack:
            clients = {
                "saving": await stack.enter_async_context(Client(saving)),
                "looking": await stack.enter_async_context(Client(stdio_server(variables))),
            }
            # The first run is not counted: it brings the imports and the connections.
            for number in range(runs + 1):
                run = await four_pictures(settings)
                for name in sorted(clients, reverse=number % 2 == 1):
                    spent_ms = await _call_ms(clients[name], run)
                    if number > 0:
                        elapsed_ms[name].append(spent_ms)
    return SavingCost(
        runs=runs,
        saved_bytes_a_run=_saved_bytes(folder, runs + 1) // (runs + 1),
        saving_median_ms=statistics.median(elapsed_ms["saving"]),
        without_saving_median_ms=statistics.median(elapsed_ms["looking"]),
    )


async def _call_ms(client: Client, run: Inference) -> float:
    start = time.perf_counter()
    await get_status(client, run, preview=False)
    return (time.perf_counter() - start) * 1000


def _saved_bytes(folder: Path, runs: int) -> int:
    """The size of all pictures.

    Raises:
        RuntimeError: some are missing.
    """
    pictures = list(folder.glob("*.png"))
    if len(pictures) != PICTURES * runs:
        raise RuntimeError(f"{len(pictures)} pictures were saved instead of {PICTURES * runs}.")
    return sum(picture.stat().st_size for picture in pictures)
