"""A sandbox with a folder remembers its runs and files after it has stopped."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from layer_mcp.sandbox import Knobs, RunningSandbox, SandboxState, running_sandbox
from layer_mcp.sandbox.catalog import sandbox_workflows

from ..support.hosts import SMALL_IMAGE
from ..support.sandbox_calls import api_of, png, run, upload

ICONS = f"/workflows/{sandbox_workflows()[0].workflow_id}/runs"


@contextmanager
def sandbox_in(folder: Path | None) -> Generator[httpx.Client]:
    """Start a sandbox, and return a client of its API."""
    state = SandboxState(knobs=Knobs(run_seconds=0), folder=folder)
    with running_sandbox(state) as sandbox, api_of(sandbox) as api:
        yield api


def test_another_sandbox_with_the_folder_has_the_run_and_its_files(tmp_path: Path) -> None:
    with sandbox_in(tmp_path) as api:
        made = run(api, prompt="a blue key")
    with sandbox_in(tmp_path) as api, httpx.Client(trust_env=False) as storage:
        found = api.get(f"/inferences/{made['inference_id']}").json()
        picture = storage.get(found["outputs"][0]["url"])
    assert found["actual_price_creative_units"] == made["actual_price_creative_units"]
    assert found["outputs"][0]["file_id"] == made["outputs"][0]["file_id"]
    assert picture.content.startswith(b"\x89PNG")


def test_the_url_of_an_output_stays_valid(tmp_path: Path) -> None:
    with sandbox_in(tmp_path) as api:
        url = run(api)["outputs"][0]["url"]
    with sandbox_in(tmp_path), httpx.Client(trust_env=False) as storage:
        assert storage.get(url).status_code == 200


@pytest.mark.parametrize("url", ["", "x", "http://[", "http://127.0.0.1:99999"])
def test_a_damaged_note_of_the_url_is_ignored(url: str, tmp_path: Path) -> None:
    (tmp_path / "media-url").write_text(url)
    with sandbox_in(tmp_path) as api:
        assert run(api)["status"] == "complete"


def test_two_sandboxes_can_share_a_folder_at_the_same_time(tmp_path: Path) -> None:
    with sandbox_in(tmp_path) as first, sandbox_in(tmp_path) as second:
        made = run(first)
        found = second.get(f"/inferences/{made['inference_id']}").json()
    assert found["status"] == "complete"


def test_nothing_is_written_before_the_first_run(tmp_path: Path) -> None:
    with sandbox_in(tmp_path) as api:
        assert api.get("/models").status_code == 200
    assert not list(tmp_path.iterdir())


def test_another_sandbox_without_the_folder_has_no_such_run() -> None:
    with sandbox_in(None) as api:
        made = run(api)
    with sandbox_in(None) as api:
        answer = api.get(f"/inferences/{made['inference_id']}")
    assert answer.json()["detail"] == "The sandbox has no such run."


def test_a_workflow_run_is_remembered(tmp_path: Path) -> None:
    with sandbox_in(tmp_path) as api:
        started = api.post(ICONS, json={"inputs": {"prompt": "red potions"}}).json()
    with sandbox_in(tmp_path) as api:
        found = api.get(f"{ICONS}/{started['run_id']}").json()
    assert (found["status"], len(found["outputs"])) == ("success", 2)


def test_uploads_and_outputs_are_remembered_as_references(tmp_path: Path) -> None:
    with sandbox_in(tmp_path) as api:
        output = run(api)["outputs"][0]["file_id"]
        references = [{"file_id": one, "type": "init"} for one in (upload(api, png("red")), output)]
    with sandbox_in(tmp_path) as api:
        made = run(api, guidance_files=references)
    with sandbox_in(tmp_path) as api:
        found = api.get(f"/inferences/{made['inference_id']}").json()
    assert found["status"] == "complete"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}"])
def test_ignores_a_damaged_record(content: bytes, tmp_path: Path) -> None:
    with sandbox_in(tmp_path) as api:
        run_id = run(api)["inference_id"]
    (tmp_path / f"{run_id}.json").write_bytes(content)
    with sandbox_in(tmp_path) as api:
        assert api.get(f"/inferences/{run_id}").status_code == 404


def test_a_folder_that_cannot_be_written_does_not_stop_a_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with sandbox_in(tmp_path / "file" / "folder") as api:
        assert run(api)["status"] == "complete"


def test_times_come_from_the_clock(api: httpx.Client, sandbox: RunningSandbox) -> None:
    started = api.post("/inferences", json=SMALL_IMAGE).json()
    age = datetime.now(UTC) - datetime.fromisoformat(started["created_at"])
    assert abs(age) < timedelta(hours=1)
