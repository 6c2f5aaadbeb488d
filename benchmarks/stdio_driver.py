"""The smallest MCP host: one enveloped tools/list over raw stdin and stdout."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .children import running

LIMIT_SECONDS = 30
REQUEST: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/list",
    "params": {
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "benchmarks", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    },
}


@dataclass(frozen=True)
class Listing:
    """The tools of a server, and the time from spawning it to their arrival."""

    tools: list[dict[str, Any]]
    elapsed_ms: float


def list_tools(command: Sequence[str]) -> Listing:
    """Start a stdio server, ask for its tools and stop it.

    Raises:
        RuntimeError: the server answered with an error or not at all.
    """
    line = json.dumps(REQUEST) + "\n"
    start = time.perf_counter()
    with running(command, limit_seconds=LIMIT_SECONDS) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(line)
        process.stdin.flush()
        answer = process.stdout.readline()
        elapsed_ms = (time.perf_counter() - start) * 1000
    if not answer:
        raise RuntimeError("The server ended without an answer.")
    message = json.loads(answer)
    if "result" not in message:
        raise RuntimeError(f"tools/list failed: {answer.strip()}")
    return Listing(message["result"]["tools"], elapsed_ms)
