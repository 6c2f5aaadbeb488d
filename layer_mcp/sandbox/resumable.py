"""Resumable uploads as Google Cloud Storage takes them: start, send, ask, send the rest.

No request may carry credentials: the signed URL, and then the session URI, are the permission.
"""

import re
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from .endpoints import drain
from .problems import RefusalError, StorageRefusalError
from .records import Upload, UploadSession
from .signing import is_signed, missing_header
from .state import SandboxState

PART = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)")
QUESTION = re.compile(r"bytes \*/(\d{1,15}|\*)")


@dataclass(frozen=True)
class Part:
    """The bytes that one request brings: from `start` up to before `end`."""

    start: int
    end: int


async def start_upload(state: SandboxState, request: Request) -> Response:
    """POST to a signed URL: opens a session, whose URI is the Location."""
    upload = _signed_upload(state, request)
    if await request.body():
        raise StorageRefusalError(400, "InvalidArgument", "The body must be empty.")
    session = state.open_session(upload)
    location = f"{state.media_url}{request.url.path}?upload_id={session.upload_id}"
    return Response(status_code=201, headers={"Location": location})


async def upload(state: SandboxState, request: Request) -> Response:
    """PUT bytes to a session URI.

    Bytes count as soon as they arrive. Without a Content-Range the file starts anew.
    """
    try:
        session = _session(state, request)
        part = _part(session, request)
    except RefusalError:
        await drain(request)
        raise
    if session.complete:
        await drain(request)
    else:
        await _receive(session, part, request)
    return _progress(state, session)


async def upload_status(state: SandboxState, request: Request) -> Response:
    """PUT nothing to a session URI, with `Content-Range: bytes */<size>`."""
    session = _session(state, request)
    asked = QUESTION.fullmatch(request.headers["content-range"])
    if asked is None or asked[1] not in ("*", str(session.upload.size_bytes)):
        raise StorageRefusalError(400, "InvalidArgument", "The size is not the declared one.")
    return _progress(state, session)


def asks_for_status(request: Request) -> bool:
    """Whether a PUT brings no bytes but asks how many have arrived."""
    return request.headers.get("content-range", "").startswith("bytes */")


def _signed_upload(state: SandboxState, request: Request) -> Upload:
    _refuse_credentials(request)
    missing = missing_header(request.headers)
    if missing is not None:
        raise StorageRefusalError(
            400,
            "MalformedSecurityHeader",
            "Your request has a malformed header.",
            f"{missing} was included in signedheaders, but not in the request.",
        )
    upload = state.uploads.get(request.path_params["file_id"])
    signed = is_signed(state.signing_key, request.url.path, request.headers, request.query_params)
    if upload is None or not signed:
        raise StorageRefusalError(
            403,
            "SignatureDoesNotMatch",
            "Access denied.",
            "The request signature we calculated does not match the signature you provided.",
        )
    if state.clock() >= upload.expires_at:
        raise StorageRefusalError(
            400, "ExpiredToken", "Invalid argument.", "The provided token has expired."
        )
    return upload


def _session(state: SandboxState, request: Request) -> UploadSession:
    _refuse_credentials(request)
    session = state.upload_sessions.get(request.query_params.get("upload_id", ""))
    if session is None or session.upload.file_id != request.path_params["file_id"]:
        raise StorageRefusalError(404, "NoSuchUpload", "There is no such upload.")
    return session


def _refuse_credentials(request: Request) -> None:
    if "authorization" in request.headers:
        raise StorageRefusalError(403, "AccessDenied", "Access denied.", "No credentials here.")


def _part(session: UploadSession, request: Request) -> Part:
    if request.headers.get("content-type") != session.upload.content_type:
        raise StorageRefusalError(400, "InvalidArgument", "The Content-Type is not the signed one.")
    content_range = request.headers.get("content-range")
    part = Part(0, session.upload.size_bytes)
    if content_range is not None:
        part = _named_part(session, content_range)
    length = request.headers.get("content-length", str(part.end - part.start))
    if length != str(part.end - part.start):
        detail = f"The body has {length} bytes instead of {part.end - part.start}."
        raise StorageRefusalError(400, "InvalidArgument", "Invalid argument.", detail)
    if content_range is None and not session.complete:
        session.received.clear()
    return part


def _named_part(session: UploadSession, content_range: str) -> Part:
    size, received = session.upload.size_bytes, len(session.received)
    named = PART.fullmatch(content_range)
    if named is None or named[3] not in ("*", str(size)):
        raise StorageRefusalError(400, "InvalidArgument", "The Content-Range cannot be used.")
    part = Part(int(named[1]), int(named[2]) + 1)
    if not part.start < part.end <= size:
        raise StorageRefusalError(400, "InvalidArgument", "The Content-Range is out of bounds.")
    if part.start != received and not session.complete:
        detail = f"The part starts at {part.start}, but {received} bytes have been received."
        raise StorageRefusalError(416, "InvalidRange", "The range cannot be satisfied.", detail)
    return part


async def _receive(session: UploadSession, part: Part, request: Request) -> None:
    excess = 0
    async for chunk in request.stream():
        room = part.end - len(session.received)
        session.received += chunk[:room]
        excess += max(len(chunk) - room, 0)
    if excess:
        raise StorageRefusalError(400, "InvalidArgument", "The body is longer than declared.")


def _progress(state: SandboxState, session: UploadSession) -> Response:
    if session.complete:
        state.keep_upload(session)
        return Response()
    headers = {"Range": f"bytes=0-{len(session.received) - 1}"} if session.received else {}
    return Response(status_code=308, headers=headers)
