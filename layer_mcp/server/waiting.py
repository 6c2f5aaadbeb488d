"""How long a call may take, and which part of that is left for what."""

import anyio

from ..api.retry import Limits
from .state import ToolContext, app_of

LIMITS = Limits()
SUBMISSION_SECONDS = LIMITS.submit_total_seconds + LIMITS.retry_budget_seconds
MIN_UPLOAD_SECONDS = 5.0
MIN_PREPARING_SECONDS = 3.0
MAX_PREPARING_SECONDS = 10.0


def seconds_left(began: float, context: ToolContext) -> float:
    """What is left of the time that one call may take, by the server's limit.

    `began` is the time on anyio's clock at which the call began: looking up the workspace and
    submitting count too, because hosts give up on the call as a whole.
    """
    elapsed_seconds = anyio.current_time() - began
    return max(app_of(context).settings.max_wait_seconds - elapsed_seconds, 0.0)


def seconds_for_uploads(began: float, context: ToolContext) -> float:
    """The time that local files may take on their way, so that the call they are for fits too.

    A submission must not start so late that the host gives up before its answer: the run would be
    paid for, and the agent would not have its id.
    """
    return max(seconds_left(began, context) - SUBMISSION_SECONDS, MIN_UPLOAD_SECONDS)


def deadline_before_submission(began: float, context: ToolContext) -> float:
    """When waiting and asking for the price must end, by anyio's clock, so that a submission fits.

    Uploads may have used most of the call; then a little is left all the same.
    """
    now = anyio.current_time()
    left_seconds = seconds_left(began, context) - SUBMISSION_SECONDS
    return now + min(max(left_seconds, MIN_PREPARING_SECONDS), MAX_PREPARING_SECONDS)


def capped_wait_seconds(asked_seconds: float, began: float, context: ToolContext) -> float:
    """The wait that an agent asked for, within what is left of the call."""
    return max(min(asked_seconds, seconds_left(began, context)), 0.0)
