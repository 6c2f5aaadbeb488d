"""The gallery with what was measured on the files: labels, remarks, and the checkerboard."""

from dataclasses import replace
from typing import Any

import pytest
from playwright.async_api import expect

from layer_mcp.sandbox import RunningSandbox

from ..support.gallery_host import GalleryHost
from ..support.hosts import SMALL_IMAGE
from ..support.sandbox_calls import png

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MANY_REMARKS = [f"remark {number}" for number in range(20)]
ABSURD: list[Any] = [7, "text", [], None, {"alpha": 7, "size_metres": ["x"], "frames": "many"}]


async def show(gallery: GalleryHost, facts: Any, remarks: Any = (), **output: Any) -> None:
    """Show a complete run whose picture has these facts."""
    made = {"content_type": "image/png", "facts": facts, "remarks": remarks} | output
    content = {"inference_id": "run", "status": "complete", "outputs": [made]}
    await gallery.show({"content": [], "structuredContent": content})
    await expect(gallery.app.get_by_role("figure")).to_be_visible()


async def labels(gallery: GalleryHost) -> list[str]:
    return await gallery.app.locator(".labels > span").all_inner_texts()


async def has_checkerboard(gallery: GalleryHost) -> bool:
    frame = gallery.app.locator(".frame")
    image = await frame.evaluate("frame => getComputedStyle(frame).backgroundImage")
    return image != "none"


async def show_picture(
    gallery: GalleryHost, sandbox: RunningSandbox, facts: dict[str, Any]
) -> None:
    """Show a picture that is transparent, with these facts."""
    run = await gallery.client.call_tool("execute_inference", SMALL_IMAGE | {"wait_seconds": 20})
    [(file_id, file)] = sandbox.state.files.items()
    sandbox.state.files[file_id] = replace(file, data=png((0, 0, 0, 0)))
    content: dict[str, Any] = run.structured_content or {}
    [output] = content["outputs"]
    await show(gallery, facts, url=output["url"])


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"alpha": "soft", "transparent_share": 0.431}, ["soft alpha 43 %"]),
        ({"alpha": "one_bit", "transparent_share": 0.5}, ["1-bit alpha 50 %"]),
        ({"alpha": "soft", "transparent_share": 0.0}, ["soft alpha"]),
        ({"alpha": "none"}, ["opaque"]),
        ({"alpha": "unused"}, ["opaque"]),
        ({"frames": 12, "pixel_grid": 8}, ["12 frames", "8 px grid"]),
        ({"frame_rate": 23.976, "has_sound": False}, ["24 fps", "no sound"]),
        ({"channels": 2, "loudness_lufs": -14.23}, ["stereo", "-14.2 LUFS"]),
        (
            {"triangles": 12_345, "size_metres": [1.234, 0.5, 20]},
            ["12,345 triangles", "1.2 \u00d7 0.5 \u00d7 20 m"],
        ),
        ({"content_credentials": True}, ["content credentials"]),
        ({}, []),
    ],
    ids=str,
)
async def test_facts_are_labels(
    gallery: GalleryHost, facts: dict[str, Any], expected: list[str]
) -> None:
    await show(gallery, facts)
    assert await labels(gallery) == expected


async def test_a_jpeg_is_not_called_opaque(gallery: GalleryHost) -> None:
    await show(gallery, {"alpha": "none"}, content_type="image/jpeg")
    assert await labels(gallery) == []


async def test_measured_sides_are_shown_instead_of_declared_ones(gallery: GalleryHost) -> None:
    await show(gallery, {"width": 512, "height": 256}, width=1024, height=1024)
    await expect(gallery.app.get_by_text("512 \u00d7 256")).to_be_visible()


async def test_shows_only_a_few_remarks(gallery: GalleryHost) -> None:
    await show(gallery, {}, MANY_REMARKS)
    await expect(gallery.app.locator(".remarks li")).to_have_text(MANY_REMARKS[:5])


@pytest.mark.parametrize("facts", ABSURD, ids=repr)
async def test_facts_of_any_type_do_no_harm(gallery: GalleryHost, facts: Any) -> None:
    await show(gallery, facts, remarks=facts)
    assert await labels(gallery) == []
    assert gallery.shown.errors == []


@pytest.mark.parametrize("alpha", ["none", "unused"])
async def test_an_opaque_picture_has_no_checkerboard(
    gallery: GalleryHost, sandbox: RunningSandbox, alpha: str
) -> None:
    await show_picture(gallery, sandbox, {"alpha": alpha})
    assert not await has_checkerboard(gallery)


@pytest.mark.parametrize("facts", [{"alpha": "soft"}, {"alpha": "one_bit"}, {}], ids=str)
async def test_transparent_and_unknown_pictures_have_a_checkerboard(
    gallery: GalleryHost, sandbox: RunningSandbox, facts: dict[str, Any]
) -> None:
    await show_picture(gallery, sandbox, facts)
    assert await has_checkerboard(gallery)


async def test_a_list_counts_the_files_and_the_models(gallery: GalleryHost) -> None:
    rows = [
        {
            "inference_id": "a",
            "status": "complete",
            "model_id": "m",
            "files": ["1"],
            "more_files": 3,
        },
        {"inference_id": "b", "status": "complete", "model_id": "m", "files": ["1", "2"]},
        {"inference_id": "c", "status": "failed", "model_id": "n"},
    ]
    content = {"runs": rows, "total": 3, "running": 0, "spent_creative_units": 1.5}
    await gallery.show({"content": [], "structuredContent": content})
    await expect(gallery.app.get_by_text("1.5 CU spent · 6 files · 2 models")).to_be_visible()


async def test_a_list_with_older_runs_counts_at_least_what_it_shows(gallery: GalleryHost) -> None:
    rows = [{"inference_id": "a", "status": "complete", "model_id": "m", "files": ["1"]}]
    content = {"runs": rows, "total": 9, "running": 0, "next_cursor": "1.0-a"}
    await gallery.show({"content": [], "structuredContent": content})
    await expect(gallery.app.get_by_text("1+ files · 1+ models")).to_be_visible()
