"""Where things are in the gallery: narrow windows, captions, and waiting without jumps."""

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from layer_mcp.sandbox import RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_models

from ..support.gallery_host import GalleryHost, gallery_host
from ..support.hosts import SMALL_IMAGE

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MESH, SOUND = sandbox_models()[3].model_id, sandbox_models()[4].model_id
FOUR: dict[str, Any] = SMALL_IMAGE | {"batch_size": 4, "wait_seconds": 20}
ONE: dict[str, Any] = SMALL_IMAGE | {"width": 512, "height": 256}
NEVER = 3_600.0
TOP = "element => Math.round(element.getBoundingClientRect().top)"
BOXES = """() => [...document.querySelectorAll(".card .media")].map((media) => {
  const { left, top, width, height } = media.getBoundingClientRect();
  return [left, top, width, height].map(Math.round);
})"""


async def top(gallery: GalleryHost, selector: str) -> int:
    return await gallery.app.locator(selector).first.evaluate(TOP)


async def test_four_files_take_two_columns_in_a_narrow_window(
    browser: Browser, environment: dict[str, str]
) -> None:
    async with gallery_host(browser, environment, width=320) as gallery:
        await gallery.call("execute_inference", FOUR)
        await expect(gallery.app.get_by_role("img", name="Picture 4")).to_be_visible()
        boxes = await gallery.frame.evaluate(BOXES)
        assert len({left for left, *_ in boxes}) == 2
        assert len({y for _, y, *_ in boxes}) == 2


async def test_price_and_save_come_before_the_files_in_a_narrow_window(
    browser: Browser, environment: dict[str, str]
) -> None:
    async with gallery_host(browser, environment, width=320) as gallery:
        await gallery.call("execute_inference", FOUR)
        await expect(gallery.app.get_by_role("img", name="Picture 4")).to_be_visible()
        files = await top(gallery, ".card")
        assert await top(gallery, ".price") < files
        assert await top(gallery, ".saving") < files


@pytest.mark.parametrize("width", [320, 1200])
async def test_the_progress_is_above_the_files(
    browser: Browser, environment: dict[str, str], sandbox: RunningSandbox, width: int
) -> None:
    sandbox.state.knobs.run_seconds = NEVER
    async with gallery_host(browser, environment, width=width) as gallery:
        await gallery.call("execute_inference", FOUR | {"wait_seconds": 0})
        await expect(gallery.app.get_by_role("progressbar")).to_be_visible()
        assert await top(gallery, ".bar") < await top(gallery, ".card")


@pytest.mark.parametrize("width", [320, 390, 800])
async def test_a_caption_is_one_line(
    browser: Browser, environment: dict[str, str], width: int
) -> None:
    async with gallery_host(browser, environment, width=width) as gallery:
        await gallery.call("execute_inference", FOUR | {"width": 1024, "height": 1024})
        await expect(gallery.app.get_by_role("img", name="Picture 4")).to_be_visible()
        caption = gallery.app.locator("figcaption").first
        assert await caption.evaluate("caption => caption.offsetHeight") < 45
        sides = caption.get_by_text("1024 \u00d7 1024")
        assert await sides.evaluate("one => one.offsetLeft + one.offsetWidth") <= (
            await caption.locator(".measures").evaluate("all => all.offsetLeft + all.offsetWidth")
        )


@pytest.mark.parametrize("width", [320, 1200])
@pytest.mark.parametrize(
    "given",
    [FOUR, ONE, ONE | {"model_id": MESH}, ONE | {"model_id": SOUND}],
    ids=["four", "one", "mesh", "sound"],
)
async def test_the_layout_does_not_shift_when_the_files_arrive(
    browser: Browser,
    environment: dict[str, str],
    sandbox: RunningSandbox,
    width: int,
    given: dict[str, Any],
) -> None:
    sandbox.state.knobs.run_seconds = NEVER
    async with gallery_host(browser, environment, width=width) as gallery:
        await gallery.call("execute_inference", given | {"wait_seconds": 0})
        await expect(gallery.app.get_by_text("usually")).to_be_visible()
        before = await gallery.frame.evaluate(BOXES)
        sandbox.state.knobs.run_seconds = 0
        await expect(gallery.app.locator("figure")).to_have_count(given["batch_size"])
        assert await gallery.frame.evaluate(BOXES) == before


async def test_reserves_space_for_the_files_before_the_answer(gallery: GalleryHost) -> None:
    await gallery.show(None, FOUR)
    await expect(gallery.app.get_by_role("heading", name=FOUR["prompt"])).to_be_visible()
    assert len(await gallery.frame.evaluate(BOXES)) == 4


async def test_a_call_that_names_no_number_waits_for_as_many_as_layer_makes(
    gallery: GalleryHost,
) -> None:
    await gallery.show(None, {"model_id": SMALL_IMAGE["model_id"], "prompt": "a red potion"})
    await expect(gallery.app.get_by_role("heading", name="a red potion")).to_be_visible()
    assert len(await gallery.frame.evaluate(BOXES)) == 4
