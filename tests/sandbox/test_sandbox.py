"""The sandbox behaves as Layer does, and its files open."""

import io
import json
import struct
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from PIL import Image

from layer_mcp.sandbox import RunningSandbox
from layer_mcp.sandbox.answers import encode_cursor
from layer_mcp.sandbox.catalog import SandboxModel, sandbox_models

from ..support.contract import conforms, schemas
from ..support.hosts import SMALL_IMAGE

MODELS = {model.kind: model.model_id for model in reversed(sandbox_models())}
UNKNOWN_ID = "00000000-0000-4000-8000-0000000000ff"


@pytest.fixture
def api(sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    base = f"{sandbox.api_url}/v1"
    with httpx.Client(base_url=base, headers=headers, trust_env=False) as client:
        yield client


@pytest.fixture
def inferences(sandbox: RunningSandbox) -> str:
    return f"/workspaces/{sandbox.workspace_id}/inferences"


def run(api: httpx.Client, inferences: str, **body: Any) -> dict[str, Any]:
    started = api.post(inferences, json=SMALL_IMAGE | body)
    assert started.status_code == 202, started.text
    return api.get(f"{inferences}/{started.json()['inference_id']}").json()


def only_file(api: httpx.Client, inferences: str, **body: Any) -> bytes:
    [output] = run(api, inferences, **body)["outputs"]
    answer = httpx.get(output["url"], trust_env=False)
    assert answer.headers["content-type"] == output["content_type"]
    assert len(answer.content) == output["file_size_bytes"]
    return answer.content


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_a_picture_opens_in_the_size_that_was_asked(
    kind: str, api: httpx.Client, inferences: str
) -> None:
    model_id = MODELS["webp" if kind == "webp" else "png"]
    picture = Image.open(io.BytesIO(only_file(api, inferences, model_id=model_id, height=128)))
    picture.load()
    assert (picture.format, picture.size) == (kind.upper(), (64, 128))


def test_the_same_seed_draws_the_same_picture(api: httpx.Client, inferences: str) -> None:
    first, second = (only_file(api, inferences, seed=7) for _ in range(2))
    assert first == second
    assert first != only_file(api, inferences, seed=8)


def test_a_cut_out_has_a_transparent_corner(api: httpx.Client, inferences: str) -> None:
    data = only_file(api, inferences, remove_background=True)
    assert Image.open(io.BytesIO(data)).convert("RGBA").getpixel((0, 0)) == (0, 0, 0, 0)


def test_a_sound_opens_and_lasts_as_long_as_asked(api: httpx.Client, inferences: str) -> None:
    data = only_file(api, inferences, model_id=MODELS["wav"], duration_seconds=0.5)
    with wave.open(io.BytesIO(data)) as sound:
        assert sound.getnframes() / sound.getframerate() == 0.5


def test_speech_lasts_as_long_as_its_words(api: httpx.Client, inferences: str) -> None:
    speech = next(m.model_id for m in sandbox_models() if m.capabilities.get("text_to_speech"))
    data = only_file(api, inferences, model_id=speech, prompt="five words in all here", speed=2)
    with wave.open(io.BytesIO(data)) as sound:
        assert sound.getnframes() / sound.getframerate() == 1


def test_a_mesh_is_a_glb_whose_parts_add_up(api: httpx.Client, inferences: str) -> None:
    data = only_file(api, inferences, model_id=MODELS["glb"])
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    json_length, kind = struct.unpack_from("<I4s", data, 12)
    document = json.loads(data[20 : 20 + json_length])
    binary_length, _ = struct.unpack_from("<I4s", data, 20 + json_length)
    assert kind == b"JSON"
    assert binary_length >= document["buffers"][0]["byteLength"]
    assert document["accessors"][1]["count"] % 3 == 0


def test_a_video_is_an_mp4(api: httpx.Client, inferences: str) -> None:
    assert only_file(api, inferences, model_id=MODELS["mp4"])[4:8] == b"ftyp"


def test_files_need_no_token_and_the_api_does(api: httpx.Client, inferences: str) -> None:
    assert only_file(api, inferences)
    answer = httpx.get(str(api.base_url) + "workspaces", trust_env=False)
    assert (answer.status_code, answer.json()["type"][-15:]) == (401, "UNAUTHENTICATED")


def test_a_run_passes_through_in_progress_before_it_ends(
    api: httpx.Client, inferences: str, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    running = run(api, inferences)
    assert (running["status"], running["poll_interval_seconds"]) == ("in_progress", 1)
    sandbox.state.knobs.run_seconds = 0
    ended = api.get(f"{inferences}/{running['inference_id']}").json()
    assert ended["status"] == "complete"


def test_the_price_is_reserved_while_running_and_charged_at_the_end(
    api: httpx.Client, inferences: str, sandbox: RunningSandbox
) -> None:
    workspace = f"/workspaces/{sandbox.workspace_id}"
    sandbox.state.knobs.run_seconds = 600
    run(api, inferences, width=1000, height=1000, batch_size=10)
    running = api.get(workspace).json()
    assert (running["balance_creative_units"], running["reserved_creative_units"]) == (1000, 1)
    sandbox.state.knobs.run_seconds = 0
    ended = api.get(workspace).json()
    assert (ended["balance_creative_units"], ended["reserved_creative_units"]) == (999, 0)


def test_two_looks_at_once_see_the_same_files(
    api: httpx.Client, inferences: str, sandbox: RunningSandbox
) -> None:
    started = api.post(inferences, json=SMALL_IMAGE | {"width": 2048, "height": 2048}).json()
    looks = ThreadPoolExecutor(2).map(api.get, [f"{inferences}/{started['inference_id']}"] * 2)
    first, second = (look.json()["outputs"] for look in looks)
    assert first == second


def test_a_failed_run_costs_nothing_and_says_why(
    api: httpx.Client, inferences: str, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_error = ("NO_MEDIA_GENERATED", "Nothing came.")
    failed = run(api, inferences)
    assert (failed["status"], failed["error_code"]) == ("failed", "NO_MEDIA_GENERATED")
    assert sandbox.state.workspaces[0].balance_creative_units == 1000


def test_unknown_keys_are_ignored_as_layer_does(api: httpx.Client, inferences: str) -> None:
    body = {"model_id": MODELS["png"], "parameters": {"prompt": "x", "batch_size": 1}}
    started = api.post(inferences, json=body).json()
    assert started["normalized_parameters"]["batch_size"] == 4


def test_parameters_are_normalized_and_unused_ones_null(api: httpx.Client, inferences: str) -> None:
    body = SMALL_IMAGE | {"width": 1001, "height": 9000, "fps": 25}
    echo = api.post(inferences, json=body).json()["normalized_parameters"]
    assert (echo["width"], echo["height"], echo["fps"]) == (1000, 2048, None)


@pytest.mark.parametrize(
    ("path", "code"),
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
def test_an_address_that_is_wrong_is_a_problem(
    path: str, code: int, api: httpx.Client, sandbox: RunningSandbox
) -> None:
    answer = api.get(path.format(ws=f"/workspaces/{sandbox.workspace_id}"))
    assert (answer.status_code, answer.headers["content-type"]) == (
        code,
        "application/problem+json",
    )


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"prompt": "x"}', b'{"model_id": 5}'])
def test_a_body_that_is_wrong_is_a_422(body: bytes, api: httpx.Client, inferences: str) -> None:
    assert api.post(inferences, content=body).status_code == 422


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("modality=audio", ["Sandbox Sound", "Sandbox Speech"]),
        ("modality=text", []),
        ("search=ENLARGED", ["Sandbox Upscale"]),
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
def test_models_are_filtered_and_paged(
    query: str, names: list[str], api: httpx.Client, sandbox: RunningSandbox
) -> None:
    answer = api.get(f"/workspaces/{sandbox.workspace_id}/models?{query}").json()
    assert [model["name"] for model in answer["models"]] == names


def test_answers_conform_to_the_published_contract(
    api: httpx.Client, inferences: str, sandbox: RunningSandbox
) -> None:
    workspace = f"/workspaces/{sandbox.workspace_id}"
    started = api.post(inferences, json=SMALL_IMAGE).json()
    answers = {
        "ListWorkspacesOutput": api.get("/workspaces").json(),
        "WorkspaceInfo": api.get(workspace).json(),
        "ListModelsOutput": api.get(f"{workspace}/models").json(),
        "ExecuteForgeOutput": started,
        "GetForgeRunOutput": api.get(f"{inferences}/{started['inference_id']}").json(),
    }
    assert [name for name, answer in answers.items() if not conforms(name, answer)] == []


@pytest.mark.parametrize("model", sandbox_models(), ids=lambda model: model.name)
def test_each_model_conforms_to_the_published_contract(
    model: SandboxModel, api: httpx.Client, sandbox: RunningSandbox
) -> None:
    answer = api.get(f"/workspaces/{sandbox.workspace_id}/models/{model.model_id}").json()
    assert conforms("GetModelRESTOutput", answer)
    assert set(model.capabilities) <= set(schemas()["ModelCapabilitiesREST"]["properties"])
