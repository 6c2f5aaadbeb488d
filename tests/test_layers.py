"""The storeys: each uses only what lies below it, and nothing happens at import."""

import subprocess
import sys
from pathlib import Path

import pytest

import layer_mcp

PACKAGE = Path(layer_mcp.__file__).parent
FORBIDDEN = {
    "api": ("mcp", "..server", "...server", "..sandbox", "..cli"),
    "server": ("...sandbox", "..sandbox", "..cli", "...cli"),
    "sandbox": ("mcp", "..server", "..cli"),
}


@pytest.mark.parametrize("storey", FORBIDDEN)
def test_a_storey_imports_nothing_from_above(storey: str) -> None:
    for file in (PACKAGE / storey).rglob("*.py"):
        for line in file.read_text().splitlines():
            words = line.split()
            if words[:1] == ["from"]:
                assert not words[1].startswith(FORBIDDEN[storey]), f"{file.name}: {line}"


@pytest.mark.parametrize("name", ["httpx", "PIL", "tqdm", "layer_mcp.sandbox"])
def test_a_server_that_lists_its_tools_does_not_load(name: str) -> None:
    code = (
        "import sys, layer_mcp; from layer_mcp.server.app import create_server;"
        "create_server(layer_mcp.Settings()); print(sorted(sys.modules))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert "'mcp.server'" in loaded
    assert f"'{name}'" not in loaded


def test_importing_the_package_prints_nothing_and_needs_no_environment() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import layer_mcp, layer_mcp.cli"],
        capture_output=True,
        check=True,
        env={},
    )
    assert done.stdout == done.stderr == b""
