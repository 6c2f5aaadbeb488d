"""A table of the fault matrix at the end of a test run, no matter which process ran its tests."""

from collections import defaultdict

import pytest

from .fault_matrix import MOMENTS, Moment

CELL = "fault matrix"
Cell = tuple[Moment, str, str, str]
"""The moment, the fault, the host, and the result in a word or two."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the result of each fault at each moment, with a column for each host."""
    cells: list[Cell] = [
        value
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        for name, value in report.user_properties
        if name == CELL
    ]
    if not cells:
        return
    terminalreporter.section(CELL)
    for line in table(cells):
        terminalreporter.write_line(line)


def table(cells: list[Cell]) -> list[str]:
    """Return one line for each fault at each moment, in the order of a call."""
    rows: dict[tuple[Moment, str], dict[str, str]] = defaultdict(dict)
    for moment, fault, host, word in cells:
        rows[moment, fault][host] = word
    hosts = sorted({host for _, _, host, _ in cells})
    widths = [max(len(moment) for moment, _ in rows), max(len(fault) for _, fault in rows)]
    ordered = sorted(rows, key=lambda row: MOMENTS.index(row[0]))
    columns = [max(len(host), *(len(row.get(host, "")) for row in rows.values())) for host in hosts]
    head = _line(["moment", "fault", *hosts], widths + columns)
    return [
        head,
        *(
            _line([*row, *(rows[row].get(host, "-") for host in hosts)], widths + columns)
            for row in ordered
        ),
    ]


def _line(words: list[str], widths: list[int]) -> str:
    return "  ".join(word.ljust(width) for word, width in zip(words, widths, strict=True)).rstrip()
