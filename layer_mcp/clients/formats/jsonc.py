"""JSON, with comments and trailing commas as VS Code and Zed allow them, edited in its text."""

import json
import re
from typing import Any

from ..errors import ConfigSyntaxError
from . import Place, nested, newline_of
from .json_scan import (
    Member,
    after_blank,
    comma_after,
    end_of_remarks,
    last_named,
    line_indent,
    members_of,
    plain_json,
)

FIRST_INDENT = re.compile(r"^([ \t]+)[^ \t\r\n/*]", re.MULTILINE)
USUAL_INDENT = "  "


def parse(text: str) -> Any:
    """What a text says; an empty object when it says nothing.

    Raises:
        ConfigSyntaxError: it is no JSON, not even with comments.
    """
    plain = plain_json(text)
    if not plain.strip():
        return {}
    try:
        return json.loads(plain)
    except json.JSONDecodeError as error:
        raise ConfigSyntaxError(error.msg, error.lineno, error.colno) from None
    except RecursionError:
        raise ConfigSyntaxError("It is nested too deeply", 1, 1) from None
    except ValueError as error:
        raise ConfigSyntaxError(str(error), 1, 1) from None


def put(text: str, place: Place, name: str, entry: dict[str, Any]) -> str:
    """The text with the entry, in the text's own indentation and line ends."""
    plain = plain_json(text)
    start = after_blank(plain, 0)
    if start == len(plain):
        comments = f"{text.rstrip()}{newline_of(text)}" if text.strip() else ""
        value = nested((*place, name), entry)
        return f"{comments}{_dumped(value, text, '')}{newline_of(text)}"
    path = (*place, name)
    for depth, key in enumerate(path):
        members = members_of(plain, start)
        value = nested(path[depth + 1 :], entry)
        found = last_named(members, key)
        if found is None:
            return _inserted(text, start, members, key, value)
        start = found.value_start
        # Above the entry, what is no object is null.
        if depth + 1 == len(path) or plain[start] != "{":
            spread = "\n" in text[members[0].start : members[-1].end]
            indent = line_indent(text, found.start)
            new = _dumped(value, text, indent) if spread else _on_one_line(value)
            return text[:start] + new + text[found.end :]
    return text


def take_out(text: str, place: Place, name: str) -> str:
    """The text without the entry; what is around it stays."""
    while True:
        plain = plain_json(text)
        start = after_blank(plain, 0)
        for key in place:
            found = last_named(members_of(plain, start), key)
            if found is None:
                return text
            start = found.value_start
        members = members_of(plain, start)
        ours = last_named(members, name)
        if ours is None:
            return text
        text = _without(text, start, members, members.index(ours))


def _inserted(text: str, start: int, members: list[Member], key: str, value: Any) -> str:
    """The text with one more member at the end of the object that begins at `start`."""
    end = members[-1].end if members else start + 1
    close = after_blank(plain_json(text), end)
    if "\n" in text[start:close]:
        return _inserted_as_lines(text, start, members, key, value)
    if members or text[start + 1 : close].strip():
        at = end if members else close
        before = ", " if members else ""
        member = f"{json.dumps(key)}: {_on_one_line(value)}"
        return f"{text[:at]}{before}{member}{text[at:]}"
    newline, outer = newline_of(text), line_indent(text, start)
    member = _member_line(text, outer + _indent_unit(text), key, value)
    return f"{text[: start + 1]}{member}{newline}{outer}{text[close:]}"


def _inserted_as_lines(text: str, start: int, members: list[Member], key: str, value: Any) -> str:
    if not members:
        close = after_blank(plain_json(text), start + 1)
        at = start + 1 + len(text[start + 1 : close].rstrip())
        indent = line_indent(text, start) + _indent_unit(text)
        return text[:at] + _member_line(text, indent, key, value) + text[at:]
    trailing = comma_after(text, members[-1].end)
    after = members[-1].end if trailing is None else trailing + 1
    comma, own_comma = (",", "") if trailing is None else ("", ",")
    at = end_of_remarks(text, after)
    member = _member_line(text, line_indent(text, members[-1].start), key, value)
    return text[:after] + comma + text[after:at] + member + own_comma + text[at:]


def _member_line(text: str, indent: str, key: str, value: Any) -> str:
    return f"{newline_of(text)}{indent}{json.dumps(key)}: {_dumped(value, text, indent)}"


def _without(text: str, start: int, members: list[Member], index: int) -> str:
    member = members[index]
    is_last = index + 1 == len(members)
    comma = comma_after(text, member.end)
    end = member.end if comma is None else comma + 1
    before = text[: member.start].rstrip(" \t")
    begin = member.start
    if before.endswith("\n"):
        begin = len(before.removesuffix("\n").removesuffix("\r"))
    elif is_last:
        begin = len(before)
    else:
        end += len(text[end:]) - len(text[end:].lstrip(" \t"))
    kept = text[:begin] + text[end:]
    if is_last and comma is None and index:
        separator = comma_after(text, members[index - 1].end)
        kept = kept if separator is None else kept[:separator] + kept[separator + 1 :]
    if len(members) > 1:
        return kept
    close = after_blank(kept, start + 1)
    return kept[: start + 1] + kept[close:] if kept[close] == "}" else kept


def _dumped(value: Any, text: str, indent: str) -> str:
    lines = json.dumps(value, indent=_indent_unit(text), ensure_ascii=False).split("\n")
    return f"{newline_of(text)}{indent}".join(lines)


def _on_one_line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _indent_unit(text: str) -> str:
    found = FIRST_INDENT.search(text)
    return found[1] if found else USUAL_INDENT
