"""Data from others can't use more time, memory, or space than a call has."""

import gzip
import io
import json
import threading
import time
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Iterator
from contextlib import AbstractContextManager, suppress
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import anyio
import pytest

from layer_mcp import LayerClient, LayerError
from layer_mcp.api.file_transport import FileTransport
from layer_mcp.api.host_rules import host_rules
from layer_mcp.api.models import UploadUrl
from layer_mcp.api.retry import Limits
from layer_mcp.api.upload import UploadSession, open_session, send_file
from layer_mcp.files.folders import PrivateFolders
from layer_mcp.files.local_files import LocalFile, open_media_file
from layer_mcp.sandbox import Fault, RunningSandbox

from ..support.hosts import MEMORY, SMALL_IMAGE, content_of, error_code, text_of
from ..support.raw_servers import EMPTY_LIST, http_answer, raw_server
from ..support.sandbox_calls import png
from ..support.stub_layer import (
    FILE_ID,
    RUN_ID,
    TOKEN,
    WORKSPACE,
    ReceivedRequest,
    Reply,
    StubLayer,
    stub_layer,
)

pytestmark = pytest.mark.anyio

MEGABYTE = 1024 * 1024
AT_ONCE = Limits(retry_budget_seconds=0)
# What a client may read of a list, in text and as data.
ROOM_BYTES = 10_500


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """100 MB in as many KB."""
    return gzip.compress(bytes(100 * MEGABYTE))


@pytest.fixture
def stub() -> Iterator[StubLayer]:
    with stub_layer() as server:
        yield server


@pytest.fixture
async def layer(stub: StubLayer) -> AsyncGenerator[LayerClient]:
    """A client of the stub that asks once."""
    url = stub.address
    async with LayerClient(TOKEN, workspace=WORKSPACE, api_url=url, limits=AT_ONCE) as client:
        yield client


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "red.png"
    path.write_bytes(png("red"))
    return path


async def peak_bytes(call: Awaitable[object]) -> int:
    """The most memory that a call took, no matter how it ended."""
    tracemalloc.start()
    try:
        with suppress(LayerError):
            await call
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "deflate"])
async def test_rejects_an_unknown_compression_and_keeps_no_data(
    encoding: str, layer: LayerClient, stub: StubLayer
) -> None:
    stub.answers["/a.png"] = Reply(gzip.compress(b"file"), headers={"Content-Encoding": encoding})
    sink = io.BytesIO()
    with pytest.raises(LayerError, match="DOWNLOAD_FAILED: The media host used an unknown"):
        await layer.download(f"{stub.address}/a.png", sink)
    assert sink.getvalue() == b""
    assert len(stub.requests) == 1


async def test_a_file_packed_twice_takes_no_memory(
    layer: LayerClient, stub: StubLayer, bomb: bytes
) -> None:
    packed = {"Content-Encoding": "gzip, gzip"}
    stub.answers["/a.png"] = Reply(gzip.compress(bomb), headers=packed)
    sink = io.BytesIO()
    call = layer.download(f"{stub.address}/a.png", sink, max_bytes=MEGABYTE)
    assert await peak_bytes(call) < 20 * MEGABYTE


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip"])
async def test_a_storage_hosts_packed_answer_takes_no_memory(
    encoding: str, picture: Path, bomb: bytes
) -> None:
    body = gzip.compress(bomb) if encoding == "gzip, gzip" else bomb
    headers = f"Content-Encoding: {encoding}", "Location: /session"
    hosts = FileTransport(host_rules("http://127.0.0.1:1"))
    opened: list[UploadSession] = []

    async def start() -> None:
        ticket = UploadUrl(file_id=FILE_ID, upload_url=f"http://127.0.0.1:{storage.port}/up")
        with open_media_file(picture, private=PrivateFolders()) as file:
            opened.append(await open_session(hosts, ticket, file))

    with raw_server(http_answer("201 Created", body, *headers)) as storage:
        taken = await peak_bytes(start())
    await hosts.close()
    assert opened[0].url.endswith("/session")
    assert taken < 20 * MEGABYTE


