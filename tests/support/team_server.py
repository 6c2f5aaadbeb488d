"""Several callers of one HTTP server, each with a client of its own."""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace

import httpx2
from mcp import Client
from mcp.client.extension import ClientExtension
from mcp.client.session import ElicitationFnT
from mcp.client.streamable_http import streamable_http_client
from starlette.types import ASGIApp, Receive, Scope, Send

from layer_mcp import Settings
from layer_mcp.network import listen
from layer_mcp.server.app import LayerServer, create_server
from layer_mcp.server.callers.caller import CALLER_KEY, Caller
from layer_mcp.server.http.caller_headers import read_caller_headers
from layer_mcp.server.http.settings import HTTP_PATH, HttpSettings

from .hosts import Era
from .loopback_app import serve_in_thread

NAME_HEADER = "X-Test-Caller"


@dataclass(frozen=True)
class TeamServer:
    """A running HTTP server. Its callers name themselves in a header; `known` has their limits."""

    url: str
    server: LayerServer
    known: dict[str, Caller]

    @asynccontextmanager
    async def connect(
        self,
        name: str | None = None,
        *,
        era: Era = "2026-07-28",
        elicitation_callback: ElicitationFnT | None = None,
        extensions: tuple[ClientExtension, ...] = (),
        **headers: str,
    ) -> AsyncGenerator[Client]:
        """Connect a client that sends these headers; an underscore stands for a hyphen."""
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        if name is not None:
            sent[NAME_HEADER] = name
        async with (
            httpx2.AsyncClient(headers=sent, trust_env=False, timeout=60) as http,
            Client(
                streamable_http_client(self.url, http_client=http),
                mode=era,
                elicitation_callback=elicitation_callback,
                extensions=extensions,
            ) as client,
        ):
            yield client


@contextmanager
def team_server(
    environment: dict[str, str], http: HttpSettings | None = None
) -> Generator[TeamServer]:
    """Serve callers over HTTP in a thread until the block ends."""
    http = http or HttpSettings(is_insecure=True)
    server = create_server(Settings.from_env(environment), http=http)
    known: dict[str, Caller] = {}
    app = server.streamable_http_app(streamable_http_path=HTTP_PATH, stateless_http=True)
    named = _name_callers(read_caller_headers(app, http), known)
    with listen("127.0.0.1", 0) as listener, serve_in_thread(named, listener):
        url = f"http://127.0.0.1:{listener.getsockname()[1]}{HTTP_PATH}"
        yield TeamServer(url, server, known)


def _name_callers(app: ASGIApp, known: dict[str, Caller]) -> ASGIApp:
    """Return an application that takes the name of the caller from a header."""

    async def name(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers: dict[bytes, bytes] = dict(scope["headers"])
            given = headers.get(NAME_HEADER.lower().encode(), b"").decode()
            if given:
                caller = replace(known.get(given, Caller()), name=given)
                scope = {**scope, CALLER_KEY: caller}
        await app(scope, receive, send)

    return name
