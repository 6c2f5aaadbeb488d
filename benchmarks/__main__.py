"""Measure everything, print a table, and write results.json and results.png."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from tests.support.postgres_server import PostgresServer

from .calls import (
    CallOverhead,
    CodeEntered,
    code_rows,
    measure_call_overhead,
    measure_code_entered,
    overhead_rows,
)
from .chart import save_chart
from .facts import FactsCost, facts_rows, measure_facts_cost
from .fixed_costs import (
    InstallSizes,
    ListSizes,
    Startup,
    install_rows,
    list_rows,
    measure_install_sizes,
    measure_list_sizes,
    measure_startup,
    startup_rows,
)
from .http_load import HttpLoad, http_load_rows, measure_http_load
from .http_waits import HttpWaits, http_waits_rows, measure_http_waits
from .paying_cost import PayingCost, measure_paying_cost, paying_rows
from .pictures import (
    PreviewCost,
    SavingCost,
    measure_preview_cost,
    measure_saving_cost,
    preview_rows,
    saving_rows,
)
from .postgres import durable_postgres
from .replicas import Replicas, measure_replicas, replicas_rows
from .report import MEGABYTE, Row, results_json, table, versions
from .transfers import Transfers, measure_transfers, transfer_rows
from .waits import (
    BatchWait,
    ManyWaits,
    batch_rows,
    measure_batch_wait,
    measure_many_waits,
    waits_rows,
)

MeasuredT = TypeVar("MeasuredT")


@dataclass(frozen=True)
class Effort:
    """How much to measure. Installs need the network."""

    starts: int
    calls: int
    http_calls: int
    http_wait_seconds: int
    replica_reads: int
    replica_pays: int
    paid_calls: int
    waits: int
    wait_poll_interval_seconds: int
    batch_runs: int
    transfer_bytes: int
    transfer_rounds: int
    previews: int
    saves: int
    measurings: int
    installs: bool


FULL = Effort(
    starts=20,
    calls=320,
    http_calls=400,
    # Enough for all waits to begin.
    http_wait_seconds=12,
    replica_reads=200,
    replica_pays=50,
    paid_calls=220,
    waits=1000,
    # Layer's default interval.
    wait_poll_interval_seconds=10,
    batch_runs=50,
    transfer_bytes=64 * MEGABYTE,
    transfer_rounds=21,
    previews=20,
    saves=10,
    measurings=20,
    installs=True,
)
QUICK = Effort(
    starts=2,
    calls=5,
    http_calls=20,
    http_wait_seconds=2,
    replica_reads=20,
    replica_pays=6,
    paid_calls=5,
    waits=20,
    wait_poll_interval_seconds=1,
    batch_runs=5,
    transfer_bytes=4 * MEGABYTE,
    transfer_rounds=1,
    previews=1,
    saves=1,
    measurings=1,
    installs=False,
)


@dataclass(frozen=True)
class Results:
    """Everything measured in one run."""

    startup: Startup
    call_overhead: CallOverhead
    http_load: HttpLoad
    http_waits: HttpWaits
    replicas: Replicas | None
    code_entered: dict[str, CodeEntered]
    list_sizes: ListSizes
    paying_cost: PayingCost
    many_waits: ManyWaits
    batch_wait: BatchWait
    transfers: Transfers
    preview_cost: PreviewCost
    saving_cost: SavingCost
    facts_cost: FactsCost
    install_sizes: InstallSizes | None

    def rows(self) -> list[Row]:
        """Return the rows in display order."""
        return [
            *startup_rows(self.startup),
            *overhead_rows(self.call_overhead),
            *http_load_rows(self.http_load),
            *replicas_rows(self.replicas),
            *code_rows(self.code_entered),
            *paying_rows(self.paying_cost),
            *list_rows(self.list_sizes),
            *waits_rows(self.many_waits),
            *http_waits_rows(self.http_waits),
            *batch_rows(self.batch_wait),
            *transfer_rows(self.transfers),
            *preview_rows(self.preview_cost),
            *saving_rows(self.saving_cost),
            *facts_rows(self.facts_cost),
            *(install_rows(self.install_sizes) if self.install_sizes else []),
        ]


def main() -> int:
    """Run all measurements, whether or not they meet their aims, and return the exit code."""
    # A plain SIGTERM would skip the blocks that end child processes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # The SDK's HTTP client would look for a proxy even on loopback.
    os.environ["NO_PROXY"] = "127.0.0.1"
    options = _parser().parse_args()
    with durable_postgres() as postgres:
        results = _measure(QUICK if options.quick else FULL, postgres)
    rows = results.rows()
    print(table(rows))
    (options.out / "results.json").write_text(results_json(asdict(results)), encoding="utf-8")
    save_chart(rows, _caption(), options.out / "results.png")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few samples; the numbers are rough")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, metavar="DIR")
    return parser


def _measure(effort: Effort, postgres: PostgresServer | None) -> Results:
    return Results(
        startup=_announced("start-up", measure_startup, effort.starts),
        call_overhead=_announced("the overhead of a call", measure_call_overhead, effort.calls),
        http_load=_announced("calls over HTTP", measure_http_load, effort.http_calls),
        http_waits=_announced(
            "waits over HTTP", measure_http_waits, effort.waits, effort.http_wait_seconds
        ),
        replicas=(
            _announced(
                "servers that share a database",
                measure_replicas,
                postgres,
                effort.replica_reads,
                effort.replica_pays,
            )
            if postgres is not None
            else None
        ),
        code_entered=_announced("the code that a call enters", measure_code_entered),
        list_sizes=_announced("the size of tools/list", measure_list_sizes),
        paying_cost=_announced(
            "journal and price gate", measure_paying_cost, postgres, effort.paid_calls
        ),
        many_waits=_announced(
            "many waits at the same time",
            measure_many_waits,
            effort.waits,
            effort.wait_poll_interval_seconds,
        ),
        batch_wait=_announced("waiting for a batch", measure_batch_wait, effort.batch_runs),
        transfers=_announced(
            "transfers", measure_transfers, effort.transfer_bytes, effort.transfer_rounds
        ),
        preview_cost=_announced("the preview of a result", measure_preview_cost, effort.previews),
        saving_cost=_announced("saving", measure_saving_cost, effort.saves),
        facts_cost=_announced("facts about files", measure_facts_cost, effort.measurings),
        install_sizes=(
            _announced("the size of an installation", measure_install_sizes)
            if effort.installs
            else None
        ),
    )


def _announced(what: str, measure: Callable[..., MeasuredT], *arguments: object) -> MeasuredT:
    print(f"Measuring {what} ...", file=sys.stderr, flush=True)
    return measure(*arguments)


def _caption() -> str:
    used = versions()
    return (
        "Each pair has its own scale. Medians of interleaved samples; the ratios of start-up and "
        "of speeds are medians of rounds.\n"
        "Ours hashes what it downloads; the sandbox, which draws the previews, is part of their "
        f"time. mcp {used['mcp']}, Python {used['python']}, {os.cpu_count()} CPUs."
    )


if __name__ == "__main__":
    sys.exit(main())
