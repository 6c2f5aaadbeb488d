"""The command line's parser: options that are added when they are needed, and nearest names."""

import argparse
import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from .plain_text import harmless

INVALID_CHOICE = re.compile(r"invalid choice: '([^']*)' \(choose from (.*)\)", re.DOTALL)


class CommandParser(argparse.ArgumentParser):
    """A parser whose `late` options cost nothing until its command is called."""

    late: Callable[["CommandParser"], None] | None = None
    is_command = False

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """As argparse does; an unknown option of a command is an error of that command."""
        add_options, self.late = self.late, None
        if add_options is not None:
            add_options(self)
        options, unknown = super().parse_known_args(args, namespace)
        if unknown and self.is_command:
            known = re.findall(r"--[a-z0-9][a-z0-9-]*", self.format_help())
            near = nearest(unknown[0].partition("=")[0], known)
            self.error(f"unrecognized arguments: {' '.join(unknown)}{near}")
        return options, unknown

    def error(self, message: str) -> NoReturn:
        """End with the usage, the message, and the nearest name for one that is not known."""
        wrong = INVALID_CHOICE.search(message)
        near = nearest(wrong[1], re.findall(r"[\w.-]+", wrong[2])) if wrong else ""
        super().error(harmless(message + near))


def nearest(given: str, known: Iterable[str]) -> str:
    """A question that ends a sentence about an unknown name; empty without a near one."""
    # The dashes that all options begin with would make them alike.
    names = {name.lstrip("-"): name for name in known}
    near = difflib.get_close_matches(given.lower().lstrip("-"), names, n=1)
    return f". Did you mean {names[near[0]]}?" if near else ""


class Commands:
    """The commands of a command line, in groups for the help, which argparse does not know."""

    def __init__(self, top: CommandParser) -> None:
        self._added = top.add_subparsers(
            prog=top.prog, parser_class=CommandParser, metavar="COMMAND", help=argparse.SUPPRESS
        )
        self._rows: list[str] = []

    def group(self, title: str) -> Callable[..., CommandParser]:
        """A function that adds a command to a group, as argparse's `add_parser` does."""
        titles = iter([title])

        def add_command(name: str, *, help: str, **more: Any) -> CommandParser:
            self._rows.append(f"  {next(titles, ''):<8} {name:<10} {help}")
            return self._added.add_parser(name, **more)

        return add_command

    def listing(self) -> str:
        """Every command with what it does."""
        return "\n".join(["commands:", *self._rows])
