"""Where each client keeps its servers, and what `layer-mcp config` prints for it."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from layer_mcp.clients.catalog import CLIENTS, client_of
from layer_mcp.clients.command import Choices, command_of
from layer_mcp.clients.errors import AttachError, UnknownClientError
from layer_mcp.clients.platforms import Platform, System
from layer_mcp.settings import SettingsError

from ..support.hosts import SCRIPT, child_environment

READERS: dict[str, Callable[[str], Any]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
}
IDS = [client.id for client in CLIENTS]


def config(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, "config", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=child_environment(environment),
    )


FILES: list[tuple[str, System, str]] = [
    ("claude-desktop", "macos", "Library/Application Support/Claude/claude_desktop_config.json"),
    ("claude-desktop", "windows", "AppData/Roaming/Claude/claude_desktop_config.json"),
    ("claude-desktop", "linux", ".config/Claude/claude_desktop_config.json"),
    ("claude-code", "macos", ".claude.json"),
    ("claude-code", "windows", ".claude.json"),
    ("claude-code", "linux", ".claude.json"),
    ("cursor", "macos", ".cursor/mcp.json"),
    ("cursor", "windows", ".cursor/mcp.json"),
    ("cursor", "linux", ".cursor/mcp.json"),
    ("vscode", "macos", "Library/Application Support/Code/User/mcp.json"),
    ("vscode", "windows", "AppData/Roaming/Code/User/mcp.json"),
    ("vscode", "linux", ".config/Code/User/mcp.json"),
    ("windsurf", "macos", ".codeium/windsurf/mcp_config.json"),
    ("windsurf", "windows", ".codeium/windsurf/mcp_config.json"),
    ("windsurf", "linux", ".codeium/windsurf/mcp_config.json"),
    ("zed", "macos", ".config/zed/settings.json"),
    ("zed", "windows", "AppData/Roaming/Zed/settings.json"),
    ("zed", "linux", ".config/zed/settings.json"),
    ("codex", "macos", ".codex/config.toml"),
    ("codex", "windows", ".codex/config.toml"),
    ("codex", "linux", ".codex/config.toml"),
    ("gemini-cli", "macos", ".gemini/settings.json"),
    ("gemini-cli", "windows", ".gemini/settings.json"),
    ("gemini-cli", "linux", ".gemini/settings.json"),
    ("goose", "macos", ".config/goose/config.yaml"),
    ("goose", "windows", "AppData/Roaming/Block/goose/config/config.yaml"),
    ("goose", "linux", ".config/goose/config.yaml"),
]


@pytest.mark.parametrize(("client", "system", "below_home"), FILES)
def test_each_client_keeps_its_servers_below_the_home_folder(
    client: str, system: System, below_home: str, tmp_path: Path
) -> None:
    assert client_of(client).file(Platform(system, tmp_path, {})) == tmp_path / below_home


def test_every_client_is_tested_on_every_system() -> None:
    assert {(client, system) for client, system, _ in FILES} == {
        (client.id, system) for client in CLIENTS for system in ("macos", "windows", "linux")
    }


@pytest.mark.parametrize(
    ("client", "system", "variable", "below"),
    [
        ("vscode", "windows", "APPDATA", "Code/User/mcp.json"),
        ("zed", "linux", "XDG_CONFIG_HOME", "zed/settings.json"),
        ("goose", "macos", "XDG_CONFIG_HOME", "goose/config.yaml"),
        ("goose", "linux", "GOOSE_PATH_ROOT", "config/config.yaml"),
        ("codex", "linux", "CODEX_HOME", "config.toml"),
        ("claude-code", "macos", "CLAUDE_CONFIG_DIR", ".claude.json"),
        ("gemini-cli", "windows", "GEMINI_CLI_HOME", ".gemini/settings.json"),
    ],
)
def test_a_variable_of_the_system_or_the_client_moves_its_file(
    client: str, system: System, variable: str, below: str, tmp_path: Path
) -> None:
    platform = Platform(system, None, {variable: str(tmp_path)})
    assert client_of(client).file(platform) == tmp_path / below


def test_a_relative_config_folder_is_ignored_as_the_xdg_specification_says(tmp_path: Path) -> None:
    platform = Platform("linux", tmp_path, {"XDG_CONFIG_HOME": "here"})
    assert client_of("zed").file(platform) == tmp_path / ".config/zed/settings.json"


def test_claude_desktop_from_the_windows_store_has_a_folder_of_its_own(tmp_path: Path) -> None:
    own = tmp_path / "AppData/Local/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude"
    own.mkdir(parents=True)
    file = client_of("claude-desktop").file(Platform("windows", tmp_path, {}))
    assert file == own / "claude_desktop_config.json"


@pytest.mark.parametrize("client", IDS)
def test_without_a_home_folder_the_next_step_is_said(client: str) -> None:
    with pytest.raises(AttachError, match=r"no home folder\. Set HOME"):
        client_of(client).file(Platform("linux", None, {}))


@pytest.mark.parametrize(
    ("typed", "client"),
    [
        ("Claude Desktop", "claude-desktop"),
        ("claude_code", "claude-code"),
        ("VSCODE", "vscode"),
        ("VS Code", "vscode"),
        ("geminicli", "gemini-cli"),
    ],
)
def test_a_client_is_found_by_its_title_and_in_any_case(typed: str, client: str) -> None:
    assert client_of(typed).id == client


@pytest.mark.parametrize(("typed", "nearest"), [("crusor", "cursor"), ("claude", "claude-code")])
def test_an_unknown_client_is_answered_with_the_nearest(typed: str, nearest: str) -> None:
    with pytest.raises(UnknownClientError, match=f"Did you mean {nearest}"):
        client_of(typed)


def test_an_unknown_client_is_named_without_what_would_drive_a_terminal() -> None:
    with pytest.raises(UnknownClientError, match=r"There is no client \[31mcursor\."):
        client_of("\x1b[31mcursor")


@pytest.mark.parametrize("client", IDS)
def test_config_prints_what_the_client_reads_with_an_absolute_command(client: str) -> None:
    done = config(client, "--sandbox", "--name", "art")
    assert done.returncode == 0, done.stderr
    row = client_of(client)
    entry = READERS[row.format](done.stdout)[row.place[0]]["art"]
    assert entry["cmd" if client == "goose" else "command"] == SCRIPT
    assert entry[row.env_key] == {"LAYER_SANDBOX": "1"}


def test_config_says_where_the_file_is(tmp_path: Path) -> None:
    done = config("codex", HOME=str(tmp_path))
    assert str(tmp_path / ".codex/config.toml") in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="POSIX users")
def test_config_without_home_takes_the_folder_that_the_system_knows_of_the_user() -> None:
    done = subprocess.run(
        [SCRIPT, "config", "cursor", "--sandbox"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={},
    )
    path = Path(done.stderr.strip().partition(" reads it from ")[2].removesuffix("."))
    assert path.is_absolute()
    assert path.name == "mcp.json"


def test_config_alone_names_every_client() -> None:
    assert [line.split()[0] for line in config().stdout.splitlines()] == IDS


def test_config_never_prints_the_token() -> None:
    done = config("cursor", LAYER_API_KEY="pat_secret")
    assert "pat_secret" not in done.stdout + done.stderr


def test_config_of_an_unknown_client_is_exit_code_2_and_one_line() -> None:
    done = config("crusor")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["", "two words", "a.b", "x" * 41])
def test_a_name_that_a_client_may_refuse_is_wrong_usage(name: str) -> None:
    assert config("cursor", "--name", name).returncode == 2


def test_choices_become_settings_with_absolute_folders(tmp_path: Path) -> None:
    choices = Choices(
        workspace="team",
        output_dir=str(tmp_path / "grüne Tränke"),
        input_dirs=("/a b", "/c"),
        max_price="5",
    )
    assert choices.environment() == {
        "LAYER_WORKSPACE_ID": "team",
        "LAYER_OUTPUT_DIR": str(tmp_path / "grüne Tränke"),
        "LAYER_INPUT_DIRS": f"/a b{os.pathsep}/c",
        "LAYER_MAX_PRICE": "5",
    }


@pytest.mark.parametrize(
    "choices", [Choices(max_price="much"), Choices(input_dirs=(f"/a{os.pathsep}b",))]
)
def test_a_choice_that_the_server_would_refuse_is_refused(choices: Choices) -> None:
    with pytest.raises(SettingsError):
        choices.environment()


def test_a_relative_call_of_the_script_becomes_an_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "layer-mcp").touch()
    monkeypatch.chdir(tmp_path)
    assert command_of("./layer-mcp", "python", "/nowhere") == (str(tmp_path / "layer-mcp"), ())


def test_a_link_that_pipx_keeps_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "layer-mcp").touch()
    (tmp_path / "layer-mcp").symlink_to(tmp_path / "venv" / "layer-mcp")
    command, _ = command_of(str(tmp_path / "layer-mcp"), "python", str(tmp_path / "venv"))
    assert command == str(tmp_path / "layer-mcp")


def test_python_m_becomes_the_script_beside_the_interpreter(tmp_path: Path) -> None:
    (tmp_path / "layer-mcp").touch()
    found = command_of("/x/layer_mcp/__main__.py", sys.executable, str(tmp_path))
    assert found == (str(tmp_path / "layer-mcp"), ())


def test_without_a_script_the_interpreter_starts_the_package(tmp_path: Path) -> None:
    found = command_of("/x/layer_mcp/__main__.py", "/opt/python", str(tmp_path))
    assert found == ("/opt/python", ("-m", "layer_mcp"))


@pytest.mark.parametrize("cache", [".cache/uv/archive-v0/x", "pipx/.cache/x"])
def test_an_environment_that_is_cleaned_up_later_is_refused(tmp_path: Path, cache: str) -> None:
    scripts = tmp_path / cache / "bin"
    scripts.mkdir(parents=True)
    (scripts / "layer-mcp").touch()
    with pytest.raises(AttachError, match="uv tool install"):
        command_of(str(scripts / "layer-mcp"), "python", str(scripts))
