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
