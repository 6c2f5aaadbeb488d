"""The sandbox's workflows: checked inputs, steps in order, output files that open."""

import io
from typing import Any

import httpx
import pytest
from PIL import Image

from layer_mcp.sandbox import RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_workflows
from layer_mcp.sandbox.state import status_of_steps, step_statuses

from ..support.contract import conforms
from ..support.sandbox_calls import get_workspace, png, run, upload

ICONS, CLIP = (f"/workflows/{workflow.workflow_id}" for workflow in sandbox_workflows())
PROMPT = {"prompt": "red potions"}
UNKNOWN_ID = "00000000-0000-4000-8000-0000000000ff"
FAILURE = ("NO_MEDIA_GENERATED", "Nothing came.")


@pytest.fixture
def time(sandbox: RunningSandbox) -> "Time":
    """A clock that the test sets. A run takes 100 seconds."""
    sandbox.state.knobs.run_seconds = 100
    sandbox.state.clock = clock = Time()
    return clock


class Time:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def start(api: httpx.Client, workflow: str, **inputs: Any) -> dict[str, Any]:
    answer = api.post(f"{workflow}/runs", json={"inputs": inputs})
    assert answer.status_code == 202, answer.text
    return answer.json()


def get_run(api: httpx.Client, workflow: str, run: dict[str, Any]) -> dict[str, Any]:
    return api.get(f"{workflow}/runs/{run['run_id']}").json()


def start_and_get(api: httpx.Client, workflow: str, **inputs: Any) -> dict[str, Any]:
    return get_run(api, workflow, start(api, workflow, **inputs))


def steps(run: dict[str, Any]) -> list[str]:
    return [step["status"] for step in run["steps"]]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["Icon set", "Turntable clip"]),
        ("search=ICON", ["Icon set"]),
        ("search=short video", ["Turntable clip"]),
        ("search=dragon", []),
        ("limit=1", ["Icon set"]),
    ],
)
def test_workflows_are_searched_and_paged(query: str, names: list[str], api: httpx.Client) -> None:
    answer = api.get(f"/workflows?{query}").json()
    assert conforms("ListWorkflowsOutput", answer)
    assert [workflow["name"] for workflow in answer["workflows"]] == names


def test_the_cursor_returns_the_next_page(api: httpx.Client) -> None:
    cursor = api.get("/workflows?limit=1").json()["pagination"]["next_cursor"]
    answer = api.get("/workflows", params={"limit": 1, "cursor": cursor}).json()
    assert [workflow["name"] for workflow in answer["workflows"]] == ["Turntable clip"]
    assert answer["pagination"]["has_more_results"] is False


@pytest.mark.parametrize(
    ("inputs", "price", "count"),
    [
        (PROMPT, 1.0, 2),
        (PROMPT | {"count": 4}, 2.0, 4),
        (PROMPT | {"count": 1, "style_reference": "an upload"}, 0.7, 1),
    ],
    ids=["default", "four", "reference"],
)
def test_the_price_depends_on_the_inputs(
    inputs: dict[str, Any], price: float, count: int, api: httpx.Client
) -> None:
    if "style_reference" in inputs:
        inputs = inputs | {"style_reference": upload(api, png("blue"))}
    answer = api.post(f"{ICONS}/estimate", json={"inputs": inputs}).json()
    assert conforms("EstimateWorkflowPriceOutput", answer)
    assert answer["estimated_price_creative_units"] == price
    assert answer["output_counts"][0]["count"] == count


@pytest.mark.parametrize(
    ("inputs", "detail"),
    [
        ({}, "inputs.prompt: is required."),
        ({"prompt": 5}, "inputs.prompt: 5 is not of type 'string'."),
        (PROMPT | {"count": 5}, "inputs.count: 5 is greater than the maximum of 4."),
        (PROMPT | {"count": True}, "inputs.count: True is not of type 'integer'."),
        (
            PROMPT | {"colour": "red"},
            "inputs.colour: is not an input; there are prompt, count, style_reference.",
        ),
        (
            PROMPT | {"style_reference": "a.png"},
            "inputs.style_reference: 'a.png' is not a 'uuid'.",
        ),
    ],
)
@pytest.mark.parametrize("call", ["estimate", "runs"])
def test_invalid_inputs_are_refused_by_name(
    call: str, inputs: dict[str, Any], detail: str, api: httpx.Client, sandbox: RunningSandbox
) -> None:
    answer = api.post(f"{ICONS}/{call}", json={"inputs": inputs})
    assert (answer.status_code, answer.json()["detail"]) == (422, detail)
    assert not sandbox.state.workflow_runs


def test_an_unknown_file_is_a_404(api: httpx.Client, sandbox: RunningSandbox) -> None:
    inputs = PROMPT | {"image": UNKNOWN_ID}
    answer = api.post(f"{CLIP}/runs", json={"inputs": inputs})
    assert (answer.status_code, answer.json()["type"][-14:]) == (404, "FILE_NOT_FOUND")
    assert not sandbox.state.workflow_runs


def test_the_steps_run_one_after_the_other(api: httpx.Client, time: Time) -> None:
    run = start(api, ICONS, **PROMPT)
    assert conforms("ExecuteWorkflowOutput", run)
    seen: list[tuple[str, list[str]]] = []
    for seconds in (0, 20, 50, 80, 100):
        time.seconds = seconds
        answer = get_run(api, ICONS, run)
        assert conforms("GetWorkflowRunOutput", answer)
        seen.append((answer["status"], steps(answer)))
    assert seen == [
        ("pending", ["pending", "pending", "pending"]),
        ("running", ["running", "pending", "pending"]),
        ("running", ["success", "running", "pending"]),
        ("running", ["success", "success", "running"]),
        ("success", ["success", "success", "success"]),
    ]


