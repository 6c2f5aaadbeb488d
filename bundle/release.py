"""python -m bundle.release TAG OWNER: check that a tag can be released. Needs nothing installed."""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSION = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)


def main(arguments: Sequence[str]) -> int:
    """Print every mistake, and return 1 if there are any."""
    tag, owner = arguments
    found = find_mistakes(tag, owner)
    for mistake in found:
        print(mistake, file=sys.stderr)
    return 1 if found else 0


def find_mistakes(tag: str, owner: str) -> list[str]:
    """Return the reasons why this owner's repository can't release a tag."""
    version = _version()
    namespace = json.loads(_text("server.json"))["name"].partition("/")[0]
    allowed = f"io.github.{owner}"
    mistakes: list[str] = []
    if tag != f"v{version}":
        mistakes.append(f"The tag is {tag}, but the package is {version}: tag it v{version}.")
    if namespace.lower() != allowed.lower():
        mistakes.append(
            f"server.json is for {namespace}, but this repository may publish {allowed}: "
            "change NAME in bundle/listings.py, run python -m bundle write, and change "
            "mcp-name in README.md."
        )
    if f"## [{version}]" not in _text("CHANGELOG.md"):
        mistakes.append(f"CHANGELOG.md has no section [{version}].")
    return mistakes


def _version() -> str:
    found = VERSION.search(_text("layer_mcp/version.py"))
    if found is None:
        raise ValueError("layer_mcp/version.py has no __version__.")
    return found[1]


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
