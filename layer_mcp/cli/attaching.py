"""layer-mcp config, and the command line of install and uninstall."""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..settings import Settings
from .parser import EXIT_FAILED, EXIT_OK, EXIT_USAGE, unicode_text
from .toolset_option import add_toolsets

if TYPE_CHECKING:
    from ..clients.catalog import Client
    from ..clients.command import Launch

DEFAULT_NAME = "layer"
NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
CLIENT_HELP = "such as claude-desktop, cursor, codex; layer-mcp config names all"


def add_attaching(add_command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands to the command line, by argparse's `add_parser`."""
    command = add_command("config", help="print the entry for a client, and its file")
    command.add_argument("client", nargs="?", metavar="CLIENT", help=CLIENT_HELP)
    _add_choices(command)
    command.set_defaults(run=_reporting(config))

    command = add_command("install", help="write the entry into a client's configuration")
    command.add_argument("client", metavar="CLIENT", help=CLIENT_HELP)
    _add_choices(command)
    _add_dry_run(command)
    command.set_defaults(run=_reporting(_install))

    command = add_command("uninstall", help="take the entry out of a client's configuration")
    command.add_argument("client", metavar="CLIENT", help=CLIENT_HELP)
    _add_entry_options(command)
    _add_dry_run(command)
    command.set_defaults(run=_reporting(_uninstall))


def config(options: argparse.Namespace) -> int:
    """Print the entry for a client, or the clients that there are."""
    from ..clients.catalog import CLIENTS  # noqa: PLC0415
    from ..clients.entries import entry_text  # noqa: PLC0415
    from ..clients.platforms import this_platform  # noqa: PLC0415

    if options.client is None:
        platform = this_platform()
        for client in CLIENTS:
            print(f"{client.id:<15} {client.file(platform)}")
        return EXIT_OK
    client, path = client_and_file(options)
    entry = client.entry(chosen_launch(options))
    print(entry_text(client, options.name, entry), end="", flush=True)
    print(f"\n{client.title} reads it from {path}.", file=sys.stderr)
    if not options.sandbox:
        print(_where_the_token_comes_from(), file=sys.stderr)
    return EXIT_OK


def _where_the_token_comes_from() -> str:
    from ..credentials import keyring_name  # noqa: PLC0415

    if keyring_name() is None:
        return "The server needs a token: add LAYER_API_KEY to its environment."
    return "The server takes the token that layer-mcp login stores."


def client_and_file(options: argparse.Namespace) -> "tuple[Client, Path]":
    """The client that is named, and its file or the one that is named instead.

    Raises:
        AttachError: there is no such client, or no home folder.
    """
    from ..clients.catalog import client_of  # noqa: PLC0415
    from ..clients.platforms import this_platform  # noqa: PLC0415

    client = client_of(options.client)
    return client, options.file.absolute() if options.file else client.file(this_platform())


def chosen_launch(options: argparse.Namespace) -> "Launch":
    """How the client is to start the server.

    Raises:
        AttachError: this installation does not stay.
        SettingsError: a choice that the server would refuse.
    """
    from ..clients.command import Choices, Launch, this_command  # noqa: PLC0415

    outer = Settings.from_env()
    choices = Choices(
        sandbox=options.sandbox,
        api_url=outer.api_url,
        workspace=options.workspace or outer.workspace,
        output_dir=options.output_dir,
        input_dirs=tuple(options.input_dir),
        toolsets=options.toolsets or (),
        confirm_above=options.confirm_above,
        max_price=options.max_price,
        max_spend_per_day=options.max_spend_per_day,
    )
    command, args = this_command()
    return Launch(command, args, choices.environment())


def _install(options: argparse.Namespace) -> int:
    from .installing import install  # noqa: PLC0415

    return install(options)


def _uninstall(options: argparse.Namespace) -> int:
    from .installing import uninstall  # noqa: PLC0415

    return uninstall(options)


def _reporting(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """The command, with what is wrong as a line and an exit code."""

    def reported(options: argparse.Namespace) -> int:
        from ..clients.errors import AttachError, UnknownClientError  # noqa: PLC0415

        try:
            return run(options)
        except AttachError as error:
            print(f"layer-mcp: {error}", file=sys.stderr)
            return EXIT_USAGE if isinstance(error, UnknownClientError) else EXIT_FAILED

    return reported


def _add_choices(command: argparse.ArgumentParser) -> None:
    _add_entry_options(command)
    command.add_argument(
        "--sandbox",
        action="store_true",
        default=argparse.SUPPRESS,
        help="a simulated Layer: no account, no charge",
    )
    command.add_argument(
        "--workspace", type=unicode_text, metavar="NAME", help="workspace: id, slug or name"
    )
    command.add_argument("--output-dir", metavar="DIR", help="finished runs are saved there")
    command.add_argument(
        "--input-dir",
        action="append",
        default=[],
        metavar="DIR",
        help="its files may be uploaded; may be repeated",
    )
    add_toolsets(command)
    command.add_argument(
        "--confirm-above", metavar="CU", help="a run that costs more needs a person's yes"
    )
    command.add_argument("--max-price", metavar="CU", help="the most that one run may cost")
    command.add_argument(
        "--max-spend-per-day", metavar="CU", help="the most that all runs of 24 hours may cost"
    )


def _add_entry_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--name", type=_name, default=DEFAULT_NAME, help="name of the server there (%(default)s)"
    )
    command.add_argument("--file", type=Path, metavar="PATH", help="another file of the client")


def _add_dry_run(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--dry-run", action="store_true", help="show the changed lines, write nothing"
    )


def _name(text: str) -> str:
    if NAME.fullmatch(text):
        return text
    raise argparse.ArgumentTypeError("must be 1 to 40 letters, digits, - or _")
