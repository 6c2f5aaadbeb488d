"""What a tool answers about a workflow run: its steps, its price, its files."""

from typing import Any

from ..api.models import WorkflowRun
from .run_results import (
    RunStateAnswer,
    more_outputs,
    next_step,
    output_files,
    price_warning,
    run_error,
)

SAVE_STEP = "Save the files with save_outputs (inference_id is the run_id; add workflow_id)"


class WorkflowRunAnswer(RunStateAnswer):
    """The state of one workflow run."""

    run_id: str | None = None
    workflow_id: str | None = None
    steps_done: int | None = None
    steps_total: int | None = None
    current_step: str | None = None

    def facts(self) -> list[str]:
        """State, steps and price, then each output."""
        steps = ""
        if self.steps_total:
            steps = f" {self.steps_done} of {self.steps_total} steps done"
            steps += f", now {self.current_step}." if self.current_step else "."
        lines = [f"Workflow run {self.run_id}: {self.status}.{steps}{self.price()}"]
        if self.error:
            lines.append(f"{self.error.code}: {self.error.message}")
        lines += self.file_lines()
        return [*lines, self.warning] if self.warning else lines


def workflow_run_answer(
    state: WorkflowRun,
    *,
    workflow_id: str,
    workspace_id: str,
    started: dict[str, Any],
    can_save: bool,
) -> WorkflowRunAnswer:
    """A workflow run's state as an answer; `started` is what only its start knew."""
    error = run_error(state)
    running = [step.name for step in state.steps if step.status in ("in_progress", "failed")]
    return WorkflowRunAnswer(
        run_id=state.run_id,
        workflow_id=workflow_id,
        workspace_id=workspace_id,
        status=state.status,
        steps_done=sum(step.status == "complete" for step in state.steps) if state.steps else None,
        steps_total=len(state.steps) or None,
        current_step=running[0] if running else None,
        outputs=output_files(state.outputs),
        more_outputs=more_outputs(state.outputs),
        estimated_price_creative_units=state.estimated_price_creative_units
        or started.get("estimated_price_creative_units"),
        actual_price_creative_units=state.actual_price_creative_units,
        session_id=started.get("session_id"),
        warning=price_warning(state, started),
        error=error,
        next_step=next_step(
            state,
            error,
            save_step=SAVE_STEP if can_save else "",
            wait_step=f'Call get_workflow_status with workflow_id "{workflow_id}", run_id '
            f'"{state.run_id}" and workspace_id "{workspace_id}". Do not start the run again.',
        ),
    )
