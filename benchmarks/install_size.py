"""What an installation brings: packages and bytes, beside the framework fastmcp without a server.

Both are installed by pip from their pinned lists, on the same Python, into new environments that
have no pip. Nothing is compiled.
"""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from bundle.requirements import ROOT, pins

REFERENCE = ROOT / "interop" / "fastmcp" / "requirements.txt"
LIMIT_SECONDS = 300


@dataclass(frozen=True)
class InstallSize:
    """The packages that come with one, and the bytes of all files."""

    dependencies: int
    size_bytes: int


@dataclass(frozen=True)
class InstallSizes:
    """Ours, with what its server and commands need, and the framework's."""

    layer_mcp: InstallSize
    fastmcp: InstallSize


def measure_install_sizes() -> InstallSizes:
    """Install both and count.

    Raises:
        RuntimeError: one cannot be installed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "pins.txt").write_text("\n".join(pins()), encoding="utf-8")
        _run("-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder))
        (wheel,) = folder.glob("*.whl")
        return InstallSizes(
            layer_mcp=_installed(folder / "ours", str(wheel), "-c", str(folder / "pins.txt")),
            fastmcp=_installed(folder / "fastmcp", "--no-deps", "-r", str(REFERENCE)),
        )


def _installed(place: Path, *wanted: str) -> InstallSize:
    """The size of a new environment with what is wanted."""
    _run("-m", "venv", "--without-pip", str(place))
    pip = ["-m", "pip", "--python", str(place / "bin" / "python"), "install", "--quiet"]
    _run(*pip, "--no-compile", "--disable-pip-version-check", *wanted)
    (packages,) = place.glob("lib/python*/site-packages")
    files = [path for path in packages.rglob("*") if path.is_file()]
    return InstallSize(
        dependencies=len(list(distributions(path=[str(packages)]))) - 1,
        size_bytes=sum(path.stat().st_size for path in files),
    )


def _run(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)}\n{done.stdout}{done.stderr}")
