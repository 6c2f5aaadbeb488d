"""Verifies OAuth 2.1 access tokens that are JWTs (RFC 9068, RFC 8725)."""

import hashlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote

import jwt

from ....access.scopes import Scope, granted_scopes
from .keys import ALLOWED_ALGORITHMS, IssuerKeys, VerificationKey

MAX_TOKEN_LENGTH = 16_384
CLOCK_SKEW_SECONDS = 30
TOKEN_TYPES = (None, "jwt", "at+jwt", "application/at+jwt")
# Claims of OpenID Connect ID tokens, which are for the client alone. Keycloak and Cognito name the
# kind of a token in claims of their own.
ID_TOKEN_HASHES = ("at_hash", "c_hash")
ID_TOKEN_KINDS = {"typ": "id", "token_use": "id"}
MAX_NAME_LENGTH = 128
# A client sends the same token with each of its calls.
MAX_REMEMBERED = 1_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class VerifiedToken:
    """What a valid access token says. `expires_at` is in seconds since 1970."""

    name: str
    issuer: str
    subject: str | None
    client_id: str
    scopes: tuple[Scope, ...]
    expires_at: int


@dataclass(frozen=True)
class _Checked:
    """A valid token, and the key that has signed it."""

    token: VerifiedToken
    key: VerificationKey
    key_id: str | None
    algorithm: str


@dataclass(frozen=True)
class OAuthVerifier:
    """Verifies the access tokens of an issuer that are for an audience.

    The signature of a token is checked once, as long as the issuer's keys stay the same.
    """

    issuer: str
    audience: str
    keys: IssuerKeys
    # By a hash of the token, the last used at the end.
    _remembered: dict[bytes, _Checked] = field(default_factory=dict[bytes, _Checked], repr=False)

    async def verify(self, token: str) -> VerifiedToken | None:
        """Return what a token says, or None if it isn't valid; the log says why.

        Raises:
            KeysUnavailableError: The issuer's keys are needed, and can't be fetched.
        """
        digest = hashlib.sha256(token.encode()).digest()
        checked = self._remembered.pop(digest, None)
        try:
            if checked is None or not await self._is_still_valid(checked):
                checked = await self._check(token)
        except jwt.PyJWTError as error:
            # The error's text can quote the token.
            logger.info("An access token was refused: %s", type(error).__name__)
            return None
        self._remembered[digest] = checked
        if len(self._remembered) > MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        return checked.token

    async def _is_still_valid(self, checked: _Checked) -> bool:
        key = await self.keys.find(checked.key_id, checked.algorithm)
        is_expired = checked.token.expires_at <= time.time() - CLOCK_SKEW_SECONDS
        return key is checked.key and not is_expired

    async def _check(self, token: str) -> _Checked:
        if len(token) > MAX_TOKEN_LENGTH:
            raise jwt.DecodeError("too long")
        header = jwt.get_unverified_header(token)
        kind, algorithm = header.get("typ"), header.get("alg")
        if (kind.lower() if isinstance(kind, str) else kind) not in TOKEN_TYPES:
            raise jwt.InvalidTokenError("typ")
        if not isinstance(algorithm, str) or algorithm not in ALLOWED_ALGORITHMS:
            raise jwt.InvalidAlgorithmError("alg")
        key_id = header.get("kid")
        key = await self.keys.find(key_id, algorithm)
        if key is None:
            raise jwt.InvalidKeyError("kid")
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=[algorithm],
            audience=self.audience,
            issuer=self.issuer,
            # The SDK refuses an expired token without this leeway.
            leeway=CLOCK_SKEW_SECONDS,
            options={"require": ["exp", "iss", "aud"]},
        )
        if is_id_token(claims):
            raise jwt.InvalidTokenError("an ID token")
        return _Checked(_describe(claims, self.issuer), key, key_id, algorithm)


def is_id_token(claims: Mapping[str, Any]) -> bool:
    """Return whether a token only tells a client who has logged in."""
    has_hash = any(name in claims for name in ID_TOKEN_HASHES)
    kinds = (f"{claims.get(name)}".lower() == kind for name, kind in ID_TOKEN_KINDS.items())
    return has_hash or any(kinds)


def caller_name(issuer: str, subject: str | None, client_id: str) -> str:
    """Return a caller's name, which no other caller has: `1a2b3c4d:alice@example.com`.

    It starts with a hash of the issuer. The colon tells it from the name of a static token. Other
    characters than letters, digits, and `_.-~@|` are percent-encoded. A client that acts for nobody
    has `client/` before its ID. Of a longer name, a hash remains.
    """
    kept = quote(client_id, safe="@|") if subject is None else quote(subject, safe="@|")
    kept = f"client/{kept}" if subject is None else kept
    if len(kept) > MAX_NAME_LENGTH:
        kept = f"#{hashlib.sha256(kept.encode()).hexdigest()}"
    return f"{hashlib.sha256(issuer.encode()).hexdigest()[:8]}:{kept}"


def _describe(claims: Mapping[str, Any], issuer: str) -> VerifiedToken:
    subject = claims.get("sub") or None
    client_id = claims.get("client_id") or claims.get("azp") or subject
    if not isinstance(client_id, str) or not _is_unicode(subject or "", client_id):
        raise jwt.InvalidTokenError("no sub, and no client_id")
    name = caller_name(issuer, subject, client_id)
    scopes = granted_scopes(_scope_words(claims))
    return VerifiedToken(name, issuer, subject, client_id, scopes, int(claims["exp"]))


def _scope_words(claims: Mapping[str, Any]) -> list[str]:
    given = claims.get("scope", claims.get("scp"))
    if isinstance(given, str):
        return given.split(" ")
    words = cast("list[object]", given) if isinstance(given, list) else []
    return [f"{word}" for word in words]


def _is_unicode(*texts: str) -> bool:
    # JSON can have half a surrogate pair.
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True
