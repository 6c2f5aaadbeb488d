"""How the gallery looks and can be used: themes, widths, keyboard, names for screen readers."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from layer_mcp.sandbox import RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_models

from ..support.gallery_host import GalleryHost, gallery_host
from ..support.hosts import SMALL_IMAGE

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

AXE = Path(__file__).parents[2] / "gallery" / "node_modules" / "axe-core" / "axe.min.js"
PICTURES: dict[str, Any] = SMALL_IMAGE | {"batch_size": 4, "wait_seconds": 20}
LONG = {"prompt": "averyveryverylongwordwithoutanyspace" * 8}
MESH, SOUND = sandbox_models()[3].model_id, sandbox_models()[4].model_id


async def background(gallery: GalleryHost) -> str:
    root = gallery.app.locator("html")
    return await root.evaluate("root => getComputedStyle(root).backgroundColor")


async def faults_by_axe(gallery: GalleryHost) -> list[str]:
    frame = gallery.frame
    await frame.evaluate(AXE.read_text())
    found = await frame.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [f"{one['id']}: {json.dumps(one['nodes'][0]['target'])}" for one in found["violations"]]


async def overflow(gallery: GalleryHost) -> int:
    root = gallery.app.locator("html")
    return await root.evaluate("root => root.scrollWidth - root.clientWidth")


async def test_the_theme_is_the_hosts(gallery: GalleryHost) -> None:
    await gallery.call("execute_inference", PICTURES)
    await expect(gallery.app.get_by_text("Complete", exact=True)).to_be_visible()
    assert await background(gallery) == "rgb(255, 255, 255)"
    await gallery.change_context({"theme": "dark"})
    await expect(gallery.app.locator("html")).to_have_attribute("data-theme", "dark")
    assert await background(gallery) == "rgb(28, 28, 30)"


async def test_a_host_without_a_theme_leaves_it_to_the_system(
    browser: Browser, environment: dict[str, str]
) -> None:
    async with gallery_host(browser, environment, dark=True) as gallery:
        await gallery.call("execute_inference", PICTURES, context={"theme": None})
        await expect(gallery.app.get_by_text("Complete", exact=True)).to_be_visible()
        assert await background(gallery) == "rgb(28, 28, 30)"


async def test_uses_the_hosts_colors(gallery: GalleryHost) -> None:
    variables = {"--color-background-primary": "rgb(250, 240, 230)"}
    await gallery.call("execute_inference", PICTURES, context={"styles": {"variables": variables}})
    await expect(gallery.app.get_by_text("Complete", exact=True)).to_be_visible()
    assert await background(gallery) == "rgb(250, 240, 230)"


@pytest.mark.parametrize("width", [320, 1200])
@pytest.mark.parametrize("given", [PICTURES, PICTURES | LONG], ids=["short", "long"])
async def test_a_run_fits_its_width(
    browser: Browser, environment: dict[str, str], width: int, given: dict[str, Any]
) -> None:
    async with gallery_host(browser, environment, width=width) as gallery:
        await gallery.call("execute_inference", given)
        await expect(gallery.app.get_by_role("img", name="Picture 4")).to_be_visible()
        await gallery.app.get_by_text("Parameters").press("Enter")
        await gallery.app.get_by_role("button", name="Use file 1 as a reference").press("Enter")
        await expect(gallery.app.get_by_label("Prompt")).to_be_visible()
        assert await overflow(gallery) <= 0
        await gallery.app.get_by_role("button", name="Zoom picture 1").press("Enter")
        await expect(gallery.app.get_by_role("dialog")).to_be_visible()
        assert await overflow(gallery) <= 0


@pytest.mark.parametrize("width", [320, 1200])
async def test_a_list_fits_its_width(
    browser: Browser, environment: dict[str, str], width: int
) -> None:
    async with gallery_host(browser, environment, width=width) as gallery:
        for given in (PICTURES, PICTURES | LONG):
            await gallery.client.call_tool("execute_inference", given)
        await gallery.call("list_runs", {})
        await expect(gallery.app.get_by_role("listitem")).to_have_count(2)
        assert await overflow(gallery) <= 0


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_a_run_meets_accessibility_requirements(gallery: GalleryHost, theme: str) -> None:
    await gallery.call("execute_inference", PICTURES, context={"theme": theme})
    await expect(gallery.app.get_by_role("img", name="Picture 4")).to_be_visible()
    await gallery.app.get_by_text("Parameters").press("Enter")
    await gallery.app.get_by_role("button", name="Use file 1 as a reference").press("Enter")
    await expect(gallery.app.get_by_label("Use it as")).to_have_value("reference_image")
    assert await faults_by_axe(gallery) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_a_list_meets_accessibility_requirements(gallery: GalleryHost, theme: str) -> None:
    for model_id in (PICTURES["model_id"], SOUND):
        request = PICTURES | {"model_id": model_id}
        await gallery.client.call_tool("execute_inference", request)
    await gallery.call("list_runs", {}, context={"theme": theme})
    await expect(gallery.app.get_by_role("listitem")).to_have_count(2)
    assert await faults_by_axe(gallery) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_errors_meet_accessibility_requirements(
    gallery: GalleryHost, sandbox: RunningSandbox, theme: str
) -> None:
    sandbox.state.knobs.run_error = ("NO_MEDIA_GENERATED", "Nothing came of it")
    await gallery.call("execute_inference", PICTURES, context={"theme": theme})
    await expect(gallery.app.get_by_role("alert")).to_be_visible()
    assert await faults_by_axe(gallery) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_labels_and_remarks_meet_contrast_requirements(
    gallery: GalleryHost, theme: str
) -> None:
    measured = {"facts": {"alpha": "none"}, "remarks": ["the subject is cut at the left edge"]}
    output = {"content_type": "image/png", **measured}
    content = {"inference_id": "run", "status": "complete", "outputs": [output]}
    answer: dict[str, Any] = {"content": [], "structuredContent": content}
    await gallery.show(answer, context={"theme": theme})
    await expect(gallery.app.get_by_text("cut at the left edge")).to_be_visible()
    assert await faults_by_axe(gallery) == []


async def test_the_dialog_and_the_mesh_have_accessible_names(gallery: GalleryHost) -> None:
    await gallery.call("execute_inference", PICTURES | {"model_id": MESH, "batch_size": 2})
    await expect(gallery.app.get_by_role("img", name="3D model 1")).to_be_visible()
    assert await faults_by_axe(gallery) == []
    await gallery.call("execute_inference", PICTURES)
    await gallery.app.get_by_role("button", name="Zoom picture 1").press("Enter")
    await expect(gallery.app.get_by_role("dialog")).to_be_visible()
    assert await faults_by_axe(gallery) == []


async def test_every_control_is_reached_by_tab_and_shows_its_focus(gallery: GalleryHost) -> None:
    await gallery.call("execute_inference", SMALL_IMAGE | {"wait_seconds": 20})
    again = gallery.app.get_by_role("button", name="Run again with a new seed")
    await expect(again).to_be_enabled()
    await gallery.app.get_by_role("button", name="Save files").focus()
    order: list[str] = []
    for _ in range(5):
        await gallery.page.keyboard.press("Tab")
        active = gallery.app.locator(":focus-visible")
        width = await active.evaluate("element => getComputedStyle(element).outlineWidth")
        assert width == "2px"
        order.append((await active.get_attribute("aria-label")) or await active.inner_text())
    assert order == [
        "Zoom picture 1",
        "Use file 1 as a reference",
        "Open file 1 in the browser",
        "Run again with a new seed",
        "Parameters",
    ]


async def test_announces_the_end_of_a_run_to_screen_readers(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 3_600
    await gallery.call("execute_inference", SMALL_IMAGE)
    await expect(gallery.app.get_by_text("Generating")).to_be_visible()
    sandbox.state.knobs.run_seconds = 0
    voice = gallery.app.locator("[aria-live=polite]").last
    await expect(voice).to_have_text("Complete. 1 file.")


async def test_a_host_with_full_screen_has_a_button_for_it(gallery: GalleryHost) -> None:
    modes = {"availableDisplayModes": ["inline", "fullscreen"]}
    await gallery.call("execute_inference", PICTURES, context=modes)
    await gallery.app.get_by_role("button", name="Full screen").press("Enter")
    await expect(gallery.app.get_by_role("button", name="Leave full screen")).to_be_visible()
