"""Saving outputs: their names, what is kept, what is downloaded again, what is left behind."""

import os
import sys
import time
from pathlib import Path

import anyio
import pytest

from layer_mcp import LayerClient, LayerError
from layer_mcp.api.models import Output
from layer_mcp.errors import ERROR_CODES
from layer_mcp.files.folders import PrivateFolders
from layer_mcp.runs.outputs import find_saved
from layer_mcp.runs.types.run import Run

from ...support.media_host import (
    MEGABYTE,
    ONE,
    RUN_ID,
    TWO,
    Media,
    names_in,
    record_of,
    run_of,
    save,
)

pytestmark = pytest.mark.anyio

SOUND = b"RIFF\x04\0\0\0WAVE"
# Saves three outputs as a user who may write files of one megabyte, or as one who owns nothing.
LIMITED = """
import os, resource, sys
from pathlib import Path
import anyio
from layer_mcp import LayerClient, LayerError
from layer_mcp.api.models import Output
from layer_mcp.files.folders import PrivateFolders
from layer_mcp.runs.outputs import save_outputs
from layer_mcp.runs.outputs.save import SaveOptions
from layer_mcp.runs.types.request import RunRequest
from layer_mcp.runs.types.run import Run
import layer_mcp.runs.outputs.inspect, layer_mcp.runs.outputs.partial
import layer_mcp.api.download, layer_mcp.api.file_transport
address, folder, limit = sys.argv[1:]
outputs = [Output(url=f"{address}/{n}", content_type="image/png") for n in ("small", "large", "x")]
async def save():
    if limit == "size":
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * 1024, 1024 * 1024))
    else:
        os.setuid(65534)
    async with LayerClient(None, api_url="http://127.0.0.1:1/api") as layer:
        request = RunRequest("inference", "m", "w", {"prompt": "potion"})
        run = Run(request, "complete", 0.0, run_id="1234abcd", outputs=tuple(outputs))
        return await save_outputs(layer, run, Path(folder), SaveOptions(PrivateFolders(), 10**8))
try:
    saved = anyio.run(save)
    print(*(file.name for file in saved.files), *(f.error.code for f in saved.failures))
except LayerError as error:
    print(error.code, error.next_step)
"""


