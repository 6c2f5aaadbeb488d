"""Connections to the HTTP server that never finish a request, are too many, or come from a page."""

import json
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from layer_mcp.sandbox import RunningSandbox

from ...support.hosts import SMALL_IMAGE, with_constant
from ...support.http_process import (
    BODY,
    HOST,
    Server,
    http_process,
    read_until_closed,
    receive_until,
    request,
)

pytestmark = pytest.mark.process

CONNECTIONS = "layer_mcp.server.http.connections"
HURRIED = with_constant(CONNECTIONS, "REQUEST_SECONDS", 0.5)
DESCRIPTORS = 64

WHOLE = request()
HALVES = {
    "nothing": b"",
    "half a request line": WHOLE[:8],
    "half the headers": WHOLE[:60],
    "no body": WHOLE[: -len(BODY)],
    "half a body": WHOLE[:-5],
    "a whole request and half of another": WHOLE + WHOLE[:60],
    "an answered request without its body": request(target=b"/other")[: -len(BODY)],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with http_process({}, folder) as running:
        yield running


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8750", "127.0.0.1", "localhost:1", "LOCALHOST:8750", "[::1]:8750", "[::1]"],
)
def test_accepts_requests_to_this_machine(host: str, server: Server) -> None:
    assert b" 200 " in server.ask(request(host=host.encode()))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:80@evil.example",
        "localhost:80@evil.example:80",
        "127.0.0.1:",
        "127.0.0.1:80:80",
        "127.0.0.1:123456",
        "127.0.0.1.evil.example",
        "evil.example",
        "[::1]evil.example",
        "::1",
        "user@127.0.0.1",
        "",
    ],
)
def test_rejects_requests_to_another_host(host: str, server: Server) -> None:
    assert b" 421 " in server.ask(request(host=host.encode()))


@pytest.mark.parametrize("origin", ["http://localhost:6274", "http://127.0.0.1", "http://[::1]:1"])
def test_accepts_requests_of_pages_of_this_machine(origin: str, server: Server) -> None:
    assert b" 200 " in server.ask(request(b"Origin: " + origin.encode()))


@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1:80@evil.example",
        "http://localhost.evil.example",
        "https://evil.example",
        "http://localhost:1/",
        "null",
        "",
    ],
)
def test_rejects_requests_of_pages_of_another_site(origin: str, server: Server) -> None:
    assert b" 403 " in server.ask(request(b"Origin: " + origin.encode()))


@pytest.mark.parametrize(
    "ambiguous",
    [
        request(b"Host: evil.example"),
        request(b"Origin: http://localhost:1", b"Origin: http://evil.example"),
        request(target=b"http://evil.example/mcp"),
        request(target=b"http://127.0.0.1:8750/mcp"),
        WHOLE.replace(b"Host: " + HOST + b"\r\n", b""),
        WHOLE.replace(b"Host: " + HOST + b"\r\n", b"").replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
    ids=["two hosts", "two origins", "another URL", "a URL", "no host", "no host in HTTP/1.0"],
)
def test_rejects_requests_that_name_their_host_ambiguously(
    ambiguous: bytes, server: Server
) -> None:
    assert server.ask(ambiguous).split()[1] in (b"400", b"403", b"421")


def test_rejects_a_stream_for_messages_that_never_come(server: Server) -> None:
    assert b" 405 " in server.ask(WHOLE.replace(b"POST", b"GET", 1))


def test_closes_connections_whose_request_stays_incomplete(tmp_path: Path) -> None:
    with http_process({}, tmp_path, *HURRIED) as server, ExitStack() as stack:
        connections = {
            (name, number): stack.enter_context(server.connect())
            for name in HALVES
            for number in range(7)
        }
        for (name, _), connection in connections.items():
            connection.sendall(HALVES[name])
        for connection in connections.values():
            read_until_closed(connection)
        assert server.process.net_connections("tcp")[1:] == []
        assert b" 200 " in server.ask(WHOLE)
        assert len(server.log.read_bytes()) < 1_000


def test_closes_a_connection_that_sends_its_request_one_byte_at_a_time(tmp_path: Path) -> None:
    with http_process({}, tmp_path, *HURRIED) as server, server.connect() as connection:
        closed = threading.Thread(target=read_until_closed, args=[connection], daemon=True)
        closed.start()
        deadline = time.monotonic() + 20
        while closed.is_alive() and time.monotonic() < deadline:
            try:
                connection.sendall(b"P")
            except OSError:
                break
            closed.join(0.05)
        closed.join(5)
        assert not closed.is_alive()
        assert time.monotonic() < deadline


def test_a_slow_answer_and_an_idle_connection_are_not_closed(
    environment: dict[str, str], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    sandbox.state.knobs.run_seconds = 600
    arguments = SMALL_IMAGE | {"wait_seconds": 1}
    params = {"name": "execute_inference", "arguments": arguments}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    with (
        http_process(environment, tmp_path, *HURRIED) as server,
        server.connect() as idle,
        server.connect() as waiting,
    ):
        idle.sendall(WHOLE)
        waiting.sendall(request(body=json.dumps(call).encode()))
        receive_until(idle, b"list_models")
        receive_until(waiting, b"inference_id")
        # By now the idle one has been open for longer than a request may take.
        idle.sendall(request(target=b"/another"))
        receive_until(idle, b" 404 ")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="sets the limit of another process")
@pytest.mark.parametrize(
    "launcher",
    [
        with_constant(CONNECTIONS, "MAX_CONNECTIONS", 20),
        # As when the rest of the process uses the descriptors up.
        with_constant(CONNECTIONS, "max_connections", "lambda: 1000"),
    ],
    ids=["connections", "descriptors"],
)
def test_connections_above_a_limit_wait_without_keeping_the_server_busy(
    launcher: Sequence[str], tmp_path: Path
) -> None:
    with http_process({}, tmp_path, *launcher, descriptors=DESCRIPTORS) as server:
        before = server.process.cpu_times()
        with ExitStack() as stack:
            for _ in range(2 * DESCRIPTORS):
                stack.enter_context(server.connect())
            late = stack.enter_context(server.connect())
            late.sendall(WHOLE)
            late.settimeout(2)
            with pytest.raises(TimeoutError):
                late.recv(1)
            assert server.process.num_fds() <= DESCRIPTORS
        after = server.process.cpu_times()
        assert b" 200 " in server.ask(WHOLE)
    assert (after.user + after.system) - (before.user + before.system) < 1
    assert len(server.log.read_bytes()) < 1_000
