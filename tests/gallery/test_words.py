"""What the gallery tells a person: charges, names instead of IDs, and empty lists."""

import re
from typing import Any

import pytest
from playwright.async_api import Locator, expect

from layer_mcp.sandbox import RunningSandbox

from ..support.gallery_host import GalleryHost, as_json
from ..support.hosts import SMALL_IMAGE

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

READY: dict[str, Any] = SMALL_IMAGE | {"wait_seconds": 20}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
RUN = "00000000-0000-4000-8000-00000000beef"


def price(gallery: GalleryHost) -> Locator:
    return gallery.app.locator(".price")


async def show(gallery: GalleryHost, **facts: Any) -> None:
    content = {"inference_id": RUN, "estimated_price_creative_units": 0.5} | facts
    await gallery.show({"content": [], "structuredContent": content})


async def test_a_failed_run_says_that_it_was_not_charged(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_error = ("CONTENT_POLICY_VIOLATION", "The prompt was refused")
    await gallery.call("execute_inference", READY)
    await expect(price(gallery)).to_have_text("Not charged")


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"status": "failed", "actual_price_creative_units": 0.5}, "0.5 CUcharged"),
        ({"status": "failed", "actual_price_creative_units": 0}, "Not charged"),
        ({"status": "not_sent"}, "Not charged"),
        ({"status": "cancelled"}, "0.5 CUestimated, no charge reported"),
        ({"status": "unknown"}, "0.5 CUestimated, may be charged"),
        ({"status": "in_progress"}, "0.5 CUestimated"),
        (
            {"status": "complete", "actual_price_creative_units": 0.4},
            "0.4 CUcharged, 0.5 CU estimated",
        ),
    ],
    ids=["charged", "free", "not sent", "cancelled", "unknown", "running", "complete"],
)
async def test_a_run_says_whether_it_was_charged(
    gallery: GalleryHost, facts: dict[str, Any], words: str
) -> None:
    await show(gallery, **facts)
    await expect(price(gallery)).to_have_text(words)


async def test_a_failed_run_in_a_list_was_not_charged(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_error = ("CONTENT_POLICY_VIOLATION", "The prompt was refused")
    await gallery.client.call_tool("execute_inference", READY)
    await gallery.call("list_runs", {})
    await expect(gallery.app.get_by_role("listitem")).to_contain_text("Not charged")


async def test_a_simulated_run_is_never_called_charged(gallery: GalleryHost) -> None:
    facts = {"status": "complete", "actual_price_creative_units": 0.5, "simulated": True}
    await show(gallery, **facts)
    await expect(price(gallery)).to_have_text("0.5 CUsimulated, not charged")
    await expect(gallery.app.get_by_text(re.compile("simulated", re.IGNORECASE))).to_have_count(1)


async def test_a_simulated_list_is_never_called_spent(gallery: GalleryHost) -> None:
    rows = [{"inference_id": RUN, "status": "complete", "actual_price_creative_units": 0.5}]
    content = {"runs": rows, "total": 1, "spent_creative_units": 0.5, "simulated": True}
    await gallery.show({"content": [], "structuredContent": content})
    await expect(gallery.app.get_by_text("0.5 CU simulated, nothing charged")).to_be_visible()
    await expect(gallery.app.get_by_text("spent")).to_have_count(0)


async def test_the_price_of_a_simulated_run_says_that_nothing_is_charged(
    gallery: GalleryHost,
) -> None:
    facts = {"error": {"code": "CONFIRMATION_REQUIRED", "message": "The price is 30 CU."}}
    content = facts | {"estimated_price_creative_units": 30, "simulated": True}
    await gallery.show({"content": [], "structuredContent": content, "isError": True}, READY)
    await expect(gallery.app.get_by_text("In the sandbox, nothing is charged.")).to_be_visible()


async def test_parameters_name_model_and_workspace_and_no_id_but_the_runs(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    run = as_json(await gallery.client.call_tool("execute_inference", READY))["structuredContent"]
    reference = {"file_id": run["outputs"][0]["file_id"], "type": "reference_image"}
    await gallery.call("execute_inference", READY | {"guidance_files": [reference]})
    await expect(gallery.app.get_by_text("Sandbox Image ·")).to_be_visible()
    await gallery.app.get_by_text("Parameters").press("Enter")
    values = gallery.app.locator("dd")
    await expect(values.get_by_text("Sandbox Image", exact=True)).to_be_visible()
    name = sandbox.state.workspaces[0].name
    await expect(values.get_by_text(name, exact=True)).to_be_visible()
    await expect(values.get_by_text("Reference image")).to_be_visible()
    assert len(UUID.findall(" ".join(await values.all_inner_texts()))) == 1


async def test_a_filter_that_finds_nothing_is_not_called_an_empty_gallery(
    gallery: GalleryHost,
) -> None:
    await gallery.client.call_tool("execute_inference", READY)
    await gallery.call("list_runs", {"status": "failed"})
    await expect(gallery.app.get_by_text("No runs match these filters.")).to_be_visible()
    await expect(gallery.app.get_by_text("No runs yet")).to_have_count(0)
    await gallery.app.get_by_role("button", name="Show all runs").press("Enter")
    await expect(gallery.app.get_by_role("heading", name="1 run")).to_be_visible()


@pytest.mark.parametrize("given", [{}, {"status": None, "inference_ids": []}, {"limit": 5}])
async def test_a_list_without_a_filter_and_runs_says_so(
    gallery: GalleryHost, given: dict[str, Any]
) -> None:
    content: dict[str, Any] = {"runs": [], "total": 0}
    await gallery.show({"content": [], "structuredContent": content}, given)
    await expect(gallery.app.get_by_text("No runs yet")).to_be_visible()


async def test_an_agents_mistake_is_reported_calmly(gallery: GalleryHost) -> None:
    await gallery.call("execute_inference", READY | {"promt": "a red potion"})
    await expect(gallery.app.get_by_role("heading", name="Not started")).to_be_visible()
    await expect(gallery.app.get_by_text("Your agent can correct the request")).to_be_visible()
    await expect(gallery.app.locator(".notice.bad")).to_have_count(0)
