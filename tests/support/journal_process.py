"""Processes that share a journal: one that records runs and keeps running, and several that start
together.

Run as `python -m tests.support.journal_process COMMAND ARGUMENT...` with the settings in the
environment.
"""

import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import anyio

from layer_mcp import Settings
from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.databases.selection import select_database
from layer_mcp.runs.types.filters import RunFilter
from layer_mcp.runs.types.request import RunRequest

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
from .storages import Storage

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
def recording_process(storage: Storage, *states: str) -> Generator[subprocess.Popen[str]]:
    """Start a process that records runs in these states and ends when its stdin is closed."""
    pipe = subprocess.PIPE
    command, environment = _command("record", *states), _environment(storage)
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def killed_process(storage: Storage, *states: str) -> None:
    """Record runs in a process that's killed without warning."""
    with recording_process(storage, *states) as process:
        kill(process, storage)


def kill(process: subprocess.Popen[str], storage: Storage) -> None:
    """Kill a process without warning, and let others notice it."""
    process.kill()
    process.wait(END_SECONDS)
    storage.expire()


def start_together(command: str, storage: Storage, *arguments: str) -> list[str]:
    """Open a journal in several processes at the same moment, and return what they print."""
    folder = storage.folder
    children = [
        subprocess.Popen(
            _command(command, str(number), *arguments),
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=_environment(storage),
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


def _command(command: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", __name__, command, *arguments]


def _environment(storage: Storage) -> dict[str, str]:
    return {**os.environ, **storage.environment, "LAYER_STATE_DIR": str(storage.folder)}


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
        await journal.files.note_upload(WORKSPACE, f"{name}-{number}", f"file-{name}-{number}")


async def _list(journal: Journal, folder: Path, name: str) -> None:
    _wait_for_the_others(folder, name)
    runs = await journal.list_runs(RunFilter(), MANY_RUNS)
    print(*(run.key for run in runs), journal.problem)


async def _main(command: str, *arguments: str) -> None:
    commands = {"record": _record, "note_uploads": _note_uploads, "list": _list}
    settings = Settings.from_env()
    folder = Path(settings.state_dir or "")
    with closing(select_database(settings)) as database:
        journal = Journal(database, api_url=API, account=ACCOUNT)
        await commands[command](journal, folder, *arguments)


if __name__ == "__main__":
    anyio.run(_main, sys.argv[1], *sys.argv[2:])
