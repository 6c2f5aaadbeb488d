"""The server over Streamable HTTP as a child process."""

import subprocess
import threading
import time
from contextlib import suppress
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client

from layer_mcp.sandbox import RunningSandbox

from ..support.hosts import SCRIPT, SMALL_IMAGE, child_environment, content_of, http_server

pytestmark = [pytest.mark.anyio, pytest.mark.process]

LISTING: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}


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


def test_sigterm_during_a_wait_ends_the_process_within_two_seconds(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    arguments = SMALL_IMAGE | {"wait_seconds": 40}
    params = {"name": "execute_inference", "arguments": arguments}
    call = LISTING | {"method": "tools/call", "params": params}

    def wait_long(url: str) -> None:
        with suppress(httpx.TransportError):
            httpx.post(url, json=call, headers=HEADERS, timeout=30, trust_env=False)

    with subprocess.Popen(
        [SCRIPT, "serve", "--http", "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env=child_environment(environment),
    ) as process:
        assert process.stderr is not None
        waiting = threading.Thread(target=wait_long, args=[process.stderr.readline().strip()])
        waiting.start()
        deadline = time.monotonic() + 20
        while not sandbox.state.arrived["get_inference"] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert sandbox.state.arrived["get_inference"]
        process.terminate()
        try:
            process.wait(2)
        finally:
            process.kill()
            waiting.join()
