"""One row of the results, and how its numbers are written."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

MEGABYTE = 1024 * 1024

Format = Callable[[float], str]

ChartGroup = Literal["time", "waits", "speed", "budget"]


@dataclass(frozen=True)
class Row:
    """One measure: ours, its reference, how they compare, the aim, and whether it is met.

    Rows without a group are not in the chart.
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
    """A measure that may not be larger than its budget."""
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


def whole_ms(value: float) -> str:
    """Milliseconds without decimals."""
    return f"{value:.0f} ms"


def ms(value: float) -> str:
    """Milliseconds with one decimal."""
    return f"{value:.1f} ms"


def seconds(value: float) -> str:
    """Seconds with two decimals."""
    return f"{value:.2f} s"


def byte_count(value: float) -> str:
    """Whole bytes."""
    return f"{value:,.0f} bytes"


def megabytes(value: float) -> str:
    """A number of bytes in MB of 1,048,576."""
    return f"{value / MEGABYTE:.1f} MB"


def megabytes_a_second(value: float) -> str:
    """Bytes in a second as MB of 1,048,576 in a second."""
    return f"{value / MEGABYTE:.0f} MB/s"


def count(value: float) -> str:
    """A whole number."""
    return f"{value:,.0f}"
