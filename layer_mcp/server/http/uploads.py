"""Receive files at upload URLs, and stream them to Layer's storage as they arrive.

The URL is the permission, so no token is needed. Only a small part of a file is in memory at any
time, and none of it is written to the disk.
"""

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ...api.host_rules import HostRules
from ...errors import LayerError, next_step_for
from ...media.sniff import HEAD_BYTES, sniff
from ...media.types import MEDIA_TYPES
from ...runs.service import Runs
from .settings import UPLOADS_PATH
from .upload_links import UploadLinks, UploadTicket

if TYPE_CHECKING:
    from ...api.file_transport import FileTransport

# A client has to send a block of this size in this time.
BLOCK_BYTES = 64 * 1024
BLOCK_SECONDS = 30.0
UPLOAD_SECONDS = 900.0
# Slow clients keep a connection, so no caller can have many.
MAX_UPLOADS_PER_CALLER = 8
METHODS = ("PUT", "POST")
STATUSES = {
    "FILE_SIZE_MISMATCH": 400,
    "UPLOAD_URL_INVALID": 403,
    "UPLOAD_TOO_SLOW": 408,
    "UPLOAD_URL_EXPIRED": 410,
    "UPLOAD_EXPIRED": 410,
    "FILE_TYPE_MISMATCH": 415,
    "FILE_TYPE_NOT_SUPPORTED": 415,
    "TOO_BUSY": 503,
    "JOURNAL_UNAVAILABLE": 503,
}
STORAGE_STATUS = 502
BUSY_STATUS = 503
RETRY_SECONDS = 5
TOO_SLOW = "The file arrived too slowly."
AFTER_UPLOAD = (
    "Use file_id in guidance_files or mask of execute_inference, in any number of runs in this "
    "workspace."
)
# These replace the next steps for a local file.
NEXT_STEPS = {
    "UPLOAD_FAILED": next_step_for("UPLOAD_TOO_SLOW"),
    "UPLOAD_EXPIRED": next_step_for("UPLOAD_URL_EXPIRED"),
    "TOO_BUSY": next_step_for("UPLOAD_TOO_SLOW"),
}

OpenRuns = Callable[[str], Awaitable[Runs]]
"""Opens the runs of a caller by name."""


def receive_uploads(app: ASGIApp, receiver: "UploadReceiver") -> ASGIApp:
    """Return an application that receives files at upload URLs; `app` gets all other requests."""

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(UPLOADS_PATH):
            await app(scope, receive, send)
            return
        try:
            response = await receiver.receive(Request(scope, receive))
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    return route


class UploadReceiver:
    """Receives files for the tickets in upload URLs.

    With `open_runs`, contents are recorded in the caller's journal, so that the same content always
    has the same file_id. Without it, there is no way to open the journal: callers use their own
    Layer keys, and a ticket doesn't contain the key.
    """

    def __init__(
        self, links: UploadLinks, rules: HostRules, open_runs: OpenRuns | None = None
    ) -> None:
        self._links = links
        self._rules = rules
        self._open_runs = open_runs
        self._transport: FileTransport | None = None
        self._uploads: Counter[str] = Counter()

    async def receive(self, request: Request) -> Response:
        """Receive the file of a request, and return the response.

        Raises:
            ClientDisconnect: The client has left.
        """
        if request.method not in METHODS:
            return Response(status_code=405, headers={"Allow": ", ".join(METHODS)})
        try:
            ticket = self._links.open_path(request.scope["path"])
            with self._slot(ticket.caller), anyio.fail_after(UPLOAD_SECONDS):
                file_id = await self._receive_file(request, ticket)
        except TimeoutError:
            return _refuse(LayerError("UPLOAD_TOO_SLOW", TOO_SLOW))
        except LayerError as error:
            return _refuse(error)
        return JSONResponse({"file_id": file_id, "next_step": AFTER_UPLOAD}, 201)

    @contextmanager
    def _slot(self, caller: str) -> Generator[None]:
        if self._uploads[caller] >= MAX_UPLOADS_PER_CALLER:
            raise LayerError(
                "TOO_BUSY", f"{MAX_UPLOADS_PER_CALLER} uploads are in progress for this caller."
            )
        self._uploads[caller] += 1
        try:
            yield
        finally:
            self._uploads[caller] -= 1
            if not self._uploads[caller]:
                del self._uploads[caller]

    async def _receive_file(self, request: Request, ticket: UploadTicket) -> str:
        from ...api.upload import StreamedFile, send_stream  # noqa: PLC0415  imports httpx

        _check_length(request, ticket)
        runs = await self._runs_of(ticket)
        known = (
            await runs.find_content(ticket.signed.file_id, ticket.workspace_id) if runs else None
        )
        if known is not None:
            return known
        body = _Body(request.receive, ticket.size_bytes)
        start = await body.read_block()
        _check_type(start[:HEAD_BYTES], ticket)
        file = StreamedFile(ticket.content_type, ticket.size_bytes, body.chunks(start))
        await send_stream(self._open_transport(), ticket.signed, file)
        if runs is None:
            return ticket.signed.file_id
        return await runs.note_upload(
            ticket.signed.file_id, ticket.workspace_id, sha256=body.sha256.hexdigest()
        )

    async def _runs_of(self, ticket: UploadTicket) -> Runs | None:
        return None if self._open_runs is None else await self._open_runs(ticket.caller)

    def _open_transport(self) -> "FileTransport":
        if self._transport is None:
            from ...api.file_transport import FileTransport  # noqa: PLC0415  imports httpx

            self._transport = FileTransport(self._rules)
        return self._transport


