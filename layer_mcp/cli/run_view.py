"""How a run looks to a person."""

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType

from ..server.results import SIMULATED_LINE
from ..server.run_results import RunAnswer, RunStateAnswer, size_in_words
from ..server.twins import REPEAT
from ..server.workflow_results import WorkflowRunAnswer
from .output import line, plain

REPEAT_FOR_PEOPLE = "To pay for another, add --repeat."


def started_line(content: dict[str, Any]) -> str:
    """What is said as soon as a run has an id."""
    run = RunAnswer.model_validate(content)
    if run.duplicate:
        return f"Run {run.inference_id}. {warning_in_words(run)}"
    simulated = " (simulated)" if run.simulated else ""
    return f"Run {run.inference_id} is started.{run.price()}{simulated}"


def run_lines(content: dict[str, Any]) -> Iterator[RenderableType]:
    """The state and the price, each file, what differs from what was asked, what went wrong."""
    kind = WorkflowRunAnswer if "run_id" in content else RunAnswer
    run = kind.model_validate(content)
    is_done = run.status == "complete"
    style = "green" if is_done else "red" if run.error else ""
    yield line(plain(run.facts()[0]), style)
    if run.error:
        yield line(plain(f"{run.error.code}: {run.error.message}"))
        yield line(plain(run.next_step))
    yield from _file_lines(run)
    if isinstance(run, RunAnswer) and run.changed_parameters:
        yield line(plain(f"Changed by the model: {'; '.join(run.changed_parameters)}."))
    if run.warning:
        yield line(warning_in_words(run), "yellow")
    if run.simulated:
        yield line(SIMULATED_LINE)


def is_home(content: dict[str, Any]) -> bool:
    """Whether every file of a finished run that is listed is saved."""
    return all("path" in output for output in content.get("outputs", []))


def warning_in_words(run: RunStateAnswer) -> str:
    """What went wrong beside a run, in the words of the command line."""
    return plain(run.warning or "").replace(REPEAT, REPEAT_FOR_PEOPLE)


def _file_lines(run: RunStateAnswer) -> Iterator[RenderableType]:
    for file in run.outputs or []:
        size = f"{file.width}x{file.height}" if file.width and file.height else None
        length = f"{file.duration_seconds:g} s" if file.duration_seconds else None
        weight = size_in_words(file.file_size_bytes) if file.file_size_bytes is not None else None
        facts = [fact for fact in (file.content_type, size, length, weight) if fact]
        yield line(plain(f"{file.path or file.url or 'no address'} ({', '.join(facts)})"))
    if run.more_outputs:
        yield line(f"{run.more_outputs} more are not listed.")
