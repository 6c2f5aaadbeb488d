"""Uploading files to Layer: three steps, no token on the storage host, no byte sent twice."""

import json
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from layer_mcp import LayerClient, LayerError
from layer_mcp.api.upload import parse_range
from layer_mcp.errors import ERROR_CODES
from layer_mcp.sandbox import Fault, RunningSandbox

from ..support.local_uploads import LARGE, arrivals, client_of, put_bytes, written
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


async def failure(layer: LayerClient, path: Path) -> LayerError:
    with pytest.raises(LayerError) as caught:
        await layer.upload_file(path)
    assert caught.value.code in ERROR_CODES
    assert caught.value.message.endswith(".")
    return caught.value


async def test_the_bytes_arrive_with_their_type_size_and_name(
    layer: LayerClient, sandbox: RunningSandbox, picture: Path
) -> None:
    file_id = await layer.upload_file(picture)
    file = sandbox.state.files[file_id]
    assert (file.data, file.content_type) == (picture.read_bytes(), "image/png")
    assert file.name == "ein Trank.png"


async def test_the_type_is_that_of_the_content(
    layer: LayerClient, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    path = written(tmp_path / "in" / "a.mp3", png("red"))
    await layer.upload_file(path)
    [asked] = arrivals(sandbox, "request_upload_url")
    assert json.loads(asked.body) == {
        "content_type": "image/png",
        "file_size_bytes": path.stat().st_size,
        "file_name": "a.mp3",
    }


async def test_an_upload_takes_three_requests(
    layer: LayerClient, sandbox: RunningSandbox, picture: Path
) -> None:
    await layer.upload_file(picture)
    assert sandbox.state.arrived == {"request_upload_url": 1, "start_upload": 1, "upload": 1}


async def test_sends_the_header_that_the_published_contract_omits(
    layer: LayerClient, sandbox: RunningSandbox, picture: Path
) -> None:
    await layer.upload_file(picture)
    [start] = arrivals(sandbox, "start_upload")
    size = picture.stat().st_size
    assert start.headers["x-goog-content-length-range"] == f"0,{size}"
    assert start.headers["x-goog-resumable"] == "start"
    assert start.headers["content-length"] == "0"


async def test_the_storage_host_never_gets_the_token(
    layer: LayerClient, sandbox: RunningSandbox, large: Path
) -> None:
    sandbox.state.knobs.fail_next("upload", Fault("drop", after_bytes=1_000_000))
    await layer.upload_file(large)
    steps = [
        one
        for step in ("start_upload", "upload", "upload_status")
        for one in arrivals(sandbox, step)
    ]
    assert len(steps) == 4
    for step in steps:
        assert not {"authorization", "cookie"} & set(step.headers)
        assert sandbox.token not in str(step)


async def test_replaces_bytes_that_are_not_text_in_a_name(
    layer: LayerClient, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    path = written(tmp_path / "in" / os.fsdecode(b"a\xff.png"), png("red"))
    assert sandbox.state.files[await layer.upload_file(path)].name == "a?.png"


async def test_a_large_file_is_streamed_and_its_progress_is_reported(
    layer: LayerClient, sandbox: RunningSandbox, large: Path
) -> None:
    reported: list[tuple[int, int]] = []

    async def report(sent_bytes: int, size_bytes: int) -> None:
        reported.append((sent_bytes, size_bytes))

    file_id = await layer.upload_file(large, on_bytes=report)
    assert reported == [(min(n * 1024 * 1024, len(LARGE)), len(LARGE)) for n in (1, 2, 3)]
    assert sandbox.state.files[file_id].data == LARGE


async def test_an_interrupted_put_resumes_from_the_received_bytes(
    layer: LayerClient, sandbox: RunningSandbox, large: Path
) -> None:
    sandbox.state.knobs.fail_next("upload", Fault("drop", after_bytes=1_000_000))
    file_id = await layer.upload_file(large)
    assert sandbox.state.files[file_id].data == LARGE
    [first, second] = arrivals(sandbox, "upload")
    arrived = len(LARGE) - int(second.headers["content-length"])
    assert arrived == 1_000_000
    assert "content-range" not in first.headers
    assert second.headers["content-range"] == f"bytes {arrived}-{len(LARGE) - 1}/{len(LARGE)}"


async def test_a_put_that_breaks_often_but_makes_progress_succeeds(
    layer: LayerClient, sandbox: RunningSandbox, large: Path
) -> None:
    faults = [Fault("drop", after_bytes=500_000)] * 4
    sandbox.state.knobs.fail_next("upload", *faults)
    file_id = await layer.upload_file(large)
    assert sandbox.state.files[file_id].data == LARGE
    assert put_bytes(sandbox) == [len(LARGE) - n * 500_000 for n in range(5)]


async def test_a_lost_answer_is_requested_without_resending_bytes(
    layer: LayerClient, sandbox: RunningSandbox, picture: Path
) -> None:
    sandbox.state.knobs.fail_next("upload", Fault("drop", accepted=True))
    file_id = await layer.upload_file(picture)
    assert sandbox.state.files[file_id].data == picture.read_bytes()
    assert len(put_bytes(sandbox)) == 1


async def test_two_breaks_without_progress_are_an_error(
    layer: LayerClient, sandbox: RunningSandbox, picture: Path
) -> None:
    sandbox.state.knobs.fail_next("upload", Fault("drop"), Fault("drop"))
    error = await failure(layer, picture)
    assert (error.code, "failed twice" in error.message) == ("UPLOAD_FAILED", True)
    assert "resume" in error.next_step
    assert len(put_bytes(sandbox)) == 2


async def test_a_later_call_resumes_the_upload_that_failed(
    layer: LayerClient, sandbox: RunningSandbox, large: Path
) -> None:
    some, none = Fault("drop", after_bytes=2_000_000), Fault("drop")
    sandbox.state.knobs.fail_next("upload", some, none, none)
    await failure(layer, large)
    file_id = await layer.upload_file(large)
    assert sandbox.state.files[file_id].data == LARGE
    assert put_bytes(sandbox)[-1] == len(LARGE) - 2_000_000
    assert sandbox.state.arrived["request_upload_url"] == 1


async def test_a_later_call_resumes_the_upload_that_was_cancelled(
    layer: LayerClient, sandbox: RunningSandbox, large: Path
) -> None:
    async def stop(_sent_bytes: int, _size_bytes: int) -> None:
        scope.cancel()

    with anyio.CancelScope() as scope:
        await layer.upload_file(large, on_bytes=stop)
    file_id = await layer.upload_file(large)
    assert sandbox.state.files[file_id].data == LARGE
    assert sandbox.state.arrived["request_upload_url"] == 1


@pytest.mark.parametrize("step", ["start_upload", "upload_status"])
async def test_a_small_request_to_the_storage_is_sent_again_after_a_fault_that_passes(
    step: str, layer: LayerClient, sandbox: RunningSandbox, large: Path
) -> None:
    sandbox.state.knobs.fail_next("upload", Fault("drop", after_bytes=1_000_000))
    operation = "start_upload" if step == "start_upload" else "upload_status"
    sandbox.state.knobs.fail_next(operation, Fault("status", status=503), Fault("drop"))
    assert sandbox.state.files[await layer.upload_file(large)].data == LARGE


async def test_a_storage_host_that_stays_down_is_not_the_files_fault(
    layer: LayerClient, sandbox: RunningSandbox, picture: Path
) -> None:
    sandbox.state.knobs.fail_next("start_upload", *[Fault("status", status=503)] * 9)
    error = await failure(layer, picture)
    assert (error.code, "HTTP 503" in error.message) == ("UPLOAD_FAILED", True)


async def test_an_expired_address_is_renewed_once(
    layer: LayerClient, sandbox: RunningSandbox, picture: Path
) -> None:
    expired = Fault("status", status=400, code="ExpiredToken")
    sandbox.state.knobs.fail_next("start_upload", expired)
    file_id = await layer.upload_file(picture)
    assert sandbox.state.files[file_id].data == picture.read_bytes()
    assert sandbox.state.arrived["request_upload_url"] == 2


async def test_a_url_that_expires_again_is_an_error(
    layer: LayerClient, sandbox: RunningSandbox, picture: Path
) -> None:
    sandbox.state.knobs.upload_url_seconds = 0
    error = await failure(layer, picture)
    assert (error.code, "ExpiredToken" in error.message) == ("UPLOAD_EXPIRED", True)
    assert sandbox.state.arrived == {"request_upload_url": 2, "start_upload": 2}


@pytest.mark.parametrize("status", [404, 410])
async def test_a_lost_session_is_replaced_once(
    status: int, layer: LayerClient, sandbox: RunningSandbox, picture: Path
) -> None:
    sandbox.state.knobs.fail_next("upload", Fault("status", status=status))
    file_id = await layer.upload_file(picture)
    assert sandbox.state.files[file_id].data == picture.read_bytes()
    assert sandbox.state.arrived["start_upload"] == 2


async def test_a_refused_file_is_an_error_and_a_later_call_starts_over(
    layer: LayerClient, sandbox: RunningSandbox, picture: Path
) -> None:
    sandbox.state.knobs.fail_next("upload", Fault("status", status=403))
    assert (await failure(layer, picture)).code == "UPLOAD_REFUSED"
    file_id = await layer.upload_file(picture)
    assert sandbox.state.files[file_id].data == picture.read_bytes()
    assert sandbox.state.arrived["start_upload"] == 2


async def test_a_file_that_layer_refuses_shows_layers_own_answer(
    layer: LayerClient, sandbox: RunningSandbox, picture: Path
) -> None:
    sandbox.state.knobs.max_upload_bytes = 10
    error = await failure(layer, picture)
    assert (error.code, "at most 10" in error.message) == ("INVALID_INPUTS", True)
    assert sandbox.state.arrived == {"request_upload_url": 1}


async def test_a_bad_file_is_not_announced(
    layer: LayerClient, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    secret = written(tmp_path / "in" / "id_rsa.png", b"PRIVATE KEY\n" * 20)
    assert (await failure(layer, secret)).code == "FILE_TYPE_NOT_SUPPORTED"
    assert not sandbox.state.arrived


async def test_a_file_that_changes_while_it_is_sent_is_an_error(
    layer: LayerClient, sandbox: RunningSandbox, large: Path
) -> None:
    async def change(_sent_bytes: int, _size_bytes: int) -> None:
        os.truncate(large, len(LARGE) - 1)

    with pytest.raises(LayerError, match="FILE_CHANGED"):
        await layer.upload_file(large, on_bytes=change)
    assert not sandbox.state.files


async def test_two_calls_do_not_resume_the_same_upload(
    layer: LayerClient, sandbox: RunningSandbox, large: Path
) -> None:
    some, none = Fault("drop", after_bytes=1_000_000), Fault("drop")
    sandbox.state.knobs.fail_next("upload", some, none, none)
    await failure(layer, large)
    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(layer.upload_file, large)
    assert [file.data == LARGE for file in sandbox.state.files.values()] == [True, True]
    assert sorted(put_bytes(sandbox)[3:]) == [len(LARGE) - 1_000_000, len(LARGE)]


@pytest.mark.parametrize(
    ("header", "count"),
    [("bytes=0-0", 1), (" bytes=0-99 ", 100), ("", 0), ("bytes=5-99", 0), ("0-99", 0), ("x", 0)],
)
def test_reads_the_received_bytes_from_the_range_header(header: str, count: int) -> None:
    assert parse_range(header) == count
