"""The results: rows of a table for people, and JSON for comparison."""

import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Literal, cast

MEGABYTE = 1024 * 1024
HEADINGS = ("measure", "ours", "reference", "", "compared", "aim", "met")
MET_WORDS = {True: "yes", False: "no", None: ""}
RIGHT_ALIGNED = (1, 2, 4)

Format = Callable[[float], str]
ChartGroup = Literal["time", "waits", "speed", "budget"]


@dataclass(frozen=True)
class Row:
    """One measured value, its reference, how they compare, and whether the aim is met.

    Rows without a group are left out of the chart.
    """

    measure: str
    ours: float
    shown: Format
    reference: float | None = None
    reference_name: str = ""
    compared: str = ""
    aim: str = ""
    is_met: bool | None = None
    group: ChartGroup | None = None


def budget_row(measure: str, ours: float, budget: float, shown: Format) -> Row:
    """Return a row for a value that may be at most its budget."""
    return Row(
        measure=measure,
        ours=ours,
        shown=shown,
        reference=budget,
        reference_name="budget",
        compared=f"{ours / budget:.2f} x",
        aim="at most 1.00 x",
        is_met=ours <= budget,
        group="budget",
    )


def skipped_row(measure: str, reason: str) -> Row:
    """Return a row for a value that this machine can't measure."""
    return Row(measure=measure, ours=0.0, shown=lambda _: "skipped", reference_name=reason)


def table(rows: Sequence[Row]) -> str:
    """Return the rows in aligned columns."""
    lines = [HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    texts = [_aligned(line, widths) for line in lines]
    return "\n".join([texts[0], "-" * len(texts[0]), *texts[1:]])


def results_json(results: dict[str, Any]) -> str:
    """Return the results with the date and the versions they depend on."""
    content = {
        "date": datetime.now(UTC).date().isoformat(),
        **{f"{name}_version": value for name, value in versions().items()},
        "cpu_count": os.cpu_count(),
        **_rounded(results),
    }
    return json.dumps(content, indent=2) + "\n"


def versions() -> dict[str, str]:
    """Return the versions that the results depend on."""
    return {
        "layer_mcp": version("layer-mcp"),
        "mcp": version("mcp"),
        "python": platform.python_version(),
    }


def whole_ms(value: float) -> str:
    """Format milliseconds without decimals."""
    return f"{value:.0f} ms"


def ms(value: float) -> str:
    """Format milliseconds with one decimal."""
    return f"{value:.1f} ms"


def seconds(value: float) -> str:
    """Format seconds with two decimals."""
    return f"{value:.2f} s"


def byte_count(value: float) -> str:
    """Format a number of bytes in full."""
    return f"{value:,.0f} bytes"


def megabytes(value: float) -> str:
    """Format a number of bytes as MB of 1,048,576 bytes."""
    return f"{value / MEGABYTE:.1f} MB"


def megabytes_a_second(value: float) -> str:
    """Format bytes per second as MB of 1,048,576 bytes per second."""
    return f"{value / MEGABYTE:.0f} MB/s"


def calls_a_second(value: float) -> str:
    """Show a number of calls for each second."""
    return f"{value:,.0f} calls/s"


def times(value: float) -> str:
    """Format a ratio."""
    return f"{value:.2f} x"


def count(value: float) -> str:
    """Format a whole number."""
    return f"{value:,.0f}"


def _cells(row: Row) -> tuple[str, ...]:
    reference = "" if row.reference is None else row.shown(row.reference)
    return (
        row.measure,
        row.shown(row.ours),
        reference,
        row.reference_name,
        row.compared,
        row.aim,
        MET_WORDS[row.is_met],
    )


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if column in RIGHT_ALIGNED else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        items = cast(dict[str, Any], value).items()
        return {name: _rounded(item) for name, item in items}
    return round(value, 3) if isinstance(value, float) else value
