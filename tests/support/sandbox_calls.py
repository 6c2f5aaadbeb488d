"""Calls to the sandbox as they are on the wire, without the project's own client."""

import io
from typing import Any

import httpx
from PIL import Image

from layer_mcp.sandbox import RunningSandbox

from .hosts import SMALL_IMAGE


def api_of(sandbox: RunningSandbox) -> httpx.Client:
    """A client of the sandbox's API, at the address of its first workspace."""
    return httpx.Client(
        base_url=f"{sandbox.api_url}/v1/workspaces/{sandbox.workspace_id}",
        headers={"Authorization": f"Bearer {sandbox.token}"},
        trust_env=False,
    )


def run(api: httpx.Client, **body: Any) -> dict[str, Any]:
    """What a run looks like right after it was started; SMALL_IMAGE unless told."""
    started = api.post("/inferences", json=SMALL_IMAGE | body)
    assert started.status_code == 202, started.text
    return api.get(f"/inferences/{started.json()['inference_id']}").json()


def balance(api: httpx.Client) -> dict[str, Any]:
    """The workspace with its balances."""
    return api.get(str(api.base_url).rstrip("/")).json()


def png(color: str | tuple[int, ...], *, width: int = 16, height: int = 16) -> bytes:
    """A PNG of one colour."""
    buffer = io.BytesIO()
    Image.new("RGBA", (width, height), color).save(buffer, "PNG")
    return buffer.getvalue()


def announced(api: httpx.Client, data: bytes, content_type: str = "image/png") -> dict[str, str]:
    """The file id and the upload URL for these bytes."""
    body = {"content_type": content_type, "file_size_bytes": len(data), "file_name": "a file"}
    answer = api.post("/files/upload-url", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def start_headers(data: bytes, content_type: str = "image/png") -> dict[str, str]:
    """The headers with which the storage host lets an upload start."""
    return {
        "Content-Type": content_type,
        "x-goog-resumable": "start",
        "x-goog-content-length-range": f"0,{len(data)}",
    }


def session_of(upload_url: str, data: bytes, content_type: str = "image/png") -> str:
    """The session URI of an upload that was started."""
    headers = start_headers(data, content_type)
    answer = httpx.post(upload_url, headers=headers, trust_env=False)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


def uploaded(api: httpx.Client, data: bytes, content_type: str = "image/png") -> str:
    """The id of a file with these bytes that is completely there."""
    file = announced(api, data, content_type)
    session = session_of(file["upload_url"], data, content_type)
    headers = {"Content-Type": content_type}
    answer = httpx.put(session, content=data, headers=headers, trust_env=False)
    assert answer.status_code == 200, answer.text
    return file["file_id"]
