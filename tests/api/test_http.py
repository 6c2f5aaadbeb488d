"""Below HTTP: where the token is sent, which hosts the client trusts, and how long it waits."""

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest
import trustme

from layer_mcp import InferenceRequest, LayerClient, LayerError
from layer_mcp.api.retry import Limits
from layer_mcp.sandbox import SandboxState, running_sandbox

from ..support.hosts import SMALL_IMAGE
from ..support.ports import free_port
from ..support.raw_servers import EMPTY_LIST, http_answer, raw_server, tls_of

pytestmark = pytest.mark.anyio

TOKEN = "token-of-nothing"
WORKSPACE = "00000000-0000-4000-8000-0000000000aa"
REQUEST = InferenceRequest.model_validate(SMALL_IMAGE)
PATIENT = Limits(read_total_seconds=20, submit_total_seconds=20)
HASTY = Limits(read_total_seconds=1, submit_total_seconds=1)


def client(url: str, limits: Limits = PATIENT) -> LayerClient:
    return LayerClient(TOKEN, workspace=WORKSPACE, api_url=url, limits=limits)


async def test_a_redirect_is_not_followed_and_the_token_stays_with_the_api_host() -> None:
    with raw_server(http_answer("200 OK", EMPTY_LIST)) as other:
        location = f"Location: http://127.0.0.1:{other.port}/api/v1/workspaces"
        with raw_server(http_answer("302 Found", b"", location)) as api:
            async with client(f"http://127.0.0.1:{api.port}/api") as layer:
                with pytest.raises(LayerError, match="UNEXPECTED_REDIRECT"):
                    await layer.list_workspaces()
    assert len(api.heads) == 1
    assert f"Authorization: Bearer {TOKEN}".encode() in api.heads[0]
    assert other.heads == []


async def test_a_refused_connection_is_never_delivered_and_tried_again_until_it_works() -> None:
    port = free_port()
    started: list[str] = []

    async def submit() -> None:
        async with client(f"http://127.0.0.1:{port}/api") as layer:
            started.append((await layer.execute_inference(REQUEST)).inference_id)

    state = SandboxState(token=TOKEN)
    with ExitStack() as stack:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(submit)
            await anyio.sleep(0.7)
            stack.enter_context(running_sandbox(state, port=port))
    assert list(state.runs) == started
    assert state.arrived == {"execute_inference": 1}


async def test_reports_a_host_that_refuses_connections() -> None:
    async with client(f"http://127.0.0.1:{free_port()}/api") as layer:
        with pytest.raises(LayerError) as caught:
            await layer.execute_inference(REQUEST)
    assert caught.value.code == "CONNECTION_FAILED"


async def test_an_answer_that_trickles_is_cut_off_at_the_total_time() -> None:
    def trickle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(80):
            connection.sendall(b" ")
            time.sleep(0.1)

    with raw_server(trickle) as api:
        async with client(f"http://127.0.0.1:{api.port}/api", HASTY) as layer:
            with anyio.fail_after(6), pytest.raises(LayerError, match="OUTCOME_UNKNOWN"):
                await layer.execute_inference(REQUEST)
    assert len(api.heads) == 1


PROBLEM = b'{"type": "https://api.layer.ai/errors/RATE_LIMITED", "title": "'
AWS = b'{"message": "Service Unavailable"}'
IS_PROBLEM = "Content-Type: application/problem+json"


def answer_with(
    head: str, body: bytes, length: int | None = None
) -> Callable[[socket.socket], None]:
    """Return an answer whose body is cut when `length` is greater than its own."""

    def answer(connection: socket.socket) -> None:
        size_bytes = len(body) if length is None else length
        connection.sendall(f"HTTP/1.1 {head}\r\nContent-Length: {size_bytes}\r\n\r\n".encode())
        connection.sendall(body)

    return answer


@pytest.mark.parametrize(
    ("head", "code", "sent_times"),
    [
        ("402 Payment Required", "INSUFFICIENT_BALANCE", 1),
        (f"429 Slow down\r\n{IS_PROBLEM}", "RATE_LIMITED", 4),
        (f"503 Busy\r\n{IS_PROBLEM}", "SERVICE_UNAVAILABLE", 4),
    ],
    ids=["402", "429", "503"],
)
async def test_a_refusal_whose_text_is_cut_is_still_a_refusal(
    head: str, code: str, sent_times: int
) -> None:
    with raw_server(answer_with(head, PROBLEM, length=1000)) as api:
        async with client(f"http://127.0.0.1:{api.port}/api") as layer:
            with pytest.raises(LayerError) as caught:
                await layer.execute_inference(REQUEST)
    assert (caught.value.code, len(api.heads)) == (code, sent_times)


