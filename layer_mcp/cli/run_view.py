"""A run at the terminal: waiting for it, saving and showing its files, and coming back to it."""

import argparse
import shlex
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from ..api.models import RunSnapshot
from ..api.polling import STOPPED_STATUSES
from ..files.media_files import MEGABYTE
from ..next_steps import after_run
from ..runs.outputs import FilesOnDisk, report_total
from ..runs.rules import REPEAT
from ..runs.service import Runs
from ..runs.types import Run
from ..runs.views import (
    SIMULATED_LINE,
    describe_price,
    describe_size,
    describe_state,
    list_warnings,
    run_as_json,
)
from .images import ImageDisplay
from .output import ProgressBar, Screen, line, plain
from .parser import EXIT_FAILED, EXIT_OK

WAIT_SECONDS = 25
# What an agent reads as a warning, in the words of the command line.
PERSON_WARNINGS = {REPEAT: "To pay for another, add --repeat."}


@dataclass(frozen=True)
class RunView:
    """A run as a command shows it: its state, its files on disk, and a small picture of them."""

    run: Run
    is_simulated: bool
    files: FilesOnDisk = field(default_factory=FilesOnDisk)
    picture: bytes | None = None


async def read_run(
    runs: Runs, run_id: str, bar: ProgressBar, *, workflow_id: str | None = None, wait: bool
) -> Run:
    """Read a run, and wait for its end if `wait` is set.

    Raises:
        LayerError: no state of the run arrived.
    """
    bar.start_phase("waiting for the run" if wait else "asking for the run")

    async def report(state: RunSnapshot, _waited_seconds: float) -> None:
        bar.update(0, None, state.status)

    while True:
        run = await runs.get(
            run_id,
            workflow_id=workflow_id,
            wait_seconds=WAIT_SECONDS if wait else 0,
            on_progress=report,
        )
        if run.has_ended or not wait:
            return run


async def finish_run(
    runs: Runs, run: Run, bar: ProgressBar, folder: Path | None = None, *, preview: bool
) -> RunView:
    """Save the files of a complete run, once, and draw a small picture of them if wanted."""
    is_simulated = runs.settings.sandbox
    if run.state != "complete" or not run.outputs:
        return RunView(run, is_simulated)
    bar.start_phase("saving the files")

    async def report(arrived_bytes: int, total_bytes: int | None) -> None:
        bar.update(arrived_bytes, total_bytes, f"{arrived_bytes / MEGABYTE:.1f} MB saved")

    numbers = range(1, len(run.outputs) + 1)
    on_bytes = report_total(run.outputs, numbers, report)
    files = await runs.save_once(run, folder, on_bytes=on_bytes)
    is_previewed = preview and runs.settings.preview
    picture = await runs.preview(run, files.paths) if is_previewed else None
    return RunView(run, is_simulated, files, picture)


def show_run(
    view: RunView, screen: Screen, pictures: ImageDisplay, options: argparse.Namespace
) -> int:
    """Show a run, and fail if the run did or if one of its files isn't saved."""
    run = view.run
    is_unsaved = run.state == "complete" and not view.files.has_all_of(run)
    next_step = after_run(run, view.files)
    if options.json:
        content = run_as_json(run, view.files) | {"next_step": next_step}
        screen.show_json(content, is_simulated=view.is_simulated)
    else:
        screen.show(*_run_lines(view, next_step))
        if view.picture is not None:
            pictures.show(view.picture)
        if not run.has_ended:
            screen.note(how_to_come_back(run.run_id, options))
        if is_unsaved:
            screen.note(f"To download the rest: {_status_command(run.run_id, options)}")
    is_failed = is_unsaved or run.state in STOPPED_STATUSES | {"failed"}
    return EXIT_FAILED if is_failed else EXIT_OK


def describe_start(run: Run, *, is_simulated: bool) -> str:
    """Return the line for a run that just got its ID."""
    if run.is_duplicate:
        return f"Run {run.run_id}. {_describe_warnings(run)}"
    price = describe_price(run.estimated_price_creative_units, run.actual_price_creative_units)
    return f"Started run {run.run_id}.{price}{' (simulated)' if is_simulated else ''}"


def how_to_come_back(run_id: str | None, options: argparse.Namespace) -> str:
    """Return what to do about a run that goes on."""
    if options.has_own_sandbox:
        return "The simulated run ended with this command, because its sandbox did."
    return f"The run goes on. To wait for it: {_status_command(run_id, options)}"


@dataclass
class Submission:
    """What is known of the run that a command starts or waits for, in case of a signal."""

    run_id: str | None = None
    may_be_sent: bool = False


@contextmanager
def explain_interrupt(
    submission: Submission, screen: Screen, options: argparse.Namespace
) -> Generator[None]:
    """Say how to come back to the run if a signal such as Ctrl+C ends the block."""
    try:
        yield
    except KeyboardInterrupt:
        if submission.run_id is not None:
            screen.note(how_to_come_back(submission.run_id, options))
        elif submission.may_be_sent:
            screen.note("If it was sent, the run goes on: layer-mcp runs lists it.")
        else:
            screen.note("Nothing was sent.")
        raise


def _run_lines(view: RunView, next_step: str) -> Iterator[RenderableType]:
    """Yield the state and the price, each file, what the model changed, and what went wrong."""
    run = view.run
    content = run_as_json(run, view.files)
    style = "green" if run.state == "complete" else "red" if run.error else ""
    yield line(plain(describe_state(content)), style)
    if run.error:
        yield line(plain(f"{run.error.code}: {run.error.message}"))
        yield line(plain(next_step))
    for output in content.get("outputs", []):
        yield line(plain(_describe_output(output)))
    if run.changed_parameters:
        yield line(plain(f"Changed by the model: {'; '.join(run.changed_parameters)}."))
    warnings = _describe_warnings(run, view.files)
    if warnings:
        yield line(warnings, "yellow")
    if view.is_simulated:
        yield line(SIMULATED_LINE)


def _describe_output(output: dict[str, Any]) -> str:
    width, height, seconds, size_bytes = (
        output.get(name) for name in ("width", "height", "duration_seconds", "file_size_bytes")
    )
    facts = [
        output.get("content_type"),
        f"{width}x{height}" if width and height else None,
        f"{seconds:g} s" if seconds else None,
        describe_size(size_bytes) if size_bytes is not None else None,
    ]
    place = output.get("path") or output.get("url") or "no address"
    return f"{place} ({', '.join(fact for fact in facts if fact)})"


def _describe_warnings(run: Run, files: FilesOnDisk | None = None) -> str:
    return plain(" ".join(PERSON_WARNINGS.get(one, one) for one in list_warnings(run, files)))


def _status_command(run_id: str | None, options: argparse.Namespace) -> str:
    """Return the command that waits for a run and saves its files where this one would."""
    words = ["layer-mcp", "status", run_id or "", "--wait"]
    words += ["--out", options.out] if options.out else []
    words += ["--workspace", options.workspace] if options.workspace else []
    return shlex.join(words)
