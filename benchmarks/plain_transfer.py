"""The reference for transfers: the same requests by httpx alone, and nothing else.

No checks, no hash, no thread and no retry; files are read and written on the event loop.
"""

from collections.abc import AsyncIterator
from typing import BinaryIO

import httpx

from layer_mcp import Settings

TIMEOUT_SECONDS = 60
# Neither 64 KB nor 1 MB is faster.
CHUNK_BYTES = 256 * 1024


def plain_http() -> httpx.AsyncClient:
    """A client that keeps its connections, as LayerClient does."""
    return httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_SECONDS)


async def upload_plainly(
    http: httpx.AsyncClient,
    settings: Settings,
    file: BinaryIO,
    *,
    content_type: str,
    size_bytes: int,
) -> None:
    """Ask for an address, open a session there, send the bytes."""
    announced = await http.post(
        f"{settings.api_url}/v1/workspaces/{settings.workspace}/files/upload-url",
        headers={"Authorization": f"Bearer {settings.api_token}"},
        json={"content_type": content_type, "file_size_bytes": size_bytes},
    )
    opened = await http.post(
        announced.raise_for_status().json()["upload_url"],
        headers={
            "Content-Type": content_type,
            "Content-Length": "0",
            "x-goog-resumable": "start",
            "x-goog-content-length-range": f"0,{size_bytes}",
        },
    )
    sent = await http.put(
        opened.raise_for_status().headers["location"],
        headers={"Content-Type": content_type, "Content-Length": str(size_bytes)},
        content=_chunks(file),
    )
    sent.raise_for_status()


async def download_plainly(http: httpx.AsyncClient, url: str, sink: BinaryIO) -> None:
    """Write each piece as it arrives."""
    async with http.stream("GET", url) as response:
        response.raise_for_status()
        async for chunk in response.aiter_bytes():
            sink.write(chunk)


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk
