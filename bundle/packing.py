"""The Claude Desktop bundle: the files in it, their pinned requirements, and the public packer."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from layer_mcp import __version__

ROOT = Path(__file__).parents[1]
PINNED = ROOT / "requirements" / "run.txt"
CONTENTS = ROOT / "bundle" / "contents"
MCPB = ROOT / "bundle" / "node_modules" / "@anthropic-ai" / "mcpb" / "dist" / "cli" / "cli.js"
NAME = f"layer-mcp-{__version__}.mcpb"
# The pinned PyYAML has no wheels for 3.15, so it would be compiled on the user's machine.
PYTHON = ">=3.11,<3.15"
PIN = re.compile(r"^[A-Za-z0-9][^\\\n]*==[^\\\n]*", re.MULTILINE)
HASH = re.compile(r"sha256:[0-9a-f]{64}")
LIMIT_SECONDS = 120


class BundleError(Exception):
    """The bundle can't be packed or locked. The text says why."""


def pack(folder: Path, *, locked: bool = False) -> Path:
    """Pack the bundle into a folder, with a lock if it is for a release, and return the file.

    Raises:
        BundleError: The manifest or the icon is invalid, a tool failed, or the lock isn't what
            was tested.
    """
    packed = folder / NAME
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        staged = Path(scratch, "bundle")
        stage(staged)
        if locked:
            lock(staged)
        _run_mcpb("validate", str(staged / "manifest.json"))
        made = Path(scratch, NAME)
        _run_mcpb("pack", str(staged), str(made))
        shutil.copyfile(made, packed)
    return packed


def stage(folder: Path) -> None:
    """Copy what the server needs, and nothing else, into a new folder."""
    shutil.copytree(
        ROOT / "layer_mcp", folder / "layer_mcp", ignore=shutil.ignore_patterns("__pycache__")
    )
    for path in (ROOT / "manifest.json", ROOT / "README.md", ROOT / "LICENSE", *_contents()):
        shutil.copyfile(path, folder / path.name)
    (folder / "pyproject.toml").write_text(pyproject(), encoding="utf-8", newline="\n")


def pyproject() -> str:
    """Return the bundle's pyproject.toml: the same requirements, at the versions that are tested.

    A lock would name a package index. These pins don't, and uv locks their hashes when it makes the
    environment. The server runs from the folder, so nothing has to be built there.
    """
    return (
        "[project]\n"
        f'name = "{project()["name"]}"\n'
        f'version = "{__version__}"\n'
        f'requires-python = "{PYTHON}"\n'
        f"dependencies = {_toml_list(project()['dependencies'])}\n"
        "\n[tool.uv]\n"
        "package = false\n"
        f"constraint-dependencies = {_toml_list(pins())}\n"
    )


def project() -> dict[str, Any]:
    """Return the `project` table of pyproject.toml."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["project"]


def pins() -> list[str]:
    """Return each pinned version with its marker, without hashes."""
    return [line.strip() for line in PIN.findall(PINNED.read_text(encoding="utf-8"))]


def lock(folder: Path, environment: Mapping[str, str] | None = None) -> None:
    """Write uv.lock into a staged bundle.

    A lock names the package index, so none is committed: it is made when a release is built.

    Raises:
        BundleError: uv failed, or the index has other files than those that are pinned.
    """
    uv = Path(sys.executable).with_name("uv")
    done = subprocess.run(
        [str(uv), "lock", "--quiet", "--project", str(folder)],
        env=dict(os.environ if environment is None else environment),
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise BundleError(done.stderr.strip())
    locked = (folder / "uv.lock").read_text(encoding="utf-8")
    if names := find_unpinned(locked, PINNED.read_text(encoding="utf-8")):
        raise BundleError(f"Not the files that are tested: {', '.join(names)}.")


def find_unpinned(locked: str, pinned: str) -> list[str]:
    """Return the packages of a lock that have a file whose hash isn't pinned."""
    known = set(HASH.findall(pinned))
    return [
        package["name"]
        for package in tomllib.loads(locked)["package"]
        if not set(HASH.findall(str(package))) <= known
    ]


def node() -> Path:
    """Return the path of Node, which is next to this Python."""
    return Path(sys.executable).with_name("node.exe" if os.name == "nt" else "node")


def _run_mcpb(*arguments: str) -> None:
    if not MCPB.exists():
        raise BundleError("mcpb is not installed: run make setup.")
    done = subprocess.run(
        [str(node()), str(MCPB), *arguments],
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise BundleError(f"{done.stdout}{done.stderr}".strip())


def _contents() -> list[Path]:
    return [path for path in CONTENTS.iterdir() if path.is_file()]


def _toml_list(texts: list[str]) -> str:
    # Plain strings are written the same way in TOML and JSON.
    return json.dumps(texts, indent=4)
