"""Python, and the packages that layer-mcp needs."""

import platform
import re
import sys
from importlib import metadata

from .. import __version__
from .check import Check, Subject
from .setup import Setup

PYTHON = Subject("python", "Python")
PACKAGES = Subject("packages", "Packages")
DISTRIBUTION = "layer-mcp"
SHOWN = ("mcp", "httpx", "pydantic", "anyio")
REQUIRED_NAME = re.compile(r"[A-Za-z0-9._-]+")


def python(_setup: Setup) -> Check:
    """Which Python runs this."""
    return PYTHON.ok(f"{platform.python_version()}, {sys.executable}")


def packages(_setup: Setup) -> Check:
    """Whether every package is there that layer-mcp asks for."""
    missing = [name for name in required_packages() if _version(name) is None]
    if missing:
        return PACKAGES.failed(f"missing: {', '.join(missing)}", "Install layer-mcp again.")
    versions = [f"{name} {_version(name)}" for name in SHOWN]
    return PACKAGES.ok(", ".join([f"{DISTRIBUTION} {__version__}", *versions]))


def required_packages() -> list[str]:
    """The packages that the installed layer-mcp asks for on every system; none without metadata."""
    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    found = (REQUIRED_NAME.match(line) for line in lines if ";" not in line)
    return [match[0] for match in found if match]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
