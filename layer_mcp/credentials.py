"""The token in the system's keyring: stored at a login, read when the server first needs it.

A keyring may be locked and ask its user, so nothing here waits for it without a limit. It is kept
by the API's address: a token of one Layer is never sent to another.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeVar, cast

from .settings import Settings

SERVICE = "layer-mcp"
READ_SECONDS = 5.0
# A person may have to unlock it.
LOGIN_SECONDS = 60.0
# keyring's own measure of a backend that may be recommended.
REAL_PRIORITY = 1

TokenSource = Callable[[], str | None]
ResultT = TypeVar("ResultT")

logger = logging.getLogger(__name__)


class Keyring(Protocol):
    """What is used of a keyring's backend."""

    name: str
    priority: float

    def get_password(self, service: str, username: str) -> str | None: ...
    def set_password(self, service: str, username: str, password: str) -> None: ...
    def delete_password(self, service: str, username: str) -> None: ...


class NoKeyringError(Exception):
    """There is no keyring that keeps a token, or it refused to; says why."""


class StoredToken:
    """The token of an API address, read from the keyring at the first call that finds one.

    A keyring that does not answer in time counts as none; the next call looks at the same answer.
    """

    def __init__(self, read: TokenSource, seconds: float = READ_SECONDS) -> None:
        self._read = read
        self._seconds = seconds
        self._lock = threading.Lock()
        self._pending: Future[str | None] | None = None
        self._token: str | None = None

    def __call__(self) -> str | None:
        """The token; None when none is stored, or the keyring does not answer."""
        with self._lock:
            if self._token is not None:
                return self._token
            pending = self._pending = self._pending or _started(self._read)
        try:
            token = pending.result(self._seconds)
        except TimeoutError:
            logger.warning("The system's keyring did not answer in %g s.", self._seconds)
            return None
        # Each backend raises what its system does.
        except Exception as error:
            logger.warning("The system's keyring failed: %s", type(error).__name__)
            token = None
        with self._lock:
            self._pending, self._token = None, token or self._token
        return token


def token_source(settings: Settings) -> TokenSource:
    """Where the token comes from: the settings, else the keyring. May take 5 s, so not for asyncio.

    A simulated Layer takes nothing from the keyring.
    """
    if settings.api_token is not None or settings.sandbox:
        return lambda: settings.api_token
    return StoredToken(lambda: _read(settings.api_url))


def stored_token(api_url: str) -> str | None:
    """The token that is stored for an API's address; None when none is, or no keyring answers."""
    return StoredToken(lambda: _read(api_url), LOGIN_SECONDS)()


def keyring_name() -> str | None:
    """What the keyring of this system is called; None when there is none that keeps anything."""
    try:
        backend = _started(_backend).result(READ_SECONDS)
    except Exception:
        return None
    return backend.name if backend else None


def store_token(api_url: str, token: str) -> str:
    """Store a token in the keyring, read it back, and say the keyring's name.

    Raises:
        NoKeyringError: there is none, or it did not keep the token.
    """

    def store() -> str:
        backend = _backend()
        if backend is None:
            raise NoKeyringError("There is no keyring on this system.")
        backend.set_password(SERVICE, api_url, token)
        if backend.get_password(SERVICE, api_url) != token:
            raise NoKeyringError("The system's keyring did not keep the token.")
        return backend.name

    return _bounded(store)


def forget_token(api_url: str) -> bool:
    """Take the token out of the keyring; whether there was one.

    Raises:
        NoKeyringError: the keyring refused.
    """

    def forget() -> bool:
        backend = _backend()
        if backend is None or backend.get_password(SERVICE, api_url) is None:
            return False
        backend.delete_password(SERVICE, api_url)
        return True

    return _bounded(forget)


def _bounded(work: Callable[[], ResultT]) -> ResultT:
    try:
        return _started(work).result(LOGIN_SECONDS)
    except NoKeyringError:
        raise
    except TimeoutError:
        raise NoKeyringError("The system's keyring did not answer; is it locked?") from None
    # Each backend raises what its system does.
    except Exception as error:
        raise NoKeyringError(f"The system's keyring failed: {type(error).__name__}.") from error


def _read(api_url: str) -> str | None:
    backend = _backend()
    return backend.get_password(SERVICE, api_url) if backend else None


def _backend() -> Keyring | None:
    # Half a second of imports, for the one call that needs it.
    import keyring  # noqa: PLC0415

    backend = cast("Keyring", keyring.get_keyring())
    return backend if backend.priority >= REAL_PRIORITY else None


def _started(work: Callable[[], ResultT]) -> "Future[ResultT]":
    """The work, in a thread of its own that the process does not wait for when it ends."""
    future: Future[ResultT] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
