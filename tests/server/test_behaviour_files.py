"""Uploads, saved outputs, and previews, over every transport and both eras."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.types import CallToolResult
from PIL import Image

from layer_mcp import __version__
from layer_mcp.sandbox import Fault, RunningSandbox

from ..support.hosts import MEMORY, SMALL_IMAGE, Host, content_of, error_code, text_of
from ..support.sandbox_calls import png_with

pytestmark = pytest.mark.anyio

BATCH = SMALL_IMAGE | {"batch_size": 3, "wait_seconds": 10}
SINGLE = SMALL_IMAGE | {"wait_seconds": 10}


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """An allowed folder with a red picture in it."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    Image.new("RGB", (32, 32), (220, 30, 30)).save(folder / "red.png")
    return folder


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    return tmp_path / "outputs"


@pytest.fixture
def reading(environment: dict[str, str], inputs: Path) -> dict[str, str]:
    """Settings with an input folder."""
    return environment | {"LAYER_INPUT_DIRS": str(inputs)}


@pytest.fixture
def saving(environment: dict[str, str], outputs: Path) -> dict[str, str]:
    """Settings with an output folder."""
    return environment | {"LAYER_OUTPUT_DIR": str(outputs)}


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def pictures_of(result: CallToolResult) -> list[Image.Image]:
    return [
        Image.open(io.BytesIO(base64.b64decode(block.data)))
        for block in result.content
        if block.type == "image"
    ]


async def test_a_local_file_gets_a_file_id_once(
    host: Host, reading: dict[str, str], inputs: Path, sandbox: RunningSandbox
) -> None:
    (inputs / "copy.jpg").write_bytes((inputs / "red.png").read_bytes())
    async with host.connect(reading) as client:
        first = content_of(await client.call_tool("upload_file", {"path": str(inputs / "red.png")}))
        second = content_of(await client.call_tool("upload_file", {"path": "copy.jpg"}))
    assert (first["content_type"], first["reused"]) == ("image/png", False)
    assert (second["file_id"], second["reused"]) == (first["file_id"], True)
    assert sandbox.state.arrived["upload"] == 1


async def test_an_upload_is_remembered_by_the_next_process(
    reading: dict[str, str], sandbox: RunningSandbox
) -> None:
    ids: list[str] = []
    for _ in range(2):
        async with MEMORY.connect(reading) as client:
            ids.append(
                content_of(await client.call_tool("upload_file", {"path": "red.png"}))["file_id"]
            )
    assert ids[0] == ids[1]
    assert sandbox.state.arrived["upload"] == 1


async def test_progress_of_an_upload_reaches_the_host(
    host: Host, reading: dict[str, str], inputs: Path
) -> None:
    (inputs / "big.png").write_bytes(png_with(bytes(3_000_000)))
    seen: list[tuple[float, float | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total))

    async with host.connect(reading) as client:
        await client.call_tool("upload_file", {"path": "big.png"}, progress_callback=note)
    assert seen[-1] == (1.0, 1.0)
    assert len(seen) >= 2


async def test_a_local_reference_steers_the_picture_and_its_price(
    host: Host, reading: dict[str, str], sandbox: RunningSandbox
) -> None:
    call = SINGLE | {"guidance_files": [{"path": "red.png", "type": "reference_image"}]}
    async with host.connect(reading) as client:
        price = {name: value for name, value in call.items() if name != "wait_seconds"}
        await client.call_tool("upload_file", {"path": "red.png"})
        estimate = content_of(await client.call_tool("estimate_price", price))
        run = content_of(await client.call_tool("execute_inference", call))
    assert run["status"] == "complete"
    assert "warning" not in estimate
    assert estimate["estimated_price_creative_units"] == run["actual_price_creative_units"]
    [sent] = sandbox.state.runs.values()
    assert sent.request.guidance_files[0].file_id in sandbox.state.uploads
    assert sandbox.state.arrived["upload"] == 1


