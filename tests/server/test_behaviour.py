"""What an agent sees, over every transport and both protocol eras."""

import io
import json

import anyio
import httpx
import pytest
from PIL import Image

from layer_mcp.sandbox import Fault, RunningSandbox
from layer_mcp.server.answers import SIMULATED_LINE

from ..support.hosts import SMALL_IMAGE, Host, content_of, error_code, text_of

pytestmark = [pytest.mark.anyio, pytest.mark.every_host]


@pytest.mark.smoke
async def test_a_run_goes_from_submission_to_a_picture_that_opens(
    host: Host, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with host.connect(environment) as client:
        started = content_of(await client.call_tool("execute_inference", SMALL_IMAGE))
        finished = content_of(
            await client.call_tool("get_status", {"inference_id": started["inference_id"]})
        )
    [output] = finished["outputs"]
    async with httpx.AsyncClient(trust_env=False) as http:
        picture = Image.open(io.BytesIO((await http.get(output["url"])).content))
    assert (picture.format, picture.size) == ("PNG", (64, 64))
    assert sandbox.state.arrived == {
        "estimate_price": 1,
        "execute_inference": 1,
        "get_inference": 1,
        "preview": 1,
        "media": 1,
    }


async def test_submitting_returns_the_id_and_the_next_step_immediately(
    host: Host, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with host.connect(environment) as client:
        result = await client.call_tool("execute_inference", SMALL_IMAGE)
    started = content_of(result)
    assert started["status"] == "in_progress"
    assert started["inference_id"] in sandbox.state.runs
    assert f'get_status with inference_id "{started["inference_id"]}"' in started["next_step"]
    assert sandbox.state.arrived == {"estimate_price": 1, "execute_inference": 1}


async def test_submitting_with_a_wait_returns_the_files(
    host: Host, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with host.connect(environment) as client:
        result = await client.call_tool("execute_inference", SMALL_IMAGE | {"wait_seconds": 10})
    assert content_of(result)["status"] == "complete"
    assert "image/png, 64x64" in text_of(result)
    assert sandbox.state.arrived == {
        "estimate_price": 1,
        "execute_inference": 1,
        "get_inference": 1,
        "preview": 1,
    }


async def test_the_deadline_is_a_normal_answer(
    host: Host, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    async with host.connect(environment) as client:
        started = content_of(await client.call_tool("execute_inference", SMALL_IMAGE))
        call = {"inference_id": started["inference_id"], "wait_seconds": 1.5}
        result = await client.call_tool("get_status", call)
    assert not result.is_error
    assert content_of(result)["status"] == "in_progress"
    assert sandbox.state.arrived["get_inference"] == 2


async def test_cancelling_a_wait_does_not_affect_the_run_or_the_server(
    host: Host, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    async with host.connect(environment) as client:
        started = content_of(await client.call_tool("execute_inference", SMALL_IMAGE))
        call = {"inference_id": started["inference_id"], "wait_seconds": 40}
        with anyio.move_on_after(1) as cancelled:
            await client.call_tool("get_status", call)
        sandbox.state.knobs.run_seconds = 0
        finished = content_of(await client.call_tool("get_status", call))
    assert cancelled.cancelled_caught
    assert finished["status"] == "complete"
    assert sandbox.state.arrived["execute_inference"] == 1


async def test_a_wait_is_capped_by_the_setting(
    host: Host, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    async with host.connect(environment | {"LAYER_MAX_WAIT_SECONDS": "1"}) as client:
        with anyio.fail_after(15):
            call = SMALL_IMAGE | {"wait_seconds": 3600}
            result = await client.call_tool("execute_inference", call)
    assert content_of(result)["status"] == "in_progress"


async def test_names_the_parameters_that_the_model_changes(
    host: Host, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with host.connect(environment) as client:
        result = await client.call_tool("execute_inference", SMALL_IMAGE | {"width": 101})
    assert content_of(result)["changed_parameters"] == ["width asked 101, runs 104"]
    assert "Changed by the model: width asked 101, runs 104." in text_of(result)


async def test_progress_arrives_while_waiting(
    host: Host, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    seen: list[tuple[float, float | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total))

    async with host.connect(environment) as client:
        started = content_of(await client.call_tool("execute_inference", SMALL_IMAGE))
        call = {"inference_id": started["inference_id"], "wait_seconds": 1.5}
        await client.call_tool("get_status", call, progress_callback=note)
    assert [total for _, total in seen] == [1.5, 1.5]
    assert seen[0][0] < seen[1][0] <= 1.5


async def test_a_misspelt_argument_is_refused_before_anything_is_sent(
    host: Host, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with host.connect(environment) as client:
        result = await client.call_tool("execute_inference", SMALL_IMAGE | {"promt": "x"})
    assert error_code(result) == "INVALID_ARGUMENTS"
    assert 'did you mean "prompt"?' in text_of(result)
    assert not sandbox.state.arrived


async def test_a_dropped_answer_is_never_submitted_again(
    host: Host, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", Fault("drop", accepted=True))
    async with host.connect(environment) as client:
        result = await client.call_tool("execute_inference", SMALL_IMAGE)
    assert error_code(result) == "OUTCOME_UNKNOWN"
    assert "Look in Layer" in content_of(result)["next_step"]
    assert sandbox.state.arrived == {"estimate_price": 1, "execute_inference": 1}


async def test_a_failed_run_is_not_a_failed_call(
    host: Host, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_error = ("CONTENT_POLICY_VIOLATION", "The prompt is not allowed.")
    async with host.connect(environment) as client:
        result = await client.call_tool("execute_inference", SMALL_IMAGE | {"wait_seconds": 5})
    assert not result.is_error
    assert content_of(result)["status"] == "failed"
    assert content_of(result)["error"]["code"] == "CONTENT_POLICY_VIOLATION"


async def test_tools_are_listed_without_token_and_network(host: Host) -> None:
    async with host.connect({"LAYER_API_KEY": "${user_config.api_key}"}) as client:
        tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools] == [
        "execute_inference",
        "get_status",
        "list_runs",
        "execute_batch",
        "estimate_price",
        "list_models",
        "get_model",
        "list_workspaces",
        "upload_file",
        "save_outputs",
    ]


@pytest.mark.process
async def test_the_first_call_without_a_token_says_what_to_set(host: Host) -> None:
    async with host.connect({}) as client:
        result = await client.call_tool("execute_inference", SMALL_IMAGE)
    assert error_code(result) == "MISSING_TOKEN"
    assert "LAYER_API_KEY" in text_of(result)
    assert "app.layer.ai" in text_of(result)


async def test_every_answer_of_the_sandbox_says_that_it_is_simulated(
    host: Host, environment: dict[str, str]
) -> None:
    async with host.connect(environment | {"LAYER_SANDBOX": "1"}) as client:
        started = await client.call_tool("execute_inference", SMALL_IMAGE)
        run = {"inference_id": content_of(started)["inference_id"]}
        finished = await client.call_tool("get_status", run)
        refused = await client.call_tool("execute_inference", SMALL_IMAGE | {"prompt": 5})
    for answer in (started, finished, refused):
        assert content_of(answer)["simulated"] is True
        assert SIMULATED_LINE in text_of(answer)


async def test_a_run_that_has_ended_when_it_is_submitted_comes_with_its_files(
    host: Host, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.status_spelling = {"in_progress": "COMPLETED"}
    async with host.connect(environment) as client:
        result = await client.call_tool("execute_inference", SMALL_IMAGE)
    assert len(content_of(result)["outputs"]) == 1
    assert sandbox.state.arrived == {
        "estimate_price": 1,
        "execute_inference": 1,
        "get_inference": 1,
        "preview": 1,
    }


async def test_submitting_counts_towards_the_longest_wait(
    host: Host, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    sandbox.state.knobs.fail_next("execute_inference", Fault("slow", delay_seconds=2))
    async with host.connect(environment | {"LAYER_MAX_WAIT_SECONDS": "1"}) as client:
        result = await client.call_tool("execute_inference", SMALL_IMAGE | {"wait_seconds": 30})
    assert content_of(result)["status"] == "in_progress"
    assert sandbox.state.arrived == {"estimate_price": 1, "execute_inference": 1}


async def test_structured_content_holds_no_nulls(
    host: Host, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with host.connect(environment) as client:
        result = await client.call_tool("execute_inference", SMALL_IMAGE | {"wait_seconds": 5})
    assert "null" not in json.dumps(content_of(result))


async def test_the_server_survives_a_call_to_an_unknown_tool(
    host: Host, environment: dict[str, str]
) -> None:
    async with host.connect(environment) as client:
        assert (await client.call_tool("make_money", {})).is_error
        assert (await client.list_tools()).tools
