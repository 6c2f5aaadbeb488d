"""Sending files to Layer's storage: a resumable upload in three steps.

Layer signs a URL; a POST there opens a session; a PUT to the session carries the bytes. The session
is kept by the storage host, which knows what arrived, so a broken PUT is resumed from there. The
storage host never gets the token.
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
from ..files.media_files import LocalFile
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

BROKEN = "The upload broke twice without getting further."
UNREACHABLE = "The storage host did not answer."

OnBytes = Callable[[int, int], Awaitable[None]]
"""Called with the bytes that were sent so far, and the size of the file."""

RequestUrl = Callable[[UploadUrlRequest, str], Awaitable[UploadUrl]]
"""Asks Layer for a signed URL in a workspace."""


class SessionLostError(Exception):
    """The signed URL or the session is no longer valid; a new one is needed."""


@dataclass(frozen=True)
class UploadSession:
    """An upload that was begun: the file's future id, and the URL for its bytes."""

    file_id: str
    content_type: str
    url: str


class Uploader:
    """Uploads whole files, and keeps the sessions of broken uploads so that they can be resumed."""

    def __init__(self, transport: FileTransport, request_url: RequestUrl) -> None:
        self._transport = transport
        self._request_url = request_url
        self._sessions: dict[tuple[str, tuple[int, ...]], UploadSession] = {}

    async def upload(
        self, file: LocalFile, workspace_id: str, *, on_bytes: OnBytes | None = None
    ) -> str:
        """Upload a file and return its file_id.

        A broken upload is resumed, also by a later call with the same file.

        Raises:
            LayerError: HOST_NOT_ALLOWED, UPLOAD_FAILED, UPLOAD_REFUSED or UPLOAD_EXPIRED.
        """
        key, reason = (workspace_id, file.identity), ""
        # The session of an earlier call may be lost, and a new URL may be refused once.
        for _ in range(3 if key in self._sessions else 2):
            # Taken out while it is in use: no other call may write into the same session.
            session = self._sessions.pop(key, None)
            resume = session is not None
            try:
                session = session or await self._open_session(workspace_id, file)
                async with self._transport.slots:
                    await send_file(
                        self._transport, session, file, resume=resume, on_bytes=on_bytes
                    )
                return session.file_id
            except SessionLostError as lost:
                reason = str(lost)
            # Broken or cancelled: a later call can resume. A refused session is of no more use.
            except BaseException as error:
                broken = not isinstance(error, LayerError) or error.code == "UPLOAD_FAILED"
                if session is not None and broken:
                    self._keep(key, session)
                raise
        sentence = f"The storage host did not accept the address of the upload ({reason})."
        raise LayerError("UPLOAD_EXPIRED", sentence)

    async def _open_session(self, workspace_id: str, file: LocalFile) -> UploadSession:
        request = UploadUrlRequest(
            content_type=file.content_type,
            file_size_bytes=file.size_bytes,
            # A name may have bytes that are not text.
            file_name=file.path.name.encode(errors="replace").decode(),
        )
        ticket = await self._request_url(request, workspace_id)
        return await open_session(self._transport, ticket, file)

    def _keep(self, key: tuple[str, tuple[int, ...]], session: UploadSession) -> None:
        self._sessions[key] = session
        while len(self._sessions) > MAX_KEPT_SESSIONS:
            self._sessions.pop(next(iter(self._sessions)))


async def open_session(
    transport: FileTransport, ticket: UploadUrl, file: LocalFile
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
    """Send the bytes; after a broken PUT, resume from what arrived.

    With `resume`, an earlier call began, so this first asks what arrived.

    Raises:
        SessionLostError: the session is no longer valid.
        LayerError: UPLOAD_FAILED after two breaks without progress or twenty in all,
            UPLOAD_REFUSED, FILE_CHANGED.
    """
    offset = await _ask_received(transport, session, file) if resume else 0
    breaks = 0
    for attempt in range(MAX_PUTS):
        if offset is None:
            return
        if attempt:
            await anyio.sleep(PAUSE_SECONDS)
        # All bytes may have arrived without the session being complete: then only ask again.
        if offset < file.size_bytes:
            answer = await _put(transport, session, file, offset, on_bytes)
            if answer is not None and 200 <= answer.status < 300:
                return
        received = await _ask_received(transport, session, file)
        breaks = breaks + 1 if received is not None and received <= offset else 0
        if breaks >= MAX_BREAKS_WITHOUT_PROGRESS:
            raise LayerError("UPLOAD_FAILED", BROKEN)
        offset = received
    raise LayerError("UPLOAD_FAILED", "The upload broke too often.")


@dataclass(frozen=True)
class _Answer:
    """An answer of a storage host."""

    status: int
    location: str = ""
    range: str = ""
    reason: str = ""


async def _put(
    transport: FileTransport,
    session: UploadSession,
    file: LocalFile,
    offset: int,
    on_bytes: OnBytes | None,
) -> _Answer | None:
    """Send the rest of the file in one PUT; return None if the connection broke."""
    size = file.size_bytes
    headers = {"Content-Type": session.content_type, "Content-Length": str(size - offset)}
    if offset:
        headers["Content-Range"] = f"bytes {offset}-{size - 1}/{size}"
    content = _read_chunks(file, offset, on_bytes)
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
    transport: FileTransport, session: UploadSession, file: LocalFile
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
    """Return how many bytes the storage has, by the Range header of its 308; 0 without one."""
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
    """Send a request without a body, again after transient faults.

    Raises:
        LayerError: UPLOAD_FAILED, when no answer came.
    """
    patience = Patience(RETRY_SECONDS)
    while True:
        answer = None
        with suppress(httpx.RequestError):
            answer = await _ask_once(transport, method, url, headers, None)
        if answer is not None and answer.status < 500 and answer.status not in (408, 429):
            return answer
        if not await patience.pause(None):
            sentence = f"The storage host answered {answer.reason}." if answer else UNREACHABLE
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


def _refusal(answer: _Answer) -> LayerError:
    return LayerError("UPLOAD_REFUSED", f"The storage host refused the file ({answer.reason}).")
