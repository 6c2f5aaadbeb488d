"""Requests to file hosts, with checked addresses and without the token, cookies, or credentials.

This module imports httpx, so import it at the first transfer.
"""

import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import SplitResult

import anyio
import httpx

from ..errors import LayerError
from ..network import NetworkSettingsError, find_proxy, is_untrusted_certificate, tls_context
from ..text.foreign_json import clean_text
from ..text.redact import Redactor
from ..version import __version__
from .host_rules import LAYERS_ADDRESS, PORTS, HostRules, may_connect
from .tracing import file_span

MAX_PARALLEL_UPLOADS = 4
# Large downloads in the background must leave room for small pictures.
MAX_PARALLEL_DOWNLOADS = 8
CONNECT_SECONDS = 5
STALL_SECONDS = 30

UNREADABLE = "The file's URL is invalid. Nothing was sent to it."
UNTRUSTED = "This machine doesn't trust the certificate of the file's host."
PRIVATE = "The file's host is on a private network. Nothing was sent to it."


@dataclass(frozen=True)
class Route:
    """A route to a host: a checked numeric address, or a proxy that resolves the name."""

    url: httpx.URL
    proxy: str | None = None


class FileTransport:
    """Connections to storage and media hosts, with a slot for each transfer.

    The name is resolved here, and the connection uses the address that was checked. A second DNS
    answer can't redirect it.
    """

    def __init__(self, rules: HostRules, redactor: Callable[[], Redactor] = Redactor) -> None:
        self.rules = rules
        self._redactor = redactor
        self.upload_slots = anyio.Semaphore(MAX_PARALLEL_UPLOADS)
        self.download_slots = anyio.Semaphore(MAX_PARALLEL_DOWNLOADS)
        # One per host: a connection must not be reused for another name at the same address, whose
        # certificate was not checked.
        self._clients: dict[tuple[str, str, str | None], httpx.AsyncClient] = {}

    def clean(self, text: str) -> str:
        """Return text from a host without the token and unsafe characters."""
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
        """Send one request and open the response, without reading the body or following redirects.

        `address` comes from `host_rules`. Raises `httpx.TransportError` if there is no response.

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
            client = self._client_for(address.scheme, host, route.proxy)
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
        """Return the routes to a host, whose numeric addresses must all be allowed."""
        host, port = address.hostname or "", address.port or PORTS[address.scheme]
        url = _parse_url(address)
        proxy = _find_proxy(address)
        numbers = await (_resolve(host, port) if proxy is None else _resolve_number(host, port))
        if not all(may_connect(number, self.rules) for number in numbers):
            raise LayerError("HOST_NOT_ALLOWED", PRIVATE, next_step=LAYERS_ADDRESS)
        if proxy is not None:
            return [Route(url, proxy)]
        return [Route(url.copy_with(host=number)) for number in numbers]

    def _client_for(self, scheme: str, host: str, proxy: str | None) -> httpx.AsyncClient:
        key = (scheme, host, proxy)
        if key not in self._clients:
            self._clients[key] = _open_client(scheme, proxy)
        return self._clients[key]


def _open_client(scheme: str, proxy: str | None) -> httpx.AsyncClient:
    try:
        verify = tls_context() if scheme == "https" else False
    except NetworkSettingsError as error:
        raise LayerError("NETWORK_SETTINGS", f"{error}") from None
    return httpx.AsyncClient(
        headers={"User-Agent": f"layer-mcp/{__version__}", "Accept-Encoding": "identity"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        trust_env=False,
        proxy=proxy,
        verify=verify,
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
    """Return the address of a host written as a number in any notation, or [] for a name."""
    try:
        return await _resolve(host, port, socket.AI_NUMERICHOST)
    except httpx.ConnectError:
        return []


def _find_proxy(address: SplitResult) -> str | None:
    try:
        proxy = find_proxy(address.geturl())
    except NetworkSettingsError as error:
        raise LayerError("NETWORK_SETTINGS", f"{error}") from None
    return proxy.url if proxy else None