async def test_an_api_answer_with_one_layer_of_gzip_is_read(
    layer: LayerClient, stub: StubLayer
) -> None:
    packed = gzip.compress(EMPTY_LIST)
    stub.answers["/workspaces"] = Reply(packed, headers={"Content-Encoding": "gzip"})
    assert await layer.list_workspaces() == []


@pytest.mark.parametrize("encoding", ["gzip, gzip", "deflate", "br", "gzip, identity"])
async def test_an_api_answer_in_another_packing_is_an_error(
    encoding: str, layer: LayerClient, stub: StubLayer
) -> None:
    packed = gzip.compress(EMPTY_LIST)
    stub.answers["/workspaces"] = Reply(packed, headers={"Content-Encoding": encoding})
    with pytest.raises(LayerError, match="UNEXPECTED_RESPONSE"):
        await layer.list_workspaces()


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip"])
async def test_a_packed_api_answer_takes_no_memory(
    encoding: str, layer: LayerClient, stub: StubLayer, bomb: bytes
) -> None:
    body = gzip.compress(bomb) if encoding == "gzip, gzip" else bomb
    stub.answers["/workspaces"] = Reply(body, headers={"Content-Encoding": encoding})
    assert await peak_bytes(layer.list_workspaces()) < 40 * MEGABYTE


async def test_a_submission_whose_answer_cannot_be_unpacked_is_an_unknown_outcome(
    stub: StubLayer, tmp_path: Path
) -> None:
    headers = {"Content-Encoding": "gzip"}
    stub.answers["/inferences"] = Reply(b"not packed", status=202, headers=headers)
    async with MEMORY.connect(stub.environment(tmp_path)) as client:
        result = await client.call_tool("execute_inference", SMALL_IMAGE)
    assert error_code(result) == "OUTCOME_UNKNOWN"
    assert len(stub.requests_to("/inferences")) == 1


