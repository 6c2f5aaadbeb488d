"""What a server on a network refuses before anything else reads the request."""

from collections.abc import Generator

import pytest

from ...support.http_process import BODY, Server, http_process, message, request

pytestmark = pytest.mark.process

PUBLIC_HOST = b"mcp.example.com"
CLOSE = b"Connection: close"
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    options = ["--public-url", "https://mcp.example.com", "--insecure-no-auth"]
    folder = tmp_path_factory.mktemp("server")
    with http_process({"LAYER_DRAIN_SECONDS": "0"}, folder, options=options) as running:
        yield running


def test_serves_the_public_host(server: Server) -> None:
    assert b" 200 " in server.ask(request(host=PUBLIC_HOST))


def test_a_forwarded_host_counts_for_nothing(server: Server) -> None:
    forwarded = b"X-Forwarded-Host: mcp.example.com"
    assert b" 421 " in server.ask(request(forwarded, host=b"evil.example"))
    evil = (b"X-Forwarded-Host: evil.example", b"X-Forwarded-Proto: http")
    assert b" 200 " in server.ask(request(*evil, host=PUBLIC_HOST))


def test_a_refused_host_is_told_the_public_url(server: Server) -> None:
    answer = server.ask_once(request(host=b"127.0.0.1"))
    assert answer.endswith(b"this server is https://mcp.example.com")


def test_a_page_of_another_site_is_refused(server: Server) -> None:
    assert b" 403 " in server.ask(request(b"Origin: null", host=PUBLIC_HOST))


@pytest.mark.parametrize("era", ["2025-11-25", "2026-07-28"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PUT", "PATCH", "OPTIONS"])
def test_only_post_is_allowed(method: str, era: str, server: Server) -> None:
    given = request(host=PUBLIC_HOST, method=method.encode())
    answer = server.ask_once(given.replace(b"2025-11-25", era.encode())).lower()
    assert answer.startswith(b"http/1.1 405 ")
    assert b"\r\nallow: post\r\n" in answer


def test_no_response_has_a_session(server: Server) -> None:
    params = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    for body in (BODY, message("initialize", **params)):
        session = b"Mcp-Session-Id: mine"
        answer = server.ask_once(request(CLOSE, session, host=PUBLIC_HOST, body=body))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"mcp-session-id" not in answer.lower()


def test_a_slash_at_the_end_is_served_without_a_redirect(server: Server) -> None:
    assert b" 200 " in server.ask(request(host=PUBLIC_HOST, target=b"/mcp/"))


@pytest.mark.parametrize("target", [b"/", b"/MCP", b"/mcp//", b"/mcp/x", b"//mcp", b"/other/"])
def test_other_paths_are_not_redirected(target: bytes, server: Server) -> None:
    answer = server.ask_once(request(CLOSE, host=PUBLIC_HOST, target=target))
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"location:" not in answer.lower()


@pytest.mark.parametrize(
    "lines",
    [[b"X-Filler: " + b"x" * 80_000], [b"X-%d: 1" % number for number in range(120)]],
    ids=["size", "number"],
)
def test_too_many_headers_are_refused(lines: list[bytes], server: Server) -> None:
    assert b" 431 " in server.ask(request(*lines, host=PUBLIC_HOST))


def test_headers_that_never_end_are_refused(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(b"POST /mcp HTTP/1.1\r\nX: " + b"x" * 80_000)
        assert b" 431 " in connection.makefile("rb").readline()


def test_a_body_that_says_it_is_too_long_is_refused_unread(server: Server) -> None:
    given = request(host=PUBLIC_HOST).replace(b"Content-Length: ", b"Content-Length: 9999999")
    assert server.ask(given).startswith(b"HTTP/1.1 413 ")


def test_a_chunked_body_that_becomes_too_long_is_refused(server: Server) -> None:
    length = b"Content-Length: %d\r\n" % len(BODY)
    head = request(host=PUBLIC_HOST).replace(length, b"Transfer-Encoding: chunked\r\n")
    with server.connect() as connection:
        connection.sendall(head[: -len(BODY)])
        for _ in range(4):
            connection.sendall(b"%x\r\n%b\r\n" % (MEGABYTE, b"x" * MEGABYTE))
        connection.sendall(b"1\r\nx\r\n")
        answer = connection.makefile("rb").readline()
    assert answer.startswith(b"HTTP/1.1 413 ")
