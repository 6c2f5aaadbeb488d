"""The runs of an account as a library: generate, wait, save, list, without a protocol."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from layer_mcp import LayerError, Settings, SettingsError
from layer_mcp.runs.activity import Submissions
from layer_mcp.runs.drafts import InferenceDraft, WorkflowRunDraft
from layer_mcp.runs.opening import open_account, open_runs, open_shared
from layer_mcp.runs.service import Runs
from layer_mcp.runs.types.budget import CallBudget
from layer_mcp.runs.types.filters import RunFilter
from layer_mcp.runs.types.plan import SubmitOptions
from layer_mcp.sandbox import Fault, RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_models, sandbox_workflows
from layer_mcp.sandbox.state import SandboxWorkspace

from ..support.hosts import SMALL_IMAGE
from ..support.library import CALL_SECONDS, draft, prepare, submit, submit_batch

pytestmark = pytest.mark.anyio

VIDEO = sandbox_models()[2].model_id
# A megapixel costs 0.1 Creative Units, a video 2.
PICTURE: dict[str, Any] = SMALL_IMAGE | {"width": 1000, "height": 1000}
OTHER_WORKSPACE = "00000000-0000-4000-8000-0000000000bb"
OTHER_PICTURE: dict[str, Any] = PICTURE | {"prompt": "a blue potion"}
EXPENSIVE: dict[str, Any] = {"model_id": VIDEO, "prompt": "a turning coin", "batch_size": 11}
WORKFLOW = sandbox_workflows()[0].workflow_id
UNKNOWN_ID = "99999999-0000-4000-8000-000000000000"


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


async def test_planning_is_free_and_repeatable(runs: Runs, sandbox: RunningSandbox) -> None:
    first, second = await prepare(runs, draft(**PICTURE)), await prepare(runs, draft(**PICTURE))
    assert first.requests == second.requests
    assert first.quote is not None
    assert (first.quote.total, first.duplicates) == (0.1, [None])
    assert sandbox.state.arrived["execute_inference"] == 0
    assert await runs.list() == []


async def test_the_plan_of_a_repeated_call_has_its_run_and_no_price(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    run = await submit(runs)
    estimates = sandbox.state.arrived["estimate_price"]
    plan = await prepare(runs)
    assert [one and one.run_id for one in plan.duplicates] == [run.run_id]
    assert (plan.quote, plan.new) == (None, [])
    assert sandbox.state.arrived["estimate_price"] == estimates


async def test_a_cheap_plan_needs_no_confirmation(runs: Runs) -> None:
    assert await runs.confirmation(await prepare(runs)) is None


@pytest.mark.parametrize(("names", "model"), [(True, "Sandbox Video"), (False, VIDEO)])
async def test_a_confirmation_says_what_a_person_agrees_to(
    names: bool, model: str, runs: Runs
) -> None:
    plan = await prepare(runs, InferenceDraft.model_validate(EXPENSIVE))
    confirmation = await runs.confirmation(plan, names=names)
    assert confirmation is not None
    assert (confirmation.subject, confirmation.names) == ("11 outputs", (model,))
    assert confirmation.quote.total == 22


async def test_submits_an_approved_plan(runs: Runs, sandbox: RunningSandbox) -> None:
    plan = await prepare(runs, InferenceDraft.model_validate(EXPENSIVE))
    with pytest.raises(LayerError, match="CONFIRMATION_REQUIRED"):
        await runs.submit(plan, approved=False)
    assert await runs.list() == []
    run = await runs.submit(plan, approved=True)
    assert [run.run_id] == list(sandbox.state.runs)


async def test_reports_a_limit_before_asking_for_approval(environment: dict[str, str]) -> None:
    limits = {"LAYER_CONFIRM_ABOVE": "0", "LAYER_MAX_SPEND_PER_DAY": "0.15"}
    async with open_runs(Settings.from_env(environment | limits)) as runs:
        await runs.submit(await prepare(runs, draft(**PICTURE)), approved=True)
        plan = await prepare(runs, draft(**OTHER_PICTURE))
        with pytest.raises(LayerError, match="SPENDING_LIMIT_REACHED"):
            await runs.confirmation(plan)


async def test_a_workflow_runs_like_a_model(runs: Runs) -> None:
    wanted = WorkflowRunDraft(workflow_id=WORKFLOW, inputs={"prompt": "icons"})
    plan = await runs.prepare([wanted], SubmitOptions(), CallBudget.begin(CALL_SECONDS))
    run = await runs.follow(await runs.submit(plan, approved=False), CALL_SECONDS)
    assert (run.state, len(run.outputs)) == ("complete", 2)
    assert [step.status for step in run.steps] == ["complete"] * 3
    again = await runs.get(run.run_id or "", workflow_id=WORKFLOW)
    assert (again.state, again.key) == ("complete", run.key)


async def test_a_run_is_read_by_its_id(runs: Runs) -> None:
    run = await submit(runs)
    found = await runs.get((run.run_id or "").upper(), wait_seconds=10)
    assert (found.state, found.run_id, found.key) == ("complete", run.run_id, run.key)
    assert found.request.prompt == "a red potion"


async def test_a_run_of_another_program_is_read_too(
    runs: Runs, environment: dict[str, str]
) -> None:
    elsewhere = environment | {"LAYER_STATE_DIR": environment["LAYER_STATE_DIR"] + "-other"}
    async with open_runs(Settings.from_env(elsewhere)) as others:
        run = await others.generate(**SMALL_IMAGE)
    found = await runs.get(run.run_id or "")
    assert (found.state, found.outputs, found.key) == ("complete", run.outputs, "")


async def test_a_run_that_layer_does_not_have_is_an_error(runs: Runs) -> None:
    with pytest.raises(LayerError, match="INFERENCE_NOT_FOUND"):
        await runs.get(UNKNOWN_ID)


async def test_a_wait_ends_with_its_time(runs: Runs, sandbox: RunningSandbox) -> None:
    sandbox.state.knobs.run_seconds = 600
    run = await submit(runs)
    assert (await runs.follow(run, 0.2)).state == "in_progress"


async def test_a_wait_can_be_ended_early(runs: Runs, sandbox: RunningSandbox) -> None:
    sandbox.state.knobs.run_seconds = 600
    run = await submit(runs)

    async def stop() -> None:
        await anyio.sleep(0.2)
        runs.stop_waiting((run.run_id or "").upper())

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop)
            assert (await runs.follow(run, 600)).state == "in_progress"


async def test_a_failed_run_says_why_and_what_it_cost(runs: Runs, sandbox: RunningSandbox) -> None:
    sandbox.state.knobs.run_error = ("NO_MEDIA_GENERATED", "Nothing came of it.")
    run = await runs.generate(**SMALL_IMAGE)
    assert run.state == "failed"
    assert run.error is not None
    assert (run.error.code, run.error.message) == ("NO_MEDIA_GENERATED", "Nothing came of it.")


async def test_a_failure_while_waiting_is_a_warning_on_the_paid_run(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    run = await submit(runs)
    refusal = Fault("status", status=403, code="FORBIDDEN")
    sandbox.state.knobs.fail_next("get_inference", *[refusal] * 5)
    followed = await runs.follow(run, 10)
    assert followed.run_id == run.run_id
    assert "The run was started, but then" in followed.warnings[0]


async def test_a_failure_while_waiting_for_a_duplicate_is_an_error(
    runs: Runs, sandbox: RunningSandbox
) -> None:
    await submit(runs)
    run = await submit(runs)
    refusal = Fault("status", status=403, code="FORBIDDEN")
    sandbox.state.knobs.fail_next("get_inference", *[refusal] * 5)
    with pytest.raises(LayerError, match="FORBIDDEN") as caught:
        await runs.follow(run, 10)
    assert caught.value.facts["duplicate"] is True


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


async def test_the_runs_of_another_token_are_not_listed(
    runs: Runs, environment: dict[str, str]
) -> None:
    await submit(runs)
    async with open_runs(Settings.from_env(environment | {"LAYER_API_KEY": "another"})) as others:
        assert await others.list() == []


async def test_a_renewed_token_knows_the_runs_and_duplicates_of_the_one_before(
    runs: Runs, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    first = await submit(runs)
    sandbox.state.token = "renewed-token"
    renewed = Settings.from_env(environment | {"LAYER_API_KEY": "renewed-token"})
    async with open_runs(renewed) as later:
        again = await submit(later)
        assert [run.run_id for run in await later.list()] == [first.run_id]
    assert (again.run_id, again.is_duplicate) == (first.run_id, True)
    assert sandbox.state.arrived["execute_inference"] == 1


async def test_simultaneous_calls_open_one_journal(
    environment: dict[str, str], tmp_path: Path
) -> None:
    settings = Settings.from_env(environment)
    reads: list[str] = []

    def read_token() -> str:
        reads.append("token")
        return "sandbox-token"

    async with (
        open_shared(settings) as shared,
        open_account(settings, shared, Submissions(), token=read_token) as runs,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(5):
            tasks.start_soon(runs.list)
    assert reads == ["token"]


async def test_the_token_of_another_persons_workspace_knows_nothing(
    runs: Runs, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    await submit(runs)
    sandbox.state.token = "another"
    sandbox.state.workspaces[:] = [SandboxWorkspace(OTHER_WORKSPACE, "other", "Other")]
    changed = {"LAYER_API_KEY": "another", "LAYER_WORKSPACE_ID": OTHER_WORKSPACE}
    async with open_runs(Settings.from_env(environment | changed)) as others:
        assert await others.list() == []
        assert not (await submit(others)).is_duplicate


async def test_waits_for_many_runs_together(runs: Runs, sandbox: RunningSandbox) -> None:
    sandbox.state.knobs.run_seconds = 0.3
    for prompt in "abc":
        await submit(runs, prompt=prompt)
    reported: list[tuple[int, int]] = []

    async def report(ended: int, count: int) -> None:
        reported.append((ended, count))

    await runs.wait_many(RunFilter(), "all", 20, on_ended=report)
    assert [run.state for run in await runs.list()] == ["complete"] * 3
    assert reported[-1] == (3, 3)


async def test_waiting_for_any_ends_with_the_first(runs: Runs, sandbox: RunningSandbox) -> None:
    sandbox.state.knobs.run_seconds = 50
    for prompt, now in (("first", 0), ("second", 40)):
        sandbox.state.clock = lambda now=now: now
        await submit(runs, prompt=prompt)
    sandbox.state.clock = lambda: 60
    await runs.wait_many(RunFilter(), "any", 20)
    found = {run.request.prompt: run.state for run in await runs.list()}
    assert found == {"first": "complete", "second": "in_progress"}


async def test_the_run_that_made_a_file_is_found(runs: Runs) -> None:
    run = await runs.generate(**SMALL_IMAGE)
    maker = await runs.find_maker(run.outputs[0].file_id or "")
    assert maker is not None
    assert maker.run_id == run.run_id


async def test_getting_a_price_starts_nothing(runs: Runs, sandbox: RunningSandbox) -> None:
    price = await runs.estimate(draft(**PICTURE))
    assert price.estimated_price_creative_units == 0.1
    assert sandbox.state.arrived["execute_inference"] == 0


async def test_never_pays_for_a_run_that_cannot_be_recorded(
    environment: dict[str, str], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("a file in the way")
    async with open_runs(Settings.from_env(environment)) as runs:
        with pytest.raises(LayerError, match="JOURNAL_UNAVAILABLE"):
            await runs.generate(**SMALL_IMAGE)
        assert str(tmp_path / "state") in (runs.journal_problem or "")
    assert sandbox.state.arrived["execute_inference"] == 0


async def test_runs_without_a_journal_if_the_settings_allow_it(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("a file in the way")
    settings = Settings.from_env(environment | {"LAYER_JOURNAL": "optional"})
    async with open_runs(settings) as runs:
        assert (await runs.generate(**SMALL_IMAGE)).state == "complete"


@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt])
async def test_an_error_leaves_the_block_unwrapped(
    error: type[BaseException], environment: dict[str, str]
) -> None:
    with pytest.raises(error, match="of the caller"):
        async with open_runs(Settings.from_env(environment)):
            raise error("of the caller")


async def fail_while_a_batch_waits(environment: dict[str, str]) -> None:
    async with open_runs(Settings.from_env(environment)) as runs:
        await submit_batch(runs, *(draft(prompt=f"potion {number}") for number in range(6)))
        raise LookupError("of the caller")


async def test_an_error_leaves_the_block_unwrapped_while_a_batch_waits(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    with pytest.raises(LookupError, match="of the caller"):
        await fail_while_a_batch_waits(environment)


async def test_rejects_an_address_that_is_not_a_sandbox(environment: dict[str, str]) -> None:
    paid = environment | {"LAYER_SANDBOX": "1", "LAYER_API_URL": "https://api.layer.test/api"}
    with pytest.raises(SettingsError, match="LAYER_SANDBOX"):
        async with open_runs(Settings.from_env(paid)):
            pass


@pytest.mark.process
def test_the_library_loads_neither_a_protocol_nor_a_terminal_nor_http() -> None:
    script = "import sys, layer_mcp.runs.service; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not {"mcp", "rich", "httpx", "PIL", "keyring"} & set(done.stdout.split())
