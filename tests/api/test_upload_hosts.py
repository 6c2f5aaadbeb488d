"""Storage hosts that request what they must not get, or that respond incorrectly."""

import json
import re
import socket
from pathlib import Path

import pytest

from layer_mcp import LayerClient, LayerError
from layer_mcp.api.file_transport import FileTransport
from layer_mcp.api.host_rules import host_rules
from layer_mcp.api.models import UploadUrl
from layer_mcp.api.upload import open_session
from layer_mcp.errors import ERROR_CODES
from layer_mcp.files.folders import PrivateFolders
from layer_mcp.files.local_files import open_media_file

from ..support.local_uploads import written
from ..support.raw_servers import Answer, Recorder, http_answer, raw_server
from ..support.sandbox_calls import png

pytestmark = pytest.mark.anyio

TOKEN = "token-of-nothing"
WORKSPACE = "00000000-0000-4000-8000-0000000000aa"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return written(tmp_path / "in" / "ein Trank.png", png("red"))


async def failure(layer: LayerClient, path: Path) -> LayerError:
    with pytest.raises(LayerError) as caught:
        await layer.upload_file(path)
    assert caught.value.code in ERROR_CODES
    assert caught.value.message.endswith(".")
    return caught.value


def api_that_signs(upload_url: str) -> Answer:
    """An API that sends every file to this address."""
    answer = {"file_id": "file-1", "upload_url": upload_url, "content_type": "image/png"}
    return http_answer("201 Created", json.dumps(answer).encode())


async def sent_to(upload_url: str, path: Path) -> LayerError:
    """The error of an upload that a wrong API sends to this address."""
    with raw_server(api_that_signs(upload_url)) as api:
        url = f"http://127.0.0.1:{api.port}/api"
        async with LayerClient(TOKEN, workspace=WORKSPACE, api_url=url) as layer:
            return await failure(layer, path)


@pytest.mark.parametrize(
    "host",
    [
        "https://10.0.0.1",
        "https://169.254.169.254",
        "https://0.0.0.0",
        "https://[::ffff:10.0.0.1]",
        "https://[fd00::1]",
        "https://167772161",
        "https://0xa.1",
        "http://10.0.0.1",
        "http://storage.test",
        "https://me:secret@storage.test",
        "ftp://storage.test",
        "file://",
        "https://[::1",
    ],
)
async def test_sends_nothing_to_a_forbidden_address(host: str, picture: Path) -> None:
    error = await sent_to(f"{host}/upload?sig=1", picture)
    assert error.code == "HOST_NOT_ALLOWED"
    assert "secret" not in str(error)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1"])
async def test_the_public_api_cannot_send_a_file_to_this_machine(host: str, picture: Path) -> None:
    hosts = FileTransport(host_rules("https://api.layer.test/api"))
    with (
        raw_server(http_answer("201 Created")) as server,
        open_media_file(picture, private=PrivateFolders()) as file,
    ):
        ticket = UploadUrl(file_id="f", upload_url=f"https://{host}:{server.port}/upload")
        with pytest.raises(LayerError, match="HOST_NOT_ALLOWED"):
            await open_session(hosts, ticket, file)
    assert server.heads == []


def storage(*answers: Answer) -> Answer:
    """A storage host that gives one answer after the other."""
    left = list(answers)

    def answer(connection: socket.socket) -> None:
        left.pop(0)(connection)

    return answer


async def stored(*answers: Answer, path: Path) -> tuple[LayerError, Recorder]:
    """The error of an upload to a storage host with these answers, and what reached that."""
    with raw_server(storage(*answers)) as host:
        return await sent_to(f"http://127.0.0.1:{host.port}/upload?sig=1", path), host


@pytest.mark.parametrize(
    "location",
    ["https://10.0.0.1/session", "http://evil.test/session", "file:///etc/passwd", "https://a@b/"],
)
async def test_rejects_a_session_at_a_forbidden_address(location: str, picture: Path) -> None:
    session = http_answer("201 Created", b"", f"Location: {location}")
    error, host = await stored(session, path=picture)
    assert (error.code, len(host.heads)) == ("HOST_NOT_ALLOWED", 1)


@pytest.mark.parametrize("headers", [(), ("Location: https://[::1",)])
async def test_a_session_without_a_usable_address_is_an_error(
    headers: tuple[str, ...], picture: Path
) -> None:
    error, _ = await stored(http_answer("201 Created", b"", *headers), path=picture)
    assert error.code == "UPLOAD_REFUSED"


async def test_sends_nothing_more_to_a_storage_host_that_redirects(picture: Path) -> None:
    with raw_server(http_answer("200 OK")) as other:
        location = f"Location: http://127.0.0.1:{other.port}/"
        error, host = await stored(http_answer("307 Moved", b"", location), path=picture)
    assert error.code == "UPLOAD_REFUSED"
    assert (len(host.heads), other.heads) == (1, [])


async def test_sending_all_bytes_without_completing_the_session_is_not_a_success(
    picture: Path,
) -> None:
    size = picture.stat().st_size
    partly = http_answer("308 Resume Incomplete", b"", f"Range: bytes=0-{size - 1}")
    session = http_answer("201 Created", b"", "Location: /session")
    error, host = await stored(session, *[partly] * 9, path=picture)
    assert error.code == "UPLOAD_FAILED"
    assert len(host.heads) > 2
    assert all(f"bytes */{size}".encode() in head for head in host.heads[2:])


async def test_a_recording_storage_host_sees_neither_the_token_nor_credentials(
    picture: Path,
) -> None:
    session = http_answer("201 Created", b"", "Location: /session", "Set-Cookie: a=1; Path=/")
    error, host = await stored(session, http_answer("403 Forbidden"), path=picture)
    assert error.code == "UPLOAD_REFUSED"
    assert [head.split(b" ")[0] for head in host.heads] == [b"POST", b"PUT"]
    sent = b"".join(host.heads).lower()
    for secret in (TOKEN.encode(), b"authorization", b"cookie"):
        assert secret not in sent


async def test_shows_the_storage_hosts_reason_but_not_its_page(picture: Path) -> None:
    page = b"<Error><Code>EntityTooLarge</Code><Message>secret words</Message></Error>"
    session = http_answer("201 Created", b"", "Location: /session")
    error, _ = await stored(session, http_answer("400 Bad Request", page), path=picture)
    assert re.search(r"\(EntityTooLarge\)", error.message)
    assert "secret words" not in str(error)
