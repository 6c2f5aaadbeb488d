"""layer-mcp login and logout: the token in the system's keyring."""

import argparse
import sys
from collections.abc import Callable

from ..settings import Settings
from .output import plain
from .parser import EXIT_FAILED, EXIT_OK

SHOWN_WORKSPACES = 10
NO_TOKEN = "There is no token. Run layer-mcp login at a terminal, or pipe the token into it."  # noqa: S105
NOT_AS_ARGUMENT = (
    "A token is not taken as an argument, which other users can see. Create a new one, and run "
    "layer-mcp login alone."
)
NO_KEYRING_STEP = (
    "Run layer-mcp install CLIENT, which keeps it in the client's configuration, or set it as "
    "LAYER_API_KEY."
)


def add_login(add_command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands to the command line, by argparse's `add_parser`."""
    command = add_command("login", help="check a token and store it in the system's keyring")
    command.add_argument(
        "--no-check", action="store_true", help="store it without asking Layer, as offline"
    )
    command.add_argument("token", nargs="*", help=argparse.SUPPRESS)
    command.set_defaults(run=login)
    command = add_command("logout", help="take the token out of the keyring")
    command.set_defaults(run=logout)


def login(options: argparse.Namespace) -> int:
    """Take a token, check it, store it, say which workspaces it opens."""
    from ..credentials import NoKeyringError, store_token  # noqa: PLC0415

    if options.token:
        return _failed(NOT_AS_ARGUMENT)
    settings = Settings.from_env()
    token = _new_token(settings)
    if token is None:
        return EXIT_FAILED
    if not options.no_check and not _opens_workspaces(token, settings.api_url):
        return EXIT_FAILED
    try:
        print(f"The token is stored in {store_token(settings.api_url, token)}.")
    except NoKeyringError as error:
        return _failed(f"{error} {NO_KEYRING_STEP}")
    if settings.api_token not in (None, token):
        print("LAYER_API_KEY is set too, and goes before the stored token where it is.")
    return EXIT_OK


def logout(_options: argparse.Namespace) -> int:
    """Forget the stored token."""
    from ..credentials import NoKeyringError, forget_token  # noqa: PLC0415

    settings = Settings.from_env()
    try:
        was_stored = forget_token(settings.api_url)
    except NoKeyringError as error:
        return _failed(f"{error} Unlock it and run layer-mcp logout again.")
    print("The token is no longer stored." if was_stored else "No token was stored.")
    if settings.api_token is not None:
        print("LAYER_API_KEY is still set in this environment.")
    return EXIT_OK


def _new_token(settings: Settings) -> str | None:
    """The token to store, asked for where none is given; None when there is none, which is said."""
    from ..credentials import keyring_name  # noqa: PLC0415
    from ..token_text import TokenTextError  # noqa: PLC0415
    from .token_input import (  # noqa: PLC0415
        NoTokenError,
        asked_token,
        piped_token,
        token_of_environment,
    )

    try:
        given = piped_token() or token_of_environment(settings)
        if keyring_name() is not None:
            return given or asked_token()
        _failed(f"There is no keyring on this system. {NO_KEYRING_STEP}")
    except TokenTextError as error:
        _failed(f"{error} Nothing was stored.")
    except NoTokenError:
        _failed(NO_TOKEN)
    return None


def _opens_workspaces(token: str, api_url: str) -> bool:
    import anyio  # noqa: PLC0415

    from ..api.client import LayerClient  # noqa: PLC0415
    from ..errors import LayerError  # noqa: PLC0415

    async def names() -> list[str]:
        async with LayerClient(token, api_url=api_url) as layer:
            return [
                workspace.name or workspace.workspace_id
                for workspace in await layer.list_workspaces()
            ]

    try:
        found = anyio.run(names)
    except LayerError as error:
        step = "Run layer-mcp login again with another token."
        if error.code != "UNAUTHENTICATED":
            step = f"{error.next_step} To store it unchecked: layer-mcp login --no-check."
        _failed(f"{error.message} Nothing was stored. {step}")
        return False
    more = f" and {len(found) - SHOWN_WORKSPACES} more" if len(found) > SHOWN_WORKSPACES else ""
    shown = ", ".join(plain(name) for name in found[:SHOWN_WORKSPACES])
    print(f"Layer accepts the token. Workspaces: {shown or 'none'}{more}.")
    return True


def _failed(sentence: str) -> int:
    print(f"layer-mcp: {plain(sentence)}", file=sys.stderr)
    return EXIT_FAILED
