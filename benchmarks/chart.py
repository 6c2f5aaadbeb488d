"""The results as a bar chart: ours above its reference, each pair on a scale of its own."""
# pyright: reportUnknownMemberType=false

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .row import Row

OURS_COLOR, REFERENCE_COLOR = "#4f46e5", "#cbd5e1"
TEXT_COLOR, QUIET_COLOR = "#0f172a", "#64748b"
MET_COLORS = {True: "#15803d", False: "#c2410c", None: TEXT_COLOR}
BAR_HEIGHT = 0.36
WIDTH_INCHES, ROW_INCHES, MARGIN_INCHES = 9.0, 0.66, 0.95
DOTS_PER_INCH = 200
LEGEND = ((0.29, OURS_COLOR, "layer-mcp"), (0.42, REFERENCE_COLOR, "reference, same run"))
LONGEST_BAR, RIGHT_EDGE = 1.0, 2.02


def save_chart(rows: Sequence[Row], caption: str, path: Path) -> None:
    """Draw the rows that have a reference and belong into the chart."""
    pairs = [row for row in rows if row.is_charted and row.reference is not None]
    height_inches = ROW_INCHES * len(pairs) + MARGIN_INCHES
    figure = Figure(figsize=(WIDTH_INCHES, height_inches), facecolor="white")
    axes = figure.add_axes((0.29, 0.5 / height_inches, 0.69, 1 - MARGIN_INCHES / height_inches))
    axes.set(xlim=(0, RIGHT_EDGE), ylim=(len(pairs) - 0.4, -0.6))
    axes.set_axis_off()
    for place, row in enumerate(pairs):
        _draw_pair(axes, place, row)
    _write_heading(figure, height_inches)
    figure.text(0.02, 0.14 / height_inches, caption, color=QUIET_COLOR, fontsize=8.5)
    figure.savefig(path, dpi=DOTS_PER_INCH)


def _draw_pair(axes: Axes, place: int, row: Row) -> None:
    reference = row.reference or 0.0
    longest = max(row.ours, reference)
    bars = (
        (row.ours, -BAR_HEIGHT / 2, OURS_COLOR, "bold", ""),
        (reference, BAR_HEIGHT / 2, REFERENCE_COLOR, "normal", f"  {row.reference_name}"),
    )
    for value, offset, color, weight, label in bars:
        length = LONGEST_BAR * max(value, 0.0) / longest
        axes.barh(place + offset, length, BAR_HEIGHT, color=color)
        axes.text(
            length + 0.02,
            place + offset,
            row.shown(value) + label,
            color=TEXT_COLOR,
            fontsize=9.5,
            weight=weight,
            verticalalignment="center",
        )
    axes.text(
        -0.03,
        place,
        row.measure,
        color=TEXT_COLOR,
        fontsize=10.5,
        horizontalalignment="right",
        verticalalignment="center",
    )
    _write_comparison(axes, place, row)


def _write_comparison(axes: Axes, place: int, row: Row) -> None:
    offset = -BAR_HEIGHT / 2 if row.aim else 0.0
    axes.text(
        RIGHT_EDGE,
        place + offset,
        row.compared,
        color=MET_COLORS[row.is_met],
        fontsize=11,
        weight="bold",
        horizontalalignment="right",
        verticalalignment="center",
    )
    axes.text(
        RIGHT_EDGE,
        place - offset,
        f"aim: {row.aim}" if row.aim else "",
        color=QUIET_COLOR,
        fontsize=8.5,
        horizontalalignment="right",
        verticalalignment="center",
    )


def _write_heading(figure: Figure, height_inches: float) -> None:
    y = 1 - 0.32 / height_inches
    for x, mark_color, name in LEGEND:
        figure.text(x, y, "■", color=mark_color, fontsize=13)
        figure.text(x + 0.022, y, name, color=TEXT_COLOR, fontsize=10.5)
    figure.text(0.98, y, "compared", color=QUIET_COLOR, fontsize=9.5, horizontalalignment="right")
