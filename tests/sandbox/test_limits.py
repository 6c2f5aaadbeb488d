"""The sandbox's limits on starting runs, its final prices, and requests that it drops unread."""

import httpx
import pytest

from layer_mcp.sandbox import Fault, RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_models

from ..support.hosts import SMALL_IMAGE
from ..support.sandbox_calls import get_workspace, run

VIDEO = {"model_id": sandbox_models()[2].model_id, "prompt": "a turning coin", "batch_size": 1}
WORKFLOW = "/workflows/00000000-0000-4000-8000-0000000000c1"


def refusal(answer: httpx.Response) -> tuple[int, str, bool]:
    """Return the status, the code, and whether there is a Retry-After header."""
    code = str(answer.json()["type"]).rpartition("/")[2]
    return answer.status_code, code, "retry-after" in answer.headers


def test_at_most_sixty_runs_a_minute_can_be_started(api: httpx.Client) -> None:
    for _ in range(60):
        run(api)
    assert refusal(api.post("/inferences", json=SMALL_IMAGE)) == (429, "RATE_LIMITED", False)


def test_workflow_runs_count_toward_the_limit_per_minute(
    api: httpx.Client, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.max_runs_a_minute = 1
    run(api)
    answer = api.post(f"{WORKFLOW}/runs", json={"inputs": {"prompt": "a potion"}})
    assert refusal(answer) == (429, "RATE_LIMITED", False)


def test_at_most_thirty_videos_a_minute_can_be_started(
    api: httpx.Client, sandbox: RunningSandbox
) -> None:
    sandbox.state.workspaces[0].balance_creative_units = 1_000
    for _ in range(30):
        assert api.post("/inferences", json=VIDEO).status_code == 202
    assert refusal(api.post("/inferences", json=VIDEO)) == (429, "RATE_LIMITED", False)


def test_the_video_limit_does_not_apply_to_pictures(
    api: httpx.Client, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.max_video_runs_a_minute = 0
    assert run(api)["status"] == "complete"


def test_runs_older_than_a_minute_do_not_count(api: httpx.Client, sandbox: RunningSandbox) -> None:
    now = [1_000.0]
    sandbox.state.clock = lambda: now[0]
    sandbox.state.knobs.max_runs_a_minute = 1
    run(api)
    now[0] += 60
    assert run(api)["status"] == "complete"


def test_a_refused_run_does_not_count(api: httpx.Client, sandbox: RunningSandbox) -> None:
    sandbox.state.knobs.max_runs_a_minute = 1
    assert api.post("/inferences", json=SMALL_IMAGE | {"batch_size": 0}).status_code == 422
    assert run(api)["status"] == "complete"


def test_the_actual_price_can_differ_from_the_estimate(
    api: httpx.Client, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.actual_price_factor = 2.5
    before = get_workspace(api)["balance_creative_units"]
    sound = {"model_id": sandbox_models()[4].model_id, "prompt": "a bell", "batch_size": 1}
    started = api.post("/inferences", json=sound).json()
    ended = api.get(f"/inferences/{started['inference_id']}").json()
    assert started["estimated_price_creative_units"] == 0.1
    assert ended["actual_price_creative_units"] == 0.25
    assert get_workspace(api)["balance_creative_units"] == pytest.approx(before - 0.25)


def test_a_request_can_be_dropped_unread(api: httpx.Client, sandbox: RunningSandbox) -> None:
    sandbox.state.knobs.fail_next("execute_inference", Fault("drop", unread=True))
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)):
        api.post("/inferences", json=SMALL_IMAGE)
    assert [arrival.body for arrival in sandbox.state.arrivals] == [b""]
    assert sandbox.state.runs == {}


@pytest.mark.parametrize(
    "fault",
    [Fault("cut", unread=True), Fault("drop", unread=True, accepted=True)],
    ids=["cut", "accepted"],
)
def test_only_an_unprocessed_drop_can_be_unread(fault: Fault, sandbox: RunningSandbox) -> None:
    with pytest.raises(ValueError, match="unread"):
        sandbox.state.knobs.fail_next("execute_inference", fault)
