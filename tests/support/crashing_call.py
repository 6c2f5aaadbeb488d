"""One paid call in a process to be killed, forked from a server without threads."""

import os
from multiprocessing.connection import Connection
from typing import Any

import anyio
from mcp import Client

from layer_mcp import Settings
from layer_mcp.api import http
from layer_mcp.server.app import create_server

READY, ANSWERED = "ready", "answered"
# Import everything that a first call needs before the fork.
PRELOADED = (http,)


def call_and_wait(environment: dict[str, str], call: dict[str, Any], parent: Connection) -> None:
    """Print when the call begins and when it's answered, then wait for the end."""
    # A killed server leaves no output and no log to read.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    anyio.run(_call, environment, call, parent)


async def _call(environment: dict[str, str], call: dict[str, Any], parent: Connection) -> None:
    async with Client(create_server(Settings.from_env(environment))) as client:
        parent.send(READY)
        await client.call_tool("execute_inference", call)
        parent.send(ANSWERED)
        await anyio.sleep_forever()
