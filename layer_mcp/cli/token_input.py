"""Where a command takes the token from: a pipe, the environment, or a person; never an argument."""

import getpass
import sys

from ..settings import Settings
from ..token_text import token_of

PROMPT = "Layer token (what you type is not shown): "
MAX_PIPED_CHARACTERS = 65_536


class NoTokenError(Exception):
    """There is no token, and nobody to ask."""


def piped_token() -> str | None:
    """The token that comes through a pipe; None at a terminal, or when nothing comes.

    Raises:
        TokenTextError: what comes is no token.
    """
    if sys.stdin is None or sys.stdin.isatty():
        return None
    text = sys.stdin.read(MAX_PIPED_CHARACTERS)
    return token_of(text) if text.strip() else None


def token_of_environment(settings: Settings) -> str | None:
    """The token of the environment; None when it has none.

    Raises:
        TokenTextError: it is no token.
    """
    return None if settings.api_token is None else token_of(settings.api_token)


def asked_token() -> str:
    """The token that a person types or pastes, without echo.

    Raises:
        NoTokenError: there is no terminal to ask at.
        TokenTextError: it is no token.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise NoTokenError
    try:
        return token_of(getpass.getpass(PROMPT, stream=sys.stderr))
    except EOFError:
        raise NoTokenError from None
