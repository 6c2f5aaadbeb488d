"""Saved files stay where the user wants them, and no record on disk is trusted too far."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from layer_mcp import LayerClient
from layer_mcp.api.models import Output
from layer_mcp.files.folders import OpenFolder, PrivateFolders
from layer_mcp.runs.journal.sqlite import FILE_NAME
from layer_mcp.runs.outputs import find_saved, save_outputs
from layer_mcp.runs.types import Run, RunRequest
from layer_mcp.sandbox import Fault, RunningSandbox

from ..support.hosts import MEMORY, SMALL_IMAGE, content_of, error_code, text_of
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


async def test_a_folder_of_an_earlier_setting_is_not_written_to_again(
    saving: dict[str, str], stub: StubLayer, outputs: Path, tmp_path: Path
) -> None:
    gone = {"url": f"{stub.address}/gone.png", "content_type": "image/png"}
    stub.finish(stub.file("/a.png", b"one"), gone)
    await looked(saving)
    before = names_in(outputs)
    stub.finish(stub.file("/a.png", b"one"), stub.file("/b.png", b"two"))
    await looked(saving | {"LAYER_OUTPUT_DIR": str(tmp_path / "today")})
    assert names_in(outputs) == before
    assert len(names_in(tmp_path / "today")) == 3


async def test_a_folder_that_became_a_link_is_not_written_through(
    saving: dict[str, str], stub: StubLayer, outputs: Path, tmp_path: Path
) -> None:
    gone = {"url": f"{stub.address}/gone.png", "content_type": "image/png"}
    stub.finish(stub.file("/a.png", b"one"), gone)
    call = {"inference_id": RUN_ID, "folder": "icons"}
    async with MEMORY.connect(saving) as client:
        await client.call_tool("save_outputs", call)
    elsewhere = (outputs / "icons").rename(tmp_path / "elsewhere")
    (outputs / "icons").symlink_to(elsewhere)
    before = names_in(elsewhere)
    stub.finish(stub.file("/a.png", b"one"), stub.file("/b.png", b"two"))
    await looked(saving)
    async with MEMORY.connect(saving) as client:
        refused = await client.call_tool("save_outputs", call)
    assert names_in(elsewhere) == before
    assert error_code(refused) == "INVALID_FOLDER"


async def test_a_circle_of_links_is_no_folder_to_save_to(
    saving: dict[str, str], stub: StubLayer, outputs: Path
) -> None:
    outputs.mkdir()
    (outputs / "a").symlink_to(outputs / "b")
    (outputs / "b").symlink_to(outputs / "a")
    stub.finish(stub.file("/a.png", b"one"))
    async with MEMORY.connect(saving) as client:
        for folder in ("a", "a/icons"):
            call = {"inference_id": RUN_ID, "folder": folder}
            assert error_code(await client.call_tool("save_outputs", call)) == "INVALID_FOLDER"


async def test_a_file_that_was_taken_away_stays_away_while_others_are_still_coming(
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


async def test_files_are_said_to_be_saved_only_when_all_of_them_are(
    saving: dict[str, str], stub: StubLayer
) -> None:
    files = [stub.file(f"/{number}.png", b"one") for number in range(24)]
    stub.finish(*files)
    del stub.answers["/23.png"]
    first = await looked(saving)
    stub.finish(*files[:23], stub.file("/23.png", b"one"))
    second = await looked(saving)
    assert not first["next_step"].startswith(SAVED_STEP)
    assert "Output 24 was not saved" in first["warning"]
    assert second["next_step"].startswith(SAVED_STEP)


async def test_a_record_that_cannot_be_written_is_told_beside_files_that_are_saved(
    saving: dict[str, str], stub: StubLayer, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.finish(stub.file("/a.png", b"one"))

    replace = OpenFolder.replace

    def replace_unless_full(folder: OpenFolder, name: str, new_name: str) -> None:
        if new_name.endswith(".json"):
            raise OSError(28, "No space left on device")
        replace(folder, name, new_name)

    monkeypatch.setattr(OpenFolder, "replace", replace_unless_full)
    run = await looked(saving)
    assert names_in(outputs) == [Path(run["outputs"][0]["path"]).name]
    assert "The record beside the files was not saved" in run["warning"]


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


async def test_what_a_record_claims_of_a_file_does_not_enter_the_journal(
    saving: dict[str, str], stub: StubLayer, outputs: Path, tmp_path: Path
) -> None:
    forged = hashlib.sha256(b"another file").hexdigest()
    write_record(outputs, {"name": "p.png", "sha256": forged, "file_id": FILE_ID})
    (outputs / "p.png").write_bytes(b"p")
    stub.finish(stub.file("/a.png", b"one", file_id=FILE_ID), stub.file("/b.png", b"two"))
    await looked(saving)
    async with MEMORY.connect(saving) as client:
        await client.call_tool("save_outputs", {"inference_id": RUN_ID})
    with closing(sqlite3.connect(tmp_path / "state" / FILE_NAME)) as database:
        assert database.execute("SELECT * FROM uploads").fetchall() == []


async def test_two_runs_of_the_same_name_that_are_saved_at_once_keep_both_records(
    stub: StubLayer, outputs: Path
) -> None:
    stub.file("/a.png", b"one")
    stub.file("/b.png", b"two")
    ids = [RUN_ID, RUN_ID[:-1] + "2"]
    async with LayerClient(None, api_url=stub.address) as layer, anyio.create_task_group() as tasks:
        for run_id, path in zip(ids, ("/a.png", "/b.png"), strict=True):
            output = Output(url=stub.address + path, content_type="image/png")
            request = RunRequest("inference", "", WORKSPACE, {"prompt": "potion"})
            run = Run(request, "complete", 0.0, run_id=run_id, outputs=(output,))

            async def save(run: Run = run) -> None:
                await save_outputs(layer, run, outputs, max_bytes=1000, private=PrivateFolders())

            tasks.start_soon(save)
    found = [find_saved(outputs, run_id, private=PrivateFolders()) for run_id in ids]
    contents = [one.path(one.files[0]).read_bytes() for one in found if one]
    assert contents == [b"one", b"two"]


async def test_an_id_in_capital_letters_is_the_same_run(
    saving: dict[str, str], stub: StubLayer, outputs: Path
) -> None:
    stub.finish(stub.file("/a.png", b"one", file_id=FILE_ID))
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
    stub.finish(stub.file("/a.png", b"one"), run_id=RUN_ID.upper())
    stub.finish(stub.file("/a.png", b"one"))
    async with MEMORY.connect(saving) as client:
        await client.call_tool("execute_inference", SMALL_IMAGE)
    before = names_in(outputs)
    second = await looked(saving)
    assert second["estimated_price_creative_units"] == 7
    assert names_in(outputs) == before
    assert before[0].startswith("a-red-potion-")
