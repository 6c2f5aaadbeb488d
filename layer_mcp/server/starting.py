"""What a call that starts a run answers: the run, or the earlier one that stands for it."""

from typing import Any

from ..api.errors import LayerError
from ..journal.entries import RunEntry
from .following import StateT, told, told_after_start
from .orders import Started
from .planning import Plan
from .prices import excluded_references
from .refreshing import run_of
from .results import Illustrated
from .run_results import RunStateAnswer, remarked
from .state import ToolContext, app_of
from .twins import twin_warning


async def told_of_payment(
    payment: Started[StateT] | RunEntry,
    plan: Plan[StateT],
    context: ToolContext,
    *,
    wait_seconds: float,
    preview: bool,
) -> Illustrated[RunStateAnswer]:
    """The state of a run after the wait that was asked for.

    Raises:
        LayerError: no state of an earlier run came.
    """
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
