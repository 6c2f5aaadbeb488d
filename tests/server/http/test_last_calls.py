"""A call that takes too long while the server stops."""

import threading

import anyio
import httpx
from starlette.types import Receive, Scope, Send

from layer_mcp.server.http.drain import Drain, close_while_draining

from ...support.loopback_app import loopback_app


def test_a_call_that_the_server_can_no_longer_answer_gets_status_503() -> None:
    drain, has_arrived = Drain(), threading.Event()
    answers: list[httpx.Response] = []

    async def never_answer(_scope: Scope, _receive: Receive, _send: Send) -> None:
        has_arrived.set()
        await anyio.sleep_forever()

    def call(url: str) -> None:
        answers.append(httpx.post(url, trust_env=False, timeout=20))

    with loopback_app(close_while_draining(never_answer, drain)) as url:
        calling = threading.Thread(target=call, args=[url])
        calling.start()
        assert has_arrived.wait(20)
        drain.has_begun = True
    calling.join(20)
    [answer] = answers
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
