"""Requests to the hosts of files: checked addresses, and no token, cookies or credentials.

This module imports httpx, so import it at the first transfer.
"""

import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import SplitResult
from urllib.request import getproxies, proxy_bypass

import anyio
import httpx

from ..errors import LayerError
from ..network import (
    LOOPBACK_HOSTS,
    describe_unusable_settings,
    is_untrusted_certificate,
    tls_context,
)
from ..text.foreign_json import clean_text
from ..text.redact import Redactor
from ..version import __version__
from .host_rules import LAYERS_ADDRESS, PORTS, HostRules, may_connect
from .tracing import file_span

MAX_PARALLEL_FILES = 4
CONNECT_SECONDS = 5
STALL_SECONDS = 30

UNREADABLE = "The file's address cannot be read. Nothing was sent there."
UNTRUSTED = "The certificate of the file's host is not trusted on this machine."
PRIVATE = "The file's host is an address of a private network. Nothing was sent there."


@dataclass(frozen=True)
class Route:
    """How to reach a host: at a checked numeric address, or through a proxy that resolves it."""

    url: httpx.URL
    proxy: str | None = None


class FileTransport:
    """Connections to storage and media hosts, with a slot for each file that is transferred.

    The name is resolved here and the connection goes to the very address that was checked, so that
    a second answer of the name service cannot lead elsewhere.
    """

    def __init__(self, rules: HostRules, redactor: Callable[[], Redactor] = Redactor) -> None:
        self.rules = rules
        self._redactor = redactor
        self.slots = anyio.Semaphore(MAX_PARALLEL_FILES)
        # One for each host: a connection must not serve another name of the same address, whose
        # certificate was not checked.
        self._clients: dict[tuple[str, str | None], httpx.AsyncClient] = {}

    def clean(self, text: str) -> str:
        """Return what a host said without the token and unsafe characters."""
        return clean_text(text, self._redactor())

    async def close(self) -> None:
        """Close all connections; a later request opens new ones."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        address: SplitResult,
        *,
        headers: dict[str, str] | None = None,
        content: AsyncIterator[bytes] | bytes | None = None,
    ) -> AsyncGenerator[httpx.Response]:
        """Send one request and open its answer, without reading the body or following a redirect.

        `address` comes from `host_rules`. Raises `httpx.TransportError` when no answer comes.

        Raises:
            LayerError: HOST_NOT_ALLOWED, before anything is sent.
        """
        with file_span(method, address, headers or {}) as answers:
            response = await self._send(method, address, headers or {}, content)
            answers.append(response)
            try:
                yield response
            finally:
                await response.aclose()

    async def _send(
        self,
        method: str,
        address: SplitResult,
        headers: dict[str, str],
        content: AsyncIterator[bytes] | bytes | None,
    ) -> httpx.Response:
        host = address.hostname or ""
        failure: httpx.TransportError | None = None
        for route in await self._find_routes(address):
            client = self._client_for(host, route.proxy)
            request = client.build_request(
                method,
                route.url,
                headers={"Host": address.netloc, **headers},
                content=content,
                extensions={"sni_hostname": host},
            )
            try:
                return await client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if is_untrusted_certificate(error):
                    raise LayerError("TLS_FAILED", UNTRUSTED) from None
                failure = error
        raise failure or httpx.ConnectError(f"{host} has no address.")

    async def _find_routes(self, address: SplitResult) -> list[Route]:
        """Return the routes to a host; all of its numeric addresses must be allowed."""
        host, port = address.hostname or "", address.port or PORTS[address.scheme]
        url = _parse_url(address)
        proxy = None if host in LOOPBACK_HOSTS else _find_proxy(address.scheme, host)
        numbers = await (_resolve(host, port) if proxy is None else _resolve_number(host, port))
        if not all(may_connect(number, self.rules) for number in numbers):
            raise LayerError("HOST_NOT_ALLOWED", PRIVATE, next_step=LAYERS_ADDRESS)
        if proxy is not None:
            return [Route(url, proxy)]
        return [Route(url.copy_with(host=number)) for number in numbers]

    def _client_for(self, host: str, proxy: str | None) -> httpx.AsyncClient:
        key = (host, proxy)
        if key not in self._clients:
            try:
                self._clients[key] = _open_client(proxy)
            # httpx, its proxies and ssl raise many things here, and nothing was sent yet.
            except Exception:
                raise LayerError("NETWORK_SETTINGS", describe_unusable_settings()) from None
        return self._clients[key]


def _open_client(proxy: str | None) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        headers={"User-Agent": f"layer-mcp/{__version__}", "Accept-Encoding": "identity"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        trust_env=False,
        proxy=proxy,
        verify=tls_context(),
        timeout=httpx.Timeout(STALL_SECONDS, connect=CONNECT_SECONDS),
    )


def _parse_url(address: SplitResult) -> httpx.URL:
    try:
        return httpx.URL(address.geturl())
    except httpx.InvalidURL:
        raise LayerError("HOST_NOT_ALLOWED", UNREADABLE, next_step=LAYERS_ADDRESS) from None


async def _resolve(host: str, port: int, flags: int = 0) -> list[str]:
    try:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except OSError as error:
        raise httpx.ConnectError(f"{host} has no address.") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def _resolve_number(host: str, port: int) -> list[str]:
    """Return the address that a host spells as a number, in any notation; none for a name."""
    try:
        return await _resolve(host, port, socket.AI_NUMERICHOST)
    except httpx.ConnectError:
        return []


def _find_proxy(scheme: str, host: str) -> str | None:
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    return proxy if proxy and not proxy_bypass(host) else None
