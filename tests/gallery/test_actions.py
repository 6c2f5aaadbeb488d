"""What a person can do in the gallery: save, pay for another, use a file as reference."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, expect

from layer_mcp.sandbox import Fault, RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_models

from ..support.gallery_host import GalleryHost, as_json, gallery_host
from ..support.hosts import SMALL_IMAGE

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

READY: dict[str, Any] = SMALL_IMAGE | {
    "wait_seconds": 20,
    "seed": 7,
    "batch_size": 2,
    "width": 256,
    "height": 256,
}
MESH, UPSCALE = sandbox_models()[3].model_id, sandbox_models()[6].model_id
UNKNOWN = "00000000-0000-4000-8000-00000000beef"
# What the host does after the server has answered a call, in place of handing the answer on.
AND_THEN = """() => {
  const ask = window.askServer;
  window.askServer = async (method, params) => {
    const answer = await ask(method, params);
    if (params.name === "execute_inference") WHAT;
    return answer;
  };
}"""
UNTIL_RELEASED = """{
  await new Promise((done) => { window.release = done; });
  throw new Error("late");
}"""


async def release(gallery: GalleryHost) -> None:
    """Let the held answer go on, once the server has given it."""
    await gallery.page.wait_for_function("() => window.release !== undefined")
    await gallery.page.evaluate("window.release()")


def again(gallery: GalleryHost) -> Locator:
    return gallery.app.get_by_role("button", name="Run again with a new seed")


async def repeat(gallery: GalleryHost) -> None:
    await expect(again(gallery)).to_be_enabled()
    await again(gallery).press("Enter")


async def see_the_price(gallery: GalleryHost) -> None:
    button = gallery.app.get_by_role("button", name="See the price")
    await expect(button).to_be_enabled()
    await button.press("Enter")


def start(gallery: GalleryHost) -> Locator:
    return gallery.app.get_by_role("button", name="Start for")


def seeds(sandbox: RunningSandbox) -> list[int]:
    return [run.request.seed for run in sandbox.state.runs.values()]


@pytest.mark.smoke
async def test_saving_names_the_files_and_their_folder(
    gallery: GalleryHost, environment: dict[str, str], tmp_path: Path
) -> None:
    await gallery.call("execute_inference", READY)
    await gallery.app.get_by_role("button", name="Save files").press("Enter")
    await expect(gallery.app.get_by_text("2 files saved", exact=True)).to_be_visible()
    saved = sorted((tmp_path / "home" / "Layer").glob("*.png"))
    assert len(saved) == 2
    for path in saved:
        await expect(gallery.app.get_by_text(path.name, exact=True)).to_be_visible()
    await expect(gallery.app.get_by_text(str(saved[0].parent), exact=True)).to_be_visible()


async def test_the_agent_learns_what_was_saved(gallery: GalleryHost) -> None:
    run = await gallery.call("execute_inference", READY)
    await gallery.app.get_by_role("button", name="Save files").press("Enter")
    await expect(gallery.app.get_by_text("2 files saved", exact=True)).to_be_visible()
    while not gallery.shown.contexts:
        await gallery.page.wait_for_timeout(20)
    [[told]] = gallery.shown.contexts
    assert run["inference_id"] in told["text"]


async def test_a_failed_save_says_why_and_can_be_tried_again(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    await gallery.call("execute_inference", READY)
    save = gallery.app.get_by_role("button", name="Save files")
    await expect(gallery.app.get_by_text("Complete", exact=True)).to_be_visible()
    sandbox.state.knobs.fail_next("get_inference", Fault("status", status=404, code="NOT_FOUND"))
    await save.press("Enter")
    await expect(gallery.app.get_by_role("alert")).to_be_visible()
    await save.press("Enter")
    await expect(gallery.app.get_by_text("2 files saved", exact=True)).to_be_visible()


async def test_automatically_saved_files_have_no_save_button(
    browser: Browser, environment: dict[str, str], tmp_path: Path
) -> None:
    environment |= {"LAYER_OUTPUT_DIR": str(tmp_path / "out")}
    async with gallery_host(browser, environment) as gallery:
        await gallery.call("execute_inference", READY)
        await expect(gallery.app.get_by_text("2 files saved", exact=True)).to_be_visible()
        await expect(gallery.app.get_by_role("button", name="Save files")).to_have_count(0)


async def test_repeat_button_shows_the_price_and_starts_nothing(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    await gallery.call("execute_inference", READY)
    await repeat(gallery)
    await expect(start(gallery)).to_be_visible()
    await expect(gallery.app.get_by_text("Balance 999.99 CU")).to_be_visible()
    assert sandbox.state.arrived["execute_inference"] == 1


@pytest.mark.smoke
async def test_a_confirmed_price_starts_exactly_one_run_with_another_seed(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    await gallery.call("execute_inference", READY)
    await repeat(gallery)
    await start(gallery).dblclick()
    await expect(gallery.app.get_by_role("button", name="Back")).to_be_visible()
    await expect(gallery.app.get_by_text("Complete", exact=True)).to_be_visible()
    first, second = seeds(sandbox)
    assert first == 7 != second
    [paid] = gallery.shown.calls_of("execute_inference")
    assert paid["max_price_creative_units"] == pytest.approx(0.01, abs=0.01)


async def test_the_new_run_repeats_the_whole_request(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    await gallery.call("execute_inference", READY)
    await repeat(gallery)
    await start(gallery).press("Enter")
    await expect(gallery.app.get_by_role("button", name="Back")).to_be_visible()
    first, second = (run.request for run in sandbox.state.runs.values())
    assert second.model_copy(update={"seed": first.seed}).body() == first.body()


async def test_approval_on_the_page_counts_for_the_server(
    browser: Browser, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    environment |= {"LAYER_CONFIRM_ABOVE": "0.001"}
    async with gallery_host(browser, environment) as gallery:
        await gallery.call("execute_inference", READY | {"max_price_creative_units": 1})
        await repeat(gallery)
        await start(gallery).press("Enter")
        await expect(gallery.app.get_by_role("button", name="Back")).to_be_visible()
    assert sandbox.state.arrived["execute_inference"] == 2


async def test_the_limit_per_run_applies_on_the_page(
    browser: Browser, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with gallery_host(browser, environment) as gallery:
        run = await gallery.client.call_tool("execute_inference", READY)
    environment |= {"LAYER_MAX_PRICE": "0.001"}
    async with gallery_host(browser, environment) as gallery:
        await gallery.show(as_json(run))
        await repeat(gallery)
        await start(gallery).press("Enter")
        await expect(gallery.app.get_by_role("alert")).to_contain_text("LAYER_MAX_PRICE")
    assert sandbox.state.arrived["execute_inference"] == 1


async def test_a_free_run_can_be_started_again(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    await gallery.call("execute_inference", READY | {"width": 64, "height": 64})
    await repeat(gallery)
    await gallery.app.get_by_role("button", name="Start for 0 CU").press("Enter")
    await expect(gallery.app.get_by_role("button", name="Back")).to_be_visible()
    assert sandbox.state.arrived["execute_inference"] == 2
    [paid] = gallery.shown.calls_of("execute_inference")
    assert paid["max_price_creative_units"] == 0


async def test_a_cancelled_price_gives_the_focus_back(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    await gallery.call("execute_inference", READY)
    await repeat(gallery)
    await gallery.app.get_by_role("button", name="Cancel").press("Enter")
    await expect(again(gallery)).to_be_focused()
    await expect(start(gallery)).to_have_count(0)
    assert sandbox.state.arrived["execute_inference"] == 1


async def test_a_low_balance_hides_the_start_button(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    await gallery.call("execute_inference", READY)
    sandbox.state.workspaces[0].balance_creative_units = 0
    await repeat(gallery)
    await expect(gallery.app.get_by_text("CU short.")).to_be_visible()
    await expect(start(gallery)).to_have_count(0)


async def test_without_a_price_nothing_can_be_started(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    await gallery.call("execute_inference", READY)
    await expect(again(gallery)).to_be_enabled()
    faults = [Fault("status", status=500)] * 20
    sandbox.state.knobs.fail_next("estimate_price", *faults)
    await repeat(gallery)
    await expect(gallery.app.get_by_role("alert")).to_be_visible()
    await expect(start(gallery)).to_have_count(0)


async def test_repeating_a_call_with_an_unknown_outcome_never_pays_twice(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    await gallery.call("execute_inference", READY)
    sandbox.state.knobs.fail_next("execute_inference", Fault("drop", accepted=True))
    await repeat(gallery)
    await start(gallery).press("Enter")
    await expect(gallery.app.get_by_text("OUTCOME_UNKNOWN")).to_be_visible()
    await gallery.app.get_by_role("button", name="Close").press("Enter")
    await repeat(gallery)
    await start(gallery).press("Enter")
    await expect(gallery.app.get_by_role("alert")).to_be_visible()
    assert len(seeds(sandbox)) == 2
    one, other = gallery.shown.calls_of("execute_inference")
    assert one["seed"] == other["seed"]


async def test_a_paid_call_without_an_answer_from_the_host_may_have_been_paid(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    await gallery.call("execute_inference", READY)
    await gallery.page.evaluate(AND_THEN.replace("WHAT", "throw new Error('late')"))
    await repeat(gallery)
    await start(gallery).press("Enter")
    alert = gallery.app.get_by_role("alert")
    await expect(alert).to_contain_text("the run may have been started")
    await expect(alert).to_contain_text("OUTCOME_UNKNOWN")
    assert len(seeds(sandbox)) == 2


async def test_a_payment_in_progress_cannot_be_cancelled(gallery: GalleryHost) -> None:
    await gallery.call("execute_inference", READY)
    await gallery.page.evaluate(AND_THEN.replace("WHAT", "await new Promise(() => {})"))
    await repeat(gallery)
    await start(gallery).press("Enter")
    await expect(gallery.app.get_by_text("Starting…")).to_be_visible()
    await expect(gallery.app.get_by_role("button", name="Cancel")).to_be_disabled()


async def test_the_panel_stays_open_during_a_payment(gallery: GalleryHost) -> None:
    await gallery.call("execute_inference", READY)
    await gallery.page.evaluate(AND_THEN.replace("WHAT", UNTIL_RELEASED))
    await repeat(gallery)
    await start(gallery).press("Enter")
    await expect(gallery.app.get_by_text("Starting…")).to_be_visible()
    await gallery.app.get_by_role("button", name="Use file 1 as a reference").press("Enter")
    await expect(gallery.app.get_by_text("A run is being started.")).to_be_attached()
    await expect(gallery.app.get_by_role("form")).to_have_count(0)
    await expect(again(gallery)).to_be_disabled()
    await release(gallery)
    await expect(gallery.app.get_by_role("alert")).to_contain_text("OUTCOME_UNKNOWN")
    await gallery.app.get_by_role("button", name="Use file 1 as a reference").press("Enter")
    await expect(gallery.app.get_by_role("form")).to_be_visible()


async def test_reports_a_failed_payment_after_another_answer(gallery: GalleryHost) -> None:
    run = await gallery.client.call_tool("execute_inference", READY)
    await gallery.show(as_json(run))
    await gallery.page.evaluate(AND_THEN.replace("WHAT", UNTIL_RELEASED))
    await repeat(gallery)
    await start(gallery).press("Enter")
    await expect(gallery.app.get_by_text("Starting…")).to_be_visible()
    await gallery.page.evaluate("result => window.bridge.sendToolResult(result)", as_json(run))
    await expect(gallery.app.get_by_text("Starting…")).to_have_count(0)
    await release(gallery)
    await expect(gallery.app.get_by_role("alert")).to_contain_text("OUTCOME_UNKNOWN")


async def test_a_picture_becomes_the_reference_of_a_new_run(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    run = await gallery.call("execute_inference", READY)
    await gallery.app.get_by_role("button", name="Use file 2 as a reference").press("Enter")
    form = gallery.app.get_by_role("form", name="Use file 2 as a reference")
    await expect(form.get_by_label("Prompt")).to_be_focused()
    await form.get_by_label("Prompt").fill("the same in blue")
    await expect(form.get_by_label("Use it as")).to_have_value("reference_image")
    await see_the_price(gallery)
    await start(gallery).press("Enter")
    await expect(gallery.app.get_by_role("heading", name="the same in blue")).to_be_visible()
    made = list(sandbox.state.runs.values())[-1].request
    assert [str(file.file_id) for file in made.guidance_files] == [run["outputs"][1]["file_id"]]
    assert (made.prompt, made.batch_size, made.width) == ("the same in blue", 1, 256)


async def test_a_picture_becomes_the_reference_of_another_model(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    await gallery.call("execute_inference", READY)
    await gallery.app.get_by_role("button", name="Use file 1 as a reference").press("Enter")
    form = gallery.app.get_by_role("form")
    await form.get_by_label("Model").select_option(MESH)
    await form.get_by_label("Prompt").fill("as a mesh")
    await see_the_price(gallery)
    await expect(gallery.app.get_by_role("button", name="Start for 2.2 CU")).to_be_visible()
    await start(gallery).press("Enter")
    await expect(gallery.app.get_by_role("heading", name="as a mesh")).to_be_visible()
    assert list(sandbox.state.runs.values())[-1].model.model_id == MESH


async def test_a_reference_is_used_only_as_its_model_takes_it(gallery: GalleryHost) -> None:
    await gallery.call("execute_inference", READY)
    await gallery.app.get_by_role("button", name="Use file 1 as a reference").press("Enter")
    form = gallery.app.get_by_role("form")
    await form.get_by_label("Model").select_option(UPSCALE)
    await expect(form.get_by_label("Use it as")).to_have_value("init")


async def test_shows_no_price_before_the_models_arguments_are_known(gallery: GalleryHost) -> None:
    await gallery.call("execute_inference", READY)
    await gallery.app.get_by_role("button", name="Use file 1 as a reference").press("Enter")
    form = gallery.app.get_by_role("form")
    price = form.get_by_role("button", name="See the price")
    await expect(price).to_be_enabled()
    forever = AND_THEN.replace("execute_inference", "get_model")
    await gallery.page.evaluate(forever.replace("WHAT", "await new Promise(() => {})"))
    await form.get_by_label("Model").select_option(UPSCALE)
    await expect(price).to_be_disabled()


@pytest.mark.parametrize(
    ("answered", "words"),
    [
        ("return { content: [], structuredContent: { models: [] } }", "No model in this workspace"),
        ("throw new Error('no')", "The models can't be listed."),
    ],
    ids=["none", "refused"],
)
async def test_a_form_without_a_model_says_why(
    gallery: GalleryHost, answered: str, words: str
) -> None:
    [file] = (await gallery.call("execute_inference", READY | {"batch_size": 1}))["outputs"]
    unknown = {"inference_id": UNKNOWN, "status": "complete", "outputs": [file]}
    await gallery.show({"content": [], "structuredContent": unknown})
    listing = AND_THEN.replace("execute_inference", "list_models")
    await gallery.page.evaluate(listing.replace("WHAT", answered))
    await gallery.app.get_by_role("button", name="Use file 1 as a reference").press("Enter")
    form = gallery.app.get_by_role("form")
    await expect(form.get_by_role("alert")).to_contain_text(words)
    await expect(form.get_by_role("button", name="See the price")).to_have_count(0)


async def test_a_form_without_a_prompt_requests_no_price(gallery: GalleryHost) -> None:
    await gallery.call("execute_inference", READY)
    await gallery.app.get_by_role("button", name="Use file 1 as a reference").press("Enter")
    await see_the_price(gallery)
    await expect(gallery.app.get_by_label("Prompt")).to_be_focused()
    assert gallery.shown.calls_of("estimate_price") == []


async def test_a_file_is_opened_by_the_host(gallery: GalleryHost) -> None:
    run = await gallery.call("execute_inference", READY)
    await gallery.app.get_by_role("button", name="Open file 1 in the browser").press("Enter")
    await expect(gallery.app.get_by_text("Complete", exact=True)).to_be_visible()
    assert gallery.shown.links == [run["outputs"][0]["url"]]
