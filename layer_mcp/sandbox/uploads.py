"""Uploads: signed URLs, and resumable sessions as Google Cloud Storage runs them.

A client announces a file, starts a session at the signed URL, sends bytes, asks how many have
arrived, and sends the rest. The storage host refuses credentials: the signed URL, and then the
session URI, are the permission.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..api.models import UploadUrlRequest
from .answers import ProblemError
from .requests import drain, parse_body, read_json, workspace_in_path
from .state import SandboxState, SandboxWorkspace, Upload, UploadSession

UPLOAD_CONTENT_TYPES = (
    "image/png",
    "image/jpeg",
    "image/webp",
    "video/mp4",
    "audio/mpeg",
    "audio/wav",
)
SIGNED_HEADERS = ("content-type", "x-goog-content-length-range", "x-goog-resumable")
SIGNATURE = "X-Goog-Signature"
BYTE_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)")
STATUS_RANGE = re.compile(r"bytes \*/(\d{1,15}|\*)")


class StorageError(ProblemError):
    """An error of the storage host, which the client receives as XML."""

    def __init__(self, status: int, code: str, message: str, details: str = "") -> None:
        super().__init__(status, code, details)
        self.message = message

    def response(self) -> Response:
        """Return the error as an HTTP response."""
        details = f"<Details>{escape(self.detail)}</Details>" if self.detail else ""
        xml = (
            "<?xml version='1.0' encoding='UTF-8'?>"
            f"<Error><Code>{self.code}</Code><Message>{escape(self.message)}</Message>"
            f"{details}</Error>"
        )
        return Response(xml, self.status, media_type="application/xml; charset=UTF-8")


@dataclass(frozen=True)
class Part:
    """The bytes that one request sends, from `start` up to but not including `end`."""

    start: int
    end: int


async def request_upload_url(state: SandboxState, request: Request) -> Response:
    """Handle POST /v1/workspaces/{workspace_id}/files/upload-url."""
    workspace = workspace_in_path(state, request)
    body = parse_body(state, await read_json(request), UploadUrlRequest)
    _check_announced(body, state.knobs.max_upload_bytes)
    upload = _create_upload(state, workspace, body)
    path = f"/uploads/workspaces/{upload.workspace_id}/files/{upload.file_id}"
    query = _signed_query(state, path, upload)
    return JSONResponse(
        {
            "file_id": upload.file_id,
            "upload_url": f"{state.media_url}{path}?{query}",
            "content_type": upload.content_type,
        },
        status_code=201,
    )


async def start_upload(state: SandboxState, request: Request) -> Response:
    """Handle POST to a signed URL: open a session and return its URI as the Location."""
    upload = _find_signed_upload(state, request)
    if await request.body():
        raise StorageError(400, "InvalidArgument", "The body must be empty.")
    session = UploadSession(secrets.token_urlsafe(24), upload)
    state.upload_sessions[session.upload_id] = session
    location = f"{state.media_url}{request.url.path}?upload_id={session.upload_id}"
    return Response(status_code=201, headers={"Location": location})


async def upload(state: SandboxState, request: Request) -> Response:
    """Handle PUT of bytes to a session URI.

    Bytes count as soon as they arrive. Without a Content-Range the upload restarts.
    """
    try:
        session = _find_session(state, request)
        part = _parse_part(session, request)
    except StorageError:
        await drain(request)
        raise
    if session.is_complete:
        await drain(request)
    else:
        await _receive(session, part, request)
    return _progress_response(state, session)


async def upload_status(state: SandboxState, request: Request) -> Response:
    """Handle PUT of nothing to a session URI, with `Content-Range: bytes */<size>`."""
    session = _find_session(state, request)
    size = STATUS_RANGE.fullmatch(request.headers["content-range"])
    if size is None or size[1] not in ("*", str(session.upload.size_bytes)):
        raise StorageError(400, "InvalidArgument", "The size is not the declared one.")
    return _progress_response(state, session)


def is_status_request(request: Request) -> bool:
    """Return whether a PUT sends no bytes and asks how many have arrived."""
    return request.headers.get("content-range", "").startswith("bytes */")


def _check_announced(body: UploadUrlRequest, max_bytes: int) -> None:
    if body.content_type not in UPLOAD_CONTENT_TYPES:
        detail = f"content_type: must be one of {', '.join(UPLOAD_CONTENT_TYPES)}."
        raise ProblemError(422, "INVALID_INPUTS", detail)
    if body.file_size_bytes > max_bytes:
        detail = f"file_size_bytes: must be at most {max_bytes}."
        raise ProblemError(422, "INVALID_INPUTS", detail)


def _create_upload(
    state: SandboxState, workspace: SandboxWorkspace, body: UploadUrlRequest
) -> Upload:
    file_id = str(uuid4())
    upload = Upload(
        file_id=file_id,
        workspace_id=workspace.workspace_id,
        name=body.file_name or file_id,
        content_type=body.content_type,
        size_bytes=body.file_size_bytes,
        expires_at=state.clock() + state.knobs.upload_url_seconds,
    )
    state.uploads[file_id] = upload
    return upload


def _signed_query(state: SandboxState, path: str, upload: Upload) -> str:
    """Return the query that allows one upload to start at this path, with these headers."""
    headers = {
        "content-type": upload.content_type,
        "x-goog-content-length-range": f"0,{upload.size_bytes}",
        "x-goog-resumable": "start",
    }
    return urlencode(
        {
            "X-Goog-Algorithm": "GOOG4-HMAC-SHA256",
            "X-Goog-Expires": f"{state.knobs.upload_url_seconds:g}",
            "X-Goog-SignedHeaders": ";".join(SIGNED_HEADERS),
            SIGNATURE: _sign(state.signing_key, path, headers),
        }
    )


def _sign(key: bytes, path: str, headers: Mapping[str, str]) -> str:
    signed = "\n".join([path, *(f"{name}:{headers[name]}" for name in SIGNED_HEADERS)])
    return hmac.new(key, signed.encode(), hashlib.sha256).hexdigest()


def _find_signed_upload(state: SandboxState, request: Request) -> Upload:
    _refuse_credentials(request)
    missing = next((name for name in SIGNED_HEADERS if name not in request.headers), None)
    if missing is not None:
        raise StorageError(
            400,
            "MalformedSecurityHeader",
            "Your request has a malformed header.",
            f"{missing} was included in signedheaders, but not in the request.",
        )
    upload = state.uploads.get(request.path_params["file_id"])
    expected = _sign(state.signing_key, request.url.path, request.headers)
    signature = request.query_params.get(SIGNATURE, "")
    if upload is None or not hmac.compare_digest(expected.encode(), signature.encode()):
        raise StorageError(
            403,
            "SignatureDoesNotMatch",
            "Access denied.",
            "The request signature we calculated does not match the signature you provided.",
        )
    if state.clock() >= upload.expires_at:
        raise StorageError(
            400, "ExpiredToken", "Invalid argument.", "The provided token has expired."
        )
    return upload


def _find_session(state: SandboxState, request: Request) -> UploadSession:
    _refuse_credentials(request)
    session = state.upload_sessions.get(request.query_params.get("upload_id", ""))
    if session is None or session.upload.file_id != request.path_params["file_id"]:
        raise StorageError(404, "NoSuchUpload", "There is no such upload.")
    return session


def _refuse_credentials(request: Request) -> None:
    if "authorization" in request.headers:
        raise StorageError(403, "AccessDenied", "Access denied.", "No credentials here.")


def _parse_part(session: UploadSession, request: Request) -> Part:
    if request.headers.get("content-type") != session.upload.content_type:
        raise StorageError(400, "InvalidArgument", "The Content-Type is not the signed one.")
    content_range = request.headers.get("content-range")
    part = Part(0, session.upload.size_bytes)
    if content_range is not None:
        part = _parse_content_range(session, content_range)
    length = request.headers.get("content-length", str(part.end - part.start))
    if length != str(part.end - part.start):
        detail = f"The body has {length} bytes instead of {part.end - part.start}."
        raise StorageError(400, "InvalidArgument", "Invalid argument.", detail)
    if content_range is None and not session.is_complete:
        session.received.clear()
    return part


def _parse_content_range(session: UploadSession, content_range: str) -> Part:
    size, received = session.upload.size_bytes, len(session.received)
    parsed = BYTE_RANGE.fullmatch(content_range)
    if parsed is None or parsed[3] not in ("*", str(size)):
        raise StorageError(400, "InvalidArgument", "The Content-Range cannot be used.")
    part = Part(int(parsed[1]), int(parsed[2]) + 1)
    if not part.start < part.end <= size:
        raise StorageError(400, "InvalidArgument", "The Content-Range is out of bounds.")
    if part.start != received and not session.is_complete:
        detail = f"The part starts at {part.start}, but {received} bytes have been received."
        raise StorageError(416, "InvalidRange", "The range cannot be satisfied.", detail)
    return part


async def _receive(session: UploadSession, part: Part, request: Request) -> None:
    excess_bytes = 0
    async for chunk in request.stream():
        missing_bytes = part.end - len(session.received)
        session.received += chunk[:missing_bytes]
        excess_bytes += max(len(chunk) - missing_bytes, 0)
    if excess_bytes:
        raise StorageError(400, "InvalidArgument", "The body is longer than declared.")


def _progress_response(state: SandboxState, session: UploadSession) -> Response:
    if session.is_complete:
        state.store_upload(session)
        return Response()
    headers = {"Range": f"bytes=0-{len(session.received) - 1}"} if session.received else {}
    return Response(status_code=308, headers=headers)
