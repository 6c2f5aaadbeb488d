"""TOML, edited in its text: an entry is a table and the tables below it."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from ..errors import ConfigSyntaxError, NotEditableError
from . import Place, newline_of

TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\''
    r"|\#[^\n]*|[\[\]{}]|\n|[^\s\[\]{}\"'#]+",
    re.DOTALL,
)
WHERE = re.compile(r"^(.*) \(at (?:line (\d+), column (\d+)|end of document)\)$", re.DOTALL)
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Table:
    """A table with a header of its own: its keys, and where its text begins and ends."""

    keys: Place
    start: int
    end: int


def parse(text: str) -> Any:
    """What a text says.

    Raises:
        ConfigSyntaxError: it is no TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = WHERE.match(str(error))
        lines = text.split("\n")
        problem, line, column = found.groups() if found else (str(error), None, None)
        last = (len(lines), len(lines[-1]) + 1)
        place = (int(line), int(column)) if line and column else last
        raise ConfigSyntaxError(problem, *place) from None
    except RecursionError:
        raise ConfigSyntaxError("It is nested too deeply", 1, 1) from None


def put(text: str, place: Place, name: str, entry: dict[str, Any]) -> str:
    """The text with the entry, where it was, else at the end.

    Raises:
        NotEditableError: the entry or the servers are written in another way.
    """
    newline = newline_of(text)
    lines = newline.join(_table_lines((*place, name), entry)) + newline
    ours = _tables_of(text, (*place, name))
    if ours:
        start = ours[0].start
        for table in reversed(ours):
            text = text[: table.start] + text[table.end :]
        return text[:start] + lines + text[start:]
    if not text:
        return lines
    end = "" if text.endswith("\n") else newline
    return f"{text}{end}{newline}{lines}"


def take_out(text: str, place: Place, name: str) -> str:
    """The text without the tables of the entry, and without the empty line before them.

    Raises:
        NotEditableError: the entry is written in another way.
    """
    ours = _tables_of(text, (*place, name))
    if not ours:
        raise NotEditableError("it is not a table of its own")
    for table in reversed(ours):
        text = text[: table.start] + text[table.end :]
    start = ours[0].start
    before = text[:start]
    if before.endswith("\n\n"):
        start -= 1
    elif before.endswith("\r\n\r\n"):
        start -= 2
    return text[:start] + text[ours[0].start :]


def _tables_of(text: str, keys: Place) -> list[Table]:
    """The tables at and below these keys, as few stretches: only blanks between two join them."""
    stretches: list[Table] = []
    for table in _tables(text):
        if table.keys[: len(keys)] != keys:
            continue
        joins = stretches and not text[stretches[-1].end : table.start].strip()
        start = stretches.pop().start if joins else table.start
        stretches.append(Table(keys, start, table.end))
    return stretches


def _tables(text: str) -> Iterator[Table]:
    """The tables of a text that parses; a table ends after its last statement's line."""
    keys: Place | None = None
    start = end = depth = line_start = 0
    fresh_line = True
    for token in TOKEN.finditer(text):
        kind = token[0][0]
        if kind == "\n":
            line_start, fresh_line = token.end(), depth == 0
            continue
        if kind == "#":
            continue
        if kind == "[" and depth == 0 and fresh_line:
            if keys is not None:
                yield Table(keys, start, end)
            start = line_start
            keys = _keys_of_header(text[start : _line_end(text, start)])
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        fresh_line = False
        end = _line_end(text, token.end())
    if keys is not None:
        yield Table(keys, start, end)


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end + 1


def _keys_of_header(line: str) -> Place:
    keys: list[str] = []
    value: Any = tomllib.loads(line)
    while isinstance(value, dict) and value:
        [(key, value)] = cast("dict[str, Any]", value).items()
        keys.append(key)
    return tuple(keys)


def _table_lines(keys: Place, values: Mapping[str, Any]) -> list[str]:
    lines = [f"[{'.'.join(_key(key) for key in keys)}]"]
    tables = {
        key: cast("dict[str, Any]", value)
        for key, value in values.items()
        if isinstance(value, dict)
    }
    lines += [f"{_key(key)} = {_value(one)}" for key, one in values.items() if key not in tables]
    for key, table in tables.items():
        lines += ["", *_table_lines((*keys, key), table)]
    return lines


def _key(key: str) -> str:
    return key if BARE_KEY.fullmatch(key) else _text(key)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return f"[{', '.join(_value(one) for one in cast('list[Any]', value))}]"
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return f"{{ {', '.join(f'{_key(key)} = {_value(one)}' for key, one in items)} }}"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    return value.isoformat()


def _text(value: str) -> str:
    # A basic string of TOML is one of JSON, except for this character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
