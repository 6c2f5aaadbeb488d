"""Finding a model and knowing the price, over every transport and both protocol eras."""

from typing import Any

import pytest

from layer_mcp.sandbox import Fault, RunningSandbox
from layer_mcp.sandbox.state import SandboxWorkspace

from ..support.hosts import IMAGE_MODEL, MEMORY, SMALL_IMAGE, Host, content_of, error_code, text_of

pytestmark = pytest.mark.anyio

OTHER_WORKSPACE = "00000000-0000-4000-8000-0000000000bb"
SOME_ID = "3c90c3cc-0d44-4b50-8888-8dd25736052a"


async def test_workspaces_come_with_their_balance(host: Host, environment: dict[str, str]) -> None:
    async with host.connect(environment) as client:
        result = await client.call_tool("list_workspaces", {})
    [row] = content_of(result)["workspaces"]
    assert (row["name"], row["available_creative_units"]) == ("Sandbox", 1000)
    assert "1000 CU available" in text_of(result)


async def test_one_workspace_can_be_requested_by_name(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.workspaces.append(SandboxWorkspace(OTHER_WORKSPACE, "other", "Other", 5))
    async with MEMORY.connect(environment) as client:
        result = await client.call_tool("list_workspaces", {"workspace_id": "Other"})
    assert [row["workspace_id"] for row in content_of(result)["workspaces"]] == [OTHER_WORKSPACE]


async def test_models_are_found_by_what_they_make(host: Host, environment: dict[str, str]) -> None:
    async with host.connect(environment) as client:
        result = await client.call_tool("list_models", {"modality": "three_d"})
    [row] = content_of(result)["models"]
    assert row["name"] == "Sandbox 3D"
    assert f"{row['model_id']} Sandbox 3D (three_d, {row['inference_timing']})" in text_of(result)


@pytest.mark.parametrize(
    ("capability", "name"),
    [
        ("inpainting", "Sandbox Image"),
        ("generate_audio", "Sandbox Video"),
        ("image_to_3d", "Sandbox 3D"),
        ("text_to_3d", "Sandbox 3D"),
        ("sound_effect", "Sandbox Sound"),
        ("text_to_speech", "Sandbox Speech"),
        ("outpainting", "Sandbox Image"),
        ("supports_reference_images", "Sandbox Image"),
    ],
)
async def test_models_are_found_by_what_they_can_do(
    capability: str, name: str, environment: dict[str, str]
) -> None:
    async with MEMORY.connect(environment) as client:
        result = await client.call_tool("list_models", {capability: True})
        everything = await client.call_tool("list_models", {})
    names = [row["name"] for row in content_of(result)["models"]]
    assert name in names
    assert len(names) < len(content_of(everything)["models"])


async def test_paging_lists_every_model_once(environment: dict[str, str]) -> None:
    seen: list[str] = []
    call: dict[str, Any] = {"limit": 2}
    async with MEMORY.connect(environment) as client:
        while True:
            page = content_of(await client.call_tool("list_models", call))
            seen += [row["model_id"] for row in page["models"]]
            if "next_cursor" not in page:
                break
            assert page["next_cursor"] in page["next_step"]
            call["cursor"] = page["next_cursor"]
    assert len(seen) == len(set(seen)) == page["total_count"]


async def test_a_search_without_a_match_says_what_to_try(environment: dict[str, str]) -> None:
    async with MEMORY.connect(environment) as client:
        result = await client.call_tool("list_models", {"search": "spaceship-nine"})
    assert "No models match." in text_of(result)


async def test_a_model_says_which_arguments_it_uses_and_ignores(
    host: Host, environment: dict[str, str]
) -> None:
    async with host.connect(environment) as client:
        model = content_of(await client.call_tool("get_model", {"model_id": IMAGE_MODEL}))
    assert {"prompt", "seed", "guidance_files", "mask"} <= set(model["uses"])
    assert {"duration_seconds", "quad_mesh", "stability"} <= set(model["ignores"])
    assert "guidance_files types: init, reference_image, editing_reference." in model["notes"]


async def test_an_unknown_model_leads_to_the_list(environment: dict[str, str]) -> None:
    async with MEMORY.connect(environment) as client:
        result = await client.call_tool("get_model", {"model_id": SOME_ID})
    assert error_code(result) == "MODEL_NOT_FOUND"
    assert "list_models" in content_of(result)["next_step"]


async def test_the_estimate_is_the_price_of_the_run(
    host: Host, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with host.connect(environment) as client:
        estimate = content_of(await client.call_tool("estimate_price", SMALL_IMAGE))
        run = content_of(
            await client.call_tool("execute_inference", SMALL_IMAGE | {"wait_seconds": 5})
        )
    assert estimate["estimated_price_creative_units"] == run["actual_price_creative_units"]
    assert estimate["has_sufficient_creative_units"] is True
    assert sandbox.state.arrived["execute_inference"] == 1


async def with_reference(environment: dict[str, str], **more: Any) -> dict[str, Any]:
    """The answer to an estimate of a run that takes an earlier output as its reference."""
    async with MEMORY.connect(environment) as client:
        first = await client.call_tool("execute_inference", SMALL_IMAGE | {"wait_seconds": 5})
        file_id = content_of(first)["outputs"][0]["file_id"]
        reference = {"file_id": file_id, "type": "reference_image"}
        call = SMALL_IMAGE | {"guidance_files": [reference]} | more
        return content_of(await client.call_tool("estimate_price", call))


async def test_references_count_in_the_price(environment: dict[str, str]) -> None:
    estimate = await with_reference(environment)
    assert estimate["estimated_price_creative_units"] == pytest.approx(0.2)
    assert "warning" not in estimate


async def test_a_price_without_the_references_says_so(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.estimate_refuses_references = True
    estimate = await with_reference(environment)
    assert "may cost more" in estimate["warning"]
    assert estimate["estimated_price_creative_units"] < 0.1


async def test_still_rejects_errors_unrelated_to_the_references(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.estimate_refuses_references = True
    estimate = await with_reference(environment, model_id=SOME_ID)
    assert estimate["error"]["code"] == "MODEL_NOT_FOUND"


async def test_a_price_above_20_units_asks_the_user_first(environment: dict[str, str]) -> None:
    video = "00000000-0000-4000-8000-000000000003"
    dear = {"model_id": video, "prompt": "a waterfall", "batch_size": 16}
    async with MEMORY.connect(environment) as client:
        estimate = content_of(await client.call_tool("estimate_price", dear))
    assert estimate["estimated_price_creative_units"] > 20
    assert estimate["next_step"].startswith("Ask the user first")


async def test_a_price_above_the_balance_states_the_missing_amount(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.workspaces[0].balance_creative_units = 0.1
    big = SMALL_IMAGE | {"width": 1000, "height": 1000, "batch_size": 4}
    async with MEMORY.connect(environment) as client:
        estimate = content_of(await client.call_tool("estimate_price", big))
    assert estimate["has_sufficient_creative_units"] is False
    assert "You need 0.3 more CU." in estimate["next_step"]


async def test_retries_a_price_request_after_a_fault(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("estimate_price", Fault("drop"))
    async with MEMORY.connect(environment) as client:
        result = await client.call_tool("estimate_price", SMALL_IMAGE)
    assert not result.is_error
    assert sandbox.state.arrived == {"estimate_price": 2}


@pytest.mark.parametrize("name", ["Sandbox Image", " sandbox IMAGE ", "sandbox image F"])
@pytest.mark.parametrize("tool", ["execute_inference", "get_model", "execute_batch"])
async def test_a_models_name_in_place_of_its_id_is_answered_with_the_id(
    name: str, tool: str, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    call: dict[str, Any] = {"model_id": name}
    if tool == "execute_batch":
        call = {"defaults": call, "requests": [{"prompt": "a potion"}]}
    async with MEMORY.connect(environment) as client:
        answer = await client.call_tool(tool, call)
    assert error_code(answer) == "INVALID_ARGUMENTS"
    [model] = [
        model
        for model in sandbox.state.models
        if model.name == ("Sandbox Image Fast" if name.endswith("F") else "Sandbox Image")
    ]
    assert f'"{model.name}" is {model.model_id}.' in text_of(answer)
    assert not sandbox.state.runs


async def test_the_start_of_several_names_is_answered_with_the_first_models(
    environment: dict[str, str],
) -> None:
    async with MEMORY.connect(environment) as client:
        answer = await client.call_tool("get_model", {"model_id": "sandbox"})
    assert text_of(answer).count(" is 00000000-") == 3
    assert "more." in text_of(answer)


@pytest.mark.parametrize("name", ["Flux", "", "null", 7])
async def test_text_that_is_not_a_models_name_gets_the_plain_error(
    name: object, environment: dict[str, str]
) -> None:
    async with MEMORY.connect(environment) as client:
        answer = await client.call_tool("get_model", {"model_id": name})
    assert error_code(answer) == "INVALID_ARGUMENTS"
    assert " is 00000000-" not in text_of(answer)


async def test_a_list_of_models_that_fails_leaves_the_plain_error(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("list_models", *[Fault("status", status=403)] * 10)
    async with MEMORY.connect(environment) as client:
        answer = await client.call_tool("get_model", {"model_id": "Sandbox Image"})
    assert error_code(answer) == "INVALID_ARGUMENTS"
    assert IMAGE_MODEL not in text_of(answer)


async def test_a_price_names_the_arguments_that_the_model_ignores(
    environment: dict[str, str],
) -> None:
    async with MEMORY.connect(environment) as client:
        answer = await client.call_tool("estimate_price", SMALL_IMAGE | {"fps": 24})
    assert content_of(answer)["warning"] == "Ignored by the model: fps."
