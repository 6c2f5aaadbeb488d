"""One lock for each key, as long as someone holds or awaits it."""

from weakref import WeakValueDictionary

import anyio


class KeyedLocks:
    """Locks by name: two calls about the same file or run wait for each other, others do not."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()

    def of(self, *key: str) -> anyio.Lock:
        """The lock of this key."""
        name = "\0".join(key)
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = anyio.Lock()
        return lock
