"""The sandbox's API: authentication, paths, bodies, and the operations on workspaces and models."""

from typing import Any

import httpx
import pytest

from layer_mcp.sandbox import RunningSandbox
from layer_mcp.sandbox.answers import encode_cursor
from layer_mcp.sandbox.catalog import SandboxModel, sandbox_models

from ..support.contract import conforms, schemas
from ..support.hosts import SMALL_IMAGE
from ..support.sandbox_calls import run

UNKNOWN_ID = "00000000-0000-4000-8000-0000000000ff"


def test_a_request_without_a_token_is_refused(sandbox: RunningSandbox) -> None:
    answer = httpx.get(f"{sandbox.api_url}/v1/workspaces", trust_env=False)
    assert (answer.status_code, answer.json()["type"][-15:]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/workspaces/nope", 422),
        (f"/workspaces/{UNKNOWN_ID}", 404),
        (f"/workspaces/{UNKNOWN_ID}/models", 404),
        ("{ws}/models/nope", 422),
        (f"{{ws}}/models/{UNKNOWN_ID}", 404),
        (f"{{ws}}/inferences/{UNKNOWN_ID}", 404),
        ("{ws}/models?limit=0", 422),
        ("{ws}/models?limit=x", 422),
        ("{ws}/models?cursor=-1", 422),
        ("{ws}/models?cursor=b2Zmc2V0Oi0x", 422),
        ("{ws}/models?modality=smell", 422),
        ("{ws}/models?inpainting=perhaps", 422),
        ("{ws}/nothing", 404),
    ],
)
def test_an_invalid_path_or_query_returns_a_problem(
    path: str, status: int, api: httpx.Client, sandbox: RunningSandbox
) -> None:
    path = path.format(ws=f"/workspaces/{sandbox.workspace_id}")
    answer = api.get(f"{sandbox.api_url}/v1{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"prompt": "x"}', b'{"model_id": 5}'])
def test_an_invalid_body_is_a_422(body: bytes, api: httpx.Client) -> None:
    assert api.post("/inferences", content=body).status_code == 422


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("modality=audio", ["Sandbox Sound", "Sandbox Speech"]),
        ("modality=text", []),
        ("search=ENLARGES", ["Sandbox Upscale"]),
        ("search=webp", ["Sandbox Image Fast"]),
        ("inpainting=true", ["Sandbox Image"]),
        ("outpainting=1", ["Sandbox Image"]),
        ("inpainting=false&modality=image", ["Sandbox Image Fast", "Sandbox Upscale"]),
        ("supports_reference_images=true&modality=three_d", ["Sandbox 3D"]),
        ("text_to_3d=true", ["Sandbox 3D"]),
        ("image_to_3d=true", ["Sandbox 3D"]),
        ("sound_effect=true", ["Sandbox Sound"]),
        ("text_to_speech=true", ["Sandbox Speech"]),
        ("generate_audio=true", ["Sandbox Video"]),
        ("limit=2", ["Sandbox Image", "Sandbox Image Fast"]),
        (f"limit=2&cursor={encode_cursor(4)}", ["Sandbox Sound", "Sandbox Speech"]),
        (f"limit=2&cursor={encode_cursor(6)}", ["Sandbox Upscale"]),
    ],
)
def test_models_are_filtered_and_paged(query: str, names: list[str], api: httpx.Client) -> None:
    answer = api.get(f"/models?{query}").json()
    assert [model["name"] for model in answer["models"]] == names


def test_answers_conform_to_the_published_contract(
    api: httpx.Client, sandbox: RunningSandbox
) -> None:
    answers: dict[str, Any] = {
        "ListWorkspacesOutput": api.get(f"{sandbox.api_url}/v1/workspaces").json(),
        "WorkspaceInfo": api.get(str(api.base_url).rstrip("/")).json(),
        "ListModelsOutput": api.get("/models").json(),
        "ExecuteForgeOutput": api.post("/inferences", json=SMALL_IMAGE).json(),
        "GetForgeRunOutput": run(api),
    }
    assert [name for name, answer in answers.items() if not conforms(name, answer)] == []


@pytest.mark.parametrize("model", sandbox_models(), ids=lambda model: model.name)
def test_each_model_conforms_to_the_published_contract(
    model: SandboxModel, api: httpx.Client
) -> None:
    answer = api.get(f"/models/{model.model_id}").json()
    assert conforms("GetModelRESTOutput", answer)
    assert set(model.capabilities) <= set(schemas()["ModelCapabilitiesREST"]["properties"])
