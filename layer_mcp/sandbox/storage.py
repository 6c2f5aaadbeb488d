"""The sandbox's storage host: uploads, output files and previews, all without credentials."""

import io

import anyio
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from .faults import Connections
from .knobs import Operation
from .pictures import MAX_PREVIEW_PIXELS, draw_picture, encode_preview
from .requests import Endpoint, Handler, make_endpoint, route
from .state import SandboxState, StoredFile
from .uploads import is_status_request, start_upload, upload, upload_status

FILES = "workspaces/{workspace_id}/files/{file_id}"
# Pages of any origin may read a file, for example 3D viewers.
CROSS_ORIGIN_HEADERS = {"Access-Control-Allow-Origin": "*"}


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
    """Handle GET of a file."""
    file = _file_in_path(state, request)
    if file is None:
        return Response("Not found", 404)
    return Response(file.data, headers=CROSS_ORIGIN_HEADERS, media_type=file.content_type)


async def preview(state: SandboxState, request: Request) -> Response:
    """Handle GET of a file's preview, which is made on request."""
    file = _file_in_path(state, request)
    if file is None or not file.has_preview:
        return Response("Not found", 404)
    jpeg = await anyio.to_thread.run_sync(_make_preview, file)
    return Response(jpeg, media_type="image/jpeg")


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
