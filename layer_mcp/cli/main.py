"""layer-mcp's entry point: parse the command line, run the command, return its exit code."""

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from ..settings import SettingsError
from ..version import __version__
from .clients import add_client_commands
from .doctor import add_doctor
from .login import add_login
from .output import discard_stdout
from .parser import (
    EXIT_BROKEN_PIPE,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    CommandParser,
    Commands,
    add_asset_commands,
    unicode_text,
)
from .serve import add_servers, serve_by_default

DEFAULT_PROMPT = "a red potion in a round bottle"

DESCRIPTION = """\
The MCP server for Layer: AI agents make game assets through it.
Without a command it speaks MCP on stdin and stdout, as a host such as Claude Desktop wants it.
"""
EXIT_CODES = "exit codes: 0 done, 1 failed, 2 wrong usage or setting, 130 interrupted"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    _replace_unencodable_output()
    try:
        # Inside the block, as some commands import what their options are made from.
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
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _replace_unencodable_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _describe(error: Exception) -> str:
    """Return the error's text without the operating system's error number."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = CommandParser(
        prog="layer-mcp",
        usage="layer-mcp [options] [COMMAND ...]",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"layer-mcp {__version__}")
    serve_by_default(top)
    commands = Commands(top)
    add_asset_commands(commands.group("assets"))

    add_command = commands.group("server")
    add_servers(add_command)
    command = add_command("demo", help="make one simulated picture, as a host would")
    command.add_argument(
        "--prompt", type=unicode_text, default=DEFAULT_PROMPT, help='"%(default)s"'
    )
    command.add_argument(
        "--out", type=Path, default=Path("layer-demo"), metavar="DIR", help="folder (%(default)s)"
    )
    command.set_defaults(run=_demo)

    add_client_commands(commands.group("clients"))
    add_command = commands.group("account")
    add_login(add_command)
    add_doctor(add_command)
    top.epilog = f"{commands.listing()}\n\n{EXIT_CODES}"
    return top


def _demo(options: argparse.Namespace) -> int:
    from .demo import demo  # noqa: PLC0415

    return demo(options.prompt, options.out)
