"""The gallery with data that a server or a host should never send."""

from typing import Any

import pytest
from playwright.async_api import expect

from layer_mcp.sandbox import RunningSandbox

from ..support.gallery_host import GalleryHost
from ..support.hosts import SMALL_IMAGE

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

RUN = "00000000-0000-4000-8000-00000000beef"
MARKUP = '<img src="x" onerror="document.title=\'broken\'"><script>document.title="broken"</script>'
READY: dict[str, Any] = SMALL_IMAGE | {"wait_seconds": 20}


def answer(**facts: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": "An answer."}], "structuredContent": facts}


def complete(*outputs: Any, **facts: Any) -> dict[str, Any]:
    return answer(inference_id=RUN, status="complete", outputs=list(outputs), **facts)


async def test_a_failed_run_says_why_and_what_to_do_next(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_error = ("CONTENT_POLICY_VIOLATION", "The prompt was refused")
    await gallery.call("execute_inference", READY)
    alert = gallery.app.get_by_role("alert")
    await expect(alert).to_contain_text("The prompt was refused")
    await expect(alert).to_contain_text("CONTENT_POLICY_VIOLATION")
    await expect(gallery.app.get_by_role("button", name="Save files")).to_have_count(0)


async def test_a_run_without_files_says_so(gallery: GalleryHost) -> None:
    await gallery.show(complete())
    await expect(gallery.app.get_by_text("it has no files.")).to_be_visible()


async def test_an_empty_list_says_what_it_will_show(gallery: GalleryHost) -> None:
    await gallery.call("list_runs", {})
    await expect(gallery.app.get_by_text("No runs yet.")).to_be_visible()


async def test_draws_part_of_a_huge_list_and_the_rest_on_request(gallery: GalleryHost) -> None:
    rows = [
        {"inference_id": f"run-{n}", "status": "failed", "prompt": f"p {n}"} for n in range(5000)
    ]
    await gallery.show(answer(runs=rows, total=5000, running=0))
    cards = gallery.app.get_by_role("listitem")
    await expect(cards).to_have_count(24)
    await gallery.app.get_by_role("button", name="Show 24 more").press("Enter")
    await expect(cards).to_have_count(48)


async def test_draws_some_of_many_files_and_the_rest_on_request(gallery: GalleryHost) -> None:
    files = [{"content_type": "image/png"} for _ in range(500)]
    await gallery.show(complete(*files, more_outputs=3))
    cards = gallery.app.get_by_role("figure")
    await expect(cards).to_have_count(24)
    await gallery.app.get_by_role("button", name="Show 24 more").press("Enter")
    await expect(cards).to_have_count(48)


async def test_a_partly_finished_run_shows_its_outputs_and_continues(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    run = await gallery.call("execute_inference", READY)
    half = answer(**run | {"status": "in_progress"})
    sandbox.state.knobs.run_seconds = 3_600
    next(iter(sandbox.state.runs.values())).status = "in_progress"
    await gallery.show(half)
    await expect(gallery.app.get_by_role("img", name="Picture 1")).to_be_visible()
    await expect(gallery.app.get_by_role("progressbar")).to_be_visible()


async def test_a_file_that_no_longer_answers_is_named_and_tried_again(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    run = await gallery.client.call_tool("execute_inference", READY)
    [(file_id, file)] = sandbox.state.files.items()
    del sandbox.state.files[file_id]
    await gallery.show(run.model_dump(mode="json", by_alias=True, exclude_none=True))
    await expect(gallery.app.get_by_text("This file is no longer available")).to_be_visible()
    sandbox.state.files[file_id] = file
    await gallery.app.get_by_role("button", name="Try again").press("Enter")
    await expect(gallery.app.get_by_role("img", name="Picture 1")).to_be_visible()


@pytest.mark.parametrize("content_type", ["video/mp4", "audio/wav", "model/gltf-binary"])
async def test_reports_a_video_or_mesh_that_no_longer_loads(
    gallery: GalleryHost, sandbox: RunningSandbox, content_type: str
) -> None:
    url = f"{sandbox.media_url}/media/workspaces/none/files/none/gone"
    await gallery.show(complete({"url": url, "content_type": content_type}))
    await expect(gallery.app.get_by_text("This file is no longer available")).to_be_visible()


async def test_reports_bytes_that_are_not_a_mesh(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    run = await gallery.client.call_tool("execute_inference", READY)
    assert run.structured_content is not None
    [file] = run.structured_content["outputs"]
    await gallery.show(complete(file | {"content_type": "model/gltf-binary"}))
    await expect(gallery.app.get_by_text("This 3D model can't be shown here.")).to_be_visible()


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "data:image/png;base64,AAAA", "file:///etc/hostname", "no url", 7],
)
async def test_never_loads_a_url_that_is_not_a_file(gallery: GalleryHost, url: Any) -> None:
    await gallery.show(complete({"url": url, "content_type": "image/png"}))
    await expect(gallery.app.get_by_text("This file can't be shown here")).to_be_visible()
    await expect(gallery.app.get_by_role("button", name="Open file")).to_have_count(0)


async def test_a_file_of_another_host_is_not_loaded(gallery: GalleryHost) -> None:
    await gallery.show(
        complete({"url": "https://elsewhere.example/a.png", "content_type": "image/png"})
    )
    await expect(gallery.app.get_by_text("This file is no longer available")).to_be_visible()
    assert any("elsewhere.example" in refusal for refusal in gallery.shown.refused)


async def test_markup_in_text_stays_text(gallery: GalleryHost) -> None:
    result = complete(
        {"url": MARKUP, "content_type": MARKUP, "file_id": MARKUP, "path": MARKUP},
        warning=MARKUP,
        error={"code": MARKUP, "message": MARKUP},
        changed_parameters=[MARKUP],
    )
    await gallery.show(result, {"prompt": MARKUP})
    await expect(gallery.app.get_by_role("heading", name=MARKUP)).to_be_visible()
    await expect(gallery.app.locator("img, main script")).to_have_count(0)


async def test_markup_in_a_list_stays_text(gallery: GalleryHost) -> None:
    row = {"inference_id": RUN, "status": MARKUP, "prompt": MARKUP, "error": MARKUP}
    await gallery.show(answer(runs=[row], total=1, running=0, warning=MARKUP))
    await expect(gallery.app.locator(".prompt", has_text=MARKUP)).to_be_visible()
    await expect(gallery.app.locator("img, main script")).to_have_count(0)


async def test_reports_a_host_that_refuses_calls_and_stops_asking(
    gallery: GalleryHost, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 3_600
    await gallery.call("execute_inference", SMALL_IMAGE, refuses=["*"])
    await expect(gallery.app.get_by_text("Your client didn't allow this")).to_be_visible()
    await expect(gallery.app.get_by_role("button", name="Check again")).to_be_visible()
    assert gallery.shown.calls == []


async def test_a_host_that_refuses_calls_still_shows_the_files(gallery: GalleryHost) -> None:
    await gallery.call("execute_inference", READY, refuses=["*"])
    await expect(gallery.app.get_by_role("img", name="Picture 1")).to_be_visible()
    await gallery.app.get_by_role("button", name="Save files").press("Enter")
    await expect(gallery.app.get_by_role("alert")).to_contain_text("Ask in the chat instead.")


async def test_a_host_with_few_capabilities_shows_the_run(gallery: GalleryHost) -> None:
    await gallery.call("execute_inference", READY, capabilities={})
    await expect(gallery.app.get_by_role("img", name="Picture 1")).to_be_visible()
    await expect(gallery.app.get_by_role("button", name="Open file")).to_have_count(0)


async def test_a_failed_call_shows_its_sentence(gallery: GalleryHost) -> None:
    result = await gallery.client.call_tool("get_status", {"inference_id": RUN})
    await gallery.show(result.model_dump(mode="json", by_alias=True, exclude_none=True))
    await expect(gallery.app.get_by_role("heading", name="This call failed")).to_be_visible()
    await expect(gallery.app.get_by_text("NOT_FOUND")).to_be_visible()


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"inference_id": RUN},
        {"status": "complete"},
        {"inference_id": 7, "status": ["complete"]},
        {"runs": "none"},
    ],
    ids=str,
)
async def test_an_answer_that_names_no_run_says_so(
    gallery: GalleryHost, facts: dict[str, Any]
) -> None:
    await gallery.show(answer(**facts))
    await expect(gallery.app.get_by_role("heading", name="Nothing to show")).to_be_visible()


@pytest.mark.parametrize(
    "facts",
    [
        {"outputs": [None, 7, "text", {}, {"url": None}]},
        {"outputs": {}, "error": "broken", "changed_parameters": 7, "warning": []},
        {"actual_price_creative_units": "much", "estimated_price_creative_units": None},
        {"status": "something new"},
    ],
    ids=str,
)
async def test_facts_of_the_wrong_kind_break_nothing(
    gallery: GalleryHost, facts: dict[str, Any]
) -> None:
    await gallery.show(answer(**{"inference_id": RUN, "status": "complete"} | facts))
    await expect(gallery.app.get_by_role("complementary")).to_be_visible()
    assert gallery.shown.errors == []


async def test_a_run_that_is_not_known_here_cannot_be_repeated(gallery: GalleryHost) -> None:
    await gallery.show(complete())
    await expect(gallery.app.get_by_text("Only runs started from this")).to_be_visible()
    await expect(gallery.app.get_by_role("button", name="Run again")).to_be_disabled()


async def test_a_cancelled_call_says_that_the_run_continues(gallery: GalleryHost) -> None:
    await gallery.show(None, {"prompt": "a potion"})
    await expect(gallery.app.get_by_text("Starting")).to_be_visible()
    await gallery.page.evaluate("window.bridge.sendToolCancelled({ reason: 'stopped' })")
    await expect(gallery.app.get_by_role("heading", name="This call was canceled")).to_be_visible()
