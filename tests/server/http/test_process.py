"""The server over Streamable HTTP as a child process."""

import signal
import subprocess
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client

from layer_mcp.sandbox import RunningSandbox

from ...support.held_requests import held_answer, recorded_state, wait_until_sent
from ...support.hosts import SCRIPT, SMALL_IMAGE, child_environment, content_of, http_server

pytestmark = [pytest.mark.anyio, pytest.mark.process]

LISTING: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}


EXIT_CODES = {signal.SIGTERM: 0, signal.SIGINT: 130, signal.SIGHUP: 129}
ENDINGS = [
    signal.SIGHUP,
    pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
    pytest.param(signal.SIGINT, marks=pytest.mark.slow),
]


def call(arguments: dict[str, Any]) -> dict[str, Any]:
    """The message that calls execute_inference."""
    params = {"name": "execute_inference", "arguments": arguments}
    return LISTING | {"method": "tools/call", "params": params}


async def post(url: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.post(url, json=LISTING, headers=HEADERS | headers)


async def test_keeps_no_session(environment: dict[str, str]) -> None:
    async with http_server(environment) as url:
        answer = await post(url)
    assert answer.status_code == 200
    assert "get_status" in answer.text
    assert "mcp-session-id" not in answer.headers


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.test"}, {"Origin": "https://evil.test"}], ids=["host", "origin"]
)
async def test_rejects_requests_from_other_sites(
    headers: dict[str, str], environment: dict[str, str]
) -> None:
    async with http_server(environment) as url:
        answer = await post(url, **headers)
    assert answer.status_code in (403, 421)


@pytest.mark.slow
async def test_many_clients_share_a_server(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.max_runs_at_once = 100
    ids: set[str] = set()

    async def one(url: str, number: int) -> None:
        async with Client(url) as client:
            call = SMALL_IMAGE | {"prompt": f"potion {number}"}
            result = await client.call_tool("execute_inference", call)
        ids.add(content_of(result)["inference_id"])

    async with http_server(environment) as url, anyio.create_task_group() as tasks:
        for number in range(12):
            tasks.start_soon(one, url, number)
    assert ids == set(sandbox.state.runs)
    assert sandbox.state.arrived["execute_inference"] == len(ids) == 12


@contextmanager
def server_in_a_call(
    environment: dict[str, str], arguments: dict[str, Any]
) -> Generator[tuple[subprocess.Popen[str], str]]:
    """A server that a client has just called, and its URL."""

    def call_once(url: str) -> None:
        with suppress(httpx.TransportError):
            httpx.post(url, json=call(arguments), headers=HEADERS, timeout=30, trust_env=False)

    with subprocess.Popen(
        [SCRIPT, "serve", "--http", "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env=child_environment(environment),
    ) as process:
        assert process.stderr is not None
        url = process.stderr.readline().strip()
        calling = threading.Thread(target=call_once, args=[url])
        calling.start()
        try:
            yield process, url
        finally:
            process.kill()
            calling.join()


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_signal_during_a_wait_ends_the_process_within_two_seconds(
    ending: signal.Signals, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    arguments = SMALL_IMAGE | {"wait_seconds": 40}
    with server_in_a_call(environment, arguments) as (process, _):
        deadline = time.monotonic() + 20
        while not sandbox.state.arrived["get_inference"] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert sandbox.state.arrived["get_inference"]
        process.send_signal(ending)
        assert process.wait(2) == EXIT_CODES[ending]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_signal_during_a_submission_ends_the_process_after_the_response_is_recorded(
    ending: signal.Signals, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    with (
        held_answer(sandbox) as release,
        server_in_a_call(environment, SMALL_IMAGE) as (process, url),
    ):
        wait_until_sent(sandbox)
        process.send_signal(ending)
        another = call(SMALL_IMAGE | {"prompt": "another"})
        refused = httpx.post(url, json=another, headers=HEADERS, timeout=30, trust_env=False)
        release.set()
        assert process.wait(20) == EXIT_CODES[ending]
    [run_id] = sandbox.state.runs
    state, recorded_id = recorded_state(environment)
    assert (state in ("in_progress", "complete"), recorded_id) == (True, run_id)
    assert "SERVER_STOPPED" in refused.text
    assert sandbox.state.arrived["execute_inference"] == 1
