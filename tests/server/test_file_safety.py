"""Saved files stay where the user wants them, and records on disk aren't trusted."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from layer_mcp import LayerClient
from layer_mcp.api.models import Output
from layer_mcp.files.folders import OpenFolder, PrivateFolders
from layer_mcp.runs.journal.databases.sqlite import FILE_NAME
from layer_mcp.runs.outputs import find_saved, save_outputs
from layer_mcp.runs.outputs.save import SaveOptions
from layer_mcp.runs.types.request import RunRequest
from layer_mcp.runs.types.run import Run
from layer_mcp.sandbox import Fault, RunningSandbox

from ..support.hosts import MEMORY, SMALL_IMAGE, content_of, error_code, text_of
from ..support.media_host import ONE, TWO
from ..support.sandbox_calls import png
from ..support.stub_layer import FILE_ID, RUN_ID, WORKSPACE, Reply, StubLayer, stub_layer

pytestmark = pytest.mark.anyio

STATUS = {"inference_id": RUN_ID, "wait_seconds": 0}
SAVED_STEP = "The files are saved."


@pytest.fixture
def stub() -> Iterator[StubLayer]:
    with stub_layer() as server:
        yield server


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    return tmp_path / "outputs"


@pytest.fixture
def saving(stub: StubLayer, tmp_path: Path, outputs: Path) -> dict[str, str]:
    """Settings that save the stub's runs."""
    return stub.environment(tmp_path, LAYER_OUTPUT_DIR=str(outputs))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


async def looked(settings: dict[str, str], **more: Any) -> dict[str, Any]:
    """What get_status answers to a new server."""
    async with MEMORY.connect(settings) as client:
        return content_of(await client.call_tool("get_status", STATUS | more))


def write_record(folder: Path, *files: dict[str, Any]) -> Path:
    """A record that someone else wrote."""
    folder.mkdir(exist_ok=True)
    complete = {"number": 1, "file_id": None, "url": None, "content_type": None, "size_bytes": 1}
    record = folder / "a-1234abcd.json"
    content = [complete | {"sha256": "x"} | file for file in files]
    record.write_text(json.dumps({"run_id": RUN_ID, "files": content}))
    return record


async def test_does_not_write_to_a_folder_from_an_earlier_setting(
    saving: dict[str, str], stub: StubLayer, outputs: Path, tmp_path: Path
) -> None:
    gone = {"url": f"{stub.address}/gone.png", "content_type": "image/png"}
    stub.finish(stub.file("/a.png", ONE), gone)
    await looked(saving)
    before = names_in(outputs)
    stub.finish(stub.file("/a.png", ONE), stub.file("/b.png", TWO))
    await looked(saving | {"LAYER_OUTPUT_DIR": str(tmp_path / "today")})
    assert names_in(outputs) == before
    assert len(names_in(tmp_path / "today")) == 3


async def test_a_folder_that_became_a_link_is_not_written_through(
    saving: dict[str, str], stub: StubLayer, outputs: Path, tmp_path: Path
) -> None:
    gone = {"url": f"{stub.address}/gone.png", "content_type": "image/png"}
    stub.finish(stub.file("/a.png", ONE), gone)
    call = {"inference_id": RUN_ID, "folder": "icons"}
    async with MEMORY.connect(saving) as client:
        await client.call_tool("save_outputs", call)
    elsewhere = (outputs / "icons").rename(tmp_path / "elsewhere")
    (outputs / "icons").symlink_to(elsewhere)
    before = names_in(elsewhere)
    stub.finish(stub.file("/a.png", ONE), stub.file("/b.png", TWO))
    await looked(saving)
    async with MEMORY.connect(saving) as client:
        refused = await client.call_tool("save_outputs", call)
    assert names_in(elsewhere) == before
    assert error_code(refused) == "INVALID_FOLDER"


async def test_rejects_circular_links_as_a_folder_to_save_to(
    saving: dict[str, str], stub: StubLayer, outputs: Path
) -> None:
    outputs.mkdir()
    (outputs / "a").symlink_to(outputs / "b")
    (outputs / "b").symlink_to(outputs / "a")
    stub.finish(stub.file("/a.png", ONE))
    async with MEMORY.connect(saving) as client:
        for folder in ("a", "a/icons"):
            call = {"inference_id": RUN_ID, "folder": folder}
            assert error_code(await client.call_tool("save_outputs", call)) == "INVALID_FOLDER"


