"""What an agent does after an answer that is no error. Commands don't print it."""

from collections.abc import Sequence

from .api.models import PriceEstimate
from .errors import next_step_for_run
from .runs.outputs import FilesOnDisk
from .runs.types.run import Run
from .runs.types.states import UNKNOWN
from .runs.views import count_noun

AFTER_MODEL = "Call estimate_price or execute_inference with arguments that it uses."
SAME_GENERATION = "Call execute_inference with the same arguments."


def after_run(run: Run, files: FilesOnDisk, *, can_save: bool = True) -> str:
    """Return the next step after a run; `can_save` if there is a tool that saves its files."""
    if run.state == "failed" and run.error is not None:
        return next_step_for_run(run.error.code)
    if run.state == "complete":
        return _after_complete(run, files, can_save=can_save)
    if run.has_ended:
        return "Start a new run if you still need the files; the new run is charged."
    return f"Call {_status_call(run)}. Don't start the run again."


def _after_complete(run: Run, files: FilesOnDisk, *, can_save: bool) -> str:
    if not run.outputs:
        return "Look at the run in Layer (app.layer.ai): it is complete, but has no outputs."
    if files.arriving:
        return f"Call {_status_call(run)} again for the remaining files."
    # An answer may list only some of many outputs, but all of the run's count.
    if files.has_all_of(run):
        return "The files are saved. Look at them, and tell the user where they are."
    how = f"{_save_step(run)}, or fetch them" if can_save else "Fetch them"
    return f"{how} from their URLs; no token is needed."


def after_price(estimate: PriceEstimate, next_step: str, confirm_above: float) -> str:
    """Return the next step after a price; `next_step` if it needs no approval."""
    if estimate.has_sufficient_creative_units is False:
        return add_units(estimate)
    price = estimate.estimated_price_creative_units
    if price > confirm_above:
        return (
            f"Ask the user first: it costs more than {confirm_above:g} CU. If they agree: "
            f"{next_step} Add max_price_creative_units {price:g}."
        )
    return next_step


def add_units(estimate: PriceEstimate) -> str:
    """Return what to do about a price that the balance doesn't cover."""
    missing = estimate.estimated_remaining_balance_creative_units
    amount = f" You need {-missing:g} more CU." if missing is not None and missing < 0 else ""
    return f"Add Creative Units at app.layer.ai, or request fewer or smaller outputs.{amount}"


def after_runs(
    runs: Sequence[Run], running: int, wait_for: str = "none", *, can_save: bool = True
) -> str:
    """Return the next step after a list of runs, of which `running` are still running.

    `can_save` if there is a tool that saves files.
    """
    if running:
        word = "all" if wait_for == "none" else wait_for
        runs_left = count_noun(running, "run")
        return f"{runs_left} still in progress: call list_runs again with wait_for {word}."
    if any(run.state == UNKNOWN for run in runs):
        return "Look for the unknown runs in Layer (app.layer.ai) before starting them again."
    if not runs:
        return "No runs match. Remove the filters to see all runs."
    saved = "; save_outputs saves its files" if can_save else ", with the URLs of its files"
    return f"get_status shows a run and a picture of it{saved}."


def after_models(count: int) -> str:
    """Return the next step after a list of so many models."""
    if not count:
        return "Remove filters, or use other words."
    return "Call get_model to see what a model uses, then execute_inference with its model_id."


def next_page(tool: str, shown: int, found: int, cursor: str | None) -> str:
    """Return how to see the rows that aren't in the answer, to end a next step with."""
    if shown < found:
        return f" Only {shown} of {found} rows fit: call {tool} again with limit {shown}."
    return f' More: call {tool} again with cursor "{cursor}".' if cursor else ""


def _save_step(run: Run) -> str:
    if run.request.kind == "inference":
        return "Save the files with save_outputs"
    return "Save the files with save_outputs (inference_id is the run_id; add workflow_id)"


def _status_call(run: Run) -> str:
    workspace_id, run_id = run.request.workspace_id, run.run_id
    if run.request.kind == "inference":
        return f'get_status with inference_id "{run_id}" and workspace_id "{workspace_id}"'
    return (
        f'get_workflow_status with workflow_id "{run.request.subject_id}", run_id '
        f'"{run_id}" and workspace_id "{workspace_id}"'
    )
