r"""Where the members of JSON with comments and trailing commas stand in its text.

Comments and trailing commas are blanked to spaces, so the standard parser reads the rest and every
position stays what it was.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

STRING = r'"(?:[^"\\\n]|\\.)*"'
COMMENT = r"//[^\r\n]*|/\*.*?\*/"
COMMENT_OR_STRING = re.compile(f"{STRING}|{COMMENT}", re.DOTALL)
TRAILING_COMMA_OR_STRING = re.compile(rf"{STRING}|,(?=[ \t\r\n]*[}}\]])")
BLANKS_AND_COMMENTS = re.compile(rf"(?:[ \t\r\n]|{COMMENT})*", re.DOTALL)
REST_OF_LINE = re.compile(r"(?:[ \t]+|/\*[^\r\n]*?\*/)*(?://[^\r\n]*)?")
NOT_A_LINE_END = re.compile(r"[^\r\n]")
BLANK = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True)
class Member:
    """A member of an object: its name, where it and its value begin, where it ends."""

    name: str
    start: int
    value_start: int
    end: int


def plain_json(text: str) -> str:
    """The text with spaces for its comments and trailing commas."""
    without_comments = COMMENT_OR_STRING.sub(_blank_unless_string, text)
    return TRAILING_COMMA_OR_STRING.sub(_blank_if_trailing, without_comments)


def after_blank(plain: str, position: int) -> int:
    """The first position from here on that is not blank."""
    found = BLANK.match(plain, position)
    return found.end() if found else position


def members_of(plain: str, start: int) -> list[Member]:
    """The members of the object that begins at a position; none where no object does."""
    return list(_members(plain, start)) if plain[start : start + 1] == "{" else []


def last_named(members: list[Member], name: str) -> Member | None:
    """The member that counts: parsers take the last of equal names."""
    return next((one for one in reversed(members) if one.name == name), None)


def comma_after(text: str, position: int) -> int | None:
    """Where the comma is that follows the end of a value, before or after comments."""
    found = BLANKS_AND_COMMENTS.match(text, position)
    end = found.end() if found else position
    return end if text[end : end + 1] == "," else None


def end_of_remarks(text: str, position: int) -> int:
    """The end of the comments that follow on the same line."""
    found = REST_OF_LINE.match(text, position)
    end = found.end() if found else position
    return position + len(text[position:end].rstrip(" \t"))


def line_indent(text: str, position: int) -> str:
    """The blanks at the start of a position's line."""
    line = text[text.rfind("\n", 0, position) + 1 : position]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _blank_unless_string(found: re.Match[str]) -> str:
    return found[0] if found[0][0] == '"' else NOT_A_LINE_END.sub(" ", found[0])


def _blank_if_trailing(found: re.Match[str]) -> str:
    """A comma is one too many only after a value."""
    position = found.start() - 1
    while position >= 0 and found.string[position] in " \t\r\n":
        position -= 1
    is_after_value = position >= 0 and found.string[position] not in "{[:,"
    return " " if found[0] == "," and is_after_value else found[0]


def _members(plain: str, start: int) -> Iterator[Member]:
    decoder = json.JSONDecoder()
    position = after_blank(plain, start + 1)
    while plain[position] != "}":
        name, after_name = decoder.raw_decode(plain, position)
        value_start = after_blank(plain, after_blank(plain, after_name) + 1)
        _, end = decoder.raw_decode(plain, value_start)
        yield Member(name, position, value_start, end)
        position = after_blank(plain, end)
        if plain[position] == ",":
            position = after_blank(plain, position + 1)
