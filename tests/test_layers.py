"""The storeys: each uses only what lies below it, and nothing happens at import."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import layer_mcp
from layer_mcp.server.without_rich import without_rich

PACKAGE = Path(layer_mcp.__file__).parent
COMMANDS = ("layer_mcp.cli", "layer_mcp.commands", "layer_mcp.demo")
ABOVE = ("layer_mcp.doctor", "layer_mcp.terminal", *COMMANDS)
FORBIDDEN = {
    "api": (
        "mcp",
        "layer_mcp.journal",
        "layer_mcp.server",
        "layer_mcp.sandbox",
        "layer_mcp.attach",
        *ABOVE,
    ),
    "server": ("layer_mcp.sandbox", "layer_mcp.attach", *ABOVE),
    "sandbox": ("mcp", "layer_mcp.server", "layer_mcp.attach", *ABOVE),
    "journal": ("mcp", "layer_mcp.server", "layer_mcp.sandbox", "layer_mcp.attach", *ABOVE),
    "attach": (
        "mcp",
        "layer_mcp.api",
        "layer_mcp.journal",
        "layer_mcp.server",
        "layer_mcp.sandbox",
        "layer_mcp.token_store",
        *ABOVE,
    ),
    "doctor": ("mcp", "layer_mcp.server", "layer_mcp.sandbox", "layer_mcp.terminal", *COMMANDS),
    "terminal": ("layer_mcp.sandbox", "layer_mcp.attach", "layer_mcp.doctor", *COMMANDS),
    "commands": ("layer_mcp.cli",),
}


def imports_of(file: Path) -> Iterator[str]:
    """The full names of the modules that a file imports, anywhere in it."""
    parts = ("layer_mcp", *file.relative_to(PACKAGE).with_suffix("").parts)
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = parts[: len(parts) - node.level] if node.level else ()
            module = ".".join([*package, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("storey", FORBIDDEN)
def test_a_storey_imports_nothing_from_above(storey: str) -> None:
    wrong = [
        f"{file.name}: {name}"
        for file in (PACKAGE / storey).rglob("*.py")
        for name in imports_of(file)
        for above in FORBIDDEN[storey]
        if name == above or name.startswith(above + ".")
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "name",
    ["httpx", "PIL", "rich", "keyring", "yaml", "layer_mcp.attach", "layer_mcp.sandbox"],
)
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


def test_a_server_takes_nothing_from_threads_that_draw_with_rich() -> None:
    import rich.console

    with without_rich():
        assert sys.modules["rich.console"] is rich.console


def test_importing_the_package_prints_nothing_and_needs_no_environment() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import layer_mcp, layer_mcp.cli"],
        capture_output=True,
        check=True,
        env={},
    )
    assert done.stdout == done.stderr == b""
