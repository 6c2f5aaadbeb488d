"""What journal and price gate add to an execute_inference call."""

import os
import shutil
import statistics
from collections.abc import Mapping
from contextlib import AsyncExitStack
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

from .children import running_sandbox_child
from .finished_run import MODEL_ID
from .interleaved import Call, interleaved_ms
from .old_journal import write_old_journal
from .ungated_server import ungated_server

WARM_UP_CALLS = 3
# A server keeps Layer's limits by its journal: past 60 runs a minute it waits, and past 30 it looks
# up the model, to tell videos from the rest. So each block of calls has a journal of its own.
CALLS_A_BLOCK = 22
EARLIER_RUNS = 10_000
PAGE_BYTES = 4096
LIMIT_SECONDS = 600


@dataclass(frozen=True)
class PayingCost:
    """Medians of mixed calls, in memory, each of another prompt; both ways ask for the price once.

    The old journal holds `earlier_runs` of the same account. The sync is that of one page of 4 KB
    to the disk that the journals are on: the least that one durable transaction takes.
    """

    calls: int
    median_ms: float
    old_journal_median_ms: float
    ungated_median_ms: float
    earlier_runs: int
    disk_sync_median_ms: float


@dataclass
class _Caller:
    """Starts runs with one server; `prompts` never yields the same twice."""

    client: Client
    prompts: "count[int]"
    inference_id: str | None = None

    async def execute(self) -> None:
        arguments = {
            "model_id": MODEL_ID,
            "prompt": f"a red potion, number {next(self.prompts)}",
            "batch_size": 1,
            "width": 64,
            "height": 64,
        }
        self.inference_id = (await self._call("execute_inference", arguments))["inference_id"]

    async def settle(self) -> None:
        """Let the journal learn that the run has ended, which it was at once.

        Else the sixth call would wait: five runs at once is Layer's limit.
        """
        if self.inference_id is not None:
            arguments = {"inference_id": self.inference_id, "wait_seconds": 0, "preview": False}
            answer = await self._call("get_status", arguments)
            if answer["status"] != "complete":
                raise RuntimeError(f"The run is {answer['status']}.")
            self.inference_id = None

    async def _call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        result = await self.client.call_tool(tool, arguments)
        answer = result.structured_content
        if result.is_error or answer is None or answer.get("duplicate"):
            raise RuntimeError(f"{tool} failed: {result.content}")
        return answer


def measure_paying_cost(calls: int) -> PayingCost:
    """Call servers in this process, beside a sandbox in a process of its own."""
    knobs = ("--run-seconds=0", "--poll-interval-seconds=1")
    with (
        running_sandbox_child(*knobs, limit_seconds=LIMIT_SECONDS) as sandbox,
        # In memory there would be nothing to measure, and /tmp may be there.
        TemporaryDirectory(dir=Path.cwd(), prefix=".journals-") as folder,
    ):
        # The journal of a server that uses the sandbox by its setting stays in memory.
        settings = Settings.from_env({**sandbox.variables, "LAYER_SANDBOX": "0"})
        return anyio.run(_measure, settings, Path(folder), calls)


async def _measure(settings: Settings, folder: Path, calls: int) -> PayingCost:
    elapsed_ms: dict[str, list[float]] = {}
    prompts = count()
    old = await write_old_journal(_with_state(settings, folder / "old"), EARLIER_RUNS, MODEL_ID)
    with anyio.fail_after(LIMIT_SECONDS):
        for first in range(0, calls, CALLS_A_BLOCK):
            block = folder / f"block-{first}"
            (block / "old").mkdir(parents=True)
            shutil.copy(old, block / "old")
            calls_of_block = min(CALLS_A_BLOCK, calls - first)
            for name, times in (await _block(settings, block, prompts, calls_of_block)).items():
                elapsed_ms.setdefault(name, []).extend(times)
    medians_ms = {name: statistics.median(times) for name, times in elapsed_ms.items()}
    return PayingCost(
        calls=calls,
        median_ms=medians_ms["new"],
        old_journal_median_ms=medians_ms["old"],
        ungated_median_ms=medians_ms["ungated"],
        earlier_runs=EARLIER_RUNS,
        disk_sync_median_ms=medians_ms["sync"],
    )


async def _block(
    settings: Settings, folder: Path, prompts: "count[int]", calls: int
) -> Mapping[str, list[float]]:
    servers: dict[str, MCPServer[Any]] = {
        "new": create_server(_with_state(settings, folder / "new")),
        "old": create_server(_with_state(settings, folder / "old")),
        "ungated": ungated_server(settings),
    }
    async with AsyncExitStack() as stack:
        callers: dict[str, _Caller] = {}
        for name, server in servers.items():
            client = await stack.enter_async_context(Client(server))
            callers[name] = _Caller(client, prompts)
        page = stack.enter_context((folder / "page").open("wb", buffering=0))

        async def settle() -> None:
            for name in ("new", "old"):
                await callers[name].settle()

        kinds: dict[str, Call] = {name: caller.execute for name, caller in callers.items()}
        kinds["sync"] = partial(_sync_a_page, page.fileno())
        return await interleaved_ms(kinds, calls, warm_up_calls=WARM_UP_CALLS, after_each=settle)


def _with_state(settings: Settings, folder: Path) -> Settings:
    return replace(settings, state_dir=str(folder))


async def _sync_a_page(file: int) -> None:
    os.write(file, bytes(PAGE_BYTES))
    os.fsync(file)
