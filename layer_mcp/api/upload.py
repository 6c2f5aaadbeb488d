"""Sending a file to Layer's storage: a resumable upload in three steps.

Layer signs an address; a POST there opens a session; a PUT to the session carries the bytes. The
session lives on the storage host and knows what arrived, so a broken PUT goes on from there.
The storage host never gets the token.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urljoin

import anyio
import httpx
from anyio import to_thread

from ..errors import LayerError
from .file_hosts import FileHosts
from .host_rules import storage_address
from .local_files import LocalFile
from .models import UploadUrl
from .retry import Patience

MAX_BREAKS_WITHOUT_PROGRESS = 2
MAX_PUTS = 20
PAUSE_SECONDS = 0.5
RETRY_SECONDS = 5
MAX_ERROR_BYTES = 10_000
STORAGE_CODE = re.compile(rb"<Code>(\w{1,60})</Code>")
RANGE = re.compile(r"bytes=0-(\d{1,15})")

BROKEN = "The upload broke twice without getting further."
UNREACHABLE = "The storage host did not answer."

OnBytes = Callable[[int, int], Awaitable[None]]
"""Told the bytes that went out so far, and the size of the file."""


class SessionLostError(Exception):
    """The signed address or the session is not valid any more; a new one is needed."""


@dataclass(frozen=True)
class UploadSession:
    """An upload that was begun: the file's future id, and where its bytes go."""

    file_id: str
    content_type: str
    url: str


async def open_session(hosts: FileHosts, ticket: UploadUrl, file: LocalFile) -> UploadSession:
    """The session behind a signed address (POST upload_url, without a body).

    Raises:
        SessionLostError: the address is not valid any more.
        LayerError: UPLOAD_REFUSED or UPLOAD_FAILED.
    """
    content_type = ticket.content_type or file.content_type
    headers = {
        "Content-Type": content_type,
        "Content-Length": "0",
        "x-goog-resumable": "start",
        "x-goog-content-length-range": f"0,{file.size_bytes}",
    }
    answer = await _settled(hosts, "POST", ticket.upload_url, headers)
    if answer.status in (400, 401, 403, 404, 410):
        raise SessionLostError(answer.reason)
    if not 200 <= answer.status < 300 or not answer.location:
        raise _refused(answer)
    try:
        url = urljoin(ticket.upload_url, answer.location)
    except ValueError:
        raise _refused(answer) from None
    return UploadSession(ticket.file_id, content_type, url)


async def send_file(
    hosts: FileHosts,
    session: UploadSession,
    file: LocalFile,
    *,
    resume: bool = False,
    on_bytes: OnBytes | None = None,
) -> None:
    """Send the bytes; after a broken PUT, go on from what arrived.

    With `resume`, an earlier call began: what arrived is asked for first.

    Raises:
        SessionLostError: the session is not valid any more.
        LayerError: UPLOAD_FAILED after two breaks without progress or twenty in all,
            UPLOAD_REFUSED, FILE_CHANGED.
    """
    offset = await _received(hosts, session, file) if resume else 0
    breaks = 0
    for attempt in range(MAX_PUTS):
        if offset is None:
            return
        if attempt:
            await anyio.sleep(PAUSE_SECONDS)
        # All bytes may have arrived without the session being complete: then only ask again.
        if offset < file.size_bytes:
            answer = await _put(hosts, session, file, offset, on_bytes)
            if answer is not None and 200 <= answer.status < 300:
                return
        received = await _received(hosts, session, file)
        breaks = breaks + 1 if received is not None and received <= offset else 0
        if breaks >= MAX_BREAKS_WITHOUT_PROGRESS:
            raise LayerError("UPLOAD_FAILED", BROKEN)
        offset = received
    raise LayerError("UPLOAD_FAILED", "The upload broke too often.")


@dataclass(frozen=True)
class _Answer:
    """What a storage host said."""

    status: int
    location: str = ""
    range: str = ""
    reason: str = ""


async def _put(
    hosts: FileHosts, session: UploadSession, file: LocalFile, offset: int, on_bytes: OnBytes | None
) -> _Answer | None:
    """One PUT of the rest of the file; None when the connection broke."""
    size = file.size_bytes
    headers = {"Content-Type": session.content_type, "Content-Length": str(size - offset)}
    if offset:
        headers["Content-Range"] = f"bytes {offset}-{size - 1}/{size}"
    try:
        answer = await _answer(hosts, "PUT", session.url, headers, _bytes(file, offset, on_bytes))
    except httpx.RequestError:
        return None
    if answer.status in (404, 410):
        raise SessionLostError(answer.reason)
    if 400 <= answer.status < 500 and answer.status not in (408, 416, 429):
        raise _refused(answer)
    return answer


async def _received(hosts: FileHosts, session: UploadSession, file: LocalFile) -> int | None:
    """How many bytes arrived, or None when the file is complete."""
    headers = {"Content-Length": "0", "Content-Range": f"bytes */{file.size_bytes}"}
    answer = await _settled(hosts, "PUT", session.url, headers)
    if answer.status in (404, 410):
        raise SessionLostError(answer.reason)
    if 200 <= answer.status < 300:
        return None
    if answer.status != 308:
        raise _refused(answer)
    return received_bytes(answer.range)


def received_bytes(range_header: str) -> int:
    """How many bytes the storage has, by the Range header of its 308; none without one."""
    found = RANGE.fullmatch(range_header.strip())
    return int(found[1]) + 1 if found else 0


async def _bytes(file: LocalFile, offset: int, on_bytes: OnBytes | None) -> AsyncIterator[bytes]:
    while offset < file.size_bytes:
        chunk = await to_thread.run_sync(file.read_from, offset)
        yield chunk
        offset += len(chunk)
        if on_bytes is not None:
            await on_bytes(offset, file.size_bytes)


async def _settled(hosts: FileHosts, method: str, url: str, headers: dict[str, str]) -> _Answer:
    """An answer to a request without a body, sent again after faults that pass.

    Raises:
        LayerError: UPLOAD_FAILED, when none came.
    """
    patience = Patience(RETRY_SECONDS)
    while True:
        answer = None
        with suppress(httpx.RequestError):
            answer = await _answer(hosts, method, url, headers, None)
        if answer is not None and answer.status < 500 and answer.status not in (408, 429):
            return answer
        if not await patience.pause(None):
            sentence = f"The storage host answered {answer.reason}." if answer else UNREACHABLE
            raise LayerError("UPLOAD_FAILED", sentence)


async def _answer(
    hosts: FileHosts,
    method: str,
    url: str,
    headers: dict[str, str],
    content: AsyncIterator[bytes] | None,
) -> _Answer:
    address = storage_address(url, hosts.rules)
    async with hosts.answer(method, address, headers=headers, content=content) as response:
        code = STORAGE_CODE.search(await _first_bytes(response))
        return _Answer(
            status=response.status_code,
            location=response.headers.get("location", ""),
            range=response.headers.get("range", ""),
            reason=code[1].decode() if code else f"HTTP {response.status_code}",
        )


async def _first_bytes(response: httpx.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_ERROR_BYTES:
            break
    return body


def _refused(answer: _Answer) -> LayerError:
    return LayerError("UPLOAD_REFUSED", f"The storage host refused the file ({answer.reason}).")
