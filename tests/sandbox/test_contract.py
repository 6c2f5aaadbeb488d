"""The sandbox conforms to Layer's published contract, tested with requests generated from it.

Each operation gets valid and invalid requests. Every answer must have a status, a media type and a
body that the contract lists. Valid requests must be accepted, and invalid ones refused; see
`waived_checks` for the exceptions.
"""

from collections.abc import Iterator
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi import checks

from layer_mcp.api.fields import is_uuid
from layer_mcp.sandbox import Knobs, RunningSandbox, SandboxState, running_sandbox
from layer_mcp.sandbox.catalog import sandbox_workflows
from layer_mcp.text.foreign_json import MAX_NUMBER

from ..support.contract import OPENAPI
from ..support.hosts import IMAGE_MODEL
from ..support.sandbox_calls import api_of, run

pytestmark = pytest.mark.slow

if not OPENAPI.exists():
    pytest.skip("Layer's openapi.json is not here", allow_module_level=True)

# Any, because schemathesis leaves some of its types open.
contract: Any = schemathesis.openapi.from_path(OPENAPI)  # pyright: ignore[reportUnknownMemberType]
NEGATIVE_DATA = cast(Any, checks.negative_data_rejection)  # pyright: ignore[reportUnknownMemberType]
UNSUPPORTED_METHOD = cast(Any, checks.unsupported_method)  # pyright: ignore[reportUnknownMemberType]
WORKFLOW = sandbox_workflows()[0].workflow_id
INPUTS = {"prompt": "a red potion"}
UPLOAD = {"content_type": "image/png", "file_size_bytes": 1000}
RUNS = "/v1/workspaces/{workspace_id}/inferences"


@pytest.fixture(scope="module")
def served() -> Iterator[RunningSandbox]:
    """A sandbox that accepts any number of runs."""
    state = SandboxState(knobs=Knobs(run_seconds=0, max_runs_at_once=1_000_000))
    state.workspaces[0].balance_creative_units = 1e12
    with running_sandbox(state) as running:
        yield running


@pytest.fixture(scope="module")
def known(served: RunningSandbox) -> dict[str, str]:
    """An existing ID of each kind."""
    with api_of(served) as api:
        workflow_run = api.post(f"/workflows/{WORKFLOW}/runs", json={"inputs": INPUTS}).json()
        return {
            "workspace_id": served.workspace_id,
            "model_id": IMAGE_MODEL,
            "inference_id": run(api)["inference_id"],
            "workflow_id": WORKFLOW,
            "run_id": workflow_run["run_id"],
        }


@contract.parametrize()
@settings(
    max_examples=20,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_every_answer_conforms_to_the_contract(
    case: Any, served: RunningSandbox, known: dict[str, str]
) -> None:
    case.path_parameters = with_known_ids(case.path_parameters, known)
    case.body = with_known_ids(case.body, known)
    if case.meta.generation.mode == schemathesis.GenerationMode.POSITIVE:
        make_acceptable(case)
    token = {"Authorization": f"Bearer {served.token}"}
    response = case.call(base_url=served.api_url, headers=token)
    case.validate_response(response, excluded_checks=waived_checks(case))


def with_known_ids(value: Any, known: dict[str, str]) -> Any:
    """Return the path parameters or body with existing IDs in place of other valid ones."""
    if not isinstance(value, dict):
        return value
    given = cast("dict[str, Any]", value)
    return {
        name: known[name] if name in known and is_uuid(str(part)) else part
        for name, part in given.items()
    }


def make_acceptable(case: Any) -> None:
    """Replace values for which the contract is less strict than Layer.

    These are cursors, the inputs of a workflow, the type and size of an upload, and numbers that
    JSON can't carry exactly.
    """
    if case.query:
        case.query.pop("cursor", None)
    body = case.body
    if isinstance(body, dict):
        accepted = {"inputs": INPUTS, **UPLOAD}
        given = cast("dict[str, Any]", body)
        case.body = {name: accepted.get(name, bounded(part)) for name, part in given.items()}


def bounded(value: Any) -> Any:
    """Return a number within what a request may carry, and any other value as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return max(-MAX_NUMBER, min(MAX_NUMBER, value))


def waived_checks(case: Any) -> list[Any]:
    """Return the checks to skip, because Layer itself differs from the contract."""
    excluded: list[Any] = []
    # Unknown names are ignored, 0 counts as false, and unknown file types are accepted.
    if (case.path.startswith(RUNS) and case.method == "POST") or unknown_names(case):
        excluded.append(NEGATIVE_DATA)
    # For GET, the last part of this path is the ID of a run.
    if case.path == f"{RUNS}/estimate":
        excluded.append(UNSUPPORTED_METHOD)
    return excluded


def unknown_names(case: Any) -> set[str]:
    """Return the names in a query that the contract doesn't list."""
    parameters: list[dict[str, Any]] = case.operation.definition.raw.get("parameters", [])
    return set(case.query or {}) - {parameter["name"] for parameter in parameters}
