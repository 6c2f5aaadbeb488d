"""Edits YAML: PyYAML finds the positions of the nodes, and only the entry's lines change."""

import json
import re
from collections.abc import Mapping
from typing import Any, cast

import yaml

from .errors import ConfigSyntaxError, NotEditableError
from .jsonc import comma_after
from .line_endings import newline_of

PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*")
NOT_PLAIN = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
INDENT = 2
NO_YAML = "It isn't valid YAML"
# A line separator within quotes would be folded into a space.
ALLOWED_IN_QUOTES = (
    "\\x20-\\x7e\\xa0-\\u2027\\u202a-\\ud7ff\\ue000-\\ufefe\\uff00-\\ufffd\\U00010000-\\U0010ffff"
)
ESCAPED_IN_QUOTES = re.compile(f"[^{ALLOWED_IN_QUOTES}]")

Pair = tuple[yaml.Node, yaml.Node]

# PyYAML can be built without its C library.
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse(text: str) -> Any:
    """Return the data of a text; an empty mapping for an empty text.

    Raises:
        ConfigSyntaxError: The text isn't valid YAML, or has more than one document.
    """
    try:
        data = yaml.load(text, _LOADER)  # noqa: S506
        return {} if data is None else data
    except (yaml.YAMLError, ValueError, RecursionError):
        pass
    try:
        # Ten times slower, but with better error messages.
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise ConfigSyntaxError(NO_YAML, line, column) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        raise ConfigSyntaxError(NO_YAML, line, column) from None
    except RecursionError:
        raise ConfigSyntaxError("It's nested too deeply", 1, 1) from None
    except ValueError:
        raise ConfigSyntaxError("It has a value that can't be read", 1, 1) from None


def set_entry(text: str, servers_key: str, name: str, entry: dict[str, Any]) -> str:
    """Return the text with the entry: in its place, or first among the servers if it's new.

    Raises:
        NotEditableError: The servers are an alias of another part.
    """
    root = yaml.compose(text, _LOADER)
    servers = _find_pair(root, servers_key)
    if root is None or (servers is None and not _is_flow(root)):
        newline = newline_of(text)
        ending = "" if not text or text.endswith("\n") else newline
        return text + ending + _dump_block({servers_key: {name: entry}}, 0, newline)
    if servers is None:
        return _insert_into_flow(text, root, servers_key, {name: entry})
    _refuse_alias(*servers)
    value = servers[1]
    if not isinstance(value, yaml.MappingNode) or not value.value:
        return _fill_empty(text, root, servers, {name: entry})
    ours = _find_pair(value, name)
    if ours is None:
        return _insert_first(text, servers, name, entry)
    _refuse_alias(*ours)
    return _replace(text, value, ours, name, entry)


def remove_entry(text: str, servers_key: str, name: str) -> str:
    """Return the text without the entry; the last one leaves an empty mapping.

    Raises:
        NotEditableError: The entry is an alias of another part.
    """
    servers = _find_pair(yaml.compose(text, _LOADER), servers_key)
    ours = _find_pair(servers[1], name) if servers else None
    if servers is None or ours is None:
        return text
    _refuse_alias(*servers)
    _refuse_alias(*ours)
    if _is_flow(servers[1]):
        return _remove_from_flow(text, ours)
    start, end = _line_range(text, ours)
    kept = text[:start] + text[end:]
    if len(servers[1].value) > 1:
        return kept
    after_key = text.index(":", servers[0].end_mark.index) + 1
    return kept[:after_key] + " {}" + kept[after_key:]


def _find_pair(node: Any, key: str) -> Pair | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    pairs = cast("list[Pair]", node.value)
    return next((pair for pair in reversed(pairs) if pair[0].value == key), None)


def _is_flow(node: Any) -> bool:
    """Return whether a mapping or a list is written as in JSON."""
    return bool(getattr(node, "flow_style", False))


def _refuse_alias(key: yaml.Node, value: yaml.Node) -> None:
    if value.start_mark.index < key.end_mark.index:
        raise NotEditableError("it is an alias of another part")


