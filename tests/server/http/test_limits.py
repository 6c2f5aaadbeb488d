"""How many calls a caller can have at the same time."""

from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from layer_mcp.server.callers.caller import CALLER_KEY, Caller
from layer_mcp.server.http.limits import CallLimit

from ...support.callers import message_of

pytestmark = pytest.mark.anyio


class Calls:
    """An application whose calls end when they are released."""

    def __init__(self) -> None:
        self.released = anyio.Event()
        self.count = 0
        self.statuses: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.count += 1
        await self.released.wait()
        await PlainTextResponse("done")(scope, receive, send)


def client_of(app: ASGIApp, caller: Caller | None) -> httpx.AsyncClient:
    async def authenticated(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, CALLER_KEY: caller}, receive, send)

    return httpx.AsyncClient(transport=httpx.ASGITransport(authenticated), base_url="http://test")


async def statuses_of(app: ASGIApp, calls: Calls, *callers: Caller | None) -> list[int]:
    """Return the statuses of calls that all arrive before the first one ends."""
    statuses: list[int] = []

    async def post(caller: Caller | None) -> None:
        async with client_of(app, caller) as client:
            statuses.append((await client.post("/mcp")).status_code)

    async with anyio.create_task_group() as tasks:
        for caller in callers:
            tasks.start_soon(post, caller)
        while calls.count + len(statuses) < len(callers):
            await anyio.lowlevel.checkpoint()
        calls.released.set()
    return sorted(statuses)


async def test_a_caller_above_its_limit_is_told_to_try_again() -> None:
    calls = Calls()
    app = CallLimit(calls, 2)
    assert await statuses_of(app, calls, *[Caller(name="one")] * 3) == [200, 200, 429]
    assert await statuses_of(app, calls, Caller(name="one")) == [200]


async def test_callers_do_not_take_each_others_place() -> None:
    calls = Calls()
    callers = [Caller(name="one"), Caller(name="two"), Caller(layer_key="a"), Caller(layer_key="b")]
    assert await statuses_of(CallLimit(calls, 1), calls, *callers) == [200] * 4


async def test_the_user_of_a_local_server_has_no_limit() -> None:
    calls = Calls()
    assert await statuses_of(CallLimit(calls, 1), calls, None, Caller(), None) == [200] * 3


async def test_a_refusal_says_when_to_try_again() -> None:
    async with client_of(CallLimit(Calls(), 0), Caller(name="one")) as client:
        answer = await client.post("/mcp")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    assert "Try again" in message_of(answer)