async def test_a_removed_file_stays_removed_while_others_download(
    environment: dict[str, str], outputs: Path, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("media", Fault("status", status=404))
    call = SMALL_IMAGE | {"batch_size": 3, "wait_seconds": 10}
    async with MEMORY.connect(environment | {"LAYER_OUTPUT_DIR": str(outputs)}) as client:
        run = content_of(await client.call_tool("execute_inference", call))
        status = {"inference_id": run["inference_id"]}
        taken = next(Path(file["path"]) for file in run["outputs"] if "path" in file)
        taken.unlink()
        seen: list[list[str]] = []
        for _ in range(3):
            await client.call_tool("get_status", status)
            seen.append(names_in(outputs))
        assert all(taken.name not in names for names in seen)
        assert [len(names) for names in seen] == [3, 3, 3]
        await client.call_tool("save_outputs", status)
    assert taken.exists()


async def test_reports_files_as_saved_only_if_all_of_them_are(
    saving: dict[str, str], stub: StubLayer
) -> None:
    files = [stub.file(f"/{number}.png", ONE) for number in range(24)]
    stub.finish(*files)
    del stub.answers["/23.png"]
    first = await looked(saving)
    stub.finish(*files[:23], stub.file("/23.png", ONE))
    second = await looked(saving)
    assert not first["next_step"].startswith(SAVED_STEP)
    assert "Output 24 was not saved" in first["warning"]
    assert second["next_step"].startswith(SAVED_STEP)


async def test_reports_an_unwritable_record_along_with_the_saved_files(
    saving: dict[str, str], stub: StubLayer, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.finish(stub.file("/a.png", ONE))

    replace = OpenFolder.replace

    def replace_unless_full(folder: OpenFolder, name: str, new_name: str) -> None:
        if new_name.endswith(".json"):
            raise OSError(28, "No space left on device")
        replace(folder, name, new_name)

    monkeypatch.setattr(OpenFolder, "replace", replace_unless_full)
    run = await looked(saving)
    assert names_in(outputs) == [Path(run["outputs"][0]["path"]).name]
    assert "The record next to the files was not saved" in run["warning"]


async def test_a_name_in_a_record_that_is_a_link_is_neither_named_nor_shown(
    saving: dict[str, str], stub: StubLayer, outputs: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "passport.png"
    secret.write_bytes(png("red", width=64, height=64))
    write_record(outputs, {"name": "p.png"})
    (outputs / "p.png").symlink_to(secret)
    stub.finish({"content_type": "image/png", "file_id": FILE_ID})
    async with MEMORY.connect(saving | {"LAYER_PREVIEW": "1"}) as client:
        looks = await client.call_tool("get_status", STATUS)
        saved = await client.call_tool("save_outputs", {"inference_id": RUN_ID})
    assert [block.type for block in looks.content] == ["text"]
    assert "p.png" not in text_of(looks) + text_of(saved)


async def test_a_records_claims_about_a_file_do_not_enter_the_journal(
    saving: dict[str, str], stub: StubLayer, outputs: Path, tmp_path: Path
) -> None:
    forged = hashlib.sha256(b"another file").hexdigest()
    write_record(outputs, {"name": "p.png", "sha256": forged, "file_id": FILE_ID})
    (outputs / "p.png").write_bytes(b"p")
    stub.finish(stub.file("/a.png", ONE, file_id=FILE_ID), stub.file("/b.png", TWO))
    await looked(saving)
    async with MEMORY.connect(saving) as client:
        await client.call_tool("save_outputs", {"inference_id": RUN_ID})
    with closing(sqlite3.connect(tmp_path / "state" / FILE_NAME)) as database:
        assert database.execute("SELECT * FROM uploads").fetchall() == []


async def test_saving_two_runs_with_the_same_name_simultaneously_keeps_both_records(
    stub: StubLayer, outputs: Path
) -> None:
    stub.file("/a.png", ONE)
    stub.file("/b.png", TWO)
    ids = [RUN_ID, RUN_ID[:-1] + "2"]
    async with LayerClient(None, api_url=stub.address) as layer, anyio.create_task_group() as tasks:
        for run_id, path in zip(ids, ("/a.png", "/b.png"), strict=True):
            output = Output(url=stub.address + path, content_type="image/png")
            request = RunRequest("inference", "", WORKSPACE, {"prompt": "potion"})
            run = Run(request, "complete", datetime.now(UTC), run_id=run_id, outputs=(output,))

            async def save(run: Run = run) -> None:
                await save_outputs(layer, run, outputs, SaveOptions(PrivateFolders(), 1000))

            tasks.start_soon(save)
    found = [find_saved(outputs, run_id, private=PrivateFolders()) for run_id in ids]
    contents = [one.path(one.files[0]).read_bytes() for one in found if one]
    assert contents == [ONE, TWO]


async def test_an_id_in_capital_letters_is_the_same_run(
    saving: dict[str, str], stub: StubLayer, outputs: Path
) -> None:
    stub.finish(stub.file("/a.png", ONE, file_id=FILE_ID))
    await looked(saving)
    before = names_in(outputs)
    again = await looked(saving, inference_id=RUN_ID.upper())
    call = {"inference_id": RUN_ID.upper(), "file_ids": [FILE_ID.upper()]}
    async with MEMORY.connect(saving | {"LAYER_WORKSPACE_ID": WORKSPACE.upper()}) as client:
        saved = content_of(await client.call_tool("save_outputs", call))
    assert saved["paths"] == [again["outputs"][0]["path"]]
    assert names_in(outputs) == before
    assert len(stub.requests_to("/a.png")) == 1


async def test_an_id_that_layer_writes_in_capital_letters_is_the_same_run(
    saving: dict[str, str], stub: StubLayer, outputs: Path
) -> None:
    started = {"inference_id": RUN_ID.upper(), "estimated_price_creative_units": 7}
    stub.answers["/inferences"] = Reply(started | {"status": "complete"}, status=202)
    stub.finish(stub.file("/a.png", ONE), run_id=RUN_ID.upper())
    stub.finish(stub.file("/a.png", ONE))
    async with MEMORY.connect(saving) as client:
        await client.call_tool("execute_inference", SMALL_IMAGE)
    before = names_in(outputs)
    second = await looked(saving)
    assert second["estimated_price_creative_units"] == 7
    assert names_in(outputs) == before
    assert before[0].startswith("a-red-potion-")
