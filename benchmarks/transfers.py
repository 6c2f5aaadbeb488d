"""Upload and download of a large file: memory, and speed next to plain httpx."""

import json
import os
import statistics
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from .harness import module_command, read_line, running, running_sandbox_child
from .report import MEGABYTE, Row, budget_row, megabytes, megabytes_a_second, whole_ms

MIN_SPEED_RATIO = 0.95
MAX_GROWTH_BYTES = 8 * MEGABYTE
SMALL_FILE_BYTES = 64 * 1024
LIMIT_SECONDS = 120
# 16-bit stereo without sizes, as an encoder writes it into a pipe.
WAV_HEADER = (
    b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x02\0\x44\xac\0\0\x10\xb1\x02\0\x04\0\x10\0"
    b"data\xff\xff\xff\xff"
)


@dataclass(frozen=True)
class Transfer:
    """One direction, as medians over rounds of ours and plain httpx in turn.

    The ratio is of speeds, ours to plain, the median of the rounds' own ratios. The SHA-256 is not
    part of it: it is taken before an upload, and after a download. Memory is the growth of a
    process that has already transferred a small file.
    """

    size_bytes: int
    rounds: int
    ours_bytes_a_second: float
    plain_bytes_a_second: float
    sha256_seconds: float
    median_ratio: float
    idle_rss_bytes: int
    peak_rss_growth_bytes: int


@dataclass(frozen=True)
class Transfers:
    """Both directions."""

    upload: Transfer
    download: Transfer


def measure_transfers(size_bytes: int, rounds: int) -> Transfers:
    """Run each direction in a process, with a sandbox in another."""
    options = (
        "--run-seconds=0",
        "--poll-interval-seconds=1",
        "--output-bytes",
        str(SMALL_FILE_BYTES),
        str(size_bytes),
    )
    with running_sandbox_child(*options, limit_seconds=2 * LIMIT_SECONDS) as sandbox:
        return Transfers(
            upload=_measure("upload", size_bytes, rounds, sandbox.variables),
            download=_measure("download", size_bytes, rounds, sandbox.variables),
        )


def transfer_rows(transfers: Transfers) -> list[Row]:
    """Compare both directions with plain httpx."""
    download = transfers.download
    return [
        *_rows("upload", transfers.upload),
        *_rows("download", download),
        Row(
            measure="  SHA-256 of the file, once it is there",
            ours=download.sha256_seconds * 1000,
            shown=whole_ms,
        ),
    ]


def _rows(direction: str, transfer: Transfer) -> list[Row]:
    name = f"{transfer.size_bytes / MEGABYTE:.0f} MB {direction}"
    return [
        Row(
            measure=f"{name}: speed",
            ours=transfer.ours_bytes_a_second,
            shown=megabytes_a_second,
            reference=transfer.plain_bytes_a_second,
            reference_name="plain httpx",
            compared=f"{transfer.median_ratio:.2f} x",
            aim=f"at least {MIN_SPEED_RATIO:.2f} x",
            is_met=transfer.median_ratio >= MIN_SPEED_RATIO,
            group="speed",
        ),
        budget_row(f"{name}: memory", transfer.peak_rss_growth_bytes, MAX_GROWTH_BYTES, megabytes),
    ]


def _measure(
    direction: Literal["upload", "download"],
    size_bytes: int,
    rounds: int,
    variables: dict[str, str],
) -> Transfer:
    with TemporaryDirectory() as folder:
        small, large = Path(folder, "small.wav"), Path(folder, "large.wav")
        if direction == "upload":
            _write_wav(small, SMALL_FILE_BYTES)
            _write_wav(large, size_bytes)
        command = module_command(
            "transfer_process",
            direction,
            f"--small={small}",
            f"--large={large}",
            f"--rounds={rounds}",
        )
        with running(command, limit_seconds=LIMIT_SECONDS, variables=variables) as process:
            seen = json.loads(read_line(process))
        if large.stat().st_size != size_bytes:
            raise RuntimeError(f"The {direction} left {large.stat().st_size} bytes.")
    return _summary(seen, size_bytes, rounds)


def _write_wav(path: Path, size_bytes: int) -> None:
    with path.open("wb") as file:
        file.write(WAV_HEADER)
        while (left := size_bytes - file.tell()) > 0:
            file.write(os.urandom(min(left, MEGABYTE)))


def _summary(seen: dict[str, Any], size_bytes: int, rounds: int) -> Transfer:
    times = list(zip(seen["ours_seconds"], seen["plain_seconds"], strict=True))
    return Transfer(
        size_bytes=size_bytes,
        rounds=rounds,
        ours_bytes_a_second=size_bytes / statistics.median(seen["ours_seconds"]),
        plain_bytes_a_second=size_bytes / statistics.median(seen["plain_seconds"]),
        sha256_seconds=statistics.median(seen["sha256_seconds"]),
        median_ratio=statistics.median(plain / ours for ours, plain in times),
        idle_rss_bytes=seen["idle_rss_bytes"],
        peak_rss_growth_bytes=seen["peak_rss_bytes"] - seen["idle_rss_bytes"],
    )
