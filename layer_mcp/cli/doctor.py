"""layer-mcp doctor: check this installation and report how to fix what fails."""

import argparse
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..settings import Settings, SettingsError
from .parser import EXIT_FAILED, EXIT_OK
from .screen.output import log_to_stderr, open_screen
from .serve import own_sandbox

if TYPE_CHECKING:
    from ..doctor.types import CheckResult, Setup


def add_doctor(add_command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command to the command line with argparse's `add_parser`."""
    command = add_command(
        "doctor",
        help="find problems and show how to fix them",
        examples=["layer-mcp doctor", "layer-mcp doctor --sandbox"],
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument(
        "--sandbox",
        action="store_true",
        default=argparse.SUPPRESS,
        help="check against a simulated Layer: no account, no charges",
    )
    command.set_defaults(run=doctor)


def doctor(options: argparse.Namespace) -> int:
    """Run and report all checks. The command fails if one of them does."""
    from ..doctor.types import Setup  # noqa: PLC0415

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
    from ..doctor.checks import run_checks  # noqa: PLC0415
    from ..doctor.report import passes, to_json  # noqa: PLC0415

    if options.json:
        results = list(run_checks(setup))
        print(to_json(results))
    else:
        results = _print_results(setup)
    return EXIT_OK if passes(results) else EXIT_FAILED


def _print_results(setup: "Setup") -> "list[CheckResult]":
    """Print each result as soon as its check ends, then the summary."""
    from ..doctor.checks import run_checks  # noqa: PLC0415
    from ..doctor.report import format_result, summarize  # noqa: PLC0415

    screen = open_screen()
    results: list[CheckResult] = []
    for result in run_checks(setup):
        results.append(result)
        screen.show(format_result(result, screen.stdout.encoding, screen.stdout.width))
    print(summarize(results))
    return results
