"""What a command prints: answers on stdout; notes, questions, and progress on stderr; its log.

The server loads this module too, so rich is imported where it is used.
"""

import io
import json
import logging
import os
import select
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from traceback import format_tb
from typing import TYPE_CHECKING, Any, Literal, TextIO

from ...signals import raise_on_signals
from ...text.plain_text import UNSAFE, one_line, remove_controls

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress
    from rich.table import Table
    from rich.text import Text

# Wider than any line: output for programs is never cut.
UNLIMITED_COLUMNS = 100_000
YES_WORDS = ("y", "yes")
# How much later a signal is handled that arrives right before the read.
SIGNAL_SECONDS = 0.2
COLUMN_GAP = 2
BAR_COLUMNS = 30
MIN_TEXT_COLUMNS = 12
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@dataclass(frozen=True)
class Screen:
    """The two outputs of a command. Nothing printed on them is read as markup."""

    stdout: "Console"
    stderr: "Console"

    def show(self, *renderables: "RenderableType") -> None:
        """Print an answer.

        Raises:
            BrokenPipeError: the reader closed the pipe.
        """
        for renderable in renderables:
            print(render(self.stdout, renderable), end="", flush=True)

    def show_json(self, content: Mapping[str, Any], *, is_simulated: bool = False) -> None:
        """Print an answer as one JSON document, marked if Layer was simulated."""
        content = {**content, **({"simulated": True} if is_simulated else {})}
        is_unicode = "utf" in (getattr(sys.stdout, "encoding", None) or "").lower()
        print(plain_json(content, ascii_only=not is_unicode), flush=True)

    def note(self, text: str) -> None:
        """Print a note on stderr, if it is open."""
        with suppress(OSError):
            print(remove_controls(text), file=sys.stderr, flush=True)

    @property
    def can_ask(self) -> bool:
        """Whether a person can read a question and answer it."""
        return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def open_screen() -> Screen:
    """Return this process's outputs, with colors only where a terminal supports them."""
    return Screen(_console(sys.stdout), _console(sys.stderr))


def _console(stream: TextIO | None) -> "Console":
    from rich.console import Console  # noqa: PLC0415

    is_terminal = stream is not None and stream.isatty()
    return Console(
        file=stream or io.StringIO(),
        width=None if is_terminal else UNLIMITED_COLUMNS,
        markup=False,
        highlight=False,
        emoji=False,
    )


def line(text: str, style: str = "") -> "Text":
    """Return a line that the terminal itself wraps, so that it can be copied whole."""
    from rich.text import Text  # noqa: PLC0415

    return Text(text, style=style, no_wrap=True)


def render(console: "Console", renderable: "RenderableType") -> str:
    """Return a console's output without the spaces that pad its lines."""
    from rich.text import Text  # noqa: PLC0415

    is_line = isinstance(renderable, Text) and renderable.no_wrap
    with console.capture() as captured:
        console.print(renderable, crop=False, soft_wrap=is_line)
    return "".join(f"{row.rstrip()}\n" for row in captured.get().splitlines())


@dataclass(frozen=True)
class Column:
    """A column of a table.

    A `text` may be shortened, and so may a `path`, but it keeps its end. A `whole` or a `number`
    never is. Numbers are aligned right. An `optional` column is dropped if the terminal is too
    narrow for it.
    """

    title: str
    kind: Literal["whole", "text", "path", "number"] = "whole"
    optional: bool = False

    @property
    def can_be_shortened(self) -> bool:
        """Whether a cell may be cut."""
        return self.kind in ("text", "path")


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[object]], console: "Console"
) -> Iterator["RenderableType"]:
    """Lay out rows as a table, or one value per line if the terminal is too narrow."""
    cells = [["" if cell is None else plain(cell) for cell in row] for row in rows]
    widths = _fit_widths(columns, cells, console.width)
    if widths is None:
        yield from _list_values(columns, cells)
    else:
        yield _grid(columns, cells, widths, console)


