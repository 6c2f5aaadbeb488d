"""Attacks on a server for a team through docs/deploy/nginx.conf: hosts, pages, and upload URLs."""

import json
import os
import socket
import ssl
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
import trustme

from layer_mcp.sandbox import Knobs, RunningSandbox, SandboxState, running_sandbox

from ..support.callers import entry, new_token, write_tokens
from ..support.hosts import SMALL_IMAGE, settings_for
from ..support.http_process import message, request, wait_for_entry
from ..support.issuer import running_issuer
from ..support.local_uploads import arrivals
from ..support.nginx import SERVER_NAME, Nginx, running_nginx
from ..support.ports import free_port
from ..support.replicas import Replica
from ..support.sandbox_calls import png_with

pytestmark = pytest.mark.process

HOST = SERVER_NAME.encode()
PUBLIC_URL = f"https://{SERVER_NAME}"
METADATA = f"{PUBLIC_URL}/.well-known/oauth-protected-resource"
LIMIT_SECONDS = 20
CLOSE = b"Connection: close"
SPOOFED = (
    b"X-Forwarded-Host: evil.example",
    b"X-Forwarded-Server: evil.example",
    b"X-Forwarded-Proto: http",
    b"X-Forwarded-Port: 81",
    b"X-Forwarded-Prefix: /evil",
    b"X-Forwarded-For: 6.6.6.6",
    b"X-Real-IP: 6.6.6.6",
    b"Forwarded: for=6.6.6.6;host=evil.example;proto=http",
    b"X-Original-URL: /livez",
    b"X-Rewrite-URL: /livez",
)


@dataclass(frozen=True)
class Answer:
    """A response."""

    status: int
    headers: dict[str, str]
    body: bytes

    def result(self) -> dict[str, Any]:
        """Return the structured content of a tool's answer."""
        [data] = [line for line in self.body.splitlines() if line.startswith(b"data: {")]
        return json.loads(data[6:])["result"]["structuredContent"]


@dataclass(frozen=True)
class Front:
    """Nginx with TLS, the server behind it, and the tokens of its callers."""

    nginx: Nginx
    replica: Replica
    trusted: ssl.SSLContext
    sandbox: RunningSandbox
    tokens: dict[str, str]

    def send(self, given: bytes, *, address: str = "127.0.0.1") -> Answer:
        """Send a request to nginx from an address of this machine."""
        port = int(self.nginx.url.rpartition(":")[2])
        plain = socket.create_connection(("127.0.0.1", port), LIMIT_SECONDS, (address, 0))
        with self.trusted.wrap_socket(plain, server_hostname=SERVER_NAME) as connection:
            return exchange(connection, given)

    def send_directly(self, given: bytes) -> Answer:
        """Send a request past nginx, which removes some headers."""
        with socket.create_connection(("127.0.0.1", self.replica.port), LIMIT_SECONDS) as plain:
            return exchange(plain, given)

    def token(self, name: str = "alice") -> bytes:
        return f"Authorization: Bearer {self.tokens[name]}".encode()

    def call(self, tool: str, arguments: dict[str, Any], caller: str = "alice") -> dict[str, Any]:
        """Return the structured content of a tool's answer."""
        body = message("tools/call", name=tool, arguments=arguments)
        return self.send(request(CLOSE, self.token(caller), host=HOST, body=body)).result()

    def link(self, content: bytes) -> bytes:
        """Return the path of a new upload URL of alice."""
        arguments = {"file_name": "sword.png", "size_bytes": len(content)}
        url = self.call("create_upload", arguments)["upload_url"]
        assert url.startswith(f"{PUBLIC_URL}/uploads/")
        return url.removeprefix(PUBLIC_URL).encode()

    def put(self, target: bytes, content: bytes, *lines: bytes) -> Answer:
        return self.send(
            request(CLOSE, *lines, host=HOST, method=b"PUT", target=target, body=content)
        )


def exchange(connection: socket.socket, given: bytes) -> Answer:
    connection.sendall(given)
    response = HTTPResponse(connection)
    response.begin()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


