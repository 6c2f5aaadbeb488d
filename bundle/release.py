"""python -m bundle.release TAG OWNER: whether this tree may be released so; needs only Python."""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSION = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)


def main(arguments: Sequence[str]) -> int:
    """Say what is wrong; 1 when anything is."""
    tag, owner = arguments
    wrong = mistakes(tag, owner)
    for mistake in wrong:
        print(mistake, file=sys.stderr)
    return 1 if wrong else 0


def mistakes(tag: str, owner: str) -> list[str]:
    """What keeps a tag of this owner's repository from being a release."""
    version = _version()
    namespace = json.loads(_text("server.json"))["name"].partition("/")[0]
    allowed = f"io.github.{owner}"
    wrong: list[str] = []
    if tag != f"v{version}":
        wrong.append(f"The tag is {tag}, but the package is {version}: tag it v{version}.")
    if namespace.lower() != allowed.lower():
        wrong.append(
            f"server.json is for {namespace}, but this repository may publish {allowed}: "
            "change NAME in bundle/registry_entry.py, run python -m bundle write, and change "
            "mcp-name in README.md."
        )
    if f"## [{version}]" not in _text("CHANGELOG.md"):
        wrong.append(f"CHANGELOG.md has no section [{version}].")
    return wrong


def _version() -> str:
    found = VERSION.search(_text("layer_mcp/__init__.py"))
    if found is None:
        raise ValueError("layer_mcp/__init__.py has no __version__.")
    return found[1]


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
