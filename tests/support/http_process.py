"""The HTTP server as a child process, and requests as bytes."""

import json
import re
import resource
import socket
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from .hosts import SCRIPT, child_environment

HOST = b"127.0.0.1:8750"
# Debug messages may come before.
URL = re.compile(r"^http://\S+$", re.MULTILINE)
ENTRY_SECONDS = 30
# Only whole lines, and not the URLs at the start.
ENTRY = re.compile(rb"^\{.*\}\n", re.MULTILINE)


def message(method: str, **params: Any) -> bytes:
    """Return a JSON-RPC request as a body."""
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


BODY = message("tools/list")


@dataclass(frozen=True)
class Server:
    """A running server: its ports, its process, and the file with what it logged."""

    port: int
    process: psutil.Process
    log: Path
    metrics_port: int = 0

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def ask(self, request: bytes) -> bytes:
        """Return the first line of the response on a connection of its own."""
        with self.connect() as connection:
            connection.sendall(request)
            return connection.makefile("rb").readline()

    def ask_once(self, request: bytes) -> bytes:
        """Return the whole response to a request that asks to close the connection."""
        with self.connect() as connection:
            connection.sendall(request)
            return connection.makefile("rb").read()


@contextmanager
def http_process(
    environment: dict[str, str],
    folder: Path,
    *launcher: str,
    options: Sequence[str] = (),
    descriptors: int | None = None,
) -> Generator[Server]:
    """Start `layer-mcp serve --http` on a free port, with its state and its log in a folder."""
    log = folder / "stderr.txt"
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            [*launcher, SCRIPT, "serve", "--http", "--port", "0", *options],
            stderr=stderr,
            env=child_environment({"LAYER_STATE_DIR": str(folder), **environment}),
        ) as process,
    ):
        try:
            deadline = time.monotonic() + 30
            while not (urls := URL.findall(log.read_text())) and time.monotonic() < deadline:
                time.sleep(0.02)
            if descriptors is not None:
                limits = (descriptors, descriptors)
                resource.prlimit(process.pid, resource.RLIMIT_NOFILE, limits)
            metrics_port = port_of(urls[-1]) if urls[-1].endswith("/metrics") else 0
            yield Server(port_of(urls[0]), psutil.Process(process.pid), log, metrics_port)
        finally:
            process.kill()


def wait_for_entry(log: Path, after_bytes: int = 0) -> dict[str, Any]:
    """Return the only entry of an access log; it's written after the response, so wait for it."""
    deadline = time.monotonic() + ENTRY_SECONDS
    while not (lines := ENTRY.findall(log.read_bytes()[after_bytes:])):
        assert time.monotonic() < deadline, "The request isn't in the access log."
        time.sleep(0.005)
    [line] = lines
    return json.loads(line)


def port_of(url: str) -> int:
    """Return the port of a URL."""
    return int(url.rpartition(":")[2].partition("/")[0])


def request(
    *lines: bytes,
    host: bytes = HOST,
    target: bytes = b"/mcp",
    body: bytes = BODY,
    method: bytes = b"POST",
) -> bytes:
    """Return a request of the 2025 protocol with these additional header lines."""
    head = [
        b"%s %s HTTP/1.1" % (method, target),
        b"Host: %s" % host,
        b"Content-Type: application/json",
        b"Accept: application/json, text/event-stream",
        b"MCP-Protocol-Version: 2025-11-25",
        b"Content-Length: %d" % len(body),
        *lines,
    ]
    return b"\r\n".join([*head, b"", body])


def receive_until(connection: socket.socket, text: bytes) -> None:
    """Receive until a text has arrived."""
    received = b""
    while text not in received:
        chunk = connection.recv(65536)
        assert chunk, received
        received += chunk


def read_until_closed(connection: socket.socket) -> None:
    """Receive until the server closes or resets the connection."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        return
