"""layer-mcp's entry point: parse the command line, run the command, return its exit code.

The asset commands are declared here and loaded when they are called, because they need rich.
"""

import argparse
import io
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

from ..settings import SettingsError
from ..signals import Interrupted
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
    add_sandbox_flag,
    price,
    unicode_text,
    whole_number,
)
from .serve import add_servers, serve_by_default

PICTURES = ("auto", "blocks", "never")
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
    except Interrupted as interrupt:
        return interrupt.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _replace_unencodable_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _describe(error: SettingsError | OSError) -> str:
    """Return a setting's problem, or the operating system's words without its error number."""
    if isinstance(error, SettingsError):
        return f"{error}"
    if error.strerror is None:
        return f"The operating system refused it ({type(error).__name__})."
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
    _add_asset_commands(commands.group("assets"))

    add_command = commands.group("server")
    add_servers(add_command)
    command = add_command("demo", help="generate one simulated image, as an MCP client does")
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


def _add_asset_commands(add_command: Callable[..., CommandParser]) -> None:
    """Add the commands about runs and models."""
    for name, function, add_options, summary in (
        (
            "generate",
            "generate.generate",
            _add_generate,
            "generate images, video, 3D, or audio, and save the files",
        ),
        (
            "price",
            "generate.show_price",
            _add_price,
            "estimate a price without starting anything",
        ),
        ("status", "runs.show_status", _add_status, "show a run's status and save its files"),
        ("runs", "runs.list_runs", _add_runs, "list runs of this machine, with their prices"),
        ("models", "models.list_models", _add_models, "list available models"),
        ("model", "models.show_model", _add_model, "show what a model can do"),
    ):
        description = f"{summary[0].upper()}{summary[1:]}."
        command = add_command(name, help=summary, description=description, allow_abbrev=False)
        command.rejects_unknown = True
        command.late_options = add_options
        command.set_defaults(run=_import_when_called(function))


def _import_when_called(path: str) -> Callable[[argparse.Namespace], int]:
    module, _, function = path.partition(".")

    def run(options: argparse.Namespace) -> int:
        from .reporting import run_command  # noqa: PLC0415

        return run_command(getattr(import_module(f".{module}", __package__), function), options)

    return run


def _add_generate(command: CommandParser) -> None:
    from .options import add_request_options  # noqa: PLC0415

    command.usage = "layer-mcp generate PROMPT --model NAME [options]"
    command.epilog = 'A prompt that begins with "-" goes last, after "--".'
    group = command.add_argument_group("files and money")
    _add_out(group)
    group.add_argument(
        "--max-price",
        type=price,
        metavar="CU",
        help="agree to a price up to this",
    )
    group.add_argument("--repeat", action="store_true", help="pay for the same request again")
    group.add_argument("--no-wait", action="store_true", help="print the run's ID without waiting")
    _add_picture(group)
    add_request_options(command)
    _add_common(command)


def _add_price(command: CommandParser) -> None:
    from .options import add_request_options  # noqa: PLC0415

    command.usage = "layer-mcp price PROMPT --model NAME [options]"
    add_request_options(command)
    _add_common(command)


def _add_status(command: CommandParser) -> None:
    command.add_argument("run_id", metavar="RUN_ID", help="from generate or runs")
    command.add_argument("--wait", action="store_true", help="wait until the run has ended")
    _add_out(command)
    _add_picture(command)
    _add_common(command)


def _add_runs(command: CommandParser) -> None:
    from ..runs.types import StatusFilter  # noqa: PLC0415

    command.add_argument("--status", choices=get_args(StatusFilter), help="only this status")
    command.add_argument("--since", metavar="TIME", help="30m, 24h, 7d or a date")
    command.add_argument("--batch", metavar="ID", help="only the runs of this batch")
    _add_page(command)
    _add_common(command)


def _add_models(command: CommandParser) -> None:
    from .options import add_model_filters  # noqa: PLC0415

    command.add_argument(
        "search",
        nargs="?",
        type=unicode_text,
        metavar="SEARCH",
        help="words in the name or description",
    )
    add_model_filters(command)
    _add_page(command)
    _add_common(command)


def _add_model(command: CommandParser) -> None:
    command.add_argument("model", type=unicode_text, metavar="NAME", help="name or ID of a model")
    _add_common(command)


def _add_out(command: Any) -> None:
    command.add_argument(
        "--out",
        type=unicode_text,
        metavar="DIR",
        help="folder for the files (LAYER_OUTPUT_DIR, else Layer in your home)",
    )


def _add_picture(command: Any) -> None:
    command.add_argument(
        "--picture",
        choices=PICTURES,
        default="auto",
        help="show the image: if the terminal can (auto), as colored blocks, or never",
    )


def _add_page(command: argparse.ArgumentParser) -> None:
    command.add_argument("--limit", type=whole_number, metavar="N", help="maximum rows (20)")
    command.add_argument("--cursor", metavar="TEXT", help="next_cursor of the previous page")


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument(
        "--workspace", type=unicode_text, metavar="NAME", help="workspace ID, slug, or name"
    )
    add_sandbox_flag(command)


def _demo(options: argparse.Namespace) -> int:
    from .demo import demo  # noqa: PLC0415

    return demo(options.prompt, options.out)
