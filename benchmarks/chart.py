"""The results as a bar chart: ours above its reference, each pair with its own scale.

A budget is a single bar, and ours fills part of it.
"""
# pyright: reportUnknownMemberType=false

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .report import ChartGroup, Row

OURS_COLOR, REFERENCE_COLOR = "#4f46e5", "#cbd5e1"
TEXT_COLOR, QUIET_COLOR = "#0f172a", "#64748b"
MET_COLORS = {True: "#15803d", False: "#c2410c", None: TEXT_COLOR}
# All heights are inches.
BAR_HEIGHT, HEADING_HEIGHT = 0.22, 0.5
PAIR_HEIGHT, BUDGET_HEIGHT = 0.62, 0.42
TOP_MARGIN, BOTTOM_MARGIN = 0.5, 0.6
WIDTH_INCHES = 9.0
DOTS_PER_INCH = 200
LEGEND = ((0.29, OURS_COLOR, "layer-mcp"), (0.42, REFERENCE_COLOR, "reference, same run"))
LONGEST_BAR, RIGHT_EDGE = 1.0, 2.02
HEADINGS: dict[ChartGroup, str] = {
    "time": "Time: less is better",
    "waits": "Many waits at once: less is better",
    "speed": "Speed of transfers: more is better",
    "budget": "Budgets: ours within the whole",
}


@dataclass(frozen=True)
class _Line:
    """A row or a group's heading, and the distance of its middle from the top."""

    content: Row | str
    y: float


def save_chart(rows: Sequence[Row], caption: str, path: Path) -> None:
    """Draw the rows that have a group, one group after another."""
    lines, lines_height = _arranged(rows)
    height = TOP_MARGIN + lines_height + BOTTOM_MARGIN
    figure = Figure(figsize=(WIDTH_INCHES, height), facecolor="white")
    axes = figure.add_axes((0.29, BOTTOM_MARGIN / height, 0.69, lines_height / height))
    axes.set(xlim=(0, RIGHT_EDGE), ylim=(lines_height, 0))
    axes.set_axis_off()
    for line in lines:
        _draw(axes, line)
    _write_legend(figure, height)
    figure.text(0.02, 0.14 / height, caption, color=QUIET_COLOR, fontsize=8.5)
    figure.savefig(path, dpi=DOTS_PER_INCH)


def _arranged(rows: Sequence[Row]) -> tuple[list[_Line], float]:
    """Return the lines of the chart and their total height."""
    lines: list[_Line] = []
    end = 0.0
    for group, heading in HEADINGS.items():
        row_height = BUDGET_HEIGHT if group == "budget" else PAIR_HEIGHT
        lines.append(_Line(heading, end + HEADING_HEIGHT / 2))
        end += HEADING_HEIGHT
        for row in rows:
            if row.group == group:
                lines.append(_Line(row, end + row_height / 2))
                end += row_height
    return lines, end


def _draw(axes: Axes, line: _Line) -> None:
    if isinstance(line.content, str):
        _write(axes, -0.03, line.y, line.content, size=9.5, color=QUIET_COLOR, side="right")
        axes.plot((0, RIGHT_EDGE), (line.y, line.y), color=REFERENCE_COLOR, linewidth=0.7)
        return
    row = line.content
    _write(axes, -0.03, line.y, row.measure, size=10.5, side="right")
    if row.group == "budget":
        _draw_budget(axes, line.y, row)
    else:
        _draw_pair(axes, line.y, row)


def _draw_pair(axes: Axes, y: float, row: Row) -> None:
    reference = row.reference or 0.0
    longest = max(row.ours, reference)
    bars = (
        (row.ours, y - BAR_HEIGHT / 2, OURS_COLOR, "bold", ""),
        (reference, y + BAR_HEIGHT / 2, REFERENCE_COLOR, "normal", f"  {row.reference_name}"),
    )
    for value, bar_y, color, weight, label in bars:
        length = LONGEST_BAR * max(value, 0.0) / longest
        axes.barh(bar_y, length, BAR_HEIGHT, color=color)
        _write(axes, length + 0.02, bar_y, row.shown(value) + label, size=9.5, weight=weight)
    offset = BAR_HEIGHT / 2 if row.aim else 0.0
    _write_comparison(axes, y - offset, row)
    aim = f"aim: {row.aim}" if row.aim else ""
    _write(axes, RIGHT_EDGE, y + offset, aim, size=8.5, color=QUIET_COLOR, side="right")


def _draw_budget(axes: Axes, y: float, row: Row) -> None:
    budget = row.reference or 0.0
    longest = max(row.ours, budget)
    # Draw the longer one first, so that both are visible.
    for value, color in sorted(((budget, REFERENCE_COLOR), (row.ours, OURS_COLOR)), reverse=True):
        axes.barh(y, LONGEST_BAR * max(value, 0.0) / longest, BAR_HEIGHT, color=color)
    text = axes.annotate(
        row.shown(row.ours),
        (LONGEST_BAR + 0.02, y),
        color=TEXT_COLOR,
        fontsize=9.5,
        weight="bold",
        verticalalignment="center",
    )
    axes.annotate(
        f"  of {row.shown(budget)}",
        (1, 0.5),
        xycoords=text,
        color=TEXT_COLOR,
        fontsize=9.5,
        verticalalignment="center",
    )
    _write_comparison(axes, y, row)


def _write_comparison(axes: Axes, y: float, row: Row) -> None:
    color = MET_COLORS[row.is_met]
    _write(axes, RIGHT_EDGE, y, row.compared, size=11, color=color, weight="bold", side="right")


def _write(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    *,
    size: float,
    color: str = TEXT_COLOR,
    weight: str = "normal",
    side: str = "left",
) -> None:
    axes.text(
        x,
        y,
        text,
        color=color,
        fontsize=size,
        weight=weight,
        horizontalalignment=side,
        verticalalignment="center",
    )


def _write_legend(figure: Figure, height: float) -> None:
    y = 1 - 0.36 / height
    for x, mark_color, name in LEGEND:
        figure.text(x, y, "■", color=mark_color, fontsize=13)
        figure.text(x + 0.022, y, name, color=TEXT_COLOR, fontsize=10.5)
    figure.text(0.98, y, "compared", color=QUIET_COLOR, fontsize=9.5, horizontalalignment="right")
