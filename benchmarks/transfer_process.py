"""Uploads or downloads of one size in their own process, by LayerClient and by plain httpx.

The first file is small and includes the imports and connections. Then LayerClient transfers a large
file, and its memory is measured. Finally, LayerClient and plain httpx transfer the large file in
alternating rounds. Takes the sandbox from the LAYER_* variables and the files from the command
line, and prints a line of JSON.
"""

import argparse
import hashlib
import json
import re
import resource
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import anyio
import httpx
import psutil

from layer_mcp import InferenceRequest, LayerClient, Settings

from .harness import IMAGE_MODEL_ID, finished_run
from .sandbox_process import CONTENT_TYPE

TIMEOUT_SECONDS = 60
# Neither 64 KB nor 1 MB is faster.
CHUNK_BYTES = 256 * 1024
PEAK = re.compile(r"VmHWM:\s+(\d+) kB")

Transfer = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Transfers:
    """The same transfer in two ways. The large one reads or writes `local_file`."""

    small: Transfer
    ours: Transfer
    plain: Transfer
    local_file: Path


@dataclass(frozen=True)
class Transferred:
    """The process's measurements, with one time per round."""

    idle_rss_bytes: int
    peak_rss_bytes: int
    ours_seconds: list[float]
    plain_seconds: list[float]
    sha256_seconds: list[float]


def main() -> None:
    """Measure one direction and print the result."""
    parser = argparse.ArgumentParser(description="Transfers of one size.")
    parser.add_argument("direction", choices=("upload", "download"))
    parser.add_argument("--small", type=Path, required=True, help="the small file")
    parser.add_argument("--large", type=Path, required=True, help="the large file")
    parser.add_argument("--rounds", type=int, required=True)
    options = parser.parse_args()
    measured = anyio.run(measure, options.direction, options.small, options.large, options.rounds)
    print(json.dumps(asdict(measured)))


async def measure(direction: str, small: Path, large: Path, rounds: int) -> Transferred:
    """Measure the memory, then the times."""
    settings = Settings.from_env()
    async with (
        LayerClient.from_settings(settings) as client,
        httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_SECONDS) as http,
    ):
        if direction == "upload":
            transfers = uploads(client, http, settings, small, large)
        else:
            transfers = await downloads(client, http, settings, small, large)
        await transfers.small()
        idle_rss_bytes = psutil.Process().memory_info().rss
        await transfers.ours()
        grown_rss_bytes = _peak_rss_bytes()
        await transfers.plain()
        times: dict[str, list[float]] = {"ours": [], "plain": [], "sha256": []}
        for round_number in range(rounds):
            await _time_round(transfers, times, plain_first=round_number % 2 == 1)
    return Transferred(
        idle_rss_bytes=idle_rss_bytes,
        peak_rss_bytes=grown_rss_bytes,
        ours_seconds=times["ours"],
        plain_seconds=times["plain"],
        sha256_seconds=times["sha256"],
    )


def uploads(
    client: LayerClient, http: httpx.AsyncClient, settings: Settings, small: Path, large: Path
) -> Transfers:
    """Return both ways to upload a file."""
    size_bytes = large.stat().st_size

    async def ours(path: Path) -> None:
        await client.upload_file(path)

    async def plain() -> None:
        with large.open("rb") as file:
            await upload_plainly(http, settings, file, size_bytes)

    return Transfers(lambda: ours(small), lambda: ours(large), plain, large)


async def downloads(
    client: LayerClient, http: httpx.AsyncClient, settings: Settings, small: Path, large: Path
) -> Transfers:
    """Return both ways to download an output. A run's first one is small, its second one large."""
    run = await finished_run(settings, InferenceRequest(model_id=IMAGE_MODEL_ID, batch_size=1))
    small_url, large_url = (output.url or "" for output in run.outputs)

    async def ours(url: str, path: Path) -> None:
        with path.open("wb") as sink:
            await client.download(url, sink)

    async def plain() -> None:
        with large.open("wb") as sink:
            await download_plainly(http, large_url, sink)

    return Transfers(lambda: ours(small_url, small), lambda: ours(large_url, large), plain, large)


async def upload_plainly(
    http: httpx.AsyncClient, settings: Settings, file: BinaryIO, size_bytes: int
) -> None:
    """Request a URL, open a session, and send the bytes: no checks, hash, thread, or retry."""
    announced = await http.post(
        f"{settings.api_url}/v1/workspaces/{settings.workspace}/files/upload-url",
        headers={"Authorization": f"Bearer {settings.api_token}"},
        json={"content_type": CONTENT_TYPE, "file_size_bytes": size_bytes},
    )
    opened = await http.post(
        announced.raise_for_status().json()["upload_url"],
        headers={
            "Content-Type": CONTENT_TYPE,
            "Content-Length": "0",
            "x-goog-resumable": "start",
            "x-goog-content-length-range": f"0,{size_bytes}",
        },
    )
    sent = await http.put(
        opened.raise_for_status().headers["location"],
        headers={"Content-Type": CONTENT_TYPE, "Content-Length": str(size_bytes)},
        content=_chunks(file),
    )
    sent.raise_for_status()


async def download_plainly(http: httpx.AsyncClient, url: str, sink: BinaryIO) -> None:
    """Write each chunk as it arrives."""
    async with http.stream("GET", url) as response:
        response.raise_for_status()
        async for chunk in response.aiter_bytes():
            sink.write(chunk)


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


async def _time_round(
    transfers: Transfers, times: dict[str, list[float]], *, plain_first: bool
) -> None:
    ways = {"ours": transfers.ours, "plain": transfers.plain}
    for name in sorted(ways, reverse=plain_first):
        start = time.perf_counter()
        await ways[name]()
        times[name].append(time.perf_counter() - start)
    start = time.perf_counter()
    with transfers.local_file.open("rb") as file:
        hashlib.file_digest(file, "sha256")
    times["sha256"].append(time.perf_counter() - start)


def _peak_rss_bytes() -> int:
    if sys.platform == "linux":
        # Don't use ru_maxrss, because a process inherits its parent's peak.
        found = PEAK.search(Path("/proc/self/status").read_text())
        assert found is not None
        return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
