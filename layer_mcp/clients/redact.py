"""Hides secrets in printed output: tokens, and all values of other servers."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from ..settings import Settings
from ..tokens import contains_token
from .catalog import Client
from .command import ServerCommand
from .entries import TOKEN_NAMES, environment_of

HIDDEN = "..."
QUOTED = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*')"""
# At the start of a line, in TOML's form too. Requiring a value keeps base64 from matching.
LINE_KEY = re.compile(rf"(?:{QUOTED}|[\w.-]+)\s*(?:=(?=\s*[^\s=])|:(?=\s|$))|{QUOTED}\s*:")
FLOW_KEY = re.compile(rf"(?:[\w.-]+\s*:(?=\s|$)|{QUOTED}\s*:)")
MARK = re.compile(r"\s+|[{}\[\],]|-(?=\s)")
VALUE = re.compile(rf"{QUOTED}|[^,{{}}\[\]]+")
OPENS_KEY, CLOSES_KEY = ("{", ","), ("}", "[", "]")
KNOWN_NAMES = frozenset(name for one in fields(Settings) for name in one.metadata["names"])


def redact(client: Client, entry: dict[str, Any]) -> dict[str, Any]:
    """Return our entry with only what `install` writes, and without the token."""
    written = client.entry(ServerCommand(""))
    shown: dict[str, Any] = {
        key: value if key in written and not contains_token(f"{value}") else HIDDEN
        for key, value in entry.items()
    }
    environment = environment_of(client, entry)
    if environment:
        shown[client.env_key] = {
            name: value if _is_shown(name, value) else HIDDEN for name, value in environment.items()
        }
    return shown


def redacted_diff(path: str, before: str, after: str, own: str) -> str:
    """Return the changed lines as a unified diff, with all values hidden outside `own` lines."""
    own_lines = {_bare(line) for line in own.splitlines()}
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), path, path, n=0, lineterm=""
    )
    return "".join(f"{_redact_line(line, own_lines)}\n" for line in lines)


def _is_shown(name: str, value: Any) -> bool:
    return name in KNOWN_NAMES and name not in TOKEN_NAMES and not contains_token(f"{value}")


def _redact_line(line: str, own_lines: set[str]) -> str:
    sign, rest = line[:1], line[1:]
    if line.startswith(("--- ", "+++ ", "@@ ")) or _bare(rest) in own_lines:
        return line
    return sign + "".join(_hide_values(rest))


def _bare(line: str) -> str:
    return line.strip().removesuffix(",")


def _hide_values(line: str) -> Iterator[str]:
    """Yield a line's keys and punctuation, with "..." in place of its values."""
    position = 0
    key: re.Pattern[str] | None = LINE_KEY
    while position < len(line):
        if key and (found := key.match(line, position)):
            yield found[0]
            key = None
        elif found := MARK.match(line, position):
            yield found[0]
            key = FLOW_KEY if found[0] in OPENS_KEY else key if found[0] not in CLOSES_KEY else None
        else:
            yield HIDDEN
            key = None
            found = VALUE.match(line, position)
        position = found.end() if found else len(line)
