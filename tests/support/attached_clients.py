"""The official clients, which attach to a server that authenticates callers, and make a paid call.

Each attaches with a token, or else with OAuth. The authorization server asks nobody, so a redirect
is followed right here, without a browser.
"""

import json
import os
import pty
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import httpx
import httpx2
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from .authorization_server import login
from .hosts import content_of
from .ports import free_port

NODE_CLIENTS = Path(__file__).parents[2] / "interop" / "node"
NODE = str(Path(sys.executable).with_name("node"))
TYPESCRIPT = NODE_CLIENTS / "typescript_sdk_2" / "attach.mjs"
INSPECTOR = NODE_CLIENTS / "inspector" / "node_modules" / ".bin" / "mcp-inspector"
PROGRAM_SECONDS = 60
PROMPT = "Please navigate to: "


class Attached(NamedTuple):
    """The names of the tools, and the paid run's status, or why the call was refused."""

    tools: set[str]
    outcome: str


Attach = Callable[[str, str | None, dict[str, Any]], Awaitable[Attached]]


async def attach_python(url: str, token: str | None, image: dict[str, Any]) -> Attached:
    """Attach the SDK for Python."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    auth = None if token else login(url)
    async with (
        httpx2.AsyncClient(headers=headers, auth=auth, trust_env=False, timeout=30) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        tools = {tool.name for tool in (await client.list_tools()).tools}
        try:
            paid = content_of(await client.call_tool("execute_inference", image))
        except MCPError as error:
            return Attached(tools, f"{error}")
        run = {"inference_id": paid["inference_id"]}
        return Attached(tools, content_of(await client.call_tool("get_status", run))["status"])


async def attach_typescript(url: str, token: str | None, image: dict[str, Any]) -> Attached:
    """Attach the SDK for TypeScript, version 2."""
    assert (NODE_CLIENTS / "node_modules").exists(), "run make setup, which installs the client"
    job = json.dumps({"url": url, "token": token, "image": image})
    with anyio.fail_after(PROGRAM_SECONDS):
        done = await anyio.run_process([NODE, str(TYPESCRIPT), job])
    report = json.loads(done.stdout)
    return Attached(set(report["tools"]), report["outcome"])


async def attach_inspector(url: str, token: str | None, image: dict[str, Any]) -> Attached:
    """Attach the command line of MCP Inspector, with a process for each request."""
    assert INSPECTOR.exists(), "run make setup, which installs the inspector"
    async with anyio.TemporaryDirectory(prefix="inspector-") as home:
        way = ["--header", f"Authorization: Bearer {token}"] if token else []
        inspector = _Inspector(home, ["--server-url", url, *way])
        listed = await inspector.ask("tools/list")
        tools = {tool["name"] for tool in listed["result"]["tools"]}
        paid = await inspector.call("execute_inference", image)
        if "error" in paid:
            return Attached(tools, paid["error"]["message"])
        run = {"inference_id": paid["result"]["structuredContent"]["inference_id"]}
        status = await inspector.call("get_status", run)
        return Attached(tools, status["result"]["structuredContent"]["status"])


CLIENTS: dict[str, Attach] = {
    "Python": attach_python,
    "TypeScript": attach_typescript,
    "Inspector": attach_inspector,
}


@dataclass(frozen=True)
class _Inspector:
    """The Inspector, which keeps its tokens in a home folder."""

    home: str
    target: list[str]
    port: int = field(default_factory=free_port)

    async def call(self, tool: str, values: dict[str, Any]) -> dict[str, Any]:
        arguments = ["--tool-name", tool, "--tool-args-json", json.dumps(values)]
        return await self.ask("tools/call", *arguments)

    async def ask(self, *method: str) -> dict[str, Any]:
        """Return what a request prints: its result, or its error."""
        callback = ["--callback-url", f"http://127.0.0.1:{self.port}/oauth/callback"]
        options = ["--cli", "--quiet", "--format", "json", "--method", *method, *callback]
        with anyio.fail_after(PROGRAM_SECONDS):
            async with self._running([*options, *self.target]) as process:
                assert process.stdout is not None
                assert process.stderr is not None
                complaint = ""
                async for text in TextReceiveStream(process.stderr):
                    complaint = await _approve(complaint + text)
                output = "".join([text async for text in TextReceiveStream(process.stdout)])
        return json.loads(output or complaint.splitlines()[-1])

    @asynccontextmanager
    async def _running(self, arguments: list[str]) -> AsyncGenerator[Process]:
        """Run a request. Only on a terminal, it uses OAuth."""
        terminal, stdin = pty.openpty()
        environment = {
            "PATH": f"{Path(NODE).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": self.home,
            "MCP_AUTO_OPEN_ENABLED": "false",
        }
        try:
            command = [str(INSPECTOR), *arguments]
            async with await anyio.open_process(command, stdin=stdin, env=environment) as process:
                yield process
        finally:
            os.close(terminal)
            os.close(stdin)


async def _approve(complaint: str) -> str:
    """Follow the address that a person would open, and return what comes after it."""
    before, prompt, rest = complaint.rpartition(PROMPT)
    address, newline, after = rest.partition("\n")
    if not prompt or not newline:
        return complaint
    async with httpx.AsyncClient(trust_env=False, follow_redirects=True) as http:
        await http.get(address)
    return before + after
