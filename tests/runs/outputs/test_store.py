"""Files of runs: saved once, found again, and used as references without an upload."""

from pathlib import Path

import pytest

from layer_mcp import Settings
from layer_mcp.runs.opening import open_runs
from layer_mcp.runs.outputs.remarks import list_remarks
from layer_mcp.runs.service import Runs
from layer_mcp.runs.types.filters import RunFilter
from layer_mcp.sandbox import RunningSandbox

from ...support.hosts import SMALL_IMAGE
from ...support.library import submit
from ...support.local_uploads import written
from ...support.sandbox_calls import png

pytestmark = pytest.mark.anyio


async def test_outputs_are_saved_where_the_caller_says(runs: Runs, tmp_path: Path) -> None:
    run = await runs.generate(**SMALL_IMAGE)
    saved = await runs.save(run, tmp_path / "icons")
    [path] = saved.present().values()
    assert path.parent == tmp_path / "icons"
    assert path.read_bytes().startswith(b"\x89PNG")
    found = await runs.find(run.run_id or "")
    assert found is not None
    assert found.folder == tmp_path / "icons"


async def test_does_not_download_saved_files_again(
    runs: Runs, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    run = await runs.generate(**SMALL_IMAGE)
    first = await runs.save(run, tmp_path / "icons")
    again = await runs.save(run, tmp_path / "icons")
    assert (again.files, again.fetched) == (first.files, ())
    assert sandbox.state.arrived["media"] == 1


async def test_a_removed_file_is_saved_again_only_on_request(
    environment: dict[str, str], tmp_path: Path
) -> None:
    settings = Settings.from_env(environment | {"LAYER_OUTPUT_DIR": str(tmp_path / "out")})
    async with open_runs(settings) as runs:
        run = await runs.generate(**SMALL_IMAGE)
        [path] = (await runs.save_once(run)).paths.values()
        path.unlink()
        assert (await runs.save_once(run)).paths == {}
        assert (await runs.save(run)).present() == {1: path}


async def test_keeps_a_manually_changed_file_but_stops_describing_it(
    runs: Runs, tmp_path: Path
) -> None:
    run = await runs.generate(**SMALL_IMAGE)
    [path] = (await runs.save(run, tmp_path / "icons")).present().values()
    path.write_bytes(path.read_bytes() + b"mine")
    files = await runs.save_once(run, tmp_path / "icons")
    measured = files.measured[1]
    assert (measured.is_changed, measured.facts) == (True, {})
    assert list_remarks(run, 1, measured) == ["changed after it was saved"]
    assert path.read_bytes().endswith(b"mine")


async def test_an_output_is_a_reference_without_an_upload(
    environment: dict[str, str], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    settings = Settings.from_env(environment | {"LAYER_INPUT_DIRS": str(tmp_path)})
    async with open_runs(settings) as runs:
        run = await runs.generate(**SMALL_IMAGE)
        [path] = (await runs.save(run, tmp_path / "icons")).present().values()
        reference = {"path": str(path), "type": "reference_image"}
        await runs.generate(**SMALL_IMAGE, guidance_files=[reference])
    assert sandbox.state.arrived["request_upload_url"] == 0


async def test_saves_ended_runs_if_the_settings_say_so(
    environment: dict[str, str], tmp_path: Path
) -> None:
    settings = Settings.from_env(environment | {"LAYER_OUTPUT_DIR": str(tmp_path / "out")})
    async with open_runs(settings) as runs:
        await submit(runs)
        await runs.wait_many(RunFilter(), "all", 20)
        [run] = await runs.list()
    assert run.folder == tmp_path / "out"
    assert len(list((tmp_path / "out").glob("a-red-potion-*.png"))) == 1


async def test_a_file_is_uploaded_once(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(png("red"))
    settings = Settings.from_env(environment | {"LAYER_INPUT_DIRS": str(tmp_path)})
    async with open_runs(settings) as runs:
        [first] = await runs.upload(["red.png"])
        [again] = await runs.upload([str(tmp_path / "red.png")])
    assert (first.reused, again.reused, again.file_id) == (False, True, first.file_id)


async def test_a_reference_by_its_path_and_by_its_id_is_the_same_request(
    environment: dict[str, str], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    picture = written(tmp_path / "in" / "potion.png", png("red"))
    settings = Settings.from_env(environment | {"LAYER_INPUT_DIRS": str(picture.parent)})
    async with open_runs(settings) as runs:
        by_path = {"path": "potion.png", "type": "reference_image"}
        first = await runs.generate(**SMALL_IMAGE, guidance_files=[by_path])
        [file_id] = first.request.files
        by_id = {"file_id": file_id, "type": "reference_image"}
        again = await runs.generate(**SMALL_IMAGE, guidance_files=[by_id])
    assert (again.run_id, again.is_duplicate) == (first.run_id, True)
    assert sandbox.state.arrived["execute_inference"] == 1


@pytest.mark.slow
async def test_two_outputs_of_the_same_content_are_the_same_reference(
    runs: Runs, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    picture = SMALL_IMAGE | {"seed": 7}
    made = [await runs.generate(**picture, repeat=repeat) for repeat in (False, True)]
    for run in made:
        await runs.save(run, tmp_path / "icons")
    ids = [run.outputs[0].file_id for run in made]
    assert len(set(ids)) == 2
    again = [
        await runs.generate(**SMALL_IMAGE, guidance_files=[{"file_id": one, "type": "init"}])
        for one in ids
    ]
    assert again[0].run_id == again[1].run_id
    assert sandbox.state.arrived["execute_inference"] == 3


@pytest.mark.slow
async def test_a_run_is_still_found_when_the_content_of_its_reference_is_known_later(
    runs: Runs, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    run = await runs.generate(**SMALL_IMAGE)
    reference = {"file_id": run.outputs[0].file_id, "type": "init"}
    first = await runs.generate(**SMALL_IMAGE, guidance_files=[reference])
    await runs.save(run, tmp_path / "icons")
    again = await runs.generate(**SMALL_IMAGE, guidance_files=[reference])
    assert (again.run_id, again.is_duplicate) == (first.run_id, True)
    assert sandbox.state.arrived["execute_inference"] == 2
