"""A plan: what a call would start and cost, and what a person has to approve."""

from typing import Any

import pytest

from layer_mcp import LayerError, Settings
from layer_mcp.runs.drafts import InferenceDraft
from layer_mcp.runs.opening import open_runs
from layer_mcp.runs.service import Runs
from layer_mcp.sandbox import RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_models

from ..support.hosts import SMALL_IMAGE
from ..support.library import draft, prepare, submit

pytestmark = pytest.mark.anyio

VIDEO = sandbox_models()[2].model_id
# A megapixel costs 0.1 Creative Units, a video 2.
PICTURE: dict[str, Any] = SMALL_IMAGE | {"width": 1000, "height": 1000}
OTHER_PICTURE: dict[str, Any] = PICTURE | {"prompt": "a blue potion"}
EXPENSIVE: dict[str, Any] = {"model_id": VIDEO, "prompt": "a turning coin", "batch_size": 11}


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


async def test_reports_a_limit_before_asking_for_approval(environment: dict[str, str]) -> None:
    limits = {"LAYER_CONFIRM_ABOVE": "0", "LAYER_MAX_SPEND_PER_DAY": "0.15"}
    async with open_runs(Settings.from_env(environment | limits)) as runs:
        await runs.submit(await prepare(runs, draft(**PICTURE)), approved=True)
        plan = await prepare(runs, draft(**OTHER_PICTURE))
        with pytest.raises(LayerError, match="SPENDING_LIMIT_REACHED"):
            await runs.confirmation(plan)


async def test_getting_a_price_starts_nothing(runs: Runs, sandbox: RunningSandbox) -> None:
    price = await runs.estimate(draft(**PICTURE))
    assert price.estimated_price_creative_units == 0.1
    assert sandbox.state.arrived["execute_inference"] == 0