@contextmanager
def running_front(folder: Path, sandbox: RunningSandbox, *options: str) -> Generator[Front]:
    """Start a server with these options behind nginx."""
    authority, trusted = trustme.CA(), ssl.create_default_context()
    authority.configure_trust(trusted)  # pyright: ignore[reportUnknownMemberType]
    tokens = {name: new_token() for name in ("alice", "bob")}
    write_tokens(folder / "tokens.toml", {name: entry(token) for name, token in tokens.items()})
    port = free_port()
    with (
        running_issuer() as issuer,
        running_nginx([port], certificate=authority.issue_cert(SERVER_NAME)) as nginx,
    ):
        environment = {
            "HOME": str(folder),
            "LAYER_STATE_DIR": str(folder / "state"),
            "LAYER_TOKENS_FILE": str(folder / "tokens.toml"),
            "LAYER_OAUTH_ISSUER": issuer.url,
            "LAYER_PUBLIC_URL": PUBLIC_URL,
            **settings_for(sandbox),
        }
        replica = Replica(port, environment, folder / "log", options)
        try:
            replica.start()
            yield Front(nginx, replica, trusted, sandbox, tokens)
        finally:
            replica.kill()


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    state = SandboxState(knobs=Knobs(run_seconds=0))
    folder = tmp_path_factory.mktemp("front")
    with running_sandbox(state) as sandbox, running_front(folder, sandbox, "--trust-proxy") as one:
        yield one


def test_other_hosts_and_pages_of_other_sites_are_refused(front: Front) -> None:
    token = front.token()
    hosts = ("evil.example", f"{SERVER_NAME}.evil.example", f"{SERVER_NAME}:8443", "127.0.0.1")
    given = {host: request(CLOSE, token, host=host.encode()) for host in (*hosts, "localhost")}
    origins = ("https://evil.example", f"{PUBLIC_URL}.evil.example", f"http://{SERVER_NAME}")
    for origin in (*origins, f"{PUBLIC_URL}:8443", "null", ""):
        line = b"Origin: " + origin.encode()
        given[f"Origin {origin}"] = request(CLOSE, token, line, host=HOST)
    own = f"Origin: {PUBLIC_URL}".encode()
    other = b"Origin: https://evil.example"
    given |= {
        "two hosts": request(CLOSE, token, b"Host: evil.example", host=HOST),
        "two origins": request(CLOSE, token, own, other, host=HOST),
        "URL": request(CLOSE, token, host=HOST, target=b"https://evil.example/mcp"),
        "own URL": request(CLOSE, token, host=b"evil.example", target=f"{PUBLIC_URL}/mcp".encode()),
    }
    statuses = {name: front.send(one).status for name, one in given.items()}
    served = {name: status for name, status in statuses.items() if not 400 <= status < 500}
    assert served == {}
    assert front.send(request(CLOSE, token, own, *SPOOFED, host=HOST)).status == 200


def test_addresses_that_are_given_out_come_from_the_public_url(front: Front) -> None:
    body = message(
        "tools/call",
        name="create_upload",
        arguments={"file_name": "sword.png", "size_bytes": 100},
    )
    for send in (front.send, front.send_directly):
        created = send(request(CLOSE, front.token(), *SPOOFED, host=HOST, body=body))
        assert created.result()["upload_url"].startswith(f"{PUBLIC_URL}/uploads/v1.")
        refused = send(request(CLOSE, *SPOOFED, host=HOST))
        assert refused.status == 401
        challenge = refused.headers["www-authenticate"]
        assert f'resource_metadata="{METADATA}/mcp"' in challenge
        answers = [created, refused]
        for path in ("", "/mcp"):
            target = f"/.well-known/oauth-protected-resource{path}".encode()
            given = request(CLOSE, *SPOOFED, host=HOST, target=target, method=b"GET", body=b"")
            metadata = send(given)
            assert json.loads(metadata.body)["resource"] == f"{PUBLIC_URL}/mcp"
            answers.append(metadata)
        assert not any(b"evil" in answer.body + f"{answer.headers}".encode() for answer in answers)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a second address of this machine")
