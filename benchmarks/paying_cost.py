"""What the journal and the price gate add to an execute_inference call."""

import os
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from mcp import Client
from mcp.server.mcpserver import MCPServer

from layer_mcp import Settings
from layer_mcp.server.app import create_server
from tests.support.postgres_server import PostgresServer

from .harness import (
    IMAGE_MODEL_ID,
    QUICK_RUNS,
    Call,
    call_for_answer,
    medians_of,
    mixed_rounds_ms,
    running_sandbox_child,
)
from .own_servers import ungated_server
from .postgres import MISSING
from .report import Row, ms, skipped_row

MAX_ADDED_MS = 4.0
MAX_POSTGRES_RATIO = 3.0
WARM_UP_ROUNDS = 3
# The server enforces Layer's limits with its journal: past 60 runs a minute, it waits, and past 30,
# it looks up what kind of model it is. So each block of rounds has its own journal.
ROUNDS_A_BLOCK = 22
EARLIER_RUNS = 10_000
EARLIER_SECONDS = 30 * 24 * 60 * 60
PAGE_BYTES = 4096
LIMIT_SECONDS = 600
# A run made a month ago: new values for the columns that have to differ.
EARLIER_VALUES = {
    "key": "printf('%064x', number)",
    "sequence": "sequence + number",
    "run_id": "printf('%064x', number)",
    "fingerprint": "printf('%064x', number)",
    "created_at": f"created_at - {EARLIER_SECONDS}",
    "slot_at": f"slot_at - {EARLIER_SECONDS}",
}
NUMBERS = "WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers"


@dataclass(frozen=True)
class PayingCost:
    """Medians of mixed calls in memory, each with a new prompt and one price request.

    The old journal holds `earlier_runs` of the same account. The sync is that of one page of 4 KB
    to the disk the journals are on: the least that one durable transaction takes. Without
    PostgreSQL, there is no median for it.
    """

    calls: int
    median_ms: float
    old_journal_median_ms: float
    postgres_median_ms: float | None
    ungated_median_ms: float
    earlier_runs: int
    disk_sync_median_ms: float


@dataclass
class _Caller:
    """A client that starts runs. `prompts` never yields the same number twice."""

    client: Client
    prompts: "count[int]"
    inference_id: str | None = None

    async def execute(self) -> None:
        arguments = {
            "model_id": IMAGE_MODEL_ID,
            "prompt": f"a red potion, number {next(self.prompts)}",
            "batch_size": 1,
            "width": 64,
            "height": 64,
        }
        run = await call_for_answer(self.client, "execute_inference", arguments)
        if run.get("duplicate"):
            raise RuntimeError("The run is a duplicate.")
        self.inference_id = run["inference_id"]

    async def settle(self) -> None:
        """Record that the run has ended, or the sixth call would wait for a slot."""
        if self.inference_id is not None:
            arguments = {"inference_id": self.inference_id, "wait_seconds": 0, "preview": False}
            run = await call_for_answer(self.client, "get_status", arguments)
            if run["status"] != "complete":
                raise RuntimeError(f"The run is {run['status']}.")
            self.inference_id = None


def measure_paying_cost(postgres: PostgresServer | None, calls: int) -> PayingCost:
    """Call servers in this process, with a sandbox in another."""
    with (
        running_sandbox_child(*QUICK_RUNS, limit_seconds=LIMIT_SECONDS) as sandbox,
        # /tmp may be in memory, so there would be nothing to measure.
        TemporaryDirectory(dir=Path.cwd(), prefix=".journals-") as folder,
    ):
        # An account's journal is measured, in this folder itself.
        settings = Settings.from_env({**sandbox.variables, "LAYER_SANDBOX": "0"})
        return anyio.run(_measure, settings, Path(folder), postgres, calls)


def paying_rows(cost: PayingCost) -> list[Row]:
    """Compare a paid call with one without journal and gate, and PostgreSQL with SQLite."""
    return [
        replace(_row("execute_inference in memory", cost.median_ms, cost), group="time"),
        _row(f"  after {cost.earlier_runs:,} runs", cost.old_journal_median_ms, cost),
        Row(measure="  one sync of the disk", ours=cost.disk_sync_median_ms, shown=ms),
        _postgres_row(cost),
    ]


def _postgres_row(cost: PayingCost) -> Row:
    measure = "Paid call: journal on PostgreSQL"
    if cost.postgres_median_ms is None:
        return skipped_row(measure, MISSING)
    added_ms = cost.postgres_median_ms - cost.ungated_median_ms
    sqlite_ms = cost.median_ms - cost.ungated_median_ms
    return Row(
        measure=measure,
        ours=added_ms,
        shown=ms,
        reference=sqlite_ms,
        reference_name="the same on SQLite",
        compared=f"{added_ms / sqlite_ms:.2f} x",
        aim=f"at most {MAX_POSTGRES_RATIO:.2f} x",
        is_met=added_ms <= MAX_POSTGRES_RATIO * sqlite_ms,
        group="time",
    )


