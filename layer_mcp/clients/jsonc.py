"""Edits JSON, with the comments and trailing commas that VS Code and Zed allow.

Spaces in place of comments and trailing commas make it plain JSON in which every position is the
same as in the text.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .errors import ConfigSyntaxError
from .line_endings import newline_of

STRING = r'"(?:[^"\\\n]|\\.)*"'
COMMENT = r"//[^\r\n]*|/\*.*?\*/"
COMMENT_OR_STRING = re.compile(f"{STRING}|{COMMENT}", re.DOTALL)
TRAILING_COMMA_OR_STRING = re.compile(rf"{STRING}|,(?=[ \t\r\n]*[}}\]])")
SPACE_AND_COMMENTS = re.compile(rf"(?:[ \t\r\n]|{COMMENT})*", re.DOTALL)
REST_OF_LINE = re.compile(r"(?:[ \t]+|/\*[^\r\n]*?\*/)*(?://[^\r\n]*)?")
NOT_A_LINE_END = re.compile(r"[^\r\n]")
SPACE = re.compile(r"[ \t\r\n]*")
FIRST_INDENT = re.compile(r"^([ \t]+)[^ \t\r\n/*]", re.MULTILINE)
DEFAULT_INDENT = "  "


@dataclass(frozen=True)
class Member:
    """A member of an object: its name, where it and its value start, where it ends."""

    name: str
    start: int
    value_start: int
    end: int


def parse(text: str) -> Any:
    """Return the data of a text; an empty object for an empty text.

    Raises:
        ConfigSyntaxError: The text isn't JSON, even with comments.
    """
    plain = _plain_json(text)
    if not plain.strip():
        return {}
    try:
        return json.loads(plain)
    except json.JSONDecodeError as error:
        raise ConfigSyntaxError("It isn't valid JSON", error.lineno, error.colno) from None
    except RecursionError:
        raise ConfigSyntaxError("It's nested too deeply", 1, 1) from None
    except ValueError:
        raise ConfigSyntaxError("It has a number that is too long", 1, 1) from None


def set_entry(text: str, servers_key: str, name: str, entry: dict[str, Any]) -> str:
    """Return the text with the entry, in the text's own indentation and line endings."""
    plain = _plain_json(text)
    start = _skip_space(plain, 0)
    if start == len(plain):
        comments = f"{text.rstrip()}{newline_of(text)}" if text.strip() else ""
        new = _dump({servers_key: {name: entry}}, text, "")
        return f"{comments}{new}{newline_of(text)}"
    members = _members_of(plain, start)
    servers = _last_named(members, servers_key)
    if servers is None:
        return _insert(text, start, members, servers_key, {name: entry})
    if plain[servers.value_start] != "{":
        # The servers are null.
        return _replace(text, members, servers, {name: entry})
    members = _members_of(plain, servers.value_start)
    ours = _last_named(members, name)
    if ours is None:
        return _insert(text, servers.value_start, members, name, entry)
    return _replace(text, members, ours, entry)


def remove_entry(text: str, servers_key: str, name: str) -> str:
    """Return the text without any entry of this name."""
    while True:
        plain = _plain_json(text)
        servers = _last_named(_members_of(plain, _skip_space(plain, 0)), servers_key)
        members = _members_of(plain, servers.value_start) if servers else []
        ours = _last_named(members, name)
        if servers is None or ours is None:
            return text
        text = _remove(text, servers.value_start, members, members.index(ours))


def comma_after(text: str, position: int) -> int | None:
    """Return the position of the comma after a value, skipping comments, or None."""
    found = SPACE_AND_COMMENTS.match(text, position)
    end = found.end() if found else position
    return end if text[end : end + 1] == "," else None


def _replace(text: str, members: list[Member], old: Member, value: Any) -> str:
    is_on_lines = "\n" in text[members[0].start : members[-1].end]
    new = _dump(value, text, _line_indent(text, old.start)) if is_on_lines else _dump_line(value)
    return text[: old.value_start] + new + text[old.end :]


