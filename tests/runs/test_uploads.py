"""Local files that requests name: checked, uploaded once, known by their content."""

from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from layer_mcp import LayerClient, LayerError
from layer_mcp.runs.journal import Journal
from layer_mcp.runs.types.request import RunRequest
from layer_mcp.runs.uploads import UploadedFile, Uploads
from layer_mcp.sandbox import Fault, RunningSandbox

from ..support.local_uploads import LARGE, client_of, put_bytes, uploads_of, written
from ..support.recorded_runs import MakeJournal, running_run
from ..support.sandbox_calls import png

pytestmark = pytest.mark.anyio


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return written(tmp_path / "in" / "ein Trank.png", png("red"))


@pytest.fixture
def large(tmp_path: Path) -> Path:
    return written(tmp_path / "in" / "large.png", LARGE)


@pytest.fixture
async def layer(sandbox: RunningSandbox) -> AsyncGenerator[LayerClient]:
    async with client_of(sandbox) as client:
        yield client


@pytest.fixture
def uploads(tmp_path: Path, layer: LayerClient, journal: Journal) -> Uploads:
    return uploads_of(tmp_path, layer, journal)


async def upload(uploads: Uploads, sandbox: RunningSandbox, *paths: str) -> list[UploadedFile]:
    return await uploads.upload(paths, sandbox.workspace_id, seconds=20)


async def test_uploads_the_same_content_once_under_any_name(
    uploads: Uploads, sandbox: RunningSandbox, picture: Path
) -> None:
    written(picture.with_name("copy.png"), picture.read_bytes())
    [first] = await upload(uploads, sandbox, "ein Trank.png")
    [second] = await upload(uploads, sandbox, "copy.png")
    assert (second.file_id, first.reused, second.reused) == (first.file_id, False, True)
    assert sandbox.state.arrived["upload"] == 1


async def test_the_same_content_is_uploaded_once_by_two_processes(
    uploads: Uploads,
    make_journal: MakeJournal,
    sandbox: RunningSandbox,
    picture: Path,
    tmp_path: Path,
) -> None:
    [first] = await upload(uploads, sandbox, str(picture))
    async with client_of(sandbox) as layer:
        later = uploads_of(tmp_path, layer, make_journal())
        [second] = await upload(later, sandbox, str(picture))
    assert (second.file_id, second.reused) == (first.file_id, True)
    assert sandbox.state.arrived["upload"] == 1


async def test_each_workspace_has_its_own_files(
    uploads: Uploads, sandbox: RunningSandbox, picture: Path, journal: Journal
) -> None:
    [file] = await upload(uploads, sandbox, str(picture))
    assert await journal.files.find_upload(sandbox.workspace_id, file.sha256) == file.file_id
    assert await journal.files.find_upload("another", file.sha256) is None


async def test_the_same_content_at_the_same_time_is_sent_once(
    uploads: Uploads, sandbox: RunningSandbox, large: Path
) -> None:
    files: list[UploadedFile] = []

    async def upload_one() -> None:
        files.extend(await upload(uploads, sandbox, "large.png"))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(upload_one)
    assert len({file.file_id for file in files}) == 1
    assert sandbox.state.arrived["upload"] == 1


async def test_one_content_twice_in_one_call_is_sent_once(
    uploads: Uploads, sandbox: RunningSandbox, picture: Path
) -> None:
    first, second = await upload(uploads, sandbox, str(picture), "ein Trank.png")
    assert first.file_id == second.file_id
    assert put_bytes(sandbox) == [picture.stat().st_size]


async def test_files_are_answered_in_the_order_of_their_paths(
    uploads: Uploads, sandbox: RunningSandbox, picture: Path, large: Path
) -> None:
    files = await upload(uploads, sandbox, "large.png", "ein Trank.png")
    assert [file.size_bytes for file in files] == [len(LARGE), picture.stat().st_size]


async def test_one_invalid_path_prevents_all_uploads(
    uploads: Uploads, sandbox: RunningSandbox, picture: Path
) -> None:
    with pytest.raises(LayerError, match="PATH_NOT_ALLOWED"):
        await upload(uploads, sandbox, str(picture), "../secret.png")
    assert not sandbox.state.arrived


