"""Sending files to Layer: three steps, no token on the storage host, no byte sent twice."""

import json
import os
import re
import socket
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import anyio
import pytest
from layer_mcp.journal import Journal, new_journal
from layer_mcp.server.uploads import UploadedFile, Uploads

from layer_mcp import LayerClient, LayerError, Settings
from layer_mcp.api.file_transport import FileTransport
from layer_mcp.api.host_rules import host_rules
from layer_mcp.api.media_files import open_media_file
from layer_mcp.api.models import UploadUrl
from layer_mcp.api.upload import open_session, parse_range
from layer_mcp.errors import ERROR_CODES
from layer_mcp.sandbox import Arrival, Fault, RunningSandbox

from ..support.raw_servers import Answer, Recorder, http_answer, raw_server
from ..support.sandbox_calls import png

pytestmark = pytest.mark.anyio

TOKEN = "token-of-nothing"
WORKSPACE = "00000000-0000-4000-8000-0000000000aa"
# Larger than what the system buffers of a connection that nobody reads.
LARGE = png("red") + os.urandom(3_000_000)


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
def journal(tmp_path: Path) -> Iterator[Journal]:
    kept = new_journal(lambda: tmp_path / "state", "u")
    yield kept
    kept.close()


@pytest.fixture
def uploads(tmp_path: Path, layer: LayerClient, journal: Journal) -> Uploads:
    return Uploads(settings(tmp_path), layer, journal)


def settings(tmp_path: Path, max_upload_mb: int = 64) -> Settings:
    return Settings(input_dirs=(str(tmp_path / "in"),), max_upload_mb=max_upload_mb)


def client_of(sandbox: RunningSandbox) -> LayerClient:
    return LayerClient(sandbox.token, workspace=sandbox.workspace_id, api_url=sandbox.api_url)


def written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def arrivals(sandbox: RunningSandbox, operation: str) -> list[Arrival]:
    return [one for one in sandbox.state.arrivals if one.operation == operation]


def put_bytes(sandbox: RunningSandbox) -> list[int]:
    """The bytes that each PUT announced."""
    return [int(one.headers["content-length"]) for one in arrivals(sandbox, "upload")]


async def failure(layer: LayerClient, path: Path) -> LayerError:
    with pytest.raises(LayerError) as caught:
        await layer.upload_file(path)
    assert caught.value.code in ERROR_CODES
    assert caught.value.message.endswith(".")
    return caught.value


async def together(uploads: Uploads, sandbox: RunningSandbox, *paths: str) -> list[UploadedFile]:
    return await uploads.upload(paths, sandbox.workspace_id, total_seconds=20)


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


async def test_three_steps_are_enough_and_each_is_done_once(
    layer: LayerClient, sandbox: RunningSandbox, picture: Path
) -> None:
    await layer.upload_file(picture)
    assert sandbox.state.arrived == {"request_upload_url": 1, "start_upload": 1, "upload": 1}


