"""uv without a network: everything that the bundle needs, downloaded beforehand into a cache.

`python -m tests.offline_uv` downloads it. uv doesn't read pip's configuration, which defines this
machine's package indexes, so this module passes it on.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bundle.packing import ROOT, pins, project, stage

CACHE = ROOT / ".venv" / "uv-cache"
UV = Path(sys.executable).with_name("uv")
LIMIT_SECONDS = 300
# pip's name, uv's name, and the separator between several values.
SOURCES = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", ""),
}


def main() -> None:
    """Download what the bundle and the wheel need."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, environment = Path(scratch, "bundle"), uv_environment()
        stage(folder)
        run_uv("sync", "--quiet", "--project", str(folder), env=environment)
        # A lock needs other files of a release than an installation does.
        install(project()["dependencies"], Path(scratch, "venv"), env=environment)


def install(requirements: list[str], place: Path, *, env: dict[str, str]) -> Path:
    """Install these packages at the tested versions in a new environment, and return its Python."""
    python = place / "bin" / "python"
    run_uv("venv", "--quiet", str(place), env=env)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("\n".join(pins()))
        constraints.flush()
        wanted = ["--constraint", constraints.name, *requirements]
        run_uv("pip", "install", "--quiet", "--python", str(python), *wanted, env=env)
    return python


def offline(home: Path) -> dict[str, str]:
    """Return the environment of a uv that has only the cache, and a minimal PATH with uv in it."""
    programs = home / "programs"
    programs.mkdir(parents=True, exist_ok=True)
    uv = programs / "uv"
    if not uv.exists():
        uv.symlink_to(UV)
    return uv_environment() | {
        "HOME": str(home),
        "PATH": os.pathsep.join([str(programs), "/usr/bin", "/bin"]),
        "UV_OFFLINE": "1",
    }


def uv_environment() -> dict[str, str]:
    """Return uv's variables: its cache, this Python, and pip's package indexes."""
    return _sources() | {
        "UV_CACHE_DIR": str(CACHE),
        "UV_PYTHON": sys.executable,
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_CONFIG": "1",
        "UV_SYSTEM_CERTS": "1",
        # pip also looks for the newest version in all indexes.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def run_uv(*arguments: str, env: dict[str, str]) -> str:
    """Run uv and return its output."""
    done = subprocess.run(
        [str(UV), *arguments],
        env={"PATH": os.defpath, "HOME": os.environ.get("HOME", "/")} | env,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _sources() -> dict[str, str]:
    """Return pip's configuration as uv's variables; environment settings come last and win."""
    pip = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(pip, capture_output=True, text=True, check=True).stdout
    found: dict[str, str] = {}
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):
        key, _, value = line.partition("=")
        variable, separator = SOURCES.get(key.rpartition(".")[2], ("", ""))
        if variable:
            words = value.strip("'\"").replace("\\n", " ").split()
            found[variable] = separator.join(words)
    return found


if __name__ == "__main__":
    main()
