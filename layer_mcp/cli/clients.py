"""layer-mcp config, install, and uninstall: the server's entry in a client's configuration."""

import argparse
import os
import re
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..credentials import find_keyring_name
from ..settings import TOOLSETS, Settings, SettingsError, Toolset, parse_toolsets
from ..tokens import InvalidTokenError
from .login import NoTokenError, PlacedToken, place_token
from .parser import EXIT_FAILED, EXIT_OK, EXIT_USAGE, unicode_text

if TYPE_CHECKING:
    from ..clients.catalog import Client
    from ..clients.command import ServerCommand
    from ..clients.install import Change

DEFAULT_NAME = "layer"
NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
CLIENT_HELP = "such as claude-desktop, cursor, or codex; layer-mcp config lists all of them"
NO_TOKEN_STEP = (
    "Run layer-mcp login first, set LAYER_API_KEY for this command, or try it with --sandbox."  # noqa: S105
)


def add_client_commands(add_command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands with argparse's `add_parser`."""
    command = add_command(
        "config",
        help="print the entry for a client and the file it goes in",
        examples=["layer-mcp config", "layer-mcp config cursor"],
    )
    command.add_argument("client", nargs="?", metavar="CLIENT", help=CLIENT_HELP)
    _add_server_options(command)
    command.set_defaults(run=_reporting_errors(config))

    command = add_command(
        "install",
        help="add the server to a client's configuration",
        examples=["layer-mcp install claude-desktop --dry-run", "layer-mcp install cursor"],
    )
    command.add_argument("client", metavar="CLIENT", help=CLIENT_HELP)
    _add_server_options(command)
    command.add_argument(
        "--replace", action="store_true", help="replace another program's entry of the same name"
    )
    _add_dry_run(command)
    command.set_defaults(run=_reporting_errors(install))

    command = add_command(
        "uninstall",
        help="remove the server from a client's configuration",
        examples=["layer-mcp uninstall cursor"],
    )
    command.add_argument("client", metavar="CLIENT", help=CLIENT_HELP)
    _add_entry_options(command)
    _add_dry_run(command)
    command.set_defaults(run=_reporting_errors(uninstall))


def config(options: argparse.Namespace) -> int:
    """Print the entry for a client, or list the clients."""
    from ..clients.catalog import CLIENTS, this_platform  # noqa: PLC0415
    from ..clients.entries import entry_text  # noqa: PLC0415

    if options.client is None:
        platform = this_platform()
        for client in CLIENTS:
            print(f"{client.id:<15} {client.file(platform)}")
        return EXIT_OK
    client, path = _client_and_file(options)
    entry = client.entry(_server_command(options))
    print(entry_text(client, options.name, entry), end="", flush=True)
    print(f"\n{client.title} reads it from {path}.", file=sys.stderr)
    if not options.sandbox:
        print(_token_note(), file=sys.stderr)
    return EXIT_OK


def install(options: argparse.Namespace) -> int:
    """Add the entry to a client's configuration."""
    from ..clients.install import plan_install  # noqa: PLC0415

    client, path = _client_and_file(options)
    command = _server_command(options)
    # Report problems with the file before asking for a token or storing one.
    change = _plan_install(options, client, path, command)
    placed = PlacedToken(None) if options.sandbox else _place_token(options, change)
    if placed.in_entry is not None:
        command = replace(command, env={**command.env, "LAYER_API_KEY": placed.in_entry})
        change = plan_install(
            client, path, options.name, command, replace_foreign=change.is_foreign
        )
    if options.dry_run:
        return _show(change, placed.message)
    _apply(change)
    if change.leaves_sandbox:
        print("The entry used the sandbox. From now on, runs are charged.")
    if placed.message:
        print(placed.message)
    if placed.in_entry is not None:
        print(_token_warning(path, client))
    if not change.is_empty:
        print(client.next_step)
    return EXIT_OK


def uninstall(options: argparse.Namespace) -> int:
    """Remove the entry from a client's configuration."""
    from ..clients.install import plan_uninstall  # noqa: PLC0415

    client, path = _client_and_file(options)
    change = plan_uninstall(client, path, options.name)
    if options.dry_run:
        return _show(change)
    if change.is_empty:
        print(f"{client.title}: there is no entry {options.name} in {path}.")
        return EXIT_OK
    change.apply()
    deleted = " The file had no other entries, so it was deleted." if change.after is None else ""
    print(f"{client.title}: removed {options.name} from {path}.{deleted}")
    if change.file.backup.exists():
        print(f"Backup: {change.file.backup}")
    print(f"Restart {client.title}, or reload its servers.")
    return EXIT_OK


def add_toolsets(command: argparse.ArgumentParser, default: object = argparse.SUPPRESS) -> None:
    """Add --toolsets, which the server takes too; by default, one given before the command."""
    command.add_argument(
        "--toolsets",
        type=_toolsets,
        default=default,
        metavar="NAMES",
        help=f"any of {', '.join(TOOLSETS)}, or all",
    )


def _client_and_file(options: argparse.Namespace) -> "tuple[Client, Path]":
    from ..clients.catalog import find_client, this_platform  # noqa: PLC0415

    client = find_client(options.client)
    return client, options.file.absolute() if options.file else client.file(this_platform())


def _server_command(options: argparse.Namespace) -> "ServerCommand":
    import sysconfig  # noqa: PLC0415

    from ..clients.command import ServerCommand, ServerOptions, find_command  # noqa: PLC0415

    settings = Settings.from_env()
    server_options = ServerOptions(
        sandbox=options.sandbox,
        api_url=settings.api_url,
        workspace=options.workspace or settings.workspace,
        output_dir=options.output_dir,
        input_dirs=tuple(options.input_dir),
        toolsets=options.toolsets or (),
        confirm_above=options.confirm_above,
        max_price=options.max_price,
        max_spend_per_day=options.max_spend_per_day,
    )
    command, args = find_command(sys.argv[0], sys.executable, sysconfig.get_path("scripts"))
    return ServerCommand(command, args, server_options.environment())


def _plan_install(
    options: argparse.Namespace, client: "Client", path: Path, command: "ServerCommand"
) -> "Change":
    """Plan the installation; a person at a terminal can agree to replace another entry."""
    from ..clients.errors import ForeignEntryError  # noqa: PLC0415
    from ..clients.install import plan_install  # noqa: PLC0415
    from .screen.output import ask_yes_or_no, open_screen  # noqa: PLC0415

    try:
        return plan_install(client, path, options.name, command, replace_foreign=options.replace)
    except ForeignEntryError as error:
        if (
            options.dry_run
            or not open_screen().can_ask
            or not ask_yes_or_no(f"{error.fact} Replace it?")
        ):
            raise
    return plan_install(client, path, options.name, command, replace_foreign=True)


def _place_token(options: argparse.Namespace, change: "Change") -> PlacedToken:
    from ..clients.entries import token_in  # noqa: PLC0415
    from ..clients.errors import ClientConfigError  # noqa: PLC0415

    old_token = token_in(change.client, None if change.is_foreign else change.old)
    try:
        return place_token(Settings.from_env(), old_token, dry_run=options.dry_run)
    except InvalidTokenError as error:
        raise ClientConfigError(f"{error}", "Nothing was changed.") from None
    except NoTokenError:
        raise ClientConfigError("There is no token.", NO_TOKEN_STEP) from None


def _show(change: "Change", message: str = "") -> int:
    if change.is_empty:
        print(f"{change.client.title}: nothing would change in {change.file.path}.")
    else:
        print(change.diff(), end="", flush=True)
    if message:
        print(message, file=sys.stderr)
    return EXIT_OK


def _apply(change: "Change") -> None:
    where = f"as {change.name} in {change.file.path}"
    if change.is_empty:
        print(f"{change.client.title}: already installed {where}.")
        return
    change.apply()
    if change.is_foreign:
        print(f"{change.client.title}: replaced the entry {change.name} in {change.file.path}.")
    else:
        print(f"{change.client.title}: {'updated' if change.old else 'installed'} {where}.")
    if change.makes_backup:
        print(f"Backup of the previous file: {change.file.backup}")


def _token_note() -> str:
    if find_keyring_name() is None:
        return "The server needs a token: add LAYER_API_KEY to its environment."
    return "The server uses the token that layer-mcp login stores."


def _token_warning(path: Path, client: "Client") -> str:
    return (
        f"Warning: no keyring is available, so the token is saved in {path}. {_readers(path)} can "
        f"read it. To remove it, run layer-mcp uninstall {client.id}"
    )


def _readers(path: Path) -> str:
    if os.name != "posix":
        return "Anyone who can open your user folder"
    mode = path.stat().st_mode
    if mode & stat.S_IROTH:
        return "Every user of this machine"
    return "Your group" if mode & stat.S_IRGRP else "Every program you run"


def _reporting_errors(
    run: Callable[[argparse.Namespace], int],
) -> Callable[[argparse.Namespace], int]:
    """Wrap a command to print a ClientConfigError and return an exit code."""

    def run_reporting(options: argparse.Namespace) -> int:
        from ..clients.errors import ClientConfigError, UnknownClientError  # noqa: PLC0415

        try:
            return run(options)
        except ClientConfigError as error:
            print(f"layer-mcp: {error}", file=sys.stderr)
            return EXIT_USAGE if isinstance(error, UnknownClientError) else EXIT_FAILED

    return run_reporting


def _add_server_options(command: argparse.ArgumentParser) -> None:
    _add_entry_options(command)
    command.add_argument(
        "--sandbox",
        action="store_true",
        default=argparse.SUPPRESS,
        help="use a simulated Layer: no account, no charges",
    )
    command.add_argument(
        "--workspace", type=unicode_text, metavar="NAME", help="workspace ID, slug, or name"
    )
    command.add_argument("--output-dir", metavar="DIR", help="folder where finished runs are saved")
    command.add_argument(
        "--input-dir",
        action="append",
        default=[],
        metavar="DIR",
        help="folder whose files can be uploaded; can be repeated",
    )
    add_toolsets(command)
    command.add_argument(
        "--confirm-above", metavar="CU", help="price above which a run needs your approval"
    )
    command.add_argument("--max-price", metavar="CU", help="maximum price of one run")
    command.add_argument(
        "--max-spend-per-day", metavar="CU", help="maximum price of all runs in 24 hours"
    )


def _add_entry_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--name", type=_name, default=DEFAULT_NAME, help="name of the entry (default: %(default)s)"
    )
    command.add_argument("--file", type=Path, metavar="PATH", help="another configuration file")


def _add_dry_run(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--dry-run", action="store_true", help="show the changed lines without writing them"
    )


def _name(text: str) -> str:
    if NAME.fullmatch(text):
        return text
    raise argparse.ArgumentTypeError("must be 1 to 40 letters, digits, - or _")


def _toolsets(text: str) -> tuple[Toolset, ...]:
    try:
        return parse_toolsets("NAMES", text)
    except SettingsError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
