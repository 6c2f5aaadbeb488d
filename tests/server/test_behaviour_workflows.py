"""Workflows, over every transport and both protocol eras."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from layer_mcp.sandbox import Fault, RunningSandbox

from ..support.hosts import MEMORY, Host, content_of, error_code, text_of

pytestmark = pytest.mark.anyio

ICON_SET = "00000000-0000-4000-8000-0000000000c1"
TURNTABLE = "00000000-0000-4000-8000-0000000000c2"
ICONS: dict[str, Any] = {"workflow_id": ICON_SET, "inputs": {"prompt": "potions", "count": 2}}


@pytest.fixture
def settings(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Settings with the workflow tools and an input folder with a picture in it."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    Image.new("RGB", (32, 32), (220, 30, 30)).save(folder / "red.png")
    return environment | {"LAYER_TOOLSETS": "all", "LAYER_INPUT_DIRS": str(folder)}


async def test_the_workflow_tools_come_only_when_they_are_chosen(
    host: Host, environment: dict[str, str]
) -> None:
    async with host.connect(environment | {"LAYER_TOOLSETS": "workflows"}) as client:
        tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools] == [
        "list_workflows",
        "estimate_workflow",
        "execute_workflow",
        "get_workflow_status",
    ]


async def test_workflows_are_listed_with_what_they_take(
    host: Host, settings: dict[str, str]
) -> None:
    async with host.connect(settings) as client:
        result = await client.call_tool("list_workflows", {"search": "icon"})
    [workflow] = content_of(result)["workflows"]
    rules = {row["name"]: row["rule"] for row in workflow["inputs"]}
    assert rules["count"] == "integer, 1..4, default 2"
    assert rules["style_reference"] == "file_id or local path"
    assert "prompt (required): string" in text_of(result)


async def test_the_price_comes_with_the_number_of_outputs(
    host: Host, settings: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with host.connect(settings) as client:
        estimate = content_of(await client.call_tool("estimate_workflow", ICONS))
    assert estimate["output_count"] == 2
    assert estimate["estimated_price_creative_units"] > 0
    assert not sandbox.state.arrived["execute_workflow"]


async def test_a_workflow_runs_step_by_step_to_its_files(
    host: Host, settings: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    async with host.connect(settings) as client:
        started = content_of(await client.call_tool("execute_workflow", ICONS))
        call = {"workflow_id": ICON_SET, "run_id": started["run_id"], "wait_seconds": 1}
        running = content_of(await client.call_tool("get_workflow_status", call))
        sandbox.state.knobs.run_seconds = 0
        finished = content_of(await client.call_tool("get_workflow_status", call))
    assert (started["status"], running["status"]) == ("in_progress", "in_progress")
    assert (running["steps_done"], running["steps_total"]) == (0, 3)
    assert running["next_step"].startswith("Call get_workflow_status with")
    assert (finished["status"], finished["steps_done"]) == ("complete", 3)
    assert len(finished["outputs"]) == 2
    assert sandbox.state.arrived["execute_workflow"] == 1


async def test_accepts_a_local_file_for_a_file_input(
    host: Host, settings: dict[str, str], sandbox: RunningSandbox
) -> None:
    call = {
        "workflow_id": TURNTABLE,
        "inputs": {"prompt": "a sword", "image": "red.png"},
        "wait_seconds": 10,
    }
    async with host.connect(settings) as client:
        run = content_of(await client.call_tool("execute_workflow", call))
    assert run["status"] == "complete"
    assert sandbox.state.arrived["upload"] == 1


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({"count": 2}, "inputs.prompt is missing"),
        ({"prompt": "x", "count": "many"}, "inputs.count must be integer, 1..4, default 2"),
        ({"prompt": "x", "count": 9}, "inputs.count must be integer, 1..4, default 2"),
        ({"prompt": 5}, "inputs.prompt must be string"),
        ({"promt": "x", "prompt": "x"}, "inputs.promt is not an input of this workflow (did you"),
        ({"prompt": "x", "style_reference": 5}, "inputs.style_reference must be file_id or local"),
    ],
    ids=str,
)
async def test_inputs_that_the_workflow_does_not_take_are_refused_here(
    inputs: dict[str, Any], sentence: str, settings: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with MEMORY.connect(settings) as client:
        result = await client.call_tool(
            "execute_workflow", {"workflow_id": ICON_SET, "inputs": inputs}
        )
    assert error_code(result) == "INVALID_ARGUMENTS"
    assert sentence in text_of(result)
    assert sandbox.state.arrived == {"list_workflows": 1}


async def test_a_wrong_file_stops_the_run_before_it_is_paid_for(
    settings: dict[str, str], sandbox: RunningSandbox
) -> None:
    call = {"workflow_id": TURNTABLE, "inputs": {"prompt": "x", "image": "/etc/passwd"}}
    async with MEMORY.connect(settings) as client:
        result = await client.call_tool("execute_workflow", call)
    assert error_code(result) == "PATH_NOT_ALLOWED"
    assert sandbox.state.arrived == {"list_workflows": 1}


async def test_an_unknown_workflow_leads_to_the_list(settings: dict[str, str]) -> None:
    call: dict[str, Any] = {"workflow_id": "3c90c3cc-0d44-4b50-8888-8dd25736052a", "inputs": {}}
    async with MEMORY.connect(settings) as client:
        result = await client.call_tool("execute_workflow", call)
    assert error_code(result) == "WORKFLOW_NOT_FOUND"
    assert "list_workflows" in content_of(result)["next_step"]


async def test_a_dropped_answer_to_a_workflow_is_never_submitted_again(
    host: Host, settings: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("execute_workflow", Fault("drop", accepted=True))
    async with host.connect(settings) as client:
        result = await client.call_tool("execute_workflow", ICONS)
    assert error_code(result) == "OUTCOME_UNKNOWN"
    assert sandbox.state.arrived["execute_workflow"] == 1


async def test_a_cut_answer_to_a_workflow_still_names_its_run(
    settings: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("execute_workflow", Fault("truncate"))
    async with MEMORY.connect(settings) as client:
        result = await client.call_tool("execute_workflow", ICONS)
    assert content_of(result)["run_id"] in sandbox.state.workflow_runs
    assert sandbox.state.arrived["execute_workflow"] == 1


async def test_a_failed_workflow_run_names_its_step_and_reason(
    settings: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_error = ("CONTENT_POLICY_VIOLATION", "The prompt is not allowed.")
    async with MEMORY.connect(settings) as client:
        result = await client.call_tool("execute_workflow", ICONS | {"wait_seconds": 10})
    run = content_of(result)
    assert not result.is_error
    assert (run["status"], run["error"]["code"]) == ("failed", "CONTENT_POLICY_VIOLATION")
    assert run["current_step"] == "Cut out"


async def test_the_files_of_a_workflow_are_saved_and_shown_like_those_of_a_run(
    host: Host, settings: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "outputs"
    async with host.connect(settings | {"LAYER_OUTPUT_DIR": str(folder)}) as client:
        result = await client.call_tool("execute_workflow", ICONS | {"wait_seconds": 10})
    run = content_of(result)
    assert [Path(output["path"]).parent for output in run["outputs"]] == [folder, folder]
    assert Path(run["outputs"][0]["path"]).name == f"potions-{run['run_id'][:8]}-1.png"
    assert [block.type for block in result.content] == ["text", "image"]


async def test_the_files_of_a_workflow_are_saved_when_asked(
    settings: dict[str, str], tmp_path: Path
) -> None:
    async with MEMORY.connect(settings) as client:
        run = content_of(await client.call_tool("execute_workflow", ICONS | {"wait_seconds": 10}))
        call = {"inference_id": run["run_id"], "workflow_id": ICON_SET}
        saved = content_of(await client.call_tool("save_outputs", call))
    assert [Path(path).parent for path in saved["paths"]] == [tmp_path / "home" / "Layer"] * 2
