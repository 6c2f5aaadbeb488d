"""YAML, edited in its text: PyYAML says where the nodes are, their lines are ours to change."""

import json
import re
from collections.abc import Mapping
from typing import Any, cast

import yaml

from ..errors import ConfigSyntaxError, NotEditableError
from . import Place, newline_of
from .json_scan import comma_after

PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*")
NOT_PLAIN = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
USUAL_INDENT = 2
# What YAML takes within quotes as it is; a line separator would be folded to a blank.
AS_IT_IS = (
    "\\x20-\\x7e\\xa0-\\u2027\\u202a-\\ud7ff\\ue000-\\ufefe\\uff00-\\ufffd\\U00010000-\\U0010ffff"
)
NOT_AS_IT_IS = re.compile(f"[^{AS_IT_IS}]")

Pair = tuple[yaml.Node, yaml.Node]

# The safe loader, in C where PyYAML was built with it.
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse(text: str) -> Any:
    """What a text says; an empty mapping when it says nothing.

    Raises:
        ConfigSyntaxError: it is no YAML, or more than one document.
    """
    try:
        return _data(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        pass
    try:
        # It says better what is wrong, in ten times the time.
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise ConfigSyntaxError(error.problem or "It is no YAML", line, column) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        raise ConfigSyntaxError(error.reason, line, column) from None
    except RecursionError:
        raise ConfigSyntaxError("It is nested too deeply", 1, 1) from None
    except ValueError as error:
        raise ConfigSyntaxError(str(error), 1, 1) from None


def put(text: str, place: Place, name: str, entry: dict[str, Any]) -> str:
    """The text with the entry: where it was, else first among the servers.

    Raises:
        NotEditableError: the servers are an alias of something else.
    """
    [key] = place
    newline = newline_of(text)
    root = yaml.compose(text, _LOADER)
    servers = _pair(root, key)
    if root is None or (servers is None and not _is_flow(root)):
        ending = "" if not text or text.endswith("\n") else newline
        return text + ending + _joined({key: {name: entry}}, 0, newline)
    if servers is None:
        return _put_into_flow(text, root, key, {name: entry})
    _refuse_alias(*servers)
    value = servers[1]
    ours = _pair(value, name)
    if isinstance(value, yaml.MappingNode) and value.value:
        if ours is None:
            return _put_first(text, servers, name, entry)
        _refuse_alias(*ours)
        return _replaced(text, value, ours, name, entry)
    indent = servers[0].start_mark.column + USUAL_INDENT
    if _is_flow(root):
        flow = _flow({name: entry})
        before = "" if text[value.start_mark.index - 1].isspace() else " "
        return text[: value.start_mark.index] + before + flow + text[value.end_mark.index :]
    after_key = text.index(":", servers[0].end_mark.index) + 1
    rest = text[value.end_mark.index :] if value.end_mark.index > after_key else text[after_key:]
    lines = _joined({name: entry}, indent, newline)
    remark, _, below = rest.partition("\n")
    return text[:after_key] + remark.rstrip("\r") + newline + lines + below


def take_out(text: str, place: Place, name: str) -> str:
    """The text without the entry; the last one leaves an empty mapping.

    Raises:
        NotEditableError: the entry is an alias of something else.
    """
    [key] = place
    servers = _pair(yaml.compose(text, _LOADER), key)
    ours = _pair(servers[1], name) if servers else None
    if servers is None or ours is None:
        return text
    _refuse_alias(*servers)
    _refuse_alias(*ours)
    if _is_flow(servers[1]):
        return _without_in_flow(text, servers[1], ours)
    start, end = _lines_of(text, ours)
    kept = text[:start] + text[end:]
    if len(servers[1].value) > 1:
        return kept
    after_key = text.index(":", servers[0].end_mark.index) + 1
    return kept[:after_key] + " {}" + kept[after_key:]


def _data(text: str) -> Any:
    data = yaml.load(text, _LOADER)  # noqa: S506
    return {} if data is None else data


def _pair(node: Any, key: str) -> Pair | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    pairs = cast("list[Pair]", node.value)
    return next((pair for pair in reversed(pairs) if pair[0].value == key), None)


def _is_flow(node: Any) -> bool:
    """Whether a mapping or a list is written as in JSON."""
    return bool(getattr(node, "flow_style", False))


def _refuse_alias(key: yaml.Node, value: yaml.Node) -> None:
    if value.start_mark.index < key.end_mark.index:
        raise NotEditableError("it is an alias of another part")


def _put_first(text: str, servers: Pair, name: str, entry: dict[str, Any]) -> str:
    first = cast("list[Pair]", servers[1].value)[0][0].start_mark
    if _is_flow(servers[1]):
        return _put_into_flow(text, servers[1], name, entry)
    line_start = text.index("\n", servers[0].end_mark.index) + 1
    if line_start > first.index:
        raise NotEditableError("the servers begin on the line of their key")
    lines = _joined({name: entry}, first.column, newline_of(text))
    return text[:line_start] + lines + text[line_start:]


def _put_into_flow(text: str, node: Any, name: str, value: Any) -> str:
    at = text.index("{", node.start_mark.index) + 1
    comma = ", " if node.value else ""
    member = f"{_flow(name)}: {_flow(value)}{comma}"
    return text[:at] + member + text[at:]


def _replaced(text: str, servers: Any, ours: Pair, name: str, entry: dict[str, Any]) -> str:
    if _is_flow(servers):
        flow = _flow(entry)
        start, end = ours[1].start_mark.index, ours[1].end_mark.index
        return text[:start] + flow + text[end:]
    start, end = _lines_of(text, ours)
    lines = _joined({name: entry}, ours[0].start_mark.column, newline_of(text))
    return text[:start] + lines + text[end:]


def _without_in_flow(text: str, servers: Any, ours: Pair) -> str:
    start, end = ours[0].start_mark.index, ours[1].end_mark.index
    comma = comma_after(text, end)
    if comma is not None:
        rest = text[comma + 1 :]
        return text[:start] + (rest.lstrip(" ") if text[start - 1] in "{ " else rest)
    before = text[:start].rstrip()
    return before.removesuffix(",") + text[end:]


def _lines_of(text: str, pair: Pair) -> tuple[int, int]:
    """The lines of a member of a block; comments that follow it stay."""
    start = text.rfind("\n", 0, pair[0].start_mark.index) + 1
    last = _last_position(pair[1])
    end = text.find("\n", max(last, pair[0].end_mark.index))
    return start, len(text) if end < 0 else end + 1


def _last_position(node: yaml.Node) -> int:
    """The last character of a node; a block's own mark is behind the comments that follow it."""
    parts: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        parts = [part for pair in cast("list[Pair]", node.value) for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        parts = cast("list[yaml.Node]", node.value)
    if not parts or _is_flow(node):
        return max(node.end_mark.index - 1, 0)
    return max(_last_position(part) for part in parts)


def _joined(values: Mapping[str, Any], indent: int, newline: str) -> str:
    return "".join(line + newline for line in _lines(values, indent))


def _lines(values: Mapping[str, Any], indent: int) -> list[str]:
    lines: list[str] = []
    for key, value in values.items():
        head = f"{' ' * indent}{_scalar(key)}:"
        if isinstance(value, dict) and value:
            inner = cast("dict[str, Any]", value)
            lines += [head, *_lines(inner, indent + USUAL_INDENT)]
        elif isinstance(value, dict | list):
            lines.append(f"{head} {_flow(value)}")
        else:
            lines.append(f"{head} {_scalar(value)}")
    return lines


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        is_plain = PLAIN.fullmatch(value) and value.lower() not in NOT_PLAIN
        return value if is_plain else _flow(value)
    return _flow(value)


def _flow(value: Any) -> str:
    """A value as JSON, which YAML reads too."""
    text = json.dumps(value, ensure_ascii=False)
    return NOT_AS_IT_IS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
