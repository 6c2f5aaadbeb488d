"""The access log: what a line has, and what never gets into it."""

import json
from pathlib import Path
from typing import Any

import pytest

from layer_mcp.server.callers.caller import CALLER_KEY, Caller
from layer_mcp.server.http.access_log import AccessLog, client_address
from layer_mcp.server.http.exchange import Exchange

from ...support.http_process import Server, http_process, message, request, wait_for_entry

CLOSE = b"Connection: close"
SECRETS = [b"query-secret", b"header-secret", b"prompt-secret", b"path-secret", b"cookie-secret"]


def logged(server: Server, given: bytes) -> dict[str, Any]:
    """Return the entry for a request."""
    before = server.log.stat().st_size
    server.ask_once(given)
    return wait_for_entry(server.log, before)


@pytest.mark.process
def test_a_line_tells_what_was_called_and_how_it_ended(observed: Server) -> None:
    body = message("tools/call", name="list_models", arguments={})
    line = logged(observed, request(CLOSE, body=body))
    assert line.pop("duration_ms") > 0
    assert line.pop("bytes") > 100
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "method": "POST",
        "path": "/mcp",
        "status": 200,
        "client": "127.0.0.1",
        "call": "tools/call",
        "tool": "list_models",
        "era": "legacy",
        "outcome": "ok",
    }


@pytest.mark.process
def test_a_failed_tool_is_named_and_an_unknown_one_is_not(observed: Server) -> None:
    failing = message("tools/call", name="get_status", arguments={"inference_id": "nothing"})
    unknown = message("tools/call", name='x"\n{"caller":"admin"}', arguments={})
    first = logged(observed, request(CLOSE, body=failing))
    second = logged(observed, request(CLOSE, body=unknown))
    assert (first["tool"], first["outcome"]) == ("get_status", "tool_error")
    assert second["tool"] == "other"


@pytest.mark.process
def test_no_secret_and_no_content_is_logged(observed: Server) -> None:
    arguments = {"model_id": "prompt-secret", "prompt": "prompt-secret"}
    body = message("tools/call", name="execute_inference", arguments=arguments)
    lines = [b"Authorization: Bearer header-secret", b"X-Layer-Api-Key: header-secret"]
    lines += [b"Cookie: a=cookie-secret", b"User-Agent: header-secret"]
    logged(observed, request(CLOSE, *lines, body=body, target=b"/mcp?token=query-secret"))
    for target in (b"/path-secret", b"/uploads/path-secret", b"/mcp/path-secret"):
        logged(observed, request(CLOSE, *lines, target=target))
    text = observed.log.read_bytes()
    assert [secret for secret in SECRETS if secret in text] == []


@pytest.mark.process
@pytest.mark.parametrize(
    "given",
    [
        request(CLOSE, target=b"/%0a%7b%22status%22:200%7d"),
        request(CLOSE, method=b"BREW"),
        request(CLOSE, b'X-Forwarded-For: 1.1.1.1\\n{"status":200}'),
        request(CLOSE, b"Mcp-Session-Id: \xe2\x80\xae"),
    ],
    ids=["path", "method", "address", "bytes"],
)
def test_a_request_cannot_write_a_line_of_its_own(given: bytes, observed: Server) -> None:
    line = logged(observed, given)
    assert line["method"] in ("POST", "other")
    assert line["path"] in ("/mcp", "other")
    assert line["client"] == "127.0.0.1"


@pytest.mark.process
def test_successful_probes_are_not_logged(observed: Server) -> None:
    before = observed.log.stat().st_size
    for path in (b"/livez", b"/readyz"):
        observed.ask_once(request(CLOSE, method=b"GET", target=path, body=b""))
    logged(observed, request(CLOSE, target=b"/other"))
    assert observed.log.read_bytes()[before:].count(b"\n") == 1


@pytest.mark.process
def test_an_address_in_a_header_counts_for_nothing_by_default(tmp_path: Path) -> None:
    with http_process({"LAYER_ACCESS_LOG": "1"}, tmp_path) as server:
        assert logged(server, request(CLOSE, b"X-Forwarded-For: 6.6.6.6"))["client"] == "127.0.0.1"


def address(peer: str, *headers: tuple[bytes, bytes], trusts_proxy: bool) -> str | None:
    scope: dict[str, Any] = {"client": (peer, 1), "headers": list(headers)}
    return client_address(scope, trusts_proxy=trusts_proxy)


@pytest.mark.parametrize(
    ("header", "client"),
    [
        ((b"x-forwarded-for", b"6.6.6.6, 203.0.113.9"), "203.0.113.9"),
        ((b"x-forwarded-for", b"203.0.113.9:4711"), "203.0.113.9"),
        ((b"x-forwarded-for", b"2001:DB8:0::1"), "2001:db8::1"),
        ((b"x-forwarded-for", b"6.6.6.6, unknown"), "10.0.0.1"),
        ((b"forwarded", b'for=6.6.6.6, proto=https;For="[2001:db8::1]:80"'), "2001:db8::1"),
        ((b"x-real-ip", b"6.6.6.6"), "10.0.0.1"),
    ],
)
def test_only_the_address_that_a_trusted_proxy_added_counts(
    header: tuple[bytes, bytes], client: str
) -> None:
    assert address("10.0.0.1", header, trusts_proxy=True) == client
    assert address("10.0.0.1", header, trusts_proxy=False) == "10.0.0.1"


def test_the_name_of_the_caller_is_logged_within_bounds_and_its_key_is_not() -> None:
    lines: list[str] = []
    caller = Caller(name="studio\n\u202e" + "x" * 500, layer_key="the-key")
    scope: dict[str, Any] = {"client": None, "headers": [], "method": "POST", CALLER_KEY: caller}
    AccessLog(write=lines.append).record(Exchange(scope, "/mcp", 0.0, status=200))
    [line] = lines
    assert line.isascii()
    assert line.isprintable()
    assert len(json.loads(line)["caller"]) == 100
    assert "the-key" not in line


@pytest.mark.process
def test_a_local_server_logs_nothing(tmp_path: Path) -> None:
    with http_process({}, tmp_path) as server:
        server.ask_once(request(CLOSE))
        server.ask_once(request(CLOSE))
        assert server.log.read_bytes().count(b"\n") == 1
