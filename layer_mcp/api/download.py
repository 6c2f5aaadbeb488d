"""Downloading an output from Layer's media host: checked URLs, a size limit, no credentials."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import BinaryIO
from urllib.parse import SplitResult, urljoin

import anyio
import httpx
from anyio import to_thread
from anyio.lowlevel import checkpoint

from ..errors import LayerError
from .file_transport import FileTransport
from .host_rules import parse_media_url
from .retry import parse_retry_after, retry_delay_seconds, utc_now

MAX_REDIRECTS = 5
MAX_PAUSE_SECONDS = 5
MAX_TYPE_LENGTH = 200
WRITE_BYTES = 1024 * 1024
REDIRECTS = (301, 302, 303, 307, 308)

OnBytes = Callable[[int], Awaitable[None]]
"""Called with the bytes of the file that arrived so far."""


@dataclass(frozen=True)
class Downloaded:
    """A file that was written to the sink; without a known length, it may have been cut."""

    size_bytes: int
    sha256: str
    content_type: str
    has_known_length: bool = True


async def download(
    transport: FileTransport,
    url: str,
    sink: BinaryIO,
    *,
    max_bytes: int,
    on_bytes: OnBytes | None = None,
) -> Downloaded:
    """Write the file at an output's URL to `sink`, an empty file open for writing.

    Redirects are followed, each to a checked URL. A transfer that breaks starts over, at most three
    times.

    Raises:
        LayerError: HOST_NOT_ALLOWED, DOWNLOAD_FAILED, OUTPUT_GONE or OUTPUT_TOO_LARGE.
        OSError: the sink cannot be written.
    """
    for attempt in count(1):
        retry_after_seconds: float | None = None
        try:
            return await _download_once(transport, url, sink, max_bytes, on_bytes)
        except httpx.RequestError:
            failure = LayerError("DOWNLOAD_FAILED", "The connection to the media host broke.")
        except _AnswerError as answer:
            failure, retry_after_seconds = answer.error, answer.retry_after_seconds
            if not answer.is_transient:
                raise failure from None
        pause_seconds = retry_delay_seconds(attempt, retry_after_seconds, MAX_PAUSE_SECONDS)
        if pause_seconds is None:
            raise failure
        await anyio.sleep(pause_seconds)
        sink.seek(0)
        sink.truncate()
    raise AssertionError("The loop ends with an answer or an error.")


class _AnswerError(Exception):
    """An answer of the media host that is not the file."""

    def __init__(self, response: httpx.Response) -> None:
        status = response.status_code
        self.is_transient = status >= 500 or status in (408, 429)
        self.retry_after_seconds = parse_retry_after(response.headers.get("retry-after"), utc_now())
        code = "OUTPUT_GONE" if status in (404, 410) else "DOWNLOAD_FAILED"
        self.error = LayerError(code, f"The media host answered HTTP {status}.")


async def _download_once(
    transport: FileTransport, url: str, sink: BinaryIO, max_bytes: int, on_bytes: OnBytes | None
) -> Downloaded:
    for _ in range(MAX_REDIRECTS + 1):
        address = parse_media_url(url, transport.rules)
        async with transport.stream("GET", address) as response:
            if response.status_code == 200:
                downloaded = await _write(response, sink, max_bytes, on_bytes)
                content_type = transport.clean(downloaded.content_type)[:MAX_TYPE_LENGTH]
                return replace(downloaded, content_type=content_type)
            url = transport.clean(_redirect_url(response, address))
    raise LayerError("DOWNLOAD_FAILED", "The media host redirected too often.")


def _redirect_url(response: httpx.Response, address: SplitResult) -> str:
    location = response.headers.get("location")
    if response.status_code not in REDIRECTS or not location:
        raise _AnswerError(response)
    try:
        return urljoin(address.geturl(), location)
    except ValueError:
        raise LayerError("DOWNLOAD_FAILED", "The media host redirected to no address.") from None


async def _write(
    response: httpx.Response, sink: BinaryIO, max_bytes: int, on_bytes: OnBytes | None
) -> Downloaded:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        # Nothing compressed was asked for, and a few bytes could stand for gigabytes.
        raise LayerError("DOWNLOAD_FAILED", "The media host sent a compressed answer.")
    announced = response.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > max_bytes:
        raise _too_large(max_bytes)
    async with _open_writer(sink) as writer:
        async for parts in _read_large_parts(response):
            if writer.size_bytes + sum(map(len, parts)) > max_bytes:
                raise _too_large(max_bytes)
            await writer.write(parts)
            if on_bytes is not None:
                await on_bytes(writer.size_bytes)
        await writer.flush()
    return Downloaded(
        size_bytes=writer.size_bytes,
        sha256=writer.digest.hexdigest(),
        content_type=response.headers.get("content-type", ""),
        has_known_length=bool(announced) or "transfer-encoding" in response.headers,
    )


class _Writer:
    """A file that is written and hashed in a thread, while the next parts are received."""

    def __init__(self, sink: BinaryIO, thread: Executor) -> None:
        self.size_bytes = 0
        self.digest = hashlib.sha256()
        self._sink = sink
        self._thread = thread
        self._pending: Future[None] | None = None

    async def write(self, parts: list[bytes]) -> None:
        """Start to write the next parts, once those before are written.

        Raises:
            OSError: the sink cannot be written.
        """
        await self.flush()
        self.size_bytes += sum(map(len, parts))
        self._pending = self._thread.submit(self._write, parts)

    async def flush(self) -> None:
        """Wait until everything is written.

        Raises:
            OSError: the sink cannot be written.
        """
        if self._pending is not None:
            wait = self._pending.result
            await (checkpoint() if self._pending.done() else to_thread.run_sync(wait))
            self._pending.result()

    def _write(self, parts: list[bytes]) -> None:
        for part in parts:
            self._sink.write(part)
            self.digest.update(part)


@asynccontextmanager
async def _open_writer(sink: BinaryIO) -> AsyncGenerator[_Writer]:
    """Yield a writer; when the block ends, nothing is written to the sink any more."""
    thread = ThreadPoolExecutor(1)
    try:
        yield _Writer(sink, thread)
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(thread.shutdown)


async def _read_large_parts(response: httpx.Response) -> AsyncIterator[list[bytes]]:
    """Yield the body, as it is on the wire, a megabyte at a time.

    Handing parts to a thread has a price, and httpx's chunking copies everything twice.
    """
    parts: list[bytes] = []
    size_bytes = 0
    async for part in response.aiter_raw():
        parts.append(part)
        size_bytes += len(part)
        if size_bytes >= WRITE_BYTES:
            yield parts
            parts, size_bytes = [], 0
    if parts:
        yield parts


def _too_large(max_bytes: int) -> LayerError:
    return LayerError(
        "OUTPUT_TOO_LARGE", f"The file is larger than {max_bytes / 1024 / 1024:g} MB."
    )
