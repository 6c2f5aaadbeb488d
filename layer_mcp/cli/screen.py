"""Where a command's answer goes (stdout), and what is said beside it (stderr)."""

import io
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TextIO

from rich.console import Console, RenderableType
from rich.text import Text

from .plain_text import harmless, plain_json

# Wider than any line: what is read by programs is never cut.
UNLIMITED_COLUMNS = 100_000


@dataclass(frozen=True)
class Screen:
    """The two outputs of a command. Nothing in `answers` or `remarks` is read as markup."""

    answers: Console
    remarks: Console

    def show(self, *renderables: RenderableType) -> None:
        """Print an answer.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        for renderable in renderables:
            print(rendered(self.answers, renderable), end="", flush=True)

    def show_json(self, content: dict[str, Any]) -> None:
        """Print an answer as one JSON document."""
        is_unicode = "utf" in (getattr(sys.stdout, "encoding", None) or "").lower()
        print(plain_json(content, ascii_only=not is_unicode), flush=True)

    def remark(self, line: str) -> None:
        """Say something beside the answer; who closed stderr does not want to know."""
        with suppress(OSError):
            print(harmless(line), file=sys.stderr, flush=True)

    @property
    def can_ask(self) -> bool:
        """Whether a person can read a question and answer it."""
        return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def new_screen() -> Screen:
    """The outputs of this process; colours only where a terminal wants them."""
    return Screen(_console(sys.stdout), _console(sys.stderr))


def line(text: str, style: str = "") -> Text:
    """A line that the terminal breaks where it ends, so that it can be copied whole."""
    return Text(text, style=style, no_wrap=True)


def _console(stream: TextIO | None) -> Console:
    is_terminal = stream is not None and stream.isatty()
    return Console(
        file=stream or io.StringIO(),
        width=None if is_terminal else UNLIMITED_COLUMNS,
        markup=False,
        highlight=False,
        emoji=False,
    )


def rendered(console: Console, renderable: RenderableType) -> str:
    """What a console prints, without the blanks that fill its lines."""
    is_line = isinstance(renderable, Text) and renderable.no_wrap
    with console.capture() as captured:
        console.print(renderable, crop=False, soft_wrap=is_line)
    return "".join(f"{row.rstrip()}\n" for row in captured.get().splitlines())