def _fit_widths(
    columns: Sequence[Column], cells: Sequence[Sequence[str]], total: int
) -> dict[int, int] | None:
    """Return the width of each column that fits, by its number; None if too few fit.

    Empty columns are dropped. Columns that can be shortened share the free space.
    """
    from rich.cells import cell_len  # noqa: PLC0415

    full = {
        number: max(cell_len(text) for text in (column.title, *(row[number] for row in cells)))
        for number, column in enumerate(columns)
        if any(row[number] for row in cells)
    }
    widths = {
        number: min(width, MIN_TEXT_COLUMNS) if columns[number].can_be_shortened else width
        for number, width in full.items()
    }
    while (free := total - sum(widths.values()) - COLUMN_GAP * (len(widths) - 1)) < 0:
        optional = [number for number in widths if columns[number].optional]
        if not optional:
            return None
        del widths[optional[-1]]
    # Columns that need the least go first, so the rest goes to the others.
    by_need = sorted(widths, key=lambda number: full[number] - widths[number])
    for done, number in enumerate(by_need):
        more = min(full[number] - widths[number], free // (len(by_need) - done))
        widths[number] += more
        free -= more
    return widths


def _grid(
    columns: Sequence[Column],
    cells: Sequence[Sequence[str]],
    widths: Mapping[int, int],
    console: "Console",
) -> "Table":
    from rich.table import Table  # noqa: PLC0415

    grid = Table(box=None, padding=(0, COLUMN_GAP, 0, 0), pad_edge=False, header_style="bold")
    for number, width in widths.items():
        grid.add_column(
            line(columns[number].title),
            justify="right" if columns[number].kind == "number" else "left",
            no_wrap=True,
            overflow="ellipsis" if "utf" in console.encoding else "crop",
            width=width,
        )
    ellipsis = "…" if "utf" in console.encoding else ""
    for row in cells:
        grid.add_row(
            *(
                line(_keep_end(row[number], width, ellipsis))
                if columns[number].kind == "path"
                else line(row[number])
                for number, width in widths.items()
            )
        )
    return grid


def _keep_end(text: str, width: int, ellipsis: str) -> str:
    """Return a text that fits a width, without its beginning if it's too long."""
    from rich.cells import cell_len  # noqa: PLC0415

    if cell_len(text) <= width:
        return text
    while text and cell_len(text) > width - len(ellipsis):
        text = text[1:]
    return ellipsis + text


def _list_values(
    columns: Sequence[Column], cells: Sequence[Sequence[str]]
) -> Iterator["RenderableType"]:
    for row in cells:
        yield line(row[0], style="bold")
        for column, text in zip(columns[1:], row[1:], strict=True):
            if text:
                yield line(f"  {column.title}: {text}")


def ask_yes_or_no(question: str) -> bool | None:
    """Ask a person on stderr, and return True only for yes, None if the input ends (Ctrl+D).

    Blocks the event loop.

    Raises:
        KeyboardInterrupt: a signal, such as Ctrl+C.
    """
    with raise_on_signals():
        print(f"{plain(question)} [y/N] ", end="", file=sys.stderr, flush=True)
        answer = _read_line()
    if not answer:
        print(file=sys.stderr, flush=True)
        return None
    return answer.strip().lower() in YES_WORDS


def _read_line() -> str:
    """Read a line from a person. A signal is handled even if it arrives right before the read."""
    # Windows can't wait for a console this way.
    while sys.platform != "win32" and not select.select([sys.stdin], [], [], SIGNAL_SECONDS)[0]:
        pass
    return sys.stdin.readline()


class ProgressBar:
    """One bar with the elapsed time; it moves back and forth while the total is unknown."""

    def __init__(self, progress: "Progress") -> None:
        self._progress = progress
        self._task = progress.add_task("starting", total=None)

    def start_phase(self, text: str) -> None:
        """Start a phase with an unknown end."""
        self._progress.remove_task(self._task)
        self._task = self._progress.add_task(text, total=None)

    def update(self, done: float, total: float | None, text: str) -> None:
        """Show how much is done."""
        self._progress.update(self._task, completed=done, total=total, description=text)

    @contextmanager
    def pause(self) -> Generator[None]:
        """Hide the bar while the block prints or asks."""
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()


@contextmanager
def progress_bar(console: "Console") -> Generator[ProgressBar]:
    """Show a bar at a terminal until the block ends."""
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    progress = Progress(
        BarColumn(BAR_COLUMNS),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not console.is_terminal or console.is_dumb_terminal,
    )
    with progress:
        yield ProgressBar(progress)


def plain(text: object) -> str:
    """Return untrusted text as one line that can't control the terminal or change direction."""
    return one_line(str(text))


def plain_json(content: Mapping[str, Any], *, ascii_only: bool) -> str:
    """Return a JSON document with any characters escaped that could control the terminal."""
    text = json.dumps(content, indent=2, ensure_ascii=ascii_only)
    return UNSAFE.sub(lambda found: json.dumps(found[0])[1:-1], text)


def discard_stdout() -> None:
    """Discard buffered stdout, so that flushing it at exit can't fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def discard_unwritable_output() -> None:
    """Discard all further output to a terminal that was closed."""
    for descriptor in (1, 2):
        try:
            os.write(descriptor, b"")
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


class BriefFormatter(logging.Formatter):
    """Logs an exception's class and where it was raised.

    Its text comes from another library, and may repeat an address, an input, or a secret.
    """

    def __init__(self) -> None:
        super().__init__(LOG_FORMAT)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """Return where an exception and its causes were raised, the first cause first."""
        parts: list[str] = []
        error: BaseException | None = ei[1]
        while error is not None:
            parts.insert(0, "".join(format_tb(error.__traceback__)) + type(error).__qualname__)
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\n".join(parts)


def log_to_stderr(level: str = "WARNING") -> None:
    """Log to stderr. Call it before the SDK sets up its own handler."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(LOG_FORMAT) if level == "DEBUG" else BriefFormatter())
    logging.basicConfig(level=level, handlers=[handler])
    # They would log headers, signed addresses, and whole answers with upload links.
    for name in ("httpx", "httpcore", "sse_starlette"):
        logging.getLogger(name).setLevel(logging.WARNING)
