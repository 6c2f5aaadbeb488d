"""What the commands about runs and models share: settings, runs, and failure reports."""

import argparse
import contextlib
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Generator
from typing import Any, NoReturn, TypeVar

import anyio

from ..errors import LayerError, next_step_for_person
from ..runs.activity import Submissions
from ..runs.opening import open_runs
from ..runs.service import Runs
from ..runs.types.plain import without_nulls
from ..settings import Settings, SettingsError
from ..signals import Interrupted, stop_on_signals
from .generation.options import argument_option
from .parser import EXIT_FAILED, EXIT_USAGE
from .screen.output import (
    Screen,
    discard_stdout,
    discard_unwritable_output,
    log_to_stderr,
    open_screen,
    plain,
)
from .serve import own_sandbox

RUNS_STEP = "To see what was started, run layer-mcp runs."

Command = Callable[[argparse.Namespace, Settings, Screen], int]
ResultT = TypeVar("ResultT")

logger = logging.getLogger(__name__)


class InterruptedWorkError(Exception):
    """A signal ended the work. Raising KeyboardInterrupt in a task would end the event loop."""

    def __init__(self, interrupt: KeyboardInterrupt) -> None:
        super().__init__()
        self.interrupt = interrupt


def run_command(command: Command, options: argparse.Namespace) -> int:
    """Run a command, and report a failure as a line for people or as JSON for programs.

    Raises:
        SettingsError: a setting or an argument is invalid, and the answer isn't JSON.
        KeyboardInterrupt: Ctrl+C.
    """
    screen = open_screen()
    try:
        with _open_settings(options) as settings:
            try:
                return command(options, settings, screen)
            except LayerError as error:
                return _report(error, options, settings, screen)
    except SettingsError as error:
        if not options.json:
            raise
        screen.show_json(_failure_as_json(LayerError("INVALID_ARGUMENTS", str(error))))
        return EXIT_USAGE
    except BrokenPipeError:
        raise
    except OSError as error:
        # Only errors from writing to an open stream have no file name.
        if error.filename is not None:
            raise
        discard_stdout()
        screen.note(f"layer-mcp: Can't write the output: {error.strerror}. {RUNS_STEP}")
        return EXIT_FAILED


def with_runs(
    settings: Settings,
    work: Callable[[Runs], Awaitable[ResultT]],
    *,
    on_wait: Callable[[], None] | None = None,
) -> ResultT:
    """Call `work` with the runs of these settings, and return its result.

    When a signal ends it, the answer to a paid request is awaited and recorded first; `on_wait` is
    called then. Another Ctrl+C ends the wait.

    Raises:
        SettingsError: a sandbox is required, but the API's address is not one.
        LayerError: what `work` raised.
        KeyboardInterrupt: a signal, such as Ctrl+C.
    """
    try:
        return anyio.run(_work_until_stopped, settings, work, on_wait)
    except InterruptedWorkError as error:
        raise error.interrupt from None


async def _work_until_stopped(
    settings: Settings,
    work: Callable[[Runs], Awaitable[ResultT]],
    on_wait: Callable[[], None] | None,
) -> ResultT:
    results: list[ResultT] = []
    failures: list[Exception] = []
    submissions = Submissions()

    async def run_work() -> None:
        try:
            async with open_runs(settings, submissions=submissions) as runs:
                results.append(await work(runs))
        # The task group would wrap an exception from the task in an ExceptionGroup.
        except (LayerError, SettingsError, InterruptedWorkError) as error:
            failures.append(error)
        except Exception:
            logger.exception("The command crashed")
            failures.append(LayerError("TOOL_CRASHED", "The command failed."))

    tasks = anyio.create_task_group()

    def stop() -> None:
        tasks.cancel_scope.cancel()
        discard_unwritable_output()
        if submissions.are_out and on_wait is not None:
            on_wait()

    with stop_on_signals(stop, _give_up) as received:
        async with tasks:
            tasks.start_soon(run_work)
    if received.number is not None:
        raise InterruptedWorkError(Interrupted(received.number))
    if failures:
        raise failures[0]
    return results[0]


def _give_up(number: int) -> NoReturn:
    raise Interrupted(number)


@contextlib.contextmanager
def _open_settings(options: argparse.Namespace) -> Generator[Settings]:
    settings = Settings.from_env()
    log_to_stderr(settings.log_level)
    settings = dataclasses.replace(
        settings,
        sandbox=settings.sandbox or options.sandbox,
        workspace=options.workspace or settings.workspace,
    )
    with own_sandbox(settings) as effective:
        yield effective


def _report(
    error: LayerError, options: argparse.Namespace, settings: Settings, screen: Screen
) -> int:
    if options.json:
        screen.show_json(_failure_as_json(error), is_simulated=settings.sandbox)
    else:
        screen.note(f"layer-mcp: {describe_failure(error)}")
    return EXIT_FAILED


def _failure_as_json(error: LayerError) -> dict[str, Any]:
    """Return a failure as JSON, worded for the command line."""
    content = error.as_json()
    content["error"]["message"] = plain(error.describe(argument_option))
    content["next_step"] = _next_step(error) or None
    return without_nulls(content)


def describe_failure(error: LayerError) -> str:
    """Return a failure as one line: what happened, the run if it's known, and the next step."""
    message = plain(error.describe(argument_option))
    if error.person_step is not None:
        return f"{message} {error.person_step}"
    run_id = error.inference_id or error.run_id
    is_known = run_id and not error.code.endswith("NOT_FOUND")
    known = f"The run is {run_id}." if is_known else ""
    return " ".join(part for part in (message, known, _next_step(error)) if part)


def _next_step(error: LayerError) -> str:
    """Return what a person can do next, or an empty string."""
    if error.person_step is not None:
        return error.person_step
    step = next_step_for_person(error.code, error.facts)
    return plain(error.next_step) if step is None else step