class _Body:
    """The body of a request, read in blocks: counted, hashed, and not too slow."""

    def __init__(self, receive: Receive, size_bytes: int) -> None:
        self.sha256 = hashlib.sha256()
        self._receive = receive
        self._size_bytes = size_bytes
        self._missing_bytes = size_bytes
        self._has_more = True

    async def chunks(self, start: bytes) -> AsyncIterator[bytes]:
        """Yield the blocks that were read before, and then all others."""
        yield start
        while block := await self.read_block():
            yield block

    async def read_block(self) -> bytes:
        """Read a block; the last one only when the body has ended with the right size.

        The storage host completes a file with its last byte, so a wrong size must be known before.

        Raises:
            LayerError: FILE_SIZE_MISMATCH or UPLOAD_TOO_SLOW.
            ClientDisconnect: The client has left.
        """
        block = bytearray()
        try:
            with anyio.fail_after(BLOCK_SECONDS):
                while self._has_more and (
                    len(block) < BLOCK_BYTES or len(block) == self._missing_bytes
                ):
                    block += await self._read_message()
                    if len(block) > self._missing_bytes:
                        break
        except TimeoutError:
            raise LayerError("UPLOAD_TOO_SLOW", TOO_SLOW) from None
        self._missing_bytes -= len(block)
        if self._missing_bytes < 0 or (self._missing_bytes and not self._has_more):
            raise _wrong_size(self._size_bytes)
        self.sha256.update(block)
        return bytes(block)

    async def _read_message(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._has_more = message.get("more_body", False)
        return message.get("body", b"")


def _check_length(request: Request, ticket: UploadTicket) -> None:
    length = request.headers.get("content-length")
    if length is not None and length != str(ticket.size_bytes):
        raise _wrong_size(ticket.size_bytes)


def _check_type(head: bytes, ticket: UploadTicket) -> None:
    found = sniff(head, ticket.size_bytes)
    if found == ticket.content_type:
        return
    if found not in MEDIA_TYPES:
        sentence = "The file isn't a PNG, JPEG, WebP, MP4, MP3, or WAV file."
        raise LayerError(
            "FILE_TYPE_NOT_SUPPORTED",
            sentence,
            next_step="Convert the file to one of these types, then call create_upload for it. "
            "Send its bytes alone, not as a form.",
        )
    sentence = f"The file is {found}, not {ticket.content_type}."
    raise LayerError("FILE_TYPE_MISMATCH", sentence)


def _wrong_size(size_bytes: int) -> LayerError:
    return LayerError("FILE_SIZE_MISMATCH", f"The file doesn't have {size_bytes:,} bytes.")


def _refuse(error: LayerError) -> Response:
    """Return an error as JSON.

    The connection stays open, because closing it with unread bytes would lose the response.
    """
    status = STATUSES.get(error.code, STORAGE_STATUS)
    error.next_step = NEXT_STEPS.get(error.code, error.next_step)
    headers = {"Retry-After": str(RETRY_SECONDS)} if status == BUSY_STATUS else None
    return JSONResponse(error.as_json(), status, headers)
