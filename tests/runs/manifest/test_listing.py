"""Which files the manifest lists: by the journal's runs, and by the records in a folder."""

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from layer_mcp import LayerError, MadeFile, Output, Run, RunFilter, RunRequest, Runs, Settings
from layer_mcp.files.folders import OpenFolder, PrivateFolders
from layer_mcp.runs.manifest import listing, records
from layer_mcp.runs.manifest.listing import list_made_files
from layer_mcp.runs.manifest.types import ManifestTotals
from layer_mcp.runs.opening import open_runs

from ...support.hosts import SMALL_IMAGE
from ...support.library import submit
from ...support.made_files import ended_run, manifest_of, saved_run, write_record

NOW = datetime.now(UTC)
pytestmark = pytest.mark.anyio

OTHER_RUN = "0f8fad5b-d9cb-469f-a165-70867728950e"
SECOND_RUN = "1f8fad5b-d9cb-469f-a165-70867728950e"


async def test_a_saved_file_is_listed_with_how_it_was_made(runs: Runs, tmp_path: Path) -> None:
    saved = await saved_run(runs, tmp_path / "art", seed=7)
    [made] = await manifest_of(runs)
    [file] = saved.files
    assert (made.path, made.sha256, made.size_bytes) == (
        saved.path(file),
        file.sha256,
        file.size_bytes,
    )
    assert (made.model_id, made.prompt, made.seed) == (
        SMALL_IMAGE["model_id"],
        SMALL_IMAGE["prompt"],
        7,
    )
    assert (made.run_price_creative_units, made.run_price_is) == (0.0, "actual")
    assert (made.state, made.number, made.kind) == ("unchanged", 1, "inference")
    assert made.completed_at


async def test_an_empty_journal_has_no_files(runs: Runs) -> None:
    assert await manifest_of(runs) == []


async def test_the_newest_run_comes_first(runs: Runs, tmp_path: Path) -> None:
    for prompt in ("first", "second"):
        await saved_run(runs, tmp_path / prompt, prompt=prompt)
    assert [made.prompt for made in await manifest_of(runs)] == ["second", "first"]


async def test_only_runs_since_a_time_are_listed(runs: Runs, tmp_path: Path) -> None:
    for prompt in ("old", "new"):
        await saved_run(runs, tmp_path / "art", prompt=prompt)
    [newest, _] = await runs.list()
    found = await manifest_of(runs, since=newest.created_at)
    assert [made.prompt for made in found] == ["new"]


async def test_only_runs_of_a_workspace_are_listed(runs: Runs, tmp_path: Path) -> None:
    await saved_run(runs, tmp_path / "art")
    assert await manifest_of(runs, workspace_id=OTHER_RUN) == []


async def test_an_output_that_was_not_saved_is_listed_without_a_file(runs: Runs) -> None:
    run = await ended_run(runs)
    [made] = await manifest_of(runs)
    assert (made.run_id, made.state, made.path) == (run.run_id, "not_saved", None)
    assert made.content_type == "image/png"


async def test_outputs_left_out_of_a_save_are_listed_too(runs: Runs, tmp_path: Path) -> None:
    run = await ended_run(runs, batch_size=2)
    await runs.save(run, tmp_path / "art", numbers=[1])
    found = [(made.number, made.state) for made in await manifest_of(runs)]
    assert found == [(1, "unchanged"), (2, "not_saved")]


async def test_a_run_that_has_not_ended_made_nothing(runs: Runs) -> None:
    await submit(runs)
    assert await manifest_of(runs) == []


async def test_a_reference_is_listed_with_its_content(
    environment: dict[str, str], tmp_path: Path
) -> None:
    settings = Settings.from_env(environment | {"LAYER_INPUT_DIRS": str(tmp_path)})
    async with open_runs(settings) as runs:
        saved = await saved_run(runs, tmp_path / "art")
        [path] = saved.present().values()
        reference = {"path": str(path), "type": "init"}
        await saved_run(runs, tmp_path / "art", prompt="bluer", guidance_files=[reference])
        [made, source] = await manifest_of(runs)
    [listed] = made.references
    assert (listed["type"], listed["sha256"]) == ("init", source.sha256)


async def test_a_folder_lists_records_that_the_journal_does_not_know(
    runs: Runs, tmp_path: Path
) -> None:
    write_record(tmp_path / "art" / "swords", OTHER_RUN, prompt="a sword", model_id="m")
    [made] = await manifest_of(runs, folder=tmp_path / "art")
    assert (made.run_id, made.prompt, made.model_id) == (OTHER_RUN, "a sword", "m")
    assert (made.state, made.path) == (
        "unchanged",
        tmp_path / "art" / "swords" / "art-0f8fad5b-1.png",
    )


async def test_a_folder_lists_only_what_is_in_it(runs: Runs, tmp_path: Path) -> None:
    await saved_run(runs, tmp_path / "elsewhere", prompt="elsewhere")
    await saved_run(runs, tmp_path / "art", prompt="here")
    found = await manifest_of(runs, folder=tmp_path / "art")
    assert [made.prompt for made in found] == ["here"]


async def test_since_and_workspace_count_for_records_of_other_machines(
    runs: Runs, tmp_path: Path
) -> None:
    old, new = "2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z"
    write_record(tmp_path / "art", OTHER_RUN, saved_at=old, workspace_id="w1")
    write_record(tmp_path / "art", SECOND_RUN, created_at=new, workspace_id="w2")
    between = datetime.fromtimestamp(1_700_000_000, UTC)
    since = await manifest_of(runs, folder=tmp_path / "art", since=between)
    of_workspace = await manifest_of(runs, folder=tmp_path / "art", workspace_id="w1")
    assert [made.run_id for made in since] == [SECOND_RUN]
    assert [made.run_id for made in of_workspace] == [OTHER_RUN]


