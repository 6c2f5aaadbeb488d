"""The sandbox's price estimates."""

from typing import Any

import httpx
import pytest

from layer_mcp.sandbox import RunningSandbox

from ..support.contract import conforms
from ..support.hosts import SMALL_IMAGE
from ..support.sandbox_calls import get_workspace

MEGAPIXEL: dict[str, Any] = SMALL_IMAGE | {"width": 1000, "height": 1000}
FILE_ID = "00000000-0000-4000-8000-0000000000f1"
GUIDED = {"guidance_files": [{"file_id": FILE_ID, "type": "reference_image"}]}
MASKED = {"mask": {"file_id": FILE_ID}}


def price(api: httpx.Client, body: dict[str, Any]) -> float:
    return api.post("/inferences/estimate", json=body).json()["estimated_price_creative_units"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 0.1),
        ({"batch_size": 4}, 0.4),
        ({"width": 2000}, 0.2),
        ({"quality": "high"}, 0.2),
        (GUIDED, 0.3),
        (MASKED, 0.3),
        (GUIDED | MASKED, 0.5),
    ],
    ids=["plain", "batch", "size", "quality", "reference", "mask", "reference and mask"],
)
def test_the_price_depends_on_the_parameters(
    change: dict[str, Any], expected: float, api: httpx.Client
) -> None:
    assert price(api, MEGAPIXEL | change) == expected


def test_an_estimate_includes_the_remaining_balance_and_charges_nothing(
    api: httpx.Client, sandbox: RunningSandbox
) -> None:
    answer = api.post("/inferences/estimate", json=MEGAPIXEL).json()
    assert conforms("EstimateForgePriceOutput", answer)
    assert answer["estimated_remaining_balance_creative_units"] == 999.9
    assert get_workspace(api)["available_creative_units"] == 1000


def test_an_estimate_reports_an_insufficient_balance(
    api: httpx.Client, sandbox: RunningSandbox
) -> None:
    sandbox.state.workspaces[0].balance_creative_units = 0.05
    answer = api.post("/inferences/estimate", json=MEGAPIXEL).json()
    assert answer["has_sufficient_creative_units"] is False
    assert answer["estimated_remaining_balance_creative_units"] == -0.05


@pytest.mark.parametrize(("body", "field"), [(GUIDED, "guidance_files"), (MASKED, "mask")])
def test_an_estimate_can_refuse_references_by_name(
    body: dict[str, Any], field: str, api: httpx.Client, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.estimate_refuses_references = True
    answer = api.post("/inferences/estimate", json=MEGAPIXEL | body)
    assert (answer.status_code, answer.json()["type"][-14:]) == (422, "INVALID_INPUTS")
    assert answer.json()["detail"].startswith(f"{field}: ")
    assert price(api, MEGAPIXEL) == 0.1


def test_an_estimate_can_ignore_references(api: httpx.Client, sandbox: RunningSandbox) -> None:
    sandbox.state.knobs.estimate_ignores_references = True
    assert price(api, MEGAPIXEL | GUIDED | MASKED) == 0.1


def test_an_estimate_for_an_unknown_model_is_a_404(api: httpx.Client) -> None:
    answer = api.post("/inferences/estimate", json={"model_id": FILE_ID})
    assert (answer.status_code, answer.json()["type"][-15:]) == (404, "MODEL_NOT_FOUND")
