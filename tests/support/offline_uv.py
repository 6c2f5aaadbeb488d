"""uv without network: everything that the bundle needs, fetched beforehand into a cache.

`python -m tests.offline_uv` fetches it. uv does not read pip's configuration, which is where this
machine says what it installs from: so it is handed over here.
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
# What pip calls it, what uv calls it, and what stands between several.
SOURCES = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", ""),
}


def main() -> None:
    """Fetch what the bundle and the wheel need."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, environment = Path(scratch, "bundle"), uv_environment()
        stage(folder)
        run_uv("sync", "--quiet", "--project", str(folder), env=environment)
        # A lock looks at other files of a release than an installation does.
        install(project()["dependencies"], Path(scratch, "venv"), env=environment)


def install(requirements: list[str], place: Path, *, env: dict[str, str]) -> Path:
    """A new environment with these packages, at the versions that are tested; its Python."""
    python = place / "bin" / "python"
    run_uv("venv", "--quiet", str(place), env=env)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("\n".join(pins()))
        constraints.flush()
        wanted = ["--constraint", constraints.name, *requirements]
        run_uv("pip", "install", "--quiet", "--python", str(python), *wanted, env=env)
    return python


def offline(home: Path) -> dict[str, str]:
    """The environment of a uv that has only the cache, and a bare PATH with uv in it."""
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
    """uv's variables: its cache, this Python, and pip's sources of packages."""
    return _sources() | {
        "UV_CACHE_DIR": str(CACHE),
        "UV_PYTHON": sys.executable,
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_CONFIG": "1",
        "UV_SYSTEM_CERTS": "1",
        # pip looks in all places for the newest, too.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def run_uv(*arguments: str, env: dict[str, str]) -> str:
    """What uv says."""
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
    """pip's configuration in uv's words; a setting of the environment comes last and wins."""
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
