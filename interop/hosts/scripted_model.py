"""A model on loopback that asks for one tool at a time: what it is told, a host's real model is.

One wire format each is a module beside this: it reads a host's request as a `Turn`, and writes the
answer. The model is also the proxy of its host: whatever the host would send to other machines
arrives here, is refused and remembered.
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
    """A tool that the model asks for; `tool` is the name that the host gave it."""

    call_id: str
    tool: str
    arguments: JsonObject


@dataclass(frozen=True)
class Heard:
    """What the model gets for a call: the text, and the media types of its pictures."""

    said: Said
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Turn:
    """A request to the model: the tools that it may use, what it got for its calls, all other text
    (`prompt`), and of that what came last.
    """

    tools: dict[str, JsonObject]
    heard: dict[str, Heard]
    prompt: str
    latest: str


class Wire(Protocol):
    """How one service's requests and streamed answers are written."""

    def turn_of(self, path: str, body: JsonObject) -> Turn | None:
        """What a request says; None when it is none to the model."""
        ...

    def asking(self, order: Order) -> bytes:
        """The stream in which the model asks for a tool."""
        ...

    def saying(self, text: str) -> bytes:
        """The stream in which the model ends its turn."""
        ...


class HostEndedError(Exception):
    """The host ended before it had answered."""


class ScriptedModel:
    """Serves a host from `async with` on. `turns` are the requests so far, `strangers` the other
    machines that the host would have spoken to.
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
        """Its address."""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def tools(self) -> dict[str, JsonObject]:
        """The arguments' schema of each tool that was ever offered, by the host's own names."""
        return {name: schema for turn in self.turns for name, schema in turn.tools.items()}

    async def ask(self, tool: str, arguments: JsonObject) -> Heard:
        """Ask for a tool, by the host's name of it; what the host answers.

        Raises:
            HostEndedError: it does not any more.
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
        """The next request to the model."""
        self._turned.clear()
        await self._turned.wait()
        return self.turns[-1]

    def host_ended(self, why: str) -> None:
        """Nobody answers any more."""
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
    """Server-sent events, named by their type."""
    texts = [
        (f"event: {d['type']}\n" if named else "") + f"data: {json.dumps(d)}\n\n" for d in datas
    ]
    return "".join(texts).encode()


def texts_in(value: Any) -> str:
    """All texts in a piece of JSON, one a line."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return texts_in(list(cast("JsonObject", value).values()))
    parts = cast("list[Any]", value) if isinstance(value, list) else []
    return "\n".join(filter(None, map(texts_in, parts)))


async def _request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """The target and the body of an HTTP/1.1 request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    target = head[0].split(" ")[1]
    headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in head[1:]}
    return target, await reader.readexactly(int(headers.get("content-length", 0)))
