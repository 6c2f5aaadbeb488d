"""The environment of each client, made once for each state of what it requires."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from .clients import Client

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "interop"
CACHE = ROOT / ".interop"
STAMP = "requirements.sha256"
INSTALL_SECONDS = 300


class InteropError(Exception):
    """Something of the frame failed, not of a client."""


def program_of(client: Client) -> list[str]:
    """The command that runs a client's program in its environment, which is made if need be.

    Raises:
        InteropError: it cannot be made.
    """
    folder = FOLDER / client.folder
    if client.is_python:
        python = _python_environment(client.folder, folder / "requirements.txt")
        return [str(python), "-m", f"interop.{client.folder}.client"]
    lock = next(p for p in (folder, folder.parent) if (p / "package-lock.json").exists())
    _node_environment(lock)
    return [_program("node"), str(folder / "client.mjs")]


def installer() -> Path:
    """The program that fills the environments, in one of its own.

    Raises:
        InteropError: it cannot be installed.
    """
    place, requirements = CACHE / "uv", FOLDER / "requirements.txt"
    if not _is_current(place, requirements):
        _run([sys.executable, "-m", "venv", str(place)])
        pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        _run([*pip, "--disable-pip-version-check", "--require-hashes", "-r", str(requirements)])
        _remember(place, requirements)
    return place / "bin" / "uv"


def _python_environment(name: str, requirements: Path) -> Path:
    place = CACHE / name
    python = place / "bin" / "python"
    if not _is_current(place, requirements):
        uv = str(installer())
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(place)])
        install = [uv, "pip", "install", "--quiet", "--python", str(python)]
        _run([*install, "--require-hashes", "-r", str(requirements)])
        _remember(place, requirements)
    return python


def _node_environment(folder: Path) -> None:
    place, lock = CACHE / f"node-{folder.name}", folder / "package-lock.json"
    if not (_is_current(place, lock) and (folder / "node_modules").exists()):
        _run([_program("npm"), "ci", "--silent", "--ignore-scripts", "--prefix", str(folder)])
        place.mkdir(parents=True, exist_ok=True)
        _remember(place, lock)


def _program(name: str) -> str:
    """Node's programs, which lie beside this Python."""
    return str(Path(sys.executable).with_name(name))


def _run(command: list[str]) -> None:
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    try:
        done = subprocess.run(
            command,
            env=os.environ | {"PATH": beside},
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
    """Whether an environment holds what is required; one that does not is removed."""
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
