"""docs/deploy/nginx.conf, run by nginx in front of real servers, or of raw ones for the details."""

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import trustme
from mcp import Client

from layer_mcp.sandbox import Knobs, RunningSandbox, SandboxState, running_sandbox

from ..support.hosts import SMALL_IMAGE, Era, content_of, settings_for
from ..support.nginx import SERVER_NAME, Nginx, running_nginx
from ..support.ports import free_port
from ..support.raw_servers import Recorder, http_answer, raw_server
from ..support.replicas import Replica, running_replicas

pytestmark = [pytest.mark.anyio, pytest.mark.process]

ERAS = ("2026-07-28", "legacy")
LIMIT_SECONDS = 20
CHALLENGE = 'Bearer resource_metadata="https://mcp.example.com/.well-known/x", scope="layer:read"'


@pytest.fixture(scope="module")
def team_sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(SandboxState(knobs=Knobs(run_seconds=0))) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def deployment(
    team_sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Nginx, list[Replica]]]:
    """Nginx and two servers that share a journal."""
    folder = tmp_path_factory.mktemp("deployment")
    environment = {
        "HOME": str(folder),
        "LAYER_STATE_DIR": str(folder / "state"),
        **settings_for(team_sandbox),
    }
    with running_replicas(2, environment, folder) as running:
        yield running


@pytest.fixture
def nginx(deployment: tuple[Nginx, list[Replica]]) -> Nginx:
    return deployment[0]


@pytest.mark.parametrize("era", ERAS)
async def test_an_agent_starts_a_run_and_reads_it(
    era: Era, nginx: Nginx, team_sandbox: RunningSandbox
) -> None:
    async with Client(f"{nginx.url}/mcp", mode=era) as client:
        call = SMALL_IMAGE | {"prompt": f"a potion of {era}"}
        run = content_of(await client.call_tool("execute_inference", call))
        wait = {"inference_id": run["inference_id"], "wait_seconds": LIMIT_SECONDS}
        answer = content_of(await client.call_tool("get_status", wait))
    assert answer["status"] == "complete"
    assert run["inference_id"] in team_sandbox.state.runs


@pytest.mark.slow
async def test_requests_reach_every_replica_without_a_session(
    deployment: tuple[Nginx, list[Replica]],
) -> None:
    nginx, replicas = deployment
    async with Client(f"{nginx.url}/mcp", mode="legacy") as client:
        for _ in range(4):
            await client.list_tools()
    used = {line.split()[-2] for line in nginx.log().splitlines()}
    assert used >= {f"127.0.0.1:{replica.port}" for replica in replicas}


@pytest.mark.slow
@pytest.mark.parametrize("era", ERAS)
async def test_progress_arrives_while_the_call_waits(
    era: Era, nginx: Nginx, team_sandbox: RunningSandbox
) -> None:
    knobs = team_sandbox.state.knobs
    knobs.run_seconds = 600

    async def end_run(progress: float, total: float | None, message: str | None) -> None:
        knobs.run_seconds = 0

    try:
        async with Client(f"{nginx.url}/mcp", mode=era) as client:
            call = SMALL_IMAGE | {"prompt": f"progress in {era}", "wait_seconds": 40}
            result = await client.call_tool("execute_inference", call, progress_callback=end_run)
    finally:
        knobs.run_seconds = 0
    assert content_of(result)["status"] == "complete"


@pytest.mark.slow
async def test_a_killed_replica_is_not_noticed(
    deployment: tuple[Nginx, list[Replica]],
) -> None:
    nginx, [replica, _] = deployment
    replica.kill()
    try:
        async with Client(f"{nginx.url}/mcp", mode="legacy") as client:
            for _ in range(6):
                assert (await client.list_tools()).tools
    finally:
        replica.start()


def post(nginx: Nginx, path: str = "/mcp", **options: object) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=LIMIT_SECONDS) as http:
        return http.post(f"{nginx.url}{path}", **options)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """A server that records requests and accepts them."""
    with raw_server(http_answer("202 Accepted")) as recorder:
        yield recorder


