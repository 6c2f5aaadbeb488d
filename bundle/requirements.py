"""What the package needs: as pyproject.toml says it, and pinned as it is tested."""

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PINNED = ROOT / "requirements" / "run.txt"
PIN = re.compile(r"^[A-Za-z0-9][^\\\n]*==[^\\\n]*", re.MULTILINE)


def project() -> dict[str, Any]:
    """The `project` table of pyproject.toml."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["project"]


def pins() -> list[str]:
    """Each version that is tested, with its marker, without hashes."""
    return [line.strip() for line in PIN.findall(PINNED.read_text(encoding="utf-8"))]
