"""Handle signals that end the process: first shut down, because a paid request may be pending."""

import os
import signal
import threading
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from types import FrameType

# No system has all of these.
NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
# Terminals, shells and wrappers such as npx often send a signal twice.
ECHO_SECONDS = 1.0
# Time to record an answer that has already arrived.
LAST_SECONDS = 0.5
# Longer than a paid request and its retries take.
STOP_SECONDS = 75.0


class Interrupted(KeyboardInterrupt):
    """A signal ended the work, after paid requests were recorded."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


@dataclass
class ReceivedSignal:
    """The number of the first signal received, if any."""

    number: int | None = None


@contextmanager
def stop_on_signals(
    stop: Callable[[], None],
    give_up: Callable[[int], None],
    *,
    hurry_on: Collection[int] = (signal.SIGINT,),
    grace_seconds: float = 0.0,
) -> Generator[ReceivedSignal]:
    """Call `stop` in the running event loop when the first signal arrives in the block.

    If the block doesn't end, `give_up` is called with the first signal's number: shortly after a
    second signal that is one of `hurry_on`, or when the shutdown times out. The shutdown has
    `grace_seconds` more than usual. Signals that the process ignores stay ignored, for
    nohup. Outside the main thread, no signal is handled.
    """
    received = ReceivedSignal()
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    import asyncio  # noqa: PLC0415  the command line must start fast

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
            loop.call_soon_threadsafe(give_up_in, number, STOP_SECONDS + grace_seconds)
        elif number in hurry_on and monotonic() - received_at > ECHO_SECONDS:
            loop.call_soon_threadsafe(give_up_in, received.number, LAST_SECONDS)

    try:
        with _handling(handle):
            yield received
    finally:
        for timer in timers:
            timer.cancel()


@contextmanager
def raise_on_signals() -> Generator[None]:
    """Raise Interrupted in the block when a signal arrives, for code that blocks the event loop.

    Raises:
        Interrupted: a signal arrived.
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        raise Interrupted(number)

    with _handling(handle):
        yield


def end_by_signal(number: int) -> None:
    """End the process immediately, with the signal's default action."""
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
