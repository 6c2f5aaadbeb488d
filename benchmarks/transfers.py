"""Upload and download of a large file: memory, and speed beside plain httpx."""

import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from .children import module_command, output_line, running_sandbox_child
from .media_file import write_media_file

SMALL_FILE_BYTES = 64 * 1024
LIMIT_SECONDS = 120


@dataclass(frozen=True)
class Transfer:
    """One direction; medians over rounds of ours and plain httpx in turn.

    The ratios are of speeds, ours to plain, each the median of the rounds' own ratios: the second
    one takes from our time what the SHA-256 of the file alone takes. Memory is the growth over a
    process that has transferred a small file.
    """

    size_bytes: int
    rounds: int
    ours_bytes_a_second: float
    plain_bytes_a_second: float
    sha256_seconds: float
    median_ratio: float
    median_ratio_without_sha256: float
    idle_rss_bytes: int
    peak_rss_growth_bytes: int


@dataclass(frozen=True)
class Transfers:
    """Both directions."""

    upload: Transfer
    download: Transfer


def measure_transfers(size_bytes: int, rounds: int) -> Transfers:
    """Run each direction in a process of its own, beside a sandbox in another."""
    knobs = (
        "--run-seconds=0",
        "--poll-interval-seconds=1",
        "--output-bytes",
        str(SMALL_FILE_BYTES),
        str(size_bytes),
    )
    with running_sandbox_child(*knobs, limit_seconds=2 * LIMIT_SECONDS) as sandbox:
        return Transfers(
            upload=_measure("upload", size_bytes, rounds, sandbox.variables),
            download=_measure("download", size_bytes, rounds, sandbox.variables),
        )


def _measure(
    direction: Literal["upload", "download"],
    size_bytes: int,
    rounds: int,
    variables: dict[str, str],
) -> Transfer:
    with TemporaryDirectory() as folder:
        small, large = Path(folder, "small.wav"), Path(folder, "large.wav")
        if direction == "upload":
            write_media_file(small, SMALL_FILE_BYTES)
            write_media_file(large, size_bytes)
        command = module_command(
            "transfer_process",
            direction,
            f"--small={small}",
            f"--large={large}",
            f"--rounds={rounds}",
        )
        line = output_line(command, limit_seconds=LIMIT_SECONDS, variables=variables)
        if large.stat().st_size != size_bytes:
            raise RuntimeError(f"The {direction} left {large.stat().st_size} bytes.")
    return _summary(json.loads(line), size_bytes, rounds)


def _summary(seen: dict[str, Any], size_bytes: int, rounds: int) -> Transfer:
    times = list(
        zip(seen["ours_seconds"], seen["plain_seconds"], seen["sha256_seconds"], strict=True)
    )
    return Transfer(
        size_bytes=size_bytes,
        rounds=rounds,
        ours_bytes_a_second=size_bytes / statistics.median(seen["ours_seconds"]),
        plain_bytes_a_second=size_bytes / statistics.median(seen["plain_seconds"]),
        sha256_seconds=statistics.median(seen["sha256_seconds"]),
        median_ratio=statistics.median(plain / ours for ours, plain, _ in times),
        median_ratio_without_sha256=statistics.median(
            plain / (ours - sha256) for ours, plain, sha256 in times
        ),
        idle_rss_bytes=seen["idle_rss_bytes"],
        peak_rss_growth_bytes=seen["peak_rss_bytes"] - seen["idle_rss_bytes"],
    )
