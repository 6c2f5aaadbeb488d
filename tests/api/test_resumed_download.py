"""Interrupted downloads: what is requested again, and when a download restarts."""

import gzip
import io
import re
import socket
from collections.abc import AsyncGenerator

import pytest

from layer_mcp import LayerClient, LayerError
from layer_mcp.api.download import Version

from ..support.raw_servers import Answer, http_answer, raw_server

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 4000
HALF = len(DATA) // 2
TAG = '"v1"'
VERSION = Version(TAG, "image/png", len(DATA))
YEARS_AGO = "Last-Modified: Mon, 06 Jan 2020 08:00:00 GMT"
NOW = "Date: Sat, 28 Nov 2026 08:00:00 GMT"
JUST_NOW = "Last-Modified: Sat, 28 Nov 2026 07:59:30 GMT"
RANGE = re.compile(rb"range: bytes=(\d+)-", re.IGNORECASE)


@pytest.fixture
async def layer() -> AsyncGenerator[LayerClient]:
    """A client whose API is on this machine, so that files may come from it."""
    async with LayerClient(None, api_url="http://127.0.0.1:1/api") as client:
        yield client


def whole(*headers: str) -> Answer:
    return http_answer("200 OK", DATA, *headers)


def rest(offset: int = HALF, tag: str = TAG, size_bytes: int = len(DATA)) -> Answer:
    """The part of the file from an offset."""
    span = f"Content-Range: bytes {offset}-{len(DATA) - 1}/{size_bytes}"
    return http_answer("206 Partial Content", DATA[offset:], span, f"ETag: {tag}")


def broken(*headers: str) -> Answer:
    """The first half, then the connection breaks."""

    def answer(connection: socket.socket) -> None:
        lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(DATA)}", *headers]
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + DATA[:HALF])

    return answer