def test_a_run_has_a_poll_interval_only_until_it_ends(api: httpx.Client, time: Time) -> None:
    run = start(api, ICONS, **PROMPT)
    assert get_run(api, ICONS, run)["poll_interval_seconds"] == 1
    time.seconds = 100
    assert "poll_interval_seconds" not in get_run(api, ICONS, run)


def test_icons_open_and_have_the_color_of_the_reference(api: httpx.Client) -> None:
    reference = upload(api, png("lime"))
    run = start_and_get(api, ICONS, **PROMPT, count=3, style_reference=reference)
    urls = [output["url"] for output in run["outputs"]]
    icons = [Image.open(io.BytesIO(httpx.get(url, trust_env=False).content)) for url in urls]
    assert [(icon.format, icon.size) for icon in icons] == [("PNG", (256, 256))] * 3
    red, green, blue = icons[0].convert("RGB").resize((1, 1)).tobytes()
    assert green > max(red, blue)


def test_a_video_is_an_mp4_with_a_preview(api: httpx.Client) -> None:
    [output] = start_and_get(api, CLIP, **PROMPT, image=upload(api, png("blue")))["outputs"]
    assert httpx.get(output["url"], trust_env=False).content[4:8] == b"ftyp"
    preview = httpx.get(output["preview_url"], trust_env=False)
    assert Image.open(io.BytesIO(preview.content)).format == "JPEG"


def test_an_output_of_an_inference_can_be_an_input(api: httpx.Client) -> None:
    [picture] = run(api)["outputs"]
    assert start_and_get(api, CLIP, **PROMPT, image=picture["file_id"])["status"] == "success"


def test_a_failing_run_stops_at_its_second_step_and_costs_nothing(
    api: httpx.Client, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_error = FAILURE
    run = start_and_get(api, ICONS, **PROMPT)
    assert conforms("GetWorkflowRunOutput", run)
    assert (run["status"], run["error_code"], run["error"]) == ("failure", *FAILURE)
    assert steps(run) == ["success", "failure", "cancelled"]
    assert run["steps"][1]["error_code"] == FAILURE[0]
    assert get_workspace(api)["balance_creative_units"] == 1000


def test_the_price_is_reserved_and_then_charged(api: httpx.Client, time: Time) -> None:
    start(api, ICONS, **PROMPT)
    before = get_workspace(api)
    time.seconds = 100
    after = get_workspace(api)
    assert (before["balance_creative_units"], before["reserved_creative_units"]) == (1000, 1)
    assert (after["balance_creative_units"], after["reserved_creative_units"]) == (999, 0)


def test_a_run_that_exceeds_the_balance_is_refused(
    api: httpx.Client, sandbox: RunningSandbox
) -> None:
    sandbox.state.workspaces[0].balance_creative_units = 0.5
    answer = api.post(f"{ICONS}/runs", json={"inputs": PROMPT})
    assert (answer.status_code, answer.json()["type"][-20:]) == (402, "INSUFFICIENT_BALANCE")


def test_inferences_and_workflow_runs_count_toward_the_same_limit(
    api: httpx.Client, sandbox: RunningSandbox, time: Time
) -> None:
    sandbox.state.knobs.max_runs_at_once = 2
    run(api)
    start(api, ICONS, **PROMPT)
    answer = api.post(f"{ICONS}/runs", json={"inputs": PROMPT})
    assert (answer.status_code, answer.json()["type"][-12:]) == (429, "RATE_LIMITED")


def test_the_same_session_name_gives_the_same_session(api: httpx.Client) -> None:
    body = {"inputs": PROMPT, "session_name": "potions"}
    first, second = (api.post(f"{ICONS}/runs", json=body).json()["session_id"] for _ in range(2))
    assert first is not None
    assert first == second


def test_a_session_id_takes_precedence_over_a_session_name(api: httpx.Client) -> None:
    body = {"inputs": PROMPT, "session_id": UNKNOWN_ID, "session_name": "potions"}
    assert api.post(f"{ICONS}/runs", json=body).json()["session_id"] == UNKNOWN_ID


def test_the_spelling_of_statuses_is_a_knob(api: httpx.Client, sandbox: RunningSandbox) -> None:
    sandbox.state.knobs.status_spelling = {"success": "SUCCEEDED"}
    run = start_and_get(api, ICONS, **PROMPT)
    assert (run["status"], steps(run)[0]) == ("SUCCEEDED", "SUCCEEDED")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/workflows/{UNKNOWN_ID}/runs/{UNKNOWN_ID}", 404),
        (f"{ICONS}/runs/{UNKNOWN_ID}", 404),
        (f"{ICONS}/runs/nope", 422),
        ("/workflows?limit=0", 422),
        ("/workflows?cursor=x", 422),
    ],
)
def test_an_invalid_path_or_query_returns_a_problem(
    path: str, status: int, api: httpx.Client
) -> None:
    answer = api.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )


def test_a_run_is_only_found_under_its_workflow(api: httpx.Client) -> None:
    run = start(api, ICONS, **PROMPT)
    assert api.get(f"{CLIP}/runs/{run['run_id']}").status_code == 404


def test_steps_never_run_in_parallel_and_end_with_the_run() -> None:
    for share in (number / 100 for number in range(101)):
        steps = step_statuses(share, 3)
        assert steps.count("running") <= 1
        assert (status_of_steps(steps) == "success") == (share == 1)
        assert (status_of_steps(steps) == "pending") == (share < 0.1)