def _fill_empty(text: str, root: Any, servers: Pair, entries: dict[str, Any]) -> str:
    """Write entries in place of an empty mapping or null."""
    key, value = servers
    start, end = value.start_mark.index, value.end_mark.index
    if _is_flow(root):
        space = "" if text[start - 1].isspace() else " "
        return text[:start] + space + _dump_flow(entries) + text[end:]
    after_key = text.index(":", key.end_mark.index) + 1
    comment, _, below = text[max(end, after_key) :].partition("\n")
    newline = newline_of(text)
    lines = _dump_block(entries, key.start_mark.column + INDENT, newline)
    return text[:after_key] + comment.rstrip("\r") + newline + lines + below


def _insert_first(text: str, servers: Pair, name: str, entry: dict[str, Any]) -> str:
    first = cast("list[Pair]", servers[1].value)[0][0].start_mark
    if _is_flow(servers[1]):
        return _insert_into_flow(text, servers[1], name, entry)
    line_start = text.index("\n", servers[0].end_mark.index) + 1
    if line_start > first.index:
        raise NotEditableError("the servers begin on the line of their key")
    lines = _dump_block({name: entry}, first.column, newline_of(text))
    return text[:line_start] + lines + text[line_start:]


def _insert_into_flow(text: str, node: Any, name: str, value: Any) -> str:
    at = text.index("{", node.start_mark.index) + 1
    comma = ", " if node.value else ""
    member = f"{_dump_flow(name)}: {_dump_flow(value)}{comma}"
    return text[:at] + member + text[at:]


def _replace(text: str, servers: Any, ours: Pair, name: str, entry: dict[str, Any]) -> str:
    if _is_flow(servers):
        flow = _dump_flow(entry)
        start, end = ours[1].start_mark.index, ours[1].end_mark.index
        return text[:start] + flow + text[end:]
    start, end = _line_range(text, ours)
    lines = _dump_block({name: entry}, ours[0].start_mark.column, newline_of(text))
    return text[:start] + lines + text[end:]


def _remove_from_flow(text: str, ours: Pair) -> str:
    start, end = ours[0].start_mark.index, ours[1].end_mark.index
    comma = comma_after(text, end)
    if comma is not None:
        rest = text[comma + 1 :]
        return text[:start] + (rest.lstrip(" ") if text[start - 1] in "{ " else rest)
    before = text[:start].rstrip()
    return before.removesuffix(",") + text[end:]


def _line_range(text: str, pair: Pair) -> tuple[int, int]:
    """Return where the lines of a block's member start and end, without comments after it."""
    start = text.rfind("\n", 0, pair[0].start_mark.index) + 1
    last = _last_character(pair[1])
    end = text.find("\n", max(last, pair[0].end_mark.index))
    return start, len(text) if end < 0 else end + 1


def _last_character(node: yaml.Node) -> int:
    """Return the position of a node's last character.

    The end mark of a block is after the comments that follow it.
    """
    parts: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        parts = [part for pair in cast("list[Pair]", node.value) for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        parts = cast("list[yaml.Node]", node.value)
    if not parts or _is_flow(node):
        return max(node.end_mark.index - 1, 0)
    return max(_last_character(part) for part in parts)


def _dump_block(values: Mapping[str, Any], indent: int, newline: str) -> str:
    return "".join(line + newline for line in _block_lines(values, indent))


def _block_lines(values: Mapping[str, Any], indent: int) -> list[str]:
    lines: list[str] = []
    for key, value in values.items():
        head = f"{' ' * indent}{_dump_scalar(key)}:"
        if isinstance(value, dict) and value:
            inner = cast("dict[str, Any]", value)
            lines += [head, *_block_lines(inner, indent + INDENT)]
        elif isinstance(value, dict | list):
            lines.append(f"{head} {_dump_flow(value)}")
        else:
            lines.append(f"{head} {_dump_scalar(value)}")
    return lines


def _dump_scalar(value: Any) -> str:
    if isinstance(value, str):
        is_plain = PLAIN.fullmatch(value) and value.lower() not in NOT_PLAIN
        return value if is_plain else _dump_flow(value)
    return _dump_flow(value)


def _dump_flow(value: Any) -> str:
    """Return a value as JSON, which is valid YAML too."""
    text = json.dumps(value, ensure_ascii=False)
    return ESCAPED_IN_QUOTES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