class Host:
    """A media host that gives one answer after the other, and what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)

    def __call__(self, connection: socket.socket) -> None:
        self._answers.pop(0)(connection)


async def fetch(
    layer: LayerClient, *answers: Answer, start: bytes = b"", version: Version | None = None
) -> tuple[bytes, list[bytes]]:
    """Return what was written, and the heads of the requests."""
    sink = io.BytesIO(start)
    with raw_server(Host(*answers)) as media:
        url = f"http://127.0.0.1:{media.port}/a.png"
        await layer.download(url, sink, max_bytes=2 * len(DATA), version=version)
    return sink.getvalue(), media.heads


def ranges(heads: list[bytes]) -> list[int | None]:
    """Return from which byte on each request asked, None for the whole file."""
    return [int(found[1]) if (found := RANGE.search(head)) else None for head in heads]


@pytest.mark.parametrize(
    "headers", [(f"ETag: {TAG}",), (YEARS_AGO, NOW)], ids=["a strong tag", "an old date"]
)
async def test_an_interrupted_download_resumes(
    headers: tuple[str, ...], layer: LayerClient
) -> None:
    data, heads = await fetch(layer, broken(*headers), rest())
    assert data == DATA
    assert ranges(heads) == [None, HALF]


async def test_requests_the_rest_only_of_the_same_version(layer: LayerClient) -> None:
    _, heads = await fetch(layer, broken(f"ETag: {TAG}"), rest())
    assert b'if-range: "v1"\r\n' in heads[1].lower()


@pytest.mark.parametrize(
    "headers",
    [(), ('ETag: W/"v1"',), (JUST_NOW, NOW), (YEARS_AGO,), ("ETag: v1",)],
    ids=["nothing", "a weak tag", "a new date", "a date alone", "a tag without quotes"],
)
async def test_downloads_a_file_of_unknown_version_from_the_start(
    headers: tuple[str, ...], layer: LayerClient
) -> None:
    data, heads = await fetch(layer, broken(*headers), whole())
    assert data == DATA
    assert ranges(heads) == [None, None]


async def test_an_earlier_part_is_completed(layer: LayerClient) -> None:
    data, heads = await fetch(layer, rest(), start=DATA[:HALF], version=VERSION)
    assert data == DATA
    assert ranges(heads) == [HALF]


async def test_does_not_request_a_complete_file(layer: LayerClient) -> None:
    data, heads = await fetch(layer, start=DATA, version=VERSION)
    assert (data, heads) == (DATA, [])


async def test_a_part_of_an_unknown_version_is_replaced(layer: LayerClient) -> None:
    data, heads = await fetch(layer, whole(), start=b"x" * 9)
    assert data == DATA
    assert ranges(heads) == [None]


@pytest.mark.parametrize("tag", [TAG, '"v2"'], ids=["ignores the range", "has another version"])
async def test_a_host_that_sends_the_whole_file_replaces_the_part(
    tag: str, layer: LayerClient
) -> None:
    data, heads = await fetch(layer, whole(f"ETag: {tag}"), start=b"x" * HALF, version=VERSION)
    assert data == DATA
    assert len(heads) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        rest(HALF - 1),
        rest(tag='"v2"'),
        rest(size_bytes=len(DATA) + 1),
        http_answer("206 Partial Content", DATA[HALF:]),
        http_answer("416 Range Not Satisfiable", b"", f"Content-Range: bytes */{len(DATA)}"),
    ],
    ids=["offset", "version", "size", "unnamed", "refused"],
)
async def test_does_not_write_a_part_that_was_not_requested(
    wrong: Answer, layer: LayerClient
) -> None:
    data, heads = await fetch(layer, wrong, whole(), start=DATA[:HALF], version=VERSION)
    assert data == DATA
    assert ranges(heads) == [HALF, None]


@pytest.mark.slow
async def test_a_download_that_makes_progress_may_break_often(layer: LayerClient) -> None:
    step = len(DATA) // 8

    def next_part(offset: int) -> Answer:
        def answer(connection: socket.socket) -> None:
            span = f"bytes {offset}-{len(DATA) - 1}/{len(DATA)}"
            head = f"HTTP/1.1 206 Partial\r\nContent-Range: {span}\r\nETag: {TAG}\r\n"
            head += f"Content-Length: {len(DATA) - offset}\r\n\r\n"
            connection.sendall(head.encode() + DATA[offset : offset + step])

        return answer

    parts = [next_part(step * number) for number in range(1, 8)]
    data, heads = await fetch(layer, *parts, start=DATA[:step], version=VERSION)
    assert data == DATA
    assert len(heads) == 7


async def test_reports_the_version_before_its_bytes(layer: LayerClient) -> None:
    told: list[Version | None] = []

    async def note(version: Version | None) -> None:
        told.append(version)

    with raw_server(whole(f"ETag: {TAG}", "Content-Type: image/png")) as media:
        url = f"http://127.0.0.1:{media.port}/a.png"
        await layer.download(url, io.BytesIO(), on_version=note)
    assert told == [VERSION]


async def test_a_compressed_file_is_unpacked(layer: LayerClient) -> None:
    answer = http_answer("200 OK", gzip.compress(DATA), "Content-Encoding: gzip", f"ETag: {TAG}")
    data, heads = await fetch(layer, answer)
    assert data == DATA
    assert b"accept-encoding: identity\r\n" in heads[0].lower()


async def test_a_few_packed_bytes_do_not_become_a_large_file(layer: LayerClient) -> None:
    packed = gzip.compress(bytes(50_000_000))
    sink = io.BytesIO()
    with raw_server(http_answer("200 OK", packed, "Content-Encoding: gzip")) as media:
        url = f"http://127.0.0.1:{media.port}/a.png"
        with pytest.raises(LayerError, match="OUTPUT_TOO_LARGE"):
            await layer.download(url, sink, max_bytes=2_000_000)
    assert len(sink.getvalue()) <= 2_000_000


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(DATA)[:-20], "gzip"),
        (b"not packed", "gzip"),
        (DATA, "br"),
        (gzip.compress(DATA), "gzip, gzip"),
    ],
    ids=["cut", "broken", "unknown", "twice"],
)
async def test_a_compressed_file_that_cannot_be_unpacked_is_an_error(
    body: bytes, encoding: str, layer: LayerClient
) -> None:
    answer = http_answer("200 OK", body, f"Content-Encoding: {encoding}")
    with pytest.raises(LayerError, match="DOWNLOAD_FAILED"):
        await fetch(layer, answer)
