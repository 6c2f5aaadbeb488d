"""The waits for runs that go on in this server, so that they can be ended before their time."""

from collections.abc import Generator
from contextlib import contextmanager

import anyio


class Waits:
    """Which calls wait for which run."""

    def __init__(self) -> None:
        self._scopes: dict[str, list[anyio.CancelScope]] = {}

    @contextmanager
    def of(self, run_id: str) -> Generator[None]:
        """A block that ends early when the waits for the run are stopped."""
        with anyio.CancelScope() as scope:
            waiting = self._scopes.setdefault(run_id, [])
            waiting.append(scope)
            try:
                yield
            finally:
                waiting.remove(scope)
                if not waiting:
                    self._scopes.pop(run_id, None)

    def stop(self, run_id: str) -> None:
        """End the waits for a run, as if their time were up."""
        for scope in list(self._scopes.get(run_id, [])):
            scope.cancel()
