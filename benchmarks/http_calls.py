"""Tool calls over HTTP, ten at a time, and how many of them servers answer in a second.

The calls come from threads of the standard library's HTTP client. It takes a quarter of the time
of httpx, so on a small machine, more is left for the servers.
"""

import json
import random
import statistics
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import anyio

from layer_mcp import InferenceRequest, Settings

from .harness import (
    IMAGE_MODEL_ID,
    ServerChild,
    finished_run,
    running_http_server,
    script_command,
    server_command,
)

AT_A_TIME = 10
ANSWER_SECONDS = 60
HEADERS = {
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
    "MCP-Protocol-Version": "2025-11-25",
}
DATA_PREFIX = "data: "


@dataclass(frozen=True)
class ToolCall:
    """A call of a tool on a server, and the caller's token if it needs one."""

    url: str
    tool: str
    arguments: Mapping[str, Any]
    token: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the request."""
        return HEADERS | ({"Authorization": f"Bearer {self.token}"} if self.token else {})

    @property
    def body(self) -> bytes:
        """The request's body."""
        params = {"name": self.tool, "arguments": self.arguments}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        return json.dumps(message).encode()


@dataclass(frozen=True)
class Rates:
    """The calls per second of each round, and the time of each call."""

    calls_per_second: list[float] = field(default_factory=list[float])
    elapsed_ms: list[float] = field(default_factory=list[float])

    @property
    def median(self) -> float:
        """The median of the rounds, in calls per second."""
        return statistics.median(self.calls_per_second)

    def median_share_of(self, reference: "Rates") -> float:
        """Return the median, over the rounds, of the share of another server's calls."""
        pairs = zip(self.calls_per_second, reference.calls_per_second, strict=True)
        return statistics.median(ours / theirs for ours, theirs in pairs)


class Connections:
    """The open connections of one thread, one to each server."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._opened: dict[str, HTTPConnection] = {}

    def answer(self, call: ToolCall) -> dict[str, Any]:
        """Make a call, and return its structured content.

        Raises:
            RuntimeError: The call failed.
        """
        text = self.send(call).decode()
        [line] = [line for line in text.splitlines() if line.startswith(DATA_PREFIX)]
        return json.loads(line.removeprefix(DATA_PREFIX))["result"]["structuredContent"]

    def send(self, call: ToolCall) -> bytes:
        """Make a call, and return the response's body.

        Raises:
            RuntimeError: The call failed.
        """
        address = urlsplit(call.url)
        connection = self._opened.get(address.netloc)
        if connection is None:
            connection = HTTPConnection(address.netloc, timeout=ANSWER_SECONDS)
            self._opened[address.netloc] = self._stack.enter_context(closing(connection))
        connection.request("POST", address.path, call.body, call.headers)
        response = connection.getresponse()
        body = response.read()
        if b'"result":' not in body or b'"isError":true' in body:
            raise RuntimeError(f"A call failed: {response.status} {body[:300]!r}")
        return body


@contextmanager
def connections() -> Generator[Connections]:
    """Keep connections open until the block ends."""
    with ExitStack() as stack:
        yield Connections(stack)


def paid_call(url: str, prompt: str, token: str | None = None, **arguments: Any) -> ToolCall:
    """Return a call that starts a run."""
    size = {"batch_size": 1, "width": 64, "height": 64}
    arguments = {"model_id": IMAGE_MODEL_ID, "prompt": prompt, **size, **arguments}
    return ToolCall(url, "execute_inference", arguments, token)


def get_own_run(url: str, token: str | None = None) -> ToolCall:
    """Make a run, because a caller can't read those of others, and return how to read it."""
    with connections() as opened:
        run = opened.answer(paid_call(url, "a potion", token, wait_seconds=20))
    # A preview would cost more GETs.
    arguments = {"inference_id": run["inference_id"], "wait_seconds": 0, "preview": False}
    return ToolCall(url, "get_status", arguments, token)


def get_by_hand_command() -> list[str]:
    """Return the command for the SDK's server with a tool that sends a GET."""
    return [*script_command("sdk_server.py", "--get"), "--http"]


def get_by_hand(url: str, variables: Mapping[str, str]) -> ToolCall:
    """Make a run, and return how that tool reads it."""
    settings = Settings.from_env(variables)
    request = InferenceRequest(model_id=IMAGE_MODEL_ID, batch_size=1, width=64, height=64)
    run_id = anyio.run(finished_run, settings, request).inference_id
    run_url = f"{settings.api_url}/v1/workspaces/{settings.workspace}/inferences/{run_id}"
    return ToolCall(url, "get", {"url": run_url, "token": settings.api_token})


def repeat_call(call: ToolCall, count: int) -> list[ToolCall]:
    """Return the same call this many times."""
    return [call] * count


@contextmanager
def our_http_server(
    variables: Mapping[str, str],
    *options: str,
    limit_seconds: float,
    launcher: Sequence[str] = (),
) -> Generator[ServerChild]:
    """Run `layer-mcp serve --http` with these settings and options; a launcher may start it."""
    command = [*launcher, *server_command("serve", "--http", "--port", "0", *options)]
    # Nobody reads the access log here, so the server would block once the pipe is full.
    quiet = {**variables, "LAYER_DRAIN_SECONDS": "0", "LAYER_ACCESS_LOG": "0"}
    with running_http_server(command, limit_seconds=limit_seconds, variables=quiet) as server:
        yield server


def mixed_rates(
    kinds: Mapping[str, Callable[[], Sequence[ToolCall]]],
    rounds: int,
    *,
    after_each: Callable[[], object] | None = None,
) -> dict[str, Rates]:
    """Make the calls of every kind in each round, in a changing order, and measure each kind.

    One round before them doesn't count, and neither does `after_each`, which follows each kind.
    """
    rates = {name: Rates() for name in kinds}
    order, chance = list(kinds), random.Random(0)
    for round_number in range(-1, rounds):
        chance.shuffle(order)
        for name in order:
            calls = kinds[name]()
            began = time.perf_counter()
            elapsed_ms = _make_calls(calls)
            if round_number >= 0:
                seconds = time.perf_counter() - began
                rates[name].calls_per_second.append(len(calls) / seconds)
                rates[name].elapsed_ms.extend(elapsed_ms)
            if after_each is not None:
                after_each()
    return rates


def _make_calls(calls: Sequence[ToolCall]) -> list[float]:
    """Make the calls, a few at a time, and return how long each one took, in milliseconds."""
    elapsed_ms: list[float] = []
    left = iter(calls)

    def work() -> None:
        with connections() as opened:
            for call in left:
                began = time.perf_counter()
                opened.send(call)
                elapsed_ms.append((time.perf_counter() - began) * 1000)

    with ThreadPoolExecutor(AT_A_TIME) as threads:
        for done in [threads.submit(work) for _ in range(AT_A_TIME)]:
            done.result()
    return elapsed_ms