@pytest.mark.parametrize(
    ("options", "address"),
    # Without the option, the address is that of nginx.
    [(["--trust-proxy"], "127.0.0.2"), ([], "127.0.0.1")],
    ids=["trusted", "untrusted"],
)
def test_the_log_has_the_clients_own_address_only_from_a_trusted_proxy(
    options: list[str], address: str, tmp_path: Path
) -> None:
    with running_sandbox() as sandbox, running_front(tmp_path, sandbox, *options) as front:
        front.send(request(CLOSE, *SPOOFED, host=HOST), address="127.0.0.2")
        assert wait_for_entry(front.replica.log)["client"] == address


def test_an_uploaded_file_is_a_reference_only_of_the_caller_that_got_the_url(front: Front) -> None:
    content = fresh_png()
    link = front.link(content)
    # Whoever sends the file to the URL, it's alice's.
    sent = front.put(link, content, front.token("bob"))
    assert sent.status == 201
    file_id = json.loads(sent.body)["file_id"]
    assert front.sandbox.state.files[file_id].data == content
    guided = SMALL_IMAGE | {"guidance_files": [{"file_id": file_id, "type": "reference_image"}]}
    refused = front.call("execute_inference", guided, caller="bob")
    assert refused["error"]["code"] == "FILE_NOT_FOUND"
    run = front.call("execute_inference", guided)
    [used] = front.sandbox.state.runs[run["inference_id"]].request.guidance_files
    assert used.file_id == file_id


def test_no_other_path_or_query_changes_what_an_upload_url_permits(front: Front) -> None:
    content = fresh_png()
    link = front.link(content)
    sealed = link.removeprefix(b"/uploads/")
    other = front.link(fresh_png()).removeprefix(b"/uploads/")
    targets = {
        b"/uploads/../mcp",
        b"/uploads/%2e%2e/mcp",
        b"/uploads/..%2fmcp",
        b"/uploads/../livez",
        b"/uploads/%2e%2e%2flivez",
        b"/mcp/../uploads/" + sealed,
        b"/mcp/%2e%2e/uploads/" + sealed,
        b"/uploads/x/../" + sealed,
        b"/uploads/./" + sealed,
        b"//uploads/" + sealed,
        b"/uploads//" + sealed,
        b"/uploads/%2f" + sealed,
        b"/UPLOADS/" + sealed,
        link + b"/",
        link + b"/..",
        link + b"%00",
        link + b"%0d%0aX-Injected:1",
        link + b";workspace_id=1",
        link + b"%3fworkspace_id=1",
        b"/uploads/" + sealed + b"/" + other,
        b"/uploads/" + sealed[: len(sealed) // 2] + other[len(other) // 2 :],
        b"/uploads/?" + sealed,
        b"/uploads/",
    }
    before = len(arrivals(front.sandbox, "start_upload"))
    statuses = {target: front.put(target, content).status for target in targets}
    accepted = {target: status for target, status in statuses.items() if not 400 <= status < 500}
    assert accepted == {}
    assert len(arrivals(front.sandbox, "start_upload")) == before
    query = b"?workspace_id=1&caller=bob&size_bytes=1?caller=bob"
    sent = front.put(link + query, content)
    assert front.sandbox.state.files[json.loads(sent.body)["file_id"]].data == content
    files = [front.replica.log, *front.nginx.folder.glob("*log")]
    logs = [file.read_text() for file in files]
    assert len(logs) == 4
    assert not any(sealed.decode() in text for text in logs)


def test_no_path_leads_to_what_stays_private(front: Front) -> None:
    targets = {
        b"//livez",
        b"/%6civez",
        b"/livez/",
        b"/livez?/mcp",
        b"/mcp/../livez",
        b"/mcp/..%2flivez",
        b"/mcp%2f..%2flivez",
        b"/uploads/%2e%2e/readyz",
        b"/uploads/..%2freadyz",
        b"/.well-known/oauth-protected-resource/../../livez",
        b"/.well-known/oauth-protected-resource/..%2f..%2fmetrics",
    }
    for method in (b"GET", b"POST"):
        given = {
            one: request(CLOSE, *SPOOFED, host=HOST, target=one, method=method, body=b"")
            for one in targets
        }
        statuses = {target: front.send(one).status for target, one in given.items()}
        assert {one: status for one, status in statuses.items() if not 400 <= status < 500} == {}


def fresh_png() -> bytes:
    return png_with(os.urandom(1_000))
