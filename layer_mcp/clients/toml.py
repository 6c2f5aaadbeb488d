"""Edits TOML: an entry is a table and its subtables.

tomlkit writes the tables and finds their comments. It isn't given the whole file, because it would
move tables that are separated by an array of tables, and drop the comments after a deleted one.
"""

import re
import tomllib
from typing import Any

import tomlkit
from tomlkit.container import Container
from tomlkit.items import AoT, Comment, Table, Whitespace

from .errors import ConfigSyntaxError, NotEditableError
from .line_endings import newline_of

POSITION = re.compile(r" \(at line (\d+), column (\d+)\)$")
BEFORE_HEADER = re.compile(r"^(?=[ \t]*\[.*\][ \t]*(?:#.*)?\r?$)", re.MULTILINE)


def parse(text: str) -> Any:
    """Return the data of a text.

    Raises:
        ConfigSyntaxError: The text isn't valid TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # The parser's message has the position, and may quote the file.
        found = POSITION.search(f"{error}")
        lines = text.split("\n")
        line, column = found.groups() if found else (None, None)
        last = (len(lines), len(lines[-1]) + 1)
        position = (int(line), int(column)) if line and column else last
        raise ConfigSyntaxError("It isn't valid TOML", *position) from None
    except RecursionError:
        raise ConfigSyntaxError("It's nested too deeply", 1, 1) from None


def set_entry(text: str, servers_key: str, name: str, entry: dict[str, Any]) -> str:
    """Return the text with the entry: in its place, or at the end if it's new."""
    newline = newline_of(text)
    tables = tomlkit.dumps({servers_key: {name: entry}}).replace("\n", newline)
    around = _text_around(text, servers_key, name)
    if around:
        before, after = around
        return before + tables + after
    if not text:
        return tables
    end = "" if text.endswith("\n") else newline
    return f"{text}{end}{newline}{tables}"


def remove_entry(text: str, servers_key: str, name: str) -> str:
    """Return the text without the entry's tables and the empty line before them.

    Raises:
        NotEditableError: The entry isn't a table.
    """
    around = _text_around(text, servers_key, name)
    if around is None:
        raise NotEditableError("it isn't a separate table")
    before, after = around
    for newline in ("\n", "\r\n"):
        if before.endswith(newline * 2):
            before = before.removesuffix(newline)
    return before + after


def _text_around(text: str, servers_key: str, name: str) -> tuple[str, str] | None:
    """Return the text before and after an entry's first table, without any of its tables."""
    parts = _split_tables(text)
    ours = [index for index in range(1, len(parts)) if _has_header(parts[index], servers_key, name)]
    if not ours:
        return None
    for index in ours:
        comments = _trailing_comments(tomlkit.parse(parts[index]))
        is_blank = index + 1 in ours and not comments.strip()
        parts[index] = "" if is_blank else comments
    return "".join(parts[: ours[0]]), "".join(parts[ours[0] :])


def _split_tables(text: str) -> list[str]:
    """Split a text before each table's header."""
    first, *others = BEFORE_HEADER.split(text)
    parts = [first]
    for part in others:
        # In an array or a string over several lines, a line can look like a header.
        if _is_complete(parts[-1]):
            parts.append(part)
        else:
            parts[-1] += part
    return parts


def _is_complete(part: str) -> bool:
    try:
        tomllib.loads(part)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _has_header(part: str, servers_key: str, name: str) -> bool:
    header = part.partition("\n")[0].rstrip("\r")
    return name in tomllib.loads(header).get(servers_key, {})


def _trailing_comments(container: Container) -> str:
    """Return the comments and blank lines after the last statement."""
    trailing = ""
    for _, item in reversed(container.body):
        last = item.body[-1] if isinstance(item, AoT) else item
        if isinstance(last, Table):
            return _trailing_comments(last.value) + trailing
        if not isinstance(item, Comment | Whitespace):
            break
        trailing = item.as_string() + trailing
    return trailing
