"""Any ASGI application, served by uvicorn on a loopback port in another thread."""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from socket import socket
from typing import Literal

import uvicorn
from starlette.types import ASGIApp

from layer_mcp.network import listen

START_SECONDS = 20


@contextmanager
def loopback_app(app: ASGIApp) -> Generator[str]:
    """Serve an application without a lifespan until the block ends; yield its URL."""
    with listen("127.0.0.1", 0) as listener, serve_in_thread(app, listener, lifespan="off"):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def serve_in_thread(
    app: ASGIApp, listener: socket, *, lifespan: Literal["on", "off"] = "on"
) -> Generator[None]:
    """Serve an application until the block ends."""
    config = uvicorn.Config(
        app, log_config=None, ws="none", lifespan=lifespan, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + START_SECONDS
        while not server.started:
            assert thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        yield
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)
