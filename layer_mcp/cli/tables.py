"""Tables that fit the terminal: text is shortened before anything that people copy."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from .plain_text import plain
from .screen import line

GAP_COLUMNS = 2
MIN_TEXT_COLUMNS = 12


@dataclass(frozen=True)
class Column:
    """A column: `text` may be shortened, `kept` never; `number` stands at the right, whole too.

    An `extra` column is left out where there is no room for it.
    """

    title: str
    kind: Literal["kept", "text", "number"] = "kept"
    extra: bool = False


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[object]], console: Console
) -> Iterator[RenderableType]:
    """The rows as a table; below each other where the terminal is too narrow for that."""
    cells = [["" if cell is None else plain(cell) for cell in row] for row in rows]
    widths = widths_that_fit(columns, cells, console.width)
    if widths is None:
        yield from _below_each_other(columns, cells)
    else:
        yield _beside_each_other(columns, cells, widths, console)


def widths_that_fit(
    columns: Sequence[Column], cells: Sequence[Sequence[str]], total: int
) -> dict[int, int] | None:
    """The width of each column that there is room for, by its number; None for too little room.

    Empty columns are left out. The first text gets what is free before the next does.
    """
    wide = {
        number: max(cell_len(text) for text in (column.title, *(row[number] for row in cells)))
        for number, column in enumerate(columns)
        if any(row[number] for row in cells)
    }
    widths = {
        number: min(width, MIN_TEXT_COLUMNS) if columns[number].kind == "text" else width
        for number, width in wide.items()
    }
    while (free := total - sum(widths.values()) - GAP_COLUMNS * (len(widths) - 1)) < 0:
        extra = [number for number in widths if columns[number].extra]
        if not extra:
            return None
        del widths[extra[-1]]
    for number, width in widths.items():
        more = min(wide[number] - width, free)
        widths[number] += more
        free -= more
    return widths


def _beside_each_other(
    columns: Sequence[Column],
    cells: Sequence[Sequence[str]],
    widths: Mapping[int, int],
    console: Console,
) -> Table:
    drawn = Table(box=None, padding=(0, GAP_COLUMNS, 0, 0), pad_edge=False, header_style="bold")
    for number, width in widths.items():
        drawn.add_column(
            Text(columns[number].title),
            justify="right" if columns[number].kind == "number" else "left",
            no_wrap=True,
            overflow="ellipsis" if "utf" in console.encoding else "crop",
            width=width,
        )
    for row in cells:
        drawn.add_row(*(Text(row[number]) for number in widths))
    return drawn


def _below_each_other(
    columns: Sequence[Column], cells: Sequence[Sequence[str]]
) -> Iterator[RenderableType]:
    for row in cells:
        yield line(row[0], style="bold")
        for column, text in zip(columns[1:], row[1:], strict=True):
            if text:
                yield line(f"  {column.title}: {text}")
