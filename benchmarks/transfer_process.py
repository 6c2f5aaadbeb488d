"""Uploads or downloads of one size in a process of their own; prints a line of JSON.

First a small file, which brings the imports and the connections; then a large one by LayerClient,
whose memory is measured; then rounds of the large one, by LayerClient and by plain httpx in turn.
Takes the sandbox from the LAYER_* variables and the files from the command line.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import anyio
import httpx

from layer_mcp import InferenceRequest, LayerClient, Settings

from .finished_run import MODEL_ID, finished_run
from .media_file import CONTENT_TYPE
from .memory import peak_rss_bytes, rss_bytes
from .plain_transfer import download_plainly, plain_http, upload_plainly

Transfer = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Transfers:
    """The same transfer in two ways; the large file is at `local_file` before or after it."""

    small: Transfer
    ours: Transfer
    plain: Transfer
    local_file: Path


@dataclass(frozen=True)
class Transferred:
    """What the process saw; one time a round."""

    idle_rss_bytes: int
    peak_rss_bytes: int
    ours_seconds: list[float]
    plain_seconds: list[float]
    sha256_seconds: list[float]


def main() -> None:
    """Measure one direction, print what came of it."""
    parser = argparse.ArgumentParser(description="Transfers of one size.")
    parser.add_argument("direction", choices=("upload", "download"))
    parser.add_argument("--small", type=Path, required=True, help="the small file")
    parser.add_argument("--large", type=Path, required=True, help="the large file")
    parser.add_argument("--rounds", type=int, required=True)
    options = parser.parse_args()
    measured = anyio.run(measure, options.direction, options.small, options.large, options.rounds)
    print(json.dumps(asdict(measured)))


async def measure(direction: str, small: Path, large: Path, rounds: int) -> Transferred:
    """Memory first, then the times."""
    settings = Settings.from_env()
    async with LayerClient.from_settings(settings) as client, plain_http() as http:
        if direction == "upload":
            transfers = uploads(client, http, settings, small, large)
        else:
            transfers = await downloads(client, http, settings, small, large)
        await transfers.small()
        idle_rss_bytes = rss_bytes()
        await transfers.ours()
        grown_rss_bytes = peak_rss_bytes()
        await transfers.plain()
        times: dict[str, list[float]] = {"ours": [], "plain": [], "sha256": []}
        for round_number in range(rounds):
            await _time_a_round(transfers, times, plain_first=round_number % 2 == 1)
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
    """Both ways to upload a file."""
    size_bytes = large.stat().st_size

    async def ours(path: Path) -> None:
        await client.upload_file(path)

    async def plain() -> None:
        with large.open("rb") as file:
            await upload_plainly(
                http, settings, file, content_type=CONTENT_TYPE, size_bytes=size_bytes
            )

    return Transfers(lambda: ours(small), lambda: ours(large), plain, large)


async def downloads(
    client: LayerClient, http: httpx.AsyncClient, settings: Settings, small: Path, large: Path
) -> Transfers:
    """Both ways to download an output: the first one of a run is small, the second one large."""
    run = await finished_run(settings, InferenceRequest(model_id=MODEL_ID, batch_size=1))
    small_url, large_url = (output.url or "" for output in run.outputs)

    async def ours(url: str, path: Path) -> None:
        with path.open("wb") as sink:
            await client.download(url, sink)

    async def plain() -> None:
        with large.open("wb") as sink:
            await download_plainly(http, large_url, sink)

    return Transfers(lambda: ours(small_url, small), lambda: ours(large_url, large), plain, large)


async def _time_a_round(
    transfers: Transfers, times: dict[str, list[float]], *, plain_first: bool
) -> None:
    ways = {"ours": transfers.ours, "plain": transfers.plain}
    for name in sorted(ways, reverse=plain_first):
        start = time.perf_counter()
        await ways[name]()
        times[name].append(time.perf_counter() - start)
    start = time.perf_counter()
    _sha256(transfers.local_file)
    times["sha256"].append(time.perf_counter() - start)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()
