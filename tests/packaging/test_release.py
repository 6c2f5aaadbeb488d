"""What is checked before a release, and what its workflow may do."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bundle.packing import ROOT
from bundle.release import find_mistakes
from layer_mcp import __version__

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TAG, OWNER = f"v{__version__}", "layer-mcp"
PINNED = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}|\./\.github/workflows/[\w.-]+")


def test_the_versions_tag_can_be_released() -> None:
    assert find_mistakes(TAG, OWNER) == []


@pytest.mark.parametrize("tag", ["v9.9.9", __version__, f"{TAG}rc1"])
def test_another_tag_cannot_be_released(tag: str) -> None:
    (mistake,) = find_mistakes(tag, OWNER)
    assert f"tag it {TAG}" in mistake


def test_tells_another_owner_where_to_change_the_name() -> None:
    (mistake,) = find_mistakes(TAG, "somebody")
    assert "may publish io.github.somebody" in mistake


def jobs(workflow: Path) -> dict[str, dict[str, Any]]:
    return yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
def test_workflow_actions_are_pinned_to_a_commit(workflow: Path) -> None:
    steps = [step for job in jobs(workflow).values() for step in [job, *job.get("steps", [])]]
    used = [step["uses"] for step in steps if "uses" in step]
    assert used
    assert [action for action in used if not PINNED.fullmatch(action)] == []


def test_each_job_of_a_release_may_do_only_what_it_needs() -> None:
    may_write = {
        name: {what for what, access in job["permissions"].items() if access == "write"}
        for name, job in jobs(ROOT / ".github" / "workflows" / "release.yml").items()
    }
    assert may_write == {
        "check": set(),
        "test": set(),
        "build": {"id-token", "attestations"},
        "index": {"id-token"},
        "release": {"contents"},
        "registry": {"id-token"},
    }


def test_a_release_runs_what_ci_runs() -> None:
    ci = jobs(ROOT / ".github" / "workflows" / "ci.yml")["all"]["steps"]
    assert {"run": ".ci/run"} in ci
