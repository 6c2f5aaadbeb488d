"""The command line's parser: its help, the list of commands, argument types, and exit codes."""

import argparse
import difflib
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from ..settings import MAX_CREATIVE_UNITS, SettingsError
from ..text.plain_text import remove_controls

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130
# The exit code that a shell reports for a process ended by SIGPIPE.
EXIT_BROKEN_PIPE = 141

INVALID_CHOICE = re.compile(r"invalid choice: '([^']*)' \(choose from (.*)\)", re.DOTALL)


class UsageError(SettingsError):
    """Arguments that can't be combined, or an argument with an invalid value."""


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """A shorter help: `--[no-]option` for both forms, and capitalized summaries."""

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if isinstance(action, argparse.BooleanOptionalAction):
            return action.option_strings[0].replace("--", "--[no-]", 1)
        return super()._format_action_invocation(action)

    def _expand_help(self, action: argparse.Action) -> str:
        return capitalize(super()._expand_help(action))


class CommandParser(argparse.ArgumentParser):
    """A parser that suggests the nearest name, and adds `late_options` when it first parses."""

    late_options: Callable[["CommandParser"], None] | None = None
    rejects_unknown = False

    def __init__(self, **more: Any) -> None:
        super().__init__(formatter_class=HelpFormatter, add_help=False, **more)
        self._positionals.title = "arguments"
        self.add_argument("-h", "--help", action="help", help="show this help")

    def load_options(self) -> None:
        """Add the options that need more imports than a parser should have."""
        add_options, self.late_options = self.late_options, None
        if add_options is not None:
            add_options(self)

    def all_actions(self) -> Sequence[argparse.Action]:
        """Return argparse's actions of all options and arguments."""
        return self._actions

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parse as argparse does, but report a command's unknown option as that command's error."""
        self.load_options()
        self.usage = self.usage or self._brief_usage()
        options, unknown = super().parse_known_args(args, namespace)
        if unknown and self.rejects_unknown:
            known = [name for one in self._actions for name in one.option_strings if name[2:]]
            suggestion = suggest_name(unknown[0].partition("=")[0], known)
            self.error(f"unrecognized arguments: {' '.join(unknown)}{suggestion}")
        return options, unknown

    def _brief_usage(self) -> str:
        """Return the usage without the list of all options, which follows it anyway."""
        shown = [one for one in self._get_positional_actions() if one.help != argparse.SUPPRESS]
        names = [f"[{one.metavar}]" if one.nargs == "?" else f"{one.metavar}" for one in shown]
        return " ".join([self.prog, *names, "[options]"])

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
    """A parser's commands, listed in groups in its help, which argparse can't do."""

    def __init__(self, top: CommandParser) -> None:
        self.top = top
        self._subparsers = top.add_subparsers(
            prog=top.prog, parser_class=CommandParser, metavar="COMMAND", help=argparse.SUPPRESS
        )
        self._rows: list[str] = []

    def group(self, title: str) -> "AddCommand":
        """Return a function that adds a command to a group, with argparse's `add_parser`.

        `help` is a verb phrase, and `examples` are command lines; `notes` follow them.
        """
        titles = iter([title])

        def add_command(
            name: str, *, help: str, examples: Sequence[str], notes: str = "", **more: Any
        ) -> CommandParser:
            summary = capitalize(help)
            self._rows.append(f"  {next(titles, ''):<8} {name:<11} {summary}")
            epilog = "\n\n".join(part for part in (list_examples(examples), notes) if part)
            return self._subparsers.add_parser(
                name, description=f"{summary}.", epilog=epilog, **more
            )

        return add_command

    def add_help(self, add_command: "AddCommand") -> None:
        """Add the command help."""
        command = add_command(
            "help",
            help="show the help of a command",
            examples=["layer-mcp help generate"],
        )
        command.add_argument(
            "topic",
            nargs="?",
            metavar="COMMAND",
            choices=list(self._subparsers.choices),
            help="name of a command",
        )
        command.set_defaults(run=self._show_help)

    def _show_help(self, options: argparse.Namespace) -> int:
        topic: str | None = options.topic
        (self._subparsers.choices[topic] if topic else self.top).parse_args(["--help"])
        return EXIT_OK

    def parsers(self) -> Mapping[str, CommandParser]:
        """Return the parser of each command by its name."""
        return self._subparsers.choices

    def listing(self) -> str:
        """Return the list of all commands for the help."""
        return "\n".join(["commands:", *self._rows])


AddCommand = Callable[..., CommandParser]
"""What `Commands.group` returns."""


def list_examples(examples: Iterable[str]) -> str:
    """Return command lines as the last section of a help text."""
    return "\n".join(["examples:", *(f"  {example}" for example in examples)])


def capitalize(text: str) -> str:
    """Capitalize the first letter of a text, and leave the rest unchanged."""
    return text[:1].upper() + text[1:]


def add_sandbox_flag(command: argparse.ArgumentParser, default: object = argparse.SUPPRESS) -> None:
    """Add --sandbox; without a default, the flag given before the command stays in effect."""
    command.add_argument(
        "--sandbox",
        action="store_true",
        default=default,
        help="use a simulated Layer: no account, no charges",
    )


def add_port(command: argparse.ArgumentParser, default: int) -> None:
    """Add --port."""
    command.add_argument(
        "--port",
        type=_port,
        default=default,
        metavar="N",
        help="port, or 0 for any free one (%(default)s)",
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
