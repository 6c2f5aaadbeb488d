"""Hosts for the server: in memory, as a stdio child process, and over Streamable HTTP.

Over HTTP, the server runs in a thread, because starting a process takes longer than most tests.
"""

import os
import sys
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import anyio
from anyio.streams.text import TextReceiveStream
from mcp import Client, StdioServerParameters
from mcp.client.extension import ClientExtension
from mcp.client.session import ElicitationFnT
from mcp.types import CallToolResult, Implementation

from layer_mcp import Settings
from layer_mcp.network import listen
from layer_mcp.runs.activity import Submissions
from layer_mcp.sandbox import RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_models
from layer_mcp.server.app import create_server
from layer_mcp.server.http.drain import Drain
from layer_mcp.server.http.serve import build_app
from layer_mcp.server.http.settings import HTTP_PATH, HttpSettings

from .loopback_app import serve_in_thread

SCRIPT = str(Path(sys.executable).with_name("layer-mcp"))
IMAGE_MODEL = sandbox_models()[0].model_id
SMALL_IMAGE: dict[str, Any] = {
    "model_id": IMAGE_MODEL,
    "prompt": "a red potion",
    "width": 64,
    "height": 64,
    "batch_size": 1,
}

Transport = Literal["memory", "stdio", "http"]
Era = Literal["2026-07-28", "legacy"]


@dataclass(frozen=True)
class Host:
    """How a client reaches the server."""

    transport: Transport
    era: Era

    def __str__(self) -> str:
        return f"{self.transport}-{self.era}"

    @asynccontextmanager
    async def connect(
        self,
        environment: dict[str, str],
        *,
        elicitation_callback: ElicitationFnT | None = None,
        extensions: Sequence[ClientExtension] = (),
        name: str = "test",
    ) -> AsyncGenerator[Client]:
        """Connect a client to a server; with a callback, the client can ask its user."""
        connected = partial(
            Client,
            mode=self.era,
            elicitation_callback=elicitation_callback,
            extensions=extensions,
            client_info=Implementation(name=name, version="1"),
        )
        if self.transport == "memory":
            server = create_server(Settings.from_env(environment))
            async with connected(server) as client:
                yield client
        elif self.transport == "stdio":
            child = StdioServerParameters(command=SCRIPT, env=environment)
            async with connected(child) as client:
                yield client
        else:
            with _http_thread(environment) as url:
                async with connected(url) as client:
                    yield client


MEMORY = Host("memory", "2026-07-28")
MEMORY_LEGACY = Host("memory", "legacy")
# Every transport and every era, but not every combination.
EACH_WAY_ONCE = [MEMORY, Host("stdio", "legacy"), Host("http", "2026-07-28")]
OTHER_WAYS = [MEMORY_LEGACY, Host("stdio", "2026-07-28"), Host("http", "legacy")]
ALL_HOSTS = EACH_WAY_ONCE + OTHER_WAYS


@contextmanager
def _http_thread(environment: dict[str, str]) -> Generator[str]:
    """Serve over HTTP as `layer-mcp serve --http` does, and yield the URL."""
    http, submissions = HttpSettings(), Submissions()
    settings = Settings.from_env(environment)
    server = create_server(settings, submissions=submissions, http=http)
    with listen("127.0.0.1", 0) as listener:
        app = build_app(server, http, [listener], Drain(), submissions)
        with serve_in_thread(app, listener):
            yield f"http://127.0.0.1:{listener.getsockname()[1]}{HTTP_PATH}"


@asynccontextmanager
async def http_server(environment: dict[str, str], *launcher: str) -> AsyncGenerator[str]:
    """Start `layer-mcp serve --http` and yield its URL; a launcher may start it."""
    command = [*launcher, SCRIPT, "serve", "--http", "--port", "0"]
    variables = child_environment({"LAYER_DRAIN_SECONDS": "0"} | environment)
    async with await anyio.open_process(command, env=variables) as process:
        assert process.stderr is not None
        try:
            url = ""
            with anyio.fail_after(30):
                async for text in TextReceiveStream(process.stderr):
                    url += text
                    if "\n" in url:
                        break
            yield url.strip()
        finally:
            process.terminate()


def with_constant(module: str, name: str, value: float | str) -> tuple[str, ...]:
    """Return a launcher of SCRIPT that first changes a constant in one of its modules."""
    code = (
        f"import sys, {module}; {module}.{name} = {value}; sys.argv = sys.argv[1:];"
        "from layer_mcp.cli.main import main; sys.exit(main())"
    )
    return (sys.executable, "-c", code)


def settings_for(sandbox: RunningSandbox) -> dict[str, str]:
    """Return the settings that point a server to a sandbox."""
    return {
        "LAYER_API_URL": sandbox.api_url,
        "LAYER_API_KEY": sandbox.token,
        "LAYER_WORKSPACE_ID": sandbox.workspace_id,
    }


def child_environment(settings: dict[str, str]) -> dict[str, str]:
    """Return a child process's environment, without the caller's LAYER_ settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | settings


def text_of(result: CallToolResult) -> str:
    """Return the text that an agent reads."""
    return "\n".join(block.text for block in result.content if block.type == "text")


def content_of(result: CallToolResult) -> dict[str, Any]:
    """Return the structured content of a result."""
    assert result.structured_content is not None
    return result.structured_content


def error_code(result: CallToolResult) -> str:
    """Return the code of a failed call."""
    assert result.is_error, text_of(result)
    return content_of(result)["error"]["code"]
