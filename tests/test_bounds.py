"""What others send cannot take more time, memory or room than a call has."""

import gzip
import io
import threading
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Iterator
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Any

import anyio
import pytest

from layer_mcp import LayerClient, LayerError
from layer_mcp.api.file_hosts import FileHosts
from layer_mcp.api.host_rules import host_rules
from layer_mcp.api.local_files import open_media_file
from layer_mcp.api.models import UploadUrl
from layer_mcp.api.retry import Limits
from layer_mcp.api.upload import UploadSession, open_session
from layer_mcp.sandbox import Fault, RunningSandbox

from .hosts import MEMORY, SMALL_IMAGE, error_code
from .raw_servers import EMPTY_LIST, http_answer, raw_server
from .sandbox_calls import png
from .stub_layer import FILE_ID, RUN_ID, TOKEN, WORKSPACE, Question, Reply, StubLayer, stub_layer

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
    """The most memory that a call took, whatever came of it."""
    tracemalloc.start()
    try:
        with suppress(LayerError):
            await call
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "GZIP", "br"])
async def test_a_packed_file_is_refused_and_nothing_of_it_is_kept(
    encoding: str, layer: LayerClient, stub: StubLayer
) -> None:
    stub.answers["/a.png"] = Reply(gzip.compress(b"file"), headers={"Content-Encoding": encoding})
    sink = io.BytesIO()
    with pytest.raises(LayerError, match="DOWNLOAD_FAILED: The media host sent a compressed"):
        await layer.download(f"{stub.address}/a.png", sink)
    assert sink.getvalue() == b""
    assert len(stub.asked) == 1


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
    hosts = FileHosts(host_rules("http://127.0.0.1:1"))
    opened: list[UploadSession] = []

    async def start() -> None:
        ticket = UploadUrl(file_id=FILE_ID, upload_url=f"http://127.0.0.1:{storage.port}/up")
        with open_media_file(picture) as file:
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
    assert len(stub.asked) == 1


@pytest.mark.parametrize("tool", ["execute_inference", "execute_workflow"])
async def test_a_run_is_not_started_when_its_files_took_the_time_of_the_call(
    tool: str,
    environment: dict[str, str],
    sandbox: RunningSandbox,
    picture: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("layer_mcp.server.waiting.MIN_UPLOAD_SECONDS", 0.1)
    monkeypatch.setattr("layer_mcp.server.waiting.SUBMISSION_SECONDS", 1.7)
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
async def test_a_look_up_ends_with_the_list(
    answer: Reply, times: int, layer: LayerClient, stub: StubLayer
) -> None:
    stub.answers["/workflows"] = answer
    with pytest.raises(LayerError, match="WORKFLOW_NOT_FOUND"):
        await layer.find_workflow(RUN_ID)
    assert len(stub.asked) == times


async def test_a_list_without_an_end_is_given_up(layer: LayerClient, stub: StubLayer) -> None:
    cursors = cycle("abc")
    stub.answers["/workspaces"] = lambda _question: page(next(cursors))
    assert await layer.list_workspaces() == []
    assert len(stub.asked) == 20


@pytest.mark.parametrize("what", ["workflow", "workspace"])
async def test_a_look_up_ends_in_time_whatever_the_api_does(
    what: str, stub: StubLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layer_mcp.api.client.LOOKUP_SECONDS", 0.3)
    ended = threading.Event()

    def late(_question: Question) -> Reply:
        ended.wait(10)
        return page("a")

    stub.answers |= {"/workflows": late, "/workspaces": late}
    workspace = WORKSPACE if what == "workflow" else "by name"
    async with LayerClient(TOKEN, workspace=workspace, api_url=stub.address) as layer:
        with anyio.fail_after(5), pytest.raises(LayerError, match="TIMEOUT"):
            await layer.find_workflow(RUN_ID)
    ended.set()
