"""The settings, and the token in them or in the keyring."""

from ..api.errors import next_step_for
from ..token_text import CREATE_STEP, TokenTextError, token_of
from .check import Check, Subject
from .setup import Setup

SETTINGS = Subject("settings", "Settings")
TOKEN = Subject("token", "Token")


def settings(setup: Setup) -> Check:
    """Whether every setting of the environment can be used."""
    if setup.settings_problem:
        return SETTINGS.failed(setup.settings_problem, "Correct or remove that variable.")
    names = sorted(
        name for name, value in setup.environ.items() if name.startswith("LAYER_") and value.strip()
    )
    return SETTINGS.ok(", ".join(names) or "none are set; the usual ones are used")


def token(setup: Setup) -> Check:
    """Whether there is a token that can be one of Layer's; says its place, never the token."""
    if setup.token is None:
        return TOKEN.failed("none is set, and none is stored", next_step_for("MISSING_TOKEN"))
    place = setup.token_place
    try:
        bare = token_of(setup.token)
    except TokenTextError as error:
        return TOKEN.failed(f"{place}. {error}".removesuffix(f" {CREATE_STEP}"), CREATE_STEP)
    if bare != setup.token:
        fix = "Set it without quotes and without Bearer, or run layer-mcp login."
        return TOKEN.failed(f"{place}, with quotes or Bearer around it", fix)
    return TOKEN.ok(place)
