"""The JSON record next to saved outputs: what it says, and what is read back of it."""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from layer_mcp import LayerClient, __version__
from layer_mcp.files.folders import PrivateFolders
from layer_mcp.runs.outputs import find_saved, save_outputs
from layer_mcp.runs.preview import make_preview

from ..support.media_host import MEGABYTE, PROMPT, RUN_ID, Media, record_of, run_of, save

pytestmark = pytest.mark.anyio

TERABYTE = 1 << 40


async def test_the_record_says_what_was_asked_and_what_was_saved(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    output = media.output("/a", b"one")
    record = record_of(await save(layer, run_of(output), folder))
    assert record.pop("saved_at")
    assert record == {
        "run_id": RUN_ID,
        "workspace_id": "w1",
        "model_id": "m",
        "prompt": PROMPT,
        "asked": {"prompt": PROMPT},
        "made_with": f"layer-mcp {__version__}",
        "files": [
            {
                "number": 1,
                "name": "a-red-potion-1234abcd-1.png",
                "file_id": "file-/a",
                "url": output.url,
                "content_type": "image/png",
                "size_bytes": 3,
                "sha256": hashlib.sha256(b"one").hexdigest(),
            }
        ],
    }


async def test_the_record_says_what_the_run_cost_and_that_it_was_simulated(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    run = replace(
        run_of(media.output("/a", b"one")),
        estimated_price_creative_units=2.0,
        actual_price_creative_units=1.5,
        completed_at="2026-01-01T00:00:00Z",
        start={"session_id": "session-1"},
    )
    saved = await save_outputs(
        layer, run, folder, max_bytes=MEGABYTE, is_simulated=True, private=PrivateFolders()
    )
    record = record_of(saved)
    assert record["estimated_price_creative_units"] == 2.0
    assert record["actual_price_creative_units"] == 1.5
    assert record["completed_at"] == "2026-01-01T00:00:00Z"
    assert (record["session_id"], record["simulated"]) == ("session-1", True)


async def test_a_foreign_file_in_the_records_place_is_kept(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    folder.mkdir(parents=True)
    foreign = folder / "a-red-potion-1234abcd.json"
    foreign.write_text('{"run_id": "another", "files": []}')
    saved = await save(layer, run_of(media.output("/a", b"one")), folder)
    assert saved.record.name == "a-red-potion-1234abcd-copy2.json"
    assert foreign.read_text() == '{"run_id": "another", "files": []}'


GOOD_FILE: dict[str, Any] = {
    "number": 1,
    "name": "a-red-potion-1234abcd-1.png",
    "file_id": None,
    "url": None,
    "content_type": None,
    "size_bytes": 1,
    "sha256": "",
}
BAD_NAMES: list[Any] = ["../secret.png", "..", ".", "", "/etc/passwd", "a/../../b", "a\0", 7, None]
BAD_NUMBERS: list[Any] = [-1, 0, "one", None, 1.5, []]
BAD_LISTS: list[Any] = [[7], 7, {"a": 1}, "text", [{}], [GOOD_FILE, {"number": "x"}]]


@pytest.mark.parametrize(
    "files",
    [
        *([GOOD_FILE | {"name": name}] for name in BAD_NAMES),
        *([GOOD_FILE | {"name": "there.png", "number": number}] for number in BAD_NUMBERS),
        *BAD_LISTS,
    ],
    ids=repr,
)
async def test_a_record_that_someone_changed_does_no_harm(
    files: Any, layer: LayerClient, media: Media, folder: Path
) -> None:
    folder.mkdir(parents=True)
    (folder.parent / "secret.png").write_bytes(b"secret")
    (folder / "there.png").write_bytes(b"there")
    text = json.dumps({"run_id": RUN_ID, "files": files})
    (folder / "a-red-potion-1234abcd.json").write_text(text)
    saved = await save(layer, run_of(media.output("/a", b"one")), folder)
    assert [saved.path(file).read_bytes() for file in saved.files] == [b"one"]
    assert (folder.parent / "secret.png").read_bytes() == b"secret"


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "[" * 100_000, "\ud800", '{"files": []}'])
async def test_a_record_that_cannot_be_read_is_none(text: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    record = folder / "a-red-potion-1234abcd.json"
    record.write_bytes(text.encode(errors="surrogatepass"))
    assert find_saved(folder, RUN_ID, private=PrivateFolders()) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
async def test_a_pipe_in_a_records_place_is_not_waited_for(folder: Path) -> None:
    folder.mkdir(parents=True)
    os.mkfifo(folder / "a-red-potion-1234abcd.json")
    assert find_saved(folder, RUN_ID, private=PrivateFolders()) is None


def sparse(path: Path) -> None:
    """Make a file of a terabyte that takes no room on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.truncate(path, TERABYTE)


async def test_a_record_of_a_terabyte_is_not_read(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    sparse(folder / "a-red-potion-1234abcd.json")
    assert find_saved(folder, RUN_ID, private=PrivateFolders()) is None
    saved = await save(layer, run_of(media.output("/a", b"one")), folder)
    assert saved.record.name == "a-red-potion-1234abcd-copy2.json"
    assert record_of(saved)["run_id"] == RUN_ID


async def test_an_output_that_someone_exchanged_for_a_terabyte_has_no_preview(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    [output] = run_of(media.output("/a", b"one")).outputs
    sparse(folder / "a.png")
    limiter = anyio.CapacityLimiter(1)
    assert (
        await make_preview(
            layer, [output], {1: folder / "a.png"}, limiter=limiter, private=PrivateFolders()
        )
        is None
    )
