"""Asking the terminal what it can show.

Each question ends with the one for the device's attributes (DA1), which every terminal answers: so
the end of the answers is known, and none is left for the shell to find.
"""

import os
import re
import select
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

WAIT_SECONDS = 1.0
ATTRIBUTES_QUESTION = b"\x1b[c"
CELL_QUESTION = b"\x1b[16t"
KITTY_QUESTION = b"\x1b_Gi=1,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
ATTRIBUTES = re.compile(rb"\x1b\[\?([0-9;]*)c")
CELL = re.compile(rb"\x1b\[6;(\d+);(\d+)t")
KITTY_OK = b"\x1b_Gi=1;OK\x1b\\"
SIXEL_ATTRIBUTE = b"4"
# They take the question for a title, or print it.
WITHOUT_KITTY = ("screen", "tmux", "linux")
CLEAN_LINE = b"\r\x1b[K"


@dataclass(frozen=True)
class Replies:
    """What a terminal says of itself; `cell_pixels` are the width and the height of a letter."""

    shows_sixel: bool = False
    shows_kitty: bool = False
    cell_pixels: tuple[int, int] | None = None


def replies_of(stream_fd: int, environ: Mapping[str, str] = os.environ) -> Replies:
    """Ask the terminal of a stream; nothing is asked where the answer could do harm.

    Takes at most two seconds, and some milliseconds of a terminal that answers.
    """
    if os.name != "posix" or environ.get("TERM", "dumb") in ("", "dumb", "unknown"):
        return Replies()
    with _raw_terminal(stream_fd) as fd:
        # What is typed ahead is meant for the shell, and would be taken for an answer.
        if fd is None or _is_readable(fd, 0):
            return Replies()
        answer = _answer(fd, CELL_QUESTION + ATTRIBUTES_QUESTION)
        attributes, cell = ATTRIBUTES.search(answer), CELL.search(answer)
        if attributes is None:
            return Replies()
        shows_sixel = SIXEL_ATTRIBUTE in attributes[1].split(b";")
        shows_kitty = not shows_sixel and _may_know_kitty(environ) and _knows_kitty(fd)
        pixels = (int(cell[2]), int(cell[1])) if cell else None
        return Replies(shows_sixel, shows_kitty, pixels if pixels and all(pixels) else None)


def _may_know_kitty(environ: Mapping[str, str]) -> bool:
    inside = environ.get("TMUX") or environ.get("STY")
    is_apple = environ.get("TERM_PROGRAM") == "Apple_Terminal"
    return not (inside or is_apple or environ["TERM"].startswith(WITHOUT_KITTY))


def _knows_kitty(fd: int) -> bool:
    answer = _answer(fd, KITTY_QUESTION + CLEAN_LINE + ATTRIBUTES_QUESTION)
    return KITTY_OK in answer


def _answer(fd: int, question: bytes) -> bytes:
    """What comes back until the attributes do, or until the time is up."""
    os.write(fd, question)
    deadline = time.monotonic() + WAIT_SECONDS
    answer = b""
    while not ATTRIBUTES.search(answer):
        if not _is_readable(fd, deadline - time.monotonic()):
            return b""
        answer += os.read(fd, 256)
    return answer


def _is_readable(fd: int, seconds: float) -> bool:
    return bool(select.select([fd], [], [], max(seconds, 0.0))[0])


@contextmanager
def _raw_terminal(stream_fd: int) -> Generator[int | None]:
    """The terminal of a stream, without echo and lines; None when it is not ours to ask.

    A job in the background would be stopped for touching it.
    """
    import termios  # noqa: PLC0415
    import tty  # noqa: PLC0415

    fd: int | None = None
    before: list[Any] = []
    with suppress(OSError, termios.error):
        fd = os.open(os.ttyname(stream_fd), os.O_RDWR | os.O_NOCTTY)
    try:
        with suppress(OSError, termios.error):
            if fd is not None and os.tcgetpgrp(fd) == os.getpgrp():
                before = termios.tcgetattr(fd)
                tty.setcbreak(fd, termios.TCSANOW)
        yield fd if before else None
    finally:
        if fd is not None and before:
            termios.tcsetattr(fd, termios.TCSADRAIN, before)
        if fd is not None:
            os.close(fd)
