"""The sandbox's files and previews, on a separate host without credentials."""

import io
from typing import Any

import httpx
import pytest
from PIL import Image

from layer_mcp.sandbox import Fault, RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_models

from ..support.sandbox_calls import run

MODELS = {model.name: model.model_id for model in sandbox_models()}


def output(api: httpx.Client, **body: Any) -> dict[str, Any]:
    [only] = run(api, **body)["outputs"]
    return only


def test_files_are_only_on_the_storage_host(api: httpx.Client, sandbox: RunningSandbox) -> None:
    url = output(api)["url"]
    assert url.startswith(f"{sandbox.media_url}/media/")
    at_the_api = url.replace(sandbox.media_url, sandbox.api_url.removesuffix("/api"))
    answers = [httpx.get(place, trust_env=False).status_code for place in (url, at_the_api)]
    assert answers == [200, 404]


def test_the_storage_host_has_a_separate_port(sandbox: RunningSandbox) -> None:
    assert httpx.URL(sandbox.media_url).port != httpx.URL(sandbox.api_url).port


@pytest.mark.parametrize(
    ("model", "size"),
    [("Sandbox Image", (512, 256)), ("Sandbox Video", (512, 256)), ("Sandbox 3D", (512, 512))],
)
def test_pictures_videos_and_meshes_have_a_small_jpeg_preview(
    model: str, size: tuple[int, int], api: httpx.Client
) -> None:
    url = output(api, model_id=MODELS[model], width=1024, height=512)["preview_url"]
    answer = httpx.get(url, trust_env=False)
    picture = Image.open(io.BytesIO(answer.content))
    assert (answer.headers["content-type"], picture.format) == ("image/jpeg", "JPEG")
    assert picture.size == size


def test_the_preview_of_a_small_picture_is_not_enlarged(api: httpx.Client) -> None:
    answer = httpx.get(output(api)["preview_url"], trust_env=False)
    assert Image.open(io.BytesIO(answer.content)).size == (64, 64)


def test_a_sound_has_no_preview(api: httpx.Client) -> None:
    sound = output(api, model_id=MODELS["Sandbox Sound"], duration_seconds=0.2)
    assert "preview_url" not in sound
    address = sound["url"].replace("/media/", "/previews/").rpartition("/")[0] + ".jpg"
    assert httpx.get(address, trust_env=False).status_code == 404


def test_previews_can_be_turned_off(api: httpx.Client, sandbox: RunningSandbox) -> None:
    sandbox.state.knobs.previews = False
    assert "preview_url" not in output(api)


def test_outputs_can_have_no_urls(api: httpx.Client, sandbox: RunningSandbox) -> None:
    sandbox.state.knobs.output_urls = False
    assert not {"url", "preview_url"} & set(output(api))


@pytest.mark.parametrize("operation", ["media", "preview"])
def test_a_cut_file_has_its_content_type_and_its_full_content_length(
    operation: Any, api: httpx.Client, sandbox: RunningSandbox
) -> None:
    file = output(api)
    sandbox.state.knobs.fail_next(operation, Fault("cut"))
    url = file["url" if operation == "media" else "preview_url"]
    with httpx.stream("GET", url, trust_env=False) as answer:
        assert answer.headers["content-type"].startswith("image/")
        with pytest.raises(httpx.RemoteProtocolError):
            answer.read()
    assert sandbox.state.arrived[operation] == 1


def get(url: str, **headers: str) -> httpx.Response:
    sent = {name.replace("_", "-"): text for name, text in headers.items()}
    return httpx.get(url, headers=sent, trust_env=False)


def test_the_rest_of_a_file_can_be_requested(api: httpx.Client) -> None:
    url = output(api)["url"]
    whole = get(url)
    rest = get(url, range="bytes=100-", if_range=whole.headers["etag"])
    size_bytes = len(whole.content)
    assert (rest.status_code, rest.content) == (206, whole.content[100:])
    assert rest.headers["content-range"] == f"bytes 100-{size_bytes - 1}/{size_bytes}"


def test_rejects_a_part_beyond_the_end(api: httpx.Client) -> None:
    url = output(api)["url"]
    assert get(url, range="bytes=9999999-").status_code == 416


@pytest.mark.parametrize("knob", [{"media_version": 2}, {"media_ranges": False}], ids=str)
def test_a_file_that_changed_or_a_host_without_ranges_sends_everything(
    knob: dict[str, int], api: httpx.Client, sandbox: RunningSandbox
) -> None:
    url = output(api)["url"]
    tag = get(url).headers["etag"]
    for name, value in knob.items():
        setattr(sandbox.state.knobs, name, value)
    assert get(url, range="bytes=100-", if_range=tag).status_code == 200


def test_outputs_can_declare_a_wrong_type(api: httpx.Client, sandbox: RunningSandbox) -> None:
    sandbox.state.knobs.declared_type = "audio/wav"
    made = output(api)
    answer = get(made["url"])
    assert (made["content_type"], answer.headers["content-type"]) == ("audio/wav", "audio/wav")
    assert answer.content.startswith(b"\x89PNG")


def test_files_can_be_sent_slowly(api: httpx.Client, sandbox: RunningSandbox) -> None:
    url = output(api)["url"]
    whole = get(url)
    sandbox.state.knobs.media_bytes_a_second = 20_000
    with httpx.stream("GET", url, trust_env=False) as answer:
        parts = list(answer.iter_raw())
    assert b"".join(parts) == whole.content
    assert len(parts) > 1
