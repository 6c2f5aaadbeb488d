"""Measure everything, print a table, write results.json and results.png."""

import argparse
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from .call_overhead import measure_call_overhead
from .chart import save_chart
from .list_size import measure_list_sizes
from .many_waits import measure_many_waits
from .report import results_json, table, versions
from .rows import Results, rows_of
from .startup import measure_startup


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    starts: int
    calls: int
    waits: int


FULL = Effort(starts=20, calls=320, waits=500)
QUICK = Effort(starts=2, calls=5, waits=20)


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
    _say("Measuring start-up ...")
    startup = measure_startup(effort.starts)
    _say("Measuring the size of tools/list ...")
    list_sizes = measure_list_sizes()
    _say("Measuring the overhead of a call ...")
    call_overhead = measure_call_overhead(effort.calls)
    _say("Measuring many waits at once ...")
    many_waits = measure_many_waits(effort.waits)
    return Results(startup, call_overhead, list_sizes, many_waits)


def _caption() -> str:
    used = versions()
    return (
        "Each pair has its own scale. Medians of interleaved samples; the start-up ratio is the "
        f"median of its rounds.\nmcp {used['mcp']}, Python {used['python']}, "
        f"{os.cpu_count()} CPUs."
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
