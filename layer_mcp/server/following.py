"""Following one run, of a model or of a workflow, from its start to its files."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

import anyio

from ..api.models import Inference, RunSnapshot, WorkflowRun
from ..api.polling import OnProgress, is_terminal
from ..errors import LayerError
from ..journal.entries import RunRecord
from .endings import note_end
from .finishing import bring_home
from .progress import UPLOAD_UNITS, wait_reporter
from .provenance import end_facts, finished_run
from .results import Illustrated
from .run_results import RunAnswer, RunStateAnswer, remarked, run_answer
from .state import App, ToolContext, app_of
from .waiting import capped_wait_seconds
from .workflow_results import WorkflowRunAnswer, workflow_run_answer

StateT = TypeVar("StateT", Inference, WorkflowRun)

logger = logging.getLogger(__name__)


class Wait(Protocol[StateT]):
    """Waits for the end of a run, or until the time is up."""

    def __call__(
        self,
        timeout_seconds: float,
        *,
        known: StateT | None = None,
        on_progress: OnProgress[RunSnapshot] | None = None,
    ) -> Awaitable[StateT]:
        """The last state; see `LayerClient.wait`."""
        ...


@dataclass(frozen=True)
class Run(Generic[StateT]):
    """How one run is read and waited for, and what is answered about it.

    `run_id` is in lower case, as it is remembered: a UUID is the same in any case. `answer` takes
    the state and the facts that the run's start knew.
    """

    run_id: str
    workspace_id: str
    wait: Wait[StateT]
    answer: Callable[[StateT, dict[str, Any]], RunStateAnswer]


def inference_run(app: App, inference_id: str, workspace_id: str) -> Run[Inference]:
    """A run of a model."""

    async def wait(
        timeout_seconds: float,
        *,
        known: Inference | None = None,
        on_progress: OnProgress[RunSnapshot] | None = None,
    ) -> Inference:
        return await app.client.wait(
            inference_id,
            timeout_seconds,
            workspace=workspace_id,
            known=known,
            on_progress=on_progress,
        )

    def answer(state: Inference, facts: dict[str, Any]) -> RunAnswer:
        return run_answer(state, workspace_id=workspace_id, started=facts, can_save=app.can_save)

    return Run(inference_id.lower(), workspace_id, wait, answer)


def workflow_run(app: App, workflow_id: str, run_id: str, workspace_id: str) -> Run[WorkflowRun]:
    """A run of a workflow."""

    async def wait(
        timeout_seconds: float,
        *,
        known: WorkflowRun | None = None,
        on_progress: OnProgress[RunSnapshot] | None = None,
    ) -> WorkflowRun:
        return await app.client.wait_for_workflow_run(
            workflow_id,
            run_id,
            timeout_seconds,
            workspace=workspace_id,
            known=known,
            on_progress=on_progress,
        )

    def answer(state: WorkflowRun, facts: dict[str, Any]) -> WorkflowRunAnswer:
        return workflow_run_answer(
            state,
            workflow_id=workflow_id,
            workspace_id=workspace_id,
            started=facts,
            can_save=app.can_save,
        )

    return Run(run_id.lower(), workspace_id, wait, answer)


async def told(
    run: Run[StateT], context: ToolContext, *, wait_seconds: float, preview: bool, began: float
) -> Illustrated[RunStateAnswer]:
    """The state of a run after a bounded wait; a finished one with its files.

    Raises:
        LayerError: no state came.
    """
    app = app_of(context)
    wait_seconds = capped_wait_seconds(wait_seconds, began, context)
    state = await _waited(run, wait_seconds, context)
    # While a run goes on nothing of its start is needed, and the look costs a hop to a thread.
    record = await app.journal.runs.record(run.run_id) if is_terminal(state.status) else None
    record = record or RunRecord({"workspace_id": run.workspace_id}, is_known=False)
    return await _with_files(run, state, record, context, preview=preview, began=began)


async def told_after_start(
    run: Run[StateT],
    state: StateT,
    facts: dict[str, Any],
    context: ToolContext,
    *,
    warnings: Sequence[str] = (),
    wait_seconds: float,
    preview: bool,
    began: float,
) -> Illustrated[RunStateAnswer]:
    """The state of a run that was just started, after the wait that was asked for.

    The run is paid for: whatever breaks now, the agent gets its id.
    """
    try:
        wait_seconds = capped_wait_seconds(wait_seconds, began, context)
        state = await _followed(run, state, wait_seconds, context)
        record = RunRecord(facts, is_open=True)
        shown = await _with_files(run, state, record, context, preview=preview, began=began)
        return remarked(shown, warnings)
    except LayerError as error:
        warning = f"The run was started, but then: {error.message}"
    except anyio.get_cancelled_exc_class():
        logger.warning("The call was cancelled; run %s goes on", run.run_id)
        raise
    except Exception:
        logger.exception("Waiting for run %s crashed", run.run_id)
        warning = "The run was started, but waiting for it failed in the server."
    return remarked(Illustrated(run.answer(state, facts)), [*warnings, warning])


async def _followed(
    run: Run[StateT], state: StateT, wait_seconds: float, context: ToolContext
) -> StateT:
    """The run's state after the wait, or at once if it has ended: with its files or its reason."""
    if is_terminal(state.status):
        return await run.wait(0)
    return await _waited(run, wait_seconds, context, known=state, units_before=UPLOAD_UNITS)


async def _waited(
    run: Run[StateT],
    wait_seconds: float,
    context: ToolContext,
    *,
    known: StateT | None = None,
    units_before: float = 0.0,
) -> StateT:
    """The last state after a wait that may be stopped before its time."""
    app = app_of(context)
    report = wait_reporter(context, wait_seconds, units_before=units_before)
    state: StateT | None = None
    with app.waits.of(run.run_id):
        state = await run.wait(wait_seconds, known=known, on_progress=report)
    state = state or await run.wait(0)
    app.polls.note(run.run_id, state)
    return state


async def _with_files(
    run: Run[StateT],
    state: StateT,
    record: RunRecord,
    context: ToolContext,
    *,
    preview: bool,
    began: float,
) -> Illustrated[RunStateAnswer]:
    if record.is_open and is_terminal(state.status):
        await note_end(app_of(context), state, run.run_id)
    finished = finished_run(run.run_id, state.outputs, record.facts, end_facts(state))
    answer = run.answer(state, record.facts)
    shown = await bring_home(answer, finished, record, context, began=began, preview=preview)
    # Only what the journal knows can be read by its link.
    return replace(shown, links=shown.answer.links()) if record.is_known else shown
