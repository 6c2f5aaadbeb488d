"""Download outputs from Layer's media host, with checked URLs, a size limit, and no credentials.

Interrupted transfers are resumed, even by a later process, if the host says which version of the
file it sends (RFC 9110, sections 13.1.5 and 14).
"""

import re
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from io import SEEK_END
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
MAX_VERSION_LENGTH = 200
BLOCK_BYTES = 2 * 1024 * 1024
LONGEST_BLOCK_SECONDS = 1.0
# Less than this between two interruptions doesn't count as progress.
PROGRESS_BYTES = 64 * 1024
REDIRECTS = (301, 302, 303, 307, 308)
STRONG_ETAG = re.compile(r'"[!#-~]*"')
# A date identifies a version only if the file is older than the clock's resolution of a second.
LEAST_AGE_SECONDS = 60
CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-\d{1,15}/(\d{1,15}|\*)")
GZIP = ("gzip", "x-gzip")
GZIP_WINDOW = zlib.MAX_WBITS | 16

OnBytes = Callable[[int], Awaitable[None]]
"""Called with the bytes of the file that arrived so far."""


@dataclass(frozen=True)
class Version:
    """The version of a file, so that the rest can be requested later.

    `tag` is a strong ETag or a date for If-Range. `size_bytes` is the size of the whole file.
    """

    tag: str
    content_type: str
    size_bytes: int


OnVersion = Callable[[Version | None], Awaitable[None]]
"""Called when the first byte of a version is about to be written; None can't be resumed."""


@dataclass(frozen=True)
class Downloaded:
    """A file that was written to the sink; if its length is unknown, it may be incomplete."""

    size_bytes: int
    content_type: str
    has_known_length: bool = True


async def download(
    transport: FileTransport,
    url: str,
    sink: BinaryIO,
    *,
    max_bytes: int,
    on_bytes: OnBytes | None = None,
    version: Version | None = None,
    on_version: OnVersion | None = None,
) -> Downloaded:
    """Write the file at an output's URL to `sink`, a file open for writing.

    If `version` is given, `sink` contains the start of that version and only the rest is requested.
    Otherwise, or if the host has a different version now, `sink` is overwritten. Redirects are
    followed, each to a checked URL. An interrupted transfer is retried three times, and as long as
    it makes progress. Content-Encoding gzip is decoded.

    Raises:
        LayerError: HOST_NOT_ALLOWED, DOWNLOAD_FAILED, OUTPUT_GONE or OUTPUT_TOO_LARGE.
        OSError: the sink can't be written to.
    """
    async with _open_writer(sink) as writer:
        transfer = _Transfer(transport, writer, max_bytes, on_bytes, on_version, version)
        if version is None:
            await writer.restart()
        breaks = 0
        while True:
            before_bytes = writer.size_bytes
            try:
                return await transfer.run(url)
            except httpx.RequestError:
                failure = LayerError(
                    "DOWNLOAD_FAILED", "The connection to the media host was lost."
                )
                retry_after_seconds = None
            except _AnswerError as answer:
                failure, retry_after_seconds = answer.error, answer.retry_after_seconds
                if not answer.is_transient:
                    raise failure from None
            await writer.flush()
            got_further = transfer.version and writer.size_bytes > before_bytes + PROGRESS_BYTES
            breaks = 1 if got_further else breaks + 1
            pause_seconds = retry_delay_seconds(breaks, retry_after_seconds, MAX_PAUSE_SECONDS)
            if pause_seconds is None:
                raise failure
            await anyio.sleep(pause_seconds)


class _AnswerError(Exception):
    """A response from the media host that isn't the file."""

    def __init__(self, response: httpx.Response) -> None:
        status = response.status_code
        self.is_transient = status >= 500 or status in (408, 429)
        self.retry_after_seconds = parse_retry_after(response.headers.get("retry-after"), utc_now())
        code = "OUTPUT_GONE" if status in (404, 410) else "DOWNLOAD_FAILED"
        self.error = LayerError(code, f"The media host returned HTTP {status}.")


class _OtherPartError(Exception):
    """The host sent a different part of the file than requested."""


