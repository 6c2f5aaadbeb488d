"""The journal's own files, which no tool opens: closing one would drop the locks of the process."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from layer_mcp import LayerError, Settings, open_runs
from layer_mcp.runs.journal.databases.liveness import FOLDER_NAME
from layer_mcp.runs.journal.databases.sqlite import FILE_NAME

from ..support.hosts import IMAGE_MODEL, MEMORY, SMALL_IMAGE, content_of, error_code, text_of
from ..support.locks import is_locked
from ..support.media_host import ONE
from ..support.stub_layer import FILE_ID, RUN_ID, StubLayer, stub_layer

pytestmark = [pytest.mark.anyio, pytest.mark.process]


@pytest.fixture
def stub() -> Iterator[StubLayer]:
    with stub_layer() as server:
        yield server


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An allowed folder with the state folder in it."""
    return tmp_path


@pytest.fixture
def state(home: Path) -> Path:
    return home / "state"


@pytest.fixture
def settings(environment: dict[str, str], home: Path) -> dict[str, str]:
    return environment | {"LAYER_INPUT_DIRS": str(home), "LAYER_OUTPUT_DIR": str(home)}


async def open_journal(client: Client, state: Path) -> Path:
    """Use the journal, and return the file whose lock says that this server is alive."""
    await client.call_tool("list_runs", {})
    [lock] = (state / FOLDER_NAME).glob("*.lock")
    return lock


def in_place(file: Path, _home: Path) -> Path:
    return file


def through_a_linked_folder(file: Path, home: Path) -> Path:
    (home / "pictures").mkdir()
    (home / "pictures" / "link").symlink_to(file.parent)
    return home / "pictures" / "link" / file.name


def through_a_link(file: Path, home: Path) -> Path:
    (home / "a.png").symlink_to(file)
    return home / "a.png"


def under_another_name(file: Path, home: Path) -> Path:
    (home / "a.png").hardlink_to(file)
    return home / "a.png"


SPELLINGS = [in_place, through_a_linked_folder, through_a_link, under_another_name]
CALLS: dict[str, Callable[[str], dict[str, Any]]] = {
    "upload_file": lambda path: {"path": path},
    "estimate_price": lambda path: {
        "model_id": IMAGE_MODEL,
        "prompt": "a potion",
        "guidance_files": [{"path": path, "type": "init"}],
    },
    "execute_inference": lambda path: SMALL_IMAGE | {"mask": {"path": path}},
}


@pytest.mark.parametrize(
    ("tool", "spell"),
    [*((tool, in_place) for tool in CALLS), *(("estimate_price", one) for one in SPELLINGS[1:])],
)
async def test_passing_a_lock_file_to_a_tool_keeps_the_server_alive(
    tool: str,
    spell: Callable[[Path, Path], Path],
    settings: dict[str, str],
    home: Path,
    state: Path,
) -> None:
    async with MEMORY.connect(settings) as client:
        lock = await open_journal(client, state)
        refused = await client.call_tool(tool, CALLS[tool](str(spell(lock, home))))
        assert is_locked(lock)
    assert error_code(refused) == "PATH_NOT_ALLOWED"


@pytest.mark.parametrize("spell", SPELLINGS)
async def test_rejects_uploading_the_database(
    spell: Callable[[Path, Path], Path], settings: dict[str, str], home: Path, state: Path
) -> None:
    async with MEMORY.connect(settings) as client:
        await open_journal(client, state)
        path = spell(state / FILE_NAME, home)
        refused = await client.call_tool("upload_file", {"path": str(path)})
    assert error_code(refused) == "PATH_NOT_ALLOWED"
    assert "journal" in text_of(refused)


@pytest.mark.parametrize("named", [FILE_NAME, "."])
async def test_never_uploads_the_journal_even_if_a_person_names_it(
    named: str, environment: dict[str, str], state: Path
) -> None:
    settings = Settings.from_env(environment | {"LAYER_INPUT_DIRS": str(state / named)})
    async with open_runs(settings) as runs:
        await runs.list()
        for upload in (
            runs.upload([str(state / FILE_NAME)]),
            runs.client.upload_file(state / FILE_NAME),
        ):
            with pytest.raises(LayerError, match="PATH_NOT_ALLOWED"):
                await upload


async def test_outputs_are_not_saved_among_the_journals_files(
    stub: StubLayer, home: Path, state: Path
) -> None:
    settings = stub.environment(home, LAYER_OUTPUT_DIR=str(home))
    stub.finish(stub.file("/a.png", ONE))
    (home / "link").symlink_to(state)
    async with MEMORY.connect(settings) as client:
        await open_journal(client, state)
        for folder in ("state", "state/servers", "state/more", "link"):
            call = {"inference_id": RUN_ID, "folder": folder}
            assert error_code(await client.call_tool("save_outputs", call)) == "INVALID_FOLDER"
    assert not list(state.rglob("*.json"))
    assert not (state / "more").exists()


async def test_a_state_folder_is_not_an_output_folder(
    stub: StubLayer, home: Path, state: Path
) -> None:
    settings = stub.environment(home, LAYER_OUTPUT_DIR=str(state))
    stub.finish(stub.file("/a.png", ONE))
    async with MEMORY.connect(settings) as client:
        refused = await client.call_tool("save_outputs", {"inference_id": RUN_ID})
    assert error_code(refused) == "INVALID_FOLDER"
    assert not list(state.glob("*.json"))


@pytest.mark.parametrize("link", [Path.hardlink_to, Path.symlink_to])
async def test_a_lock_file_under_the_name_of_a_record_or_an_output_is_not_opened(
    link: Callable[[Path, Path], None], stub: StubLayer, home: Path, state: Path
) -> None:
    outputs = home / "outputs"
    settings = stub.environment(home, LAYER_OUTPUT_DIR=str(outputs), LAYER_PREVIEW="1")
    stub.finish(stub.file("/a.png", ONE, file_id=FILE_ID))
    async with MEMORY.connect(settings) as client:
        lock = await open_journal(client, state)
        saved = await client.call_tool("save_outputs", {"inference_id": RUN_ID})
        path = Path(content_of(saved)["paths"][0])
        path.unlink()
        link(path, lock)
        link(outputs / "0-1234abcd.json", lock)
        await client.call_tool("get_status", {"inference_id": RUN_ID})
        await client.call_tool("save_outputs", {"inference_id": RUN_ID})
        await client.call_tool("list_runs", {})
        assert is_locked(lock)
