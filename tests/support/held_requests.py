"""Paid requests whose answer is held back until a test has done something to the process."""

import sqlite3
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from layer_mcp.runs.journal.databases.sqlite import FILE_NAME
from layer_mcp.sandbox import Fault, RunningSandbox

ARRIVAL_SECONDS = 40


@contextmanager
def held_answer(sandbox: RunningSandbox) -> Generator[threading.Event]:
    """Hold the answer to the next execute_inference until the event is set or the block ends."""
    release = threading.Event()
    sandbox.state.knobs.fail_next("execute_inference", Fault("slow", held_until=release))
    try:
        yield release
    finally:
        release.set()


def wait_until_sent(sandbox: RunningSandbox) -> None:
    """Wait until a paid request has arrived."""
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while not sandbox.state.arrived["execute_inference"] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert sandbox.state.arrived["execute_inference"] == 1


def recorded_state(environment: dict[str, str]) -> tuple[str, str | None]:
    """Read the state and run ID of the only run that may have been sent from the journal."""
    path = Path(environment["LAYER_STATE_DIR"]) / FILE_NAME
    with closing(sqlite3.connect(path)) as database:
        [row] = database.execute(
            "SELECT state, run_id FROM runs WHERE state <> 'not_sent'"
        ).fetchall()
    return row
