"""layer-mcp login and logout, and where a command gets the access token from."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

from ..credentials import NoKeyringError, delete_token, find_keyring_name, read_token, store_token
from ..settings import Settings
from ..tokens import InvalidTokenError, parse_token
from .parser import EXIT_FAILED, EXIT_OK
from .screen.output import plain

MAX_SHOWN_WORKSPACES = 10
MAX_PIPED_CHARACTERS = 65_536
MAX_ATTEMPTS = 3
PROMPT = (
    "Layer access token (create one at app.layer.ai > Settings > Personal Access Tokens; "
    "input is hidden): "
)
NO_TOKEN = "There is no token. Run layer-mcp login at a terminal, or pipe the token into it."  # noqa: S105
NO_TOKEN_YET = "There is no token yet. Without --dry-run, you're asked for one."  # noqa: S105
NOT_AS_ARGUMENT = (
    "Don't pass the token as an argument: other users can see it. Create a new one, and run "
    "layer-mcp login alone."
)
NO_KEYRING_STEP = (
    "Run layer-mcp install CLIENT to save the token in the client's configuration, or set "
    "LAYER_API_KEY."
)


class NoTokenError(Exception):
    """No token was given, and there is no terminal to ask at."""


@dataclass(frozen=True)
class PlacedToken:
    """Where an installation stores the token: the keyring, or `in_entry`; `message` says which."""

    in_entry: str | None
    message: str = ""


def add_login(add_command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands with argparse's `add_parser`."""
    command = add_command(
        "login",
        help="check a token and store it in the system's keyring",
        examples=["layer-mcp login", "layer-mcp login < token.txt"],
    )
    command.add_argument(
        "--no-check", action="store_true", help="store the token without checking it"
    )
    command.add_argument("token", nargs="*", help=argparse.SUPPRESS)
    command.set_defaults(run=login)
    command = add_command(
        "logout", help="remove the token from the keyring", examples=["layer-mcp logout"]
    )
    command.set_defaults(run=logout)


def login(options: argparse.Namespace) -> int:
    """Get a token, check it, store it, and print the workspaces it gives access to."""
    if options.token:
        return _fail(NOT_AS_ARGUMENT)
    settings = Settings.from_env()
    token = _get_new_token(settings)
    if token is None:
        return EXIT_FAILED
    if not options.no_check and not _check_token(token, settings.api_url):
        return EXIT_FAILED
    try:
        print(f"The token is stored in {store_token(settings.api_url, token)}.")
    except NoKeyringError as error:
        return _fail(f"{error} {NO_KEYRING_STEP}")
    if settings.api_token not in (None, token):
        print("LAYER_API_KEY is set too. Where it's set, it overrides the stored token.")
    return EXIT_OK


def logout(_options: argparse.Namespace) -> int:
    """Delete the stored token."""
    settings = Settings.from_env()
    try:
        was_stored = delete_token(settings.api_url)
    except NoKeyringError as error:
        return _fail(f"{error} Unlock it and run layer-mcp logout again.")
    print("Removed the stored token." if was_stored else "No token was stored.")
    if settings.api_token is not None:
        print("LAYER_API_KEY is still set in this environment.")
    return EXIT_OK


def place_token(settings: Settings, old_token: str | None, *, dry_run: bool) -> PlacedToken:
    """Store the token for an installation in the keyring, or return it if there is no keyring.

    `old_token` is the token in the replaced entry. A dry run asks for nothing and stores
    nothing.

    Raises:
        InvalidTokenError: The text isn't a token.
        NoTokenError: There is no token and no terminal to ask at.
    """
    keyring = find_keyring_name()
    stored = read_token(settings.api_url) if keyring else None
    token = _environment_token(settings) or stored or old_token
    if token is None and dry_run:
        return PlacedToken(None, NO_TOKEN_YET)
    token = token or _ask_token()
    if keyring is None:
        return PlacedToken(token)
    if token == stored or dry_run:
        return PlacedToken(None, f"The token is in {keyring}." if stored else "")
    try:
        return PlacedToken(None, f"The token is stored in {store_token(settings.api_url, token)}.")
    except NoKeyringError as error:
        _fail(f"{error}")
        return PlacedToken(token)


def _get_new_token(settings: Settings) -> str | None:
    """Return the token to store, or None after printing why there is none."""
    try:
        given = _read_piped_token() or _environment_token(settings)
        if find_keyring_name() is not None:
            return given or _ask_token()
        _fail(f"There is no keyring on this system. {NO_KEYRING_STEP}")
    except InvalidTokenError as error:
        _fail(f"{error} Nothing was stored.")
    except NoTokenError:
        _fail(NO_TOKEN)
    return None


def _read_piped_token() -> str | None:
    if sys.stdin is None or sys.stdin.isatty():
        return None
    text = sys.stdin.read(MAX_PIPED_CHARACTERS)
    return parse_token(text) if text.strip() else None


def _environment_token(settings: Settings) -> str | None:
    return None if settings.api_token is None else parse_token(settings.api_token)


def _ask_token() -> str:
    import getpass  # noqa: PLC0415

    if sys.stdin is None or not sys.stdin.isatty():
        raise NoTokenError
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            return parse_token(getpass.getpass(PROMPT, stream=sys.stderr))
        except InvalidTokenError as error:
            if attempt == MAX_ATTEMPTS:
                raise
            print(f"layer-mcp: {error} Try again.", file=sys.stderr)
        except EOFError:
            break
    raise NoTokenError


def _check_token(token: str, api_url: str) -> bool:
    """Print the workspaces that a token gives access to, or why Layer refuses it."""
    import anyio  # noqa: PLC0415

    from ..api.client import LayerClient  # noqa: PLC0415
    from ..errors import LayerError  # noqa: PLC0415

    async def list_names() -> list[str]:
        async with LayerClient(token, api_url=api_url) as layer:
            return [
                workspace.name or workspace.workspace_id
                for workspace in await layer.list_workspaces()
            ]

    try:
        names = anyio.run(list_names)
    except LayerError as error:
        step = "Run layer-mcp login again with another token."
        if error.code != "UNAUTHENTICATED":
            step = (
                f"{error.next_step} To store it without checking, run layer-mcp login --no-check."
            )
        _fail(f"{error.message} Nothing was stored. {step}")
        return False
    hidden = len(names) - MAX_SHOWN_WORKSPACES
    more = f" and {hidden} more" if hidden > 0 else ""
    shown = ", ".join(plain(name) for name in names[:MAX_SHOWN_WORKSPACES])
    print(f"Layer accepts the token. Workspaces: {shown or 'none'}{more}.")
    return True


def _fail(sentence: str) -> int:
    print(f"layer-mcp: {plain(sentence)}", file=sys.stderr)
    return EXIT_FAILED
