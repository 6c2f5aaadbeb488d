"""The sandbox's media and storage host, which takes no credentials."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from .endpoints import Endpoint, Handler, endpoint, route
from .faults import Connections
from .knobs import Operation
from .media import media, preview
from .resumable import asks_for_status, start_upload, upload, upload_status
from .state import SandboxState

FILES = "workspaces/{workspace_id}/files/{file_id}"


def storage_app(state: SandboxState, connections: Connections) -> Starlette:
    """The host of output files, previews and uploads as an ASGI application."""
    operations: list[tuple[Operation, str, str, Handler]] = [
        ("media", "GET", f"/media/{FILES}/{{name}}", media),
        ("preview", "GET", f"/previews/{FILES}.jpg", preview),
        ("start_upload", "POST", f"/uploads/{FILES}", start_upload),
    ]
    return Starlette(
        routes=[
            *(
                route(method, path, endpoint(state, connections, operation, handler))
                for operation, method, path, handler in operations
            ),
            route("PUT", f"/uploads/{FILES}", _put(state, connections)),
        ]
    )


def _put(state: SandboxState, connections: Connections) -> Endpoint:
    bytes_arrive = endpoint(state, connections, "upload", upload)
    status_asked = endpoint(state, connections, "upload_status", upload_status)

    async def serve(request: Request) -> Response:
        return await (status_asked if asks_for_status(request) else bytes_arrive)(request)

    return serve
