"""Checks of Python and the packages that layer-mcp requires."""

import platform
import re
import sys
from importlib import metadata

from ..version import __version__
from .types import Finding, Setup, fail, ok

DISTRIBUTION = "layer-mcp"
REPORTED_PACKAGES = ("mcp", "httpx", "pydantic", "anyio")
REQUIREMENT_NAME = re.compile(r"[A-Za-z0-9._-]+")


def check_python(_setup: Setup) -> Finding:
    """Report the Python version and its path."""
    return ok(f"{platform.python_version()}, {sys.executable}")


def check_packages(_setup: Setup) -> Finding:
    """Check that every required package is installed."""
    missing = [name for name in _required_packages() if _version(name) is None]
    if missing:
        return fail(f"missing: {', '.join(missing)}", "Install layer-mcp again.")
    versions = [f"{name} {_version(name)}" for name in REPORTED_PACKAGES]
    return ok(", ".join([f"{DISTRIBUTION} {__version__}", *versions]))


def _required_packages() -> list[str]:
    """Return the packages that are required on every system."""
    try:
        requirements = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    names = (REQUIREMENT_NAME.match(line) for line in requirements if ";" not in line)
    return [match[0] for match in names if match]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
