"""Callers that share one Layer account: each has its own runs, files, uploads, and budget."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest

from layer_mcp import CallBudget, LayerError, PriceError, Run, Settings, WorkflowRunDraft
from layer_mcp.runs.opening import open_runs
from layer_mcp.runs.owners import Owner
from layer_mcp.runs.sending import queue
from layer_mcp.runs.service import Runs
from layer_mcp.runs.types.filters import RunFilter
from layer_mcp.sandbox import RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_workflows

from ..support.held_requests import held_answer
from ..support.library import (
    WAIT_SECONDS,
    draft,
    prepare,
    submit,
    submit_batch,
    until_counts,
    until_states,
)
from ..support.local_uploads import written
from ..support.sandbox_calls import png

pytestmark = pytest.mark.anyio

# A small one is free.
PICTURE: dict[str, Any] = {"width": 512, "height": 512}

WORKFLOW = sandbox_workflows()[0].workflow_id

OpenRuns = Callable[[str | Owner], AbstractAsyncContextManager[Runs]]


@pytest.fixture
def open_for(environment: dict[str, str], tmp_path: Path) -> OpenRuns:
    """Open the runs of an owner in the sandbox."""
    environment["LAYER_INPUT_DIRS"] = str(tmp_path / "in")
    environment["LAYER_OUTPUT_DIR"] = str(tmp_path / "out")

    @asynccontextmanager
    async def open_owned(owner: str | Owner) -> AsyncGenerator[Runs]:
        owner = Owner(owner) if isinstance(owner, str) else owner
        async with open_runs(Settings.from_env(environment), owner=owner) as opened:
            yield opened

    return open_owned


@pytest.fixture
async def alice(open_for: OpenRuns) -> AsyncGenerator[Runs]:
    async with open_for("alice") as opened:
        yield opened


@pytest.fixture
async def bob(open_for: OpenRuns) -> AsyncGenerator[Runs]:
    async with open_for("bob") as opened:
        yield opened


async def test_a_queue_notices_that_another_owners_run_has_ended(
    alice: Runs, bob: Runs, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PAUSE_SECONDS", 0.05)
    sandbox.state.knobs.run_seconds = 600
    for number in range(5):
        await submit(alice, prompt=f"potion {number}")
    plan = await prepare(bob, draft(prompt="a shield"))
    with anyio.fail_after(WAIT_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bob.submit, replace(plan, budget=CallBudget.of_a_program()))
            await until_states(bob, "queued")
            # Nobody but the queue reads these runs.
            sandbox.state.knobs.run_seconds = 0
    assert [run.request.prompt for run in await bob.list()] == ["a shield"]
    assert sandbox.state.arrived["execute_inference"] == 6
    assert "complete" in {run.state for run in await alice.list()}


async def test_the_limits_of_an_owner_apply_in_addition_to_the_settings(
    open_for: OpenRuns, sandbox: RunningSandbox
) -> None:
    async with open_for(Owner("alice", max_price=0.001)) as runs:
        with pytest.raises(PriceError, match="your limit is"):
            await submit(runs, **PICTURE)
    assert sandbox.state.arrived["execute_inference"] == 0


async def test_the_daily_limit_of_an_owner_counts_only_its_own_runs(
    bob: Runs, open_for: OpenRuns
) -> None:
    price = (await submit(bob, **PICTURE, prompt="a shield")).estimated_price_creative_units or 0.0
    async with open_for(Owner("alice", max_spend_per_day=price)) as runs:
        await submit(runs, **PICTURE, prompt="a sword")
        with pytest.raises(PriceError, match="of your daily limit"):
            await submit(runs, **PICTURE, prompt="another sword")


async def test_the_daily_limit_of_the_settings_counts_all_owners(
    bob: Runs, open_for: OpenRuns, environment: dict[str, str]
) -> None:
    price = (await submit(bob, **PICTURE, prompt="a shield")).estimated_price_creative_units or 0.0
    environment["LAYER_MAX_SPEND_PER_DAY"] = f"{price}"
    async with open_for("alice") as runs:
        with pytest.raises(PriceError, match="the server's daily limit"):
            await submit(runs, **PICTURE, prompt="a sword")


@dataclass(frozen=True)
class Made:
    """What an owner made: its runs, and the IDs that another one might know of."""

    run: Run
    of_workflow: Run
    session_id: str
    batch_id: str
    upload_id: str
    output_id: str


Use = Callable[[Runs, Made], Awaitable[object]]


@pytest.fixture
async def made(alice: Runs, picture: Path) -> Made:
    run = await alice.generate(**draft().model_dump(exclude_unset=True))
    plan = await alice.prepare([icons(session_name="fantasy")])
    of_workflow = await alice.follow(await alice.submit(plan))
    [of_batch] = await submit_batch(alice, draft(prompt="a shield"))
    await until_counts(alice, complete=2, in_progress=1)
    [upload] = await alice.upload(picture)
    [of_batch] = await alice.list(run_ids=((of_batch.run_id or ""),))
    return Made(
        run,
        of_workflow,
        of_workflow.session_id or "",
        of_batch.batch_id or "",
        upload.file_id,
        run.outputs[0].file_id or "",
    )


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A file that all owners may upload."""
    return written(tmp_path / "in" / "red.png", png("red"))


