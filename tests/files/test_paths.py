"""The folders of the settings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from layer_mcp import LayerError, Settings
from layer_mcp.files.paths import (
    Folders,
    input_folders,
    output_folder,
    state_folder,
)

# A user without an entry in the list of users, and so without a home.
HOMELESS = """
import os, sys
from pathlib import Path
import platformdirs
from layer_mcp import LayerError, Settings
from layer_mcp.files.input_paths import resolve_input
from layer_mcp.files.paths import input_folders, output_folder, state_folder
os.environ.clear()
os.chdir("/tmp")
os.setuid(54321)
settings = Settings()
def code(call, *arguments):
    try:
        return call(*arguments)
    except LayerError as error:
        return error.code
    except RuntimeError as error:
        return error
print(code(output_folder, settings))
print(code(state_folder, settings))
print(*code(input_folders, settings))
os.chdir("/")
print(code(input_folders, settings))
print(code(resolve_input, "~/a.png", [Path("/tmp")]))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An existing folder."""
    folder = tmp_path / "allowed"
    folder.mkdir()
    return folder


def test_configured_folders_replace_the_current_folder_but_not_the_output_folder(
    root: Path,
) -> None:
    settings = Settings(input_dirs=(str(root), "/else"), output_dir="/out")
    assert input_folders(settings) == (root, Path("/else"), Path("/out"))


def test_an_output_folder_that_is_also_an_input_folder_is_listed_once(root: Path) -> None:
    settings = Settings(input_dirs=(str(root),), output_dir=str(root))
    assert input_folders(settings) == (root,)


def test_a_configured_folder_may_be_below_the_home_folder(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(root))
    monkeypatch.chdir(root)
    read = input_folders(Settings(input_dirs=("~/art", "raw")))
    assert read == (root / "art", root / "raw", root / "Layer")


def test_the_default_folders_are_the_current_folder_and_the_output_folder(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    assert input_folders(Settings(output_dir="/out")) == (root, Path("/out"))


def test_the_root_of_the_disk_is_not_a_usual_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert input_folders(Settings(output_dir="/out")) == (Path("/out"),)


def test_ignores_a_deleted_current_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "gone").mkdir()
    monkeypatch.chdir(root / "gone")
    (root / "gone").rmdir()
    assert input_folders(Settings(output_dir="/out")) == (Path("/out"),)


def test_outputs_go_below_the_home_folder_by_default(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(root))
    assert output_folder(Settings()) == root / "Layer"


def test_the_output_folder_is_absolute(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(root))
    monkeypatch.chdir(root)
    folders = [output_folder(Settings(output_dir=text)) for text in ("~/icons", "icons")]
    assert folders == [root / "icons", root / "icons"]


def test_an_output_folder_without_a_home_folder_is_an_error() -> None:
    with pytest.raises(LayerError) as caught:
        output_folder(Settings(output_dir="~no-such-user-here/icons"))
    assert caught.value.code == "FOLDER_NOT_WRITABLE"
    assert "LAYER_OUTPUT_DIR" in caught.value.next_step


def test_the_state_folder_is_in_the_home_folder_unless_it_is_set(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(root))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    usual = state_folder(Settings())
    assert usual.is_relative_to(root)
    assert state_folder(Settings(state_dir="~/state")) == root / "state"


def test_the_sandbox_stores_its_records_separately() -> None:
    assert state_folder(Settings(sandbox=True, state_dir="/state")) == Path("/state/sandbox")


@pytest.mark.parametrize("is_sandbox", [False, True])
def test_every_journal_is_private_with_or_without_the_sandbox(root: Path, is_sandbox: bool) -> None:
    sandbox = root / "state" / "sandbox"
    sandbox.mkdir(parents=True)
    settings = Settings(sandbox=is_sandbox, state_dir=str(root / "state"))
    private = Folders.pin(settings).private()
    assert private.has_path(root / "state")
    assert private.has_path(sandbox)


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_without_a_home_only_the_current_folder_is_left() -> None:
    command = [sys.executable, "-c", HOMELESS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "FOLDER_NOT_WRITABLE",
        "there is no home folder; set LAYER_STATE_DIR",
        "/tmp",
        "FOLDER_NOT_WRITABLE",
        "FILE_NOT_FOUND",
    ]


def test_an_empty_home_variable_means_no_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "")
    with pytest.raises(LayerError, match="no home folder"):
        output_folder(Settings())
    for settings in (Settings(), Settings(state_dir="~/state")):
        with pytest.raises(RuntimeError, match="no home folder"):
            state_folder(settings)


def test_a_state_folder_without_a_home_folder_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="no home folder"):
        state_folder(Settings(state_dir="~no-such-user-here/state"))
