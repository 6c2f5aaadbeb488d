"""The command and the settings that a client starts the server with."""

import os
import sys
from pathlib import Path

import pytest

from layer_mcp.clients.command import ServerOptions, find_command
from layer_mcp.clients.errors import ClientConfigError
from layer_mcp.settings import SettingsError


def test_options_become_variables_with_absolute_folders(tmp_path: Path) -> None:
    options = ServerOptions(
        workspace="team",
        output_dir=str(tmp_path / "grüne Tränke"),
        input_dirs=("/a b", "/c"),
        max_price="5",
    )
    assert options.environment() == {
        "LAYER_WORKSPACE_ID": "team",
        "LAYER_OUTPUT_DIR": str(tmp_path / "grüne Tränke"),
        "LAYER_INPUT_DIRS": f"/a b{os.pathsep}/c",
        "LAYER_MAX_PRICE": "5",
    }


@pytest.mark.parametrize(
    "options", [ServerOptions(max_price="much"), ServerOptions(input_dirs=(f"/a{os.pathsep}b",))]
)
def test_rejects_an_option_that_the_server_would_refuse(options: ServerOptions) -> None:
    with pytest.raises(SettingsError):
        options.environment()


def test_a_relative_script_becomes_an_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "layer-mcp").touch()
    monkeypatch.chdir(tmp_path)
    assert find_command("./layer-mcp", "python", "/nowhere") == (str(tmp_path / "layer-mcp"), ())


def test_a_link_that_pipx_keeps_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "layer-mcp").touch()
    (tmp_path / "layer-mcp").symlink_to(tmp_path / "venv" / "layer-mcp")
    command, _ = find_command(str(tmp_path / "layer-mcp"), "python", str(tmp_path / "venv"))
    assert command == str(tmp_path / "layer-mcp")


def test_python_m_becomes_the_script_in_the_interpreters_folder(tmp_path: Path) -> None:
    (tmp_path / "layer-mcp").touch()
    found = find_command("/x/layer_mcp/__main__.py", sys.executable, str(tmp_path))
    assert found == (str(tmp_path / "layer-mcp"), ())


def test_without_a_script_the_interpreter_starts_the_package(tmp_path: Path) -> None:
    found = find_command("/x/layer_mcp/__main__.py", "/opt/python", str(tmp_path))
    assert found == ("/opt/python", ("-m", "layer_mcp"))


@pytest.mark.parametrize("cache", [".cache/uv/archive-v0/x", "pipx/.cache/x"])
def test_rejects_an_environment_in_a_cache(tmp_path: Path, cache: str) -> None:
    scripts = tmp_path / cache / "bin"
    scripts.mkdir(parents=True)
    (scripts / "layer-mcp").touch()
    with pytest.raises(ClientConfigError, match="uv tool install"):
        find_command(str(scripts / "layer-mcp"), "python", str(scripts))
