"""Tables that fit the terminal: text is shortened before anything that people copy."""

from collections.abc import Iterator, Sequence
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
    shown = _that_fit(columns, cells, console.width)
    if shown is None:
        yield from _below_each_other(columns, cells)
    else:
        yield _beside_each_other(columns, cells, shown, console)


def _that_fit(
    columns: Sequence[Column], cells: Sequence[Sequence[str]], width: int
) -> list[int] | None:
    """The numbers of the columns that there is room for; None when even the needed ones do not."""
    shown = [number for number in range(len(columns)) if any(row[number] for row in cells)]
    needed = {number: _needed_columns(columns[number], cells, number) for number in shown}
    while sum(needed[number] + GAP_COLUMNS for number in shown) - GAP_COLUMNS > width:
        extra = [number for number in shown if columns[number].extra]
        if not extra:
            return None
        shown.remove(extra[-1])
    return shown


def _needed_columns(column: Column, cells: Sequence[Sequence[str]], number: int) -> int:
    widest = max(cell_len(text) for text in (column.title, *(row[number] for row in cells)))
    return min(widest, MIN_TEXT_COLUMNS) if column.kind == "text" else widest


def _beside_each_other(
    columns: Sequence[Column],
    cells: Sequence[Sequence[str]],
    shown: Sequence[int],
    console: Console,
) -> Table:
    drawn = Table(box=None, padding=(0, GAP_COLUMNS, 0, 0), pad_edge=False, header_style="bold")
    overflow = "ellipsis" if "utf" in console.encoding else "crop"
    for number in shown:
        column = columns[number]
        drawn.add_column(
            Text(column.title),
            justify="right" if column.kind == "number" else "left",
            no_wrap=True,
            overflow=overflow,
            min_width=None if column.kind == "text" else _needed_columns(column, cells, number),
        )
    for row in cells:
        drawn.add_row(*(Text(row[number]) for number in shown))
    return drawn


def _below_each_other(
    columns: Sequence[Column], cells: Sequence[Sequence[str]]
) -> Iterator[RenderableType]:
    for row in cells:
        yield line(row[0], style="bold")
        for column, text in zip(columns[1:], row[1:], strict=True):
            if text:
                yield line(f"  {column.title}: {text}")
