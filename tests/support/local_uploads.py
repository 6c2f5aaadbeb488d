"""Local files to upload, and what the sandbox received of them."""

import os
from collections.abc import Collection
from pathlib import Path

from layer_mcp import LayerClient, Settings
from layer_mcp.files.paths import Folders
from layer_mcp.runs.journal import Journal
from layer_mcp.runs.uploads import Uploads
from layer_mcp.sandbox import Arrival, RunningSandbox

from .sandbox_calls import png_with

# Larger than the system's buffer for a connection that nobody reads.
LARGE = png_with(os.urandom(3_000_000))


def written(path: Path, content: bytes) -> Path:
    """Write a file and return its path."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def client_of(sandbox: RunningSandbox) -> LayerClient:
    """Return a client of the sandbox."""
    return LayerClient(sandbox.token, workspace=sandbox.workspace_id, api_url=sandbox.api_url)


def uploads_of(
    tmp_path: Path, client: LayerClient, journal: Journal, *, max_upload_mb: int = 64
) -> Uploads:
    """Return uploads that can use files in the folder `in`."""
    settings = Settings(input_dirs=(str(tmp_path / "in"),), max_upload_mb=max_upload_mb)

    async def open_journal() -> Journal:
        return journal

    async def allow_all(_file_ids: Collection[str]) -> None:
        pass

    return Uploads(Folders.pin(settings), client, open_journal, allow_all)


def arrivals(sandbox: RunningSandbox, operation: str) -> list[Arrival]:
    """Return the requests for an operation."""
    return [one for one in sandbox.state.arrivals if one.operation == operation]


def put_bytes(sandbox: RunningSandbox) -> list[int]:
    """Return the bytes that each PUT announced."""
    return [int(one.headers["content-length"]) for one in arrivals(sandbox, "upload")]
