"""A model on loopback that calls one tool at a time, in place of a host's real model.

Each wire format is a module next to this one that parses a host's request as a `Turn` and writes
the response. The model is also its host's proxy: requests to other machines arrive here, and are
refused and recorded.
"""

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import Any, Protocol, Self, cast
from urllib.parse import urlsplit

from ..job import JsonObject, Said

OK, REFUSED = "200 OK", "502 Bad Gateway"


@dataclass(frozen=True)
class Order:
    """A tool call for the model to make; `tool` is the host's name for the tool."""

    call_id: str
    tool: str
    arguments: JsonObject


@dataclass(frozen=True)
class Heard:
    """What the model receives for a call: the text, and the media types of its images."""

    said: Said
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Turn:
    """A request to the model: the available tools, the results of its calls, all other text
    (`prompt`), and the last part of that text.
    """

    tools: dict[str, JsonObject]
    heard: dict[str, Heard]
    prompt: str
    latest: str


class Wire(Protocol):
    """How one service writes its requests and streamed responses."""

    def turn_of(self, path: str, body: JsonObject) -> Turn | None:
        """Parse a request; None if it isn't for the model."""
        ...

    def asking(self, order: Order) -> bytes:
        """Return the stream in which the model calls a tool."""
        ...

    def saying(self, text: str) -> bytes:
        """Return the stream in which the model ends its turn."""
        ...


class HostEndedError(Exception):
    """The host ended before it answered."""


class ScriptedModel:
    """Serves a host within `async with`. `turns` are the requests so far, and `strangers` are the
    other machines that the host tried to reach.
    """

    def __init__(self, wire: Wire) -> None:
        self.turns: list[Turn] = []
        self.strangers: set[str] = set()
        self._wire = wire
        self._orders: asyncio.Queue[Order | str] = asyncio.Queue()
        self._waiting: dict[str, asyncio.Future[Heard]] = {}
        self._turned = asyncio.Event()
        self._asked = 0
        self._ended: str | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        """The model's URL."""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def tools(self) -> dict[str, JsonObject]:
        """The schema of each tool that was ever offered, by the host's names."""
        return {name: schema for turn in self.turns for name, schema in turn.tools.items()}

    async def ask(self, tool: str, arguments: JsonObject) -> Heard:
        """Call a tool by the host's name for it, and return what the host answers.

        Raises:
            HostEndedError: the host has ended.
        """
        if self._ended is not None:
            raise HostEndedError(self._ended)
        self._asked += 1
        order = Order(f"call_{self._asked}", tool, arguments)
        heard = self._waiting[order.call_id] = asyncio.get_running_loop().create_future()
        self._orders.put_nowait(order)
        return await heard

    def say(self, text: str) -> None:
        """End the turn."""
        self._orders.put_nowait(text)

    async def next_turn(self) -> Turn:
        """Wait for the next request to the model."""
        self._turned.clear()
        await self._turned.wait()
        return self.turns[-1]

    def host_ended(self, why: str) -> None:
        """Fail all pending calls, because the host has ended."""
        self._ended = why
        for heard in self._waiting.values():
            if not heard.done():
                heard.set_exception(HostEndedError(why))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            status, stream = await self._answer(*await _request(reader))
            head = f"HTTP/1.1 {status}\r\ncontent-type: text/event-stream\r\nconnection: close\r\n"
            writer.write(head.encode() + b"\r\n" + stream)
            await writer.drain()
        writer.close()

    async def _answer(self, target: str, body: bytes) -> tuple[str, bytes]:
        host = urlsplit(target).netloc or ("" if target.startswith("/") else target)
        if host and not host.startswith("127.0.0.1:"):
            self.strangers.add(host)
            return REFUSED, b""
        turn = self._wire.turn_of(urlsplit(target).path, json.loads(body)) if body else None
        if turn is None:
            return OK, b"{}"
        if not turn.tools:
            return OK, self._wire.saying("A title")
        self._hear(turn)
        order = await self._orders.get()
        if isinstance(order, str):
            return OK, self._wire.saying(order)
        return OK, self._wire.asking(order)

    def _hear(self, turn: Turn) -> None:
        self.turns.append(turn)
        self._turned.set()
        for call_id in turn.heard.keys() & self._waiting.keys():
            heard = self._waiting.pop(call_id)
            if not heard.done():
                heard.set_result(turn.heard[call_id])


def events(*datas: JsonObject, named: bool = True) -> bytes:
    """Return server-sent events, each named by its type."""
    texts = [
        (f"event: {d['type']}\n" if named else "") + f"data: {json.dumps(d)}\n\n" for d in datas
    ]
    return "".join(texts).encode()


def texts_in(value: Any) -> str:
    """Return all texts in a piece of JSON, one per line."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return texts_in(list(cast("JsonObject", value).values()))
    parts = cast("list[Any]", value) if isinstance(value, list) else []
    return "\n".join(filter(None, map(texts_in, parts)))


async def _request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Return the target and the body of an HTTP/1.1 request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    target = head[0].split(" ")[1]
    headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in head[1:]}
    return target, await reader.readexactly(int(headers.get("content-length", 0)))