@pytest.mark.parametrize("status", ["429 Slow down", "503 Busy"])
@pytest.mark.parametrize(
    ("header", "body"),
    [
        ("Content-Type: text/plain", b"busy"),
        ("Content-Type: application/json", AWS),
        ("Content-Type: application/json", PROBLEM + b'"}'),
        ("Content-Type: text/html\r\nRetry-After: 0", b"<html>busy</html>"),
        ("Content-Type: application/json\r\nRetry-After: 0", AWS),
        (IS_PROBLEM, AWS),
        (IS_PROBLEM, b'{"type": "about:blank", "title": "Busy"}'),
        (IS_PROBLEM, b'{"type": "https://gateway.example/errors/RATE_LIMITED"}'),
        (IS_PROBLEM, b'{"type": "https://api.layer.ai.example/errors/RATE_LIMITED"}'),
    ],
)
@pytest.mark.parametrize("length", [None, 1000], ids=["whole", "cut"])
async def test_a_429_or_503_that_may_not_be_layers_is_never_retried(
    length: int | None, header: str, body: bytes, status: str
) -> None:
    with raw_server(answer_with(f"{status}\r\n{header}", body, length)) as api:
        async with client(f"http://127.0.0.1:{api.port}/api") as layer:
            with pytest.raises(LayerError, match=r"OUTCOME_UNKNOWN: .* may not be Layer's own"):
                await layer.execute_inference(REQUEST)
    assert len(api.heads) == 1


async def test_a_silent_host_is_an_unknown_outcome_for_a_submission() -> None:
    with raw_server(lambda _connection: time.sleep(2)) as api:
        async with client(f"http://127.0.0.1:{api.port}/api", HASTY) as layer:
            with pytest.raises(LayerError, match="didn't respond in time") as caught:
                await layer.execute_inference(REQUEST)
    assert caught.value.code == "OUTCOME_UNKNOWN"
    assert len(api.heads) == 1


async def test_an_answer_with_an_absurd_retry_after_does_not_hide_the_outcome() -> None:
    with raw_server(http_answer("500 Broken", b"", "Retry-After: " + "9" * 400)) as api:
        async with client(f"http://127.0.0.1:{api.port}/api") as layer:
            with pytest.raises(LayerError, match="OUTCOME_UNKNOWN"):
                await layer.execute_inference(REQUEST)


async def test_a_proxy_that_breaks_during_connect_delivered_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with raw_server(lambda _connection: None) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        async with client("https://layer.test/api") as layer:
            with pytest.raises(LayerError, match="CONNECTION_FAILED"):
                await layer.execute_inference(REQUEST)
    assert len(proxy.heads) == 4


async def test_an_endless_answer_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layer_mcp.api.http.MAX_BODY_BYTES", 100_000)

    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for _ in range(1000):
            connection.sendall(b" " * 65536)

    with raw_server(flood) as api:
        async with client(f"http://127.0.0.1:{api.port}/api") as layer:
            with pytest.raises(LayerError, match="UNEXPECTED_RESPONSE"):
                await layer.list_workspaces()


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


async def test_a_certificate_of_an_unknown_authority_is_refused_before_the_token_is_sent(
    authority: trustme.CA,
) -> None:
    with raw_server(http_answer("200 OK", EMPTY_LIST), tls_of(authority, "localhost")) as api:
        async with client(f"https://localhost:{api.port}/api") as layer:
            with pytest.raises(LayerError, match="SSL_CERT_FILE") as caught:
                await layer.execute_inference(REQUEST)
    assert caught.value.code == "TLS_FAILED"
    assert api.heads == []


async def test_a_private_authority_is_trusted_through_the_environment(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with raw_server(http_answer("200 OK", EMPTY_LIST), tls_of(authority, "localhost")) as api:
        async with client(f"https://localhost:{api.port}/api") as layer:
            assert await layer.list_workspaces() == []


async def test_a_certificate_for_another_name_is_refused(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with raw_server(http_answer("200 OK", EMPTY_LIST), tls_of(authority, "localhost")) as api:
        async with client(f"https://127.0.0.1:{api.port}/api") as layer:
            with pytest.raises(LayerError, match="TLS_FAILED"):
                await layer.list_workspaces()


async def test_uses_the_environments_proxy_without_revealing_the_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with raw_server(http_answer("403 Forbidden")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        async with client("https://layer.test/api") as layer:
            with pytest.raises(LayerError, match="CONNECTION_FAILED"):
                await layer.execute_inference(REQUEST)
    assert proxy.heads[0].startswith(b"CONNECT layer.test:443 ")
    assert not any(TOKEN.encode() in head for head in proxy.heads)


async def test_a_loopback_address_needs_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    with raw_server(http_answer("200 OK", EMPTY_LIST)) as api:
        async with client(f"http://127.0.0.1:{api.port}/api") as layer:
            assert await layer.list_workspaces() == []
