"""Which outputs have a preview, and what is known about them afterwards."""

import io
from pathlib import Path

import anyio
import pytest
from PIL import Image

from layer_mcp import LayerClient
from layer_mcp.api.models import Output
from layer_mcp.files.folders import PrivateFolders
from layer_mcp.runs.outputs import FilesOnDisk
from layer_mcp.runs.preview import Preview, make_preview

from ..support.media_host import ONE, Media, run_of, save

pytestmark = pytest.mark.anyio


def picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(buffer, kind)
    return buffer.getvalue()


async def preview(
    layer: LayerClient, *outputs: Output, files: FilesOnDisk | None = None, tile: bool = False
) -> Preview:
    return await make_preview(
        layer,
        outputs,
        files or FilesOnDisk(),
        tile=tile,
        limiter=anyio.CapacityLimiter(1),
        private=PrivateFolders(),
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
async def test_every_kind_of_picture_has_a_preview(
    kind: str, layer: LayerClient, media: Media
) -> None:
    seen = await preview(layer, media.output("/a", picture(kind), "image/png"))
    assert seen.picture is not None


async def test_an_output_that_was_loaded_as_a_whole_is_measured(
    layer: LayerClient, media: Media
) -> None:
    seen = await preview(layer, media.output("/a", picture("WEBP"), "image/png"))
    measured = seen.measured[1]
    assert (measured.content_type, measured.declared_type) == ("image/webp", "image/png")
    assert measured.facts["width"] == 64


async def test_layers_small_picture_is_not_measured(layer: LayerClient, media: Media) -> None:
    output = media.output("/a", ONE)
    small = media.output("/small", picture("JPEG")).url
    seen = await preview(layer, output.model_copy(update={"preview_url": small}))
    assert (seen.picture is not None, seen.measured) == (True, {})


async def test_a_tile_is_drawn_from_the_output_itself(layer: LayerClient, media: Media) -> None:
    output = media.output("/a", ONE)
    small = media.output("/small", picture("JPEG")).url
    seen = await preview(layer, output.model_copy(update={"preview_url": small}), tile=True)
    assert (media.asked, list(seen.measured)) == (["/a"], [1])


async def test_a_page_in_place_of_a_picture_is_neither_shown_nor_measured(
    layer: LayerClient, media: Media
) -> None:
    seen = await preview(layer, media.output("/a", b"<!doctype html><title>Sign in</title>"))
    assert seen == Preview()


async def test_shows_a_saved_picture_that_was_not_declared_as_one(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    output = media.output("/a", picture("PNG"), None)
    saved = await save(layer, run_of(output), folder)
    media.asked.clear()
    seen = await preview(layer, output, files=FilesOnDisk.of(saved))
    assert (seen.picture is not None, media.asked) == (True, [])
