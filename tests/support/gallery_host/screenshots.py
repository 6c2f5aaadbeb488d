"""The pictures of the gallery in docs/: python -m tests.support.gallery_host.screenshots."""

import tempfile
from pathlib import Path
from typing import Any

import anyio
from playwright.async_api import Browser, expect

from layer_mcp.sandbox import Knobs, RunningSandbox, SandboxState, running_sandbox
from layer_mcp.sandbox.catalog import sandbox_models

from .host import GalleryHost, chromium, gallery_host

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
    """Write each picture."""
    state = SandboxState(knobs=Knobs(run_seconds=0))
    with running_sandbox(state) as sandbox, tempfile.TemporaryDirectory() as folder:
        environment = {
            "LAYER_STATE_DIR": folder,
            "LAYER_API_URL": sandbox.api_url,
            "LAYER_API_KEY": sandbox.token,
        }
        async with chromium() as browser:
            await run_in_the_light(browser, environment)
            await run_in_the_dark(browser, environment)
            await mesh(browser, environment)
            await runs(browser, environment, sandbox)


async def run_in_the_light(browser: Browser, environment: dict[str, str]) -> None:
    """Four pictures, with the price of four more."""
    async with gallery_host(browser, environment) as gallery:
        await gallery.call("execute_inference", POTIONS)
        await pictures_drawn(gallery, 4)
        await gallery.app.get_by_role("button", name="Again").click()
        await expect(gallery.app.get_by_role("button", name="Start for")).to_be_visible()
        await taken(gallery, "gallery-run.png")


async def run_in_the_dark(browser: Browser, environment: dict[str, str]) -> None:
    """One picture in a narrow window."""
    async with gallery_host(browser, environment, width=320, dark=True) as gallery:
        await gallery.call(
            "execute_inference",
            POTIONS | {"prompt": "A round flask of healing potion", "batch_size": 1},
            context={"theme": "dark"},
        )
        await pictures_drawn(gallery, 1)
        await taken(gallery, "gallery-dark.png")


async def mesh(browser: Browser, environment: dict[str, str]) -> None:
    """A mesh on its canvas."""
    async with gallery_host(browser, environment, width=1000) as gallery:
        request = {"model_id": MESH, "prompt": "A flask as a prop, low poly", "batch_size": 1}
        await gallery.call("execute_inference", request | {"wait_seconds": 20})
        canvas = gallery.app.locator("canvas")
        await expect(canvas).to_have_attribute("data-drawn", "true")
        await taken(gallery, "gallery-mesh.png")


async def runs(browser: Browser, environment: dict[str, str], sandbox: RunningSandbox) -> None:
    """Runs of every kind, one of them failed and one under way."""
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


async def pictures_drawn(gallery: GalleryHost, count: int) -> None:
    """Wait for the pictures themselves."""
    pictures = gallery.app.get_by_role("img", name="Picture")
    await expect(pictures).to_have_count(count)
    for number in range(count):
        await expect(pictures.nth(number)).to_have_js_property("complete", True)
    await expect(gallery.app.get_by_text("Sandbox Image ·")).to_be_visible()


async def taken(gallery: GalleryHost, name: str) -> None:
    """Write the window as it is now."""
    for thumbnail in await gallery.app.locator("img").all():
        await expect(thumbnail).to_have_js_property("complete", True)
    height = await gallery.page.locator("iframe").evaluate("frame => frame.offsetHeight")
    width = await gallery.page.evaluate("innerWidth")
    clip = {"x": 0, "y": 0, "width": width, "height": height}
    await gallery.page.screenshot(path=DOCS / name, clip=clip, full_page=True)  # pyright: ignore[reportArgumentType]


if __name__ == "__main__":
    anyio.run(main)
