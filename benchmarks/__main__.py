"""Measure everything, print a table, write results.json and results.png."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .batch_wait import measure_batch_wait
from .call_overhead import measure_call_overhead
from .chart import save_chart
from .install_size import measure_install_sizes
from .list_size import measure_list_sizes
from .many_waits import measure_many_waits
from .paying_cost import measure_paying_cost
from .preview_cost import measure_preview_cost
from .report import results_json, table, versions
from .row import MEGABYTE
from .rows import Results, rows_of
from .saving_cost import measure_saving_cost
from .startup import measure_startup
from .transfers import measure_transfers

MeasuredT = TypeVar("MeasuredT")


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    starts: int
    calls: int
    paid_calls: int
    waits: int
    wait_poll_interval_seconds: int
    batch_runs: int
    transfer_bytes: int
    transfer_rounds: int
    previews: int
    saves: int
    # They need the network, as an installation does.
    installs: bool


FULL = Effort(
    starts=20,
    calls=320,
    paid_calls=220,
    waits=1000,
    # What Layer asks for.
    wait_poll_interval_seconds=10,
    batch_runs=50,
    transfer_bytes=64 * MEGABYTE,
    transfer_rounds=21,
    previews=20,
    saves=10,
    installs=True,
)
QUICK = Effort(
    starts=2,
    calls=5,
    paid_calls=5,
    waits=20,
    wait_poll_interval_seconds=1,
    batch_runs=5,
    transfer_bytes=4 * MEGABYTE,
    transfer_rounds=1,
    previews=1,
    saves=1,
    installs=False,
)


def main() -> int:
    """Take the measures; 0 when they could be taken, whatever they are."""
    # Child processes end with their blocks, which a plain SIGTERM would skip.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # The SDK's HTTP client would look for a proxy even on loopback.
    os.environ["NO_PROXY"] = "127.0.0.1"
    options = _parser().parse_args()
    results = _measure(QUICK if options.quick else FULL)
    rows = rows_of(results)
    print(table(rows))
    (options.out / "results.json").write_text(results_json(results), encoding="utf-8")
    save_chart(rows, _caption(), options.out / "results.png")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few samples; the numbers are rough")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, metavar="DIR")
    return parser


def _measure(effort: Effort) -> Results:
    return Results(
        startup=_said("start-up", measure_startup, effort.starts),
        call_overhead=_said("the overhead of a call", measure_call_overhead, effort.calls),
        list_sizes=_said("the size of tools/list", measure_list_sizes),
        paying_cost=_said("journal and price gate", measure_paying_cost, effort.paid_calls),
        many_waits=_said(
            "many waits at once",
            measure_many_waits,
            effort.waits,
            effort.wait_poll_interval_seconds,
        ),
        batch_wait=_said("waiting for a batch", measure_batch_wait, effort.batch_runs),
        transfers=_said(
            "transfers", measure_transfers, effort.transfer_bytes, effort.transfer_rounds
        ),
        preview_cost=_said("the preview of a result", measure_preview_cost, effort.previews),
        saving_cost=_said("saving", measure_saving_cost, effort.saves),
        install_sizes=(
            _said("what an installation brings", measure_install_sizes) if effort.installs else None
        ),
    )


def _caption() -> str:
    used = versions()
    return (
        "Each pair has its own scale. Medians of interleaved samples; the ratios of start-up and "
        "of speeds are medians of rounds.\n"
        "Ours hashes what it transfers; the sandbox, which draws the previews, is part of their "
        f"time. mcp {used['mcp']}, Python {used['python']}, {os.cpu_count()} CPUs."
    )


def _said(what: str, measure: Callable[..., MeasuredT], *amounts: int) -> MeasuredT:
    """A measure, announced."""
    print(f"Measuring {what} ...", file=sys.stderr, flush=True)
    return measure(*amounts)


if __name__ == "__main__":
    sys.exit(main())
