"""The sandbox's limits on starting runs, the prices it charges, and requests it never reads."""

from collections.abc import Iterator

import httpx
import pytest

from layer_mcp.sandbox import Fault, RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_models

from ..support.hosts import SMALL_IMAGE
from ..support.sandbox_calls import api_of, balance, run

VIDEO = {"model_id": sandbox_models()[2].model_id, "prompt": "a turning coin", "batch_size": 1}
WORKFLOW = "/workflows/00000000-0000-4000-8000-0000000000c1"


@pytest.fixture
def api(sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    with api_of(sandbox) as client:
        yield client


def refusal(answer: httpx.Response) -> tuple[int, str, bool]:
    """The status, the code, and whether it says when to come back."""
    code = str(answer.json()["type"]).rpartition("/")[2]
    return answer.status_code, code, "retry-after" in answer.headers


def test_sixty_runs_a_minute_can_be_started_and_no_more(api: httpx.Client) -> None:
    for _ in range(60):
        run(api)
    assert refusal(api.post("/inferences", json=SMALL_IMAGE)) == (429, "RATE_LIMITED", False)


def test_the_limit_a_minute_counts_workflow_runs(
    api: httpx.Client, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.max_runs_a_minute = 1
    run(api)
    answer = api.post(f"{WORKFLOW}/runs", json={"inputs": {"prompt": "a potion"}})
    assert refusal(answer) == (429, "RATE_LIMITED", False)


def test_thirty_videos_a_minute_can_be_started_and_no_more(
    api: httpx.Client, sandbox: RunningSandbox
) -> None:
    sandbox.state.workspaces[0].balance_creative_units = 1_000
    for _ in range(30):
        assert api.post("/inferences", json=VIDEO).status_code == 202
    assert refusal(api.post("/inferences", json=VIDEO)) == (429, "RATE_LIMITED", False)


def test_the_limit_on_videos_leaves_room_for_pictures(
    api: httpx.Client, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.max_video_runs_a_minute = 0
    assert run(api)["status"] == "complete"


def test_after_a_minute_there_is_room_again(api: httpx.Client, sandbox: RunningSandbox) -> None:
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
    before = balance(api)["balance_creative_units"]
    sound = {"model_id": sandbox_models()[4].model_id, "prompt": "a bell", "batch_size": 1}
    started = api.post("/inferences", json=sound).json()
    ended = api.get(f"/inferences/{started['inference_id']}").json()
    assert started["estimated_price_creative_units"] == 0.1
    assert ended["actual_price_creative_units"] == 0.25
    assert balance(api)["balance_creative_units"] == pytest.approx(before - 0.25)


def test_a_dropped_request_can_go_unread(api: httpx.Client, sandbox: RunningSandbox) -> None:
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
def test_only_a_drop_without_work_goes_unread(fault: Fault, sandbox: RunningSandbox) -> None:
    with pytest.raises(ValueError, match="unread"):
        sandbox.state.knobs.fail_next("execute_inference", fault)
