"""The ways of serving over HTTP: for this machine, and for a team with tokens or with OAuth.

A way is a context that yields a running server, so another one, such as a proxy in front, only
wraps these.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from .callers import entry, new_token, write_tokens
from .hosts import http_server
from .issuer import running_issuer
from .replicas import running_replicas


@dataclass(frozen=True)
class Serving:
    """A running server, and a token of a caller who may spend, and of one who may read.

    Without authentication there are none. `metadata_url` is in the answer to a request without a
    token.
    """

    url: str
    spender: str | None = None
    reader: str | None = None
    metadata_url: str | None = None

    def client(self, token: str | None) -> httpx.AsyncClient:
        """Return a client that sends a token, if there is one."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(headers=headers, trust_env=False, timeout=30)


Way = Callable[[dict[str, str], Path], AbstractAsyncContextManager[Serving]]


@asynccontextmanager
async def loopback(environment: dict[str, str], _folder: Path) -> AsyncGenerator[Serving]:
    """Serve this machine without authentication."""
    async with http_server(environment) as url:
        yield Serving(url)


@asynccontextmanager
async def static_tokens(environment: dict[str, str], folder: Path) -> AsyncGenerator[Serving]:
    """Serve callers with a token from a file."""
    file, spender, reader = folder / "tokens.toml", new_token(), new_token()
    tokens = {"spender": entry(spender), "reader": entry(reader, ["layer:read"])}
    write_tokens(file, tokens)
    async with http_server({**environment, "LAYER_TOKENS_FILE": str(file)}) as url:
        yield Serving(url, spender, reader)


@asynccontextmanager
async def oauth(environment: dict[str, str], _folder: Path) -> AsyncGenerator[Serving]:
    """Serve callers with an access token of an issuer."""
    with running_issuer() as issuer:
        async with http_server({**environment, "LAYER_OAUTH_ISSUER": issuer.url}) as url:
            origin = url.removesuffix("/mcp")
            yield Serving(
                url,
                issuer.token(aud=url, sub="spender"),
                issuer.token(aud=url, sub="reader", scope="layer:read"),
                f"{origin}/.well-known/oauth-protected-resource/mcp",
            )


@asynccontextmanager
async def behind_nginx(environment: dict[str, str], folder: Path) -> AsyncGenerator[Serving]:
    """Serve callers of both kinds with two replicas behind nginx, at nginx's URL."""
    file, spender = folder / "tokens.toml", new_token()
    write_tokens(file, {"spender": entry(spender)})
    with running_issuer() as issuer:
        settings = {
            **environment,
            "LAYER_TOKENS_FILE": str(file),
            "LAYER_OAUTH_ISSUER": issuer.url,
        }
        with running_replicas(2, settings, folder) as (nginx, _):
            url = f"{nginx.url}/mcp"
            yield Serving(
                url,
                spender,
                issuer.token(aud=url, sub="reader", scope="layer:read"),
                f"{nginx.url}/.well-known/oauth-protected-resource/mcp",
            )


WAYS: dict[str, Way] = {
    "loopback": loopback,
    "static tokens": static_tokens,
    "OAuth": oauth,
    "behind nginx": behind_nginx,
}
AUTHENTICATED = ("static tokens", "OAuth", "behind nginx")
