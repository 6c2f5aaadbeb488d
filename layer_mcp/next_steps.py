"""What an agent does after an answer that is no error; commands print it for programs."""

from collections.abc import Sequence

from .api.models import PriceEstimate
from .errors import next_step_for_run
from .runs.outputs import FilesOnDisk
from .runs.types import UNKNOWN, Run

AFTER_MODEL = "Call estimate_price or execute_inference with the arguments that it uses."
SAME_GENERATION = "Call execute_inference with the same arguments."


def after_run(run: Run, files: FilesOnDisk, *, can_save: bool = True) -> str:
    """Return the next step after a run; `can_save` if there is a tool that saves its files."""
    if run.state == "failed" and run.error is not None:
        return next_step_for_run(run.error.code)
    if run.state == "complete":
        if not run.outputs:
            return "Look at the run in Layer: it is complete, but no output is named."
        # An answer lists a part of many outputs; what counts are all of the run's.
        if files.has_all_of(run):
            return "The files are saved. Look at them, and tell the user where they are."
        how = f"{_save_step(run)}, or fetch them" if can_save else "Fetch them"
        return f"{how} from their URLs; no token is needed."
    if run.has_ended:
        return "Start a new run if you still need the files; it is charged again."
    return _wait_step(run)


def after_price(estimate: PriceEstimate, next_step: str, confirm_above: float) -> str:
    """Return the next step after a price; `next_step` if nobody has to agree to it."""
    if estimate.has_sufficient_creative_units is False:
        missing = estimate.estimated_remaining_balance_creative_units
        amount = f" {-missing:g} CU are missing." if missing is not None and missing < 0 else ""
        return f"Add Creative Units at app.layer.ai, or request fewer or smaller outputs.{amount}"
    price = estimate.estimated_price_creative_units
    if price > confirm_above:
        return (
            f"Ask the user first: it costs more than {confirm_above:g} CU. After a yes: "
            f"{next_step} Add max_price_creative_units {price:g}."
        )
    return next_step


def after_runs(runs: Sequence[Run], running: int, wait_for: str = "none") -> str:
    """Return the next step after a list of runs, of which `running` still run."""
    if running:
        word = "all" if wait_for == "none" else wait_for
        return f"{running} still run: call list_runs again with wait_for {word}."
    if any(run.state == UNKNOWN for run in runs):
        return "Look in Layer (app.layer.ai) for the unknown ones before starting them again."
    if not runs:
        return "Nothing was started that fits; leave filters out to see all."
    return "get_status shows a run and a picture of it; save_outputs saves its files."


def after_models(count: int) -> str:
    """Return the next step after a list of so many models."""
    if not count:
        return "Leave out filters or use other words."
    return "Call get_model for what a model uses, then execute_inference with its model_id."


def next_page(tool: str, shown: int, found: int, cursor: str | None) -> str:
    """Return how to see the rows that are not in the answer, as the end of a next step."""
    if shown < found:
        return f" Only {shown} of {found} rows fit: call {tool} again with limit {shown}."
    return f' More: call {tool} again with cursor "{cursor}".' if cursor else ""


def _save_step(run: Run) -> str:
    if run.request.kind == "inference":
        return "Save the files with save_outputs"
    return "Save the files with save_outputs (inference_id is the run_id; add workflow_id)"


def _wait_step(run: Run) -> str:
    workspace_id, run_id = run.request.workspace_id, run.run_id
    if run.request.kind == "inference":
        call = f'get_status with inference_id "{run_id}" and workspace_id "{workspace_id}"'
    else:
        call = (
            f'get_workflow_status with workflow_id "{run.request.subject_id}", run_id '
            f'"{run_id}" and workspace_id "{workspace_id}"'
        )
    return f"Call {call}. Do not start the run again."
