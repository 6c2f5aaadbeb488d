"""Signals that end the process: stop in order first, because a paid request may be out."""

import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from types import FrameType

# No system has all of them.
NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
# Terminals, shells and wrappers such as npx often send a signal twice.
ECHO_SECONDS = 1.0
# An answer that has already arrived is still recorded.
LAST_SECONDS = 0.5
# Longer than a paid request and its retries take.
STOP_SECONDS = 75.0


class Interrupted(KeyboardInterrupt):
    """A signal that ended the work, after what is paid for was recorded."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


@dataclass
class ReceivedSignal:
    """The number of the first signal that arrived, if any."""

    number: int | None = None


@contextmanager
def stop_on_signals(
    stop: Callable[[], None], give_up: Callable[[int], None]
) -> Generator[ReceivedSignal]:
    """Call `stop` in the running event loop when the first signal arrives in the block.

    If the block doesn't end, `give_up` is called with the signal's number: shortly after another
    Ctrl+C, or when the time to stop is up. A signal that the process ignores stays ignored, as
    nohup wants it. In another thread than the main one, no signal is handled.
    """
    received = ReceivedSignal()
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    import asyncio  # noqa: PLC0415  the command line loads without it

    loop = asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []
    received_at = 0.0

    def give_up_in(number: int, seconds: float) -> None:
        timers.append(loop.call_later(seconds, give_up, number))

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal received_at
        if received.number is None:
            received.number, received_at = number, monotonic()
            loop.call_soon_threadsafe(stop)
            loop.call_soon_threadsafe(give_up_in, number, STOP_SECONDS)
        elif number == signal.SIGINT and monotonic() - received_at > ECHO_SECONDS:
            loop.call_soon_threadsafe(give_up_in, received.number, LAST_SECONDS)

    try:
        with _handling(handle):
            yield received
    finally:
        for timer in timers:
            timer.cancel()


@contextmanager
def raise_on_signals() -> Generator[None]:
    """Raise Interrupted in the block, for code that blocks the event loop.

    Raises:
        Interrupted: a signal arrived.
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        raise Interrupted(number)

    with _handling(handle):
        yield


def end_by_signal(number: int) -> None:
    """End the process immediately, in the way that the signal does by default."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


@contextmanager
def _handling(handle: Callable[[int, FrameType | None], None]) -> Generator[None]:
    known = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    before = {
        number: signal.signal(number, handle)
        for number in known
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
