"""One paid call in a process that exists to be killed; forked from a server without threads."""

import os
from multiprocessing.connection import Connection
from typing import Any

import anyio
from mcp import Client

from layer_mcp import Settings
from layer_mcp.api import http
from layer_mcp.server.app import create_server

READY, ANSWERED = "ready", "answered"
# What the server imports at its first call is imported before the fork instead.
PRELOADED = (http,)


def call_and_wait(environment: dict[str, str], call: dict[str, Any], parent: Connection) -> None:
    """Say when the call begins and when it was answered, then wait for the end."""
    # A server that is killed leaves nothing to tell, and no log to read.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    anyio.run(_call, environment, call, parent)


async def _call(environment: dict[str, str], call: dict[str, Any], parent: Connection) -> None:
    async with Client(create_server(Settings.from_env(environment))) as client:
        parent.send(READY)
        await client.call_tool("execute_inference", call)
        parent.send(ANSWERED)
        await anyio.sleep_forever()
