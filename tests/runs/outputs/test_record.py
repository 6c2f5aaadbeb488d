"""The JSON record next to saved outputs: what it says, and what is read back of it."""

import hashlib
import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from layer_mcp import LayerClient, __version__
from layer_mcp.files.folders import PrivateFolders
from layer_mcp.runs.outputs import FilesOnDisk, find_saved
from layer_mcp.runs.preview import make_preview

from ...support.media_host import ONE, PROMPT, RUN_ID, Media, record_of, run_of, save

pytestmark = pytest.mark.anyio

TERABYTE = 1 << 40


async def test_the_record_says_what_was_asked_and_what_was_saved(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    output = media.output("/a", ONE)
    record = record_of(await save(layer, run_of(output), folder))
    assert record.pop("saved_at")
    facts = record["files"][0].pop("facts")
    assert (facts["width"], facts["height"], facts["alpha"]) == (16, 16, "unused")
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
                "size_bytes": len(ONE),
                "sha256": hashlib.sha256(ONE).hexdigest(),
            }
        ],
    }


async def test_the_record_says_what_the_run_cost_and_that_it_was_simulated(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    run = replace(
        run_of(media.output("/a", ONE)),
        estimated_price_creative_units=2.0,
        actual_price_creative_units=1.5,
        completed_at=datetime(2026, 1, 1, tzinfo=UTC),
        start={"session_id": "session-1"},
    )
    saved = await save(layer, run, folder, is_simulated=True)
    record = record_of(saved)
    assert record["estimated_price_creative_units"] == 2.0
    assert record["actual_price_creative_units"] == 1.5
    assert record["completed_at"] == "2026-01-01T00:00:00Z"
    assert (record["session_id"], record["simulated"]) == ("session-1", True)


async def test_keeps_a_foreign_file_with_the_records_name(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    folder.mkdir(parents=True)
    foreign = folder / "a-red-potion-1234abcd.json"
    foreign.write_text('{"run_id": "another", "files": []}')
    saved = await save(layer, run_of(media.output("/a", ONE)), folder)
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
async def test_an_edited_record_is_harmless(
    files: Any, layer: LayerClient, media: Media, folder: Path
) -> None:
    folder.mkdir(parents=True)
    (folder.parent / "secret.png").write_bytes(b"secret")
    (folder / "there.png").write_bytes(b"there")
    text = json.dumps({"run_id": RUN_ID, "files": files})
    (folder / "a-red-potion-1234abcd.json").write_text(text)
    saved = await save(layer, run_of(media.output("/a", ONE)), folder)
    assert [saved.path(file).read_bytes() for file in saved.files] == [ONE]
    assert (folder.parent / "secret.png").read_bytes() == b"secret"


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "[" * 100_000, "\ud800", '{"files": []}'])
async def test_ignores_an_unreadable_record(text: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    record = folder / "a-red-potion-1234abcd.json"
    record.write_bytes(text.encode(errors="surrogatepass"))
    assert find_saved(folder, RUN_ID, private=PrivateFolders()) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
async def test_does_not_wait_for_a_pipe_with_a_records_name(folder: Path) -> None:
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
    saved = await save(layer, run_of(media.output("/a", ONE)), folder)
    assert saved.record.name == "a-red-potion-1234abcd-copy2.json"
    assert record_of(saved)["run_id"] == RUN_ID


async def test_an_output_replaced_by_a_terabyte_has_no_preview(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    [output] = run_of(media.output("/a", ONE)).outputs
    sparse(folder / "a.png")
    files = FilesOnDisk({1: folder / "a.png"})
    limiter = anyio.CapacityLimiter(1)
    seen = await make_preview(layer, [output], files, limiter=limiter, private=PrivateFolders())
    assert seen.picture is None
