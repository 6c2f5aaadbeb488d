"""The sandbox's inferences: how runs end and what they cost, and output files that open."""

import colorsys
import io
import json
import struct
import wave
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import httpx
import pytest
from PIL import Image

from layer_mcp.sandbox import RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_models

from ..support.hosts import SMALL_IMAGE
from ..support.sandbox_calls import get_workspace, png, request_upload_url, run, upload

DATA = b"not a picture"
MODELS = {model.kind: model.model_id for model in reversed(sandbox_models())}
UPSCALE = next(model.model_id for model in sandbox_models() if model.upscales)


def download_only_output(api: httpx.Client, **body: Any) -> bytes:
    [output] = run(api, **body)["outputs"]
    answer = httpx.get(output["url"], trust_env=False)
    assert answer.headers["content-type"] == output["content_type"]
    assert len(answer.content) == output["file_size_bytes"]
    return answer.content


def test_a_run_is_in_progress_before_it_completes(
    api: httpx.Client, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    running = run(api)
    assert (running["status"], running["poll_interval_seconds"]) == ("in_progress", 1)
    sandbox.state.knobs.run_seconds = 0
    ended = api.get(f"/inferences/{running['inference_id']}").json()
    assert ended["status"] == "complete"


def test_the_price_is_reserved_during_a_run_and_charged_at_the_end(
    api: httpx.Client, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    run(api, width=1000, height=1000, batch_size=10)
    running = get_workspace(api)
    assert (running["balance_creative_units"], running["reserved_creative_units"]) == (1000, 1)
    sandbox.state.knobs.run_seconds = 0
    ended = get_workspace(api)
    assert (ended["balance_creative_units"], ended["reserved_creative_units"]) == (999, 0)


def test_a_failed_run_costs_nothing_and_has_an_error(
    api: httpx.Client, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_error = ("NO_MEDIA_GENERATED", "Nothing came.")
    failed = run(api)
    assert (failed["status"], failed["error_code"]) == ("failed", "NO_MEDIA_GENERATED")
    assert sandbox.state.workspaces[0].balance_creative_units == 1000


def test_two_requests_at_the_same_time_return_the_same_outputs(api: httpx.Client) -> None:
    started = api.post("/inferences", json=SMALL_IMAGE | {"width": 2048, "height": 2048}).json()
    answers = ThreadPoolExecutor(2).map(api.get, [f"/inferences/{started['inference_id']}"] * 2)
    first, second = (answer.json()["outputs"] for answer in answers)
    assert first == second


def test_unknown_keys_are_ignored_as_layer_does(api: httpx.Client) -> None:
    body = {"model_id": MODELS["png"], "parameters": {"prompt": "x", "batch_size": 1}}
    started = api.post("/inferences", json=body).json()
    assert started["normalized_parameters"]["batch_size"] == 4


def test_parameters_are_normalized_and_unused_ones_are_null(api: httpx.Client) -> None:
    body = SMALL_IMAGE | {"width": 1001, "height": 9000, "fps": 25}
    normalized = api.post("/inferences", json=body).json()["normalized_parameters"]
    assert (normalized["width"], normalized["height"], normalized["fps"]) == (1000, 2048, None)


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_a_picture_opens_in_the_requested_size(kind: str, api: httpx.Client) -> None:
    model_id = MODELS["webp" if kind == "webp" else "png"]
    picture = Image.open(io.BytesIO(download_only_output(api, model_id=model_id, height=128)))
    picture.load()
    assert (picture.format, picture.size) == (kind.upper(), (64, 128))


def test_the_same_seed_draws_the_same_picture(api: httpx.Client) -> None:
    first, second = (download_only_output(api, seed=7) for _ in range(2))
    assert first == second
    assert first != download_only_output(api, seed=8)


def test_remove_background_makes_the_corner_transparent(api: httpx.Client) -> None:
    data = download_only_output(api, remove_background=True)
    assert Image.open(io.BytesIO(data)).convert("RGBA").getpixel((0, 0)) == (0, 0, 0, 0)


def test_a_sound_opens_and_has_the_requested_duration(api: httpx.Client) -> None:
    data = download_only_output(api, model_id=MODELS["wav"], duration_seconds=0.5)
    with wave.open(io.BytesIO(data)) as sound:
        assert sound.getnframes() / sound.getframerate() == 0.5


def test_speech_lasts_as_long_as_its_words(api: httpx.Client) -> None:
    speech = next(m.model_id for m in sandbox_models() if m.capabilities.get("text_to_speech"))
    data = download_only_output(api, model_id=speech, prompt="five words in all here", speed=2)
    with wave.open(io.BytesIO(data)) as sound:
        assert sound.getnframes() / sound.getframerate() == 1


def test_a_mesh_is_a_complete_glb(api: httpx.Client) -> None:
    data = download_only_output(api, model_id=MODELS["glb"])
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    json_length, kind = struct.unpack_from("<I4s", data, 12)
    document = json.loads(data[20 : 20 + json_length])
    binary_length, _ = struct.unpack_from("<I4s", data, 20 + json_length)
    assert kind == b"JSON"
    assert binary_length >= document["buffers"][0]["byteLength"]
    assert document["accessors"][1]["count"] % 3 == 0


def test_a_video_is_an_mp4(api: httpx.Client) -> None:
    assert download_only_output(api, model_id=MODELS["mp4"])[4:8] == b"ftyp"


@pytest.mark.parametrize("field", ["guidance_files", "mask"])
def test_a_run_with_an_incomplete_upload_is_refused_and_costs_nothing(
    field: str, api: httpx.Client, sandbox: RunningSandbox
) -> None:
    file = request_upload_url(api, DATA)
    answer = api.post("/inferences", json=SMALL_IMAGE | reference(field, file["file_id"]))
    assert (answer.status_code, answer.json()["type"][-14:]) == (404, "FILE_NOT_FOUND")
    assert not sandbox.state.runs


@pytest.mark.parametrize("field", ["guidance_files", "mask"])
def test_uploads_and_outputs_can_be_references(field: str, api: httpx.Client) -> None:
    [output] = run(api, **reference(field, upload(api, DATA)))["outputs"]
    assert run(api, **reference(field, output["file_id"]))["status"] == "complete"


def reference(field: str, file_id: str) -> dict[str, Any]:
    file = {"file_id": file_id.upper()}
    return {field: file} if field == "mask" else {field: [file | {"type": "reference_image"}]}


@pytest.mark.parametrize(("color", "hue"), [("blue", 2 / 3), ("lime", 1 / 3)])
def test_a_picture_takes_its_color_from_the_reference(
    color: str, hue: float, api: httpx.Client
) -> None:
    guided = reference("guidance_files", upload(api, png(color)))
    data = download_only_output(api, prompt="a red potion", remove_background=True, **guided)
    assert hue_of_the_middle(data) == pytest.approx(hue, abs=0.03)  # pyright: ignore[reportUnknownMemberType]


def hue_of_the_middle(data: bytes) -> float:
    with Image.open(io.BytesIO(data)) as image:
        pixel = image.convert("RGB").getpixel((image.width // 2, image.height // 2))
    red, green, blue = cast("tuple[int, int, int]", pixel)
    return colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)[0]


@pytest.mark.parametrize("data", [DATA, png("gray")], ids=["junk", "gray"])
def test_a_reference_without_a_color_does_not_change_the_picture(
    data: bytes, api: httpx.Client
) -> None:
    guided = reference("guidance_files", upload(api, data))
    first, second = (download_only_output(api, seed=7, **change) for change in (guided, {}))
    assert first == second


@pytest.mark.parametrize(("ratio", "side"), [(None, 32), (4, 64), (1000, 64)])
def test_a_picture_can_be_upscaled(ratio: float | None, side: int, api: httpx.Client) -> None:
    init = {"file_id": upload(api, png("blue")), "type": "init"}
    body = {"model_id": UPSCALE, "upscale_ratio": ratio, "guidance_files": [init]}
    [output] = run(api, **body)["outputs"]
    with Image.open(io.BytesIO(httpx.get(output["url"], trust_env=False).content)) as image:
        assert image.size == (output["width"], output["height"]) == (side, side)
        assert image.getpixel((5, 5)) == (0, 0, 255, 255)


def test_upscaling_without_a_picture_is_refused(api: httpx.Client, sandbox: RunningSandbox) -> None:
    answer = api.post("/inferences", json={"model_id": UPSCALE})
    assert (answer.status_code, answer.json()["detail"].split(":")[0]) == (422, "guidance_files")
    assert not sandbox.state.runs
