"""How the end of a run is written down."""

from ..api.models import Inference, WorkflowRun
from ..journal.entries import Outcome
from .run_results import run_error
from .state import App


async def note_end(app: App, state: Inference | WorkflowRun, run_id: str) -> None:
    """Write down how a run ended."""
    error = run_error(state)
    outputs = [output.model_dump(exclude_none=True) for output in state.outputs]
    await app.journal.runs.note_end(
        run_id,
        state.status,
        state.actual_price_creative_units,
        Outcome(error.model_dump() if error else None, outputs),
        has_failed=state.status == "failed",
    )
