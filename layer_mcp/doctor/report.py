"""The report: a table for people, JSON for programs."""

import json
import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .. import __version__
from .check import Check, State

WIDTH = 80
TITLE_WIDTH = 16
MARKS: Mapping[State, str] = {"ok": "✓", "warning": "!", "failed": "✗", "skipped": "-"}
PLAIN_MARKS: Mapping[State, str] = {"ok": "+", "warning": "!", "failed": "x", "skipped": "-"}
COLOURS: Mapping[State, str] = {"ok": "32", "warning": "33", "failed": "31", "skipped": "90"}


def marks_for(encoding: str | None) -> Mapping[State, str]:
    """The marks that a terminal of this encoding can show."""
    try:
        "".join(MARKS.values()).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return PLAIN_MARKS
    return MARKS


def lines_of(check: Check, marks: Mapping[State, str], *, coloured: bool) -> Iterator[str]:
    """The lines of one check, at most 80 columns wide: the fact, then the fix below it."""
    mark = marks[check.state]
    shown = f"\x1b[{COLOURS[check.state]}m{mark}\x1b[0m" if coloured else mark
    indent = " " * (TITLE_WIDTH + 3)
    first, *more = wrapped(check.fact, WIDTH - len(indent))
    yield f"{shown} {check.title:<{TITLE_WIDTH}} {first}"
    fix = wrapped(f"Fix: {check.fix}", WIDTH - len(indent)) if check.fix else []
    for line in [*more, *fix]:
        yield indent + line


def summary(checks: Iterable[Check]) -> str:
    """The last line."""
    states = [check.state for check in checks]
    failed, warnings = states.count("failed"), states.count("warning")
    warned = f", {warnings} warning{'' if warnings == 1 else 's'}" if warnings else ""
    return f"{failed} failed{warned}." if failed else f"Everything needed works{warned}."


def passes(checks: Iterable[Check]) -> bool:
    """Whether nothing failed; a warning is no failure."""
    return all(check.state != "failed" for check in checks)


def as_json(checks: Iterable[Check]) -> str:
    """The report as one JSON object.

    `{"layer_mcp": version, "passed": bool, "checks": [{"id", "title", "state", "fact", "fix"}]}`:
    `id` is stable, `state` is ok, warning, failed or skipped, `fix` is there for a warning and a
    failure only. A client's line is `client.` and its name, and there when it is configured.
    """
    listed = list(checks)
    facts = {"layer_mcp": __version__, "passed": passes(listed)}
    return json.dumps(facts | {"checks": [_as_object(check) for check in listed]}, indent=2)


def wrapped(text: str, width: int) -> list[str]:
    """Text in lines of a width in columns, where some letters take two."""
    lines: list[str] = []
    line = ""
    for word in _words(text, width):
        if line and columns(line) + columns(word.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += word
    return [*lines, line.rstrip()]


def columns(text: str) -> int:
    """How wide a terminal shows a text."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _words(text: str, width: int) -> Iterator[str]:
    """Words with the blank after them; one that fits no line comes in pieces."""
    for word in re.findall(r"\S+\s?", _printable(text)):
        if columns(word.rstrip()) <= width:
            yield word
            continue
        # Half as many letters fit for sure.
        yield from textwrap.wrap(word, width if word.isascii() else width // 2)[:-1]
        yield textwrap.wrap(word, width if word.isascii() else width // 2)[-1] + " "


def _printable(text: str) -> str:
    """Foreign text as one line that cannot steer a terminal."""
    return "".join(one if one.isprintable() else " " for one in text)


def _as_object(check: Check) -> dict[str, Any]:
    facts = {"id": check.id, "title": check.title, "state": check.state, "fact": check.fact}
    return facts | ({"fix": check.fix} if check.fix else {})