def _row(measure: str, median_ms: float, cost: PayingCost) -> Row:
    added_ms = median_ms - cost.ungated_median_ms
    return Row(
        measure=measure,
        ours=median_ms,
        shown=ms,
        reference=cost.ungated_median_ms,
        reference_name="no journal, no gate",
        compared=f"{added_ms:+.1f} ms",
        aim=f"at most +{MAX_ADDED_MS:.0f} ms",
        is_met=added_ms <= MAX_ADDED_MS,
    )


async def _measure(
    settings: Settings, folder: Path, postgres: PostgresServer | None, calls: int
) -> PayingCost:
    elapsed_ms: dict[str, list[float]] = {}
    prompts = count()
    with anyio.fail_after(LIMIT_SECONDS):
        old_journal = await _write_old_journal(settings, folder / "old", prompts)
        for first in range(0, calls, ROUNDS_A_BLOCK):
            block = folder / f"block-{first}"
            (block / "old").mkdir(parents=True)
            shutil.copy(old_journal, block / "old")
            rounds = min(ROUNDS_A_BLOCK, calls - first)
            servers = _servers(settings, block, postgres)
            for name, times in (await _time_block(servers, block, prompts, rounds)).items():
                elapsed_ms.setdefault(name, []).extend(times)
    medians_ms = medians_of(elapsed_ms)
    return PayingCost(
        calls=calls,
        median_ms=medians_ms["new"],
        old_journal_median_ms=medians_ms["old"],
        postgres_median_ms=medians_ms.get("postgres"),
        ungated_median_ms=medians_ms["ungated"],
        earlier_runs=EARLIER_RUNS,
        disk_sync_median_ms=medians_ms["sync"],
    )


def _servers(
    settings: Settings, folder: Path, postgres: PostgresServer | None
) -> dict[str, MCPServer[Any]]:
    """Return servers with a journal of their own each, or none."""
    servers: dict[str, MCPServer[Any]] = {
        "new": create_server(_with_state(settings, folder / "new")),
        "old": create_server(_with_state(settings, folder / "old")),
        "ungated": ungated_server(settings),
    }
    if postgres is not None:
        shared = replace(settings, database_url=postgres.create_database())
        servers["postgres"] = create_server(_with_state(shared, folder / "postgres"))
    return servers


async def _time_block(
    servers: Mapping[str, MCPServer[Any]], folder: Path, prompts: "count[int]", rounds: int
) -> Mapping[str, list[float]]:
    async with AsyncExitStack() as stack:
        callers: dict[str, _Caller] = {}
        for name, server in servers.items():
            client = await stack.enter_async_context(Client(server))
            callers[name] = _Caller(client, prompts)
        page = stack.enter_context((folder / "page").open("wb", buffering=0))

        async def settle() -> None:
            for name in servers.keys() - {"ungated"}:
                await callers[name].settle()

        kinds: dict[str, Call] = {name: caller.execute for name, caller in callers.items()}
        kinds["sync"] = partial(_sync_page, page.fileno())
        return await mixed_rounds_ms(
            kinds, rounds, warm_up_rounds=WARM_UP_ROUNDS, after_each=settle
        )


async def _write_old_journal(settings: Settings, folder: Path, prompts: "count[int]") -> Path:
    """Make one run, then copies of its row with earlier times, and return the journal's file."""
    async with Client(create_server(_with_state(settings, folder))) as client:
        caller = _Caller(client, prompts)
        await caller.execute()
        await caller.settle()
    return await anyio.to_thread.run_sync(_add_earlier_runs, folder)


def _add_earlier_runs(folder: Path) -> Path:
    [file] = folder.glob("*.sqlite3")
    with closing(sqlite3.connect(file)) as database, database:
        columns: list[str] = [row[1] for row in database.execute("PRAGMA table_info(runs)")]
        if missing := EARLIER_VALUES.keys() - set(columns):
            raise RuntimeError(f"The journal has no {missing}.")
        values = ", ".join(EARLIER_VALUES.get(column, column) for column in columns)
        database.execute(
            f"{NUMBERS} LIMIT ?) INSERT INTO runs SELECT {values} FROM runs, numbers",
            [EARLIER_RUNS],
        )
    return file


def _with_state(settings: Settings, folder: Path) -> Settings:
    return replace(settings, state_dir=str(folder))


async def _sync_page(file: int) -> None:
    os.write(file, bytes(PAGE_BYTES))
    os.fsync(file)
