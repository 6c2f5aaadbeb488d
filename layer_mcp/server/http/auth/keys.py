"""The public keys of an issuer: which of them can have signed a token, and when to fetch them."""

import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
from jwt import PyJWK, PyJWTError
from starlette.authentication import AuthenticationError

if TYPE_CHECKING:
    from .issuer_keys import FetchedKeys

# By the type and the curve of a key. An algorithm with a shared secret isn't among them: a public
# key could then sign tokens.
ALGORITHMS: dict[tuple[str, str | None], tuple[str, ...]] = {
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
ALLOWED_ALGORITHMS = frozenset(name for names in ALGORITHMS.values() for name in names)
MIN_RSA_BITS = 2048
MAX_KEYS = 100

DEFAULT_AGE_SECONDS = 300.0
MIN_AGE_SECONDS = 60.0
MAX_AGE_SECONDS = 3600.0
# How long keys stay usable while the issuer doesn't respond.
MAX_STALE_SECONDS = 24 * 3600.0
# Anybody can send a token with an unknown key ID; that must not make this server send requests.
UNKNOWN_KEY_PAUSE_SECONDS = 30.0
FAILURE_PAUSE_SECONDS = 10.0

FetchKeys = Callable[[], Awaitable["FetchedKeys"]]

logger = logging.getLogger(__name__)


class KeysUnavailableError(AuthenticationError):
    """The issuer's keys can't be fetched, so a token can't be checked."""


@dataclass(frozen=True)
class VerificationKey:
    """A public key, its ID, and the algorithms that it verifies."""

    key_id: str | None
    algorithms: tuple[str, ...]
    key: Any


class IssuerKeys:
    """The keys of an issuer, fetched when they're needed, and kept for a limited time."""

    def __init__(self, fetch: FetchKeys) -> None:
        self._fetch = fetch
        self._keys: tuple[VerificationKey, ...] = ()
        self._fetched_at = 0.0
        self._fresh_until = 0.0
        self._next_fetch_at = 0.0
        self._has_failed = False
        self._lock = anyio.Lock()

    async def find(self, key_id: str | None, algorithm: str) -> VerificationKey | None:
        """Return the key that can have signed a token, or None.

        A token without a key ID needs an issuer with a single key for its algorithm.

        Raises:
            KeysUnavailableError: The key isn't known, and the issuer doesn't respond.
        """
        now = time.monotonic()
        if now >= self._fetched_at + MAX_STALE_SECONDS:
            self._keys = ()
        found = _choose(self._keys, key_id, algorithm)
        is_fresh = now < self._fresh_until
        # A known key is used while another request fetches the keys.
        if found is None or not (is_fresh or self._lock.locked()):
            await self._refresh()
            found = _choose(self._keys, key_id, algorithm)
        if found is None and self._has_failed:
            raise KeysUnavailableError
        return found

    async def _refresh(self) -> None:
        """Fetch the keys, unless that was tried a short time ago."""
        from .issuer_keys import IssuerError  # noqa: PLC0415

        async with self._lock:
            if time.monotonic() < self._next_fetch_at:
                return
            try:
                fetched = await self._fetch()
            except IssuerError as error:
                logger.warning("The keys of callers' access tokens can't be fetched: %s", error)
                self._has_failed = True
                self._next_fetch_at = time.monotonic() + FAILURE_PAUSE_SECONDS
                return
            self._has_failed = False
            self._keys = tuple(_parse_keys(fetched.keys))
            now = self._fetched_at = time.monotonic()
            given = fetched.max_age_seconds
            age = DEFAULT_AGE_SECONDS if given is None else given
            self._fresh_until = now + min(max(age, MIN_AGE_SECONDS), MAX_AGE_SECONDS)
            self._next_fetch_at = now + UNKNOWN_KEY_PAUSE_SECONDS


def _choose(
    keys: Iterable[VerificationKey], key_id: str | None, algorithm: str
) -> VerificationKey | None:
    fitting = [key for key in keys if algorithm in key.algorithms]
    if key_id is not None:
        fitting = [key for key in fitting if key.key_id == key_id]
    return fitting[0] if len(fitting) == 1 else None


def _parse_keys(entries: Iterable[dict[str, Any]]) -> Iterable[VerificationKey]:
    """Yield the keys that can verify tokens; others are left out."""
    for entry in list(entries)[:MAX_KEYS]:
        curve = None if entry.get("kty") == "RSA" else f"{entry.get('crv')}"
        algorithms = ALGORITHMS.get((f"{entry.get('kty')}", curve), ())
        if entry.get("alg") is not None:
            algorithms = tuple(name for name in algorithms if name == entry["alg"])
        key_id = entry.get("kid")
        if not algorithms or entry.get("use", "sig") != "sig" or not _is_id(key_id):
            continue
        try:
            key: Any = PyJWK.from_dict(entry, algorithms[0]).key
        except (PyJWTError, ValueError, TypeError) as error:
            logger.warning("A key of the issuer is invalid: %s", type(error).__name__)
            continue
        if curve is None and key.key_size < MIN_RSA_BITS:
            logger.warning("An RSA key of the issuer has less than %d bits.", MIN_RSA_BITS)
            continue
        yield VerificationKey(key_id, algorithms, key)


def _is_id(key_id: object) -> bool:
    return key_id is None or isinstance(key_id, str)
