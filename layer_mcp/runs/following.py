"""Read runs, wait for them to end, and record how they ended."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

import anyio

from ..api.client import LayerClient
from ..api.models import Inference, RunSnapshot, WorkflowRun
from ..api.polling import OnProgress, is_terminal
from ..arguments import check_type
from ..errors import LayerError
from .activity import PollTimes, WaitRegistry
from .journal import Journal
from .operations import state_of, wait_for_run
from .planning import LONGEST_PAUSE_SECONDS
from .rules.duplicates import age_seconds
from .types.request import RunRequest
from .types.run import Run
from .types.states import IN_PROGRESS, NOT_FOUND

# The caller that follows a run reads it as soon as Layer allows; others read it only if nobody
# does.
FOLLOWED_MARGIN_SECONDS = 1.0
NOT_FOUND_CODES = ("INFERENCE_NOT_FOUND", "WORKFLOW_RUN_NOT_FOUND")
NOT_FOUND_AFTER_SECONDS = 600
MISSING_DUPLICATE = (
    "The journal has a run for this call, but it's no longer available. To start another, set "
    "repeat to true."
)
MISSING_DUPLICATE_FOR_PERSON = (
    "The journal has a run for this call, but it's no longer available. To start another, add "
    "--repeat."
)

logger = logging.getLogger(__name__)


class Follower:
    """Follows the runs of one account. `check_owned` refuses the runs of others."""

    def __init__(
        self,
        client: LayerClient,
        open_journal: Callable[[], Awaitable[Journal]],
        check_owned: Callable[[Run], Awaitable[None]],
        *,
        polls: PollTimes,
        waits: WaitRegistry,
    ) -> None:
        self._client = client
        self._open_journal = open_journal
        self._check_owned = check_owned
        self._polls = polls
        self._waits = waits

    async def follow(
        self, run: Run, seconds: float, on_progress: OnProgress[RunSnapshot] | None
    ) -> Run:
        """Wait for a run to end, and record the result; see `Runs.follow`."""
        check_type(run, Run, "run")
        check_type(seconds, (int, float), "seconds")
        try:
            return await self._follow(run, seconds, on_progress)
        except LayerError as error:
            if run.is_duplicate:
                error.facts["duplicate"] = True
                if error.code in NOT_FOUND_CODES:
                    error.next_step = MISSING_DUPLICATE
                    error.person_step = MISSING_DUPLICATE_FOR_PERSON
                raise
            warning = f"The run was started, but then: {error.message}"
        except anyio.get_cancelled_exc_class():
            logger.warning("The call was cancelled; run %s continues", run.run_id)
            raise
        except Exception:
            logger.exception("Waiting for run %s crashed", run.run_id)
            warning = "The run was started, but waiting for it failed in the server."
        return run.with_warnings(warning)

    async def get(
        self,
        run_id: str,
        *,
        workflow_id: str | None,
        workspace: str | None,
        wait_seconds: float,
        on_progress: OnProgress[RunSnapshot] | None,
    ) -> Run:
        """Read a run, or wait for it to end; see `Runs.get`."""
        check_type(run_id, str, "run_id")
        workspace_id = await self._client.workspace_id(workspace)
        request = (
            RunRequest("workflow", workflow_id.lower(), workspace_id)
            if workflow_id
            else RunRequest("inference", "", workspace_id)
        )
        run = Run(request, IN_PROGRESS, datetime.now(UTC), run_id=run_id.lower())
        await self._check_owned(run)
        state = await self._wait(run, wait_seconds, None, on_progress)
        # A run in progress needs no facts from its start, and a lookup costs a switch to a thread.
        if not is_terminal(state.status):
            return run.update(state)
        journal = await self._open_journal()
        known = await journal.find(run_id)
        if known is None:
            return replace(run.update(state), folder=await journal.files.find_folder(run_id))
        ended = known.update(state)
        if not known.has_ended or known.state == NOT_FOUND:
            await journal.mark_ended(ended)
        return ended

    async def read_again(self, run: Run) -> Run:
        """Read an ended run of the journal, because the URLs of its outputs expire.

        Raises:
            LayerError: Layer has no such run, or no state arrived.
        """
        is_workflow = run.request.kind == "workflow"
        return await self.get(
            run.run_id or "",
            workflow_id=run.request.subject_id if is_workflow else None,
            workspace=run.request.workspace_id,
            wait_seconds=0,
            on_progress=None,
        )

    async def refresh(self, run: Run) -> Run:
        """Read a run from Layer if it's running and a read is due, and return it.

        If Layer can't be read, the run is returned unchanged.
        """
        if run.run_id is None or not run.is_running or not self._polls.claim(run.run_id):
            return run
        journal = await self._open_journal()
        try:
            state = await wait_for_run(self._client, run, 0)
        except LayerError as error:
            self._polls.note(run.run_id, error.retry_after_seconds)
            if is_missing(run, error):
                await journal.mark_not_found(run.run_id)
            return await journal.reload(run)
        self._polls.note(run.run_id, state.poll_interval_seconds)
        if is_terminal(state.status):
            await journal.mark_ended(run.update(state))
        return await journal.reload(run)

    async def _follow(
        self, run: Run, seconds: float, on_progress: OnProgress[RunSnapshot] | None
    ) -> Run:
        deadline = anyio.current_time() + seconds
        await self._check_owned(run)
        if run.run_id is None:
            run = await self._wait_for_id(run, deadline)
            if run.run_id is None:
                return run
            seconds = max(deadline - anyio.current_time(), 0.0)
        if run.has_ended and not run.is_duplicate:
            # Fetch its files or its error, which the response to a submission doesn't have.
            state = await wait_for_run(self._client, run, 0)
        else:
            known = None if run.is_duplicate else state_of(run)
            state = await self._wait(run, seconds, known, on_progress)
        updated = run.update(state)
        if updated.has_ended and run.is_in_journal:
            await (await self._open_journal()).mark_ended(updated)
        return updated

    async def _wait_for_id(self, run: Run, deadline: float) -> Run:
        """Return a queued run once Layer has it or won't get it, or when time runs out."""
        journal = await self._open_journal()
        known = await journal.reload(run)
        while known.is_being_sent and known.is_in_journal:
            left_seconds = deadline - anyio.current_time()
            if left_seconds <= 0:
                break
            await anyio.sleep(min(LONGEST_PAUSE_SECONDS, left_seconds))
            known = await journal.reload(run)
        return replace(known, is_duplicate=run.is_duplicate, warnings=run.warnings)

    async def _wait(
        self,
        run: Run,
        seconds: float,
        known: Inference | WorkflowRun | None,
        on_progress: OnProgress[RunSnapshot] | None,
    ) -> Inference | WorkflowRun:
        """Return the last state after a wait that can be stopped early."""
        run_id = (run.run_id or "").lower()
        state: Inference | WorkflowRun | None = None

        async def note(read: RunSnapshot, waited_seconds: float) -> None:
            interval = read.poll_interval_seconds
            self._polls.note(run_id, interval, margin_seconds=FOLLOWED_MARGIN_SECONDS)
            if on_progress is not None:
                await on_progress(read, waited_seconds)

        if known is not None and seconds > 0:
            interval = known.poll_interval_seconds
            self._polls.note(run_id, interval, margin_seconds=FOLLOWED_MARGIN_SECONDS)
        with self._waits.register(run_id):
            state = await wait_for_run(self._client, run, seconds, known=known, on_progress=note)
        state = state or await wait_for_run(self._client, run, 0)
        self._polls.note(run_id, state.poll_interval_seconds)
        return state


def is_missing(run: Run, error: LayerError) -> bool:
    """Return whether Layer no longer has a run; a new one may not be available everywhere yet."""
    is_old = age_seconds(run) > NOT_FOUND_AFTER_SECONDS
    return is_old and error.code in NOT_FOUND_CODES
