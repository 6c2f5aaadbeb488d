"""A yes or no from the person at the terminal."""

import signal
import sys

from .plain_text import plain

YES_WORDS = ("y", "yes")


def yes_or_no(question: str) -> bool | None:
    """Ask; no unless it is a yes. None when the input ends, as with Ctrl+D.

    Blocks. The question goes to stderr, as stdout is for the answer of the command.

    Raises:
        KeyboardInterrupt: Ctrl+C.
    """
    # The event loop's own handler would only be heard when the line is read.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        print(f"{plain(question)} [y/N] ", end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline()
    finally:
        signal.signal(signal.SIGINT, before)
    if not answer:
        print(file=sys.stderr, flush=True)
        return None
    return answer.strip().lower() in YES_WORDS
