"""Files that remote agents send to an upload URL of a server for a team."""

import json
import os
import secrets
import socket
import sys
import time
import zlib
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http.client import HTTPResponse
from pathlib import Path
from subprocess import Popen
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from mcp.server.request_state import AESGCMRequestStateCodec

from layer_mcp import Settings
from layer_mcp.api.models import UploadUrl
from layer_mcp.sandbox import Fault, Knobs, RunningSandbox, SandboxState, running_sandbox
from layer_mcp.server.app import create_server
from layer_mcp.server.http.settings import HttpSettings
from layer_mcp.server.http.upload_links import LINK_SECONDS, UploadLinks, UploadTicket

from ...support.hosts import SCRIPT, SMALL_IMAGE, child_environment, settings_for
from ...support.local_uploads import arrivals
from ...support.sandbox_calls import png, png_with

pytestmark = [pytest.mark.anyio, pytest.mark.process]

HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
KEY = secrets.token_hex(32)
MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class TeamServer:
    """A running server for a team: the address of its endpoint, and its process."""

    url: str
    process: psutil.Process
    sandbox: RunningSandbox

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool, and return its structured answer."""
        params = {"name": tool, "arguments": arguments}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        answer = httpx.post(self.url, json=message, headers=HEADERS, timeout=30, trust_env=False)
        [data] = [line for line in answer.text.splitlines() if line.startswith("data: ")]
        return json.loads(data.removeprefix("data: "))["result"]["structuredContent"]

    def create(self, content: bytes, file_name: str = "sword.png", **arguments: Any) -> str:
        """Return an upload URL for a file."""
        wanted = {"file_name": file_name, "size_bytes": len(content), **arguments}
        return self.call("create_upload", **wanted)["upload_url"]

    def link(self, ticket: UploadTicket, key: str = KEY) -> str:
        """Return the URL for a ticket that this test has made."""
        return UploadLinks([key]).make_url(ticket, self.url.removesuffix("/mcp"))


def put(url: str, content: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
    return httpx.put(url, content=content, headers=headers, timeout=30, trust_env=False)


def result_of(answer: httpx.Response) -> tuple[int, str]:
    """Return the status of a refused upload and its code."""
    assert set(answer.json()) == {"error", "next_step"}, answer.text
    return answer.status_code, answer.json()["error"]["code"]


@contextmanager
def team_server(
    sandbox: RunningSandbox, folder: Path, *launcher: str, **settings: str
) -> Generator[TeamServer]:
    """Start a server for a team. It pays for all callers, unless the settings say otherwise."""
    environment = {
        "LAYER_STATE_DIR": str(folder),
        **settings_for(sandbox),
        "LAYER_SERVER_KEYS": KEY,
        **settings,
    }
    log = folder / f"stderr-{secrets.token_hex(4)}.txt"
    with (
        log.open("wb") as stderr,
        Popen(
            [*launcher, SCRIPT, "serve", "--http", "--port", "0", "--insecure-no-auth"],
            stderr=stderr,
            env=child_environment(environment),
        ) as process,
    ):
        try:
            deadline = time.monotonic() + 30
            while b"\n" not in log.read_bytes() and time.monotonic() < deadline:
                time.sleep(0.02)
            url = log.read_text().splitlines()[0]
            yield TeamServer(url, psutil.Process(process.pid), sandbox)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Generator[TeamServer]:
    folder = tmp_path_factory.mktemp("team")
    state = SandboxState(knobs=Knobs(run_seconds=0))
    with running_sandbox(state) as sandbox, team_server(sandbox, folder) as running:
        yield running


@pytest.fixture(scope="module")
def replica(team: TeamServer, tmp_path_factory: pytest.TempPathFactory) -> Generator[TeamServer]:
    """Another server with the same keys, whose callers pay."""
    folder = tmp_path_factory.mktemp("replica")
    with team_server(team.sandbox, folder, LAYER_PAYER="caller") as running:
        yield running


@pytest.fixture(scope="module")
def strict(team: TeamServer, tmp_path_factory: pytest.TempPathFactory) -> Generator[TeamServer]:
    """Another server with the same keys and small limits."""
    code = (
        "import sys, layer_mcp.server.http.connections as connections;"
        "import layer_mcp.server.http.uploads as uploads;"
        "connections.REQUEST_SECONDS = 0.5; uploads.BLOCK_SECONDS = 4;"
        "uploads.MAX_UPLOADS_PER_CALLER = 1; sys.argv = sys.argv[1:];"
        "from layer_mcp.cli.main import main; sys.exit(main())"
    )
    folder = tmp_path_factory.mktemp("strict")
    with team_server(team.sandbox, folder, sys.executable, "-c", code) as running:
        yield running


def ticket_for(team: TeamServer, content: bytes, **changes: Any) -> UploadTicket:
    """Return a ticket for a PNG, with a URL that the sandbox has signed."""
    answer = httpx.post(
        f"{team.sandbox.api_url}/v1/workspaces/{team.sandbox.workspace_id}/files/upload-url",
        json={"content_type": "image/png", "file_size_bytes": len(content)},
        headers={"Authorization": f"Bearer {team.sandbox.token}"},
        trust_env=False,
    )
    ticket = UploadTicket(
        caller="",
        workspace_id=team.sandbox.workspace_id,
        content_type="image/png",
        size_bytes=len(content),
        signed=UploadUrl.model_validate(answer.json()),
        expires_at=time.time() + LINK_SECONDS,
    )
    return ticket.model_copy(update=changes)


def fresh_png() -> bytes:
    """Return a PNG of some kilobytes that no other test has."""
    return png_with(os.urandom(100_000))


def stored(team: TeamServer, file_id: str) -> bytes:
    return team.sandbox.state.files[file_id].data


def test_a_file_that_was_sent_to_the_url_is_a_reference_of_a_run(team: TeamServer) -> None:
    content = fresh_png()
    sent = put(team.create(content), content)
    assert sent.status_code == 201, sent.text
    file_id = sent.json()["file_id"]
    assert stored(team, file_id) == content
    reference = {"file_id": file_id, "type": "reference_image"}
    run = team.call("execute_inference", **SMALL_IMAGE, guidance_files=[reference])
    [used] = team.sandbox.state.runs[run["inference_id"]].request.guidance_files
    assert used.file_id == file_id


def test_the_url_hides_what_it_permits(team: TeamServer) -> None:
    content = fresh_png()
    url = team.create(content)
    assert url.startswith(team.url.removesuffix("mcp") + "uploads/")
    assert urlsplit(team.sandbox.media_url).netloc not in url
    assert len(url) < 1000


def test_chunks_without_a_length_are_counted(team: TeamServer) -> None:
    content = fresh_png()
    sent = put(team.create(content), iter([content[:70_000], content[70_000:]]))
    assert stored(team, sent.json()["file_id"]) == content


def test_post_works_too(team: TeamServer) -> None:
    content = fresh_png()
    sent = httpx.post(team.create(content), content=content, trust_env=False)
    assert stored(team, sent.json()["file_id"]) == content


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(method: str, team: TeamServer) -> None:
    answer = httpx.request(method, team.create(fresh_png()), trust_env=False)
    assert (answer.status_code, answer.headers["allow"]) == (405, "PUT, POST")


def test_sending_a_file_again_returns_the_same_file_and_sends_nothing(team: TeamServer) -> None:
    content = fresh_png()
    url = team.create(content)
    first = put(url, content)
    count = len(arrivals(team.sandbox, "upload"))
    assert put(url, content).json() == first.json()
    assert len(arrivals(team.sandbox, "upload")) == count


def test_the_same_content_has_the_same_id(team: TeamServer) -> None:
    content = fresh_png()
    ids = {put(team.create(content), content).json()["file_id"] for _ in range(2)}
    assert len(ids) == 1


def test_another_replica_receives_the_file_without_the_key_of_the_caller_that_pays(
    team: TeamServer, replica: TeamServer
) -> None:
    content = fresh_png()
    sent = put(replica.url.removesuffix("/mcp") + urlsplit(team.create(content)).path, content)
    assert stored(team, sent.json()["file_id"]) == content


def test_the_file_goes_to_the_public_url(team: TeamServer) -> None:
    links = UploadLinks([KEY], "https://mcp.example.com")
    url = links.make_url(ticket_for(team, b"a"), "http://127.0.0.1:8750/")
    assert url.startswith("https://mcp.example.com/uploads/v1.")


def test_the_oldest_of_several_keys_still_opens_a_url(team: TeamServer) -> None:
    ticket = ticket_for(team, b"a")
    path = urlsplit(UploadLinks([KEY]).make_url(ticket, "http://127.0.0.1")).path
    assert UploadLinks([secrets.token_hex(32), KEY]).open_path(path) == ticket


@pytest.mark.parametrize(
    ("http", "is_offered"),
    [
        (None, False),
        (HttpSettings(), False),
        (HttpSettings(is_insecure=True), True),
        (HttpSettings(tokens_file="tokens.toml"), True),
        (HttpSettings(tokens_file="tokens.toml", allow_disk=True), False),
    ],
    ids=["stdio", "loopback", "insecure", "tokens", "disk"],
)
async def test_only_a_server_for_a_team_without_the_disk_offers_uploads(
    http: HttpSettings | None, is_offered: bool
) -> None:
    tools = await create_server(Settings(), http=http).list_tools()
    names = {tool.name for tool in tools}
    assert ("create_upload" in names, "upload_file" in names) == (is_offered, not is_offered)


@pytest.mark.parametrize("change", ["last", "middle", "prefix", "short", "none"])
def test_a_changed_url_is_refused(change: str, team: TeamServer) -> None:
    base, _, token = team.create(fresh_png()).rpartition("/")
    middle = len(token) // 2
    other = "A" if token[middle] != "A" else "B"
    changed = {
        "last": token + "A",
        "middle": token[:middle] + other + token[middle + 1 :],
        "prefix": "v2" + token[2:],
        "short": token[:40],
        "none": "",
    }[change]
    assert result_of(put(f"{base}/{changed}", b"")) == (403, "UPLOAD_URL_INVALID")


def test_a_url_sealed_with_another_key_is_refused(team: TeamServer) -> None:
    content = fresh_png()
    url = team.link(ticket_for(team, content), secrets.token_hex(32))
    assert result_of(put(url, content)) == (403, "UPLOAD_URL_INVALID")


def test_a_sealed_question_is_no_upload_url(team: TeamServer) -> None:
    content = fresh_png()
    payload = zlib.compress(ticket_for(team, content).model_dump_json().encode())
    token = AESGCMRequestStateCodec([KEY]).seal(payload)
    url = f"{team.url.removesuffix('mcp')}uploads/{token}"
    assert result_of(put(url, content)) == (403, "UPLOAD_URL_INVALID")


def test_an_expired_url_is_refused(team: TeamServer) -> None:
    content = fresh_png()
    url = team.link(ticket_for(team, content, expires_at=time.time() - 1))
    assert result_of(put(url, content)) == (410, "UPLOAD_URL_EXPIRED")


def test_a_signed_url_that_layer_no_longer_accepts_has_expired(team: TeamServer) -> None:
    content = fresh_png()
    ticket = ticket_for(team, content)
    uploads = team.sandbox.state.uploads
    uploads[ticket.signed.file_id] = replace(uploads[ticket.signed.file_id], expires_at=0)
    assert result_of(put(team.link(ticket), content)) == (410, "UPLOAD_EXPIRED")


@pytest.mark.parametrize(
    "target", ["..", "../mcp", "%2e%2e%2fmcp", "v1.%00", "a/b", "v1.%0d%0aX:1"]
)
def test_a_path_is_never_more_than_a_wrong_ticket(target: str, team: TeamServer) -> None:
    parts = urlsplit(team.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
        lines = [
            f"PUT /uploads/{target} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Content-Length: 0",
            "Connection: close",
        ]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        assert b" 403 " in connection.makefile("rb").readline()


@pytest.mark.parametrize(
    ("file_name", "stored_name"),
    [
        ("../../etc/sword.png", "sword.png"),
        ("C:\\pictures\\sword.png", "sword.png"),
        ("sword\r\nX-Header: 1\0.png", "sword X-Header: 1.png"),
        ("剣.png", "剣.png"),
    ],
    ids=["parents", "backslashes", "line breaks", "letters"],
)
def test_layer_gets_the_last_part_of_the_name_as_one_line(
    file_name: str, stored_name: str, team: TeamServer
) -> None:
    team.create(fresh_png(), file_name, content_type="image/png")
    body = json.loads(arrivals(team.sandbox, "request_upload_url")[-1].body)
    assert body["file_name"] == stored_name


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"file_name": ".."}, "INVALID_ARGUMENTS"),
        ({"file_name": "sword"}, "INVALID_ARGUMENTS"),
        ({"file_name": "x" * 300 + ".png"}, "INVALID_ARGUMENTS"),
        ({"file_name": "sword.gif"}, "FILE_TYPE_NOT_SUPPORTED"),
        ({"content_type": "text/html"}, "FILE_TYPE_NOT_SUPPORTED"),
        ({"size_bytes": 0}, "INVALID_ARGUMENTS"),
        ({"size_bytes": 65 * MEGABYTE}, "FILE_TOO_LARGE"),
        ({"workspace_id": "../../other"}, "WORKSPACE_NOT_FOUND"),
    ],
    ids=str,
)
def test_a_wrong_announcement_is_refused(
    arguments: dict[str, Any], code: str, team: TeamServer
) -> None:
    good = {"file_name": "sword.png", "size_bytes": 100}
    assert team.call("create_upload", **good | arguments)["error"]["code"] == code


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunks"])
@pytest.mark.parametrize("difference", [-1, 1, -90_000, 500_000])
def test_a_file_of_another_size_is_refused_and_never_complete(
    difference: int, is_chunked: bool, team: TeamServer
) -> None:
    content = fresh_png()
    ticket = ticket_for(team, content)
    sent = content[:difference] if difference < 0 else content + bytes(difference)
    answer = put(team.link(ticket), iter([sent]) if is_chunked else sent)
    assert result_of(answer) == (400, "FILE_SIZE_MISMATCH")
    assert ticket.signed.file_id not in team.sandbox.state.files


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\xff\xd8\xff\xe0" + bytes(2000), "FILE_TYPE_MISMATCH"),
        (b"GIF89a" + bytes(2000), "FILE_TYPE_NOT_SUPPORTED"),
        (
            b"--form\r\nContent-Disposition: form-data\r\n\r\n" + png("red"),
            "FILE_TYPE_NOT_SUPPORTED",
        ),
        (bytes(2000), "FILE_TYPE_NOT_SUPPORTED"),
    ],
    ids=["jpeg", "gif", "form", "zeros"],
)
def test_a_file_of_another_type_is_refused_before_anything_reaches_layer(
    content: bytes, code: str, team: TeamServer
) -> None:
    url = team.create(content)
    count = len(arrivals(team.sandbox, "start_upload"))
    assert result_of(put(url, content)) == (415, code)
    assert len(arrivals(team.sandbox, "start_upload")) == count


def test_an_interrupted_file_can_be_sent_again(team: TeamServer) -> None:
    content = png_with(os.urandom(3_000_000))
    url = team.create(content)

    def stop_half_way() -> Iterator[bytes]:
        yield content[:1_500_000]
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        httpx.put(
            url,
            content=stop_half_way(),
            headers={"Content-Length": str(len(content))},
            trust_env=False,
        )
    assert stored(team, put(url, content).json()["file_id"]) == content


@pytest.mark.parametrize(
    "fault",
    [
        Fault("drop", unread=True),
        Fault("drop", after_bytes=50_000),
        Fault("status", status=503),
    ],
    ids=["closed", "cut", "busy"],
)
def test_a_storage_host_that_fails_is_a_bad_gateway_and_the_file_can_be_sent_again(
    fault: Fault, team: TeamServer
) -> None:
    content = fresh_png()
    url = team.create(content)
    team.sandbox.state.knobs.fail_next("upload", fault)
    assert result_of(put(url, content)) == (502, "UPLOAD_FAILED")
    assert stored(team, put(url, content).json()["file_id"]) == content


def test_a_lost_response_of_the_storage_host_is_no_failure(team: TeamServer) -> None:
    content = fresh_png()
    url = team.create(content)
    team.sandbox.state.knobs.fail_next("upload", Fault("drop", accepted=True))
    assert stored(team, put(url, content).json()["file_id"]) == content


def test_a_storage_host_that_rejects_the_file_is_a_bad_gateway(team: TeamServer) -> None:
    content = fresh_png()
    team.sandbox.state.knobs.fail_next("upload", Fault("status", status=403))
    assert result_of(put(team.create(content), content)) == (502, "UPLOAD_REFUSED")


def test_a_signed_url_of_a_private_host_is_never_called(team: TeamServer) -> None:
    content = fresh_png()
    signed = UploadUrl(file_id="f", upload_url="http://169.254.169.254/latest")
    url = team.link(ticket_for(team, content, signed=signed))
    assert result_of(put(url, content)) == (502, "HOST_NOT_ALLOWED")


def test_two_requests_at_the_same_time_return_the_same_file(team: TeamServer) -> None:
    content = png_with(os.urandom(3_000_000))
    url = team.create(content)
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(put, [url, url], [content, content]))
    [file_id] = {answer.json()["file_id"] for answer in answers}
    assert stored(team, file_id) == content


def test_a_caller_can_send_a_few_files_at_the_same_time(strict: TeamServer) -> None:
    content = fresh_png()
    url, other = strict.create(content), strict.create(content)
    with half_sent(url, content) as finish:
        refused = put(other, content)
        assert result_of(refused) == (503, "TOO_BUSY")
        assert refused.headers["retry-after"] == "5"
        assert finish() == 201
    assert put(other, content).status_code == 201


@pytest.mark.slow
def test_a_file_that_arrives_too_slowly_is_refused(strict: TeamServer) -> None:
    content = fresh_png()
    with connected_to(url := strict.create(content)) as connection:
        connection.sendall(head_of(url, content) + content[:1000])
        assert read_status(connection) == 408


def test_a_file_can_take_longer_to_arrive_than_a_call(strict: TeamServer) -> None:
    content = fresh_png()
    with half_sent(strict.create(content), content) as finish:
        time.sleep(0.7)
        assert finish() == 201


def test_a_refused_file_that_is_still_being_sent_holds_no_connection(strict: TeamServer) -> None:
    content = fresh_png()
    url = strict.url.removesuffix("mcp") + "uploads/wrong"
    with connected_to(url) as connection:
        connection.sendall(head_of(url, content) + content[:1000])
        assert read_status(connection) == 403
        with suppress(ConnectionError):
            assert connection.recv(10_000) == b""


@pytest.mark.slow
def test_60_megabytes_take_little_memory(team: TeamServer, tmp_path: Path) -> None:
    with team_server(team.sandbox, tmp_path) as server:
        small = png_with(os.urandom(3_000_000))
        assert put(server.create(small), small).status_code == 201
        content = png_with(os.urandom(60 * MEGABYTE))
        url = server.create(content)
        before = server.process.memory_info().rss
        most = before
        with ThreadPoolExecutor() as pool:
            sending = pool.submit(put, url, content)
            while not sending.done():
                most = max(most, server.process.memory_info().rss)
                time.sleep(0.01)
        assert sending.result().status_code == 201
    assert most - before < 20 * MEGABYTE


@contextmanager
def connected_to(url: str) -> Generator[socket.socket]:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
        yield connection


def head_of(url: str, content: bytes) -> bytes:
    parts = urlsplit(url)
    lines = [
        f"PUT {parts.path} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"Content-Length: {len(content)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def read_status(connection: socket.socket) -> int:
    """Read a whole response, and return its status."""
    response = HTTPResponse(connection)
    response.begin()
    response.read()
    return response.status


@contextmanager
def half_sent(url: str, content: bytes) -> Generator[Callable[[], int]]:
    """Send half of a file; the value sends the rest, and returns the status."""
    half = len(content) // 2
    with connected_to(url) as connection:
        connection.sendall(head_of(url, content) + content[:half])

        def finish() -> int:
            connection.sendall(content[half:])
            return read_status(connection)

        yield finish
