"""What is refused as an output: empty and cut files, web pages."""

from pathlib import Path
from typing import Any

import pytest

from layer_mcp import LayerClient
from layer_mcp.api.models import Output

from ..support.media_host import names_in, run_of, save
from ..support.raw_servers import raw_server

pytestmark = pytest.mark.anyio


async def kept_of(layer: LayerClient, folder: Path, content: bytes, **facts: Any) -> list[str]:
    """What is kept of an answer that is as long as its connection; why it was refused."""
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + content
    with raw_server(lambda connection: connection.sendall(answer)) as host:
        output = Output(url=f"http://127.0.0.1:{host.port}/a", **facts)
        saved = await save(layer, run_of(output), folder)
    assert len(names_in(folder)) == 2 * len(saved.files)
    return [failure.error.message for failure in saved.failures]


async def test_an_empty_file_is_not_saved(layer: LayerClient, folder: Path) -> None:
    why = await kept_of(layer, folder, b"", content_type="image/png")
    assert why == ["The media host sent an empty file."]


async def test_a_file_that_ends_early_is_not_saved(layer: LayerClient, folder: Path) -> None:
    assert await kept_of(layer, folder, b"12345", file_size_bytes=6) == [
        "The file was cut on its way."
    ]


@pytest.mark.parametrize("facts", [{"file_size_bytes": 5}, {}], ids=["known", "unknown"])
async def test_a_file_without_a_length_is_saved_when_its_size_fits_or_is_not_known(
    facts: dict[str, int], layer: LayerClient, folder: Path
) -> None:
    assert await kept_of(layer, folder, b"12345", **facts) == []


@pytest.mark.parametrize(
    "content", [b"<!doctype html>", b"\r\n <html>", b"\xef\xbb\xbf<html>", b"<?xml?><Error>"]
)
@pytest.mark.parametrize("content_type", ["image/png", "Image/JPEG", "image/png; q=1", "video/mp4"])
async def test_a_web_page_is_not_saved_as_a_picture(
    content: bytes, content_type: str, layer: LayerClient, folder: Path
) -> None:
    why = await kept_of(layer, folder, content, content_type=content_type)
    assert why == ["The media host sent a web page, not the file."]


async def test_a_drawing_in_xml_is_no_web_page(layer: LayerClient, folder: Path) -> None:
    assert await kept_of(layer, folder, b"<svg/>", content_type="image/svg+xml") == []
