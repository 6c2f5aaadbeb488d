"""The sandbox as a running server: a thread of its own, on loopback, that stops with its block."""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from ..loopback import listen
from .app import sandbox_app
from .faults import Connections, tracked_protocol
from .state import SandboxState

HOST = "127.0.0.1"
START_SECONDS = 10


@dataclass(frozen=True)
class RunningSandbox:
    """A sandbox that answers at `api_url`."""

    api_url: str
    state: SandboxState

    @property
    def token(self) -> str:
        """The one token that it accepts."""
        return self.state.token

    @property
    def workspace_id(self) -> str:
        """Its first workspace."""
        return self.state.workspaces[0].workspace_id


@contextmanager
def running_sandbox(
    state: SandboxState | None = None, *, port: int = 0
) -> Generator[RunningSandbox]:
    """Serve a sandbox on a loopback port (0: any free one) until the block ends.

    Raises:
        OSError: the port is taken.
    """
    state = state or SandboxState()
    connections: Connections = {}
    listener = listen(HOST, port)
    server = uvicorn.Server(
        uvicorn.Config(
            sandbox_app(state, connections),
            http=tracked_protocol(connections),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
    )
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="sandbox", daemon=True
    )
    thread.start()
    try:
        _await_start(server, thread)
        yield RunningSandbox(f"http://{HOST}:{listener.getsockname()[1]}/api", state)
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)
        listener.close()


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("The sandbox did not start.")
        time.sleep(0.005)
