"""Plain HTTP calls to the sandbox, without the project's own client."""

import io
import zlib
from dataclasses import replace
from typing import Any

import httpx
from PIL import Image

from layer_mcp.sandbox import RunningSandbox

from .hosts import SMALL_IMAGE


def api_of(sandbox: RunningSandbox) -> httpx.Client:
    """Return a client of the sandbox's API for its first workspace."""
    return httpx.Client(
        base_url=f"{sandbox.api_url}/v1/workspaces/{sandbox.workspace_id}",
        headers={"Authorization": f"Bearer {sandbox.token}"},
        trust_env=False,
    )


def run(api: httpx.Client, **body: Any) -> dict[str, Any]:
    """Start a run and return its status. The body is SMALL_IMAGE with these changes."""
    started = api.post("/inferences", json=SMALL_IMAGE | body)
    assert started.status_code == 202, started.text
    return api.get(f"/inferences/{started.json()['inference_id']}").json()


def get_workspace(api: httpx.Client) -> dict[str, Any]:
    """Return the workspace with its balances."""
    return api.get(str(api.base_url).rstrip("/")).json()


def png(color: str | tuple[int, ...], *, width: int = 16, height: int = 16) -> bytes:
    """Return a PNG of one color."""
    buffer = io.BytesIO()
    Image.new("RGBA", (width, height), color).save(buffer, "PNG")
    return buffer.getvalue()


def png_with(content: bytes, color: str = "red") -> bytes:
    """Return a PNG with a private chunk that makes it as large as needed."""
    plain = png(color)
    chunk = b"prVt" + content
    chunk = len(content).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4)
    # Before its last chunk, which is empty.
    return plain[:-12] + chunk + plain[-12:]


def replace_outputs(sandbox: RunningSandbox, run_id: str | None, *contents: bytes) -> None:
    """Replace the output bytes of a finished run; the declared facts stay the same."""
    run = sandbox.state.runs[run_id or ""]
    made = zip(run.outputs, contents, strict=True)
    run.outputs = sandbox.state.store_files([replace(file, data=data) for file, data in made])


def request_upload_url(
    api: httpx.Client, data: bytes, content_type: str = "image/png"
) -> dict[str, str]:
    """Announce a file with these bytes, and return its ID and its upload URL."""
    body = {"content_type": content_type, "file_size_bytes": len(data), "file_name": "a file"}
    answer = api.post("/files/upload-url", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def start_headers(data: bytes, content_type: str = "image/png") -> dict[str, str]:
    """Return the headers that the storage host requires at the start of an upload."""
    return {
        "Content-Type": content_type,
        "x-goog-resumable": "start",
        "x-goog-content-length-range": f"0,{len(data)}",
    }


def start_upload(upload_url: str, data: bytes, content_type: str = "image/png") -> str:
    """Start an upload and return its session URI."""
    headers = start_headers(data, content_type)
    answer = httpx.post(upload_url, headers=headers, trust_env=False)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


def upload(api: httpx.Client, data: bytes, content_type: str = "image/png") -> str:
    """Upload a file with these bytes and return its ID."""
    file = request_upload_url(api, data, content_type)
    session = start_upload(file["upload_url"], data, content_type)
    headers = {"Content-Type": content_type}
    answer = httpx.put(session, content=data, headers=headers, trust_env=False)
    assert answer.status_code == 200, answer.text
    return file["file_id"]
