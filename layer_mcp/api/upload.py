"""Upload files to Layer's storage in three resumable steps.

Layer signs a URL, a POST to it opens a session, and a PUT to the session sends the bytes. The
storage host knows how many bytes arrived, so an interrupted PUT of a local file resumes there. A
file that arrives from elsewhere is sent once, as it arrives. The storage host never gets the token.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urljoin

import anyio
import httpx
from anyio import to_thread

from ..errors import LayerError
from ..files.local_files import LocalFile
from .file_transport import FileTransport
from .host_rules import parse_storage_url
from .models import UploadUrl, UploadUrlRequest
from .retry import Patience

MAX_KEPT_SESSIONS = 32
MAX_BREAKS_WITHOUT_PROGRESS = 2
MAX_PUTS = 20
PAUSE_SECONDS = 0.5
RETRY_SECONDS = 5
MAX_ERROR_BYTES = 10_000
STORAGE_CODE = re.compile(rb"<Code>(\w{1,60})</Code>")
RANGE = re.compile(r"bytes=0-(\d{1,15})")

BROKEN = "The upload failed twice without progress."
UNREACHABLE = "The storage host didn't respond."
INTERRUPTED = "The connection to the storage host was lost."

OnBytes = Callable[[int, int], Awaitable[None]]
"""Called with the bytes that were sent so far, and the size of the file."""

RequestUrl = Callable[[UploadUrlRequest, str], Awaitable[UploadUrl]]
"""Asks Layer for a signed URL in a workspace."""


class AnnouncedFile(Protocol):
    """What Layer and the storage host know of a file before its bytes."""

    @property
    def content_type(self) -> str:
        """The media type."""
        ...

    @property
    def size_bytes(self) -> int:
        """The exact size."""
        ...


@dataclass(frozen=True)
class StreamedFile:
    """A file whose bytes can be read only once. `chunks` yields exactly `size_bytes`, or raises."""

    content_type: str
    size_bytes: int
    chunks: AsyncIterator[bytes]


class SessionLostError(Exception):
    """The signed URL or the session is no longer valid, so a new one is needed."""


@dataclass(frozen=True)
class UploadSession:
    """An open upload: the file's future ID, and the URL for its bytes."""

    file_id: str
    content_type: str
    url: str


class Uploader:
    """Uploads files, and keeps the sessions of interrupted uploads so that they can be resumed."""

    def __init__(self, transport: FileTransport, request_url: RequestUrl) -> None:
        self._transport = transport
        self._request_url = request_url
        self._sessions: dict[tuple[str, tuple[int, ...]], UploadSession] = {}

    async def upload(
        self, file: LocalFile, workspace_id: str, *, on_bytes: OnBytes | None = None
    ) -> str:
        """Upload a file and return its file_id.

        An interrupted upload is resumed, even by a later call with the same file.

        Raises:
            LayerError: HOST_NOT_ALLOWED, UPLOAD_FAILED, UPLOAD_REFUSED or UPLOAD_EXPIRED.
        """
        key, reason = (workspace_id, file.identity), ""
        # The session of an earlier call may be lost, and a new URL may be rejected once.
        for _ in range(3 if key in self._sessions else 2):
            # Removed while in use, so that no other call writes to the same session.
            session = self._sessions.pop(key, None)
            resume = session is not None
            try:
                session = session or await self._open_session(workspace_id, file)
                async with self._transport.upload_slots:
                    await send_file(
                        self._transport, session, file, resume=resume, on_bytes=on_bytes
                    )
                return session.file_id
            except SessionLostError as lost:
                reason = str(lost)
            # After an interruption, a later call can resume. A rejected session is useless.
            except BaseException as error:
                broken = not isinstance(error, LayerError) or error.code == "UPLOAD_FAILED"
                if session is not None and broken:
                    self._keep(key, session)
                raise
        raise _expiry(reason)

    async def _open_session(self, workspace_id: str, file: LocalFile) -> UploadSession:
        request = UploadUrlRequest(
            content_type=file.content_type,
            file_size_bytes=file.size_bytes,
            # A file name may contain bytes that aren't text.
            file_name=file.path.name.encode(errors="replace").decode(),
        )
        ticket = await self._request_url(request, workspace_id)
        return await open_session(self._transport, ticket, file)

    def _keep(self, key: tuple[str, tuple[int, ...]], session: UploadSession) -> None:
        self._sessions[key] = session
        while len(self._sessions) > MAX_KEPT_SESSIONS:
            self._sessions.pop(next(iter(self._sessions)))


