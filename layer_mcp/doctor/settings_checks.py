"""The settings, and the token in them or in the keyring."""

from dataclasses import fields
from difflib import get_close_matches

from ..credentials import CREATE_TOKEN_STEP, InvalidTokenError, parse_token
from ..errors import next_step_for
from ..settings import Settings
from .check import Check, Subject
from .setup import Setup

SETTINGS = Subject("settings", "Settings")
TOKEN = Subject("token", "Token")


def settings(setup: Setup) -> Check:
    """Whether every setting of the environment can be used."""
    if setup.settings_problem:
        return SETTINGS.failed(setup.settings_problem, "Correct or remove that variable.")
    known = [name for one in fields(Settings) for name in one.metadata["names"]]
    given = sorted(
        name
        for name, value in setup.environ.items()
        if name.startswith("LAYER_") and value.strip() and not value.strip().startswith("${")
    )
    near = {name: get_close_matches(name, known, n=1, cutoff=0.8) for name in given}
    mistyped = {name: near[name][0] for name in given if near[name] and name not in known}
    if mistyped:
        meant = "; ".join(f"{right} instead of {name}" for name, right in mistyped.items())
        return SETTINGS.warning(
            f"not read, as there is no such setting: {', '.join(mistyped)}",
            f"If it is mistyped, correct it: {meant}.",
        )
    used = [name for name in given if name in known]
    return SETTINGS.ok(", ".join(used) or "none are set; the usual ones are used")


def token(setup: Setup) -> Check:
    """Whether there is a token that can be one of Layer's; says its place, never the token."""
    if setup.token is None:
        return TOKEN.failed("none is set, and none is stored", next_step_for("MISSING_TOKEN"))
    value, place = setup.token.value, setup.token.place
    try:
        bare = parse_token(value)
    except InvalidTokenError as error:
        return TOKEN.failed(
            f"{place}. {error}".removesuffix(f" {CREATE_TOKEN_STEP}"), CREATE_TOKEN_STEP
        )
    if bare != value:
        fix = "Set it without quotes and without Bearer, or run layer-mcp login."
        return TOKEN.failed(f"{place}, with quotes or Bearer around it", fix)
    return TOKEN.ok(place)
