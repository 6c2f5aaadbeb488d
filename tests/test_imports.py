"""Imports have no side effects, and a server that only lists its tools loads few modules."""

import subprocess
import sys

import pytest

import layer_mcp
from layer_mcp import Settings, exports
from layer_mcp.server.app import create_server

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def loaded() -> list[str]:
    """The modules in a process that has only created a server."""
    code = (
        "import sys; from layer_mcp.server.app import create_server;"
        "from layer_mcp.settings import Settings; create_server(Settings()); print(*sys.modules)"
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


def test_importing_the_package_loads_none_of_its_parts() -> None:
    code = "import sys, layer_mcp; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = {name.partition(".")[0] for name in done.stdout.split()}
    assert found & {"pydantic", "anyio", "httpx", "mcp"} == set()


def test_every_public_name_can_be_imported() -> None:
    imported = {name for name in vars(exports) if name[0].isupper() or name == "open_runs"}
    assert imported | {"__version__"} == set(layer_mcp.__all__)
    assert [name for name in layer_mcp.__all__ if not hasattr(layer_mcp, name)] == []


def test_an_unknown_name_is_not_an_attribute_of_the_package() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Generator'"):
        _ = getattr(layer_mcp, "Generator")  # noqa: B009


def test_importing_the_package_prints_nothing_and_needs_no_environment() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import layer_mcp, layer_mcp.cli.main"],
        capture_output=True,
        check=True,
        env={},
    )
    assert done.stdout == done.stderr == b""
