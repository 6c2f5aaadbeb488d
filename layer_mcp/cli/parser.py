"""The command line's parser: commands, types of arguments, and exit codes.

The asset commands are declared here and loaded when they are called, because they need rich.
"""

import argparse
import difflib
import math
import os
import re
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Any, NoReturn, get_args

from ..settings import SettingsError
from .output import harmless

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130
# As a shell reports a process that SIGPIPE ended.
EXIT_BROKEN_PIPE = 141

INVALID_CHOICE = re.compile(r"invalid choice: '([^']*)' \(choose from (.*)\)", re.DOTALL)
PICTURES = ("auto", "blocks", "never")


class UsageError(SettingsError):
    """Arguments that do not go together, or an argument with an unusable value."""


class CommandParser(argparse.ArgumentParser):
    """A parser that suggests the nearest name, and adds `late_options` when it first parses."""

    late_options: Callable[["CommandParser"], None] | None = None
    rejects_unknown = False

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parse as argparse does, but report a command's unknown option as that command's error."""
        add_options, self.late_options = self.late_options, None
        if add_options is not None:
            add_options(self)
        options, unknown = super().parse_known_args(args, namespace)
        if unknown and self.rejects_unknown:
            known = re.findall(r"--[a-z0-9][a-z0-9-]*", self.format_help())
            suggestion = suggest_name(unknown[0].partition("=")[0], known)
            self.error(f"unrecognized arguments: {' '.join(unknown)}{suggestion}")
        return options, unknown

    def error(self, message: str) -> NoReturn:
        """Exit with the usage, the message, and the nearest name to an unknown one."""
        invalid = INVALID_CHOICE.search(message)
        suggestion = suggest_name(invalid[1], re.findall(r"[\w.-]+", invalid[2])) if invalid else ""
        super().error(harmless(message + suggestion))


def suggest_name(given: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that suggests the nearest known name, or nothing."""
    # The leading dashes would make all options alike.
    names = {name.lstrip("-"): name for name in known}
    near = difflib.get_close_matches(given.lower().lstrip("-"), names, n=1)
    return f". Did you mean {names[near[0]]}?" if near else ""


class Commands:
    """A parser's commands, listed in groups in its help, which argparse cannot do."""

    def __init__(self, top: CommandParser) -> None:
        self._subparsers = top.add_subparsers(
            prog=top.prog, parser_class=CommandParser, metavar="COMMAND", help=argparse.SUPPRESS
        )
        self._rows: list[str] = []

    def group(self, title: str) -> Callable[..., CommandParser]:
        """Return a function that adds a command to a group, with argparse's `add_parser`."""
        titles = iter([title])

        def add_command(name: str, *, help: str, **more: Any) -> CommandParser:
            self._rows.append(f"  {next(titles, ''):<8} {name:<10} {help}")
            return self._subparsers.add_parser(name, **more)

        return add_command

    def listing(self) -> str:
        """Return the list of all commands for the help."""
        return "\n".join(["commands:", *self._rows])


def add_asset_commands(add_command: Callable[..., CommandParser]) -> None:
    """Add the commands about runs and models."""
    for name, function, add_options, summary in (
        (
            "generate",
            "generate.generate",
            _add_generate,
            "make pictures, video, 3D or audio, and save them",
        ),
        (
            "price",
            "generate.show_price",
            _add_price,
            "what a generation would cost; nothing is started",
        ),
        ("status", "runs.show_status", _add_status, "how a run is, and its files"),
        ("runs", "runs.list_runs", _add_runs, "what was started from this machine, and its price"),
        ("models", "models.list_models", _add_models, "the models that there are"),
        ("model", "models.show_model", _add_model, "what one model can do"),
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
        "--max-price", type=price, metavar="CU", help="agree to a price up to this, unasked"
    )
    group.add_argument("--repeat", action="store_true", help="pay again for a call made before")
    group.add_argument(
        "--no-wait", action="store_true", help="print the run's id and leave it running"
    )
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

    command.add_argument("--status", choices=get_args(StatusFilter), help="only these")
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
        help="words in name or description",
    )
    add_model_filters(command)
    _add_page(command)
    _add_common(command)


def _add_model(command: CommandParser) -> None:
    command.add_argument("model", type=unicode_text, metavar="NAME", help="name or id of a model")
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
        help="show the result: where the terminal can (auto), as coloured blocks, or never",
    )


def _add_page(command: argparse.ArgumentParser) -> None:
    command.add_argument("--limit", type=whole_number, metavar="N", help="rows (20)")
    command.add_argument("--cursor", metavar="TEXT", help="next_cursor of the page before")


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print JSON for programs")
    command.add_argument(
        "--workspace", type=unicode_text, metavar="NAME", help="workspace: id, slug or name"
    )
    add_sandbox_flag(command)


def add_sandbox_flag(command: argparse.ArgumentParser, default: object = argparse.SUPPRESS) -> None:
    """Add --sandbox; without a default, the flag given before the command stays in effect."""
    command.add_argument(
        "--sandbox",
        action="store_true",
        default=default,
        help="use a simulated Layer: no account, no charge",
    )


def add_port(command: argparse.ArgumentParser, default: int) -> None:
    """Add --port."""
    command.add_argument(
        "--port", type=_port, default=default, metavar="N", help="port, 0 for any (%(default)s)"
    )


def _port(argument: str) -> int:
    if argument.isascii() and argument.isdigit() and int(argument) <= 65535:
        return int(argument)
    raise argparse.ArgumentTypeError("must be a number from 0 to 65535")


def unicode_text(argument: str) -> str:
    """Decode an argument as UTF-8, even if the locale says otherwise."""
    return os.fsencode(argument).decode("utf-8", "replace")


def whole_number(argument: str) -> int:
    """Parse a whole number."""
    try:
        return int(argument)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a whole number") from None


def number(argument: str) -> float:
    """Parse a finite number."""
    try:
        value = float(argument)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError("must be a number")
    return value


def price(argument: str) -> float:
    """Parse a number of Creative Units."""
    value = number(argument)
    if value < 0:
        raise argparse.ArgumentTypeError("must be 0 CU or more")
    return value
