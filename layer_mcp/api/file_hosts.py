"""Requests to the hosts of files: checked addresses, no token, no cookies, no credentials."""

import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import SplitResult
from urllib.request import getproxies, proxy_bypass

import anyio
import httpx

from .. import __version__
from ..errors import LayerError, one_sentence
from ..network import LOOPBACK_HOSTS
from .host_rules import LAYERS_ADDRESS, PORTS, HostRules, may_connect
from .tracing import file_span
from .transport import is_untrusted_certificate, tls_context

FILES_AT_ONCE = 4
CONNECT_SECONDS = 5
STALL_SECONDS = 30

UNREADABLE = "The file's address cannot be read. Nothing was sent there."
UNTRUSTED = "The certificate of the file's host is not trusted on this machine."
PRIVATE = "The file's host is an address of a private network. Nothing was sent there."


@dataclass(frozen=True)
class Route:
    """How a host is reached: at a checked numeric address, or through a proxy that resolves it."""

    url: httpx.URL
    proxy: str | None = None


class FileHosts:
    """Connections to storage and media hosts, a few files at once.

    The name is resolved here and the connection goes to the very address that was checked, so
    that a second answer of the name service cannot lead elsewhere.
    """

    def __init__(self, rules: HostRules) -> None:
        self.rules = rules
        self.places = anyio.Semaphore(FILES_AT_ONCE)
        # One for each host: a connection must not serve another name of the same address, whose
        # certificate was not checked.
        self._clients: dict[tuple[str, str | None], httpx.AsyncClient] = {}

    async def close(self) -> None:
        """Close all connections; a later request opens new ones."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    @asynccontextmanager
    async def answer(
        self,
        method: str,
        address: SplitResult,
        *,
        headers: dict[str, str] | None = None,
        content: AsyncIterator[bytes] | bytes | None = None,
    ) -> AsyncGenerator[httpx.Response]:
        """The answer to one request, its body not read yet; redirects are not followed.

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
        for route in await self._routes(address):
            client = self._client(host, route.proxy)
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

    async def _routes(self, address: SplitResult) -> list[Route]:
        """The ways to a host; all of its numeric addresses must be allowed."""
        host, port = address.hostname or "", address.port or PORTS[address.scheme]
        url = _url(address)
        proxy = None if host in LOOPBACK_HOSTS else _proxy_for(address.scheme, host)
        numbers = await (_resolved(host, port) if proxy is None else _spelled(host, port))
        if not all(may_connect(number, self.rules) for number in numbers):
            raise LayerError("HOST_NOT_ALLOWED", PRIVATE, next_step=LAYERS_ADDRESS)
        if proxy is not None:
            return [Route(url, proxy)]
        return [Route(url.copy_with(host=number)) for number in numbers]

    def _client(self, host: str, proxy: str | None) -> httpx.AsyncClient:
        key = (host, proxy)
        if key not in self._clients:
            try:
                self._clients[key] = _new_client(proxy)
            # httpx, its proxies and ssl raise many things here, and nothing was sent yet.
            except Exception as error:
                sentence = one_sentence(f"The certificate or proxy settings fail: {error}")
                raise LayerError("NETWORK_SETTINGS", sentence) from error
        return self._clients[key]


def _new_client(proxy: str | None) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        headers={"User-Agent": f"layer-mcp/{__version__}", "Accept-Encoding": "identity"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        trust_env=False,
        proxy=proxy,
        verify=tls_context(),
        timeout=httpx.Timeout(STALL_SECONDS, connect=CONNECT_SECONDS),
    )


def _url(address: SplitResult) -> httpx.URL:
    try:
        return httpx.URL(address.geturl())
    except httpx.InvalidURL:
        raise LayerError("HOST_NOT_ALLOWED", UNREADABLE, next_step=LAYERS_ADDRESS) from None


async def _resolved(host: str, port: int, flags: int = 0) -> list[str]:
    try:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except OSError as error:
        raise httpx.ConnectError(f"{host} has no address.") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def _spelled(host: str, port: int) -> list[str]:
    """The address that a host spells as a number, in any way; none for a name."""
    try:
        return await _resolved(host, port, socket.AI_NUMERICHOST)
    except httpx.ConnectError:
        return []


def _proxy_for(scheme: str, host: str) -> str | None:
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    return proxy if proxy and not proxy_bypass(host) else None
