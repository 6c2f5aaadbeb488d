"""layer-mcp doctor: what works, what does not, and what to do about it."""

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..setting_values import SettingsError
from ..settings import Settings
from .output import log_to_stderr
from .parser import EXIT_FAILED, EXIT_OK
from .sandbox import own_sandbox

if TYPE_CHECKING:
    from ..doctor.check import Check
    from ..doctor.setup import Setup


def add_doctor(add_command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command to the command line, by argparse's `add_parser`."""
    command = add_command("doctor", help="check this installation, and say how to mend it")
    command.add_argument("--json", action="store_true", help="print JSON for programs")
    command.add_argument(
        "--sandbox",
        action="store_true",
        default=argparse.SUPPRESS,
        help="check against a simulated Layer: no account, no charge",
    )
    command.set_defaults(run=doctor)


def doctor(options: argparse.Namespace) -> int:
    """Check everything; fails when a check does."""
    from ..doctor.setup import Setup  # noqa: PLC0415

    try:
        settings = Settings.from_env()
    except SettingsError as error:
        log_to_stderr()
        return _report(Setup(Settings(), settings_problem=str(error)), options)
    log_to_stderr(settings.log_level)
    settings = dataclasses.replace(settings, sandbox=settings.sandbox or options.sandbox)
    with own_sandbox(settings) as effective:
        return _report(Setup(effective, is_own_sandbox=effective is not settings), options)


def _report(setup: "Setup", options: argparse.Namespace) -> int:
    from ..doctor.examination import examine  # noqa: PLC0415
    from ..doctor.report import (  # noqa: PLC0415
        as_json,
        lines_of,
        marks_for,
        passes,
        summary,
    )

    checks: list[Check] = []
    marks, coloured = marks_for(getattr(sys.stdout, "encoding", None)), _is_coloured()
    for check in examine(setup):
        checks.append(check)
        if not options.json:
            print(*lines_of(check, marks, coloured=coloured), sep="\n", flush=True)
    print(as_json(checks) if options.json else summary(checks))
    return EXIT_OK if passes(checks) else EXIT_FAILED


def _is_coloured() -> bool:
    """Whether stdout is a terminal that wants colours (no-color.org)."""
    is_unwanted = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout is not None and sys.stdout.isatty() and not is_unwanted
