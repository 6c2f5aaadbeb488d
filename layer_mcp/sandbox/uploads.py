"""The operation that announces a file and answers where its bytes go."""

from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..api.models import UploadUrlRequest
from .lookups import as_model, json_body, workspace_in_path
from .problems import RefusalError
from .records import SandboxWorkspace, Upload
from .signing import signed_query
from .state import SandboxState

CONTENT_TYPES = (
    "image/png",
    "image/jpeg",
    "image/webp",
    "video/mp4",
    "audio/mpeg",
    "audio/wav",
)


async def request_upload_url(state: SandboxState, request: Request) -> Response:
    """POST /v1/workspaces/{workspace_id}/files/upload-url."""
    workspace = workspace_in_path(state, request)
    body = as_model(state, await json_body(request), UploadUrlRequest)
    _check(body, state.knobs.max_upload_bytes)
    upload = _announced(state, workspace, body)
    path = f"/uploads/workspaces/{upload.workspace_id}/files/{upload.file_id}"
    query = signed_query(state.signing_key, path, upload, state.knobs.upload_url_seconds)
    return JSONResponse(
        {
            "file_id": upload.file_id,
            "upload_url": f"{state.media_url}{path}?{query}",
            "content_type": upload.content_type,
        },
        status_code=201,
    )


def _check(body: UploadUrlRequest, max_bytes: int) -> None:
    if body.content_type not in CONTENT_TYPES:
        detail = f"content_type: must be one of {', '.join(CONTENT_TYPES)}."
        raise RefusalError(422, "INVALID_INPUTS", detail)
    if body.file_size_bytes > max_bytes:
        detail = f"file_size_bytes: must be at most {max_bytes}."
        raise RefusalError(422, "INVALID_INPUTS", detail)


def _announced(state: SandboxState, workspace: SandboxWorkspace, body: UploadUrlRequest) -> Upload:
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
