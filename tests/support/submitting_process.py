"""A process that submits runs with the library.

Run as `python -m tests.support.submitting_process COMMAND DRAFTS` with the settings in the
environment and the drafts as a JSON list. It prints "ready", waits for a line, submits the runs,
prints them as a JSON list, and lives until its standard input is closed.
"""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
from anyio import to_thread

from layer_mcp import Settings
from layer_mcp.runs.drafts import InferenceDraft
from layer_mcp.runs.opening import open_runs
from layer_mcp.runs.service import Runs
from layer_mcp.runs.types.budget import CallBudget
from layer_mcp.runs.types.plan import SubmitOptions
from layer_mcp.runs.types.run import Run

ROOT = Path(__file__).parents[2]
END_SECONDS = 60
CALL_SECONDS = 45

Command = Literal["each", "batch"]
"""Whether each draft is a separate call, all at the same time, or all are one batch."""


class SubmittingProcess:
    """The parent's side of such a process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def wait_until_ready(self) -> None:
        """Return once it's ready to begin."""
        assert self._line() == "ready\n"

    def go(self) -> None:
        """Let it begin."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def runs(self) -> list[dict[str, Any]]:
        """Return the runs that it submitted, with `run_id`, `state` and `is_duplicate`."""
        return json.loads(self._line())

    def kill(self) -> None:
        """Kill it without warning."""
        self._process.kill()
        self._process.wait(END_SECONDS)

    def interrupt(self) -> None:
        """Interrupt it, as Ctrl+C does."""
        self._process.send_signal(signal.SIGINT)
        # The thread that reads it can't be interrupted.
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(END_SECONDS)

    def limit_files(self, size_bytes: int) -> None:
        """Keep its files from growing beyond a size, as on a full disk."""
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (size_bytes, size_bytes))

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextmanager
def submitting_process(
    environment: Mapping[str, str], command: Command, drafts: Sequence[Mapping[str, Any]]
) -> Generator[SubmittingProcess]:
    """Start a process, and kill it at the end of the block."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-m", __name__, command, json.dumps(drafts)],
        stdin=pipe,
        stdout=pipe,
        text=True,
        cwd=ROOT,
        env=inherited | dict(environment),
    ) as process:
        try:
            yield SubmittingProcess(process)
        finally:
            process.kill()


async def _submit_each(runs: Runs, drafts: Sequence[dict[str, Any]]) -> list[Run]:
    found: list[Run] = []

    async def submit(fields: dict[str, Any]) -> None:
        found.append(await runs.generate(wait_seconds=0, **fields))

    async with anyio.create_task_group() as tasks:
        for fields in drafts:
            tasks.start_soon(submit, fields)
    return found


async def _submit_batch(runs: Runs, drafts: Sequence[dict[str, Any]]) -> list[Run]:
    plan = await runs.prepare(
        [InferenceDraft.model_validate(fields) for fields in drafts],
        SubmitOptions(is_batch=True),
        CallBudget.begin(CALL_SECONDS),
    )
    return await runs.submit_batch(plan, approved=False)


async def _main(command: str, drafts: Sequence[dict[str, Any]]) -> None:
    async with open_runs(Settings.from_env()) as runs:
        # Importing on the first call must not delay some of the processes.
        await runs.list()
        await runs.client.list_workspaces()
        print("ready", flush=True)
        await to_thread.run_sync(sys.stdin.readline)
        submit = _submit_batch if command == "batch" else _submit_each
        found = [
            {"run_id": run.run_id, "state": run.state, "is_duplicate": run.is_duplicate}
            for run in await submit(runs, drafts)
        ]
        print(json.dumps(found), flush=True)
        await to_thread.run_sync(sys.stdin.readline)


if __name__ == "__main__":
    anyio.run(_main, sys.argv[1], json.loads(sys.argv[2]))
