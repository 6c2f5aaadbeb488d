"""The command line's parser: how commands are listed, types of arguments, and exit codes."""

import argparse
import difflib
import math
import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from ..settings import MAX_CREATIVE_UNITS, SettingsError
from ..text.plain_text import remove_controls

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130
# As a shell reports a process that SIGPIPE ended.
EXIT_BROKEN_PIPE = 141

INVALID_CHOICE = re.compile(r"invalid choice: '([^']*)' \(choose from (.*)\)", re.DOTALL)


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
        super().error(remove_controls(message + suggestion))


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
    if not 0 <= value <= MAX_CREATIVE_UNITS:
        raise argparse.ArgumentTypeError(f"must be 0 to {MAX_CREATIVE_UNITS:,} CU")
    return value
