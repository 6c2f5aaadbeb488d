"""The environment of each client, created once for each version of its requirements."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .clients import Client

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "interop"
CACHE = ROOT / ".interop"
PYTHON_FILE, NODE_FILE = "requirements.txt", "package-lock.json"
STAMP = "requirements.sha256"
AT_ONCE = 4
INSTALL_SECONDS = 300


class InteropError(Exception):
    """The interop tests failed, not a client."""


def prepare(clients: Iterable[Client]) -> None:
    """Create the missing environments of these clients.

    Raises:
        InteropError: an environment can't be created.
    """
    required = sorted({required_by(client) for client in clients})
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(_environment, required))


def required_by(client: Client) -> Path:
    """Return the file that pins a client's requirements; npm clients may share a folder's."""
    folder = FOLDER / client.folder
    if client.is_python:
        return folder / PYTHON_FILE
    return next(p for p in (folder / NODE_FILE, folder.parent / NODE_FILE) if p.exists())


def program_of(client: Client) -> list[str]:
    """Return the command that runs a client's program in its environment."""
    if client.is_python:
        python = CACHE / client.folder / "bin" / "python"
        return [str(python), "-m", f"interop.{client.folder}.client"]
    if client.is_host:
        return [sys.executable, "-m", f"interop.{client.folder.replace('/', '.')}.client"]
    return [_program("node"), str(FOLDER / client.folder / "client.mjs")]


def _environment(required: Path) -> None:
    if required.name == PYTHON_FILE:
        _python_environment(required)
    else:
        _node_environment(required)


def _python_environment(requirements: Path) -> None:
    place = CACHE / requirements.parent.name
    python = place / "bin" / "python"
    if not _is_current(place, requirements):
        _run([sys.executable, "-m", "venv", "--without-pip", str(place)])
        _install(python, requirements)
        _remember(place, requirements)


def _install(python: Path, requirements: Path) -> None:
    """Install with uv, or with pip if uv finds nothing, because their indexes may differ."""
    what = ["--no-deps", "--require-hashes", "-r", str(requirements)]
    try:
        _run([_program("uv"), "pip", "install", "--quiet", "--python", str(python), *what])
    except InteropError:
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
        _run([*pip, "--no-compile", "--disable-pip-version-check", *what])


def _node_environment(lock: Path) -> None:
    folder = lock.parent
    place = CACHE / f"node-{folder.name}"
    if not (_is_current(place, lock) and (folder / "node_modules").exists()):
        _run([_program("npm"), "ci", "--silent", "--ignore-scripts", "--prefix", str(folder)])
        place.mkdir(parents=True, exist_ok=True)
        _remember(place, lock)


def _program(name: str) -> str:
    """Return a program that's next to this Python, such as Node's."""
    return str(Path(sys.executable).with_name(name))


def _run(command: list[str]) -> None:
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    try:
        done = subprocess.run(
            command,
            env=os.environ | {"PATH": beside, "UV_SYSTEM_CERTS": "1"},
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InteropError(f"{Path(command[0]).name} took over {INSTALL_SECONDS} s.") from None
    if done.returncode != 0:
        raise InteropError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def _is_current(place: Path, requirements: Path) -> bool:
    """Return whether an environment is up to date; remove it if it isn't."""
    stamp = place / STAMP
    if stamp.exists() and stamp.read_text(encoding="utf-8") == _state(requirements):
        return True
    if place.exists():
        shutil.rmtree(place)
    return False


def _remember(place: Path, requirements: Path) -> None:
    (place / STAMP).write_text(_state(requirements), encoding="utf-8")


def _state(requirements: Path) -> str:
    return hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
