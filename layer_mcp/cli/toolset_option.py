"""--toolsets: an option of the server, and of the commands that write how it is started."""

import argparse

from ..setting_values import TOOLSETS, SettingsError, Toolset, toolsets_of


def add_toolsets(command: argparse.ArgumentParser, default: object = argparse.SUPPRESS) -> None:
    """Add the option to a command; by default one that is given before the command stays."""
    command.add_argument(
        "--toolsets",
        type=_toolsets,
        default=default,
        metavar="NAMES",
        help=f"of {', '.join(TOOLSETS)}; or all",
    )


def _toolsets(text: str) -> tuple[Toolset, ...]:
    try:
        return toolsets_of("NAMES", text)
    except SettingsError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
