"""The server over stdio as a child process: how it starts, where it writes, and how it ends."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from layer_mcp.sandbox import Fault, RunningSandbox

from ..support.held_requests import (
    held_answer,
    recorded_state,
    wait_until_sent,
)
from ..support.hosts import SCRIPT, SMALL_IMAGE, with_constant
from ..support.media_host import ONE
from ..support.sandbox_calls import png
from ..support.stdio_child import Child, child
from ..support.stub_layer import FILE_ID, RUN_ID, Reply, StubLayer, stub_layer

pytestmark = pytest.mark.process

SIGNATURE = "c2lnbmF0dXJl"
SECRET = "pat_0123456789abcdef0123456789abcdef"
TOOLS = ("execute_inference", "execute_batch")
IGNORING_HANGUPS = (
    sys.executable,
    "-c",
    "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN);"
    "os.execv(sys.argv[1], sys.argv[1:])",
)


@contextmanager
def child_in_a_wait(environment: dict[str, str], sandbox: RunningSandbox) -> Generator[Child]:
    sandbox.state.knobs.run_seconds = 600
    with child(environment) as server:
        server.initialize()
        server.call(2, "execute_inference", SMALL_IMAGE | {"wait_seconds": 40})
        deadline = time.monotonic() + 20
        while not sandbox.state.arrived["get_inference"] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert sandbox.state.arrived["get_inference"]
        yield server


def test_speaks_the_2025_protocol_with_a_handshake(environment: dict[str, str]) -> None:
    with child(environment) as server:
        answer = server.initialize()
    assert answer["protocolVersion"] == "2025-11-25"
    assert answer["serverInfo"]["name"] == "layer-mcp"
    assert len(answer["instructions"].encode()) < 2048


def test_the_instructions_in_the_sandbox_name_its_models() -> None:
    with child({"LAYER_SANDBOX": "1"}) as server:
        instructions = server.initialize()["instructions"]
    assert SMALL_IMAGE["model_id"] in instructions
    assert len(instructions.encode()) < 2048


def test_closing_stdin_during_a_wait_ends_the_process_within_two_seconds(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    with child_in_a_wait(environment, sandbox) as server:
        server.pipe(server.process.stdin).close()
        assert server.process.wait(2) == 0


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_during_a_wait_ends_the_process_within_two_seconds(
    ending: signal.Signals, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    with child_in_a_wait(environment, sandbox) as server:
        server.process.send_signal(ending)
        assert server.process.wait(2) == -ending


@contextmanager
def child_in_a_submission(
    environment: dict[str, str],
    sandbox: RunningSandbox,
    arguments: dict[str, Any] = SMALL_IMAGE,
    launcher: Sequence[str] = (),
) -> Generator[tuple[Child, threading.Event]]:
    """A child whose paid request is out, and the event that lets its answer arrive."""
    with held_answer(sandbox) as release, child(environment, launcher=launcher) as server:
        server.initialize()
        server.call(2, TOOLS["requests" in arguments], arguments)
        wait_until_sent(sandbox)
        yield server, release


@pytest.mark.slow
def test_closing_stdin_during_a_submission_ends_the_process_after_the_response_is_recorded(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    with child_in_a_submission(environment, sandbox) as (server, release):
        server.pipe(server.process.stdin).close()
        release.set()
        assert server.process.wait(20) == 0
    [run_id] = sandbox.state.runs
    assert recorded_state(environment) == ("in_progress", run_id)


def test_closing_stdout_during_a_submission_ends_the_process_after_the_response_is_recorded(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    with child_in_a_submission(environment, sandbox) as (server, release):
        server.pipe(server.process.stdout).close()
        server.send({"jsonrpc": "2.0", "id": 3, "method": "tools/list"})
        release.set()
        # stdin stays open, and nothing more is written to it.
        assert server.process.wait(20) == 0
        err = server.pipe(server.process.stderr).read().decode()
    [run_id] = sandbox.state.runs
    assert recorded_state(environment) == ("in_progress", run_id)
    assert "the client closed the connection" in err


@pytest.mark.parametrize(
    "arguments",
    [SMALL_IMAGE, pytest.param({"requests": [SMALL_IMAGE]}, marks=pytest.mark.slow)],
    ids=TOOLS,
)
@pytest.mark.parametrize(
    "ending",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_a_signal_during_a_submission_ends_the_process_after_the_response_is_recorded(
    ending: signal.Signals,
    arguments: dict[str, Any],
    environment: dict[str, str],
    sandbox: RunningSandbox,
) -> None:
    with child_in_a_submission(environment, sandbox, arguments) as (server, release):
        server.process.send_signal(ending)
        # The server handles the signal before it reads the next message.
        server.call(3, "execute_inference", SMALL_IMAGE | {"prompt": "another"})
        refused = server.receive()
        release.set()
        assert server.process.wait(20) == -ending
    [run_id] = sandbox.state.runs
    assert recorded_state(environment) == ("in_progress", run_id)
    assert refused["id"] == 3
    assert refused["result"]["structuredContent"]["error"]["code"] == "SERVER_STOPPED"
    assert sandbox.state.arrived["execute_inference"] == 1


@pytest.mark.slow
def test_another_ctrl_c_ends_a_server_that_waits_for_a_response(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    launcher = with_constant("layer_mcp.signals", "ECHO_SECONDS", 0)
    with child_in_a_submission(environment, sandbox, launcher=launcher) as (server, _):
        server.process.send_signal(signal.SIGINT)
        server.call(3, "execute_inference", SMALL_IMAGE | {"prompt": "another"})
        assert "SERVER_STOPPED" in json.dumps(server.receive())
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(20) == -signal.SIGINT
    assert recorded_state(environment) == ("sending", None)


@pytest.mark.slow
def test_a_signal_that_the_process_ignores_does_not_end_it(environment: dict[str, str]) -> None:
    with child(environment, launcher=IGNORING_HANGUPS) as server:
        server.initialize()
        server.process.send_signal(signal.SIGHUP)
        server.send({"jsonrpc": "2.0", "id": 2, "method": "tools/list"})
        assert server.receive()["result"]["tools"]


@pytest.mark.slow
def test_closing_stdin_ends_a_server_with_an_embedded_sandbox() -> None:
    with child({}, "--sandbox") as server:
        server.initialize()
        server.pipe(server.process.stdin).close()
        assert server.process.wait(2) == 0


@pytest.mark.parametrize("level", ["DEBUG", "WARNING"])
def test_stdout_carries_only_protocol_and_nothing_shows_the_token(
    level: str, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.token = SECRET
    sandbox.state.knobs.fail_next(
        "get_inference", Fault("status", status=400, detail=f"Bad token {SECRET}"), Fault("html")
    )
    logged = environment | {
        "LAYER_API_KEY": SECRET,
        "LAYER_LOG_LEVEL": level,
        "PYTHONWARNINGS": "always",
        "PYTHONDEVMODE": "1",
    }
    with child(logged) as server:
        server.initialize()
        server.call(2, "execute_inference", SMALL_IMAGE | {"wait_seconds": 3})
        started = server.receive()
        server.call(3, "get_status", {"inference_id": SMALL_IMAGE["model_id"], "wait_seconds": 0})
        server.send({"jsonrpc": "2.0", "id": 4, "method": "no/such/method"})
        later = [server.receive(), server.receive()]
        out, err = server.process.communicate(timeout=10)
    assert "Bad token [token]" in started["result"]["structuredContent"]["warning"]
    assert {answer["id"] for answer in later} == {3, 4}
    assert out == b""
    assert SECRET not in json.dumps([started, later]) + err.decode()


@pytest.fixture
def echo(tmp_path: Path) -> Generator[StubLayer]:
    """Serve an API that repeats the token in a header and signs its URLs."""
    with stub_layer() as stub:
        headers = {"X-Echo": f"Bearer {SECRET}", "Set-Cookie": f"token={SECRET}"}
        ticket = {"file_id": FILE_ID, "upload_url": f"{stub.address}/up?signature={SIGNATURE}"}
        session = {"Location": f"{stub.address}/session?signature={SIGNATURE}"}
        output = {"url": f"{stub.address}/a.png?signature={SIGNATURE}", "content_type": "image/png"}
        run = {"inference_id": RUN_ID, "status": "complete", "outputs": [output]}
        stub.answers |= {
            "/files/upload-url": Reply(ticket, headers=headers),
            "/up": Reply(status=201, headers=session),
            "/session": Reply(),
            f"/inferences/{RUN_ID}": Reply(run, headers=headers),
            "/inferences": Reply(b"{", status=500, headers=headers),
            "/a.png": Reply(ONE),
        }
        (tmp_path / "red.png").write_bytes(png("red"))
        yield stub


@pytest.mark.slow
def test_the_log_shows_neither_the_token_nor_signed_urls(echo: StubLayer, tmp_path: Path) -> None:
    logged = echo.environment(
        tmp_path,
        LAYER_API_KEY=SECRET,
        LAYER_LOG_LEVEL="DEBUG",
        LAYER_INPUT_DIRS=str(tmp_path),
        LAYER_OUTPUT_DIR=str(tmp_path / "out"),
    )
    with child(logged) as server:
        server.initialize()
        server.call(2, "upload_file", {"path": "red.png"})
        uploaded = server.receive()
        server.call(3, "get_status", {"inference_id": RUN_ID})
        run = server.receive()
        server.call(4, "execute_inference", SMALL_IMAGE)
        refused = server.receive()
        _, err = server.process.communicate(timeout=10)
    assert uploaded["result"]["structuredContent"]["file_id"] == FILE_ID
    assert run["result"]["structuredContent"]["outputs"][0]["path"]
    assert refused["result"]["structuredContent"]["error"]["code"] == "OUTCOME_UNKNOWN"
    assert b"DEBUG" in err
    assert SECRET not in json.dumps([uploaded, run, refused]) + err.decode()
    assert SIGNATURE not in err.decode()


def test_a_host_that_closes_stdout_is_logged_in_one_line(environment: dict[str, str]) -> None:
    with child(environment) as server:
        server.initialize()
        server.pipe(server.process.stdout).close()
        deadline = time.monotonic() + 20
        # stdin stays open, so the server notices only when it writes an answer.
        while server.process.poll() is None and time.monotonic() < deadline:
            with suppress(BrokenPipeError):
                server.send({"jsonrpc": "2.0", "id": 2, "method": "tools/list"})
            time.sleep(0.05)
        assert server.process.poll() is not None
        err = server.pipe(server.process.stderr).read().decode()
    assert "Traceback" not in err
    assert "the client closed the connection" in err


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
@pytest.mark.parametrize("closed", ["<&-", ">&-"])
def test_rejects_a_closed_stdin_or_stdout(closed: str) -> None:
    done = subprocess.run(
        f"{SCRIPT} {closed}", shell=True, stderr=subprocess.PIPE, timeout=20, check=False
    )
    assert done.returncode == 2
    assert b"must be open" in done.stderr


def test_a_cancelled_call_logs_the_id_of_its_run(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    with child_in_a_wait(environment, sandbox) as server:
        cancel = {"requestId": 2, "reason": "the user went on"}
        server.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel})
        server.pipe(server.process.stdin).close()
        server.process.wait(5)
        err = server.pipe(server.process.stderr).read().decode()
    assert f"run {next(iter(sandbox.state.runs))} continues" in err


@pytest.mark.slow
def test_non_ascii_text_works_in_any_locale(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    prompt = "пламя 火 🔥"
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "cp1252"}
    with child(environment | locale) as server:
        server.initialize()
        server.call(2, "execute_inference", SMALL_IMAGE | {"prompt": prompt})
        inference_id = server.receive()["result"]["structuredContent"]["inference_id"]
    assert sandbox.state.runs[inference_id].request.prompt == prompt


def test_a_line_that_is_not_json_does_not_stop_the_server(environment: dict[str, str]) -> None:
    with child(environment) as server:
        server.initialize()
        server.pipe(server.process.stdin).write(b"this is not json\n\xff\xfe\n[]\n")
        server.send({"jsonrpc": "2.0", "id": 9, "method": "tools/list"})
        answers = iter(server.receive, None)
        assert next(answer for answer in answers if answer.get("id") == 9)["result"]["tools"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_prints_a_hint_if_started_in_a_terminal() -> None:
    import pty

    ours, terminal = pty.openpty()
    with subprocess.Popen([SCRIPT], stdin=terminal, stderr=subprocess.PIPE) as process:
        hint = Child.pipe(process.stderr).readline()
        process.send_signal(signal.SIGINT)
        process.wait(2)
    os.close(ours)
    os.close(terminal)
    assert b"is waiting for an MCP client" in hint