async def test_links_in_a_folder_and_hidden_folders_are_not_followed(
    runs: Runs, tmp_path: Path
) -> None:
    write_record(tmp_path / "outside", OTHER_RUN)
    write_record(tmp_path / "art" / ".hidden", SECOND_RUN)
    os.symlink(tmp_path / "outside", tmp_path / "art" / "link")
    assert await manifest_of(runs, folder=tmp_path / "art") == []


async def test_the_journals_own_folder_is_refused(
    runs: Runs, environment: dict[str, str], tmp_path: Path
) -> None:
    await saved_run(runs, tmp_path / "art")
    with pytest.raises(LayerError) as refused:
        await manifest_of(runs, folder=Path(environment["LAYER_STATE_DIR"]))
    assert refused.value.code == "INVALID_FOLDER"


async def test_rejects_a_missing_folder(runs: Runs, tmp_path: Path) -> None:
    with pytest.raises(LayerError) as refused:
        await manifest_of(runs, folder=tmp_path / "nowhere")
    assert refused.value.code == "INVALID_FOLDER"


@pytest.mark.parametrize("limit", ["MAX_FOLDERS", "MAX_DEPTH"])
async def test_rejects_an_endless_tree(
    limit: str, runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a" / "b" / "c" / "d").mkdir(parents=True)
    monkeypatch.setattr(records, limit, 2)
    with pytest.raises(LayerError) as refused:
        await manifest_of(runs, folder=tmp_path / "a")
    assert refused.value.code == "INVALID_FOLDER"


async def test_the_totals_count_a_run_once(runs: Runs, tmp_path: Path) -> None:
    await saved_run(runs, tmp_path / "art", batch_size=2, width=512, height=512)
    [run] = await runs.list()
    totals = ManifestTotals()
    for made in await manifest_of(runs):
        totals.add(made)
    assert run.actual_price_creative_units
    assert totals.as_json() == {
        "files": 2,
        "runs": 1,
        "creative_units": run.actual_price_creative_units,
        "models": [SMALL_IMAGE["model_id"]],
        "workflows": [],
        "unchanged": 2,
        "changed": 0,
        "missing": 0,
        "unreadable": 0,
        "not_saved": 0,
    }


async def rows_of(*rows: Run, folder: Path | None = None) -> list[MadeFile]:
    """Return the manifest of a journal with these rows, the newest first."""

    async def list_rows(_wanted: RunFilter, _limit: int) -> Sequence[Run]:
        return rows

    return [made async for made in list_made_files(list_rows, PrivateFolders(), folder=folder)]


async def test_the_files_of_a_workflow_are_its_references() -> None:
    request = RunRequest(
        "workflow", "w", "w1", {"inputs": {"sketch": "file", "style": "flat"}}, files={"file": "00"}
    )
    [made] = await rows_of(Run(request, "complete", NOW, outputs=(Output(),)))
    assert (made.kind, made.workflow_id, made.model_id) == ("workflow", "w", None)
    assert made.references == ({"type": "sketch", "file_id": "file", "sha256": "00"},)


async def test_the_newer_of_a_runs_two_rows_counts(tmp_path: Path) -> None:
    write_record(tmp_path, OTHER_RUN)
    request = RunRequest("inference", "m", "w1")
    newer, older = (
        Run(replace(request, body={"prompt": prompt}), "complete", NOW, run_id=OTHER_RUN)
        for prompt in ("newer", "older")
    )
    [made] = await rows_of(newer, older, folder=tmp_path)
    assert made.prompt == "newer"


class ManyRuns:
    """A journal of complete runs in one folder, which counts how often it is asked."""

    def __init__(self, count: int, folder: Path) -> None:
        self.asked = 0
        self._runs = [
            Run(
                RunRequest("inference", "m", "w"),
                "complete",
                NOW - timedelta(seconds=number),
                key=f"{number}",
                run_id=f"run-{number}",
                folder=folder,
            )
            for number in range(count)
        ]

    async def list(self, wanted: RunFilter, limit: int) -> Sequence[Run]:
        self.asked += 1
        start = int(wanted.before) + 1 if wanted.before else 0
        return self._runs[start : start + limit]


def listings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the folders that are listed from now on."""
    listed: list[Path] = []
    names = OpenFolder.names

    def note(folder: OpenFolder) -> Any:
        listed.append(folder.path)
        return names(folder)

    monkeypatch.setattr(OpenFolder, "names", note)
    return listed


async def test_a_folder_of_many_runs_is_listed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(250):
        write_record(tmp_path, f"run-{number}")
    many, listed = ManyRuns(250, tmp_path), listings(monkeypatch)
    found = [made async for made in list_made_files(many.list, PrivateFolders())]
    assert len(found) == 250
    assert (many.asked, listed) == (3, [tmp_path])


async def test_yields_the_first_files_before_reading_the_whole_journal(tmp_path: Path) -> None:
    write_record(tmp_path, "run-0")
    many = ManyRuns(10 * listing.PAGE_RUNS, tmp_path)
    async for made in list_made_files(many.list, PrivateFolders()):
        assert (made.run_id, many.asked) == ("run-0", 1)
        break
    assert many.asked == 1
