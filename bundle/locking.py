"""The lock of a released bundle: the files that are tested, by their hashes.

A lock names the package index, so none is committed: it is made when a release is built.
"""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

from .requirements import PINNED

HASH = re.compile(r"sha256:[0-9a-f]{64}")
LIMIT_SECONDS = 120


class LockingError(Exception):
    """There is no lock of what is tested; the text says why."""


def lock(folder: Path, environment: Mapping[str, str] | None = None) -> None:
    """Write uv.lock into the staged bundle.

    Raises:
        LockingError: uv failed, or the index has another file than those that are pinned.
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
        raise LockingError(done.stderr.strip())
    locked = (folder / "uv.lock").read_text(encoding="utf-8")
    if unknown := unpinned(locked, PINNED.read_text(encoding="utf-8")):
        raise LockingError(f"Not the files that are tested: {', '.join(unknown)}.")


def unpinned(locked: str, pinned: str) -> list[str]:
    """The packages of a lock with a file whose hash is not pinned."""
    known = set(HASH.findall(pinned))
    return [
        package["name"]
        for package in tomllib.loads(locked)["package"]
        if not set(HASH.findall(str(package))) <= known
    ]
