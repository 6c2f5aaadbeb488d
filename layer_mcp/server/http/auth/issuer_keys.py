"""Fetches the public keys of an OAuth issuer (RFC 8414, OpenID Connect Discovery, RFC 7517).

This module imports httpx, so import it at the first fetch.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import anyio
import httpx

from ....network import NetworkSettingsError, find_proxy, is_loopback, tls_context
from ....version import __version__

MAX_BODY_BYTES = 256 * 1024
TOTAL_SECONDS = 5.0
MAX_AGE = re.compile(r"(?:^|[\s,])max-age=\"?(\d{1,9})", re.IGNORECASE)

JsonObject = dict[str, Any]


class IssuerError(Exception):
    """Keys that can't be fetched; says why in a sentence for the server's log."""


@dataclass(frozen=True)
class FetchedKeys:
    """The keys of an issuer as JSON, and how long they may be kept, if the issuer says so."""

    keys: tuple[JsonObject, ...]
    max_age_seconds: float | None


async def fetch_keys(issuer: str, jwks_url: str | None = None) -> FetchedKeys:
    """Fetch the keys within 5 s; without the keys' URL, the issuer's metadata name it.

    Raises:
        IssuerError: The issuer doesn't respond in time, or its answer is invalid.
    """
    with anyio.move_on_after(TOTAL_SECONDS):
        url = jwks_url or await _discover_jwks_url(issuer)
        document, max_age_seconds = await _fetch_json(url)
        keys = document.get("keys")
        entries = cast("list[object]", keys) if isinstance(keys, list) else []
        found = tuple(cast("JsonObject", key) for key in entries if isinstance(key, dict))
        if not found:
            raise IssuerError(f"{url} has no keys.")
        return FetchedKeys(found, max_age_seconds)
    raise IssuerError(f"{jwks_url or issuer} didn't respond within {TOTAL_SECONDS:g} s.")


def metadata_urls(issuer: str) -> tuple[str, ...]:
    """Return the addresses where an issuer's metadata may be, the most likely first."""
    parts = urlsplit(issuer)
    host, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    inserted = [
        f"{host}/.well-known/{name}{path}"
        for name in ("oauth-authorization-server", "openid-configuration")
    ]
    appended = f"{host}{path}/.well-known/openid-configuration"
    return tuple(dict.fromkeys([*inserted, appended]))


async def _discover_jwks_url(issuer: str) -> str:
    problem = IssuerError(f"{issuer} has no metadata.")
    for url in metadata_urls(issuer):
        try:
            document, _ = await _fetch_json(url)
        except IssuerError as error:
            problem = error
            continue
        # Metadata of another issuer could name an attacker's keys.
        if document.get("issuer") != issuer:
            problem = IssuerError(f"{url} is the metadata of another issuer.")
            continue
        jwks_url = document.get("jwks_uri")
        if not isinstance(jwks_url, str) or not _is_safe(jwks_url, issuer):
            raise IssuerError(f"{url} has no valid jwks_uri.")
        return jwks_url
    raise problem


def _is_safe(url: str, issuer: str) -> bool:
    """Return whether keys may come from a URL; this machine's only if it's the issuer too."""
    try:
        is_local, scheme = is_loopback(url), urlsplit(url).scheme
    except ValueError:
        return False
    return is_loopback(issuer) if is_local else scheme == "https"


async def _fetch_json(url: str) -> tuple[JsonObject, float | None]:
    """Fetch a JSON object; redirects aren't followed, so no other host can answer."""
    try:
        proxy = find_proxy(url)
        verify = tls_context() if urlsplit(url).scheme == "https" else False
    except NetworkSettingsError as error:
        raise IssuerError(f"{error}") from None
    body = b""
    try:
        async with (
            httpx.AsyncClient(
                headers={
                    "User-Agent": f"layer-mcp/{__version__}",
                    "Accept": "application/json",
                    "Accept-Encoding": "identity",
                },
                follow_redirects=False,
                trust_env=False,
                proxy=proxy.url if proxy else None,
                verify=verify,
                timeout=TOTAL_SECONDS,
            ) as http,
            http.stream("GET", url) as response,
        ):
            if response.status_code != 200:
                raise IssuerError(f"{url} answered with the status {response.status_code}.")
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise IssuerError(f"{url} is compressed.")
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise IssuerError(f"{url} is larger than {MAX_BODY_BYTES // 1024} KB.")
            max_age = MAX_AGE.search(response.headers.get("cache-control", ""))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise IssuerError(f"{url} can't be reached: {type(error).__name__}.") from None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise IssuerError(f"{url} isn't a JSON object.")
    return cast("JsonObject", document), float(max_age[1]) if max_age else None
