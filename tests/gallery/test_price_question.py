"""A call that needs a person's approval: the gallery asks them, within the server's own rules."""

from typing import Any

import pytest
from playwright.async_api import Browser, Locator, expect

from layer_mcp.sandbox import Fault, RunningSandbox

from ..support.gallery_host import GalleryHost, gallery_host
from ..support.hosts import SMALL_IMAGE

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

FOUR: dict[str, Any] = SMALL_IMAGE | {"batch_size": 4, "width": 256, "height": 256}
ASKS_ALWAYS = {"LAYER_CONFIRM_ABOVE": "0"}


def question(gallery: GalleryHost) -> Locator:
    return gallery.app.get_by_role("region", name="Confirm the price")


def start(gallery: GalleryHost) -> Locator:
    return gallery.app.get_by_role("button", name="Start for")


def runs_of(sandbox: RunningSandbox) -> int:
    return sandbox.state.arrived["execute_inference"]


@pytest.mark.smoke
async def test_a_price_that_needs_approval_is_a_question_to_a_person(
    browser: Browser, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with gallery_host(browser, environment | ASKS_ALWAYS) as gallery:
        await gallery.call("execute_inference", FOUR)
        await expect(gallery.app.get_by_role("heading", name=FOUR["prompt"])).to_be_visible()
        await expect(start(gallery)).to_have_text("Start for 0.03 CU")
        await expect(question(gallery)).to_contain_text("999.97 CU after this run")
        await expect(gallery.app.get_by_text("4 files · 256 × 256")).to_be_visible()  # noqa: RUF001
        for word in ("max_price_creative_units", "Tell the user", "failed", "CONFIRMATION"):
            await expect(gallery.app.get_by_text(word)).to_have_count(0)
        await expect(gallery.app.get_by_role("alert")).to_have_count(0)
        assert runs_of(sandbox) == 0


async def test_approval_starts_the_run_at_that_price(
    browser: Browser, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with gallery_host(browser, environment | ASKS_ALWAYS) as gallery:
        await gallery.call("execute_inference", FOUR | {"wait_seconds": 20, "seed": 7})
        await start(gallery).press("Enter")
        await expect(gallery.app.get_by_role("img", name="Picture 4")).to_be_visible()
        await expect(gallery.app.get_by_role("button", name="Back")).to_have_count(0)
        [given] = gallery.shown.calls_of("execute_inference")
        assert given == FOUR | {"seed": 7, "max_price_creative_units": 0.03, "preview": False}
        assert runs_of(sandbox) == 1


async def test_the_agent_learns_that_the_user_started_the_run(
    browser: Browser, environment: dict[str, str]
) -> None:
    async with gallery_host(browser, environment | ASKS_ALWAYS) as gallery:
        await gallery.call("execute_inference", FOUR)
        await start(gallery).press("Enter")
        await expect(gallery.app.get_by_role("img", name="Picture 4")).to_be_visible()
        [[told]] = gallery.shown.contexts
        assert "approved 0.03 CU" in told["text"]
        assert "Do not start it again" in told["text"]


async def test_cancel_sends_nothing_and_the_price_can_be_shown_again(
    browser: Browser, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with gallery_host(browser, environment | ASKS_ALWAYS) as gallery:
        await gallery.call("execute_inference", FOUR)
        await gallery.app.get_by_role("button", name="Cancel").press("Enter")
        await expect(gallery.app.get_by_text("so nothing was charged")).to_be_visible()
        await expect(start(gallery)).to_have_count(0)
        assert gallery.shown.calls_of("execute_inference") == []
        await gallery.app.get_by_role("button", name="Show the price again").press("Enter")
        await start(gallery).press("Enter")
        await expect(gallery.app.get_by_role("img", name="Picture 4")).to_be_visible()
        assert runs_of(sandbox) == 1


async def test_also_asks_about_a_price_above_the_agents_limit(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    await gallery.call("execute_inference", FOUR | {"max_price_creative_units": 0.01})
    await expect(question(gallery)).to_contain_text("more than your agent was going to spend")
    await start(gallery).press("Enter")
    await expect(gallery.app.get_by_role("img", name="Picture 4")).to_be_visible()
    assert runs_of(sandbox) == 1


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        ({"LAYER_MAX_PRICE": "0.01"}, "PRICE_ABOVE_LIMIT"),
        ({"LAYER_MAX_SPEND_PER_DAY": "0.01"}, "SPENDING_LIMIT_REACHED"),
    ],
    ids=["a run", "a day"],
)
async def test_does_not_ask_about_a_price_above_a_limit_in_the_settings(
    browser: Browser, environment: dict[str, str], limit: dict[str, str], code: str
) -> None:
    async with gallery_host(browser, environment | limit) as gallery:
        await gallery.call("execute_inference", FOUR)
        await expect(gallery.app.get_by_role("heading", name="Not started")).to_be_visible()
        await expect(gallery.app.get_by_text(code)).to_be_visible()
        await expect(gallery.app.get_by_text("Nothing was charged.")).to_be_visible()
        await expect(start(gallery)).to_have_count(0)


async def test_an_approved_price_passes_no_limit_of_the_settings(
    browser: Browser, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    limits = ASKS_ALWAYS | {"LAYER_MAX_SPEND_PER_DAY": "0.05"}
    async with gallery_host(browser, environment | limits) as gallery:
        await gallery.call("execute_inference", FOUR)
        other = FOUR | {"prompt": "a blue potion", "max_price_creative_units": 0.03}
        await gallery.client.call_tool("execute_inference", other)
        await start(gallery).press("Enter")
        await expect(gallery.app.get_by_role("alert")).to_contain_text("SPENDING_LIMIT_REACHED")
        assert runs_of(sandbox) == 1


async def test_asks_again_about_a_higher_price(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    low = {
        "error": {"code": "CONFIRMATION_REQUIRED", "message": "The price is 0.01 CU."},
        "estimated_price_creative_units": 0.01,
    }
    await gallery.show({"content": [], "structuredContent": low, "isError": True}, FOUR)
    await start(gallery).press("Enter")
    await expect(start(gallery)).to_have_text("Start for 0.03 CU")
    await expect(question(gallery)).to_contain_text("The price has changed.")
    assert runs_of(sandbox) == 0


async def test_an_unknown_price_can_be_requested_again(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("estimate_price", *[Fault("status", status=500)] * 10)
    await gallery.call("execute_inference", FOUR | {"wait_seconds": 5})
    await expect(question(gallery)).to_contain_text("PRICE_UNKNOWN")
    sandbox.state.knobs.faults.clear()
    await gallery.app.get_by_role("button", name="Try again").press("Enter")
    await start(gallery).press("Enter")
    await expect(gallery.app.get_by_role("img", name="Picture 4")).to_be_visible()


async def test_a_workflow_run_is_approved_in_the_same_way(
    browser: Browser, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    settings = environment | ASKS_ALWAYS | {"LAYER_TOOLSETS": "all"}
    async with gallery_host(browser, settings) as gallery:
        workflow = sandbox.state.workflows[0]
        given = {"workflow_id": workflow.workflow_id, "inputs": {"prompt": "a red potion"}}
        await gallery.call("execute_workflow", given)
        await start(gallery).press("Enter")
        await expect(gallery.app.get_by_text("Complete", exact=True)).to_be_visible()
        [paid] = gallery.shown.calls_of("execute_workflow")
        assert paid["inputs"] == given["inputs"]


async def test_a_price_without_its_call_cannot_be_approved(
    browser: Browser, environment: dict[str, str]
) -> None:
    async with gallery_host(browser, environment | ASKS_ALWAYS) as gallery:
        result = await gallery.client.call_tool("execute_inference", FOUR)
        await gallery.show(result.model_dump(mode="json", by_alias=True, exclude_none=True))
        await expect(gallery.app.get_by_text("The price is 0.03 CU")).to_be_visible()
        await expect(gallery.app.get_by_text("Answer in the chat.")).to_be_visible()
        await expect(start(gallery)).to_have_count(0)
