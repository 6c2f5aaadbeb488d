"""Downloading outputs: allowed hosts, limits, request headers, and retries."""

import io
import os
import socket
import threading
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from layer_mcp import InferenceRequest, LayerClient, LayerError
from layer_mcp.errors import ERROR_CODES
from layer_mcp.sandbox import RunningSandbox

from ..support.hosts import SMALL_IMAGE
from ..support.raw_servers import Answer, Recorder, http_answer, raw_server

pytestmark = pytest.mark.anyio

TOKEN = "token-of-nothing"
DATA = bytes(range(256)) * 40
GOOD = http_answer("200 OK", DATA, "Content-Type: image/png")


@pytest.fixture
async def layer() -> AsyncGenerator[LayerClient]:
    """A client whose API is on this machine, so that files may come from it."""
    async with LayerClient(TOKEN, api_url="http://127.0.0.1:1/api") as client:
        yield client


@pytest.fixture
def full_disk() -> Iterator[BinaryIO]:
    device = Path("/dev/full")
    if not device.exists():
        pytest.skip("no device that is always full")
    with device.open("wb", buffering=0) as sink:
        yield sink


class SlowSink(io.BytesIO):
    """A sink whose first write ends when `received` is set, or fails."""

    def __init__(self) -> None:
        super().__init__()
        self.received = threading.Event()

    def write(self, data: Any, /) -> int:
        if not self.received.wait(2):
            raise OSError("nothing was received while this was written")
        return super().write(data)


def url_of(server: Recorder, path: str = "/a.png") -> str:
    return f"http://127.0.0.1:{server.port}{path}"


def in_turn(*answers: Answer) -> Answer:
    """One answer after the other."""
    left = list(answers)

    def answer(connection: socket.socket) -> None:
        left.pop(0)(connection)

    return answer


def redirect(location: str) -> Answer:
    return http_answer("302 Found", b"", f"Location: {location}")


def dropped(_connection: socket.socket) -> None:
    pass


def cut(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10240\r\n\r\n" + DATA[:5000])


async def fetched(layer: LayerClient, url: str, max_bytes: int = 1_000_000) -> bytes:
    sink = io.BytesIO()
    await layer.download(url, sink, max_bytes=max_bytes)
    return sink.getvalue()


async def failure(layer: LayerClient, url: str, max_bytes: int = 1_000_000) -> LayerError:
    sink = io.BytesIO()
    with pytest.raises(LayerError) as caught:
        await layer.download(url, sink, max_bytes=max_bytes)
    assert caught.value.code in ERROR_CODES
    assert caught.value.message.endswith(".")
    return caught.value


async def test_a_file_arrives_whole_with_its_size_and_type(layer: LayerClient) -> None:
    sink = io.BytesIO()
    with raw_server(GOOD) as media:
        done = await layer.download(url_of(media), sink)
    assert sink.getvalue() == DATA
    assert (done.size_bytes, done.content_type) == (len(DATA), "image/png")


async def test_an_output_of_the_sandbox_is_fetched_without_the_token(
    sandbox: RunningSandbox,
) -> None:
    async with LayerClient(
        sandbox.token, workspace=sandbox.workspace_id, api_url=sandbox.api_url
    ) as layer:
        started = await layer.execute_inference(InferenceRequest.model_validate(SMALL_IMAGE))
        [output] = (await layer.wait(started.inference_id, 10)).outputs
        assert (await fetched(layer, output.url or "")).startswith(b"\x89PNG")
    [media] = [one for one in sandbox.state.arrivals if one.operation == "media"]
    assert "authorization" not in media.headers
    assert sandbox.token not in str(media)


async def test_the_media_host_and_the_one_it_redirects_to_get_no_credentials(
    layer: LayerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with raw_server(GOOD) as other:
        location = f"Location: {url_of(other)}"
        with raw_server(http_answer("302 Found", b"", location, "Set-Cookie: a=1")) as media:
            await fetched(layer, url_of(media))
    sent = b"".join([*media.heads, *other.heads]).lower()
    assert sent.count(b"get /a.png") == 2
    for secret in (TOKEN.encode(), b"authorization", b"cookie"):
        assert secret not in sent


async def test_a_redirect_may_be_relative(layer: LayerClient) -> None:
    with raw_server(in_turn(redirect("../b.png"), GOOD)) as media:
        assert await fetched(layer, url_of(media, "/x/y/a.png")) == DATA
    assert media.heads[1].startswith(b"GET /x/b.png ")


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.test/a.png",
        "//evil.test/a.png",
        "http://media.app.layer.ai/a.png",
        "https://10.0.0.1/a.png",
        "http://169.254.169.254/latest/meta-data/",
        "https://2130706433/a.png",
        "http://0.0.0.0/a.png",
        "file:///etc/passwd",
        "https://me:secret@media.app.layer.ai/a.png",
    ],
)
async def test_a_redirect_to_a_host_that_is_not_allowed_is_not_followed(
    location: str, layer: LayerClient
) -> None:
    with raw_server(redirect(location)) as media:
        assert (await failure(layer, url_of(media))).code == "HOST_NOT_ALLOWED"
    assert len(media.heads) == 1


@pytest.mark.parametrize("location", ["https://[::1", "http://127.0.0.1:x/"])
async def test_a_redirect_to_an_invalid_url_is_an_error(location: str, layer: LayerClient) -> None:
    with raw_server(redirect(location)) as media:
        error = await failure(layer, url_of(media))
    assert error.code in ("DOWNLOAD_FAILED", "HOST_NOT_ALLOWED")


