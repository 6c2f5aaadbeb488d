"""Stop without failing a call: say so first, answer what is in progress, then end."""

import asyncio
import signal
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...runs.activity import Submissions
from ...signals import ReceivedSignal, end_by_signal, stop_on_signals
from ..app import LayerServer
from .access_log import write_to_stderr
from .connections import BoundedServer, max_connections
from .limits import RETRY_AFTER_SECONDS, with_connection_closed


@dataclass
class Drain:
    """Whether the server is about to stop."""

    has_begun: bool = False


def close_while_draining(app: ASGIApp, drain: Drain) -> ASGIApp:
    """Return an application whose responses close their connections while the server drains.

    Requests are still answered, because a load balancer sends them until it has noticed. One that
    takes too long gets status 503.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        has_begun_answer = False

        async def send_closing(message: Message) -> None:
            nonlocal has_begun_answer
            if message["type"] == "http.response.start":
                has_begun_answer = True
                if drain.has_begun:
                    message = with_connection_closed(message)
            await send(message)

        try:
            await app(scope, receive, send_closing)
        except asyncio.CancelledError:
            # uvicorn would answer 500, and a client might not call again.
            if has_begun_answer or not drain.has_begun:
                raise
            await _answer_stopped(scope, receive, send)

    return answer


async def _answer_stopped(scope: Scope, receive: Receive, send: Send) -> None:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS), "Connection": "close"}
    text = "The server stopped before it could answer. Call again."
    await PlainTextResponse(text, 503, headers)(scope, receive, send)


class DrainingServer(BoundedServer):
    """A server that stops on a signal, once every paid request is answered.

    For `drain_seconds` before that, it only announces it.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        server: LayerServer,
        drain: Drain,
        submissions: Submissions,
        drain_seconds: float,
    ) -> None:
        super().__init__(config, max_connections())
        self.received = ReceivedSignal()
        self._server = server
        self._drain = drain
        self._submissions = submissions
        self._drain_seconds = drain_seconds

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Handle signals as the other transports do, instead of raising them again at the end."""
        with stop_on_signals(
            self._begin_drain,
            end_by_signal,
            hurry_on=(signal.SIGINT, signal.SIGTERM),
            grace_seconds=self._drain_seconds,
        ) as self.received:
            yield

    def _begin_drain(self) -> None:
        """Let load balancers notice that this server stops, while it still serves."""
        self._drain.has_begun = True
        if self._drain_seconds:
            write_to_stderr(f"Stopping in {self._drain_seconds:g} seconds.")
            asyncio.get_running_loop().call_later(self._drain_seconds, self._stop)
        else:
            self._stop()

    def _stop(self) -> None:
        """End the waits, so that their calls are answered, and start no more runs."""
        if self._server.accounts is not None:
            self._server.accounts.stop_waiting()
        self._submissions.stop_then(self._exit)

    def _exit(self) -> None:
        self.should_exit = True
