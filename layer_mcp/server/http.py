"""Streamable HTTP on loopback: stateless, one pool for all callers."""

import socket
import sys

import uvicorn
from mcp.server.mcpserver import MCPServer

from ..settings import LOOPBACK_HOSTS, SettingsError
from .state import App

PATH = "/mcp"


def serve_http(server: MCPServer[App], host: str, port: int) -> None:
    """Serve until a signal ends it; prints the address to stderr once it listens.

    Raises:
        SettingsError: the host is not this machine.
        OSError: the port is taken.
    """
    if host not in LOOPBACK_HOSTS:
        raise SettingsError(f"--host must be one of {', '.join(LOOPBACK_HOSTS)}.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listener:
        shown = f"[{host}]" if ":" in host else host
        print(f"http://{shown}:{listener.getsockname()[1]}{PATH}", file=sys.stderr, flush=True)
        app = server.streamable_http_app(streamable_http_path=PATH, stateless_http=True, host=host)
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[listener])
