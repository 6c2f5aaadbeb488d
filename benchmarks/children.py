"""Child processes that always end: with their block, or when their time is up."""

import json
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mcp.client.stdio import get_default_environment

GRACE_SECONDS = 5


def server_command(*arguments: str) -> list[str]:
    """The installed `layer-mcp` of this interpreter."""
    return [str(Path(sys.executable).with_name("layer-mcp")), *arguments]


def script_command(name: str, *arguments: str) -> list[str]:
    """A script of this folder, run by this interpreter."""
    return [sys.executable, str(Path(__file__).with_name(name)), *arguments]


def module_command(name: str, *arguments: str) -> list[str]:
    """A module of this package, run by this interpreter; the current folder must have it."""
    return [sys.executable, "-m", f"{__package__}.{name}", *arguments]


@contextmanager
def running(
    command: Sequence[str],
    *,
    limit_seconds: float,
    variables: Mapping[str, str] | None = None,
    stderr: int | None = None,
) -> Generator[subprocess.Popen[str]]:
    """Run a command with pipes on stdin and stdout until the block ends, at most so long.

    The environment is the one that MCP hosts give to their servers, plus `variables`.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={**get_default_environment(), **(variables or {})},
        encoding="utf-8",
    ) as process:
        timer = threading.Timer(limit_seconds, process.kill)
        timer.start()
        try:
            yield process
        finally:
            _end(process)
            timer.cancel()


@contextmanager
def running_http_server(
    command: Sequence[str], *, limit_seconds: float, variables: Mapping[str, str] | None = None
) -> Generator[str]:
    """Run a server that prints its address as the first line on stderr; yields the address."""
    with running(
        command, limit_seconds=limit_seconds, variables=variables, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        address = process.stderr.readline().strip()
        if not address.startswith("http://127.0.0.1:"):
            raise RuntimeError(f"The server printed no address but: {address!r}")
        try:
            yield address
        finally:
            process.terminate()


@dataclass(frozen=True)
class SandboxChild:
    """A sandbox in a process of its own, and the LAYER_* variables that lead to it."""

    variables: dict[str, str]
    process: subprocess.Popen[str]

    def start(self, runs: int) -> list[str]:
        """Start runs that no server knows of; their ids."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{runs}\n")
        self.process.stdin.flush()
        return json.loads(_line_of(self.process))

    def stop(self) -> "Seen":
        """End it; what it saw."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return Seen(json.loads(_line_of(self.process)), json.loads(_line_of(self.process)))


@dataclass(frozen=True)
class Seen:
    """The requests that arrived for each operation; what each run had left at its first poll."""

    arrived: dict[str, int]
    remaining_seconds: dict[str, float]


@contextmanager
def running_sandbox_child(*arguments: str, limit_seconds: float) -> Generator[SandboxChild]:
    """Run sandbox_process until the block ends."""
    command = module_command("sandbox_process", *arguments)
    with running(command, limit_seconds=limit_seconds) as process:
        yield SandboxChild(json.loads(_line_of(process)), process)


def output_line(
    command: Sequence[str], *, limit_seconds: float, variables: Mapping[str, str]
) -> str:
    """Run a command that prints one line."""
    with running(command, limit_seconds=limit_seconds, variables=variables) as process:
        return _line_of(process)


def _line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("A child process ended without an answer.")
    return line


def _end(process: subprocess.Popen[str]) -> None:
    """Close stdin, which ends every stdio server; then insist."""
    assert process.stdin is not None
    process.stdin.close()
    for insist in (process.terminate, process.kill):
        try:
            process.wait(GRACE_SECONDS)
            return
        except subprocess.TimeoutExpired:
            insist()