def sent_headers(recorder: Recorder) -> dict[str, str]:
    [head] = recorder.heads
    lines = head.decode().partition("\r\n\r\n")[0].splitlines()[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def test_the_clients_own_address_headers_are_replaced(recorder: Recorder) -> None:
    invented = {"X-Forwarded-For": "10.9.8.7", "X-Forwarded-Host": "evil", "Forwarded": "for=1"}
    with running_nginx([recorder.port]) as nginx:
        assert post(nginx, headers=invented, json={}).status_code == 202
    headers = sent_headers(recorder)
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["host"] == urlsplit(nginx.url).netloc
    assert not {"x-forwarded-host", "forwarded"} & headers.keys()


def test_a_request_moves_on_if_a_replica_does_not_accept_it(recorder: Recorder) -> None:
    with running_nginx([free_port(), recorder.port]) as nginx:
        answers = [post(nginx, json={}).status_code for _ in range(4)]
    assert answers == [202] * 4


def test_a_post_that_reached_a_replica_is_never_sent_again() -> None:
    def leave(_connection: socket.socket) -> None:
        """Close the connection without an answer."""

    with (
        raw_server(leave) as one,
        raw_server(leave) as other,
        running_nginx([one.port, other.port]) as nginx,
    ):
        assert post(nginx, json={}).status_code == 502
    assert len(one.heads) + len(other.heads) == 1


def test_a_refusal_keeps_its_challenge() -> None:
    refusal = http_answer("401 Unauthorized", b"", f"WWW-Authenticate: {CHALLENGE}")
    with raw_server(refusal) as server, running_nginx([server.port]) as nginx:
        answer = post(nginx, json={})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, CHALLENGE)


def test_an_answer_passes_through_before_it_is_complete() -> None:
    has_arrived = threading.Event()

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        assert has_arrived.wait(LIMIT_SECONDS)
        connection.sendall(b"rest")

    with (
        raw_server(answer) as server,
        running_nginx([server.port]) as nginx,
        httpx.Client(trust_env=False, timeout=LIMIT_SECONDS) as http,
        http.stream("POST", f"{nginx.url}/mcp", json={}) as response,
    ):
        parts = response.iter_bytes()
        assert next(parts) == b"half"
        has_arrived.set()
        assert next(parts) == b"rest"


def test_an_upload_passes_through_before_it_is_complete() -> None:
    has_begun = threading.Event()

    def accept(connection: socket.socket) -> None:
        has_begun.set()
        while not connection.recv(65536).endswith(b"end"):
            pass
        http_answer("201 Created")(connection)

    with raw_server(accept) as server, running_nginx([server.port]) as nginx:
        address = urlsplit(nginx.url)
        with socket.create_connection((address.hostname or "", address.port or 0)) as client:
            client.settimeout(LIMIT_SECONDS)
            head = "PUT /uploads/a-link HTTP/1.1", f"Host: {address.netloc}", "Content-Length: 1003"
            client.sendall("\r\n".join([*head, "", ""]).encode() + bytes(500))
            assert has_begun.wait(LIMIT_SECONDS)
            client.sendall(bytes(500) + b"end")
            assert client.recv(65536).startswith(b"HTTP/1.1 201 ")
        assert "a-link" not in nginx.log() + (nginx.folder / "log").read_text()


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz", "/", "/mcp/other"])
def test_other_paths_stay_private(path: str, recorder: Recorder) -> None:
    with running_nginx([recorder.port]) as nginx:
        assert httpx.get(nginx.url + path, trust_env=False).status_code == 404
    assert recorder.heads == []


def test_a_large_message_is_refused(recorder: Recorder) -> None:
    with running_nginx([recorder.port]) as nginx:
        assert post(nginx, content=bytes(4 * 1024 * 1024 + 1)).status_code == 413
    assert recorder.heads == []


def test_serves_its_own_name_over_tls_and_refuses_others(
    recorder: Recorder, tmp_path: Path
) -> None:
    authority = trustme.CA()
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)  # pyright: ignore[reportUnknownMemberType]
    with running_nginx([recorder.port], certificate=authority.issue_cert(SERVER_NAME)) as nginx:
        address = urlsplit(nginx.url)
        port = address.port or 0
        with connect(trusted, port, SERVER_NAME) as client:
            client.sendall(f"POST /mcp HTTP/1.1\r\nHost: {SERVER_NAME}\r\n\r\n".encode())
            assert client.recv(65536).startswith(b"HTTP/1.1 202 ")
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            connect(trusted, port, "evil.test")
    assert sent_headers(recorder)["host"] == SERVER_NAME


def connect(context: ssl.SSLContext, port: int, name: str) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port), LIMIT_SECONDS)
    try:
        return context.wrap_socket(plain, server_hostname=name)
    except ssl.SSLError:
        plain.close()
        raise
