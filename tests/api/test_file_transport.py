"""Connections to storage and media hosts: to checked addresses, and without credentials."""

import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import trustme

from layer_mcp import LayerError
from layer_mcp.api.file_transport import FileTransport
from layer_mcp.api.host_rules import HostRules, host_rules, parse_storage_url

from ..support.raw_servers import Recorder, http_answer, raw_server, tls_of

pytestmark = pytest.mark.anyio

PUBLIC_API = host_rules("https://api.layer.test/api")
LOCAL_API = host_rules("http://127.0.0.1:1/api")
NUMBERS = [
    "10.0.0.1",
    "169.254.169.254",
    "0.0.0.0",
    "127.0.0.1",
    "[::1]",
    "[::ffff:10.0.0.1]",
    "[64:ff9b::a00:1]",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
async def local() -> AsyncGenerator[FileTransport]:
    transport = FileTransport(LOCAL_API)
    yield transport
    await transport.close()


async def get(url: str, rules: HostRules) -> int:
    transport = FileTransport(rules)
    try:
        return await status(transport, url)
    finally:
        await transport.close()


async def status(transport: FileTransport, url: str) -> int:
    async with transport.stream("GET", parse_storage_url(url, transport.rules)) as response:
        await response.aread()
        return response.status_code


def port_url(server: Recorder, path: str = "/a", host: str = "127.0.0.1") -> str:
    return f"http://{host}:{server.port}{path}"


@pytest.mark.parametrize("host", [*NUMBERS, "localhost"])
async def test_an_address_of_a_private_network_is_refused(host: str) -> None:
    with raw_server(http_answer("200 OK")) as server:
        url = f"https://{host}:{server.port}/a"
        with pytest.raises(LayerError, match="HOST_NOT_ALLOWED"):
            await get(url, PUBLIC_API)
    assert server.heads == []


@pytest.mark.parametrize("host", [*NUMBERS, "localhost"])
async def test_a_proxy_is_not_asked_for_an_address_of_a_private_network(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with raw_server(http_answer("403 Forbidden")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(LayerError, match="HOST_NOT_ALLOWED"):
            await get(f"https://{host}/a", PUBLIC_API)
    assert proxy.heads == []


async def test_a_name_is_left_to_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(http_answer("403 Forbidden")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(httpx.ProxyError):
            await get("https://storage.test/a", PUBLIC_API)
    assert proxy.heads[0].startswith(b"CONNECT storage.test:443 ")


async def test_this_machine_is_reached_without_a_proxy(
    local: FileTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    with raw_server(http_answer("502 Proxy")) as proxy, raw_server(http_answer("200 OK")) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert await status(local, port_url(server)) == 200


async def test_plain_http_needs_no_certificates(
    local: FileTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with raw_server(http_answer("200 OK")) as server:
        assert await status(local, port_url(server)) == 200
        with pytest.raises(LayerError, match="SSL_CERT_FILE has no usable certificates"):
            await status(local, port_url(server).replace("http:", "https:"))


async def test_a_proxy_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "carrier-pigeon://x")
    with pytest.raises(LayerError, match="NETWORK_SETTINGS"):
        await get("https://storage.test/a", PUBLIC_API)


def answers_with(monkeypatch: pytest.MonkeyPatch, *numbers: str) -> list[str]:
    """The name service answers with these addresses; returns the names that it was asked for."""
    asked: list[str] = []

    async def getaddrinfo(host: str, port: int, **_options: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, port)) for number in numbers]

    monkeypatch.setattr(anyio, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize("numbers", [("8.8.8.8", "10.0.0.1"), ("127.0.0.1", "8.8.8.8")])
async def test_one_private_address_among_a_names_addresses_refuses_the_name(
    numbers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers_with(monkeypatch, *numbers)
    with pytest.raises(LayerError, match="HOST_NOT_ALLOWED"):
        await get("https://storage.test/a", PUBLIC_API)


async def test_the_next_address_is_tried_when_one_does_not_answer(
    local: FileTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 127.0.0.2 is this machine too, and nothing listens there.
    answers_with(monkeypatch, "127.0.0.2", "127.0.0.1")
    with raw_server(http_answer("200 OK")) as server:
        assert await status(local, port_url(server, host="localhost")) == 200


async def test_a_name_without_addresses_is_a_fault_of_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers_with(monkeypatch)
    with pytest.raises(httpx.ConnectError):
        await get("https://storage.test/a", PUBLIC_API)


async def test_no_credentials_and_no_cookies_are_sent(
    local: FileTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with raw_server(http_answer("200 OK", b"", "Set-Cookie: a=1; Path=/")) as server:
        await status(local, port_url(server))
        await status(local, port_url(server))
    assert len(server.heads) == 2
    sent = b"".join(server.heads).lower()
    assert b"authorization" not in sent
    assert b"cookie" not in sent


async def test_a_redirect_is_not_followed(local: FileTransport) -> None:
    with raw_server(http_answer("302 Found", b"", "Location: /b")) as server:
        assert await status(local, port_url(server)) == 302
    assert len(server.heads) == 1


async def test_the_query_is_sent_exactly_as_signed(local: FileTransport) -> None:
    with raw_server(http_answer("200 OK")) as server:
        await status(local, port_url(server, "/a%2Fb?X-Sig=a%2Bb%3D&c=d+e"))
    assert server.heads[0].startswith(b"GET /a%2Fb?X-Sig=a%2Bb%3D&c=d+e HTTP/1.1\r\n")


async def test_a_closed_transport_can_be_used_again(local: FileTransport) -> None:
    with raw_server(http_answer("200 OK")) as server:
        await status(local, port_url(server))
        await local.close()
        assert await status(local, port_url(server)) == 200


async def test_sends_four_and_receives_eight_files_at_the_same_time(local: FileTransport) -> None:
    assert (local.upload_slots.value, local.download_slots.value) == (4, 8)


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's certificate for two names, of an authority that the environment trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return tls_of(authority, "localhost", "storage.test")


def kept_alive(connection: socket.socket) -> None:
    """Answer the first request, then wait a little for another on the same connection."""
    connection.settimeout(0.5)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    connection.sendall(answer)
    with suppress(OSError):
        if connection.recv(65536):
            connection.sendall(answer)


async def test_connects_to_the_checked_address_and_sends_the_host_name(
    local: FileTransport, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answers_with(monkeypatch, "127.0.0.1")
    with raw_server(http_answer("200 OK"), tls) as server:
        assert await status(local, f"https://storage.test:{server.port}/a") == 200
    assert asked == ["storage.test"]
    assert f"\r\nHost: storage.test:{server.port}\r\n".encode() in server.heads[0]


async def test_a_connection_never_serves_another_name_of_the_same_address(
    local: FileTransport, tls: ssl.SSLContext
) -> None:
    with raw_server(kept_alive, tls) as server:
        assert await status(local, f"https://localhost:{server.port}/a") == 200
        with pytest.raises((httpx.ConnectError, LayerError), match=r"(?i)certificate"):
            await status(local, f"https://127.0.0.1:{server.port}/a")