@dataclass
class _Transfer:
    """A file being downloaded: what was requested, and the version being written."""

    transport: FileTransport
    writer: "_Writer"
    max_bytes: int
    on_bytes: OnBytes | None
    on_version: OnVersion | None
    version: Version | None

    async def run(self, url: str) -> Downloaded:
        """Request the file, or the missing part of it, and write it."""
        version = self.version
        if version is not None and self.writer.size_bytes == version.size_bytes:
            return Downloaded(version.size_bytes, version.content_type)
        try:
            return await self._follow(url, version)
        except _OtherPartError:
            await self._begin(None)
            return await self._follow(url, None)

    async def _follow(self, url: str, version: Version | None) -> Downloaded:
        offset = self.writer.size_bytes if version else 0
        headers = {"Range": f"bytes={offset}-", "If-Range": version.tag} if version else {}
        for _ in range(MAX_REDIRECTS + 1):
            address = parse_media_url(url, self.transport.rules)
            async with self.transport.stream("GET", address, headers=headers) as response:
                if response.status_code == 200:
                    await self._begin(_version_of(response, self.transport))
                    return await self._write(response, 0)
                if version and response.status_code in (206, 416):
                    _check_part(response, offset, version)
                    return await self._write(response, offset)
                url = self.transport.clean(_redirect_url(response, address))
        raise LayerError("DOWNLOAD_FAILED", "The media host redirects too many times.")

    async def _begin(self, version: Version | None) -> None:
        """Start over with a version of the file; remove old bytes before noting the version."""
        await self.writer.restart()
        self.version = version
        if self.on_version is not None:
            await self.on_version(version)

    async def _write(self, response: httpx.Response, offset: int) -> Downloaded:
        announced = response.headers.get("content-length", "")
        if announced.isdigit() and offset + int(announced) > self.max_bytes:
            raise _too_large(self.max_bytes)
        async for parts in _decode(response, self.max_bytes):
            if self.writer.size_bytes + sum(map(len, parts)) > self.max_bytes:
                raise _too_large(self.max_bytes)
            await self.writer.write(parts)
            if self.on_bytes is not None:
                await self.on_bytes(self.writer.size_bytes)
        await self.writer.flush()
        return Downloaded(
            size_bytes=self.writer.size_bytes,
            content_type=_content_type(response, self.transport),
            has_known_length=bool(announced) or "transfer-encoding" in response.headers,
        )


def _version_of(response: httpx.Response, transport: FileTransport) -> Version | None:
    """Return the version of a resumable file, which needs a known size and a strong tag."""
    headers = response.headers
    size = headers.get("content-length", "")
    tag = headers.get("etag", "")
    if not STRONG_ETAG.fullmatch(tag):
        tag = headers.get("last-modified", "") if _is_dated(response) else ""
    if not size.isdigit() or not tag or len(tag) > MAX_VERSION_LENGTH or _encoding(response):
        return None
    return Version(transport.clean(tag), _content_type(response, transport), int(size))


def _is_dated(response: httpx.Response) -> bool:
    """Return whether a file's date identifies its version (RFC 9110, section 8.8.2.2)."""
    try:
        changed = parsedate_to_datetime(response.headers.get("last-modified", ""))
        now = parsedate_to_datetime(response.headers.get("date", ""))
        return (now - changed).total_seconds() >= LEAST_AGE_SECONDS
    except (ValueError, TypeError):
        return False


def _check_part(response: httpx.Response, offset: int, version: Version) -> None:
    """Raise `_OtherPartError` unless the response is the rest of the same version."""
    found = CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
    tag = response.headers.get("etag", version.tag)
    is_same = version.tag == tag or not version.tag.startswith('"')
    if (
        response.status_code != 206
        or found is None
        or int(found[1]) != offset
        or found[2] != str(version.size_bytes)
        or not is_same
        or _encoding(response)
    ):
        raise _OtherPartError


def _content_type(response: httpx.Response, transport: FileTransport) -> str:
    return transport.clean(response.headers.get("content-type", ""))[:MAX_TYPE_LENGTH]


