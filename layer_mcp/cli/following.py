"""Waiting for a run at the terminal; leaving it never ends the run."""

import argparse
import shlex
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..api.polling import STOPPED_STATUSES, is_terminal
from .connection import RefusedError, Server, ToolAnswer
from .images import ImageDisplay
from .output import Screen
from .parser import EXIT_FAILED, EXIT_OK
from .progress import ProgressBar
from .run_view import is_home, run_lines

WAIT_SECONDS = 25


@dataclass(frozen=True)
class Look:
    """How to look at a run: the tool, and the ids that it wants."""

    tool: str
    ids: dict[str, str]


def look_at_inference(run_id: str) -> Look:
    """How to look at a run of a model."""
    return Look("get_status", {"inference_id": run_id})


def look_at_workflow_run(workflow_id: str, run_id: str) -> Look:
    """How to look at a run of a workflow."""
    return Look("get_workflow_status", {"workflow_id": workflow_id, "run_id": run_id})


def run_id_of(content: dict[str, Any]) -> str:
    """The id of the run that an answer is about."""
    return content.get("inference_id") or content["run_id"]


async def state_of(
    server: Server, look: Look, bar: ProgressBar, *, wait: bool, preview: bool
) -> ToolAnswer:
    """The state of a run, its end if that is waited for; its files are home then.

    Raises:
        RefusedError: it cannot be looked at.
    """
    call = {**look.ids, "wait_seconds": WAIT_SECONDS if wait else 0, "preview": preview}
    bar.start_phase("waiting for the run" if wait else "asking for the run")

    def tell(_done: float, _total: float | None, message: str) -> None:
        status = message.partition(",")[0]
        bar.update(0, None, "bringing the files home" if status == "complete" else status)

    while True:
        answer = await server.call(look.tool, call, tell)
        if not wait or is_terminal(answer.content["status"]):
            return answer


def show_run(
    answer: ToolAnswer, screen: Screen, pictures: ImageDisplay, options: argparse.Namespace
) -> int:
    """Show a run; fails when the run did, or when a file of it is not home."""
    content = answer.content
    status = content["status"]
    if options.json:
        screen.show_json(content)
    else:
        screen.show(*run_lines(content))
        if answer.picture is not None:
            pictures.show(answer.picture)
        if not is_terminal(status):
            screen.note(how_to_come_back(run_id_of(content), options))
    missing = status == "complete" and not is_home(content)
    if missing and not options.json:
        screen.note(f"To fetch the rest: {status_command(run_id_of(content), options)}")
    if missing or status in STOPPED_STATUSES | {"failed"}:
        return EXIT_FAILED
    return EXIT_OK


def how_to_come_back(run_id: str, options: argparse.Namespace) -> str:
    """What to do about a run that goes on."""
    if options.has_own_sandbox:
        return "The simulated run ended with this command, as the sandbox is its own."
    return f"The run goes on. To wait for it: {status_command(run_id, options)}"


def status_command(run_id: str, options: argparse.Namespace) -> str:
    """The command that waits for a run and saves its files where this one would have."""
    words = ["layer-mcp", "status", run_id, "--wait"]
    words += ["--out", options.out] if options.out else []
    words += ["--workspace", options.workspace] if options.workspace else []
    return shlex.join(words)


class Sent:
    """What is known of the run that a command starts or follows, should it be left early."""

    def __init__(self, run_id: str | None = None) -> None:
        self.run_id = run_id
        self.may_be_out = False


@contextmanager
def not_lost(sent: Sent, screen: Screen, options: argparse.Namespace) -> Generator[None]:
    """When the block is left early, say how to come back to the run."""
    try:
        yield
    except RefusedError as error:
        # One that was started before is known to who asks for it, and may not even be there.
        if sent.run_id is not None and sent.may_be_out:
            error.step_for_people = how_to_come_back(sent.run_id, options)
        raise
    except KeyboardInterrupt:
        screen.note(_after_leaving(sent, options))
        raise


def _after_leaving(sent: Sent, options: argparse.Namespace) -> str:
    if sent.run_id is not None:
        return how_to_come_back(sent.run_id, options)
    if not sent.may_be_out:
        return "Nothing was sent."
    return "If it was sent, the run goes on: layer-mcp runs lists it."
