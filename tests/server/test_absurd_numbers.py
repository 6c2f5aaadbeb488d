"""Numbers from outside that no sum can hold: no tool crashes, and no price is no approval."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from layer_mcp import Settings, SettingsError
from layer_mcp.api import retry

from ..support.hosts import MEMORY, SMALL_IMAGE, content_of, error_code, text_of
from ..support.stub_layer import RUN_ID, Reply, StubLayer, stub_layer

pytestmark = pytest.mark.anyio

ABSURD = ["1e308", "1e300", "1e12", "1e400", "Infinity", "NaN", "-1", "9" * 400, '"1e308"']
BATCH = {"requests": [SMALL_IMAGE | {"seed": seed} for seed in range(50)]}


@pytest.fixture
def stub() -> Iterator[StubLayer]:
    with stub_layer() as server:
        yield server


def priced(number: str) -> Reply:
    """An estimate with numbers that Python's own JSON would not write."""
    return Reply(
        f'{{"estimated_price_creative_units": {number}, '
        f'"workspace_balance_creative_units": {number}, '
        f'"estimated_remaining_balance_creative_units": {number}}}'.encode()
    )


@pytest.mark.parametrize("number", ABSURD)
async def test_an_absurd_price_counts_as_over_every_limit(
    number: str, stub: StubLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A price that can't be read is requested again for several seconds.
    monkeypatch.setattr(retry, "MAX_ATTEMPTS", 1)
    stub.answers["/estimate"] = priced(number)
    async with MEMORY.connect(stub.environment(tmp_path)) as client:
        for arguments in (BATCH, BATCH | {"max_price_creative_units": 1e9}):
            assert error_code(await client.call_tool("execute_batch", arguments)) == "PRICE_UNKNOWN"
        estimate = await client.call_tool("estimate_price", SMALL_IMAGE)
    assert error_code(estimate) == "UNEXPECTED_RESPONSE"
    assert stub.requests_to("/inferences") == []


@pytest.mark.parametrize("number", ABSURD)
async def test_absurd_numbers_in_the_state_of_a_run_are_left_out(
    number: str, stub: StubLayer, tmp_path: Path
) -> None:
    names = ("width", "height", "duration_seconds", "file_size_bytes")
    sizes = ", ".join(f'"{name}": {number}' for name in names)
    body = (
        f'{{"inference_id": "{RUN_ID}", "status": "complete", "poll_interval_seconds": {number}, '
        f'"actual_price_creative_units": {number}, "outputs": [{{"file_id": "f", {sizes}}}]}}'
    )
    stub.answers[f"/inferences/{RUN_ID}"] = Reply(body.encode())
    async with MEMORY.connect(stub.environment(tmp_path)) as client:
        result = await client.call_tool("get_status", {"inference_id": RUN_ID, "wait_seconds": 0})
    assert not result.is_error, text_of(result)
    assert content_of(result)["status"] == "complete"
    if number != "1e12":
        assert content_of(result)["outputs"] == [{"file_id": "f"}]
    assert "actual_price_creative_units" not in content_of(result)


@pytest.mark.parametrize(
    "arguments",
    [
        {"width": 10**30},
        {"seed": 2**63},
        {"duration_seconds": 1e300},
        {"upscale_ratio": -1e300},
        {"max_price_creative_units": 1e300},
        {"wait_seconds": 1e300},
    ],
    ids=str,
)
async def test_an_argument_that_no_run_has_must_be_smaller(
    arguments: dict[str, Any], stub: StubLayer, tmp_path: Path
) -> None:
    async with MEMORY.connect(stub.environment(tmp_path)) as client:
        result = await client.call_tool("execute_inference", SMALL_IMAGE | arguments)
    assert error_code(result) == "INVALID_ARGUMENTS"
    [name] = arguments
    assert content_of(result)["error"]["message"].startswith(f"{name} must be smaller")
    assert stub.requests == []


@pytest.mark.parametrize("name", ["CONFIRM_ABOVE", "MAX_PRICE", "MAX_SPEND_PER_DAY"])
@pytest.mark.parametrize("number", ["1e308", "inf", "nan", "-1", "1000000001", "9" * 400])
def test_a_limit_is_a_number_that_prices_can_reach(name: str, number: str) -> None:
    with pytest.raises(SettingsError, match="from 0 to 1,000,000,000"):
        Settings.from_env({f"LAYER_{name}": number})
