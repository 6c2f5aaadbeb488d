"""The submissions that are out: a server that stops waits for their answers."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio

from ..errors import LayerError


class Submissions:
    """How many paid requests wait for Layer's answer, or for being written down."""

    def __init__(self) -> None:
        self._count = 0
        self._answered = anyio.Event()
        self._when_none: Callable[[], None] | None = None

    @contextmanager
    def one(self) -> Generator[None]:
        """Count a submission as long as the block lasts.

        Raises:
            LayerError: SERVER_STOPPED, once the server has been told to end.
        """
        if self._when_none is not None:
            raise LayerError("SERVER_STOPPED", "The server is being stopped. Nothing was sent.")
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1
            if self._count == 0:
                self._answered.set()
                self._answered = anyio.Event()
                if self._when_none is not None:
                    self._when_none()

    async def finished(self) -> None:
        """Wait until none is out; each of them is bounded in time."""
        while self._count:
            await self._answered.wait()

    def then(self, stop: Callable[[], None]) -> None:
        """Call `stop` once none is out: now, or after the last answer."""
        if self._count == 0:
            stop()
        self._when_none = stop
