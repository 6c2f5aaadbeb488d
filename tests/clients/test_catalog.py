"""Where each client keeps its servers, and how a client is found by name."""

from pathlib import Path

import pytest

from layer_mcp.clients.catalog import CLIENTS, Platform, System, find_client
from layer_mcp.clients.errors import ClientConfigError, UnknownClientError

from ..support.client_home import CLIENT_IDS

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
def test_each_client_has_a_file_in_the_home_folder(
    client: str, system: System, below_home: str, tmp_path: Path
) -> None:
    assert find_client(client).file(Platform(system, tmp_path, {})) == tmp_path / below_home


def test_the_file_of_every_client_is_tested_on_every_system() -> None:
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
    assert find_client(client).file(platform) == tmp_path / below


def test_a_relative_config_folder_is_ignored_as_the_xdg_specification_says(tmp_path: Path) -> None:
    platform = Platform("linux", tmp_path, {"XDG_CONFIG_HOME": "here"})
    assert find_client("zed").file(platform) == tmp_path / ".config/zed/settings.json"


def test_claude_desktop_from_the_windows_store_has_another_folder(tmp_path: Path) -> None:
    own = tmp_path / "AppData/Local/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude"
    own.mkdir(parents=True)
    file = find_client("claude-desktop").file(Platform("windows", tmp_path, {}))
    assert file == own / "claude_desktop_config.json"


@pytest.mark.parametrize("client", CLIENT_IDS)
def test_a_missing_home_folder_is_an_error_with_a_next_step(client: str) -> None:
    with pytest.raises(ClientConfigError, match=r"no home folder\. Set HOME"):
        find_client(client).file(Platform("linux", None, {}))


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
def test_finds_a_client_by_id_or_title_in_any_case(typed: str, client: str) -> None:
    assert find_client(typed).id == client


@pytest.mark.parametrize(("typed", "nearest"), [("crusor", "cursor"), ("claude", "claude-code")])
def test_an_unknown_client_is_an_error_with_the_nearest_name(typed: str, nearest: str) -> None:
    with pytest.raises(UnknownClientError, match=f"Did you mean {nearest}"):
        find_client(typed)


def test_an_unknown_client_is_named_without_control_characters() -> None:
    with pytest.raises(UnknownClientError, match=r"Unknown client \[31mcursor\."):
        find_client("\x1b[31mcursor")
