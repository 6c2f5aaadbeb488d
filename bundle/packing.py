"""From the staged folder to the file that people install, with the public tool."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from layer_mcp import __version__

from .locking import lock
from .requirements import ROOT
from .staging import stage

TOOL = ROOT / "bundle" / "node_modules" / "@anthropic-ai" / "mcpb" / "dist" / "cli" / "cli.js"
NAME = f"layer-mcp-{__version__}.mcpb"
LIMIT_SECONDS = 120


class PackingError(Exception):
    """The public tool refused the bundle; the text is what it said."""


def pack(folder: Path, *, locked: bool = False) -> Path:
    """Stage, validate and pack the bundle into a folder, with a lock if wanted; the new file.

    Raises:
        PackingError: the manifest or the icon is not valid, or the tool is not installed.
        LockingError: there is no lock of what is tested.
    """
    packed = folder / NAME
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        staged = Path(scratch, "bundle")
        stage(staged)
        if locked:
            lock(staged)
        mcpb("validate", str(staged / "manifest.json"))
        made = Path(scratch, NAME)
        mcpb("pack", str(staged), str(made))
        shutil.copyfile(made, packed)
    return packed


def mcpb(*arguments: str) -> str:
    """What the public tool prints.

    Raises:
        PackingError: it failed, or is not installed.
    """
    if not TOOL.exists():
        raise PackingError("mcpb is not installed: run make .venv/bundle.stamp.")
    command = [str(node()), str(TOOL), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    if done.returncode != 0:
        raise PackingError(f"{done.stdout}{done.stderr}".strip())
    return done.stdout


def node() -> Path:
    """Node, which lies beside this Python."""
    return Path(sys.executable).with_name("node.exe" if os.name == "nt" else "node")
