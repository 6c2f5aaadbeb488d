"""layer-mcp install and uninstall: write the entry, take it out, place the token."""

import argparse
import os
import stat
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..settings import Settings
from .attaching import chosen_launch, client_and_file
from .parser import EXIT_OK

if TYPE_CHECKING:
    from ..clients.catalog import Client
    from ..clients.installing import Change

NO_TOKEN_YET = "There is no token yet; without --dry-run it is asked for."  # noqa: S105
NOBODY_TO_ASK = (
    "Run layer-mcp login first, set LAYER_API_KEY for this one command, or try it with --sandbox."
)


@dataclass(frozen=True)
class PlacedToken:
    """Where the token is kept: `in_entry` is it for the client's file, `said` tells the user."""

    in_entry: str | None
    said: str


def install(options: argparse.Namespace) -> int:
    """Put the entry into a client's configuration."""
    from ..clients.installing import installation  # noqa: PLC0415

    client, path = client_and_file(options)
    launch = chosen_launch(options)
    # What is wrong with the file is said before a token is asked for or stored.
    change = installation(client, path, options.name, launch)
    placed = PlacedToken(None, "") if options.sandbox else _placed_token(options, change)
    if placed.in_entry is not None:
        launch = replace(launch, env={**launch.env, "LAYER_API_KEY": placed.in_entry})
        change = installation(client, path, options.name, launch)
    if options.dry_run:
        return _show(change, placed.said)
    _apply(change)
    if change.leaves_the_sandbox:
        print("It was an entry for the sandbox. Runs are charged from now on.")
    if placed.said:
        print(placed.said)
    if placed.in_entry is not None:
        print(_warning(path, client))
    if not change.is_none:
        print(client.then)
    return EXIT_OK


def _apply(change: "Change") -> None:
    where = f"as {change.name} in {change.file.path}"
    if change.is_none:
        print(f"{change.client.title}: already installed {where}.")
        return
    change.apply()
    print(f"{change.client.title}: {'updated' if change.old else 'installed'} {where}.")
    if change.makes_backup:
        print(f"The file as it was: {change.file.backup}")


def uninstall(options: argparse.Namespace) -> int:
    """Take the entry out of a client's configuration."""
    from ..clients.installing import uninstallation  # noqa: PLC0415

    client, path = client_and_file(options)
    change = uninstallation(client, path, options.name)
    if options.dry_run:
        return _show(change)
    if change.is_none:
        print(f"{client.title}: there is no entry {options.name} in {path}.")
        return EXIT_OK
    change.apply()
    gone = ", which is gone, as nothing else was in it" if change.after is None else ""
    print(f"{client.title}: took {options.name} out of {path}{gone}.")
    if change.file.backup.exists():
        print(f"The file as it was before it was installed: {change.file.backup}")
    print(f"Restart {client.title}, or have it read its servers again.")
    return EXIT_OK


def _show(change: "Change", remark: str = "") -> int:
    if change.is_none:
        print(f"{change.client.title}: nothing would change in {change.file.path}.")
    else:
        print(change.diff(), end="", flush=True)
    if remark:
        print(remark, file=sys.stderr)
    return EXIT_OK


def _placed_token(options: argparse.Namespace, change: "Change") -> PlacedToken:
    """The token in the keyring, or for the entry where there is no keyring.

    Raises:
        AttachError: there is no token and nobody to ask, or it is of the wrong kind.
    """
    from ..clients.entries import token_in  # noqa: PLC0415
    from ..clients.errors import AttachError  # noqa: PLC0415
    from ..credentials import (  # noqa: PLC0415
        NoKeyringError,
        keyring_name,
        store_token,
        stored_token,
    )
    from ..token_text import TokenTextError  # noqa: PLC0415
    from .token_input import NoTokenError, asked_token, token_of_environment  # noqa: PLC0415

    settings = Settings.from_env()
    keyring = keyring_name()
    stored = stored_token(settings.api_url) if keyring else None
    try:
        token = token_of_environment(settings) or stored or token_in(change.client, change.old)
        if token is None and not options.dry_run:
            token = asked_token()
    except TokenTextError as error:
        raise AttachError(f"{error}", "Nothing was changed.") from None
    except NoTokenError:
        raise AttachError("There is no token.", NOBODY_TO_ASK) from None
    if token is None:
        return PlacedToken(None, NO_TOKEN_YET)
    if keyring is None:
        return PlacedToken(token, "")
    if token == stored or options.dry_run:
        return PlacedToken(None, f"The token is in {keyring}." if stored else "")
    try:
        return PlacedToken(None, f"The token is stored in {store_token(settings.api_url, token)}.")
    except NoKeyringError as error:
        print(f"layer-mcp: {error}", file=sys.stderr)
        return PlacedToken(token, "")


def _warning(path: Path, client: "Client") -> str:
    return (
        f"Warning: no keyring is used here, so the token stands in {path}, which {_readers(path)} "
        f"can read. To take it out again: layer-mcp uninstall {client.id}"
    )


def _readers(path: Path) -> str:
    if os.name != "posix":
        return "whoever may open your user folder"
    mode = path.stat().st_mode
    if mode & stat.S_IROTH:
        return "every user of this machine"
    return "your group" if mode & stat.S_IRGRP else "every program of yours"
