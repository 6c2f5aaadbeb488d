"""The files for contributors and reporters name things that exist."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from layer_mcp import __version__
from layer_mcp.clients.catalog import CLIENTS

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
PAGES = ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def template(name: str) -> dict[str, Any]:
    return yaml.safe_load(text(f".github/ISSUE_TEMPLATE/{name}"))


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))


def test_contributing_names_existing_make_targets() -> None:
    lines = re.findall(r"^make ([a-z -]+)$|`make ([a-z-]+)`", text("CONTRIBUTING.md"), re.MULTILINE)
    named = {word for line in lines for word in " ".join(line).split()}
    assert named >= {"setup", "test", "test-rest", "test-all", "lint", "types", "bench"}
    assert named - make_targets() == set()


@pytest.mark.process
def test_make_help_says_what_every_target_does() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    listed = dict(line.split(None, 1) for line in done.stdout.splitlines())
    assert listed.keys() == make_targets()


def test_contributing_lists_every_marker() -> None:
    registered = tomllib.loads(text("pyproject.toml"))["tool"]["pytest"]["ini_options"]["markers"]
    names = {line.partition(":")[0] for line in registered} - {"rest"}
    table = text("CONTRIBUTING.md").partition("| marker |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == names


def test_ci_runs_make_test_first_and_nothing_twice() -> None:
    commands = re.findall(r"^make (.+)$", text(".ci/run"), re.MULTILINE)
    words = [word for command in commands for word in command.split()]
    targets = [word for word in words if not word.startswith("--")]
    assert targets[:3] == ["setup", "test", "test-rest"]
    assert {"lint", "types", "conformance", "interop"} <= set(targets)
    assert len(targets) == len(set(targets))
    assert "test-all" not in targets


@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_the_project_links_to_files_that_exist(page: str) -> None:
    links = re.findall(r"\]\((?!https:)([^)#]+)", text(page))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_contributing_names_existing_files() -> None:
    named = re.findall(r"(?:tests|benchmarks)/[\w./]+", text("CONTRIBUTING.md"))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_changelog_begins_with_what_is_not_released_and_names_this_version() -> None:
    headings = re.findall(r"^## \[(.+?)\]", text("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert __version__ in headings


@pytest.mark.parametrize("path", TEMPLATES[1:], ids=lambda path: path.stem)
def test_a_form_has_a_name_a_description_and_unique_fields(path: Path) -> None:
    form = template(path.name)
    ids = [field["id"] for field in form["body"] if field["type"] != "markdown"]
    assert form["name"]
    assert form["description"]
    assert len(ids) == len(set(ids)) > 0


def test_the_problem_form_lists_every_client() -> None:
    field = next(f for f in template("problem.yml")["body"] if f.get("id") == "client")
    said = " ".join(field["attributes"]["options"])
    assert [client.title for client in CLIENTS if client.title not in said] == []


def test_every_code_and_setting_in_troubleshooting_is_documented() -> None:
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)", text("docs/troubleshooting.md")))
    explained = text("docs/errors.md") + text("docs/settings.md")
    assert len(named) > 10
    assert [name for name in sorted(named) if name not in explained] == []