async def test_the_largest_size_is_a_setting(
    layer: LayerClient, journal: Journal, sandbox: RunningSandbox, large: Path, tmp_path: Path
) -> None:
    small_only = uploads_of(tmp_path, layer, journal, max_upload_mb=2)
    with pytest.raises(LayerError, match="FILE_TOO_LARGE"):
        await upload(small_only, sandbox, str(large))
    assert not sandbox.state.arrived


def request_with(sandbox: RunningSandbox, file: UploadedFile) -> RunRequest:
    """A request that names an uploaded file."""
    files = {file.file_id: file.sha256}
    return RunRequest("inference", "model", sandbox.workspace_id, files=files)


@pytest.mark.parametrize(
    "error",
    [
        LayerError("FILE_NOT_FOUND", "No such file."),
        LayerError("NOT_FOUND", "Nothing there."),
        LayerError("INVALID_INPUTS", "guidance_files.0.file_id: no such file."),
    ],
    ids=str,
)
async def test_a_file_that_layer_lost_is_uploaded_again(
    error: LayerError, uploads: Uploads, sandbox: RunningSandbox, picture: Path
) -> None:
    [lost] = await upload(uploads, sandbox, str(picture))
    await uploads.forget_lost_files(error, request_with(sandbox, lost))
    [again] = await upload(uploads, sandbox, str(picture))
    assert (again.reused, again.file_id == lost.file_id) == (False, False)


@pytest.mark.parametrize(
    "error",
    [
        LayerError("INSUFFICIENT_BALANCE", "No money."),
        LayerError("INVALID_INPUTS", "width: must be a multiple of 8."),
    ],
    ids=str,
)
async def test_any_other_error_forgets_no_file(
    error: LayerError, uploads: Uploads, sandbox: RunningSandbox, picture: Path
) -> None:
    [file] = await upload(uploads, sandbox, str(picture))
    await uploads.forget_lost_files(error, request_with(sandbox, file))
    assert [file.reused for file in await upload(uploads, sandbox, str(picture))] == [True]


async def test_the_progress_of_several_files_ends_at_all_of_their_bytes(
    uploads: Uploads, sandbox: RunningSandbox, picture: Path, large: Path
) -> None:
    await upload(uploads, sandbox, str(picture))
    reported: list[tuple[int, int]] = []

    async def report(sent_bytes: int, total_bytes: int) -> None:
        reported.append((sent_bytes, total_bytes))

    await uploads.upload(
        [str(picture), str(large)], sandbox.workspace_id, seconds=20, on_upload=report
    )
    total_bytes = picture.stat().st_size + len(LARGE)
    assert reported[-1] == (total_bytes, total_bytes)


async def test_the_next_call_resumes_after_a_timeout(
    uploads: Uploads, sandbox: RunningSandbox, large: Path
) -> None:
    sandbox.state.knobs.fail_next("upload", Fault("slow", delay_seconds=30))
    with pytest.raises(LayerError, match=r"of 2\.9 MB went out") as caught:
        await uploads.upload([str(large)], sandbox.workspace_id, seconds=2)
    assert caught.value.code == "UPLOAD_UNFINISHED"
    [file] = await upload(uploads, sandbox, str(large))
    assert sandbox.state.files[file.file_id].data == LARGE
    assert sandbox.state.arrived["request_upload_url"] == 1


async def test_a_failed_upload_leaves_nothing_in_the_journal(
    uploads: Uploads, sandbox: RunningSandbox, picture: Path
) -> None:
    sandbox.state.knobs.fail_next("upload", Fault("status", status=403))
    with pytest.raises(LayerError, match="UPLOAD_REFUSED"):
        await upload(uploads, sandbox, str(picture))
    assert [file.reused for file in await upload(uploads, sandbox, str(picture))] == [False]


async def test_more_files_than_a_call_may_have_are_refused(
    uploads: Uploads, sandbox: RunningSandbox, picture: Path
) -> None:
    with pytest.raises(LayerError, match="at most 60 local files"):
        await upload(uploads, sandbox, *[str(picture)] * 61)
    assert not sandbox.state.arrived


async def test_no_token_is_in_the_state_folder(
    uploads: Uploads, journal: Journal, sandbox: RunningSandbox, picture: Path, state_folder: Path
) -> None:
    [file] = await upload(uploads, sandbox, str(picture))
    await running_run(journal)
    kept = b"".join(part.read_bytes() for part in state_folder.rglob("*") if part.is_file())
    assert file.sha256.encode() in kept
    assert sandbox.token.encode() not in kept