async def test_a_price_uploads_nothing_and_says_what_it_leaves_out(
    host: Host, reading: dict[str, str], sandbox: RunningSandbox
) -> None:
    call = SMALL_IMAGE | {"guidance_files": [{"path": "red.png", "type": "reference_image"}]}
    async with host.connect(reading) as client:
        estimate = content_of(await client.call_tool("estimate_price", call))
    assert estimate["warning"] == "The price leaves out red.png, which isn't uploaded yet."
    assert not sandbox.state.arrived["request_upload_url"]


async def test_a_refused_price_names_the_file_that_it_leaves_out(
    reading: dict[str, str], sandbox: RunningSandbox
) -> None:
    fault = Fault("status", status=400, code="INVALID_INPUTS", detail="The model needs an init.")
    sandbox.state.knobs.fail_next("estimate_price", fault)
    call = SMALL_IMAGE | {"guidance_files": [{"path": "red.png", "type": "init"}]}
    async with MEMORY.connect(reading) as client:
        refused = await client.call_tool("estimate_price", call)
    assert error_code(refused) == "INVALID_INPUTS"
    assert "The model needs an init. The price leaves out red.png" in text_of(refused)
    assert "call upload_file first" in text_of(refused)


async def test_a_local_mask_is_uploaded_too(
    reading: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with MEMORY.connect(reading) as client:
        await client.call_tool("execute_inference", SMALL_IMAGE | {"mask": {"path": "red.png"}})
    [run] = sandbox.state.runs.values()
    assert run.request.mask is not None
    assert run.request.mask.file_id in sandbox.state.uploads


@pytest.mark.parametrize(
    "reference",
    [
        {"type": "init"},
        {"type": "init", "path": "red.png", "file_id": "3c90c3cc-0d44-4b50-8888-8dd25736052a"},
    ],
    ids=["neither", "both"],
)
async def test_a_reference_has_one_source(
    reference: dict[str, str], reading: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with MEMORY.connect(reading) as client:
        call = SMALL_IMAGE | {"guidance_files": [reference]}
        result = await client.call_tool("execute_inference", call)
    assert error_code(result) == "INVALID_ARGUMENTS"
    assert "must give either file_id or path" in text_of(result)
    assert not sandbox.state.arrived


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("none.png", "FILE_NOT_FOUND"),
        (".", "NOT_A_FILE"),
        ("empty.png", "FILE_EMPTY"),
        ("text.png", "FILE_TYPE_NOT_SUPPORTED"),
        ("big.png", "FILE_TOO_LARGE"),
        ("/etc/passwd", "PATH_NOT_ALLOWED"),
        ("../secret.png", "PATH_NOT_ALLOWED"),
        ("link.png", "PATH_NOT_ALLOWED"),
        ("https://example.test/a.png", "PATH_NOT_ALLOWED"),
    ],
)
async def test_a_file_that_cannot_be_sent_stops_the_run_before_anything_is_uploaded(
    path: str, code: str, reading: dict[str, str], inputs: Path, sandbox: RunningSandbox
) -> None:
    (inputs / "empty.png").touch()
    (inputs / "text.png").write_text("not a picture")
    (inputs / "big.png").write_bytes(png_with(bytes(1024 * 1024)))
    (inputs.parent / "secret.png").write_bytes((inputs / "red.png").read_bytes())
    (inputs / "link.png").symlink_to(inputs.parent / "secret.png")
    good = {"path": "red.png", "type": "init"}
    call = SMALL_IMAGE | {"guidance_files": [good, {"path": path, "type": "init"}]}
    async with MEMORY.connect(reading | {"LAYER_MAX_UPLOAD_MB": "1"}) as client:
        result = await client.call_tool("execute_inference", call)
    assert error_code(result) == code
    assert not sandbox.state.arrived.keys() - {"get_model"}


