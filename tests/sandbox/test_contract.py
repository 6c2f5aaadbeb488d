"""The sandbox keeps Layer's published contract, tried with requests made from it.

Each operation gets requests that the contract allows and requests that it does not. Every answer
must have a status, a media type and a body that the contract lists; what it allows must be
accepted and what it does not allow refused. `waived` says where that does not hold, and why.
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
    """A sandbox that takes any number of runs."""
    state = SandboxState(knobs=Knobs(run_seconds=0, max_runs_at_once=1_000_000))
    state.workspaces[0].balance_creative_units = 1e12
    with running_sandbox(state) as running:
        yield running


@pytest.fixture(scope="module")
def known(served: RunningSandbox) -> dict[str, str]:
    """An id of each kind that is there."""
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
def test_answers_keep_the_contract(
    case: Any, served: RunningSandbox, known: dict[str, str]
) -> None:
    case.path_parameters = with_known_ids(case.path_parameters, known)
    case.body = with_known_ids(case.body, known)
    if case.meta.generation.mode == schemathesis.GenerationMode.POSITIVE:
        make_acceptable(case)
    token = {"Authorization": f"Bearer {served.token}"}
    response = case.call(base_url=served.api_url, headers=token)
    case.validate_response(response, excluded_checks=waived(case))


def with_known_ids(value: Any, known: dict[str, str]) -> Any:
    """The path or body with ids that are there in the place of well-formed ones that are not."""
    if not isinstance(value, dict):
        return value
    given = cast("dict[str, Any]", value)
    return {
        name: known[name] if name in known and is_uuid(str(part)) else part
        for name, part in given.items()
    }


def make_acceptable(case: Any) -> None:
    """Values that the contract calls any text or any object, but of which only some mean something.

    These are cursors, the inputs of a workflow, and the type and size of an upload.
    """
    if case.query:
        case.query.pop("cursor", None)
    body = case.body
    if isinstance(body, dict):
        meaningful = {"inputs": INPUTS, **UPLOAD}
        given = cast("dict[str, Any]", body)
        case.body = {name: meaningful.get(name, part) for name, part in given.items()}


def waived(case: Any) -> list[Any]:
    """The checks that a request need not pass, because the sandbox differs as Layer does."""
    excluded: list[Any] = []
    # Unknown names are ignored; 0 counts as false; new names of types are passed on.
    if (case.path.startswith(RUNS) and case.method == "POST") or unknown_names(case):
        excluded.append(NEGATIVE_DATA)
    # To GET, the last part of this address is the id of a run.
    if case.path == f"{RUNS}/estimate":
        excluded.append(UNSUPPORTED_METHOD)
    return excluded


def unknown_names(case: Any) -> set[str]:
    """The names in a query that the contract does not know."""
    parameters: list[dict[str, Any]] = case.operation.definition.raw.get("parameters", [])
    return set(case.query or {}) - {parameter["name"] for parameter in parameters}