def _insert(text: str, start: int, members: list[Member], key: str, value: Any) -> str:
    """Add a member at the end of the object that starts at a position."""
    end = members[-1].end if members else start + 1
    close = _skip_space(_plain_json(text), end)
    if "\n" in text[start:close]:
        return _insert_lines(text, start, members, key, value)
    if members or text[start + 1 : close].strip():
        at = end if members else close
        before = ", " if members else ""
        return f"{text[:at]}{before}{json.dumps(key)}: {_dump_line(value)}{text[at:]}"
    newline, outer = newline_of(text), _line_indent(text, start)
    member = _member_lines(text, outer + _indent_unit(text), key, value)
    return f"{text[: start + 1]}{member}{newline}{outer}{text[close:]}"


def _insert_lines(text: str, start: int, members: list[Member], key: str, value: Any) -> str:
    if not members:
        close = _skip_space(_plain_json(text), start + 1)
        at = start + 1 + len(text[start + 1 : close].rstrip())
        indent = _line_indent(text, start) + _indent_unit(text)
        return text[:at] + _member_lines(text, indent, key, value) + text[at:]
    trailing = comma_after(text, members[-1].end)
    after = members[-1].end if trailing is None else trailing + 1
    comma, own_comma = (",", "") if trailing is None else ("", ",")
    at = _end_of_line_comments(text, after)
    member = _member_lines(text, _line_indent(text, members[-1].start), key, value)
    return text[:after] + comma + text[after:at] + member + own_comma + text[at:]


def _remove(text: str, start: int, members: list[Member], index: int) -> str:
    """Remove a member of the object that starts at a position."""
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
    close = _skip_space(kept, start + 1)
    return kept[: start + 1] + kept[close:] if kept[close] == "}" else kept


def _member_lines(text: str, indent: str, key: str, value: Any) -> str:
    return f"{newline_of(text)}{indent}{json.dumps(key)}: {_dump(value, text, indent)}"


def _dump(value: Any, text: str, indent: str) -> str:
    lines = json.dumps(value, indent=_indent_unit(text), ensure_ascii=False).split("\n")
    return f"{newline_of(text)}{indent}".join(lines)


def _dump_line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _indent_unit(text: str) -> str:
    found = FIRST_INDENT.search(text)
    return found[1] if found else DEFAULT_INDENT


def _line_indent(text: str, position: int) -> str:
    line = text[text.rfind("\n", 0, position) + 1 : position]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _end_of_line_comments(text: str, position: int) -> int:
    """Return where the comments end that follow on the same line."""
    found = REST_OF_LINE.match(text, position)
    end = found.end() if found else position
    return position + len(text[position:end].rstrip(" \t"))


def _plain_json(text: str) -> str:
    without_comments = COMMENT_OR_STRING.sub(_blank_comment, text)
    return TRAILING_COMMA_OR_STRING.sub(_blank_trailing_comma, without_comments)


def _blank_comment(found: re.Match[str]) -> str:
    return found[0] if found[0][0] == '"' else NOT_A_LINE_END.sub(" ", found[0])


def _blank_trailing_comma(found: re.Match[str]) -> str:
    """Replace a trailing comma; one that doesn't follow a value is an error and stays."""
    position = found.start() - 1
    while position >= 0 and found.string[position] in " \t\r\n":
        position -= 1
    is_after_value = position >= 0 and found.string[position] not in "{[:,"
    return " " if found[0] == "," and is_after_value else found[0]


def _skip_space(plain: str, position: int) -> int:
    found = SPACE.match(plain, position)
    return found.end() if found else position


def _last_named(members: list[Member], name: str) -> Member | None:
    """Return the member that counts: parsers take the last of equal names."""
    return next((member for member in reversed(members) if member.name == name), None)


def _members_of(plain: str, start: int) -> list[Member]:
    """Return the members of the object at a position; none if it isn't an object."""
    return list(_scan_members(plain, start)) if plain[start : start + 1] == "{" else []


def _scan_members(plain: str, start: int) -> Iterator[Member]:
    decoder = json.JSONDecoder()
    position = _skip_space(plain, start + 1)
    while plain[position] != "}":
        name, after_name = decoder.raw_decode(plain, position)
        value_start = _skip_space(plain, _skip_space(plain, after_name) + 1)
        _, end = decoder.raw_decode(plain, value_start)
        yield Member(name, position, value_start, end)
        position = _skip_space(plain, end)
        if plain[position] == ",":
            position = _skip_space(plain, position + 1)