async def saved_paths(runs: Runs, made: Made) -> object:
    return (await runs.save_once(made.run)).paths


async def count_of_batch(runs: Runs, made: Made) -> object:
    return (await runs.totals(batch_id=made.batch_id)).count


def icons(**session: str) -> WorkflowRunDraft:
    return WorkflowRunDraft(workflow_id=WORKFLOW, inputs={"prompt": "icons"}, **session)


def uses(file_id: str, kind: str = "init") -> Any:
    return draft(prompt="a copy", guidance_files=[{"file_id": file_id, "type": kind}])


REFUSED: dict[str, tuple[str, Use]] = {
    "get": ("INFERENCE_NOT_FOUND", lambda runs, made: runs.get(made.run.run_id or "")),
    "get in upper case": (
        "INFERENCE_NOT_FOUND",
        lambda runs, made: runs.get((made.run.run_id or "").upper()),
    ),
    "wait": (
        "INFERENCE_NOT_FOUND",
        lambda runs, made: runs.get(made.run.run_id or "", wait_seconds=5),
    ),
    "get of a workflow": (
        "WORKFLOW_RUN_NOT_FOUND",
        lambda runs, made: runs.get(made.of_workflow.run_id or "", workflow_id=WORKFLOW),
    ),
    "follow": (
        "INFERENCE_NOT_FOUND",
        lambda runs, made: runs.follow(replace(made.run, is_duplicate=True)),
    ),
    "save": ("INFERENCE_NOT_FOUND", lambda runs, made: runs.save(made.run)),
    "prepare with an upload": (
        "FILE_NOT_FOUND",
        lambda runs, made: prepare(runs, uses(made.upload_id)),
    ),
    "prepare with an output": (
        "FILE_NOT_FOUND",
        lambda runs, made: prepare(runs, uses(made.output_id)),
    ),
    "prepare with an upper-case file": (
        "FILE_NOT_FOUND",
        lambda runs, made: prepare(runs, uses(made.output_id.upper())),
    ),
    "prepare with a mask": (
        "FILE_NOT_FOUND",
        lambda runs, made: prepare(
            runs, draft(prompt="a part", mask={"file_id": made.upload_id, "edge_radius": 1})
        ),
    ),
    "prepare in a session": (
        "SESSION_NOT_FOUND",
        lambda runs, made: runs.prepare([icons(session_id=made.session_id.upper())]),
    ),
    "prepare a batch": (
        "FILE_NOT_FOUND",
        lambda runs, made: prepare(runs, draft(), uses(made.upload_id), is_batch=True),
    ),
    "estimate": ("FILE_NOT_FOUND", lambda runs, made: runs.estimate(uses(made.output_id))),
}
EMPTY: dict[str, Use] = {
    "find": lambda runs, made: runs.find(made.run.run_id or ""),
    "find_maker": lambda runs, made: runs.find_maker(made.output_id),
    "list": lambda runs, made: runs.list(),
    "list of a batch": lambda runs, made: runs.list(batch_id=made.batch_id),
    "list of IDs": lambda runs, made: runs.list(run_ids=((made.run.run_id or ""),)),
    "list of a prefix": lambda runs, made: runs.list(id_prefix=(made.run.run_id or "")[:8]),
    "page after a run": lambda runs, made: runs.list(RunFilter(before=made.of_workflow.key)),
    "paths of save_once": saved_paths,
    "totals of a batch": count_of_batch,
}


