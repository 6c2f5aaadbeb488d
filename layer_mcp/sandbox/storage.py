"""The sandbox's storage host: uploads, output files and previews, all without credentials."""

import io
import re
from collections.abc import AsyncIterator

import anyio
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from .faults import Connections
from .knobs import Operation
from .pictures import MAX_PREVIEW_PIXELS, draw_picture, encode_preview
from .requests import Endpoint, Handler, make_endpoint, route
from .state import SandboxState, StoredFile
from .uploads import is_status_request, start_upload, upload, upload_status

FILES = "workspaces/{workspace_id}/files/{file_id}"
# Pages of any origin may read a file, for example 3D viewers.
CROSS_ORIGIN_HEADERS = {"Access-Control-Allow-Origin": "*"}
RANGE = re.compile(r"bytes=(\d{1,15})-")
STEPS_A_SECOND = 20


def storage_app(state: SandboxState, connections: Connections) -> Starlette:
    """Return the storage host as an ASGI application."""
    operations: list[tuple[Operation, str, str, Handler]] = [
        ("media", "GET", f"/media/{FILES}/{{name}}", media),
        ("preview", "GET", f"/previews/{FILES}.jpg", preview),
        ("start_upload", "POST", f"/uploads/{FILES}", start_upload),
    ]
    return Starlette(
        routes=[
            *(
                route(method, path, make_endpoint(state, connections, operation, handler))
                for operation, method, path, handler in operations
            ),
            route("PUT", f"/uploads/{FILES}", _put_endpoint(state, connections)),
        ]
    )


async def media(state: SandboxState, request: Request) -> Response:
    """Handle GET of a file, or of the missing part of it (RFC 9110, sections 13.1.5 and 14)."""
    file = _file_in_path(state, request)
    if file is None:
        return Response("Not found", 404)
    size_bytes = len(file.data)
    tag = f'"{file.file_id}-{size_bytes}-{state.knobs.media_version}"'
    headers = {**CROSS_ORIGIN_HEADERS, "ETag": tag}
    media_type = state.knobs.declared_type or file.content_type
    offset = _find_offset(state, request, tag)
    if offset >= size_bytes:
        return Response("", 416, {**headers, "Content-Range": f"bytes */{size_bytes}"})
    data, status = file.data[offset:], 206 if offset else 200
    if offset:
        headers["Content-Range"] = f"bytes {offset}-{size_bytes - 1}/{size_bytes}"
    bytes_a_second = state.knobs.media_bytes_a_second
    if bytes_a_second is None:
        return Response(data, status, headers, media_type)
    headers["Content-Length"] = str(len(data))
    return StreamingResponse(_trickle(data, bytes_a_second), status, headers, media_type)


async def preview(state: SandboxState, request: Request) -> Response:
    """Handle GET of a file's preview, which is made on request."""
    file = _file_in_path(state, request)
    if file is None or not file.has_preview:
        return Response("Not found", 404)
    jpeg = await anyio.to_thread.run_sync(_make_preview, file)
    return Response(jpeg, media_type="image/jpeg")


def _find_offset(state: SandboxState, request: Request, tag: str) -> int:
    """Return the offset to start from; 0 for the whole file, including when it has changed."""
    found = RANGE.fullmatch(request.headers.get("range", ""))
    is_same = request.headers.get("if-range", tag) == tag
    return int(found[1]) if found and is_same and state.knobs.media_ranges else 0


async def _trickle(data: bytes, bytes_a_second: float) -> AsyncIterator[bytes]:
    """Yield a file slowly, 20 times per second."""
    step_bytes = max(int(bytes_a_second / STEPS_A_SECOND), 1)
    for start in range(0, len(data), step_bytes):
        yield data[start : start + step_bytes]
        await anyio.sleep(1 / STEPS_A_SECOND)


def _put_endpoint(state: SandboxState, connections: Connections) -> Endpoint:
    upload_endpoint = make_endpoint(state, connections, "upload", upload)
    status_endpoint = make_endpoint(state, connections, "upload_status", upload_status)

    async def endpoint(request: Request) -> Response:
        return await (status_endpoint if is_status_request(request) else upload_endpoint)(request)

    return endpoint


def _file_in_path(state: SandboxState, request: Request) -> StoredFile | None:
    return state.find_file(request.path_params["workspace_id"], request.path_params["file_id"])


def _make_preview(file: StoredFile) -> bytes:
    if file.item is None:
        return encode_preview(Image.open(io.BytesIO(file.data)))
    width, height = file.width or MAX_PREVIEW_PIXELS, file.height or MAX_PREVIEW_PIXELS
    picture = draw_picture(
        file.item, caption=file.name, width=width, height=height, transparent=False
    )
    return encode_preview(picture)
