"""Hosts that send raw messages to a server, over stdio and HTTP."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import anyio
import httpx
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from .hosts import SCRIPT, Era, child_environment, http_server
from .stdio_child import INITIALIZE, INITIALIZED

Message = dict[str, Any]

MAX_LINE_BYTES = 1_000_000
LIMIT_SECONDS = 60
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
HTTP_HEADERS = {
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
}


def request(number: int | str, method: str, **params: Any) -> Message:
    """Build a request without the fields that an era adds."""
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def call(number: int | str, tool: str, arguments: Any) -> Message:
    """Build a tool call."""
    return request(number, "tools/call", name=tool, arguments=arguments)


def notification(method: str, **params: Any) -> Message:
    """Build a message that gets no response."""
    return {"jsonrpc": "2.0", "method": method, "params": params}


@dataclass
class StdioWire:
    """The pipes of a child process."""

    process: Process
    lines: BufferedByteReceiveStream

    async def send(self, message: Message) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.send(json.dumps(message).encode() + b"\n")

    async def receive(self) -> Message:
        return json.loads(await self.lines.receive_until(b"\n", MAX_LINE_BYTES))

    async def exchange(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            await self.send(message)
        return [await self.receive() for message in messages if "id" in message]


@dataclass
class HttpWire:
    """One POST for each message."""

    url: str
    http: httpx.AsyncClient
    headers: dict[str, str] = field(default_factory=dict[str, str])

    async def post(self, message: Message) -> httpx.Response:
        headers = self.headers.copy()
        if "io.modelcontextprotocol/protocolVersion" in message["params"].get("_meta", {}):
            headers["Mcp-Method"] = message["method"]
            if isinstance(message["params"].get("name"), str):
                headers["Mcp-Name"] = message["params"]["name"]
        # Escape lone surrogates, as JavaScript does; httpx would write invalid UTF-8.
        return await self.http.post(self.url, content=json.dumps(message), headers=headers)

    async def exchange(self, messages: list[Message]) -> list[Message]:
        answers: list[Message] = []

        async def one(message: Message) -> None:
            response = await self.post(message)
            if "id" in message:
                answers.append(parse_body(response))

        async with anyio.create_task_group() as tasks:
            for message in messages:
                tasks.start_soon(one, message)
        return answers


def parse_body(response: httpx.Response) -> Message:
    """Parse a response body, which may be an event stream."""
    events = [line[6:] for line in response.text.splitlines() if line.startswith("data: {")]
    return json.loads(events[-1] if events else response.text)


@dataclass(frozen=True)
class RawHost:
    """A transport and an era of the protocol."""

    transport: Literal["stdio", "http"]
    era: Era

    def __str__(self) -> str:
        return f"{self.transport}-{self.era}"

    @asynccontextmanager
    async def connect(self, environment: dict[str, str]) -> AsyncGenerator["RawConnection"]:
        """Connect to a new server with these settings, ready for requests."""
        if self.transport == "http":
            async with http_server(environment) as url, raw_http(url, self.era) as wire:
                yield RawConnection(wire, self.era)
        else:
            async with raw_stdio(environment) as wire:
                if self.era == "legacy":
                    await wire.exchange([INITIALIZE, INITIALIZED])
                yield RawConnection(wire, self.era)


RAW_HOSTS = [
    RawHost("stdio", "legacy"),
    RawHost("http", "2026-07-28"),
    RawHost("stdio", "2026-07-28"),
    RawHost("http", "legacy"),
]


@dataclass(frozen=True)
class RawConnection:
    """A connection of a test to a server."""

    wire: StdioWire | HttpWire
    era: Era

    async def exchange(self, *messages: Message) -> list[Message]:
        """Send all messages, and return the responses in order of arrival."""
        with anyio.fail_after(LIMIT_SECONDS):
            return await self.wire.exchange([self._for_era(message) for message in messages])

    async def ask(self, message: Message) -> Message:
        """Send one request and return its response."""
        [answer] = await self.exchange(message)
        return answer

    def _for_era(self, message: Message) -> Message:
        if self.era == "legacy":
            return message
        return message | {"params": {"_meta": ENVELOPE} | message["params"]}


@asynccontextmanager
async def raw_stdio(environment: dict[str, str], *launcher: str) -> AsyncGenerator[StdioWire]:
    """Start a server as a child process, with a launcher if one is given."""
    async with await anyio.open_process(
        [*launcher, SCRIPT], env=child_environment(environment), stderr=None
    ) as process:
        assert process.stdout is not None
        try:
            yield StdioWire(process, BufferedByteReceiveStream(process.stdout))
        finally:
            if process.returncode is None:
                process.kill()


@asynccontextmanager
async def raw_http(url: str, era: Era) -> AsyncGenerator[HttpWire]:
    """Open a client that sends the headers of an era."""
    version = "2025-11-25" if era == "legacy" else era
    headers = HTTP_HEADERS | {"MCP-Protocol-Version": version}
    async with httpx.AsyncClient(trust_env=False, timeout=LIMIT_SECONDS) as http:
        yield HttpWire(url, http, headers)
