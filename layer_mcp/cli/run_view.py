"""Show a run in the terminal: wait for it, save and show its files, and say how to return to it."""

import argparse
import shlex
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from ..api.models import RunSnapshot
from ..api.polling import STOPPED_STATUSES
from ..errors import next_step_for_run
from ..files.local_files import MEGABYTE
from ..runs.outputs import FilesOnDisk, report_total
from ..runs.rules.duplicates import REPEAT
from ..runs.service import Runs
from ..runs.types.run import Run
from ..runs.views import (
    SIMULATED_LINE,
    describe_price,
    describe_size,
    describe_state,
    list_warnings,
    run_as_json,
)
from .parser import EXIT_FAILED, EXIT_OK
from .screen.images import ImageDisplay
from .screen.output import ProgressBar, Screen, line, plain

WAIT_SECONDS = 25
# Warnings written for agents, reworded for the command line.
PERSON_WARNINGS = {REPEAT: "To pay for another, add --repeat."}


@dataclass(frozen=True)
class RunView:
    """A run as a command shows it: its state, its files on disk, and a small picture of them."""

    run: Run
    is_simulated: bool
    files: FilesOnDisk = field(default_factory=FilesOnDisk)
    picture: bytes | None = None


async def read_run(runs: Runs, run_id: str, bar: ProgressBar, *, wait: bool) -> Run:
    """Read a run in its own workspace, and wait for its end if `wait` is set.

    Raises:
        LayerError: no state of the run arrived.
    """
    known = await runs.find(run_id)
    is_workflow = known is not None and known.request.kind == "workflow"
    bar.start_phase("waiting for the run" if wait else "asking for the run")

    async def report(state: RunSnapshot, _waited_seconds: float) -> None:
        bar.update(0, None, state.status)

    while True:
        run = await runs.get(
            run_id,
            workflow_id=known.request.subject_id if known and is_workflow else None,
            workspace=known.request.workspace_id if known else None,
            wait_seconds=WAIT_SECONDS if wait else 0,
            on_progress=report,
        )
        if run.has_ended or not wait:
            return run


async def finish_run(
    runs: Runs, run: Run, bar: ProgressBar, folder: Path | None = None, *, preview: bool
) -> RunView:
    """Save the files of a complete run, once, and draw a small preview of them if requested."""
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
    picture = (await runs.preview(run, files)).picture if is_previewed else None
    return RunView(run, is_simulated, files, picture)


def show_run(
    view: RunView, screen: Screen, pictures: ImageDisplay, options: argparse.Namespace
) -> int:
    """Show a run. Fail if the run failed or one of its files isn't saved."""
    run = view.run
    is_unsaved = run.state == "complete" and not view.files.has_all_of(run)
    if options.json:
        content = run_as_json(run, view.files)
        if warnings := _describe_warnings(run, view.files):
            content["warning"] = warnings
        screen.show_json(content, is_simulated=view.is_simulated)
    else:
        screen.show(*list_run(view))
        if view.picture is not None:
            pictures.show(view.picture)
        if not run.has_ended:
            screen.note(how_to_come_back(run.run_id, options))
        if is_unsaved:
            screen.note(f"To download the rest: {_status_command(run.run_id, options)}")
    is_failed = is_unsaved or run.state in STOPPED_STATUSES | {"failed"}
    return EXIT_FAILED if is_failed else EXIT_OK


def describe_start(run: Run, *, is_simulated: bool) -> str:
    """Return the line for a run that just received its ID."""
    if run.is_duplicate:
        return f"Run {run.run_id}. {_describe_warnings(run)}"
    price = describe_price(run.estimated_price_creative_units, run.actual_price_creative_units)
    return f"Started run {run.run_id}.{price}{' (simulated)' if is_simulated else ''}"


def how_to_come_back(run_id: str | None, options: argparse.Namespace) -> str:
    """Return how to return to a run that is still in progress."""
    return f"The run continues. To wait for it: {_status_command(run_id, options)}"


@dataclass
class Submission:
    """What's known about the run that a command starts or waits for, in case of a signal."""

    run_id: str | None = None
    batch_id: str | None = None
    may_be_sent: bool = False


@contextmanager
def explain_interrupt(
    submission: Submission, screen: Screen, options: argparse.Namespace
) -> Generator[None]:
    """Say how to return to the run if a signal such as Ctrl+C ends the block."""
    try:
        yield
    except KeyboardInterrupt:
        if submission.batch_id is not None:
            screen.note(
                "Runs that were sent continue; the others aren't started. To list them: "
                + command_line(["runs", "--batch", submission.batch_id], options)
            )
        elif submission.run_id is not None:
            screen.note(how_to_come_back(submission.run_id, options))
        elif submission.may_be_sent:
            command = command_line(["runs"], options)
            screen.note(f"If it was sent, the run continues. To find it, run {command}.")
        else:
            screen.note("Nothing was sent.")
        raise


def list_run(view: RunView) -> Iterator[RenderableType]:
    """Yield the state and the price, each file, the model's changes, and any problems."""
    run = view.run
    content = run_as_json(run, view.files)
    style = "green" if run.state == "complete" else "red" if run.error else ""
    yield line(plain(describe_state(content)), style)
    if run.error:
        yield line(plain(f"{run.error.code}: {run.error.message}"))
        yield line(plain(next_step_for_run(run.error.code)))
    for output in content.get("outputs", []):
        yield line(plain(_describe_output(output)))
        for remark in output.get("remarks", []):
            yield line(f"  {plain(f'note: {remark}')}", "yellow")
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
    place = output.get("path") or output.get("url") or "no URL"
    return f"{place} ({', '.join(fact for fact in facts if fact)})"


def _describe_warnings(run: Run, files: FilesOnDisk | None = None) -> str:
    return plain(" ".join(PERSON_WARNINGS.get(one, one) for one in list_warnings(run, files)))


def _status_command(run_id: str | None, options: argparse.Namespace) -> str:
    """Return the command that waits for a run and saves its files where this one would."""
    words = ["status", run_id or "", "--wait"]
    words += ["--out", options.out] if options.out else []
    words += ["--workspace", options.workspace] if options.workspace else []
    return command_line(words, options)


def command_line(words: Sequence[str], options: argparse.Namespace) -> str:
    """Return a command to paste that uses the same Layer, real or simulated, as this one."""
    return shlex.join(["layer-mcp", *words, *(["--sandbox"] if options.sandbox else [])])
