"""The small picture of a run's files, shown in the terminal where that is possible."""

import io
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .kitty import kitty_picture
from .replies import Replies, replies_of
from .sixel import sixels

if TYPE_CHECKING:
    from PIL import Image

Way = Literal["sixel", "kitty", "blocks"]

MAX_COLUMNS = 60
MAX_ROWS = 24
# Lines that stay free, for the prompt of the shell.
FREE_ROWS = 2
USUAL_CELL_PIXELS = (10, 20)
HALF_BLOCK = "\u2580"


@dataclass(frozen=True)
class Pictures:
    """How pictures are shown here; not at all without a `way`."""

    way: Way | None = None
    cell_pixels: tuple[int, int] = USUAL_CELL_PIXELS

    @property
    def are_wanted(self) -> bool:
        """Whether a picture is to be asked for."""
        return self.way is not None

    def show(self, data: bytes) -> None:
        """Draw a picture file where the cursor is, no larger than the terminal and than it is."""
        from PIL import Image  # noqa: PLC0415

        if self.way is None:
            return
        terminal = os.get_terminal_size(sys.stdout.fileno())
        room = (min(terminal.columns, MAX_COLUMNS), min(terminal.lines - FREE_ROWS, MAX_ROWS))
        with Image.open(io.BytesIO(data)) as opened:
            picture = opened.convert("RGB")
        columns, rows = size_in_letters(picture.size, self.cell_pixels, room)
        if min(columns, rows) > 0:
            sys.stdout.flush()
            sys.stdout.buffer.write(_drawn(picture, self.way, columns, rows, self.cell_pixels))
            sys.stdout.buffer.flush()


def pictures_of(choice: str, environ: Mapping[str, str] = os.environ) -> Pictures:
    """How pictures are shown at this terminal: as it says itself, as blocks, or never.

    Asks the terminal, so it comes before anything that takes long: what a person types meanwhile
    is not for us.
    """
    if choice == "never" or sys.stdout is None or not sys.stdout.isatty():
        return Pictures()
    if choice == "blocks":
        return Pictures("blocks")
    replies = replies_of(sys.stdout.fileno(), environ)
    return Pictures(_way(replies), replies.cell_pixels or USUAL_CELL_PIXELS)


def size_in_letters(
    pixels: tuple[int, int], cell: tuple[int, int], room: tuple[int, int]
) -> tuple[int, int]:
    """The columns and rows that a picture takes, in its proportions and never enlarged."""
    scale = min(1.0, room[0] * cell[0] / pixels[0], room[1] * cell[1] / pixels[1])
    columns, rows = (round(side * scale / part) for side, part in zip(pixels, cell, strict=True))
    return min(max(columns, 1), room[0]), min(max(rows, 1), room[1])


def _way(replies: Replies) -> Way | None:
    if replies.shows_sixel:
        return "sixel"
    return "kitty" if replies.shows_kitty else None


def _drawn(
    picture: "Image.Image", way: Way, columns: int, rows: int, cell: tuple[int, int]
) -> bytes:
    if way == "blocks":
        return _blocks(picture.resize((columns, rows * 2)))
    if way == "kitty":
        sequence = kitty_picture(picture, columns, rows)
    else:
        sequence = sixels(picture.resize((columns * cell[0], rows * cell[1])))
    # Room is made first: terminals differ in where a picture leaves the cursor.
    return b"\n" * rows + b"\x1b[%dA\x1b7%s\x1b8\x1b[%dB\r" % (rows, sequence, rows)


def _blocks(picture: "Image.Image") -> bytes:
    """Two pixels a letter, one above the other, in 24-bit colours."""
    columns, rows = picture.size
    pixels = picture.tobytes()
    lines: list[str] = []
    for top in range(0, rows, 2):
        letters: list[str] = []
        for column in range(columns):
            upper, lower = (3 * (row * columns + column) for row in (top, top + 1))
            front, back = (
                ";".join(str(part) for part in pixels[at : at + 3]) for at in (upper, lower)
            )
            letters.append(f"\x1b[38;2;{front};48;2;{back}m{HALF_BLOCK}")
        lines.append(f"{''.join(letters)}\x1b[0m\n")
    return "".join(lines).encode()
