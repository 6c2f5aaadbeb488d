"""Serve Streamable HTTP on this machine."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import uvicorn
from mcp.server.mcpserver import MCPServer

from ..network import LOOPBACK_HOSTS, listen
from ..runs.activity import Submissions
from ..settings import SettingsError
from ..signals import ReceivedSignal, end_by_signal, stop_on_signals

HTTP_PATH = "/mcp"


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
            host=host,
        )
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        running = _HttpServer(config, submissions or Submissions())
        running.run(sockets=[listener])
        return running.received.number


class _HttpServer(uvicorn.Server):
    """A server that a signal stops once no paid request is out."""

    def __init__(self, config: uvicorn.Config, submissions: Submissions) -> None:
        super().__init__(config)
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
