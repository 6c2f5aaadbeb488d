"""Work that must come to its end although the call that began it is given up."""

from collections.abc import Generator
from contextlib import contextmanager

import anyio


@contextmanager
def shielded() -> Generator[None]:
    """Hold cancellation back until the block has ended."""
    with anyio.CancelScope(shield=True):
        yield
