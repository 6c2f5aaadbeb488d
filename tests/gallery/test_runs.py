"""A run in the gallery: followed to its end, with files of every kind."""

import io
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image, ImageStat
from playwright.async_api import Browser, Locator, expect

from layer_mcp.sandbox import RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_models

from ..support.gallery_host import GalleryHost, as_json, chromium, gallery_host, textured_square
from ..support.hosts import SMALL_IMAGE, Host, content_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

IMAGE, _, VIDEO, MESH, SOUND, _, _ = (model.model_id for model in sandbox_models())
NEVER = 3_600.0
HOUR_MS = 3_600_000
# The server waits for nothing.
AT_ONCE = """() => {
  const ask = window.askServer;
  window.askServer = (method, params) =>
    ask(method, { ...params, arguments: { ...params.arguments, wait_seconds: 0 } });
}"""

ANOTHER_ANSWER = "result => window.bridge.sendToolResult(result)"

# The next pictures inside of files are read only when the test says so.
HOLD_PICTURES = """() => {
  const read = window.createImageBitmap;
  const held = new Promise((done) => { window.release = done; });
  window.createImageBitmap = async (...given) => {
    document.documentElement.dataset.held = "true";
    await held;
    return read(...given);
  };
}"""
COUNT_CONTEXTS = """() => {
  const contexts = [];
  const get = HTMLCanvasElement.prototype.getContext;
  HTMLCanvasElement.prototype.getContext = function (...given) {
    const context = get.apply(this, given);
    if (context && given[0] === "webgl2") contexts.push(context);
    return context;
  };
  window.alive = () => contexts.filter((context) => !context.isContextLost()).length;
}"""
COUNT_DRAWS = """() => {
  let draws = 0;
  const draw = WebGL2RenderingContext.prototype.drawElements;
  WebGL2RenderingContext.prototype.drawElements = function (...given) {
    draws += 1;
    return draw.apply(this, given);
  };
  window.draws = () => draws;
}"""
# Whether, within 30 frames, three in a row draw nothing.
COMES_TO_REST = """async () => {
  for (let frames = 0; frames < 30; frames += 3) {
    const before = window.draws();
    for (let one = 0; one < 3; one += 1) await new Promise(requestAnimationFrame);
    if (window.draws() === before) return true;
  }
  return false;
}"""
# A busy browser reports that something was out of view and is in view in one call.
OUT_OF_VIEW_AND_BACK = """() => {
  window.IntersectionObserver = class extends IntersectionObserver {
    constructor(told) {
      super((changes, observer) => told([{ isIntersecting: false }, ...changes], observer));
    }
  };
}"""
ENDLESS = """() => {
  const pull = (controller) => controller.enqueue(new Uint8Array(10_000_000));
  window.fetch = async () => new Response(new ReadableStream({ pull }));
}"""


def wanted(model_id: str = IMAGE, **given: Any) -> dict[str, Any]:
    request = {"model_id": model_id, "prompt": "a red potion", "batch_size": 1, "wait_seconds": 20}
    size = {"width": 256, "height": 256} if model_id == IMAGE else {}
    return request | size | given


async def is_drawn(picture: Locator) -> None:
    await expect(picture).to_have_js_property("complete", True)
    assert await picture.evaluate("image => image.naturalWidth") > 0


def colours(screenshot: bytes) -> int:
    with Image.open(io.BytesIO(screenshot)) as picture:
        return len(picture.convert("RGB").getcolors(1_000_000) or [])


