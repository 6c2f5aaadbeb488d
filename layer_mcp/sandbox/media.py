"""Finished files and their previews; they need no token."""

import anyio
from starlette.requests import Request
from starlette.responses import Response

from .preview import has_preview, make_preview
from .records import StoredFile
from .state import SandboxState

# A page of any origin may read a file, as a 3D viewer does.
FOR_PAGES = {"Access-Control-Allow-Origin": "*"}


async def media(state: SandboxState, request: Request) -> Response:
    """GET a file."""
    file = _file(state, request)
    if file is None:
        return Response("Not found", 404)
    return Response(file.data, headers=FOR_PAGES, media_type=file.content_type)


async def preview(state: SandboxState, request: Request) -> Response:
    """GET a file's preview, which is made now."""
    file = _file(state, request)
    if file is None or not has_preview(file):
        return Response("Not found", 404)
    jpeg = await anyio.to_thread.run_sync(make_preview, file)
    return Response(jpeg, media_type="image/jpeg")


def _file(state: SandboxState, request: Request) -> StoredFile | None:
    return state.file(request.path_params["workspace_id"], request.path_params["file_id"])
