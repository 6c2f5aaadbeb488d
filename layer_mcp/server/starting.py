"""A call that starts one run, from its plan to its answer."""

from typing import Any

from mcp.server.elicitation import ElicitationResult

from ..errors import LayerError
from ..journal.entries import RunEntry
from .approval import Approval
from .following import StateT, told, told_after_start
from .paying import paid
from .planning import Plan
from .prices import excluded_references
from .refreshing import run_of
from .results import Illustrated
from .run_results import RunStateAnswer, remarked
from .state import ToolContext, app_of
from .tasks import takes_tasks
from .twins import twin_warning


async def started(
    plan: Plan[StateT],
    approval: ElicitationResult[Approval],
    context: ToolContext,
    *,
    wait_seconds: float,
    preview: bool,
) -> Illustrated[RunStateAnswer]:
    """Pay once, then wait as long as asked; what fails after that does not hide the run.

    The answer may be about an earlier run that stands for this one.

    Raises:
        LayerError: nothing was sent, OUTCOME_UNKNOWN, or no state of an earlier run came.
    """
    payment = await paid(plan, approval, context)
    if takes_tasks(context.protocol_version, context.client_capabilities):
        # The run is handed over as a task, whose client waits for it.
        wait_seconds, preview = 0, False
    if isinstance(payment, RunEntry):
        return await _told_of_twin(payment, plan, context, wait_seconds, preview)
    refused = plan.quote.references_refused if plan.quote else None
    warnings = [payment.warning, excluded_references(refused)]
    return await told_after_start(
        payment.run,
        payment.state,
        payment.facts,
        context,
        warnings=[warning for warning in warnings if warning],
        wait_seconds=wait_seconds,
        preview=preview,
        began=plan.began,
    )


async def _told_of_twin(
    entry: RunEntry, plan: Plan[Any], context: ToolContext, wait_seconds: float, preview: bool
) -> Illustrated[RunStateAnswer]:
    run = run_of(app_of(context), entry)
    try:
        shown = await told(
            run, context, wait_seconds=wait_seconds, preview=preview, began=plan.began
        )
    except LayerError as error:
        error.facts["duplicate"] = True
        raise
    return remarked(shown, [twin_warning(entry)], duplicate=True)
