"""The sandbox's media and storage host, which takes no credentials."""

from starlette.applications import Starlette

from .endpoints import Handler, endpoint, route
from .faults import Connections
from .knobs import Operation
from .media import media, preview
from .state import SandboxState

FILES = "workspaces/{workspace_id}/files/{file_id}"


def storage_app(state: SandboxState, connections: Connections) -> Starlette:
    """The host of output files, previews and uploads as an ASGI application."""
    operations: list[tuple[Operation, str, str, Handler]] = [
        ("media", "GET", f"/media/{FILES}/{{name}}", media),
        ("preview", "GET", f"/previews/{FILES}.jpg", preview),
    ]
    return Starlette(
        routes=[
            route(method, path, endpoint(state, connections, operation, handler))
            for operation, method, path, handler in operations
        ]
    )
