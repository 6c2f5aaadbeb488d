"""Take docs/ screenshots of the gallery: python -m tests.support.gallery_host.screenshots."""

import tempfile
from pathlib import Path
from typing import Any

import anyio
from playwright.async_api import Browser, expect

from layer_mcp.sandbox import Knobs, RunningSandbox, SandboxState, running_sandbox
from layer_mcp.sandbox.catalog import sandbox_models

from .host import GalleryHost, as_json, chromium, gallery_host

OVERFLOWS = "document.documentElement.scrollHeight > innerHeight + 1"
DOCS = Path(__file__).parents[3] / "docs"
IMAGE, _, VIDEO, MESH, SOUND, _, _ = (model.model_id for model in sandbox_models())
POTIONS: dict[str, Any] = {
    "model_id": IMAGE,
    "prompt": "A set of potion icons: round flasks, glass highlights, dark outline",
    "width": 512,
    "height": 512,
    "batch_size": 4,
    "seed": 7,
    "wait_seconds": 20,
}


async def main() -> None:
    """Take every screenshot."""
    state = SandboxState(knobs=Knobs(run_seconds=0))
    with running_sandbox(state) as sandbox, tempfile.TemporaryDirectory() as folder:
        environment = {
            "LAYER_STATE_DIR": f"{folder}/state",
            "LAYER_API_URL": sandbox.api_url,
            "LAYER_API_KEY": sandbox.token,
            # Saved files are measured, and the gallery shows the measurements.
            "LAYER_OUTPUT_DIR": f"{folder}/out",
        }
        async with chromium() as browser:
            await run_in_the_light(browser, environment)
            await run_in_the_dark(browser, environment)
            await question(browser, environment)
            await mesh(browser, environment)
            await runs(browser, environment, sandbox)


async def run_in_the_light(browser: Browser, environment: dict[str, str]) -> None:
    """Show four images, and the price of four more."""
    async with gallery_host(browser, environment) as gallery:
        await measured(gallery, POTIONS)
        await pictures_drawn(gallery, 4)
        await gallery.app.get_by_role("button", name="Run again").click()
        await expect(gallery.app.get_by_role("button", name="Start for")).to_be_visible()
        await taken(gallery, "gallery-run.png")


async def run_in_the_dark(browser: Browser, environment: dict[str, str]) -> None:
    """Show one image in a narrow window."""
    async with gallery_host(browser, environment, width=320, dark=True) as gallery:
        request = POTIONS | {"prompt": "A round flask of healing potion", "batch_size": 1}
        await measured(gallery, request, context={"theme": "dark"})
        await pictures_drawn(gallery, 1)
        await taken(gallery, "gallery-dark.png")


async def question(browser: Browser, environment: dict[str, str]) -> None:
    """Show a price that needs approval, in a narrow window."""
    settings = environment | {"LAYER_CONFIRM_ABOVE": "0"}
    async with gallery_host(browser, settings, width=320) as gallery:
        await gallery.call("execute_inference", POTIONS | {"seed": 8})
        await expect(gallery.app.get_by_role("button", name="Start for")).to_be_visible()
        await expect(gallery.app.get_by_text("Sandbox Image ·")).to_be_visible()
        await taken(gallery, "gallery-price.png")


async def mesh(browser: Browser, environment: dict[str, str]) -> None:
    """Show a mesh on its canvas."""
    async with gallery_host(browser, environment, width=1000) as gallery:
        request = {"model_id": MESH, "prompt": "A flask as a prop, low poly", "batch_size": 1}
        await measured(gallery, request | {"wait_seconds": 20})
        canvas = gallery.app.locator("canvas")
        await expect(canvas).to_have_attribute("data-drawn", "true")
        await taken(gallery, "gallery-mesh.png")


async def runs(browser: Browser, environment: dict[str, str], sandbox: RunningSandbox) -> None:
    """Show runs of every kind, including a failed one and one in progress."""
    async with gallery_host(browser, environment, width=1000) as gallery:
        for model_id, prompt in ((VIDEO, "A flask that bubbles"), (SOUND, "Glass, set down")):
            request = {"model_id": model_id, "prompt": prompt, "batch_size": 1, "wait_seconds": 20}
            await gallery.client.call_tool("execute_inference", request)
        more = POTIONS | {"batch_size": 1, "wait_seconds": 20}
        sandbox.state.knobs.run_error = ("CONTENT_POLICY_VIOLATION", "The prompt was refused")
        await gallery.client.call_tool("execute_inference", more | {"prompt": "A poison label"})
        sandbox.state.knobs.run_error = None
        sandbox.state.knobs.run_seconds = 3_600
        under_way = more | {"prompt": "A cork stopper", "wait_seconds": 0}
        await gallery.client.call_tool("execute_inference", under_way)
        await gallery.call("list_runs", {})
        await expect(gallery.app.locator(".thumbnail img")).to_have_count(4)
        await taken(gallery, "gallery-runs.png")


async def measured(gallery: GalleryHost, request: dict[str, Any], **options: Any) -> None:
    """Show a run with the measurements of its files, and without this machine's folders."""
    answer = as_json(await gallery.client.call_tool("execute_inference", request))
    for output in answer["structuredContent"]["outputs"]:
        del output["path"]
    await gallery.show(answer, request, **options)


async def pictures_drawn(gallery: GalleryHost, count: int) -> None:
    """Wait until the images are drawn."""
    pictures = gallery.app.get_by_role("img", name="Picture")
    await expect(pictures).to_have_count(count)
    for number in range(count):
        await expect(pictures.nth(number)).to_have_js_property("complete", True)
    await expect(gallery.app.get_by_text("Sandbox Image ·")).to_be_visible()


async def taken(gallery: GalleryHost, name: str) -> None:
    """Save the current window."""
    for thumbnail in await gallery.app.locator("img").all():
        await expect(thumbnail).to_have_js_property("complete", True)
    # The host sets the page's height a moment later.
    for _ in range(100):
        if not await gallery.frame.evaluate(OVERFLOWS):
            break
        await anyio.sleep(0.05)
    await gallery.frame.evaluate("scrollTo(0, 0)")
    height = await gallery.page.locator("iframe").evaluate("frame => frame.offsetHeight")
    width = await gallery.page.evaluate("innerWidth")
    # Frames are drawn only where the window shows them.
    await gallery.page.set_viewport_size({"width": width, "height": height})
    await gallery.page.screenshot(path=DOCS / name)


if __name__ == "__main__":
    anyio.run(main)
