"""What a tool answers: facts, changes, the next step."""

from datetime import UTC, datetime
from typing import Any

import pytest
from mcp.types import CallToolResult, ResourceLink

from layer_mcp import Inference, InferenceRequest, LayerError
from layer_mcp.runs.types.request import RunRequest
from layer_mcp.runs.types.run import Run
from layer_mcp.runs.types.start import changed_parameters
from layer_mcp.server.answers import ToolOutput, error_result, success_result
from layer_mcp.server.run_answers import run_answer

from ..support.hosts import content_of, text_of

NEWEST = "2026-07-28"
ID = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
OUTPUT = {
    "file_id": ID,
    "url": "https://media.test/a.png",
    "content_type": "image/png",
    "width": 1024,
    "height": 512,
    "file_size_bytes": 812_345,
}


def answer(
    *,
    can_save: bool = True,
    protocol_version: str | None = NEWEST,
    estimate: float | None = None,
    **state: Any,
) -> CallToolResult:
    request = RunRequest("inference", "", "ws")
    run = Run(request, "in_progress", datetime.now(UTC), estimated_price_creative_units=estimate)
    run = run.update(Inference.model_validate({"inference_id": ID, **state}))
    answered = run_answer(run, can_save=can_save)
    output = ToolOutput(answered, links=answered.links())
    return success_result(output, simulated=False, protocol_version=protocol_version)


def test_a_complete_run_says_price_url_size_and_type() -> None:
    result = answer(status="complete", outputs=[OUTPUT], actual_price_creative_units=1.4)
    assert text_of(result) == (
        f"Run {ID}: complete. Price 1.4 CU.\n"
        "1. image/png, 1024x512, 812.3 KB: https://media.test/a.png\n"
        "Next: Save the files with save_outputs, or fetch them from their URLs; "
        "no token is needed."
    )


def test_each_output_that_has_an_id_is_a_link() -> None:
    result = answer(status="complete", outputs=[OUTPUT, {"url": "https://media.test/b.png"}])
    [link] = [block for block in result.content if block.type == "resource_link"]
    assert link == ResourceLink(
        uri=f"layer://outputs/{ID}", name="output 1", mime_type="image/png", size=812_345
    )


@pytest.mark.parametrize(
    ("protocol_version", "links"), [("2025-03-26", 0), ("2025-06-18", 1), (None, 0)]
)
def test_clients_of_revisions_without_links_get_none(
    protocol_version: str | None, links: int
) -> None:
    result = answer(status="complete", outputs=[OUTPUT], protocol_version=protocol_version)
    assert [block.type for block in result.content] == ["text"] + ["resource_link"] * links


def test_without_the_tool_that_saves_the_next_step_is_to_fetch() -> None:
    result = answer(status="complete", outputs=[OUTPUT], can_save=False)
    assert content_of(result)["next_step"].startswith("Fetch them from their URLs")


def test_shows_a_wrong_estimate_next_to_the_price() -> None:
    result = answer(estimate=0.6, status="complete", actual_price_creative_units=1.4)
    assert "Price 1.4 CU (estimated 0.6)." in text_of(result)


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ({"content_type": "audio/wav", "duration_seconds": 2.5}, "1. audio/wav, 2.5 s: no URL"),
        ({"url": "u", "file_size_bytes": 12}, "1. unknown type, 12 bytes: u"),
        ({"content_type": "video/mp4", "file_size_bytes": 7_500_000}, "1. video/mp4, 7.5 MB: no"),
        ({}, "1. unknown type: no URL"),
    ],
    ids=str,
)
def test_an_output_with_gaps_is_still_a_line(output: dict[str, Any], line: str) -> None:
    assert line in text_of(answer(status="complete", outputs=[output]))


@pytest.mark.parametrize("status", ["in_progress", "dreaming"])
def test_a_running_run_says_to_wait_and_not_to_start_again(status: str) -> None:
    step = content_of(answer(status=status))["next_step"]
    assert step == (
        f'Call get_status with inference_id "{ID}" and workspace_id "ws". '
        "Don't start the run again."
    )


@pytest.mark.parametrize("status", ["cancelled", "deleted"])
def test_a_run_that_was_ended_says_that_a_new_one_is_charged(status: str) -> None:
    assert "the new run is charged" in content_of(answer(status=status))["next_step"]


@pytest.mark.parametrize(
    ("code", "step"),
    [
        ("PROMPT_INTELLECTUAL_PROPERTY", "protected names"),
        ("INSUFFICIENT_BALANCE", "Add Creative Units"),
        ("A_NEW_CODE", "start a new run; it is charged"),
        ("TIMEOUT", "start a new run; it is charged"),
    ],
)
def test_a_failed_run_says_what_to_change(code: str, step: str) -> None:
    result = answer(status="failed", error_code=code, error="It failed.")
    assert content_of(result)["error"] == {"code": code, "message": "It failed."}
    assert step in content_of(result)["next_step"]
    assert not result.is_error


def test_the_reason_of_a_failed_run_is_one_short_line() -> None:
    result = answer(status="failed", error="very " * 10_000, error_code="X" * 10_000)
    assert len(text_of(result)) < 1000


def test_a_failed_run_without_a_reason_is_still_an_answer() -> None:
    assert "RUN_FAILED: Layer gave no reason." in text_of(answer(status="failed"))


def test_a_failed_call_gives_code_sentence_next_step_and_the_known_id() -> None:
    result = error_result(LayerError("TIMEOUT", "Too slow.", inference_id=ID), simulated=False)
    assert result.is_error
    assert content_of(result) == {
        "error": {"code": "TIMEOUT", "message": "Too slow."},
        "next_step": "Call again.",
        "inference_id": ID,
    }
    assert text_of(result).startswith("TIMEOUT: Too slow.\n")


def test_differences_between_asked_and_normalized_are_named() -> None:
    request = InferenceRequest(
        model_id=ID,
        width=1000,
        height=512,
        fps=25,
        guidance_scale=3.0,
        remove_background=True,
        seed=-1,
        creativity=0.5,
    )
    echo = {
        "width": 1024,
        "height": 512,
        "fps": None,
        "guidance_scale": 3,
        "remove_background": False,
        "batch_size": 4,
        "seed": 123,
        "creativity": "0.5",
    }
    assert changed_parameters(RunRequest.inference(request, "ws", {}), echo) == [
        "width asked 1000, runs 1024",
        "fps asked 25, not used",
        "remove_background asked True, runs False",
    ]


@pytest.mark.parametrize("echo", [None, {}])
def test_reports_no_changes_without_an_echo(echo: dict[str, Any] | None) -> None:
    request = RunRequest.inference(InferenceRequest(model_id=ID, width=1000), "ws", {})
    assert changed_parameters(request, echo) == []


def test_sixteen_outputs_stay_far_below_the_limit_of_hosts() -> None:
    long = OUTPUT | {"url": "https://media.app.layer.ai/workspaces/" + "x" * 200}
    result = answer(status="complete", outputs=[long] * 16)
    assert len(text_of(result)) < 10_000
