"""A run whose one output takes a while to arrive, and how far it is."""

from pathlib import Path

import anyio

from layer_mcp import Runs
from layer_mcp.runs.types.run import Run
from layer_mcp.sandbox import RunningSandbox

from .hosts import SMALL_IMAGE
from .sandbox_calls import png_with, replace_outputs

LARGE = png_with(bytes(300_000))
SLOW_BYTES_A_SECOND, SLOWEST_BYTES_A_SECOND = 400_000, 40_000
LIMIT_SECONDS = 30


async def large_run(
    runs: Runs, sandbox: RunningSandbox, bytes_a_second: int = SLOW_BYTES_A_SECOND
) -> Run:
    """Return a finished run whose one output takes a while to arrive."""
    run = await runs.generate(**SMALL_IMAGE)
    replace_outputs(sandbox, run.run_id, LARGE)
    sandbox.state.knobs.media_bytes_a_second = bytes_a_second
    # Layer says how large a file is when it is asked for the run.
    return await runs.get(run.run_id or "")


def asked_ranges(sandbox: RunningSandbox) -> list[str | None]:
    """Return the Range header of each request for a file."""
    arrivals = [arrival for arrival in sandbox.state.arrivals if arrival.operation == "media"]
    return [arrival.headers.get("range") for arrival in arrivals]


async def until_a_part_arrived(folder: Path) -> None:
    """Wait until a part of a file is on the disk."""
    with anyio.fail_after(LIMIT_SECONDS):
        while not any(path.stat().st_size for path in folder.glob(".*.part")):  # noqa: ASYNC110
            await anyio.sleep(0.05)


async def until_saved(folder: Path) -> Path:
    """Wait until a picture and its record are in a folder, and return the picture's path."""
    with anyio.fail_after(LIMIT_SECONDS):
        while not any(folder.glob("[!.]*.json")):  # noqa: ASYNC110
            await anyio.sleep(0.05)
    [path] = folder.glob("*.png")
    return path
