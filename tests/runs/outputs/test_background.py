"""Downloads that take longer than a call: they continue, even in the next process."""

from pathlib import Path

import anyio
import pytest

from layer_mcp import Runs, Settings
from layer_mcp.files.folders import PrivateFolders, open_folder
from layer_mcp.runs.opening import open_runs
from layer_mcp.runs.outputs.partial import open_partial
from layer_mcp.runs.types.run import Run
from layer_mcp.sandbox import RunningSandbox

from ...support.media_host import names_in
from ...support.slow_outputs import (
    LARGE,
    SLOWEST_BYTES_A_SECOND,
    asked_ranges,
    large_run,
    until_a_part_arrived,
)

pytestmark = pytest.mark.anyio

SHORT_SECONDS = 0.3


async def test_a_call_that_ends_early_reports_download_progress(
    runs: Runs, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    run = await large_run(runs, sandbox, SLOWEST_BYTES_A_SECOND)
    saved = await runs.save(run, tmp_path / "out", seconds=SHORT_SECONDS)
    [arriving] = saved.arriving
    assert (arriving.number, arriving.size_bytes) == (1, len(LARGE))
    assert saved.files == ()


async def test_the_next_call_finds_the_file_downloaded_in_the_background(
    runs: Runs, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    run = await large_run(runs, sandbox)
    await runs.save(run, tmp_path / "out", seconds=SHORT_SECONDS)
    saved = await runs.save(run, tmp_path / "out")
    [path] = saved.present().values()
    assert path.read_bytes() == LARGE
    assert asked_ranges(sandbox) == [None]


@pytest.mark.slow
async def test_cancelling_a_caller_does_not_stop_the_download(
    runs: Runs, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    run = await large_run(runs, sandbox)
    with anyio.move_on_after(SHORT_SECONDS):
        await runs.save(run, tmp_path / "out")
    saved = await runs.save(run, tmp_path / "out")
    assert saved.present()
    assert asked_ranges(sandbox) == [None]


async def stop_in_the_middle(settings: Settings, sandbox: RunningSandbox, folder: Path) -> Run:
    """Begin a download in a process that ends when a part of the file is there."""
    async with open_runs(settings) as runs:
        run = await large_run(runs, sandbox, SLOWEST_BYTES_A_SECOND)
        await runs.save(run, folder, seconds=SHORT_SECONDS)
        await until_a_part_arrived(folder)
    return run


async def resume(settings: Settings, run: Run, folder: Path) -> bytes:
    async with open_runs(settings) as runs:
        [path] = (await runs.save(run, folder)).present().values()
    assert len(names_in(folder)) == 2
    return path.read_bytes()


async def test_the_next_process_continues_where_the_last_one_stopped(
    environment: dict[str, str], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    settings = Settings.from_env(environment)
    run = await stop_in_the_middle(settings, sandbox, tmp_path / "out")
    arrived_bytes = max(path.stat().st_size for path in (tmp_path / "out").iterdir())
    sandbox.state.knobs.media_bytes_a_second = None
    assert await resume(settings, run, tmp_path / "out") == LARGE
    assert arrived_bytes > 0
    assert asked_ranges(sandbox) == [None, f"bytes={arrived_bytes}-"]


@pytest.mark.parametrize("knob", [{"media_version": 2}, {"media_ranges": False}], ids=str)
@pytest.mark.slow
async def test_restarts_a_download_that_cannot_be_resumed(
    knob: dict[str, int],
    environment: dict[str, str],
    sandbox: RunningSandbox,
    tmp_path: Path,
) -> None:
    settings = Settings.from_env(environment)
    run = await stop_in_the_middle(settings, sandbox, tmp_path / "out")
    sandbox.state.knobs.media_bytes_a_second = None
    for name, value in knob.items():
        setattr(sandbox.state.knobs, name, value)
    assert await resume(settings, run, tmp_path / "out") == LARGE


async def test_two_processes_never_write_the_same_download(tmp_path: Path) -> None:
    with (
        open_folder(tmp_path, PrivateFolders()) as folder,
        open_partial(folder, "run", "1") as first,
        open_partial(folder, "run", "1") as second,
    ):
        assert first.name != second.name
        assert first.version is None


async def test_does_not_follow_a_link_with_a_partial_files_name(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (tmp_path / "out").mkdir()
    with open_folder(tmp_path / "out", PrivateFolders()) as folder:
        with open_partial(folder, "run", "1") as part:
            name = part.name
        (tmp_path / "out" / name).symlink_to(secret)
        with open_partial(folder, "run", "1") as part:
            part.sink.write(b"new")
            assert part.name != name
    assert secret.read_bytes() == b"secret"