async def open_session(
    transport: FileTransport, ticket: UploadUrl, file: AnnouncedFile
) -> UploadSession:
    """Open the session for a signed URL (POST upload_url, without a body).

    Raises:
        SessionLostError: the URL is no longer valid.
        LayerError: UPLOAD_REFUSED or UPLOAD_FAILED.
    """
    content_type = ticket.content_type or file.content_type
    headers = {
        "Content-Type": content_type,
        "Content-Length": "0",
        "x-goog-resumable": "start",
        "x-goog-content-length-range": f"0,{file.size_bytes}",
    }
    answer = await _ask(transport, "POST", ticket.upload_url, headers)
    if answer.status in (400, 401, 403, 404, 410):
        raise SessionLostError(answer.reason)
    if not 200 <= answer.status < 300 or not answer.location:
        raise _refusal(answer)
    try:
        url = urljoin(ticket.upload_url, answer.location)
    except ValueError:
        raise _refusal(answer) from None
    return UploadSession(ticket.file_id, content_type, url)


async def send_file(
    transport: FileTransport,
    session: UploadSession,
    file: LocalFile,
    *,
    resume: bool = False,
    on_bytes: OnBytes | None = None,
) -> None:
    """Send the bytes, resuming after an interrupted PUT.

    With `resume`, an earlier call started the upload, so this first asks what arrived.

    Raises:
        SessionLostError: the session is no longer valid.
        LayerError: UPLOAD_FAILED after two interruptions without progress or twenty in all,
            UPLOAD_REFUSED, FILE_CHANGED.
    """
    offset = await _ask_received(transport, session, file) if resume else 0
    breaks = 0
    for attempt in range(MAX_PUTS):
        if offset is None:
            return
        if attempt:
            await anyio.sleep(PAUSE_SECONDS)
        # All bytes may have arrived before the session is complete; then only ask again.
        if offset < file.size_bytes:
            content = _read_chunks(file, offset, on_bytes)
            answer = await _put(transport, session, file, offset, content)
            if answer is not None and 200 <= answer.status < 300:
                return
        received = await _ask_received(transport, session, file)
        breaks = breaks + 1 if received is not None and received <= offset else 0
        if breaks >= MAX_BREAKS_WITHOUT_PROGRESS:
            raise LayerError("UPLOAD_FAILED", BROKEN)
        offset = received
    raise LayerError("UPLOAD_FAILED", "The upload failed too many times.")


async def send_stream(transport: FileTransport, ticket: UploadUrl, file: StreamedFile) -> None:
    """Send a file as its bytes arrive, in a new session; keep none of them.

    An interrupted upload can't be resumed, because its bytes are gone. It can be repeated with the
    same signed URL.

    Raises:
        LayerError: HOST_NOT_ALLOWED, UPLOAD_FAILED, UPLOAD_REFUSED, UPLOAD_EXPIRED, or what
            `chunks` raises.
    """
    try:
        session = await open_session(transport, ticket, file)
        answer = await _put(transport, session, file, 0, file.chunks)
        if answer is not None and 200 <= answer.status < 300:
            return
        # Only the response may have been lost.
        if await _ask_received(transport, session, file) is not None:
            raise LayerError("UPLOAD_FAILED", INTERRUPTED)
    except SessionLostError as lost:
        raise _expiry(str(lost)) from None


