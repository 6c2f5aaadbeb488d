"""Checks of the settings and the token, and the secrets that no report may contain."""

from collections.abc import Collection
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from urllib.parse import urlsplit

from ..clients.entries import TOKEN_NAMES
from ..credentials import find_keyring_name, token_source
from ..errors import next_step_for
from ..settings import Settings
from ..tokens import CREATE_TOKEN_STEP, InvalidTokenError, parse_token, tidy_token
from .clients import find_configured_clients
from .connection import proxy_credentials
from .types import Finding, Setup, fail, ok, warn

REPLACEMENT = "[hidden]"
# Replacing a shorter secret would also replace parts of ordinary words.
MIN_SECRET_LENGTH = 6


@dataclass(frozen=True)
class FoundToken:
    """A token exactly as written, and the place where it was found."""

    value: str = field(repr=False)
    place: str


def check_settings(setup: Setup) -> Finding:
    """Check that every setting in the environment is valid and known."""
    if setup.settings_problem:
        return fail(setup.settings_problem, "Fix or remove that variable.")
    known = [name for setting in fields(Settings) for name in setting.metadata["names"]]
    given = sorted(
        name
        for name, value in setup.environ.items()
        if name.startswith("LAYER_") and value.strip() and not value.strip().startswith("${")
    )
    matches = {name: get_close_matches(name, known, n=1, cutoff=0.8) for name in given}
    mistyped = {name: matches[name][0] for name in given if matches[name] and name not in known}
    if mistyped:
        meant = "; ".join(f"{right} instead of {name}" for name, right in mistyped.items())
        return warn(
            f"unknown settings, which are ignored: {', '.join(mistyped)}",
            f"If it's a typo, use {meant}.",
        )
    used = [name for name in given if name in known]
    return ok(", ".join(used) or "none are set; the defaults are used")


def check_token(setup: Setup) -> Finding:
    """Check that there is a token and that it could be Layer's. Report only where it is."""
    token = setup.get(find_token)
    if token is None:
        return fail("none is set, and none is stored", next_step_for("MISSING_TOKEN"))
    try:
        parse_token(token.value)
    except InvalidTokenError as error:
        return fail(
            f"{token.place}. {error}".removesuffix(f" {CREATE_TOKEN_STEP}"), CREATE_TOKEN_STEP
        )
    return ok(token.place)


def find_token(setup: Setup) -> FoundToken | None:
    """Find the token in the settings, the keyring, or a client's entry, in at most 10 s.

    A token from an entry is used only for the API that the entry is for.
    """
    value = token_source(setup.settings)()
    if value is not None:
        return FoundToken(value, _place_of(value, setup))
    if setup.settings.sandbox:
        return None
    for configured in setup.get(find_configured_clients):
        value = configured.tokens.get(setup.settings.api_url)
        if value:
            return FoundToken(value, f"in the entry of {configured.client.title}")
    return None


def known_secrets(setup: Setup) -> set[str]:
    """Return the tokens and the credentials of proxies and the database, as far as known."""
    # A search may take seconds, so a token that hasn't been searched for isn't included.
    found = setup.peek(find_token)
    written = [setup.environ.get(name, "") for name in TOKEN_NAMES]
    tokens = {token for text in written for token in (text.strip(), tidy_token(text))}
    tokens |= {setup.settings.api_token or "", found.value if found else ""}
    database = setup.settings.database_url or ""
    password = urlsplit(database).password or "" if database else ""
    secrets = tokens | {database, password} | proxy_credentials(setup.environ)
    return {secret for secret in secrets if len(secret) >= MIN_SECRET_LENGTH}


def hide_secrets(finding: Finding, secrets: Collection[str]) -> Finding:
    """Return the finding with every secret replaced, wherever it came from."""
    fact, fix = finding.fact, finding.fix
    # Longest first, because one secret may be part of another.
    for secret in sorted(secrets, key=len, reverse=True):
        fact = fact.replace(secret, REPLACEMENT)
        fix = fix and fix.replace(secret, REPLACEMENT)
    return replace(finding, fact=fact, fix=fix)


def _place_of(token: str, setup: Setup) -> str:
    if setup.is_own_sandbox:
        return "the sandbox's own"
    names = (name for name in TOKEN_NAMES if tidy_token(setup.environ.get(name, "")) == token)
    name = next(names, None)
    return f"set as {name}" if name else f"stored in {find_keyring_name() or 'the keyring'}"
