"""The sandbox's servers: both hosts on loopback, in a separate thread."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette

from ..network import listen
from .app import sandbox_app
from .faults import Connections, tracking_protocol
from .state import MEDIA_URL_FILE, SandboxState
from .storage import storage_app

HOST = "127.0.0.1"
START_SECONDS = 10
# Longer than clients keep an idle connection. A paid request that is sent while its connection is
# being closed has an unknown outcome.
KEEP_ALIVE_SECONDS = 60


@dataclass(frozen=True)
class RunningSandbox:
    """A sandbox whose API is at `api_url`, and whose storage host is at `media_url`."""

    api_url: str
    media_url: str
    state: SandboxState

    @property
    def token(self) -> str:
        """Return the only token that the API accepts."""
        return self.state.token

    @property
    def workspace_id(self) -> str:
        """Return the ID of the first workspace."""
        return self.state.workspaces[0].workspace_id


@contextmanager
def running_sandbox(
    state: SandboxState | None = None, *, port: int = 0
) -> Generator[RunningSandbox]:
    """Serve a sandbox on a loopback port (0 for any free port) until the block ends.

    Files and uploads have a separate host on any free port. With a folder, it's the port of the
    sandbox that wrote there last if that is free, so that recorded URLs of outputs stay valid.

    Raises:
        OSError: the port is in use.
    """
    state = state or SandboxState()
    with listen(HOST, port) as api, _listen_again(state.folder) as storage:
        state.media_url = _address(storage)
        running = RunningSandbox(f"{_address(api)}/api", state.media_url, state)
        with _serving([(_server(state, sandbox_app), api), (_server(state, storage_app), storage)]):
            yield running


def _listen_again(folder: Path | None) -> socket.socket:
    if folder is None:
        return listen(HOST, 0)
    try:
        return listen(HOST, urlsplit((folder / MEDIA_URL_FILE).read_text()).port or 0)
    except (OSError, ValueError):
        return listen(HOST, 0)


def _address(listener: socket.socket) -> str:
    return f"http://{HOST}:{listener.getsockname()[1]}"


def _server(
    state: SandboxState, app: Callable[[SandboxState, Connections], Starlette]
) -> uvicorn.Server:
    connections: Connections = {}
    return uvicorn.Server(
        uvicorn.Config(
            app(state, connections),
            http=tracking_protocol(connections),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=1,
        )
    )


@contextmanager
def _serving(servers: list[tuple[uvicorn.Server, socket.socket]]) -> Generator[None]:
    async def serve() -> None:
        await asyncio.gather(*(server.serve(sockets=[listener]) for server, listener in servers))

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="sandbox", daemon=True)
    thread.start()
    try:
        _wait_for_start([server for server, _ in servers], thread)
        yield
    finally:
        for server, _ in servers:
            server.should_exit = True
        thread.join(START_SECONDS)


def _wait_for_start(servers: list[uvicorn.Server], thread: threading.Thread) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not all(server.started for server in servers):
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("The sandbox did not start.")
        time.sleep(0.005)
