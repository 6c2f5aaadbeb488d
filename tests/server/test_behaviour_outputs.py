"""Outputs that one can build on: their types, names, facts, and large ones, on each transport."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.types import CallToolResult, ImageContent
from PIL import Image

from layer_mcp.sandbox import Fault, RunningSandbox

from ..support.hosts import MEMORY, SMALL_IMAGE, Host, content_of, text_of
from ..support.sandbox_calls import png, png_with, replace_outputs

pytestmark = pytest.mark.anyio

SINGLE = SMALL_IMAGE | {"wait_seconds": 10, "preview": False}
MAX_NOTES_BYTES = 200


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    return tmp_path / "outputs"


@pytest.fixture
def saving(environment: dict[str, str], outputs: Path) -> dict[str, str]:
    """Settings with an output folder."""
    return environment | {"LAYER_OUTPUT_DIR": str(outputs)}


def pictures_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix == ".png")


async def generate(client: Client, **more: Any) -> dict[str, Any]:
    return content_of(await client.call_tool("execute_inference", SINGLE | more))


async def test_saves_and_reports_a_file_by_its_content(
    host: Host, saving: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.declared_type = "image/webp"
    async with host.connect(saving) as client:
        result = await client.call_tool("execute_inference", SINGLE)
    [output] = content_of(result)["outputs"]
    assert Path(output["path"]).suffix == ".png"
    assert (output["content_type"], output["remarks"]) == (
        "image/png",
        ["image/png, not image/webp"],
    )
    assert text_of(result).count("not image/webp") == 1


async def test_a_web_page_is_not_an_output_and_the_next_call_downloads_it(
    host: Host, saving: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("media", Fault("html", status=200))
    async with host.connect(saving) as client:
        first = await generate(client)
        call = {"inference_id": first["inference_id"], "preview": False}
        again = content_of(await client.call_tool("get_status", call))
    assert "sent a web page instead of the file" in first["warning"]
    assert "path" not in first["outputs"][0]
    assert Path(again["outputs"][0]["path"]).exists()


async def test_facts_are_data_and_only_important_ones_are_text(
    host: Host, saving: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with host.connect(saving) as client:
        result = await client.call_tool("execute_inference", SINGLE)
    [output] = content_of(result)["outputs"]
    assert (output["width"], output["facts"]["alpha"]) == (64, "none")
    assert "note" not in text_of(result)


async def test_a_background_that_was_not_removed_is_noted(
    host: Host, saving: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with host.connect(saving) as client:
        started = await generate(client, remove_background=True, wait_seconds=0)
        await client.call_tool("list_runs", {"wait_for": "all"})
        replace_outputs(sandbox, started["inference_id"], png((220, 30, 30)))
        call = {"inference_id": started["inference_id"], "folder": "again"}
        saved = content_of(await client.call_tool("save_outputs", call))
    [remark] = saved["remarks"]
    assert remark.endswith(".png: opaque: no transparency; 16x16, not 64x64")


async def test_the_caller_chooses_the_name(
    host: Host, environment: dict[str, str], tmp_path: Path
) -> None:
    settings = environment | {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    async with host.connect(settings | {"LAYER_OUTPUT_DIR": str(tmp_path / "out")}) as client:
        run = await generate(client, batch_size=2)
        call = {"inference_id": run["inference_id"], "name": "sword"}
        saved = content_of(await client.call_tool("save_outputs", call))
    assert [Path(path).name for path in saved["paths"]] == ["sword_01.png", "sword_02.png"]
    assert pictures_in(tmp_path / "out") == ["sword_01.png", "sword_02.png"]


async def test_each_request_of_a_batch_has_its_own_name(
    host: Host, saving: dict[str, str], outputs: Path
) -> None:
    names = ["sword", "axe", "bow"]
    requests = [SMALL_IMAGE | {"prompt": f"a {name}", "name": name} for name in names]
    async with host.connect(saving) as client:
        await client.call_tool("execute_batch", {"requests": requests})
        await client.call_tool("list_runs", {"wait_for": "all", "wait_seconds": 20})
    assert pictures_in(outputs) == ["axe.png", "bow.png", "sword.png"]


@pytest.mark.slow
async def test_two_runs_of_one_name_do_not_overwrite_each_other(
    saving: dict[str, str], outputs: Path
) -> None:
    async with MEMORY.connect(saving) as client:
        for prompt in ("a sword", "an axe"):
            await generate(client, prompt=prompt, name="item")
    assert pictures_in(outputs) == ["item-copy2.png", "item.png"]


@pytest.mark.parametrize("name", ["../sword", "a/b", "con", "x" * 101])
async def test_rejects_an_invalid_name_before_paying(
    name: str, saving: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with MEMORY.connect(saving) as client:
        result = await client.call_tool("execute_inference", SINGLE | {"name": name})
    assert result.is_error
    assert sandbox.state.arrived["execute_inference"] == 0


@pytest.mark.slow
async def test_a_file_that_takes_longer_than_a_call_arrives_by_the_next(
    host: Host, saving: dict[str, str], sandbox: RunningSandbox
) -> None:
    large = png_with(bytes(900_000))
    settings = saving | {"LAYER_MAX_WAIT_SECONDS": "1"}
    async with host.connect(settings) as client:
        started = await generate(client, wait_seconds=0)
        run_id = started["inference_id"]
        while not sandbox.state.runs[run_id].outputs:
            await client.call_tool("get_status", {"inference_id": run_id, "preview": False})
        replace_outputs(sandbox, run_id, large)
        sandbox.state.knobs.media_bytes_a_second = 120_000
        call = {"inference_id": run_id, "folder": "large"}
        first = content_of(await client.call_tool("save_outputs", call))
        saved = first
        while not saved["paths"]:
            saved = content_of(await client.call_tool("save_outputs", call))
    assert first["paths"] == []
    assert "1 file is still downloading in the background" in first["warning"]
    assert Path(saved["paths"][0]).read_bytes() == large
    arrivals = [arrival for arrival in sandbox.state.arrivals if arrival.operation == "media"]
    assert arrivals[-1].path.endswith(".png")


def tile_of(result: CallToolResult) -> Image.Image:
    [block] = [block for block in result.content if isinstance(block, ImageContent)]
    return Image.open(io.BytesIO(base64.b64decode(block.data))).convert("RGB")


async def test_a_tile_shows_the_picture_nine_times(host: Host, environment: dict[str, str]) -> None:
    async with host.connect(environment) as client:
        result = await client.call_tool("execute_inference", SINGLE | {"preview": "tile"})
    tile = tile_of(result)
    third = tile.width // 3
    centers = {tile.getpixel((third * x + third // 2, third // 2)) for x in range(3)}
    assert tile.size == (3 * 64, 3 * 64)
    assert max(channel[0] for channel in centers) - min(channel[0] for channel in centers) < 12  # type: ignore[index]


async def test_the_answer_about_four_plain_pictures_is_hardly_longer(
    saving: dict[str, str], environment: dict[str, str]
) -> None:
    call = SINGLE | {"batch_size": 4}
    async with MEMORY.connect(saving) as client:
        result = await client.call_tool("execute_inference", call)
    content = content_of(result)
    notes = [note for output in content["outputs"] for note in output.get("remarks", [])]
    facts = [output["facts"] for output in content["outputs"]]
    assert len(" (note: ".join(notes).encode()) < MAX_NOTES_BYTES
    assert len(json.dumps(facts).encode()) < 4 * 250