async def test_a_redirect_loop_ends(layer: LayerClient) -> None:
    with raw_server(redirect("/a.png")) as media:
        error = await failure(layer, url_of(media))
    assert "too many times" in error.message
    assert len(media.heads) == 6


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0x7f.1"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_this_machine_gives_no_files_to_a_client_of_the_public_api(
    scheme: str, host: str
) -> None:
    with raw_server(GOOD) as server:
        async with LayerClient(TOKEN) as layer:
            error = await failure(layer, f"{scheme}://{host}:{server.port}/a.png")
    assert error.code == "HOST_NOT_ALLOWED"
    assert server.heads == []


@pytest.mark.parametrize("host", ["localhost", "10.0.0.1"])
async def test_a_configured_host_that_is_private_is_still_refused(host: str) -> None:
    async with LayerClient(TOKEN, media_hosts=[host]) as layer:
        error = await failure(layer, f"https://{host}/a.png")
    assert "private network" in error.message


async def test_an_announced_size_over_the_limit_is_refused_before_the_file_arrives(
    layer: LayerClient,
) -> None:
    with raw_server(cut) as media:
        error = await failure(layer, url_of(media), max_bytes=len(DATA) - 1)
    assert (error.code, len(media.heads)) == ("OUTPUT_TOO_LARGE", 1)


async def test_a_file_of_exactly_the_limit_is_taken(layer: LayerClient) -> None:
    with raw_server(GOOD) as media:
        assert await fetched(layer, url_of(media), max_bytes=len(DATA)) == DATA


async def test_a_file_that_does_not_announce_its_size_is_cut_off_at_the_limit(
    layer: LayerClient,
) -> None:
    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for _ in range(1000):
            connection.sendall(b" " * 65536)

    sink = io.BytesIO()
    with raw_server(flood) as media, pytest.raises(LayerError, match="OUTPUT_TOO_LARGE"):
        await layer.download(url_of(media), sink, max_bytes=512 * 1024)
    assert len(sink.getvalue()) <= 512 * 1024


async def test_the_limit_of_a_file_can_be_raised_by_a_setting(layer: LayerClient) -> None:
    with raw_server(GOOD) as media:
        error = await failure(layer, url_of(media), max_bytes=1)
    assert "LAYER_MAX_DOWNLOAD_MB" in error.next_step


@pytest.mark.parametrize(
    "first",
    [cut, http_answer("503 Busy"), http_answer("500 Broken"), dropped],
    ids=["cut", "503", "500", "dropped"],
)
async def test_a_fault_that_passes_starts_the_file_over(first: Answer, layer: LayerClient) -> None:
    with raw_server(in_turn(first, GOOD)) as media:
        assert await fetched(layer, url_of(media)) == DATA
    assert len(media.heads) == 2


async def test_a_shorter_second_answer_leaves_nothing_of_the_first(layer: LayerClient) -> None:
    def cut_late(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + DATA * 250)

    with raw_server(in_turn(cut_late, http_answer("200 OK", b"short"))) as media:
        assert await fetched(layer, url_of(media), max_bytes=10_000_000) == b"short"


async def test_a_transfer_that_keeps_breaking_is_an_error(layer: LayerClient) -> None:
    with raw_server(cut) as media:
        error = await failure(layer, url_of(media))
    assert (error.code, len(media.heads)) == ("DOWNLOAD_FAILED", 4)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("404 Not Found", "OUTPUT_GONE"),
        ("410 Gone", "OUTPUT_GONE"),
        ("403 Forbidden", "DOWNLOAD_FAILED"),
        ("204 No Content", "DOWNLOAD_FAILED"),
        ("302 Found", "DOWNLOAD_FAILED"),
    ],
)
async def test_does_not_request_a_final_answer_again(
    status: str, code: str, layer: LayerClient
) -> None:
    with raw_server(http_answer(status)) as media:
        error = await failure(layer, url_of(media))
    assert (error.code, len(media.heads)) == (code, 1)
    assert status.split(maxsplit=1)[0] in error.message


async def test_does_not_wait_for_a_long_retry_after(layer: LayerClient) -> None:
    with raw_server(http_answer("503 Busy", b"", "Retry-After: 90")) as media:
        assert (await failure(layer, url_of(media))).code == "DOWNLOAD_FAILED"
    assert len(media.heads) == 1


async def test_progress_is_reported(layer: LayerClient) -> None:
    arrived_bytes: list[int] = []

    async def tell(so_far_bytes: int) -> None:
        arrived_bytes.append(so_far_bytes)

    data = bytes(3_000_000)
    with raw_server(http_answer("200 OK", data)) as media:
        await layer.download(url_of(media), io.BytesIO(), on_bytes=tell)
    assert arrived_bytes == sorted(arrived_bytes)
    assert (len(arrived_bytes) > 1, arrived_bytes[-1]) == (True, len(data))


async def test_an_unwritable_sink_raises_the_callers_error(
    layer: LayerClient, full_disk: BinaryIO
) -> None:
    with raw_server(GOOD) as media, pytest.raises(OSError, match="No space left"):
        await layer.download(url_of(media), full_disk)
    assert len(media.heads) == 1


async def test_the_next_bytes_are_received_while_the_ones_before_are_written(
    layer: LayerClient,
) -> None:
    data = os.urandom(3_000_000)
    sink = SlowSink()

    async def note(arrived_bytes: int) -> None:
        sink.received.set()

    with raw_server(http_answer("200 OK", data)) as server:
        await layer.download(url_of(server), sink, on_bytes=note)
    assert sink.getvalue() == data