async def error_of(use: Use, runs: Runs, made: Made) -> str | None:
    """Return the code of the error that a use raises, if any."""
    try:
        await use(runs, made)
    except LayerError as error:
        return error.code
    return None


def arrived(sandbox: RunningSandbox) -> dict[str, int]:
    """Count the requests so far, without lookups of models."""
    return {name: count for name, count in sandbox.state.arrived.items() if name != "get_model"}


# Making everything takes seconds, so it's made once for all uses.
async def test_the_ids_of_another_owner_do_not_exist(
    made: Made, alice: Runs, bob: Runs, sandbox: RunningSandbox
) -> None:
    before = arrived(sandbox)
    errors = {name: await error_of(use, bob, made) for name, (_, use) in REFUSED.items()}
    assert errors == {name: code for name, (code, _) in REFUSED.items()}
    found = {name: await use(bob, made) for name, use in EMPTY.items()}
    assert [name for name, value in found.items() if value] == []
    await bob.wait_many(batch_id=made.batch_id, wait_for="all", seconds=30)
    assert arrived(sandbox) == before
    own_errors = {name: await error_of(use, alice, made) for name, (_, use) in REFUSED.items()}
    assert own_errors == dict.fromkeys(REFUSED)
    found = {name: await use(alice, made) for name, use in EMPTY.items()}
    assert [name for name, value in found.items() if not value] == []


async def test_a_file_that_nobody_recorded_is_left_to_layer(
    bob: Runs, sandbox: RunningSandbox
) -> None:
    plan = await prepare(bob, uses("00000000-0000-4000-8000-00000000ffff"))
    with pytest.raises(LayerError, match="FILE_NOT_FOUND"):
        await bob.submit(plan)
    assert sandbox.state.arrived["execute_inference"] == 1


async def test_a_run_that_no_owner_started_is_not_found(
    runs: Runs, bob: Runs, sandbox: RunningSandbox
) -> None:
    run = await submit(runs)
    with pytest.raises(LayerError, match="INFERENCE_NOT_FOUND"):
        await bob.get(run.run_id or "")


@pytest.mark.slow
async def test_twenty_owners_at_the_same_time_share_nothing(
    open_for: OpenRuns, picture: Path, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PAUSE_SECONDS", 0.05)
    found: dict[str, Run] = {}
    files: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(open_for(f"owner-{n}")) for n in range(20)]

        async def use(name: str, runs: Runs) -> None:
            [file] = await runs.upload(picture)
            files[name] = file.file_id
            found[name] = await runs.generate(**draft().model_dump(exclude_unset=True))

        async with anyio.create_task_group() as tasks:
            for number, runs in enumerate(opened):
                tasks.start_soon(use, str(number), runs)
        listed = [[run.run_id for run in await runs.list()] for runs in opened]
        counts = [(await runs.totals()).count for runs in opened]
    assert listed == [[found[str(number)].run_id] for number in range(20)]
    assert counts == [1] * 20
    assert len({run.run_id for run in found.values()}) == len(set(files.values())) == 20
    assert not any(run.is_duplicate for run in found.values())
    assert sandbox.state.arrived["execute_inference"] == 20
    assert sandbox.state.arrived["upload"] == 20


async def test_an_id_may_belong_to_a_run_of_the_owner_that_is_not_recorded_yet(
    alice: Runs, bob: Runs, sandbox: RunningSandbox
) -> None:
    """Another server may have answered with the ID, and still wait for the database."""
    unknown_id = str(uuid4())

    async def start() -> None:
        await submit(alice)

    with held_answer(sandbox) as release:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(start)
            await until_states(alice, "sending")
            with pytest.raises(LayerError, match="SUBMISSION_UNDER_WAY"):
                await alice.get(unknown_id)
            with pytest.raises(LayerError, match="INFERENCE_NOT_FOUND"):
                await bob.get(unknown_id)
            release.set()
    with pytest.raises(LayerError, match="INFERENCE_NOT_FOUND"):
        await alice.get(unknown_id)
