"""Streamable HTTP on loopback: stateless, one pool for all callers."""

import signal
import sys

import uvicorn
from mcp.server.mcpserver import MCPServer

from ..network import LOOPBACK_HOSTS, listen
from ..settings import SettingsError
from .context import App

PATH = "/mcp"


def serve_http(server: MCPServer[App], host: str, port: int) -> None:
    """Serve until a signal ends it; prints the address to stderr once it listens.

    SIGTERM is its normal end: what runs at exit runs then too.

    Raises:
        SettingsError: the host is not this machine.
        OSError: the port is taken.
    """
    if host not in LOOPBACK_HOSTS:
        raise SettingsError(f"--host must be one of {', '.join(LOOPBACK_HOSTS)}.")
    with listen(host, port) as listener:
        shown = f"[{host}]" if ":" in host else host
        print(f"http://{shown}:{listener.getsockname()[1]}{PATH}", file=sys.stderr, flush=True)
        app = server.streamable_http_app(streamable_http_path=PATH, stateless_http=True, host=host)
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1)
        # uvicorn raises the signal again when it has stopped, which would end the process at once.
        signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit())
        uvicorn.Server(config).run(sockets=[listener])
