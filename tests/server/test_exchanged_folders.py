"""Folders that are exchanged for links to elsewhere between a check and its use, or at any time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from layer_mcp.files import input_paths
from layer_mcp.runs import uploads
from layer_mcp.sandbox import RunningSandbox

from ..support.hosts import MEMORY, error_code
from ..support.media_host import ONE
from ..support.sandbox_calls import png
from ..support.stub_layer import RUN_ID, ReceivedRequest, Reply, StubLayer, stub_layer

pytestmark = pytest.mark.anyio

SAVE: dict[str, Any] = {"inference_id": RUN_ID, "folder": "icons"}


@pytest.fixture
def stub() -> Iterator[StubLayer]:
    with stub_layer() as server:
        yield server


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs"
    (folder / "icons").mkdir(parents=True)
    return folder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    return tmp_path / "outside"


@pytest.fixture
def saving(stub: StubLayer, tmp_path: Path, outputs: Path) -> dict[str, str]:
    return stub.environment(tmp_path, LAYER_OUTPUT_DIR=str(outputs))


def exchange(folder: Path, outside: Path) -> None:
    """Move a folder away and put a link in its place."""
    folder.rename(folder.with_name("moved"))
    folder.symlink_to(outside)


def exchange_when_asked(stub: StubLayer, end: str, folder: Path, outside: Path) -> None:
    """Let the stub exchange a folder for a link before it answers."""
    reply = stub.answers[end]

    def answer(request: ReceivedRequest) -> Reply:
        if not folder.is_symlink():
            exchange(folder, outside)
        return reply(request) if callable(reply) else reply

    stub.answers[end] = answer


async def test_a_subfolder_that_becomes_a_link_while_layer_is_asked_gets_nothing(
    saving: dict[str, str], stub: StubLayer, outputs: Path, outside: Path
) -> None:
    stub.finish(stub.file("/a.png", ONE))
    exchange_when_asked(stub, f"/inferences/{RUN_ID}", outputs / "icons", outside)
    async with MEMORY.connect(saving) as client:
        refused = await client.call_tool("save_outputs", SAVE)
    assert error_code(refused) == "INVALID_FOLDER"
    assert list(outside.iterdir()) == []


async def test_a_subfolder_that_becomes_a_link_during_a_download_leads_nowhere_else(
    saving: dict[str, str], stub: StubLayer, outputs: Path, outside: Path
) -> None:
    stub.finish(stub.file("/a.png", ONE))
    exchange_when_asked(stub, "/a.png", outputs / "icons", outside)
    async with MEMORY.connect(saving) as client:
        await client.call_tool("save_outputs", SAVE)
    assert list(outside.iterdir()) == []
    assert [path.suffix for path in sorted((outputs / "moved").iterdir())] == [".png", ".json"]


@pytest.mark.parametrize("folder", [None, "icons", "new"])
async def test_an_output_folder_that_becomes_a_link_is_not_followed(
    folder: str | None, saving: dict[str, str], stub: StubLayer, outputs: Path, outside: Path
) -> None:
    stub.finish(stub.file("/a.png", ONE))
    async with MEMORY.connect(saving) as client:
        exchange(outputs, outside)
        refused = await client.call_tool("save_outputs", SAVE | {"folder": folder})
        await client.call_tool("get_status", {"inference_id": RUN_ID, "wait_seconds": 0})
    assert error_code(refused) == "INVALID_FOLDER"
    assert list(outside.iterdir()) == []


async def test_an_output_folder_that_is_a_link_keeps_its_initial_target(
    stub: StubLayer, tmp_path: Path, outputs: Path, outside: Path
) -> None:
    (tmp_path / "link").symlink_to(outputs)
    stub.finish(stub.file("/a.png", ONE))
    settings = stub.environment(tmp_path, LAYER_OUTPUT_DIR=str(tmp_path / "link"))
    async with MEMORY.connect(settings) as client:
        (tmp_path / "link").unlink()
        (tmp_path / "link").symlink_to(outside)
        await client.call_tool("save_outputs", SAVE)
    assert len(list((outputs / "icons").iterdir())) == 2
    assert list(outside.iterdir()) == []


async def test_an_input_folder_that_becomes_a_link_is_not_followed(
    environment: dict[str, str], tmp_path: Path, outside: Path, sandbox: RunningSandbox
) -> None:
    (tmp_path / "in").mkdir()
    (outside / "a.png").write_bytes(png("red"))
    settings = environment | {"LAYER_INPUT_DIRS": str(tmp_path / "in")}
    async with MEMORY.connect(settings) as client:
        exchange(tmp_path / "in", outside)
        by_name = await client.call_tool("upload_file", {"path": "a.png"})
        by_path = await client.call_tool("upload_file", {"path": str(tmp_path / "in" / "a.png")})
    # By its name, it is looked up in the output folder too.
    assert (error_code(by_name), error_code(by_path)) == ("FILE_NOT_FOUND", "PATH_NOT_ALLOWED")
    assert not sandbox.state.arrived


async def test_a_folder_that_becomes_a_link_between_check_and_use_is_not_read_through(
    environment: dict[str, str],
    tmp_path: Path,
    outside: Path,
    sandbox: RunningSandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inside = tmp_path / "in" / "art"
    inside.mkdir(parents=True)
    for folder, color in ((inside, "blue"), (outside, "red")):
        (folder / "a.png").write_bytes(png(color))

    def resolve_and_exchange(path: str, *arguments: Any) -> Path:
        # The folder is there whenever it is checked, and a link whenever it is used.
        if inside.is_symlink():
            inside.unlink()
            inside.with_name("moved").rename(inside)
        real = input_paths.resolve_input(path, *arguments)
        exchange(inside, outside)
        return real

    monkeypatch.setattr(uploads, "resolve_input", resolve_and_exchange)
    settings = environment | {"LAYER_INPUT_DIRS": str(tmp_path / "in")}
    async with MEMORY.connect(settings) as client:
        refused = await client.call_tool("upload_file", {"path": "art/a.png"})
    assert error_code(refused) == "FILE_UNREADABLE"
    assert sandbox.state.arrived["upload"] == 0