@pytest.mark.parametrize("tool", ["execute_inference", "execute_workflow"])
async def test_does_not_start_a_run_if_uploads_used_up_the_calls_time(
    tool: str,
    environment: dict[str, str],
    sandbox: RunningSandbox,
    picture: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("layer_mcp.runs.types.budget.MIN_UPLOAD_SECONDS", 0.1)
    monkeypatch.setattr("layer_mcp.runs.types.budget.SUBMISSION_SECONDS", 1.7)
    sandbox.state.knobs.fail_next("upload", Fault("slow", delay_seconds=1))
    calls: dict[str, dict[str, Any]] = {
        "execute_inference": SMALL_IMAGE
        | {"guidance_files": [{"path": picture.name, "type": "init"}]},
        "execute_workflow": {
            "workflow_id": sandbox.state.workflows[1].workflow_id,
            "inputs": {"prompt": "a fox", "image": picture.name},
        },
    }
    limits = {"LAYER_MAX_WAIT_SECONDS": "2", "LAYER_INPUT_DIRS": str(picture.parent)}
    async with MEMORY.connect(environment | limits | {"LAYER_TOOLSETS": "all"}) as client:
        result = await client.call_tool(tool, calls[tool])
    assert error_code(result) == "UPLOAD_UNFINISHED"
    assert sandbox.state.arrived["execute_inference"] == 0
    assert sandbox.state.arrived["execute_workflow"] == 0


def page(cursor: str | None, more: bool | None = True) -> Reply:
    """A page of workflows without the one that is looked for."""
    pagination = {"next_cursor": cursor, "has_more_results": more}
    return Reply({"workflows": [], "workspaces": [], "pagination": pagination})


@pytest.mark.parametrize(
    ("answer", "times"), [(page("a"), 2), (page("a", False), 1), (page(""), 1), (page(None), 1)]
)
async def test_a_lookup_ends_with_the_list(
    answer: Reply, times: int, layer: LayerClient, stub: StubLayer
) -> None:
    stub.answers["/workflows"] = answer
    with pytest.raises(LayerError, match="WORKFLOW_NOT_FOUND"):
        await layer.find_workflow(RUN_ID)
    assert len(stub.requests) == times


async def test_stops_reading_an_endless_list(layer: LayerClient, stub: StubLayer) -> None:
    cursors = cycle("abc")
    stub.answers["/workspaces"] = lambda _question: page(next(cursors))
    assert await layer.list_workspaces() == []
    assert len(stub.requests) == 20


@pytest.mark.parametrize("what", ["workflow", "workspace"])
async def test_a_lookup_always_ends_within_its_time_limit(
    what: str, stub: StubLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layer_mcp.api.client.LOOKUP_SECONDS", 0.3)
    ended = threading.Event()

    def late(_question: ReceivedRequest) -> Reply:
        ended.wait(10)
        return page("a")

    stub.answers |= {"/workflows": late, "/workspaces": late}
    workspace = WORKSPACE if what == "workflow" else "by name"
    async with LayerClient(TOKEN, workspace=workspace, api_url=stub.address) as layer:
        with anyio.fail_after(5), pytest.raises(LayerError, match="TIMEOUT"):
            await layer.find_workflow(RUN_ID)
    ended.set()


async def test_gives_up_on_a_storage_host_that_makes_no_progress(
    stub: StubLayer, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layer_mcp.api.upload.PAUSE_SECONDS", 0)
    ranges = cycle(["bytes=0-9", "bytes=0-9", "bytes=0-19", "bytes=0-19"])
    stub.answers["/session"] = lambda _question: Reply(status=308, headers={"Range": next(ranges)})
    hosts = FileTransport(host_rules(stub.address))
    session = UploadSession(FILE_ID, "image/png", f"{stub.address}/session")
    with (
        open_media_file(picture, private=PrivateFolders()) as file,
        pytest.raises(LayerError, match="UPLOAD_FAILED"),
    ):
        await send_file(hosts, session, file)
    await hosts.close()
    assert len(stub.requests) <= 40


async def test_a_workflow_takes_at_most_60_local_files_and_opens_none_of_more(
    stub: StubLayer, tmp_path: Path
) -> None:
    files = {"name": "files", "type": "list_of_files"}
    stub.answers["/workflows"] = Reply({"workflows": [{"workflow_id": RUN_ID, "inputs": [files]}]})
    inputs = {"files": [f"not-there-{number}.png" for number in range(61)]}
    settings = stub.environment(tmp_path, LAYER_TOOLSETS="all", LAYER_INPUT_DIRS=str(tmp_path))
    async with MEMORY.connect(settings) as client:
        call = {"workflow_id": RUN_ID, "inputs": inputs}
        result = await client.call_tool("execute_workflow", call)
    assert error_code(result) == "INVALID_ARGUMENTS"
    assert "at most 60 local files" in text_of(result)
    assert len(stub.requests) == 1


async def test_the_time_of_a_call_covers_the_opening_of_its_files(
    environment: dict[str, str],
    sandbox: RunningSandbox,
    picture: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[Path] = []

    def slowly(path: Path, **options: Any) -> AbstractContextManager[LocalFile]:
        opened.append(path)
        time.sleep(0.3)
        return open_media_file(path, **options)

    monkeypatch.setattr("layer_mcp.runs.uploads.open_media_file", slowly)
    monkeypatch.setattr("layer_mcp.runs.types.budget.MIN_UPLOAD_SECONDS", 0.1)
    references = [{"path": f"{number}.png", "type": "init"} for number in range(9)]
    for reference in references:
        (picture.parent / reference["path"]).write_bytes(picture.read_bytes())
    limits = {"LAYER_MAX_WAIT_SECONDS": "1", "LAYER_INPUT_DIRS": str(picture.parent)}
    async with MEMORY.connect(environment | limits) as client:
        call = SMALL_IMAGE | {"guidance_files": references}
        assert error_code(await client.call_tool("execute_inference", call)) == "UPLOAD_UNFINISHED"
    assert len(opened) < len(references)
    assert not sandbox.state.arrived.keys() - {"get_model"}


async def test_an_answer_does_not_wait_for_a_slow_picture(
    stub: StubLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()

    def slow(_data: bytes, *_boxes: object, **_repeat: int) -> None:
        ended.wait(20)

    monkeypatch.setattr("layer_mcp.server.run_answers.MIN_FINISHING_SECONDS", 0.2)
    monkeypatch.setattr("layer_mcp.runs.preview.small_picture", slow)
    stub.finish(stub.file("/a.png", png("red")))
    settings = {"LAYER_PREVIEW": "1", "LAYER_MAX_WAIT_SECONDS": "0"}
    async with MEMORY.connect(stub.environment(tmp_path, **settings)) as client:
        with anyio.fail_after(10):
            result = await client.call_tool("get_status", {"inference_id": RUN_ID})
        ended.set()
    assert content_of(result)["status"] == "complete"
    assert [block.type for block in result.content] == ["text"]


async def test_pictures_are_made_small_one_at_a_time(
    stub: StubLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running: list[bytes] = []
    at_once: list[int] = []

    def counted(data: bytes, *_boxes: object, **_repeat: int) -> None:
        running.append(data)
        time.sleep(0.02)
        at_once.append(len(running))
        running.pop()

    monkeypatch.setattr("layer_mcp.runs.preview.small_picture", counted)
    stub.finish(*(stub.file(f"/{number}.png", png("red")) for number in range(5)))
    async with MEMORY.connect(stub.environment(tmp_path, LAYER_PREVIEW="1")) as client:
        await client.call_tool("get_status", {"inference_id": RUN_ID})
    assert at_once == [1] * 5


async def answer_of(stub: StubLayer, tmp_path: Path, tool: str, **call: Any) -> dict[str, Any]:
    """What a tool answers, once in text and once as data, each short enough for an agent."""
    settings = stub.environment(tmp_path, LAYER_TOOLSETS="all")
    async with MEMORY.connect(settings) as client:
        result = await client.call_tool(tool, call)
    assert not result.is_error
    assert len(text_of(result).encode()) <= ROOM_BYTES
    assert len(json.dumps(content_of(result), ensure_ascii=False).encode()) <= ROOM_BYTES
    return content_of(result)


async def test_a_long_list_of_models_is_cut_and_the_next_step_leads_to_the_rest(
    stub: StubLayer, tmp_path: Path
) -> None:
    models = [
        {"model_id": f"{number:08}{RUN_ID[8:]}", "name": "é" * 500, "description": "ü" * 5000}
        for number in range(50)
    ]

    def listed(question: ReceivedRequest) -> Reply:
        asked = parse_qs(question.path.partition("?")[2])
        first = int(asked.get("cursor", ["0"])[0])
        end = first + int(asked["limit"][0])
        pagination = {"next_cursor": str(end), "has_more_results": end < len(models)}
        return Reply({"models": models[first:end], "pagination": pagination})

    stub.answers["/models"] = listed
    cut = await answer_of(stub, tmp_path, "list_models", limit=50)
    shown = len(cut["models"])
    assert "next_cursor" not in cut
    assert f"call list_models again with limit {shown}." in cut["next_step"]
    page = await answer_of(stub, tmp_path, "list_models", limit=shown)
    rest = await answer_of(stub, tmp_path, "list_models", limit=shown, cursor=page["next_cursor"])
    ids = [row["model_id"] for row in page["models"] + rest["models"]]
    assert ids == [model["model_id"] for model in models[: 2 * shown]]


async def test_a_long_list_of_workspaces_says_how_many_are_left_out(
    stub: StubLayer, tmp_path: Path
) -> None:
    spaces = [{"workspace_id": str(number), "name": "n" * 300} for number in range(90)]
    stub.answers["/workspaces"] = Reply({"workspaces": spaces})
    answer = await answer_of(stub, tmp_path, "list_workspaces")
    assert f"{90 - len(answer['workspaces'])} more aren't shown." in answer["next_step"]


async def test_truncates_a_list_of_large_workflows_and_says_so(
    stub: StubLayer, tmp_path: Path
) -> None:
    choices = {"enum": ["a choice of many words"] * 100}
    inputs = [
        {"name": f"input_{number}", "description": "d" * 3000, "value_schema": choices}
        for number in range(25)
    ]
    flows = [
        {"workflow_id": f"{number:08}{RUN_ID[8:]}", "name": "n" * 300, "inputs": inputs}
        for number in range(10)
    ]
    stub.answers["/workflows"] = Reply({"workflows": flows})
    answer = await answer_of(stub, tmp_path, "list_workflows")
    assert len(answer["workflows"]) == 1
    assert "Only 1 of 10 rows fit" in answer["next_step"]


@pytest.mark.slow
async def test_a_run_of_very_many_outputs_names_the_first_and_counts_the_others(
    stub: StubLayer, tmp_path: Path
) -> None:
    gone = {"url": f"{stub.address}/{'long/' * 20}gone.png", "content_type": "image/png"}
    stub.finish(*[gone | {"file_id": FILE_ID, "width": 1024, "height": 1024}] * 300)
    settings = {"LAYER_OUTPUT_DIR": str(tmp_path / "out")}
    stub_settings = stub.environment(tmp_path, **settings)
    async with MEMORY.connect(stub_settings) as client:
        result = await client.call_tool("get_status", {"inference_id": RUN_ID})
    run = content_of(result)
    assert (len(run["outputs"]), run["more_outputs"]) == (20, 280)
    assert "280 more outputs aren't listed." in text_of(result)
    assert "297 more were not saved." in run["warning"]
    assert len(text_of(result)) <= ROOM_BYTES
    assert len(json.dumps(run)) <= ROOM_BYTES


async def test_outputs_with_very_long_addresses_are_listed_in_part(
    stub: StubLayer, tmp_path: Path
) -> None:
    stub.finish(*[{"url": f"https://layer.test/{'long/' * 380}"}] * 20)
    run = await answer_of(stub, tmp_path, "get_status", inference_id=RUN_ID)
    assert len(run["outputs"]) + run["more_outputs"] == 20


async def test_a_transfer_that_breaks_late_is_still_tried_again(
    layer: LayerClient, stub: StubLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, later = anyio.current_time, [0.0]
    monkeypatch.setattr(anyio, "current_time", lambda: now() + later[0])
    cut = Reply(bytes(2 * MEGABYTE), headers={"Content-Length": str(3 * MEGABYTE)})
    answers = iter([cut, cut, Reply(bytes(3 * MEGABYTE))])
    stub.answers["/a.png"] = lambda _question: next(answers)

    async def an_hour_passes(_so_far_bytes: int) -> None:
        later[0] += 3600

    sink = io.BytesIO()
    await layer.download(f"{stub.address}/a.png", sink, on_bytes=an_hour_passes)
    assert len(sink.getvalue()) == 3 * MEGABYTE


async def test_still_downloads_a_url_that_is_too_long_to_show(
    layer: LayerClient, stub: StubLayer, tmp_path: Path
) -> None:
    output = stub.file("/a.png", png("red"), file_id=FILE_ID)
    stub.finish(output | {"url": f"{output['url']}?{'long=' * 800}"})
    answer = await answer_of(stub, tmp_path, "get_status", inference_id=RUN_ID)
    assert answer["outputs"] == [{"file_id": FILE_ID, "content_type": "image/png"}]
    [found] = (await layer.get_inference(RUN_ID)).outputs
    sink = io.BytesIO()
    await layer.download(found.url or "", sink)
    assert sink.getvalue() == png("red")
