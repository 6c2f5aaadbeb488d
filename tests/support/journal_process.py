"""Processes that share a journal: one that records runs and lives on, several that start together.

Run as `python -m tests.support.journal_process COMMAND FOLDER ARGUMENT...`.
"""

import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import anyio

from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.sqlite import SqliteDatabase
from layer_mcp.runs.types import RunFilter, RunRequest

from .recorded_runs import (
    ACCOUNT,
    API,
    MANY_RUNS,
    REQUEST,
    WORKSPACE,
    MakeRun,
    queued_run,
    run_with_slot,
    running_run,
    sending_run,
)

ROOT = Path(__file__).parents[2]
TOGETHER = 4
END_SECONDS = 60
MAKE: dict[str, MakeRun] = {
    "queued": lambda journal: queued_run(journal, request_for("queued")),
    "has_slot": lambda journal: run_with_slot(journal, request_for("has_slot")),
    "sending": lambda journal: sending_run(journal, request_for("sending")),
    "in_progress": lambda journal: running_run(journal, request_for("in_progress")),
}


def request_for(state: str) -> RunRequest:
    """Return the request that `recording_process` leaves in a state."""
    return replace(REQUEST, body={"prompt": state})


@contextmanager
def recording_process(folder: Path, *states: str) -> Generator[subprocess.Popen[str]]:
    """Start a process that records runs in these states and ends when its stdin is closed."""
    pipe = subprocess.PIPE
    command = _command("record", folder, *states)
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def killed_process(folder: Path, *states: str) -> None:
    """Record runs in a process that ends without a chance to say anything."""
    with recording_process(folder, *states) as process:
        process.kill()
        process.wait(END_SECONDS)


def start_together(command: str, folder: Path, *arguments: str) -> list[str]:
    """Open a journal in several processes at the same moment, and return what they print."""
    children = [
        subprocess.Popen(
            _command(command, folder, str(number), *arguments),
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for number in range(TOGETHER)
    ]
    while len(list(folder.parent.glob("ready-*"))) < TOGETHER:
        assert all(child.poll() is None for child in children)
        time.sleep(0.01)
    (folder.parent / "go").touch()
    printed = [child.communicate(timeout=END_SECONDS)[0] for child in children]
    assert [child.returncode for child in children] == [0] * TOGETHER
    return printed


def _command(command: str, folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", __name__, command, str(folder), *arguments]


def _wait_for_the_others(folder: Path, name: str) -> None:
    (folder.parent / f"ready-{name}").touch()
    while not (folder.parent / "go").exists():
        time.sleep(0.001)


async def _record(journal: Journal, _folder: Path, *states: str) -> None:
    await journal.spending()
    for state in states:
        await MAKE[state](journal)
    print("ready", flush=True)
    sys.stdin.read()


async def _note_uploads(journal: Journal, folder: Path, name: str, count: str) -> None:
    _wait_for_the_others(folder, name)
    for number in range(int(count)):
        await journal.note_upload(WORKSPACE, f"{name}-{number}", f"file-{name}-{number}")


async def _list(journal: Journal, folder: Path, name: str) -> None:
    _wait_for_the_others(folder, name)
    runs = await journal.list_runs(RunFilter(), MANY_RUNS)
    print(*(run.key for run in runs), journal.problem)


async def _main(command: str, folder: Path, *arguments: str) -> None:
    commands = {"record": _record, "note_uploads": _note_uploads, "list": _list}
    with closing(SqliteDatabase(lambda: folder)) as database:
        journal = Journal(database, api_url=API, account=ACCOUNT)
        await commands[command](journal, folder, *arguments)


if __name__ == "__main__":
    anyio.run(_main, sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
