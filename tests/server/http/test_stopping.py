"""A server for a team that is asked to stop: it says so, answers what is in progress, and ends."""

import json
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from layer_mcp.sandbox import RunningSandbox

from ...support.hosts import SCRIPT, SMALL_IMAGE, child_environment
from ...support.http_process import Server, http_process, message, request

pytestmark = pytest.mark.process

TEAM = ["--insecure-no-auth"]
CLOSE = b"Connection: close"


def read(server: Server, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{server.port}{path}", trust_env=False, timeout=20)


def wait_until_draining(server: Server) -> None:
    deadline = time.monotonic() + 20
    while b"Stopping" not in server.log.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.02)


def begin_waiting(server: Server, sandbox: RunningSandbox) -> tuple[threading.Thread, list[bytes]]:
    """Call execute_inference, which waits for a run that takes long."""
    sandbox.state.knobs.run_seconds = 600
    arguments = SMALL_IMAGE | {"wait_seconds": 40}
    body = message("tools/call", name="execute_inference", arguments=arguments)
    answers: list[bytes] = []

    def call() -> None:
        answers.append(server.ask_once(request(CLOSE, body=body)))

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not sandbox.state.arrived["get_inference"] and time.monotonic() < deadline:
        time.sleep(0.02)
    return thread, answers


def structured(answer: bytes) -> dict[str, Any]:
    [line] = [line for line in answer.splitlines() if line.startswith(b"data: {")]
    return json.loads(line.removeprefix(b"data: "))["result"]["structuredContent"]


def test_a_stopping_server_is_not_ready_but_still_answers_and_closes_connections(
    environment: dict[str, str], tmp_path: Path
) -> None:
    slow = environment | {"LAYER_DRAIN_SECONDS": "60"}
    with http_process(slow, tmp_path, options=TEAM) as server:
        assert read(server, "/readyz").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        wait_until_draining(server)
        ready, live = read(server, "/readyz"), read(server, "/livez")
        assert (ready.status_code, ready.text) == (503, "draining")
        assert (live.status_code, live.headers["connection"]) == (200, "close")
        # The connection isn't asked to close, but reading it ends.
        answer = server.ask_once(request())
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"list_models" in answer


def test_calls_in_progress_are_answered_before_the_server_ends(
    environment: dict[str, str], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    quick = environment | {"LAYER_DRAIN_SECONDS": "0"}
    with http_process(quick, tmp_path, options=TEAM) as server:
        thread, answers = begin_waiting(server, sandbox)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
        thread.join(20)
    [answer] = answers
    assert structured(answer)["status"] == "in_progress"


def test_a_local_server_answers_calls_in_progress_too(
    environment: dict[str, str], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    with http_process(environment, tmp_path) as server:
        thread, answers = begin_waiting(server, sandbox)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(2) == 0
        thread.join(20)
    [answer] = answers
    assert structured(answer)["status"] == "in_progress"


def test_a_server_whose_log_has_no_reader_stops_too(environment: dict[str, str]) -> None:
    command = [SCRIPT, "serve", "--http", "--port", "0", *TEAM]
    variables = child_environment(environment | {"LAYER_DRAIN_SECONDS": "1"})
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=variables) as process:
        assert process.stderr is not None
        url = process.stderr.readline().decode().partition("/mcp")[0]
        assert httpx.get(f"{url}/livez", trust_env=False, timeout=20).status_code == 200
        process.stderr.close()
        process.terminate()
        assert process.wait(30) == 0


@pytest.mark.slow
def test_a_second_signal_ends_a_server_that_drains(
    environment: dict[str, str], tmp_path: Path
) -> None:
    slow = environment | {"LAYER_DRAIN_SECONDS": "600"}
    with http_process(slow, tmp_path, options=TEAM) as server:
        server.process.send_signal(signal.SIGTERM)
        wait_until_draining(server)
        deadline = time.monotonic() + 30
        # A signal that follows within a second counts as the same one.
        while server.process.is_running() and time.monotonic() < deadline:
            server.process.send_signal(signal.SIGTERM)
            try:
                assert server.process.wait(0.3) == -signal.SIGTERM
                break
            except psutil.TimeoutExpired:
                continue
        assert time.monotonic() < deadline