async def test_the_header_that_the_published_text_misses_goes_along(
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


async def test_a_name_with_bytes_that_are_no_text_is_told_without_them(
    layer: LayerClient, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    path = written(tmp_path / "in" / os.fsdecode(b"a\xff.png"), png("red"))
    assert sandbox.state.files[await layer.upload_file(path)].name == "a?.png"


async def test_a_large_file_is_streamed_and_progress_is_told(
    layer: LayerClient, sandbox: RunningSandbox, large: Path
) -> None:
    told: list[tuple[int, int]] = []

    async def tell(sent_bytes: int, size_bytes: int) -> None:
        told.append((sent_bytes, size_bytes))

    file_id = await layer.upload_file(large, on_bytes=tell)
    assert told == [(min(n * 1024 * 1024, len(LARGE)), len(LARGE)) for n in (1, 2, 3)]
    assert sandbox.state.files[file_id].data == LARGE


async def test_a_broken_put_goes_on_from_what_arrived(
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


async def test_a_put_that_breaks_often_but_gets_further_each_time_succeeds(
    layer: LayerClient, sandbox: RunningSandbox, large: Path
) -> None:
    faults = [Fault("drop", after_bytes=500_000)] * 4
    sandbox.state.knobs.fail_next("upload", *faults)
    file_id = await layer.upload_file(large)
    assert sandbox.state.files[file_id].data == LARGE
    assert put_bytes(sandbox) == [len(LARGE) - n * 500_000 for n in range(5)]


async def test_an_answer_that_was_lost_is_asked_for_and_no_byte_is_sent_again(
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
    assert (error.code, "broke twice" in error.message) == ("UPLOAD_FAILED", True)
    assert "goes on" in error.next_step
    assert len(put_bytes(sandbox)) == 2


async def test_a_later_call_goes_on_with_the_upload_that_failed(
    layer: LayerClient, sandbox: RunningSandbox, large: Path
) -> None:
    some, none = Fault("drop", after_bytes=2_000_000), Fault("drop")
    sandbox.state.knobs.fail_next("upload", some, none, none)
    await failure(layer, large)
    file_id = await layer.upload_file(large)
    assert sandbox.state.files[file_id].data == LARGE
    assert put_bytes(sandbox)[-1] == len(LARGE) - 2_000_000
    assert sandbox.state.arrived["request_upload_url"] == 1


async def test_a_later_call_goes_on_with_the_upload_that_was_cancelled(
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


async def test_an_address_that_is_expired_again_is_an_error(
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


async def test_a_refused_file_is_an_error_and_a_later_call_begins_anew(
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


async def test_two_calls_do_not_go_on_with_the_same_upload(
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
def test_what_arrived_is_read_from_the_range(header: str, count: int) -> None:
    assert parse_range(header) == count


def api_that_signs(upload_url: str) -> Answer:
    """An API that sends every file to this address."""
    answer = {"file_id": "file-1", "upload_url": upload_url, "content_type": "image/png"}
    return http_answer("201 Created", json.dumps(answer).encode())


async def sent_to(upload_url: str, path: Path) -> LayerError:
    """The error of an upload that a wrong API sends to this address."""
    with raw_server(api_that_signs(upload_url)) as api:
        url = f"http://127.0.0.1:{api.port}/api"
        async with LayerClient(TOKEN, workspace=WORKSPACE, api_url=url) as layer:
            return await failure(layer, path)


@pytest.mark.parametrize(
    "host",
    [
        "https://10.0.0.1",
        "https://169.254.169.254",
        "https://0.0.0.0",
        "https://[::ffff:10.0.0.1]",
        "https://[fd00::1]",
        "https://167772161",
        "https://0xa.1",
        "http://10.0.0.1",
        "http://storage.test",
        "https://me:secret@storage.test",
        "ftp://storage.test",
        "file://",
        "https://[::1",
    ],
)
async def test_nothing_is_sent_to_an_address_that_no_file_may_go_to(
    host: str, picture: Path
) -> None:
    error = await sent_to(f"{host}/upload?sig=1", picture)
    assert error.code == "HOST_NOT_ALLOWED"
    assert "secret" not in str(error)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1"])
async def test_the_public_api_cannot_send_a_file_to_this_machine(host: str, picture: Path) -> None:
    hosts = FileTransport(host_rules("https://api.layer.test/api"))
    with raw_server(http_answer("201 Created")) as server, open_media_file(picture) as file:
        ticket = UploadUrl(file_id="f", upload_url=f"https://{host}:{server.port}/upload")
        with pytest.raises(LayerError, match="HOST_NOT_ALLOWED"):
            await open_session(hosts, ticket, file)
    assert server.heads == []


def storage(*answers: Answer) -> Answer:
    """A storage host that gives one answer after the other."""
    left = list(answers)

    def answer(connection: socket.socket) -> None:
        left.pop(0)(connection)

    return answer


async def stored(*answers: Answer, path: Path) -> tuple[LayerError, Recorder]:
    """The error of an upload to a storage host with these answers, and what reached that."""
    with raw_server(storage(*answers)) as host:
        return await sent_to(f"http://127.0.0.1:{host.port}/upload?sig=1", path), host


@pytest.mark.parametrize(
    "location",
    ["https://10.0.0.1/session", "http://evil.test/session", "file:///etc/passwd", "https://a@b/"],
)
async def test_a_session_at_an_address_that_no_file_may_go_to_is_refused(
    location: str, picture: Path
) -> None:
    session = http_answer("201 Created", b"", f"Location: {location}")
    error, host = await stored(session, path=picture)
    assert (error.code, len(host.heads)) == ("HOST_NOT_ALLOWED", 1)


@pytest.mark.parametrize("headers", [(), ("Location: https://[::1",)])
async def test_a_session_without_a_usable_address_is_an_error(
    headers: tuple[str, ...], picture: Path
) -> None:
    error, _ = await stored(http_answer("201 Created", b"", *headers), path=picture)
    assert error.code == "UPLOAD_REFUSED"


async def test_a_storage_host_that_redirects_gets_no_more(picture: Path) -> None:
    with raw_server(http_answer("200 OK")) as other:
        location = f"Location: http://127.0.0.1:{other.port}/"
        error, host = await stored(http_answer("307 Moved", b"", location), path=picture)
    assert error.code == "UPLOAD_REFUSED"
    assert (len(host.heads), other.heads) == (1, [])


async def test_all_bytes_without_a_complete_session_are_no_success(picture: Path) -> None:
    size = picture.stat().st_size
    partly = http_answer("308 Resume Incomplete", b"", f"Range: bytes=0-{size - 1}")
    session = http_answer("201 Created", b"", "Location: /session")
    error, host = await stored(session, *[partly] * 9, path=picture)
    assert error.code == "UPLOAD_FAILED"
    assert len(host.heads) > 2
    assert all(f"bytes */{size}".encode() in head for head in host.heads[2:])


async def test_a_recording_storage_host_sees_neither_the_token_nor_credentials(
    picture: Path,
) -> None:
    session = http_answer("201 Created", b"", "Location: /session", "Set-Cookie: a=1; Path=/")
    error, host = await stored(session, http_answer("403 Forbidden"), path=picture)
    assert error.code == "UPLOAD_REFUSED"
    assert [head.split(b" ")[0] for head in host.heads] == [b"POST", b"PUT"]
    sent = b"".join(host.heads).lower()
    for secret in (TOKEN.encode(), b"authorization", b"cookie"):
        assert secret not in sent


async def test_the_storages_reason_is_shown_and_its_page_is_not(picture: Path) -> None:
    page = b"<Error><Code>EntityTooLarge</Code><Message>secret words</Message></Error>"
    session = http_answer("201 Created", b"", "Location: /session")
    error, _ = await stored(session, http_answer("400 Bad Request", page), path=picture)
    assert re.search(r"\(EntityTooLarge\)", error.message)
    assert "secret words" not in str(error)


async def test_the_same_content_is_uploaded_once_whatever_its_name(
    uploads: Uploads, sandbox: RunningSandbox, picture: Path
) -> None:
    written(picture.with_name("copy.png"), picture.read_bytes())
    [first] = await together(uploads, sandbox, "ein Trank.png")
    [second] = await together(uploads, sandbox, "copy.png")
    assert (second.file_id, first.reused, second.reused) == (first.file_id, False, True)
    assert sandbox.state.arrived["upload"] == 1


async def test_the_same_content_is_uploaded_once_by_two_servers(
    uploads: Uploads, sandbox: RunningSandbox, picture: Path, tmp_path: Path
) -> None:
    [first] = await together(uploads, sandbox, str(picture))
    journal = new_journal(lambda: tmp_path / "state", "u")
    async with client_of(sandbox) as layer:
        later = Uploads(settings(tmp_path), layer, journal)
        [second] = await together(later, sandbox, str(picture))
    journal.close()
    assert (second.file_id, second.reused) == (first.file_id, True)
    assert sandbox.state.arrived["upload"] == 1


async def test_each_workspace_has_its_own_files(
    uploads: Uploads, sandbox: RunningSandbox, picture: Path, journal: Journal
) -> None:
    [file] = await together(uploads, sandbox, str(picture))
    assert await journal.uploads.file_id(sandbox.workspace_id, file.sha256) == file.file_id
    assert await journal.uploads.file_id("another", file.sha256) is None


async def test_the_same_content_at_the_same_time_is_sent_once(
    uploads: Uploads, sandbox: RunningSandbox, large: Path
) -> None:
    files: list[UploadedFile] = []

    async def upload() -> None:
        files.extend(await together(uploads, sandbox, "large.png"))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(upload)
    assert len({file.file_id for file in files}) == 1
    assert sandbox.state.arrived["upload"] == 1


async def test_one_content_twice_in_one_call_is_sent_once(
    uploads: Uploads, sandbox: RunningSandbox, picture: Path
) -> None:
    first, second = await together(uploads, sandbox, str(picture), "ein Trank.png")
    assert first.file_id == second.file_id
    assert put_bytes(sandbox) == [picture.stat().st_size]


async def test_files_are_answered_in_the_order_of_their_paths(
    uploads: Uploads, sandbox: RunningSandbox, picture: Path, large: Path
) -> None:
    files = await together(uploads, sandbox, "large.png", "ein Trank.png")
    assert [file.size_bytes for file in files] == [len(LARGE), picture.stat().st_size]


async def test_one_bad_path_keeps_all_files_here(
    uploads: Uploads, sandbox: RunningSandbox, picture: Path
) -> None:
    with pytest.raises(LayerError, match="PATH_NOT_ALLOWED"):
        await together(uploads, sandbox, str(picture), "../secret.png")
    assert not sandbox.state.arrived


async def test_the_largest_size_is_a_setting(
    layer: LayerClient, journal: Journal, sandbox: RunningSandbox, large: Path, tmp_path: Path
) -> None:
    small_only = Uploads(settings(tmp_path, max_upload_mb=2), layer, journal)
    with pytest.raises(LayerError, match="FILE_TOO_LARGE"):
        await together(small_only, sandbox, str(large))
    assert not sandbox.state.arrived


async def test_a_file_that_layer_has_no_more_is_uploaded_anew(
    uploads: Uploads, sandbox: RunningSandbox, picture: Path
) -> None:
    await together(uploads, sandbox, str(picture))
    reused = await together(uploads, sandbox, str(picture))
    gone = LayerError("FILE_NOT_FOUND", "No such file.")
    await uploads.forget_if_gone(gone, reused, sandbox.workspace_id)
    [anew] = await together(uploads, sandbox, str(picture))
    assert (anew.reused, anew.file_id == reused[0].file_id) == (False, False)


async def test_any_other_error_forgets_no_file(
    uploads: Uploads, sandbox: RunningSandbox, picture: Path
) -> None:
    await together(uploads, sandbox, str(picture))
    reused = await together(uploads, sandbox, str(picture))
    broke = LayerError("INSUFFICIENT_BALANCE", "No money.")
    await uploads.forget_if_gone(broke, reused, sandbox.workspace_id)
    assert [file.reused for file in await together(uploads, sandbox, str(picture))] == [True]


async def test_the_progress_of_several_files_ends_at_all_of_their_bytes(
    uploads: Uploads, sandbox: RunningSandbox, picture: Path, large: Path
) -> None:
    await together(uploads, sandbox, str(picture))
    told: list[tuple[int, int]] = []

    async def tell(sent_bytes: int, total_bytes: int) -> None:
        told.append((sent_bytes, total_bytes))

    await uploads.upload(
        [str(picture), str(large)], sandbox.workspace_id, total_seconds=20, on_bytes=tell
    )
    total_bytes = picture.stat().st_size + len(LARGE)
    assert told[-1] == (total_bytes, total_bytes)


async def test_when_the_time_is_up_the_next_call_goes_on(
    uploads: Uploads, sandbox: RunningSandbox, large: Path
) -> None:
    sandbox.state.knobs.fail_next("upload", Fault("slow", delay_seconds=30))
    with pytest.raises(LayerError, match=r"of 2\.9 MB went out") as caught:
        await uploads.upload([str(large)], sandbox.workspace_id, total_seconds=2)
    assert caught.value.code == "UPLOAD_UNFINISHED"
    [file] = await together(uploads, sandbox, str(large))
    assert sandbox.state.files[file.file_id].data == LARGE
    assert sandbox.state.arrived["request_upload_url"] == 1


async def test_an_upload_that_fails_leaves_nothing_in_the_journal(
    uploads: Uploads, sandbox: RunningSandbox, picture: Path
) -> None:
    sandbox.state.knobs.fail_next("upload", Fault("status", status=403))
    with pytest.raises(LayerError, match="UPLOAD_REFUSED"):
        await together(uploads, sandbox, str(picture))
    assert [file.reused for file in await together(uploads, sandbox, str(picture))] == [False]
