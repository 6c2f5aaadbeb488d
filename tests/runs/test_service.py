"""The runs of an account as a library: generate, wait, save, list, without a protocol."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from layer_mcp import LayerError
from layer_mcp.runs.drafts import InferenceDraft, WorkflowRunDraft
from layer_mcp.runs.service import Runs
from layer_mcp.runs.types.budget import CallBudget
from layer_mcp.runs.types.filters import RunFilter
from layer_mcp.runs.types.plan import SubmitOptions
from layer_mcp.sandbox import RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_models, sandbox_workflows

from ..support.hosts import SMALL_IMAGE
from ..support.library import CALL_SECONDS, prepare, submit

pytestmark = pytest.mark.anyio

VIDEO = sandbox_models()[2].model_id
# A megapixel costs 0.1 Creative Units, a video 2.
PICTURE: dict[str, Any] = SMALL_IMAGE | {"width": 1000, "height": 1000}
OTHER_PICTURE: dict[str, Any] = PICTURE | {"prompt": "a blue potion"}
EXPENSIVE: dict[str, Any] = {"model_id": VIDEO, "prompt": "a turning coin", "batch_size": 11}
WORKFLOW = sandbox_workflows()[0].workflow_id


@pytest.mark.parametrize("prompt", [None, "", "  "])
async def test_does_not_pay_for_a_run_without_a_prompt_or_file(
    prompt: str | None, runs: Runs, sandbox: RunningSandbox
) -> None:
    call: dict[str, Any] = PICTURE | {"prompt": prompt}
    with pytest.raises(LayerError, match="nothing says what to make") as caught:
        await runs.generate(**call)
    assert caught.value.code == "INVALID_ARGUMENTS"
    assert sandbox.state.arrived["execute_inference"] == 0


async def test_a_model_that_takes_no_prompt_runs_without_one(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    first, *others = sandbox.state.models
    sandbox.state.models = (replace(first, capabilities={"text_prompt": False}), *others)
    call: dict[str, Any] = PICTURE | {"prompt": None}
    run = await runs.generate(**call)
    assert run.state == "complete"


async def test_a_generation_takes_one_line(runs: Runs, sandbox: RunningSandbox) -> None:
    run = await runs.generate(**PICTURE)
    assert run.state == "complete"
    assert [run.run_id] == list(sandbox.state.runs)
    assert (run.estimated_price_creative_units, run.actual_price_creative_units) == (0.1, 0.1)
    [output] = run.outputs
    assert output.content_type == "image/png"
    assert run.warnings == ()


async def test_repeating_a_generation_returns_the_same_run(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    first = await runs.generate(**SMALL_IMAGE)
    again = await runs.generate(**SMALL_IMAGE)
    assert (again.run_id, again.is_duplicate) == (first.run_id, True)
    assert again.outputs == first.outputs
    assert sandbox.state.arrived["execute_inference"] == 1


async def test_a_repeated_generation_is_paid_again(runs: Runs, sandbox: RunningSandbox) -> None:
    first = await runs.generate(**SMALL_IMAGE)
    again = await runs.generate(repeat=True, **SMALL_IMAGE)
    assert (again.run_id != first.run_id, again.is_duplicate) == (True, False)
    assert sandbox.state.arrived["execute_inference"] == 2


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"promt": "a red potion"}, "promt"),
        ({"width": "wide"}, "width"),
        ({"batch_size": 99}, "batch_size"),
        ({"guidance_files": [{"type": "init"}]}, "guidance_files.0"),
    ],
    ids=str,
)
async def test_a_wrong_field_is_refused_by_its_name(
    fields: dict[str, Any], name: str, runs: Runs, sandbox: RunningSandbox
) -> None:
    with pytest.raises(LayerError, match=name) as caught:
        await runs.generate(**SMALL_IMAGE | fields)
    assert caught.value.code == "INVALID_ARGUMENTS"
    assert not sandbox.state.arrived


async def test_an_expensive_generation_needs_a_price_that_the_caller_allows(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    with pytest.raises(LayerError, match="CONFIRMATION_REQUIRED"):
        await runs.generate(**EXPENSIVE)
    assert not sandbox.state.runs
    assert (await runs.generate(max_price=22, **EXPENSIVE)).state == "complete"


async def test_submits_an_approved_plan(runs: Runs, sandbox: RunningSandbox) -> None:
    plan = await prepare(runs, InferenceDraft.model_validate(EXPENSIVE))
    with pytest.raises(LayerError, match="CONFIRMATION_REQUIRED"):
        await runs.submit(plan, approved=False)
    assert await runs.list() == []
    run = await runs.submit(plan, approved=True)
    assert [run.run_id] == list(sandbox.state.runs)


async def test_a_workflow_runs_like_a_model(runs: Runs) -> None:
    wanted = WorkflowRunDraft(workflow_id=WORKFLOW, inputs={"prompt": "icons"})
    plan = await runs.prepare([wanted], SubmitOptions(), CallBudget.begin(CALL_SECONDS))
    run = await runs.follow(await runs.submit(plan, approved=False), CALL_SECONDS)
    assert (run.state, len(run.outputs)) == ("complete", 2)
    assert [step.status for step in run.steps] == ["complete"] * 3
    again = await runs.get(run.run_id or "", workflow_id=WORKFLOW)
    assert (again.state, again.key) == ("complete", run.key)


async def test_runs_are_listed_and_added_up(runs: Runs) -> None:
    first = await runs.generate(**PICTURE)
    second = await submit(runs, **OTHER_PICTURE)
    assert [run.run_id for run in await runs.list()] == [second.run_id, first.run_id]
    assert [run.run_id for run in await runs.list(limit=1)] == [second.run_id]
    complete = RunFilter(status="complete")
    assert [run.run_id for run in await runs.list(complete)] == [first.run_id]
    totals = await runs.totals()
    assert (totals.count, totals.running) == (2, 1)
    assert (totals.estimated_creative_units, totals.spent_creative_units) == (0.2, 0.1)


async def test_the_run_that_made_a_file_is_found(runs: Runs) -> None:
    run = await runs.generate(**SMALL_IMAGE)
    maker = await runs.find_maker(run.outputs[0].file_id or "")
    assert maker is not None
    assert maker.run_id == run.run_id


@pytest.mark.process
def test_the_library_loads_neither_a_protocol_nor_a_terminal_nor_http() -> None:
    script = "import sys, layer_mcp.runs.service; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not {"mcp", "rich", "httpx", "PIL", "keyring"} & set(done.stdout.split())
