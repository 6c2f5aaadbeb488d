"""What must not be shown, taken out of every line once more, whatever a check wrote."""

from collections.abc import Collection
from dataclasses import replace

from .check import Check
from .route import credentials_of
from .setup import TOKEN_VARIABLES, FoundToken, Setup

HIDDEN = "[hidden]"
# A shorter one would take ordinary words out of the text.
MIN_LENGTH = 6


def secrets_of(setup: Setup) -> set[str]:
    """The tokens and the proxies' credentials that are known by now."""
    known = {setup.environ.get(name, "").strip() for name in TOKEN_VARIABLES}
    # Not looked for here: that may take a while.
    found: FoundToken | None = setup.__dict__.get("token")
    known |= {setup.settings.api_token or "", found.value if found else ""}
    return {one for one in known | credentials_of(setup.environ) if len(one) >= MIN_LENGTH}


def hidden(check: Check, secrets: Collection[str]) -> Check:
    """The check without any of them."""
    fact, fix = check.fact, check.fix
    for secret in sorted(secrets, key=len, reverse=True):
        fact = fact.replace(secret, HIDDEN)
        fix = fix and fix.replace(secret, HIDDEN)
    return replace(check, fact=fact, fix=fix)