async def test_outputs_are_named_after_the_prompt_and_the_run_with_a_record_next_to_them(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    run = run_of(media.output("/a", ONE), media.output("/b", SOUND, "audio/wav"))
    saved = await save(layer, run, folder)
    assert names_in(folder) == [
        "a-red-potion-1234abcd-1.png",
        "a-red-potion-1234abcd-2.wav",
        "a-red-potion-1234abcd.json",
    ]
    assert [saved.path(file).read_bytes() for file in saved.files] == [ONE, SOUND]
    assert saved.failures == ()


async def test_no_name_from_an_address_a_header_or_an_id_leads_out_of_the_folder(
    layer: LayerClient, media: Media, folder: Path, tmp_path: Path
) -> None:
    outputs = [
        media.output("/..%2F..%2Fevil.sh", bytes(9), "../../evil"),
        media.output("/a/evil.png%00.exe", bytes(9), None),
    ]
    saved = await save(layer, run_of(*outputs, run_id="../../../ABCD/etc"), folder)
    assert [file.name for file in saved.files] == [
        "a-red-potion-abcdetc-1.bin",
        "a-red-potion-abcdetc-2.bin",
    ]
    assert names_in(tmp_path) == ["out"]
    assert names_in(folder.parent) == ["icons"]


@pytest.mark.parametrize("prompt", ["con", "界" * 500, "x" * 5000, "../..", "a:b|c?", "NUL.", ""])
async def test_any_prompt_gives_a_name_that_every_system_takes(
    prompt: str, layer: LayerClient, media: Media, folder: Path
) -> None:
    run = run_of(media.output("/a", ONE), prompt=prompt)
    [file] = (await save(layer, run, folder)).files
    assert file.name.endswith("-1234abcd-1.png")
    assert len(file.name.encode()) < 120
    assert not set(file.name) & set('<>:"/\\|?*')


async def test_without_a_prompt_a_file_is_named_after_layers_address(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    run = run_of(media.output("/blue-potion-1767225600.png", ONE), prompt=None)
    [file] = (await save(layer, run, folder)).files
    assert file.name == "blue-potion-1234abcd-1.png"


async def test_a_second_save_downloads_nothing(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    run = run_of(media.output("/a", ONE), media.output("/b", TWO))
    first = await save(layer, run, folder)
    media.asked.clear()
    second = await save(layer, run, folder)
    assert (second.files, second.record, media.asked) == (first.files, first.record, [])


async def test_a_file_that_was_deleted_is_downloaded_again(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    run = run_of(media.output("/a", ONE), media.output("/b", TWO))
    saved = await save(layer, run, folder)
    saved.path(saved.files[0]).unlink()
    media.asked.clear()
    again = await save(layer, run, folder)
    assert (media.asked, again.path(again.files[0]).read_bytes()) == (["/a"], ONE)


async def test_only_the_chosen_outputs_are_saved_and_the_others_join_them_later(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    run = run_of(media.output("/a", ONE), media.output("/b", TWO))
    await save(layer, run, folder, numbers={2})
    assert media.asked == ["/b"]
    saved = await save(layer, run, folder)
    assert [file["number"] for file in record_of(saved)["files"]] == [1, 2]


async def test_a_foreign_file_is_kept_and_the_output_gets_another_name(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    folder.mkdir(parents=True)
    foreign = folder / "a-red-potion-1234abcd-1.png"
    foreign.write_bytes(b"someone's own")
    [file] = (await save(layer, run_of(media.output("/a", ONE)), folder)).files
    assert file.name == "a-red-potion-1234abcd-1-copy2.png"
    assert foreign.read_bytes() == b"someone's own"


async def test_does_not_replace_a_folder_with_an_outputs_name(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    (folder / "a-red-potion-1234abcd-1.png").mkdir(parents=True)
    [file] = (await save(layer, run_of(media.output("/a", ONE)), folder)).files
    assert file.name == "a-red-potion-1234abcd-1-copy2.png"


async def test_does_not_write_through_a_link_with_an_outputs_name(
    layer: LayerClient, media: Media, folder: Path, tmp_path: Path
) -> None:
    folder.mkdir(parents=True)
    (folder / "a-red-potion-1234abcd-1.png").symlink_to(tmp_path / "outside.png")
    await save(layer, run_of(media.output("/a", ONE)), folder)
    assert not (tmp_path / "outside.png").exists()


async def test_keeps_identical_content_that_already_exists(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    folder.mkdir(parents=True)
    there = folder / "a-red-potion-1234abcd-1.png"
    there.write_bytes(ONE)
    inode = there.stat().st_ino
    await save(layer, run_of(media.output("/a", ONE)), folder)
    assert names_in(folder) == ["a-red-potion-1234abcd-1.png", "a-red-potion-1234abcd.json"]
    assert there.stat().st_ino == inode


async def test_one_failed_output_does_not_affect_the_others(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    missing, nowhere = Output(url=f"{media.address}/gone"), Output()
    foreign = Output(url="https://evil.test/a.png")
    run = run_of(missing, media.output("/b", TWO), nowhere, foreign)
    saved = await save(layer, run, folder)
    assert [file.number for file in saved.files] == [2]
    assert [(failure.number, failure.error.code) for failure in saved.failures] == [
        (1, "OUTPUT_GONE"),
        (3, "OUTPUT_GONE"),
        (4, "HOST_NOT_ALLOWED"),
    ]
    assert all(failure.error.code in ERROR_CODES for failure in saved.failures)
    assert saved.failures[0].sentence().startswith("Output 1 was not saved: ")


async def test_an_output_that_fails_leaves_nothing_behind(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    run = run_of(media.output("/a", bytes(3 * MEGABYTE)))
    saved = await save(layer, run, folder, max_bytes=2 * MEGABYTE)
    assert [failure.error.code for failure in saved.failures] == ["OUTPUT_TOO_LARGE"]
    assert names_in(folder) == []


async def cancelled_save(layer: LayerClient, run: Run, media: Media, first: Path) -> None:
    """Save, and cancel that when the first output is there and another is on its way."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(save, layer, run, first.parent)
        while not (media.at_same_time and first.exists() and first.stat().st_size):  # noqa: ASYNC110
            await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()


async def test_a_cancelled_save_leaves_no_partial_file_and_records_finished_ones(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    run = run_of(media.output("/a", ONE), media.output("/slow", bytes(4 * MEGABYTE)))
    media.held.add("/slow")
    first = folder / "a-red-potion-1234abcd-1.png"
    await cancelled_save(layer, run, media, first)
    assert names_in(folder) == [first.name, "a-red-potion-1234abcd.json"]
    saved = find_saved(folder, RUN_ID, private=PrivateFolders())
    assert saved is not None
    assert [file.number for file in saved.files] == [1]


async def test_a_save_after_a_cancelled_one_downloads_the_rest(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    run = run_of(media.output("/a", ONE), media.output("/slow", TWO))
    media.held.add("/slow")
    await cancelled_save(layer, run, media, folder / "a-red-potion-1234abcd-1.png")
    media.held.clear()
    media.asked.clear()
    saved = await save(layer, run, folder)
    assert media.asked == ["/slow"]
    assert [saved.path(file).read_bytes() for file in saved.files] == [ONE, TWO]


async def test_downloads_at_most_four_files_at_the_same_time(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    run = run_of(*(media.output(f"/{number}", ONE) for number in range(9)))
    media.held.update(media.files)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(save, layer, run, folder)
        assert await anyio.to_thread.run_sync(media.four.wait, 10)
        await anyio.sleep(0.1)
        media.released.set()
    assert media.most_at_same_time == 4
    assert len(names_in(folder)) == 10


async def test_the_bytes_of_each_output_are_reported(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    arrived_bytes: dict[int, int] = {}

    async def report(number: int, so_far_bytes: int) -> None:
        arrived_bytes[number] = so_far_bytes

    run = run_of(media.output("/a", ONE), media.output("/b", TWO + bytes(500)))
    await save(layer, run, folder, on_bytes=report)
    assert arrived_bytes == {1: len(ONE), 2: len(TWO) + 500}


async def test_names_the_setting_of_a_folder_that_cannot_be_created(
    layer: LayerClient, media: Media, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LayerError) as caught:
        await save(layer, run_of(media.output("/a", ONE)), tmp_path / "file" / "icons")
    assert caught.value.code == "FOLDER_NOT_WRITABLE"
    assert "LAYER_OUTPUT_DIR" in caught.value.next_step
    assert media.asked == []


@pytest.mark.parametrize(
    ("name", "age_seconds", "is_kept"),
    [
        (f".{'0f' * 16}.part", 3700, False),
        (f".{'0f' * 16}.part", 3500, True),
        (f"{'0f' * 16}.part", 3700, True),
        (f".{'0F' * 16}.part", 3700, True),
        (f".{'0f' * 16}.partial", 3700, True),
        (f".{'0f' * 15}.part", 3700, True),
    ],
)
async def test_removes_only_old_files_of_killed_processes(
    name: str, age_seconds: float, is_kept: bool, layer: LayerClient, media: Media, folder: Path
) -> None:
    folder.mkdir(parents=True)
    (folder / name).write_bytes(b"half")
    when = time.time() - age_seconds
    os.utime(folder / name, (when, when))
    await save(layer, run_of(media.output("/a", ONE)), folder)
    assert (folder / name).exists() == is_kept


async def limited(media: Media, folder: Path, limit: str) -> str:
    command = [sys.executable, "-c", LIMITED, media.address, str(folder), limit]
    done = await anyio.run_process(command, stderr=None)
    return done.stdout.decode()


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="no limit of a file's size here")
async def test_reports_a_full_disk_and_still_saves_small_files(media: Media, folder: Path) -> None:
    media.output("/small", ONE)
    media.output("/large", bytes(3 * MEGABYTE))
    said = await limited(media, folder, "size")
    assert said == "potion-1234abcd-1.png DISK_FULL OUTPUT_GONE\n"
    assert names_in(folder) == ["potion-1234abcd-1.png", "potion-1234abcd.json"]


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
async def test_a_folder_of_another_user_cannot_be_written(media: Media, folder: Path) -> None:
    folder.mkdir(parents=True)
    said = await limited(media, folder, "user")
    assert said.startswith("FOLDER_NOT_WRITABLE ")
    assert "LAYER_OUTPUT_DIR" in said
    assert (names_in(folder), media.asked) == ([], [])
