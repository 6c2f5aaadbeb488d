"""Serve Streamable HTTP on this machine, and only to this machine's own programs and pages."""

import logging
import re
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ..network import LOOPBACK_HOSTS, listen
from ..runs.activity import Submissions
from ..settings import SettingsError
from ..signals import ReceivedSignal, end_by_signal, stop_on_signals
from .connections import BoundedProtocol, BoundedServer, max_connections

HTTP_PATH = "/mcp"
LOCAL_HOST = re.compile(rb"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
LOCAL_ORIGIN = re.compile(rb"http://" + LOCAL_HOST.pattern, re.IGNORECASE)


def serve_http(
    server: MCPServer[Any], host: str, port: int, submissions: Submissions | None = None
) -> int | None:
    """Serve stateless Streamable HTTP until a signal ends it; print the URL to stderr first.

    Returns the signal's number. The process stops once none of the `submissions` is out.

    Raises:
        SettingsError: The host is not this machine.
        OSError: The port is in use.
    """
    if host not in LOOPBACK_HOSTS:
        raise SettingsError(f"--host must be one of {', '.join(LOOPBACK_HOSTS)}.")
    with listen(host, port) as listener:
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{listener.getsockname()[1]}{HTTP_PATH}"
        print(url, file=sys.stderr, flush=True)
        app = server.streamable_http_app(
            streamable_http_path=HTTP_PATH,
            stateless_http=True,
            # Its check accepts any text after the colon of a port.
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        )
        config = uvicorn.Config(
            only_local(app),
            http=BoundedProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        logging.getLogger("mcp.server.streamable_http").addFilter(_is_worth_logging)
        running = _HttpServer(config, max_connections(), submissions or Submissions())
        running.run(sockets=[listener])
        return running.received.number


class _HttpServer(BoundedServer):
    """A server that a signal stops once no paid request is out."""

    def __init__(
        self, config: uvicorn.Config, most_connections: int, submissions: Submissions
    ) -> None:
        super().__init__(config, most_connections)
        self.received = ReceivedSignal()
        self._submissions = submissions

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Handle signals as the other transports do, instead of raising them again at the end."""
        with stop_on_signals(self._stop, end_by_signal) as self.received:
            yield

    def _stop(self) -> None:
        self._submissions.stop_then(self._exit)

    def _exit(self) -> None:
        self.should_exit = True


def _is_worth_logging(record: logging.LogRecord) -> bool:
    # The SDK logs a traceback of 1 KB for each client that leaves in the middle of a request.
    return record.exc_info is None or not isinstance(record.exc_info[1], ClientDisconnect)


def only_local(app: ASGIApp) -> ASGIApp:
    """Return an application that refuses requests that a page of another site may have sent.

    A browser names that site in Origin, or in Host if the site's name leads to this machine. A
    stream without a request is refused too, because it would hold its connection forever.
    """

    async def check(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        refusal = _find_refusal(scope)
        if refusal is None:
            await app(scope, receive, send)
        else:
            status, text = refusal
            headers = {"Allow": "POST"} if status == 405 else {}
            response = PlainTextResponse(text, status, {"Connection": "close", **headers})
            await response(scope, receive, send)

    return check


def _find_refusal(scope: Scope) -> tuple[int, str] | None:
    # An absolute URL there would name the host in place of the header.
    if not scope["raw_path"].startswith(b"/"):
        return 400, "Invalid request target"
    if not _is_one_of(LOCAL_HOST, _values(scope, b"host"), is_needed=True):
        return 421, "Invalid Host header"
    if not _is_one_of(LOCAL_ORIGIN, _values(scope, b"origin"), is_needed=False):
        return 403, "Invalid Origin header"
    # The SDK would keep a stream open for messages that a stateless server never sends.
    if scope["method"] == "GET" and scope["path"] == HTTP_PATH:
        return 405, "Method Not Allowed"
    return None


def _values(scope: Scope, name: bytes) -> list[bytes]:
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return [value for key, value in headers if key == name]


def _is_one_of(local: re.Pattern[bytes], values: list[bytes], *, is_needed: bool) -> bool:
    if not values:
        return not is_needed
    return len(values) == 1 and local.fullmatch(values[0]) is not None
