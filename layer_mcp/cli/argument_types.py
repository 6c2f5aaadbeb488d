"""How the text of an argument becomes its value."""

import argparse
import math
import os

from ..setting_values import SettingsError


class UsageError(SettingsError):
    """Arguments that do not go together, or name what cannot be used."""


def unicode_text(argument: str) -> str:
    """An argument as Unicode, in a locale that does not say UTF-8 too."""
    return os.fsencode(argument).decode("utf-8", "replace")


def whole_number(argument: str) -> int:
    """A whole number."""
    try:
        return int(argument)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a whole number") from None


def number(argument: str) -> float:
    """A finite number."""
    try:
        value = float(argument)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError("must be a number")
    return value


def price(argument: str) -> float:
    """A number of Creative Units."""
    value = number(argument)
    if value < 0:
        raise argparse.ArgumentTypeError("must be 0 CU or more")
    return value
