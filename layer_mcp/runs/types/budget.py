"""The time that a call may take."""

from dataclasses import dataclass

import anyio

from ...api.polling import LONGEST_WAIT_SECONDS
from ...api.retry import Limits

SUBMISSION_SECONDS = Limits().submit_total_seconds + Limits().retry_budget_seconds
MIN_UPLOAD_SECONDS = 5.0
MIN_PREPARING_SECONDS = 3.0
MAX_PREPARING_SECONDS = 10.0


@dataclass(frozen=True)
class CallBudget:
    """The time that one call may take, from its start on anyio's clock.

    Hosts time out a call as a whole, so lookups, uploads, and the submission count too. A
    submission must not start so late that the host times out before the response: the run would be
    paid for, but the agent wouldn't have its ID.
    """

    start: float
    limit_seconds: float
    queue_seconds: float = MAX_PREPARING_SECONDS

    @classmethod
    def begin(
        cls, limit_seconds: float, *, queue_seconds: float = MAX_PREPARING_SECONDS
    ) -> "CallBudget":
        """Start the clock for a call that waits at most `queue_seconds` for a slot."""
        return cls(anyio.current_time(), limit_seconds, queue_seconds)

    @classmethod
    def of_a_program(cls) -> "CallBudget":
        """Start the clock for a call without a host's timeout, which waits for a slot."""
        return cls.begin(LONGEST_WAIT_SECONDS, queue_seconds=LONGEST_WAIT_SECONDS)

    @property
    def seconds_left(self) -> float:
        """The remaining time, never negative."""
        return max(self.limit_seconds - (anyio.current_time() - self.start), 0.0)

    @property
    def upload_seconds(self) -> float:
        """How long uploads may take, so that there's time for the submission."""
        return max(self.seconds_left - SUBMISSION_SECONDS, MIN_UPLOAD_SECONDS)

    @property
    def submit_by(self) -> float:
        """When waiting and pricing must end, on anyio's clock, to leave time for the submission.

        Even if uploads used up the call's time, this leaves a few seconds.
        """
        left_seconds = self.seconds_left - SUBMISSION_SECONDS
        prepare_seconds = min(max(left_seconds, MIN_PREPARING_SECONDS), self.queue_seconds)
        return anyio.current_time() + prepare_seconds

    def cap(self, seconds: float) -> float:
        """Limit a wait to the remaining time of the call."""
        return max(min(seconds, self.seconds_left), 0.0)
