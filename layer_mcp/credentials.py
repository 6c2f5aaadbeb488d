"""The access token in the settings or in the system's keyring.

A keyring may be locked and ask its user, so every wait for it has a limit. Tokens are stored by API
address: a token for one Layer is never sent to another.
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
# keyring's own threshold for a recommended backend.
MIN_PRIORITY = 1

TokenSource = Callable[[], str | None]
ResultT = TypeVar("ResultT")

logger = logging.getLogger(__name__)


class NoKeyringError(Exception):
    """A keyring that is missing or failed; says why."""


def token_source(settings: Settings) -> TokenSource:
    """Return a function that gets the token from the settings or else from the keyring.

    It may block for 5 s, so don't call it in an event loop. A simulated Layer uses no keyring.
    """
    if settings.api_token is not None or settings.sandbox:
        return lambda: settings.api_token
    return StoredToken(lambda: _read(settings.api_url))


class StoredToken:
    """The token of an API address, read from the keyring until one is found.

    A keyring that doesn't answer in time counts as empty; the next call waits for the same answer.
    """

    def __init__(self, read: TokenSource, seconds: float = READ_SECONDS) -> None:
        self._read = read
        self._seconds = seconds
        self._lock = threading.Lock()
        self._pending: Future[str | None] | None = None
        self._token: str | None = None

    def __call__(self) -> str | None:
        """Return the token, or None if none is stored or the keyring doesn't answer."""
        with self._lock:
            if self._token is not None:
                return self._token
            pending = self._pending = self._pending or _start_thread(self._read)
        try:
            token = pending.result(self._seconds)
        except TimeoutError:
            logger.warning("The system's keyring didn't respond within %g s.", self._seconds)
            return None
        # Each backend raises its system's own errors.
        except Exception as error:
            logger.warning("The system's keyring failed: %s", type(error).__name__)
            token = None
        with self._lock:
            self._pending, self._token = None, token or self._token
        return token


def read_token(api_url: str) -> str | None:
    """Read the token for an API address, or None if none is stored or no keyring answers."""
    return StoredToken(lambda: _read(api_url), LOGIN_SECONDS)()


def find_keyring_name() -> str | None:
    """Return the name of the system's keyring, or None if there is none that keeps tokens."""
    try:
        backend = _start_thread(_backend).result(READ_SECONDS)
    except Exception:
        return None
    return backend.name if backend else None


def store_token(api_url: str, token: str) -> str:
    """Store a token in the keyring, check it by reading it, and return the keyring's name.

    Raises:
        NoKeyringError: There is no keyring, or it didn't keep the token.
    """

    def store() -> str:
        backend = _backend()
        if backend is None:
            raise NoKeyringError("There is no keyring on this system.")
        backend.set_password(SERVICE, api_url, token)
        if backend.get_password(SERVICE, api_url) != token:
            raise NoKeyringError("The system's keyring didn't keep the token.")
        return backend.name

    return _run_limited(store)


def delete_token(api_url: str) -> bool:
    """Delete the token from the keyring; return whether there was one.

    Raises:
        NoKeyringError: The keyring failed.
    """

    def delete() -> bool:
        backend = _backend()
        if backend is None or backend.get_password(SERVICE, api_url) is None:
            return False
        backend.delete_password(SERVICE, api_url)
        return True

    return _run_limited(delete)


class _Keyring(Protocol):
    name: str
    priority: float

    def get_password(self, service: str, username: str) -> str | None: ...
    def set_password(self, service: str, username: str, password: str) -> None: ...
    def delete_password(self, service: str, username: str) -> None: ...


def _backend() -> _Keyring | None:
    # Importing it takes half a second.
    import keyring  # noqa: PLC0415

    backend = cast("_Keyring", keyring.get_keyring())
    return backend if backend.priority >= MIN_PRIORITY else None


def _read(api_url: str) -> str | None:
    backend = _backend()
    return backend.get_password(SERVICE, api_url) if backend else None


def _run_limited(work: Callable[[], ResultT]) -> ResultT:
    try:
        return _start_thread(work).result(LOGIN_SECONDS)
    except NoKeyringError:
        raise
    except TimeoutError:
        raise NoKeyringError("The system's keyring didn't respond. It may be locked.") from None
    # Each backend raises its system's own errors.
    except Exception as error:
        raise NoKeyringError(f"The system's keyring failed: {type(error).__name__}.") from error


def _start_thread(work: Callable[[], ResultT]) -> "Future[ResultT]":
    """Run work in a thread that doesn't keep the process alive."""
    future: Future[ResultT] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
