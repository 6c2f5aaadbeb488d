"""Signals that end a command whose paid request is out."""

import os
import pty
import signal
import subprocess
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import IO

import pytest

from layer_mcp.sandbox import RunningSandbox

from ..support.held_requests import (
    held_answer,
    recorded_state,
    wait_until_sent,
)
from ..support.hosts import SCRIPT, child_environment, with_constant
from ..support.terminal import LAUNCHER, SMALL, Person

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(os.name == "nt", reason="Ctrl+C works differently there"),
]

SLOW_SECONDS = 100


@contextmanager
def command_in_a_submission(
    person: Person, sandbox: RunningSandbox, *arguments: str, launcher: Sequence[str] = ()
) -> Generator[tuple[subprocess.Popen[str], IO[str], threading.Event]]:
    """A command whose request is out, its stderr, and the event that lets the answer arrive."""
    sandbox.state.knobs.run_seconds = SLOW_SECONDS
    with (
        held_answer(sandbox) as release,
        subprocess.Popen(
            [*launcher, SCRIPT, "generate", "x", *SMALL, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=person.folder,
            env=child_environment(dict(person.environment)),
        ) as process,
    ):
        assert process.stderr is not None
        wait_until_sent(sandbox)
        yield process, process.stderr, release


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        pytest.param(("--no-wait",), marks=pytest.mark.slow),
        pytest.param(("--json",), marks=pytest.mark.slow),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "ending",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_a_signal_while_the_request_is_out_records_the_run_and_prints_how_to_resume(
    ending: signal.Signals, arguments: tuple[str, ...], person: Person, sandbox: RunningSandbox
) -> None:
    with command_in_a_submission(person, sandbox, *arguments) as (process, stderr, release):
        process.send_signal(ending)
        assert "Waiting for Layer's answer" in stderr.readline()
        # Wrappers and terminals may send it twice.
        process.send_signal(ending)
        release.set()
        said = stderr.read()
    [run_id] = sandbox.state.runs
    assert process.returncode == 128 + ending
    assert said.endswith(f"The run continues. To wait for it: layer-mcp status {run_id} --wait\n")
    assert recorded_state(dict(person.environment)) == ("in_progress", run_id)


@pytest.mark.slow
def test_another_ctrl_c_ends_a_command_that_waits_for_the_answer(
    person: Person, sandbox: RunningSandbox
) -> None:
    launcher = with_constant("layer_mcp.signals", "ECHO_SECONDS", 0)
    with command_in_a_submission(person, sandbox, launcher=launcher) as (process, stderr, _):
        process.send_signal(signal.SIGINT)
        assert "press Ctrl+C again" in stderr.readline()
        process.send_signal(signal.SIGINT)
        said = stderr.read()
    assert process.returncode == 130
    assert said.endswith("If it was sent, the run continues. To find it, run layer-mcp runs.\n")
    assert recorded_state(dict(person.environment)) == ("sending", None)


@contextmanager
def command_at_a_terminal(
    person: Person, *arguments: str, **environment: str
) -> Generator[tuple[subprocess.Popen[bytes], int]]:
    """A command at a terminal, and the terminal's other end, which the test closes."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*LAUNCHER, SCRIPT, "generate", "x", *SMALL, "--picture=never", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=person.folder,
        env=child_environment({"TERM": "xterm", **person.environment, **environment}),
        start_new_session=True,
    ) as process:
        os.close(theirs)
        try:
            yield process, ours
        finally:
            process.kill()


@pytest.mark.slow
def test_closing_the_terminal_while_the_request_is_out_records_the_run(
    person: Person, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = SLOW_SECONDS
    with held_answer(sandbox) as release, command_at_a_terminal(person) as (process, ours):
        wait_until_sent(sandbox)
        os.close(ours)
        release.set()
        assert process.wait(20) == 128 + signal.SIGHUP
    [run_id] = sandbox.state.runs
    assert recorded_state(dict(person.environment)) == ("in_progress", run_id)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_the_price_question_sends_nothing(
    ending: signal.Signals, person: Person, sandbox: RunningSandbox
) -> None:
    with command_at_a_terminal(person, "--width=1000", LAYER_CONFIRM_ABOVE="0") as (process, ours):
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(ours, 65536)
        process.send_signal(ending)
        assert process.wait(20) == 128 + ending
        shown = os.read(ours, 65536)
        os.close(ours)
    assert b"Nothing was sent." in shown
    assert sandbox.state.arrived["execute_inference"] == 0
