"""Clients on stdin and stdout that start twice, leave early, or write a byte order mark."""

import json
import time
from typing import Any

import pytest

from layer_mcp.sandbox import RunningSandbox

from ..support.hosts import SMALL_IMAGE
from ..support.raw_hosts import ENVELOPE
from ..support.stdio_child import INITIALIZE, Child, child

pytestmark = pytest.mark.process

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UNSUPPORTED_VERSION = -32022


def modern(number: int, method: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": {"_meta": ENVELOPE}}


def wait_for_poll(sandbox: RunningSandbox) -> None:
    deadline = time.monotonic() + 20
    while not sandbox.state.arrived["get_inference"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert sandbox.state.arrived["get_inference"]


def end_stdin(server: Child) -> list[dict[str, Any]]:
    """Close stdin, and return the answers that are still written."""
    server.pipe(server.process.stdin).close()
    answers = list(iter(server.pipe(server.process.stdout).readline, b""))
    assert server.process.wait(20) == 0
    return [json.loads(line) for line in answers]


def test_a_client_that_gave_up_discovery_can_start_with_the_older_handshake(
    environment: dict[str, str],
) -> None:
    with child(environment) as server:
        # The AI SDK sends both before it has an answer.
        server.send(modern(0, "server/discover"))
        server.send(INITIALIZE)
        answers = [server.receive(), server.receive()]
        server.call(2, "list_models", {})
        models = server.receive()
    assert [answer["id"] for answer in answers] == [0, 1]
    assert answers[1]["result"]["protocolVersion"] == "2025-11-25"
    assert models["result"]["structuredContent"]["models"]


@pytest.mark.slow
def test_a_client_that_has_used_the_newer_protocol_stays_with_it(
    environment: dict[str, str],
) -> None:
    with child(environment) as server:
        for number, method in enumerate(("server/discover", "tools/list")):
            server.send(modern(number, method))
            assert server.receive()["result"]
        server.send(INITIALIZE | {"id": 2})
        refused = server.receive()
        server.send(modern(3, "tools/list"))
        listed = server.receive()
    assert (refused["id"], refused["error"]["code"]) == (2, UNSUPPORTED_VERSION)
    assert listed["result"]["tools"]


def test_a_byte_order_mark_before_the_first_message_is_ignored(environment: dict[str, str]) -> None:
    with child(environment) as server:
        server.pipe(server.process.stdin).write(BYTE_ORDER_MARK)
        assert server.initialize()["serverInfo"]["name"] == "layer-mcp"


def test_calls_that_are_in_progress_when_stdin_ends_are_answered(
    environment: dict[str, str],
) -> None:
    with child(environment) as server:
        server.initialize()
        server.call(2, "execute_inference", SMALL_IMAGE)
        server.call(3, "list_models", {})
        answers = end_stdin(server)
    assert {answer["id"] for answer in answers if "result" in answer} == {2, 3}


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["get_status", "list_runs"])
def test_a_wait_ends_with_stdin_and_its_call_is_answered(
    tool: str, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    with child(environment) as server:
        server.initialize()
        server.call(2, "execute_inference", SMALL_IMAGE)
        started = server.receive()["result"]["structuredContent"]["inference_id"]
        wait = {"inference_id": started} if tool == "get_status" else {"wait_for": "all"}
        server.call(3, tool, wait | {"wait_seconds": 40})
        wait_for_poll(sandbox)
        [answer] = end_stdin(server)
    assert answer["id"] == 3
    assert "in_progress" in answer["result"]["content"][0]["text"]
