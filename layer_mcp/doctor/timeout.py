"""A time limit for a function that may hang."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

ResultT = TypeVar("ResultT")


def run_with_timeout(seconds: float, function: Callable[[], ResultT]) -> ResultT:
    """Run a function in a thread and return its result.

    After a timeout the thread keeps running, but it doesn't keep the process alive.

    Raises:
        TimeoutError: The function didn't return in time.
    """
    future: Future[ResultT] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future.result(seconds)
