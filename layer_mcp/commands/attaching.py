"""layer-mcp config, install and uninstall: the server's entry in a client's configuration."""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..settings import Settings
from .exit_codes import EXIT_FAILED, EXIT_OK, EXIT_USAGE

if TYPE_CHECKING:
    from ..attach.clients import Client
    from ..attach.launch import Launch

DEFAULT_NAME = "layer"
NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
CLIENT_HELP = "such as claude-desktop, cursor, codex; layer-mcp config names all"


def add_attaching(add_command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands to the command line, by argparse's `add_parser`."""
    command = add_command("config", help="print the entry for a client, and its file")
    command.add_argument("client", nargs="?", metavar="CLIENT", help=CLIENT_HELP)
    _add_choices(command)
    command.set_defaults(run=_reporting(config))


def config(options: argparse.Namespace) -> int:
    """Print the entry for a client, or the clients that there are."""
    from ..attach.clients import CLIENTS, client_of  # noqa: PLC0415
    from ..attach.entries import entry_text  # noqa: PLC0415
    from ..attach.platforms import this_platform  # noqa: PLC0415

    platform = this_platform()
    if options.client is None:
        for client in CLIENTS:
            print(f"{client.id:<15} {client.file(platform)}")
        return EXIT_OK
    client = client_of(options.client)
    path = _file(options, client)
    print(entry_text(client, options.name, client.entry(_launch(options))), end="")
    print(f"\n{client.title} reads it from {path}.", file=sys.stderr)
    if not options.sandbox:
        print("The server takes the token that layer-mcp login stores.", file=sys.stderr)
    return EXIT_OK


def _file(options: argparse.Namespace, client: "Client") -> Path:
    from ..attach.platforms import this_platform  # noqa: PLC0415

    return options.file.absolute() if options.file else client.file(this_platform())


def _launch(options: argparse.Namespace) -> "Launch":
    from ..attach.launch import Choices, Launch, this_command  # noqa: PLC0415

    outer = Settings.from_env()
    choices = Choices(
        sandbox=options.sandbox,
        api_url=outer.api_url,
        workspace=options.workspace or outer.workspace,
        output_dir=options.output_dir,
        input_dirs=tuple(options.input_dir),
        toolsets=options.toolsets or (),
        max_price=options.max_price,
        max_spend_per_day=options.max_spend_per_day,
    )
    command, args = this_command()
    return Launch(command, args, choices.environment())


def _reporting(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """The command, with what is wrong as a line and an exit code."""

    def reported(options: argparse.Namespace) -> int:
        from ..attach.errors import AttachError, UnknownClientError  # noqa: PLC0415

        try:
            return run(options)
        except AttachError as error:
            print(f"layer-mcp: {error}", file=sys.stderr)
            return EXIT_USAGE if isinstance(error, UnknownClientError) else EXIT_FAILED

    return reported


def _add_choices(command: argparse.ArgumentParser) -> None:
    _add_entry_options(command)
    command.add_argument(
        "--sandbox", action="store_true", help="a simulated Layer: no account, no charge"
    )
    command.add_argument("--workspace", metavar="NAME", help="workspace: id, slug or name")
    command.add_argument("--output-dir", metavar="DIR", help="finished runs are saved there")
    command.add_argument(
        "--input-dir",
        action="append",
        default=[],
        metavar="DIR",
        help="its files may be uploaded; may be repeated",
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


def _name(text: str) -> str:
    if NAME.fullmatch(text):
        return text
    raise argparse.ArgumentTypeError("must be 1 to 40 letters, digits, - or _")
