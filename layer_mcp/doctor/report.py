"""The report: lines for people, JSON for programs."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..text.plain_text import one_line
from ..version import __version__
from .types import CheckResult, State

if TYPE_CHECKING:
    from rich.table import Table

TITLE_COLUMNS = 16
TEXT_COLUMNS = 61
NARROW_COLUMNS = 60
MARKS: Mapping[State, str] = {"ok": "✓", "warning": "!", "failed": "✗", "skipped": "-"}
ASCII_MARKS: Mapping[State, str] = {"ok": "+", "warning": "!", "failed": "x", "skipped": "-"}
STYLES: Mapping[State, str] = {
    "ok": "green",
    "warning": "yellow",
    "failed": "red",
    "skipped": "bright_black",
}


def format_result(result: CheckResult, encoding: str, columns: int) -> "Table":
    """Lay out a result in at most 80 columns: mark, title, and fact, with the fix below.

    In a narrow terminal, the fact is below the title.
    """
    # `--json` doesn't need rich.
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    mark = Text(_marks_for(encoding)[result.state], STYLES[result.state])
    facts = [result.fact, f"Fix: {result.fix}"] if result.fix else [result.fact]
    lines = [Text(one_line(fact)) for fact in facts]
    if columns < NARROW_COLUMNS:
        table.add_column(overflow="fold")
        rows = [(mark, Text(result.title)), *(("", line) for line in lines)]
    else:
        table.add_column(width=TITLE_COLUMNS)
        table.add_column(max_width=TEXT_COLUMNS, overflow="fold")
        rows = [(mark, Text(result.title), lines[0]), *(("", "", line) for line in lines[1:])]
    for row in rows:
        table.add_row(*row)
    return table


def summarize(results: Iterable[CheckResult]) -> str:
    """Return the report's last line."""
    states = [result.state for result in results]
    failed, warnings = states.count("failed"), states.count("warning")
    warned = f", {warnings} warning{'' if warnings == 1 else 's'}" if warnings else ""
    return f"{failed} failed{warned}." if failed else f"All checks passed{warned}."


def passes(results: Iterable[CheckResult]) -> bool:
    """Return whether no check failed; a warning isn't a failure."""
    return all(result.state != "failed" for result in results)


def to_json(results: Iterable[CheckResult]) -> str:
    """Return the report as one JSON object.

    `{"layer_mcp": version, "passed": bool, "checks": [{"id", "title", "state", "fact", "fix"}]}`:
    `id` is stable, `state` is ok, warning, failed, or skipped, and only a warning or a failure has
    a `fix`. A configured client's ID is `client.` and the client's name.
    """
    checks = list(results)
    report = {"layer_mcp": __version__, "passed": passes(checks)}
    return json.dumps(report | {"checks": [_to_object(check) for check in checks]}, indent=2)


def _to_object(result: CheckResult) -> dict[str, Any]:
    fields = {
        "id": result.id,
        "title": result.title,
        "state": result.state,
        "fact": result.fact,
    }
    return fields | ({"fix": result.fix} if result.fix else {})


def _marks_for(encoding: str) -> Mapping[State, str]:
    try:
        "".join(MARKS.values()).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII_MARKS
    return MARKS
