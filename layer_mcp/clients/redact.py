"""Hides the token, and the values of other people's servers, in what is printed."""

import difflib
import re
from typing import Any

from .catalog import Client
from .entries import TOKEN_NAMES, environment_of

HIDDEN = "..."
QUOTED = re.compile(r"""("(?:[^"\\]|\\.)*"?|'[^']*'?)(\s*[:=])?""")
BARE_VALUE = re.compile(r"""(?<=[:=])(\s*)(?![\s"'{\[])[^,{}\[\]"']+""")
PUNCTUATION_ONLY = re.compile(r"[\W_]*")


def redact(client: Client, entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry that shows only our own variables of its environment, without the token."""
    environment = environment_of(client, entry)
    if not environment:
        return entry
    shown = {
        name: value if name.startswith("LAYER_") and name not in TOKEN_NAMES else HIDDEN
        for name, value in environment.items()
    }
    return {**entry, client.env_key: shown}


def redacted_diff(path: str, before: str, after: str, own: str) -> str:
    """Return the changed lines as a unified diff, with all values hidden outside `own` lines."""
    own_lines = {_bare(line) for line in own.splitlines()}
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), path, path, n=0, lineterm=""
    )
    return "".join(f"{_redact_line(line, own_lines)}\n" for line in lines)


def _redact_line(line: str, own_lines: set[str]) -> str:
    sign, rest = line[:1], line[1:]
    if line.startswith(("--- ", "+++ ", "@@ ")) or _bare(rest) in own_lines:
        return line
    return sign + _hide_values(rest)


def _bare(line: str) -> str:
    return line.strip().removesuffix(",")


def _hide_values(line: str) -> str:
    if PUNCTUATION_ONLY.fullmatch(line):
        return line
    hidden = BARE_VALUE.sub(rf"\1{HIDDEN}", QUOTED.sub(_hide_unless_key, line))
    has_key = hidden != line or line.rstrip().endswith((":", "]", "{"))
    return hidden if has_key else f"{line[: len(line) - len(line.lstrip())]}{HIDDEN}"


def _hide_unless_key(found: re.Match[str]) -> str:
    return found[0] if found[2] else f'"{HIDDEN}"'