def _encoding(response: httpx.Response) -> str:
    """Return the body's content coding, or "" if it has none."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    return "" if encoding == "identity" else encoding


def _redirect_url(response: httpx.Response, address: SplitResult) -> str:
    location = response.headers.get("location")
    if response.status_code not in REDIRECTS or not location:
        raise _AnswerError(response)
    try:
        return urljoin(address.geturl(), location)
    except ValueError:
        raise LayerError("DOWNLOAD_FAILED", "The media host redirects to an invalid URL.") from None


async def _decode(response: httpx.Response, max_bytes: int) -> AsyncIterator[Sequence[bytes]]:
    """Yield the body, decoded if it is compressed, a few megabytes at a time."""
    encoding = _encoding(response)
    blocks = _read_blocks(response)
    if not encoding:
        async for parts in blocks:
            yield parts
        return
    if encoding not in GZIP:
        raise LayerError("DOWNLOAD_FAILED", "The media host used an unknown compression.")
    decoder, left_bytes = zlib.decompressobj(GZIP_WINDOW), max_bytes
    async for parts in blocks:
        packed = b"".join(parts)
        # A few bytes can expand to gigabytes, so each step is limited.
        while packed and not decoder.eof:
            data = await to_thread.run_sync(_decompress, decoder.decompress, packed)
            packed = decoder.unconsumed_tail
            left_bytes -= len(data)
            if left_bytes < 0:
                raise _too_large(max_bytes)
            yield [data]
    if not decoder.eof:
        raise LayerError("DOWNLOAD_FAILED", "The file arrived incomplete.")


def _decompress(decompress: Callable[[bytes, int], bytes], packed: bytes) -> bytes:
    try:
        return decompress(packed, BLOCK_BYTES)
    except zlib.error:
        sentence = "The media host sent a corrupt compressed file."
        raise LayerError("DOWNLOAD_FAILED", sentence) from None


class _Writer:
    """Writes a file in a thread while the next blocks arrive."""

    def __init__(self, sink: BinaryIO, thread: Executor, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._sink = sink
        self._thread = thread
        self._pending: Future[None] | None = None

    async def restart(self) -> None:
        """Empty the file.

        Raises:
            OSError: the sink can't be written to.
        """
        await self.flush()
        if self.size_bytes:
            self.size_bytes = 0
            self._sink.seek(0)
            self._sink.truncate()

    async def write(self, parts: Sequence[bytes]) -> None:
        """Start writing the next blocks once the previous ones are written.

        Raises:
            OSError: the sink can't be written to.
        """
        await self.flush()
        self.size_bytes += sum(map(len, parts))
        self._pending = self._thread.submit(self._sink.writelines, parts)

    async def flush(self) -> None:
        """Wait until every block is written.

        Raises:
            OSError: the sink can't be written to.
        """
        if self._pending is not None:
            wait = self._pending.result
            await (checkpoint() if self._pending.done() else to_thread.run_sync(wait))
            self._pending.result()


@asynccontextmanager
async def _open_writer(sink: BinaryIO) -> AsyncGenerator[_Writer]:
    """Yield a writer that appends, and stops writing when the block ends."""
    size_bytes = sink.seek(0, SEEK_END) if sink.seekable() else 0
    thread = ThreadPoolExecutor(1)
    try:
        yield _Writer(sink, thread, size_bytes)
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(thread.shutdown)


async def _read_blocks(response: httpx.Response) -> AsyncIterator[Sequence[bytes]]:
    """Yield the undecoded body in blocks of two megabytes, or of what arrived within a second.

    Handing blocks to a thread has a cost, and httpx's chunking copies everything twice. Bytes that
    arrived before an interruption are yielded too, so they aren't requested again.
    """
    parts: list[bytes] = []
    size_bytes, began_at = 0, anyio.current_time()
    broken: httpx.RequestError | None = None
    try:
        async for part in response.aiter_raw():
            parts.append(part)
            size_bytes += len(part)
            is_late = anyio.current_time() - began_at >= LONGEST_BLOCK_SECONDS
            if size_bytes >= BLOCK_BYTES or is_late:
                yield parts
                parts, size_bytes, began_at = [], 0, anyio.current_time()
    except httpx.RequestError as error:
        broken = error
    if parts:
        yield parts
    if broken is not None:
        raise broken


def _too_large(max_bytes: int) -> LayerError:
    return LayerError(
        "OUTPUT_TOO_LARGE", f"The file is larger than {max_bytes / 1024 / 1024:g} MB."
    )
