"""The files of the bundle, in a folder of their own: only what the server needs."""

import json
import shutil
from pathlib import Path

from layer_mcp import __version__

from .requirements import ROOT, pins, project

# The pinned PyYAML has no wheels for 3.15, which would have to be compiled on the user's machine.
PYTHON = ">=3.11,<3.15"
FILES = {
    "manifest.json": "manifest.json",
    "README.md": "README.md",
    "LICENSE": "LICENSE",
    "bundle/icon.png": "icon.png",
    "bundle/main.py": "main.py",
}


def stage(folder: Path) -> None:
    """Fill a folder, which must not exist yet."""
    shutil.copytree(
        ROOT / "layer_mcp", folder / "layer_mcp", ignore=shutil.ignore_patterns("__pycache__")
    )
    for source, name in FILES.items():
        shutil.copyfile(ROOT / source, folder / name)
    (folder / "pyproject.toml").write_text(pyproject(), encoding="utf-8", newline="\n")


def pyproject() -> str:
    """The bundle's own pyproject.toml: the same requirements, held at the versions tested.

    A lock would name a registry. These pins name none, and uv locks their hashes when it makes the
    environment. The server runs from the folder, so nothing has to be built there.
    """
    return (
        "[project]\n"
        f'name = "{project()["name"]}"\n'
        f'version = "{__version__}"\n'
        f'requires-python = "{PYTHON}"\n'
        f"dependencies = {_list(project()['dependencies'])}\n"
        "\n[tool.uv]\n"
        "package = false\n"
        f"constraint-dependencies = {_list(pins())}\n"
    )


def _list(texts: list[str]) -> str:
    """An array of TOML, whose plain strings are written as in JSON."""
    return json.dumps(texts, indent=4)
