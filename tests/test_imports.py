"""Imports have no side effects, and a server that only lists its tools loads few modules."""

import subprocess
import sys

import pytest

from layer_mcp import Settings
from layer_mcp.server.app import create_server

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def loaded() -> list[str]:
    """The modules in a process that has only created a server."""
    code = (
        "import sys, layer_mcp; from layer_mcp.server.app import create_server;"
        "create_server(layer_mcp.Settings()); print(*sys.modules)"
    )
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize(
    "name",
    [
        "httpx",
        "PIL",
        "rich",
        "keyring",
        "tomlkit",
        "yaml",
        "layer_mcp.clients",
        "layer_mcp.sandbox",
    ],
)
def test_a_server_that_lists_its_tools_does_not_load(name: str, loaded: list[str]) -> None:
    assert "mcp.server" in loaded
    assert name not in loaded


def test_creating_a_server_keeps_rich_for_threads_that_use_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import rich.console

    seen: list[object] = []

    def configure_logging(_level: str) -> None:
        seen.append(sys.modules.get("rich.console"))

    monkeypatch.setattr("mcp.server.mcpserver.server.configure_logging", configure_logging)
    create_server(Settings())
    assert seen == [rich.console]


def test_importing_the_package_prints_nothing_and_needs_no_environment() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import layer_mcp, layer_mcp.cli.main"],
        capture_output=True,
        check=True,
        env={},
    )
    assert done.stdout == done.stderr == b""
