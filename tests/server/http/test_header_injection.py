"""Requests whose bytes a proxy, the server, or the log could read in two ways."""

import json
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from ...support.callers import entry, new_token, write_tokens
from ...support.http_process import (
    BODY,
    HOST,
    Server,
    http_process,
    message,
    request,
    wait_for_entry,
)

pytestmark = pytest.mark.process

CLOSE = b"Connection: close"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked"
# In each request, where another line could begin.
MARK = b'injected {"time":"2026-01-01"}'
SECOND = b"0\r\n\r\nPOST /injected HTTP/1.1\r\nHost: " + HOST + b"\r\nContent-Length: 0\r\n\r\n"
INVALID_STATUSES = (400, 401, 421, 431)
UNKNOWN_ENCODING = 501
# What is written about a request that isn't HTTP.
FIXED_LINES = ("WARNING uvicorn.error: Invalid HTTP request received.",)


@dataclass(frozen=True)
class Guarded:
    """A server that needs a token and writes an access log, and the header with a valid token."""

    server: Server
    token: bytes

    def ask(self, given: bytes) -> list[bytes]:
        """Return the responses on one connection, until the server closes it."""
        with self.server.connect() as connection:
            connection.sendall(given)
            received = b""
            # It may be reset, if the server doesn't read everything.
            with suppress(ConnectionError):
                while block := connection.recv(65536):
                    received += block
        return [response for response in received.split(b"HTTP/1.1 ") if response]

    def request(self, *lines: bytes, **parts: bytes) -> bytes:
        return request(CLOSE, self.token, *lines, **parts)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Generator[Guarded]:
    folder, token = tmp_path_factory.mktemp("server"), new_token()
    write_tokens(folder / "tokens.toml", {"alice": entry(token)})
    options = ["--tokens-file", str(folder / "tokens.toml")]
    with http_process({}, folder, options=options) as server:
        yield Guarded(server, b"Authorization: Bearer " + token.encode())


def ambiguous_requests(guarded: Guarded) -> dict[str, bytes]:
    """Return requests that must not be served."""
    good, other = guarded.request(), b"Authorization: Bearer " + MARK
    without_length = guarded.request(CHUNKED).replace(LENGTH, b"")
    first = b"POST /mcp HTTP/1.1\r\n"
    return {
        "CR in a value": guarded.request(b"X-A: b\r" + MARK),
        "CR and LF in a value": guarded.request(b"X-A: b\r\n" + MARK.replace(b":", b"")),
        "NUL in a value": guarded.request(b"X-A: b\0" + MARK),
        "NUL after the token": guarded.request().replace(guarded.token, guarded.token + b"\0"),
        "NUL in a name": guarded.request(b"X\0A: " + MARK),
        "space in a name": guarded.request(b"X A: " + MARK),
        "space after a name": guarded.request(b"X-A : " + MARK),
        "folded first line": good.replace(first, first + b" folded: " + MARK + b"\r\n"),
        "LF in the target": guarded.request(target=b"/mcp\n" + MARK),
        "NUL in the target": guarded.request(target=b"/mcp\0" + MARK),
        "other letters in the target": guarded.request(target=b"/mcp\xe2\x80\xae"),
        "LF in the method": guarded.request(method=b"PO\nST"),
        "two tokens": guarded.request(other),
        "the same token twice": guarded.request(guarded.token),
        "two tokens, one after LF": guarded.request(b"X-A: b\n" + other),
        "two tokens in one header": guarded.request().replace(
            guarded.token, guarded.token + b", Bearer " + MARK
        ),
        "two hosts": guarded.request(b"Host: " + MARK),
        "two hosts in one header": guarded.request(host=HOST + b", injected"),
        "the same host twice": guarded.request(b"Host: " + HOST),
        "two lengths": guarded.request(b"Content-Length: 5"),
        "two lengths in one header": good.replace(LENGTH, b"Content-Length: 5, 6\r\n"),
        "a signed length": good.replace(LENGTH, b"Content-Length: +5\r\n"),
        "a length and chunks": guarded.request(CHUNKED),
        "an unknown encoding": without_length.replace(b"chunked", b"xchunked"),
        "two encodings": without_length.replace(b"chunked", b"identity, chunked"),
        "a huge token": request(CLOSE, b"Authorization: Bearer " + b"x" * 70_000),
        "a large token": request(CLOSE, b"Authorization: Bearer " + b"x" * 60_000),
        "a token of bytes": request(CLOSE, b"Authorization: Bearer \xff\xfe\x85"),
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100) + b"\r\n\r\n",
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    }


def test_ambiguous_requests_are_refused(guarded: Guarded) -> None:
    answers = {name: guarded.ask(given) for name, given in ambiguous_requests(guarded).items()}
    statuses = {name: [int(one[:3]) for one in responses] for name, responses in answers.items()}
    served = {
        name: found
        for name, found in statuses.items()
        if len(found) > 1 or not set(found) <= {*INVALID_STATUSES, UNKNOWN_ENCODING}
    }
    assert served == {}
    assert guarded.ask(guarded.request())[0].startswith(b"200 ")


def test_a_second_request_in_a_body_is_not_answered(guarded: Guarded) -> None:
    smuggled = request(guarded.token, CHUNKED, body=SECOND)
    assert [answer[:4] for answer in guarded.ask(smuggled)] == [b"400 "]


@pytest.mark.parametrize("fold", [b"\r\n ", b"\r\n\t"], ids=["space", "tab"])
def test_a_folded_value_is_one_value(fold: bytes, guarded: Guarded) -> None:
    folded = guarded.token.replace(b"Bearer ", b"Bearer" + fold)
    [served] = guarded.ask(request(CLOSE, folded, b"X-A: b" + fold + MARK))
    assert served.startswith(b"200 ")
    [refused] = guarded.ask(request(CLOSE, b"X-A: b" + fold + guarded.token))
    assert refused.startswith(b"401 ")


def test_no_request_writes_a_line_of_its_own(guarded: Guarded) -> None:
    before = guarded.server.log.stat().st_size
    odd_message = message(MARK.decode() + "\n", name=MARK.decode() + "\r\n", **{"\n": "\n"})
    for given in (
        *ambiguous_requests(guarded).values(),
        guarded.request(b"Mcp-Method: " + MARK, b"Mcp-Name: \x85\xe2\x80\xa8" + MARK),
        guarded.request(b"X-Forwarded-For: " + MARK, b"User-Agent: " + MARK),
        guarded.request(target=b"/mcp?%0a" + MARK.replace(b" ", b"%0d%0a")),
        guarded.request(body=b"\n" + MARK + b"\n"),
        guarded.request(body=odd_message),
    ):
        guarded.ask(given)
    # A line is written after its response, so a last one tells that all others are there.
    guarded.ask(guarded.request(target=b"/uploads/last"))
    text = b""
    while b'"/uploads/*"' not in text:
        text = guarded.server.log.read_bytes()[before:]
    lines = text.decode("ascii").splitlines()
    assert b"injected" not in text
    others = [line for line in lines if not line.endswith(FIXED_LINES)]
    assert all("time" in json.loads(line) for line in others)


def test_a_client_that_leaves_is_not_an_error_of_the_server(tmp_path: Path) -> None:
    with http_process({"LAYER_ACCESS_LOG": "1"}, tmp_path) as server:
        with server.connect() as connection:
            connection.sendall(request()[: -len(BODY)])
        assert "status" not in wait_for_entry(server.log)
        _, *lines = server.log.read_text().splitlines()
    assert len(lines) == 1
