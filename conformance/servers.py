"""The servers that the suite is run against, each a child process of its own."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

LAYER_MCP = [str(Path(sys.executable).with_name("layer-mcp")), "--sandbox", "serve", "--http"]
TASKS_SERVER = [sys.executable, "-m", "conformance.tasks_server"]
STOP_SECONDS = 30


class ConformanceError(Exception):
    """The suite could not be run."""


@contextmanager
def layer_server() -> Generator[str]:
    """The address of the server itself, with a sandbox and an empty journal."""
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment |= {"LAYER_STATE_DIR": folder, "LAYER_LOG_LEVEL": "CRITICAL"}
        with _server([*LAYER_MCP, "--port", "0"], environment) as url:
            yield url


@contextmanager
def tasks_server() -> Generator[str]:
    """The address of a server with the suite's own tools and our tasks extension."""
    with _server(TASKS_SERVER, dict(os.environ)) as url:
        yield url


@contextmanager
def _server(command: list[str], environment: dict[str, str]) -> Generator[str]:
    """The address that a server prints on stderr once it listens; it ends with the block.

    Raises:
        ConformanceError: it printed something else.
    """
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        url = process.stderr.readline().strip()
        if not url.startswith("http://"):
            raise ConformanceError(f"{command[0]} did not start: {url}")
        yield url
    finally:
        process.terminate()
        process.communicate(timeout=STOP_SECONDS)
