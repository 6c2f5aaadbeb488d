"""The server as a child process that a test sends raw messages to."""

import json
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import IO, Any

from .hosts import SCRIPT, child_environment

INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


class Child:
    """A server process and its pipes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def send(self, message: dict[str, Any]) -> None:
        self.send_line(json.dumps(message).encode())

    def send_line(self, line: bytes) -> None:
        self.pipe(self.process.stdin).write(line + b"\n")
        self.pipe(self.process.stdin).flush()

    def call(self, number: int, tool: str, arguments: dict[str, Any]) -> None:
        params = {"name": tool, "arguments": arguments}
        self.send({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})

    def receive(self) -> dict[str, Any]:
        return json.loads(self.pipe(self.process.stdout).readline())

    def initialize(self) -> dict[str, Any]:
        self.send(INITIALIZE)
        answer = self.receive()
        self.send(INITIALIZED)
        return answer["result"]

    @staticmethod
    def pipe(stream: IO[bytes] | None) -> IO[bytes]:
        assert stream is not None
        return stream


@contextmanager
def child(
    environment: dict[str, str], *arguments: str, launcher: Sequence[str] = ()
) -> Generator[Child]:
    """Start a child that ends with the block; a launcher may start it."""
    with subprocess.Popen(
        [*launcher, SCRIPT, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=child_environment(environment),
    ) as process:
        try:
            yield Child(process)
        finally:
            process.kill()