async def test_a_file_that_layer_deleted_is_uploaded_again_next_time(
    reading: dict[str, str], sandbox: RunningSandbox
) -> None:
    call = SMALL_IMAGE | {"guidance_files": [{"path": "red.png", "type": "init"}]}
    async with MEMORY.connect(reading) as client:
        await client.call_tool("upload_file", {"path": "red.png"})
        sandbox.state.files.clear()
        refused = await client.call_tool("execute_inference", call)
        again = await client.call_tool("execute_inference", call)
    assert error_code(refused) == "FILE_NOT_FOUND"
    assert not again.is_error
    assert len(sandbox.state.runs) == 1


async def test_a_finished_run_is_saved_once_and_its_files_are_named(
    host: Host, saving: dict[str, str], outputs: Path, sandbox: RunningSandbox
) -> None:
    async with host.connect(saving) as client:
        started = content_of(await client.call_tool("execute_inference", SMALL_IMAGE))
        call = {"inference_id": started["inference_id"]}
        first = content_of(await client.call_tool("get_status", call))
        second = content_of(await client.call_tool("get_status", call))
    stem = f"a-red-potion-{started['inference_id'][:8]}"
    assert names_in(outputs) == [f"{stem}-1.png", f"{stem}.json"]
    assert first["outputs"][0]["path"] == str(outputs / f"{stem}-1.png")
    assert second["outputs"] == first["outputs"]
    assert sandbox.state.arrived["media"] == 1


