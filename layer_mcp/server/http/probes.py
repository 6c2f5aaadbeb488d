"""Probes for supervisors and load balancers: /livez and /readyz.

They skip the check of the Host header, because a prober sends the address of one replica. They
tell nothing that is secret.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .drain import Drain
from .exchange import PROBE_PATHS
from .settings import HTTP_PATH

LIVE_PATH, READY_PATH, _ = PROBE_PATHS
DATABASE_SECONDS = 2.0
PROBE_METHODS = ("GET", "HEAD")
# The guard refuses a GET of the endpoint, but only if the host is allowed.
ALLOWED_HOST_STATUS = 405

logger = logging.getLogger(__name__)


class Readiness:
    """Whether this replica can serve calls: its database answers, and its public host is allowed.

    An outage of Layer is no reason to stop sending requests here, because no other replica would
    fare better. `count_queued` reads the number of queued runs from the database. `host` is the
    Host header of requests to the public URL, which `guarded` has to accept.
    """

    def __init__(
        self,
        count_queued: Callable[[], Awaitable[int]],
        guarded: ASGIApp,
        host: str,
        drain: Drain,
    ) -> None:
        self.queued_runs: int | None = None
        self._count_queued = count_queued
        self._guarded = guarded
        self._host = host
        self._drain = drain
        self._reading: asyncio.Task[None] | None = None

    async def problems(self) -> list[str]:
        """Return a word for each reason why this replica isn't ready."""
        await self._read_database()
        checks = {
            "draining": not self._drain.has_begun,
            "database": self.queued_runs is not None,
            "host": await self._is_host_allowed(),
        }
        return [name for name, is_fine in checks.items() if not is_fine]

    async def _read_database(self) -> None:
        """Read for a limited time. A slow read goes on, so that probes never start a second one."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._count())
        done, _ = await asyncio.wait({self._reading}, timeout=DATABASE_SECONDS)
        if not done:
            self.queued_runs = None

    async def _count(self) -> None:
        try:
            self.queued_runs = await self._count_queued()
        except Exception as error:
            logger.warning("The journal can't be read: %s", type(error).__name__)
            self.queued_runs = None

    async def _is_host_allowed(self) -> bool:
        statuses: list[int] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await self._guarded(_request_to(self._host), receive, send)
        return statuses == [ALLOWED_HOST_STATUS]


def answer_probes(app: ASGIApp, readiness: Readiness) -> ASGIApp:
    """Return an application that answers the probes and passes on all other requests."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in (LIVE_PATH, READY_PATH):
            await app(scope, receive, send)
            return
        headers = {"Cache-Control": "no-store"}
        if scope["method"] not in PROBE_METHODS:
            headers |= {"Allow": ", ".join(PROBE_METHODS), "Connection": "close"}
            response = PlainTextResponse("Method Not Allowed", 405, headers)
        elif scope["path"] == LIVE_PATH:
            response = PlainTextResponse("ok", headers=headers)
        else:
            problems = await readiness.problems()
            status = 503 if problems else 200
            response = PlainTextResponse("\n".join(problems) or "ok", status, headers)
        await response(scope, receive, send)

    return answer


def _request_to(host: str) -> dict[str, Any]:
    """Return the scope of a GET of the endpoint."""
    return {
        "type": "http",
        "method": "GET",
        "path": HTTP_PATH,
        "raw_path": HTTP_PATH.encode(),
        "query_string": b"",
        "headers": [(b"host", host.encode())],
    }
