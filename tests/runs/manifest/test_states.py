"""What the manifest says about changed files and edited records."""

import json
import math
import os
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from layer_mcp import Runs
from layer_mcp.files.folders import OpenFolder
from layer_mcp.runs.manifest import records

from ...support.locks import is_locked
from ...support.made_files import edit_record, manifest_of, saved_run, write_record

pytestmark = pytest.mark.anyio

RUN_ID = "0f8fad5b-d9cb-469f-a165-70867728950e"


async def state_of(runs: Runs) -> str:
    [made] = await manifest_of(runs)
    return made.state


async def test_a_file_with_other_bytes_of_the_same_size_is_changed(
    runs: Runs, tmp_path: Path
) -> None:
    [path] = (await saved_run(runs, tmp_path / "art")).present().values()
    before = path.stat()
    path.write_bytes(bytes(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert await state_of(runs) == "changed"


async def test_a_file_of_another_size_is_changed_and_not_read(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [path] = (await saved_run(runs, tmp_path / "art")).present().values()
    path.write_bytes(b"shorter")
    opened: list[str] = []
    before = OpenFolder.open

    def note(folder: OpenFolder, name: str) -> FileIO:
        opened.append(name)
        return before(folder, name)

    monkeypatch.setattr(OpenFolder, "open", note)
    assert await state_of(runs) == "changed"
    assert path.name not in opened


async def test_a_file_that_was_removed_is_missing(runs: Runs, tmp_path: Path) -> None:
    [path] = (await saved_run(runs, tmp_path / "art")).present().values()
    path.unlink()
    assert await state_of(runs) == "missing"


async def test_files_without_their_record_are_missing(runs: Runs, tmp_path: Path) -> None:
    (await saved_run(runs, tmp_path / "art")).record.unlink()
    assert await state_of(runs) == "missing"


async def test_files_in_a_folder_that_was_removed_are_missing(runs: Runs, tmp_path: Path) -> None:
    await saved_run(runs, tmp_path / "art")
    (tmp_path / "art").rename(tmp_path / "moved")
    assert await state_of(runs) == "missing"


async def test_a_link_with_a_files_name_counts_as_changed_and_is_not_followed(
    runs: Runs, tmp_path: Path
) -> None:
    saved = await saved_run(runs, tmp_path / "art")
    [path] = saved.present().values()
    path.rename(tmp_path / "same bytes")
    os.symlink(tmp_path / "same bytes", path)
    link_bytes = path.lstat().st_size
    edit_record(saved.record, lambda content: content["files"][0].update(size_bytes=link_bytes))
    assert await state_of(runs) == "changed"


async def test_opening_a_journal_file_by_another_name_keeps_its_locks(
    runs: Runs, environment: dict[str, str], tmp_path: Path
) -> None:
    saved = await saved_run(runs, tmp_path / "art")
    [path] = saved.present().values()
    [lock] = (Path(environment["LAYER_STATE_DIR"]) / "servers").glob("*.lock")
    path.unlink()
    os.link(lock, path)
    size_bytes = path.stat().st_size
    edit_record(saved.record, lambda content: content["files"][0].update(size_bytes=size_bytes))
    assert await state_of(runs) == "unreadable"
    assert is_locked(lock)


async def test_facts_of_the_record_are_listed(runs: Runs, tmp_path: Path) -> None:
    facts = {"width": 64, "alpha": "soft", "content_credentials": True}
    record = (await saved_run(runs, tmp_path / "art")).record
    edit_record(record, lambda content: content["files"][0].update(facts=facts))
    [made] = await manifest_of(runs)
    assert (made.facts, made.content_credentials) == (facts, True)


async def test_a_measured_file_without_content_credentials_is_listed_as_such(
    runs: Runs, tmp_path: Path
) -> None:
    record = (await saved_run(runs, tmp_path / "art")).record
    edit_record(record, lambda content: content["files"][0].update(facts={"width": 64}))
    [made] = await manifest_of(runs)
    assert made.content_credentials is False


async def test_lists_a_record_without_facts(runs: Runs, tmp_path: Path) -> None:
    record = (await saved_run(runs, tmp_path / "art")).record
    edit_record(record, lambda content: content["files"][0].pop("facts", None))
    [made] = await manifest_of(runs)
    assert (made.facts, made.content_credentials, made.state) == ({}, None, "unchanged")


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "..", "", "a/b", "a\0", 7, None])
async def test_a_name_that_leads_elsewhere_is_not_a_file(
    name: Any, runs: Runs, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(b"x")
    record = (await saved_run(runs, tmp_path / "art")).record
    edit_record(record, lambda content: content["files"][0].update(name=name))
    [made] = await manifest_of(runs)
    assert (made.path, made.state) == (None, "not_saved")


BAD_VALUES: list[Any] = [[], {}, 7, True, "text", "\x1b[2J", 10**30, 1.5, None]


@pytest.mark.parametrize("value", BAD_VALUES, ids=repr)
async def test_a_record_with_values_of_any_type_is_listed(
    value: Any, runs: Runs, tmp_path: Path
) -> None:
    names = (
        *("prompt", "seed", "asked", "normalized", "model_id", "workspace_id", "created_at"),
        *("completed_at", "saved_at", "simulated", "actual_price_creative_units"),
        "estimated_price_creative_units",
    )
    record = write_record(tmp_path / "art", RUN_ID, **dict.fromkeys(names, value))
    edit_record(record, lambda content: content["files"][0].update(facts=value, content_type=value))
    [made] = await manifest_of(runs, folder=tmp_path / "art", since=datetime.fromtimestamp(1, UTC))
    assert made.state == "unchanged"
    assert "\x1b" not in json.dumps(made.as_json(), ensure_ascii=False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"run_id": ',
        '{"run_id": "a"}',
        '{"run_id": "a", "files": 7}',
        '{"run_id": "a", "files": ' + "[" * 100_000,
        '{"run_id": "\ud800", "files": []}',
    ],
    ids=lambda text: text[:40],
)
async def test_skips_files_that_are_not_records(text: str, runs: Runs, tmp_path: Path) -> None:
    write_record(tmp_path / "art", RUN_ID)
    (tmp_path / "art" / "a.json").write_bytes(text.encode(errors="surrogatepass"))
    [made] = await manifest_of(runs, folder=tmp_path / "art")
    assert made.run_id == RUN_ID


async def test_skips_a_record_that_is_too_large(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MAX_RECORD_BYTES", 2_000)
    write_record(tmp_path / "art", RUN_ID, prompt="x" * 2_000)
    assert await manifest_of(runs, folder=tmp_path / "art") == []


async def test_truncates_an_endless_prompt(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MAX_TEXT_LENGTH", 50)
    write_record(tmp_path / "art", RUN_ID, prompt="x" * 1_000)
    [made] = await manifest_of(runs, folder=tmp_path / "art")
    assert made.prompt == "x" * 50


async def test_omits_numbers_that_json_cannot_represent(runs: Runs, tmp_path: Path) -> None:
    record = write_record(tmp_path / "art", RUN_ID, actual_price_creative_units=math.inf)
    facts = {"loudness_lufs": -math.inf, "peak_dbfs": math.nan}
    edit_record(record, lambda content: content["files"][0].update(facts=facts))
    [made] = await manifest_of(runs, folder=tmp_path / "art")
    assert made.facts == {}
    assert made.run_price_creative_units is None


async def test_truncates_endless_facts(runs: Runs, tmp_path: Path) -> None:
    record = write_record(tmp_path / "art", RUN_ID)
    facts = {"codec": "x" * 10_000, "colors": 10**400}
    edit_record(record, lambda content: content["files"][0].update(facts=facts))
    [made] = await manifest_of(runs, folder=tmp_path / "art")
    assert len(json.dumps(dict(made.facts))) < 1_000


async def test_the_journal_takes_precedence_over_an_edited_record(
    runs: Runs, tmp_path: Path
) -> None:
    record = (await saved_run(runs, tmp_path / "art", prompt="a potion")).record
    edit_record(record, lambda content: content.update(prompt="drawn by hand"))
    [made] = await manifest_of(runs)
    assert made.prompt == "a potion"


async def test_the_seed_that_layer_chose_is_listed(runs: Runs, tmp_path: Path) -> None:
    write_record(tmp_path / "art", RUN_ID, normalized={"seed": 42})
    [made] = await manifest_of(runs, folder=tmp_path / "art")
    assert made.seed == 42


@pytest.mark.parametrize("seed", [-1, True, 1.5])
async def test_does_not_list_an_invalid_seed(seed: Any, runs: Runs, tmp_path: Path) -> None:
    write_record(tmp_path / "art", RUN_ID, normalized={"seed": seed})
    [made] = await manifest_of(runs, folder=tmp_path / "art")
    assert made.seed is None


async def test_a_folder_that_became_a_link_is_followed(runs: Runs, tmp_path: Path) -> None:
    await saved_run(runs, tmp_path / "art")
    (tmp_path / "art").rename(tmp_path / "moved")
    os.symlink(tmp_path / "moved", tmp_path / "art")
    assert await state_of(runs) == "unchanged"


async def test_an_estimate_is_labeled_as_one(runs: Runs, tmp_path: Path) -> None:
    write_record(tmp_path / "art", RUN_ID, estimated_price_creative_units=0.5)
    [made] = await manifest_of(runs, folder=tmp_path / "art")
    assert (made.run_price_creative_units, made.run_price_is) == (0.5, "estimated")