async def test_a_saved_file_is_named_to_the_next_process_too(
    saving: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with MEMORY.connect(saving) as client:
        first = content_of(await client.call_tool("execute_inference", SINGLE))
    async with MEMORY.connect(saving) as client:
        call = {"inference_id": first["inference_id"]}
        second = content_of(await client.call_tool("get_status", call))
    assert second["outputs"] == first["outputs"]
    assert second["estimated_price_creative_units"] == first["estimated_price_creative_units"]
    assert sandbox.state.arrived["media"] == 1


async def test_an_unknown_run_is_saved_under_the_name_in_its_url(
    saving: dict[str, str], outputs: Path, tmp_path: Path
) -> None:
    async with MEMORY.connect(saving) as client:
        started = content_of(await client.call_tool("execute_inference", SMALL_IMAGE))
    elsewhere = saving | {"LAYER_STATE_DIR": str(tmp_path / "other")}
    async with MEMORY.connect(elsewhere) as client:
        await client.call_tool("get_status", {"inference_id": started["inference_id"]})
    stem = f"a-red-potion-{started['inference_id'][:8]}"
    assert names_in(outputs) == [f"{stem}-1.png", f"{stem}.json"]


async def test_a_removed_file_is_not_automatically_saved_again(
    saving: dict[str, str], outputs: Path
) -> None:
    async with MEMORY.connect(saving) as client:
        run = content_of(await client.call_tool("execute_inference", SINGLE))
        Path(run["outputs"][0]["path"]).unlink()
        again = content_of(
            await client.call_tool("get_status", {"inference_id": run["inference_id"]})
        )
    assert "path" not in again["outputs"][0]
    assert len(names_in(outputs)) == 1


async def test_the_record_says_how_the_files_were_made(
    saving: dict[str, str], outputs: Path, sandbox: RunningSandbox
) -> None:
    async with MEMORY.connect(saving) as client:
        run = content_of(await client.call_tool("execute_inference", SINGLE | {"seed": 7}))
    record: dict[str, Any] = json.loads(Path(run["record"]).read_text())
    assert record["run_id"] == run["inference_id"]
    assert (record["prompt"], record["seed"]) == ("a red potion", 7)
    assert record["asked"]["width"] == record["normalized"]["width"] == 64
    assert record["actual_price_creative_units"] == run["actual_price_creative_units"]
    [file] = record["files"]
    assert file["size_bytes"] == (outputs / file["name"]).stat().st_size
    assert sandbox.token not in json.dumps(record)


@pytest.mark.parametrize("sandbox_switch", ["0", "1"])
async def test_the_record_says_what_made_it_and_whether_it_was_simulated(
    sandbox_switch: str, saving: dict[str, str]
) -> None:
    async with MEMORY.connect(saving | {"LAYER_SANDBOX": sandbox_switch}) as client:
        run = content_of(await client.call_tool("execute_inference", SINGLE))
    record: dict[str, Any] = json.loads(Path(run["record"]).read_text())
    assert record["made_with"] == f"layer-mcp {__version__}"
    assert record.get("simulated", False) is (sandbox_switch == "1")


async def test_without_the_setting_nothing_is_saved_unless_asked(
    host: Host, environment: dict[str, str], tmp_path: Path
) -> None:
    async with host.connect(environment) as client:
        run = content_of(await client.call_tool("execute_inference", BATCH))
        assert not (tmp_path / "home" / "Layer").exists()
        saved = content_of(
            await client.call_tool("save_outputs", {"inference_id": run["inference_id"]})
        )
    assert [Path(path).parent for path in saved["paths"]] == [tmp_path / "home" / "Layer"] * 3
    assert all(Path(path).stat().st_size for path in saved["paths"])


async def test_chosen_files_are_saved_to_a_folder_of_choice(
    saving: dict[str, str], outputs: Path
) -> None:
    async with MEMORY.connect(saving) as client:
        run = content_of(await client.call_tool("execute_inference", BATCH))
        chosen = run["outputs"][1]["file_id"]
        call = {"inference_id": run["inference_id"], "file_ids": [chosen], "folder": "icons/red"}
        saved = content_of(await client.call_tool("save_outputs", call))
    [path] = saved["paths"]
    assert Path(path).parent == outputs / "icons" / "red"
    assert path.endswith("-2.png")


@pytest.mark.parametrize(
    "folder", ["..", "../x", "/etc", "a/../../x", "C:\\x", "con", "a\0b", "link", "~/x"]
)
async def test_no_folder_leads_out_of_the_output_folder(
    folder: str, saving: dict[str, str], outputs: Path, tmp_path: Path
) -> None:
    outputs.mkdir()
    (outputs / "link").symlink_to(tmp_path)
    async with MEMORY.connect(saving) as client:
        started = content_of(await client.call_tool("execute_inference", SMALL_IMAGE))
        call = {"inference_id": started["inference_id"], "folder": folder}
        result = await client.call_tool("save_outputs", call)
    assert error_code(result) == "INVALID_FOLDER"
    assert names_in(outputs) == ["link"]


async def test_a_running_run_has_nothing_to_save(
    saving: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    async with MEMORY.connect(saving) as client:
        started = content_of(await client.call_tool("execute_inference", SMALL_IMAGE))
        result = await client.call_tool("save_outputs", {"inference_id": started["inference_id"]})
    assert error_code(result) == "NOTHING_TO_SAVE"
    assert "to finish" in content_of(result)["next_step"]


async def test_a_failed_download_leaves_the_run_complete_and_says_so(
    host: Host, saving: dict[str, str], outputs: Path, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("media", Fault("status", status=404))
    async with host.connect(saving) as client:
        result = await client.call_tool("execute_inference", BATCH)
    assert not result.is_error
    run = content_of(result)
    assert run["status"] == "complete"
    assert sum("path" in output for output in run["outputs"]) == 2
    assert "was not saved: The media host returned HTTP 404." in run["warning"]
    assert not [name for name in names_in(outputs) if name.endswith(".part")]


async def test_the_next_status_call_saves_failed_downloads(
    saving: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("media", Fault("status", status=404))
    async with MEMORY.connect(saving) as client:
        run = content_of(await client.call_tool("execute_inference", BATCH))
        call = {"inference_id": run["inference_id"]}
        again = content_of(await client.call_tool("get_status", call))
    assert all("path" in output for output in again["outputs"])
    assert sandbox.state.arrived["media"] == 4


async def test_outputs_without_addresses_are_a_warning(
    saving: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.output_urls = False
    async with MEMORY.connect(saving) as client:
        result = await client.call_tool("execute_inference", SINGLE)
    assert not result.is_error
    assert "Layer didn't provide a URL for this output." in content_of(result)["warning"]


async def test_warns_with_the_setting_of_a_folder_that_cannot_be_created(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    blocked = environment | {"LAYER_OUTPUT_DIR": str(tmp_path / "file" / "outputs")}
    async with MEMORY.connect(blocked) as client:
        run = content_of(await client.call_tool("execute_inference", SINGLE))
        refused = await client.call_tool("save_outputs", {"inference_id": run["inference_id"]})
    assert run["status"] == "complete"
    assert "LAYER_OUTPUT_DIR" in run["warning"]
    assert error_code(refused) == "FOLDER_NOT_WRITABLE"


async def test_an_output_given_back_as_a_reference_is_not_uploaded(
    saving: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with MEMORY.connect(saving) as client:
        run = content_of(await client.call_tool("execute_inference", SINGLE))
        [output] = run["outputs"]
        uploaded = content_of(await client.call_tool("upload_file", {"path": output["path"]}))
    assert uploaded["file_id"] == output["file_id"]
    assert sandbox.state.arrived["request_upload_url"] == 0


async def test_a_finished_picture_run_shows_one_small_picture(
    host: Host, environment: dict[str, str]
) -> None:
    async with host.connect(environment) as client:
        result = await client.call_tool(
            "execute_inference", BATCH | {"width": 1024, "height": 1024}
        )
    [picture] = pictures_of(result)
    assert max(picture.size) <= 512
    assert len(json.dumps(content_of(result))) < 3000


@pytest.mark.parametrize(
    "model",
    ["3", "4", "5"],
    ids=["video", "mesh", "sound"],
)
async def test_a_video_and_a_mesh_show_what_layer_gives_and_a_sound_its_waveform(
    model: str, environment: dict[str, str]
) -> None:
    call = SINGLE | {"model_id": f"00000000-0000-4000-8000-00000000000{model}"}
    async with MEMORY.connect(environment) as client:
        result = await client.call_tool("execute_inference", call)
    assert len(pictures_of(result)) == 1


async def test_scales_down_the_picture_itself_without_a_preview_from_layer(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.previews = False
    async with MEMORY.connect(environment) as client:
        result = await client.call_tool("execute_inference", SINGLE | {"width": 1024})
    [picture] = pictures_of(result)
    assert picture.size == (512, 32)


@pytest.mark.parametrize("saves", [True, False])
async def test_a_tile_is_drawn_from_the_output_itself(
    saves: bool, environment: dict[str, str], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    saving = {"LAYER_OUTPUT_DIR": str(tmp_path / "out")} if saves else {}
    async with MEMORY.connect(environment | saving) as client:
        call = SINGLE | {"width": 512, "height": 512, "preview": "tile"}
        result = await client.call_tool("execute_inference", call)
    [picture] = pictures_of(result)
    assert picture.size == (510, 510)
    assert sandbox.state.arrived["preview"] == 0
    assert sandbox.state.arrived["media"] == 1


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ({"LAYER_PREVIEW": "0"}, {}),
        ({"LAYER_PREVIEW": "0"}, {"preview": "tile"}),
        ({}, {"preview": False}),
        ({}, {"preview": "false"}),
        ({}, {"preview": 0}),
    ],
    ids=str,
)
async def test_the_picture_can_be_switched_off(
    settings: dict[str, str],
    arguments: dict[str, Any],
    environment: dict[str, str],
    sandbox: RunningSandbox,
) -> None:
    async with MEMORY.connect(environment | settings) as client:
        result = await client.call_tool("execute_inference", SINGLE | arguments)
    assert pictures_of(result) == []
    assert sandbox.state.arrived["preview"] == 0


@pytest.mark.parametrize("given", [True, "true", "True", 1, None, ""], ids=repr)
async def test_the_picture_can_be_requested_in_any_form(
    given: object, environment: dict[str, str]
) -> None:
    async with MEMORY.connect(environment) as client:
        result = await client.call_tool("execute_inference", SINGLE | {"preview": given})
    assert len(pictures_of(result)) == 1


async def test_an_unknown_kind_of_picture_is_refused(environment: dict[str, str]) -> None:
    async with MEMORY.connect(environment) as client:
        result = await client.call_tool("execute_inference", SINGLE | {"preview": "large"})
    assert "preview must be 'true', 'false' or 'tile'" in text_of(result)


async def test_a_failed_preview_does_not_change_the_answer(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("preview", Fault("status", status=404))
    async with MEMORY.connect(environment) as client:
        result = await client.call_tool("execute_inference", SINGLE)
    assert content_of(result)["status"] == "complete"
    assert pictures_of(result) == []


async def test_two_simultaneous_status_calls_save_the_files_once(
    saving: dict[str, str], outputs: Path, sandbox: RunningSandbox
) -> None:
    async with MEMORY.connect(saving) as client:
        started = content_of(await client.call_tool("execute_inference", SMALL_IMAGE))
        call = {"inference_id": started["inference_id"]}
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(client.call_tool, "get_status", call)
    assert len(names_in(outputs)) == 2
    assert sandbox.state.arrived["media"] == 1


async def test_the_token_goes_to_the_api_only(
    reading: dict[str, str], outputs: Path, sandbox: RunningSandbox
) -> None:
    call = SINGLE | {"guidance_files": [{"path": "red.png", "type": "init"}]}
    async with MEMORY.connect(reading | {"LAYER_OUTPUT_DIR": str(outputs)}) as client:
        await client.call_tool("execute_inference", call)
    elsewhere = ("start_upload", "upload", "upload_status", "media", "preview")
    arrivals = [arrival for arrival in sandbox.state.arrivals if arrival.operation in elsewhere]
    assert {arrival.operation for arrival in arrivals} == {
        "start_upload",
        "upload",
        "media",
        "preview",
    }
    assert not [arrival for arrival in arrivals if "authorization" in arrival.headers]
    assert not [arrival for arrival in arrivals if sandbox.token in str(arrival)]


async def test_a_call_stops_waiting_for_files_at_its_time_limit(
    saving: dict[str, str], outputs: Path, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("media", Fault("slow", delay_seconds=20))
    async with MEMORY.connect(saving | {"LAYER_MAX_WAIT_SECONDS": "3"}) as client:
        with anyio.fail_after(15):
            result = await client.call_tool("execute_inference", SINGLE)
    assert content_of(result)["status"] == "complete"
    assert "1 file is still downloading in the background" in content_of(result)["warning"]
    assert "again for the remaining files" in content_of(result)["next_step"]
    assert names_in(outputs) == []


async def test_an_upload_that_takes_too_long_continues_in_the_next_call(
    reading: dict[str, str], inputs: Path, sandbox: RunningSandbox
) -> None:
    (inputs / "big.png").write_bytes(png_with(bytes(3_000_000)))
    sandbox.state.knobs.fail_next("upload", Fault("slow", delay_seconds=8))
    async with MEMORY.connect(reading | {"LAYER_MAX_WAIT_SECONDS": "3"}) as client:
        refused = await client.call_tool("upload_file", {"path": "big.png"})
        again = await client.call_tool("upload_file", {"path": "big.png"})
    assert error_code(refused) == "UPLOAD_UNFINISHED"
    assert content_of(again)["size_bytes"] == (inputs / "big.png").stat().st_size
    assert sandbox.state.arrived["request_upload_url"] == 1
