"""The command line: parse it, run the command, return its exit code."""

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from ..settings import SettingsError
from ..signals import Interrupted
from ..version import __version__
from .assets import add_account_commands, add_asset_commands
from .clients import add_client_commands
from .completion import add_completion
from .doctor import add_doctor
from .login import add_login
from .parser import (
    EXIT_BROKEN_PIPE,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    AddCommand,
    CommandParser,
    Commands,
    list_examples,
    unicode_text,
)
from .screen.output import discard_stdout
from .serve import add_servers, serve_by_default
from .tokens import add_tokens

DEFAULT_PROMPT = "a red potion in a round bottle"

DESCRIPTION = "Make game assets with Layer. Without a command, serve an MCP client over stdio."
EXAMPLES = (
    "layer-mcp demo",
    'layer-mcp generate "a red potion" --model "Sandbox Image" -n 1 --sandbox',
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    _replace_unencodable_output()
    try:
        # Inside the block, because some commands import the modules that define their options.
        options = parser().parse_args(arguments)
        code = options.run(options)
        print(end="", flush=True)
        return code
    except BrokenPipeError:
        discard_stdout()
        return EXIT_BROKEN_PIPE
    except (SettingsError, OSError) as error:
        print(f"layer-mcp: {_describe(error)}", file=sys.stderr)
        return EXIT_USAGE
    except Interrupted as interrupt:
        return interrupt.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _replace_unencodable_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _describe(error: SettingsError | OSError) -> str:
    """Return a setting's problem, or the operating system's message without its error number."""
    if isinstance(error, SettingsError):
        return f"{error}"
    if error.strerror is None:
        return f"The operating system refused it ({type(error).__name__})."
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def parser() -> CommandParser:
    """Return the parser of the command line."""
    top = CommandParser(
        prog="layer-mcp", usage="layer-mcp [options] [COMMAND ...]", description=DESCRIPTION
    )
    top.add_argument(
        "-V",
        "--version",
        action="version",
        version=f"layer-mcp {__version__}",
        help="show the version",
    )
    serve_by_default(top)
    commands = Commands(top)
    add_asset_commands(commands.group("assets"))

    add_command = commands.group("server")
    add_servers(add_command)
    add_tokens(add_command)
    _add_demo(add_command)

    add_client_commands(commands.group("clients"))
    add_command = commands.group("account")
    add_account_commands(add_command)
    add_login(add_command)

    add_command = commands.group("help")
    add_doctor(add_command)
    add_completion(add_command, commands)
    commands.add_help(add_command)
    top.epilog = f"{commands.listing()}\n\n{list_examples(EXAMPLES)}"
    return top


def _add_demo(add_command: AddCommand) -> None:
    command = add_command(
        "demo",
        help="generate one simulated image, as an MCP client does",
        examples=["layer-mcp demo", 'layer-mcp demo --prompt "a golden key" --out art'],
    )
    command.add_argument(
        "--prompt",
        type=unicode_text,
        default=DEFAULT_PROMPT,
        metavar="TEXT",
        help='what to make ("%(default)s")',
    )
    command.add_argument(
        "--out",
        type=Path,
        default=Path("layer-demo"),
        metavar="DIR",
        help="folder for the file (%(default)s)",
    )
    command.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> int:
    from .demo import demo  # noqa: PLC0415

    return demo(options.prompt, options.out)