@pytest.mark.smoke
async def test_a_run_is_followed_to_its_picture(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = NEVER
    await gallery.call("execute_inference", wanted(wait_seconds=0))
    await expect(gallery.app.get_by_text("Generating")).to_be_visible()
    await expect(gallery.app.get_by_role("progressbar")).to_be_visible()
    sandbox.state.knobs.run_seconds = 0
    await is_drawn(gallery.app.get_by_role("img", name="Picture 1"))
    await expect(gallery.app.get_by_text("Complete", exact=True)).to_be_visible()


async def test_does_not_read_an_ended_run_again(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = NEVER
    await gallery.call("execute_inference", wanted(wait_seconds=0))
    await expect(gallery.app.get_by_text("Generating")).to_be_visible()
    sandbox.state.knobs.run_seconds = 0
    await expect(gallery.app.get_by_text("Complete", exact=True)).to_be_visible()
    looks = len(gallery.shown.calls_of("get_status"))
    await gallery.app.get_by_role("button", name="Save files").press("Enter")
    await expect(gallery.app.get_by_text("1 file saved", exact=True)).to_be_visible()
    assert len(gallery.shown.calls_of("get_status")) == looks


async def test_a_status_request_waits_in_the_server_without_a_preview(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = NEVER
    run = await gallery.call("execute_inference", wanted(wait_seconds=0))
    await expect(gallery.app.get_by_text("Generating")).to_be_visible()
    sandbox.state.knobs.run_seconds = 0
    await expect(gallery.app.get_by_text("Complete", exact=True)).to_be_visible()
    assert gallery.shown.calls_of("get_status")[0] == {
        "inference_id": run["inference_id"],
        "workspace_id": sandbox.workspace_id,
        "wait_seconds": 20,
        "preview": False,
    }


async def test_after_an_hour_the_page_stops_looking_and_says_so(
    browser: Browser, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = NEVER
    async with gallery_host(browser, environment, own_tab=True) as gallery:
        await gallery.page.evaluate(AT_ONCE)
        await gallery.page.clock.install()
        await gallery.call("execute_inference", wanted(wait_seconds=0))
        await expect(gallery.app.get_by_text("Generating")).to_be_visible()
        await gallery.page.clock.fast_forward(HOUR_MS)
        await expect(
            gallery.app.get_by_text("This page stopped checking after an hour.")
        ).to_be_visible()
        await expect(gallery.app.get_by_role("button", name="Check again")).to_be_visible()


async def test_the_prompt_is_there_before_the_answer(gallery: GalleryHost) -> None:
    await gallery.show(None, {"prompt": "a potion on its way"})
    await expect(gallery.app.get_by_role("heading", name="a potion on its way")).to_be_visible()


async def test_price_model_and_parameters_are_named(gallery: GalleryHost) -> None:
    await gallery.call("execute_inference", wanted(seed=77))
    await expect(gallery.app.get_by_text("0.01 CU")).to_be_visible()
    await expect(gallery.app.get_by_text("Sandbox Image ·")).to_be_visible()
    await gallery.app.get_by_text("Parameters").press("Enter")
    await expect(gallery.app.get_by_text("77", exact=True)).to_be_visible()


async def test_several_pictures_are_side_by_side(gallery: GalleryHost) -> None:
    await gallery.call("execute_inference", wanted(batch_size=3))
    pictures = gallery.app.get_by_role("img", name="Picture")
    await expect(pictures).to_have_count(3)
    for number in range(3):
        await is_drawn(pictures.nth(number))


async def test_pictures_are_zoomed_by_keyboard(gallery: GalleryHost) -> None:
    await gallery.call("execute_inference", wanted(batch_size=3))
    opener = gallery.app.get_by_role("button", name="Zoom picture 2")
    await opener.press("Enter")
    dialog = gallery.app.get_by_role("dialog")
    await expect(dialog.get_by_role("heading", name="Picture 2 of 3")).to_be_visible()
    await dialog.press("+")
    await expect(dialog.get_by_text("125 %")).to_be_visible()
    await dialog.press("0")
    await expect(dialog.get_by_text("100 %")).to_be_visible()
    await dialog.press("ArrowRight")
    await expect(dialog.get_by_role("heading", name="Picture 3 of 3")).to_be_visible()
    await dialog.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(opener).to_be_focused()


async def test_a_new_answer_closes_the_zoom(gallery: GalleryHost) -> None:
    run = await gallery.client.call_tool("execute_inference", wanted())
    await gallery.show(as_json(run))
    await gallery.app.get_by_role("button", name="Zoom picture 1").press("Enter")
    dialog = gallery.app.get_by_role("dialog")
    await expect(dialog).to_be_visible()
    await gallery.page.evaluate(ANOTHER_ANSWER, as_json(run))
    await expect(dialog).to_have_count(0)


async def test_a_picture_is_zoomed_by_wheel_and_moved_by_pointer(gallery: GalleryHost) -> None:
    await gallery.call("execute_inference", wanted(width=1024, height=1024))
    await gallery.app.get_by_role("button", name="Zoom picture 1").press("Enter")
    picture = gallery.app.get_by_role("dialog").get_by_role("img")
    await is_drawn(picture)
    await picture.hover()
    await gallery.page.mouse.wheel(0, -500)
    await gallery.page.mouse.wheel(0, -500)
    await expect(gallery.app.get_by_text("156 %")).to_be_visible()
    before = await picture.evaluate("image => image.style.transform")
    await gallery.page.mouse.down()
    await gallery.page.mouse.move(500, 260)
    await gallery.page.mouse.up()
    assert await picture.evaluate("image => image.style.transform") != before


@pytest.mark.parametrize(
    ("model_id", "name", "player"), [(VIDEO, "Video 1", "video"), (SOUND, "Sound 1", "audio")]
)
async def test_a_video_has_a_player(
    gallery: GalleryHost, model_id: str, name: str, player: str
) -> None:
    await gallery.call("execute_inference", wanted(model_id))
    element = gallery.app.locator(f"{player}[aria-label='{name}']")
    await expect(element).to_be_visible()
    seconds = await element.evaluate(
        "clip => new Promise((done, failed) => {"
        "  const tell = () => done(clip.duration);"
        "  if (clip.readyState) tell(); else clip.onloadedmetadata = tell;"
        "  if (clip.error) failed(clip.error.message);"
        "})"
    )
    assert seconds == pytest.approx(2, abs=0.2)


async def test_a_mesh_is_drawn_and_turns_by_keys(gallery: GalleryHost) -> None:
    await gallery.call("execute_inference", wanted(MESH))
    canvas = gallery.app.get_by_role("img", name="3D model 1")
    await expect(canvas).to_have_attribute("data-drawn", "true")
    before = await canvas.screenshot()
    assert colours(before) > 50
    for _ in range(4):
        await canvas.press("ArrowRight")
    await expect(canvas).to_have_attribute("data-turned", "1.05")
    assert gallery.shown.refused == []


async def test_a_mesh_is_drawn_only_when_it_moves(gallery: GalleryHost) -> None:
    await gallery.call("execute_inference", wanted(MESH))
    canvas = gallery.app.get_by_role("img", name="3D model 1")
    await expect(canvas).to_have_attribute("data-drawn", "true")
    await gallery.frame.evaluate(COUNT_DRAWS)
    assert await gallery.frame.evaluate(COMES_TO_REST)
    draws = await gallery.frame.evaluate("window.draws()")
    await canvas.press("ArrowRight")
    await gallery.frame.wait_for_function("before => window.draws() > before", arg=draws)


async def test_a_mesh_turns_by_itself_until_the_button_stops_it(gallery: GalleryHost) -> None:
    await gallery.call("execute_inference", wanted(MESH))
    canvas = gallery.app.get_by_role("img", name="3D model 1")
    await expect(canvas).to_have_attribute("data-drawn", "true")
    await gallery.frame.evaluate(COUNT_DRAWS)
    button = gallery.app.get_by_role("button", name="Turn by itself")
    await button.press("Enter")
    for _ in range(3):
        draws = await gallery.frame.evaluate("window.draws()")
        await gallery.frame.wait_for_function("before => window.draws() > before", arg=draws)
    await button.press("Enter")
    assert await gallery.frame.evaluate(COMES_TO_REST)


async def test_a_mesh_shows_its_embedded_texture(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    run = await gallery.client.call_tool("execute_inference", wanted(MESH))
    [(file_id, file)] = sandbox.state.files.items()
    sandbox.state.files[file_id] = replace(file, data=textured_square())
    await gallery.show(as_json(run))
    canvas = gallery.app.get_by_role("img", name="3D model 1")
    await expect(canvas).to_have_attribute("data-drawn", "true")
    with Image.open(io.BytesIO(await canvas.screenshot())) as picture:
        middle = (picture.width // 2, picture.height // 2)
        red, green, blue = ImageStat.Stat(
            picture.convert("RGB").crop((*middle, middle[0] + 1, middle[1] + 1))
        ).mean
    assert green > 2 * max(red, blue)
    assert gallery.shown.refused == []


async def test_does_not_draw_a_mesh_closed_while_it_loads(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    run = await gallery.client.call_tool("execute_inference", wanted(MESH))
    [(file_id, file)] = sandbox.state.files.items()
    sandbox.state.files[file_id] = replace(file, data=textured_square())
    await gallery.call("execute_inference", wanted())
    await is_drawn(gallery.app.get_by_role("img", name="Picture 1"))
    await gallery.frame.evaluate(COUNT_CONTEXTS)
    await gallery.frame.evaluate(HOLD_PICTURES)
    await gallery.page.evaluate(ANOTHER_ANSWER, as_json(run))
    await expect(gallery.app.locator("html")).to_have_attribute("data-held", "true")
    await gallery.page.evaluate(ANOTHER_ANSWER, as_json(run))
    await gallery.frame.evaluate("window.release()")
    canvas = gallery.app.get_by_role("img", name="3D model 1")
    await expect(canvas).to_have_attribute("data-drawn", "true")
    assert await gallery.frame.evaluate("window.alive()") == 1


async def test_a_mesh_that_came_into_view_is_drawn(gallery: GalleryHost) -> None:
    run = await gallery.client.call_tool("execute_inference", wanted(MESH))
    await gallery.call("execute_inference", wanted())
    await is_drawn(gallery.app.get_by_role("img", name="Picture 1"))
    await gallery.frame.evaluate(OUT_OF_VIEW_AND_BACK)
    await gallery.page.evaluate(ANOTHER_ANSWER, as_json(run))
    canvas = gallery.app.get_by_role("img", name="3D model 1")
    await expect(canvas).to_have_attribute("data-drawn", "true")


async def test_stops_reading_an_endless_mesh(gallery: GalleryHost) -> None:
    run = await gallery.client.call_tool("execute_inference", wanted(MESH))
    await gallery.call("execute_inference", wanted())
    await is_drawn(gallery.app.get_by_role("img", name="Picture 1"))
    await gallery.frame.evaluate(ENDLESS)
    await gallery.page.evaluate(ANOTHER_ANSWER, as_json(run))
    await expect(gallery.app.get_by_text("This 3D model is too large")).to_be_visible()


@pytest.mark.browser
async def test_a_browser_without_webgl_says_so(environment: dict[str, str]) -> None:
    async with (
        chromium("--disable-3d-apis") as browser,
        gallery_host(browser, environment) as gallery,
    ):
        await gallery.call("execute_inference", wanted(MESH))
        await expect(gallery.app.get_by_text("3D isn't available here.")).to_be_visible()


async def test_the_host_loads_a_mesh_that_the_page_may_not_read(gallery: GalleryHost) -> None:
    await gallery.page.route("**/*.glb", lambda route: route.abort())
    await gallery.call("execute_inference", wanted(MESH))
    canvas = gallery.app.get_by_role("img", name="3D model 1")
    await expect(canvas).to_have_attribute("data-drawn", "true")


async def test_the_runs_are_a_grid_from_which_one_opens(gallery: GalleryHost) -> None:
    for prompt in ("a red potion", "a blue potion"):
        await gallery.client.call_tool("execute_inference", wanted(prompt=prompt))
    await gallery.call("list_runs", {})
    await expect(gallery.app.get_by_role("heading", name="2 runs")).to_be_visible()
    await expect(gallery.app.locator(".thumbnail img")).to_have_count(2)
    await gallery.app.get_by_role("button", name="a red potion").press("Enter")
    await is_drawn(gallery.app.get_by_role("img", name="Picture 1"))
    await gallery.app.get_by_role("button", name="Back").press("Enter")
    await expect(gallery.app.get_by_role("heading", name="2 runs")).to_be_visible()


async def test_the_running_ones_of_a_list_are_followed(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = NEVER
    await gallery.client.call_tool("execute_inference", wanted(wait_seconds=0))
    await gallery.call("list_runs", {})
    await expect(gallery.app.get_by_text("Generating")).to_be_visible()
    sandbox.state.knobs.run_seconds = 0
    await expect(gallery.app.get_by_text("Complete", exact=True)).to_be_visible()
    await expect(gallery.app.locator(".thumbnail img")).to_have_count(1)


async def test_queued_runs_are_followed_too(gallery: GalleryHost, sandbox: RunningSandbox) -> None:
    sandbox.state.knobs.run_seconds = NEVER
    batch = {
        "defaults": {"model_id": IMAGE, "width": 256, "height": 256, "batch_size": 1},
        "requests": [{"prompt": f"potion {number}"} for number in range(7)],
    }
    started = await gallery.client.call_tool("execute_batch", batch)
    await gallery.call("list_runs", {"batch_id": content_of(started)["batch_id"]})
    await expect(gallery.app.get_by_text("Queued")).to_have_count(2)
    sandbox.state.knobs.run_seconds = 0
    await expect(gallery.app.get_by_text("Complete", exact=True)).to_have_count(7)
    await expect(gallery.app.get_by_role("button", name="potion")).to_have_count(7)


async def test_shows_older_runs_on_request(gallery: GalleryHost) -> None:
    for number in range(3):
        await gallery.client.call_tool("execute_inference", wanted(prompt=f"potion {number}"))
    await gallery.call("list_runs", {"limit": 2})
    await expect(gallery.app.get_by_role("listitem")).to_have_count(2)
    await gallery.app.get_by_role("button", name="Older runs").press("Enter")
    await expect(gallery.app.get_by_role("listitem")).to_have_count(3)


async def test_a_workflow_run_is_followed_to_its_files(
    browser: Browser, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    environment |= {"LAYER_TOOLSETS": "all"}
    async with gallery_host(browser, environment) as gallery:
        workflow = sandbox.state.workflows[0]
        given = {"workflow_id": workflow.workflow_id, "inputs": {"prompt": "a red potion"}}
        await gallery.call("execute_workflow", given)
        await expect(gallery.app.get_by_text("Complete", exact=True)).to_be_visible()
        await expect(gallery.app.get_by_role("button", name="Save files")).to_be_visible()
        await expect(gallery.app.get_by_role("button", name="Run again")).to_have_count(0)


async def test_sends_requests_only_to_the_named_hosts(
    browser: Browser, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    over_http = Host("http", "2026-07-28")
    async with gallery_host(browser, environment, connection=over_http) as gallery:
        for model_id in (IMAGE, MESH):
            await gallery.call("execute_inference", wanted(model_id))
            await expect(gallery.app.get_by_text("Complete", exact=True)).to_be_visible()
        await expect(gallery.app.locator("canvas")).to_have_attribute("data-drawn", "true")
        assert gallery.shown.origins == {"http://127.0.0.1:9102", sandbox.media_url}
        assert gallery.shown.refused == []
        assert gallery.shown.errors == []


async def test_a_run_of_a_call_with_few_facts_is_shown(gallery: GalleryHost) -> None:
    await gallery.call("execute_inference", SMALL_IMAGE | {"wait_seconds": 20})
    await is_drawn(gallery.app.get_by_role("img", name="Picture 1"))