@dataclass(frozen=True)
class _Answer:
    """A response from a storage host."""

    status: int
    location: str = ""
    range: str = ""
    reason: str = ""


async def _put(
    transport: FileTransport,
    session: UploadSession,
    file: AnnouncedFile,
    offset: int,
    content: AsyncIterator[bytes],
) -> _Answer | None:
    """Send the rest of the file in one PUT, or return None if the connection was lost."""
    size = file.size_bytes
    headers = {"Content-Type": session.content_type, "Content-Length": str(size - offset)}
    if offset:
        headers["Content-Range"] = f"bytes {offset}-{size - 1}/{size}"
    try:
        answer = await _ask_once(transport, "PUT", session.url, headers, content)
    except httpx.RequestError:
        return None
    if answer.status in (404, 410):
        raise SessionLostError(answer.reason)
    if 400 <= answer.status < 500 and answer.status not in (408, 416, 429):
        raise _refusal(answer)
    return answer


async def _ask_received(
    transport: FileTransport, session: UploadSession, file: AnnouncedFile
) -> int | None:
    """Ask how many bytes arrived; None means that the file is complete."""
    headers = {"Content-Length": "0", "Content-Range": f"bytes */{file.size_bytes}"}
    answer = await _ask(transport, "PUT", session.url, headers)
    if answer.status in (404, 410):
        raise SessionLostError(answer.reason)
    if 200 <= answer.status < 300:
        return None
    if answer.status != 308:
        raise _refusal(answer)
    return parse_range(answer.range)


def parse_range(range_header: str) -> int:
    """Return how many bytes arrived, from the Range header of a 308; 0 without one."""
    found = RANGE.fullmatch(range_header.strip())
    return int(found[1]) + 1 if found else 0


async def _read_chunks(
    file: LocalFile, offset: int, on_bytes: OnBytes | None
) -> AsyncIterator[bytes]:
    while offset < file.size_bytes:
        chunk = await to_thread.run_sync(file.read_from, offset)
        yield chunk
        offset += len(chunk)
        if on_bytes is not None:
            await on_bytes(offset, file.size_bytes)


async def _ask(transport: FileTransport, method: str, url: str, headers: dict[str, str]) -> _Answer:
    """Send a request without a body, and retry after transient faults.

    Raises:
        LayerError: UPLOAD_FAILED if there was no response.
    """
    patience = Patience(RETRY_SECONDS)
    while True:
        answer = None
        with suppress(httpx.RequestError):
            answer = await _ask_once(transport, method, url, headers, None)
        if answer is not None and answer.status < 500 and answer.status not in (408, 429):
            return answer
        if not await patience.pause(None):
            sentence = f"The storage host returned {answer.reason}." if answer else UNREACHABLE
            raise LayerError("UPLOAD_FAILED", sentence)


async def _ask_once(
    transport: FileTransport,
    method: str,
    url: str,
    headers: dict[str, str],
    content: AsyncIterator[bytes] | None,
) -> _Answer:
    address = parse_storage_url(url, transport.rules)
    async with transport.stream(method, address, headers=headers, content=content) as response:
        code = STORAGE_CODE.search(await _read_start(response))
        return _Answer(
            status=response.status_code,
            location=transport.clean(response.headers.get("location", "")),
            range=response.headers.get("range", ""),
            reason=transport.clean(code[1].decode()) if code else f"HTTP {response.status_code}",
        )


async def _read_start(response: httpx.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_ERROR_BYTES:
            break
    return body


def _expiry(reason: str) -> LayerError:
    return LayerError("UPLOAD_EXPIRED", f"The storage host rejected the upload URL ({reason}).")


def _refusal(answer: _Answer) -> LayerError:
    return LayerError("UPLOAD_REFUSED", f"The storage host rejected the file ({answer.reason}).")
