"""Runs: the paid generations of one account, without a protocol.

async with open_runs() as runs:
    run = await runs.generate(model_id="...", prompt="a red potion")
    saved = await runs.save(run)
"""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Unpack
from uuid import uuid4

import anyio
from anyio.lowlevel import checkpoint

from ..api.client import LayerClient
from ..api.models import Inference, ModelDetail, PriceEstimate, RunSnapshot, WorkflowRun
from ..api.polling import LONGEST_WAIT_SECONDS, OnProgress, is_terminal
from ..arguments import check_type, parse_arguments
from ..credentials import TokenSource, token_source
from ..errors import LayerError
from ..files.paths import Folders, path_of
from ..schema import portable_schema
from ..settings import Settings
from .account import AccountJournal
from .activity import BackgroundTasks, PollTimes, Submissions, WaitRegistry
from .journal.databases.database import Database
from .journal.databases.selection import select_database
from .manifest.types import MadeFile
from .operations import ModelLookup, state_of, wait_for_run
from .outputs import FilesOnDisk, OnBytes, SavedOutputs
from .outputs.store import OutputStore
from .owners import Owner
from .planning import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    Planner,
    describe_requests,
    number_requests,
    plan_warnings,
)
from .queue import PAUSE_AFTER_REFUSAL_SECONDS, Batch, SlotQueue, for_each_limited
from .references import Draft, InferenceDraft, OnUpload, UploadedFile, Uploads, WorkflowDraft
from .rules.duplicates import age_seconds, answer_duplicate
from .rules.prices import check_approval, needs_approval, price_error, spend_limits, spending_error
from .sender import Sender
from .takeover import take_over_runs
from .types.budget import (
    MAX_PREPARING_SECONDS,
    MIN_PREPARING_SECONDS,
    MIN_UPLOAD_SECONDS,
    CallBudget,
)
from .types.filters import RunFilter, RunFilters, RunTotals
from .types.limits import RateLimits
from .types.plan import Confirmation, Plan, SubmitOptions
from .types.request import RunRequest
from .types.run import Run
from .types.states import IN_PROGRESS, NOT_FOUND

if TYPE_CHECKING:
    from .preview import Preview

WaitFor = Literal["none", "any", "all"]
OnEnded = Callable[[int, int], Awaitable[None]]
"""Called with the number of awaited runs that have ended, and the number of all awaited runs."""

# The key of a wait for several runs.
ANY_RUN = ""
LOOK_SECONDS = 10.0
# The caller that follows a run reads it as soon as Layer allows; others read it only if nobody
# does.
FOLLOWED_MARGIN_SECONDS = 1.0
MAX_WATCHED = 100
MAX_NAMES = 3
NAME_SECONDS = 3.0
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
BATCH_ID_LENGTH = 12

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shared:
    """What the accounts of a server share: the journal's database, and folders pinned at start."""

    database: Database
    folders: Folders


@asynccontextmanager
async def open_shared(settings: Settings) -> AsyncGenerator[Shared]:
    """Open what several accounts can share.

    Raises:
        SettingsError: the database rejects the settings.
    """
    with closing(select_database(settings)) as database:
        await database.open()
        yield Shared(database, Folders.pin(settings))


@asynccontextmanager
async def open_runs(
    settings: Settings | None = None,
    *,
    submissions: Submissions | None = None,
    owner: Owner | None = None,
) -> AsyncGenerator["Runs"]:
    """Open an account's runs, by default the account in the environment.

    `submissions` lets a caller track paid requests. An `owner` shares the account with others, and
    sees only its own runs. When the block ends, it waits for paid requests in progress and records
    them. What is still queued isn't sent.

    Raises:
        SettingsError: a setting is invalid, the database rejects it, or a sandbox is required, but
            the API's address isn't one.
    """
    settings = settings or Settings.from_env()
    submissions = submissions or Submissions()
    async with (
        open_shared(settings) as shared,
        open_account(settings, shared, submissions, owner=owner) as runs,
    ):
        yield runs


@asynccontextmanager
async def open_account(
    settings: Settings,
    shared: Shared,
    submissions: Submissions,
    *,
    owner: Owner | None = None,
    token: TokenSource | None = None,
    hand_over: bool = False,
) -> AsyncGenerator["Runs"]:
    """Open the runs of one of several accounts, as `open_runs` does.

    A `token` replaces the one in the settings or the keyring. With `hand_over` and a database that
    servers share, another server sends what is still queued when the block ends.
    """
    token = token or token_source(settings)
    failure: BaseException | None = None
    # Cancelled background tasks still record what they didn't send.
    async with (
        LayerClient.from_settings(settings, token) as client,
        anyio.create_task_group() as background,
    ):
        runs = Runs(
            settings,
            client,
            shared,
            token,
            background=BackgroundTasks(background),
            submissions=submissions,
            owner=owner,
        )
        try:
            yield runs
        except anyio.get_cancelled_exc_class():
            raise
        # The task group would wrap an exception from this block in an ExceptionGroup.
        except BaseException as error:
            failure = error
        finally:
            background.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await submissions.wait()
                await runs.record_pending()
                if settings.database_url is not None and not hand_over:
                    await runs.withdraw_queued()
    if failure is not None:
        raise failure


class Runs:
    """The runs of one account: plan them, pay at most once, follow them, and save their files.

    Use `open_runs` to create one. Its `client` is for calls that are free of charge.
    """

    def __init__(
        self,
        settings: Settings,
        client: LayerClient,
        shared: Shared,
        token: TokenSource,
        *,
        background: BackgroundTasks,
        submissions: Submissions,
        owner: Owner | None = None,
    ) -> None:
        self.settings = settings
        self.client = client
        self.folders = shared.folders
        self.polls = PollTimes()
        self._background = background
        self._submissions = submissions
        self._account = AccountJournal(settings, client, shared.database, token, owner)
        self._open_journal = self._account.open
        self._limits = spend_limits(settings, owner)
        self._rates = RateLimits()
        self._models = ModelLookup(client)
        self._uploads = Uploads(self.folders, client, self._open_journal, self._account.check_files)
        self._planner = Planner(
            client,
            self._open_journal,
            models=self._models,
            uploads=self._uploads,
            refresh=self.refresh,
            check_session=self._account.check_session,
        )
        self._queue = SlotQueue(self._open_journal, self.refresh, self._models, self._rates)
        self._sender = Sender(
            client,
            self._open_journal,
            queue=self._queue,
            uploads=self._uploads,
            polls=self.polls,
            submissions=submissions,
            background=background,
        )
        if settings.database_url is not None:
            send = self._sender.send_batch
            background.start_waiting(take_over_runs, self._open_journal, send, background)
        self._waits = WaitRegistry()
        self._outputs = OutputStore(
            self.folders, client, self._open_journal, background, self._account.check_owned
        )
        # Images take memory, and Pillow's warnings are off for the whole process meanwhile.
        self._drawing = anyio.CapacityLimiter(1)

    async def generate(
        self,
        *,
        wait_seconds: float = LONGEST_WAIT_SECONDS,
        max_price: float | None = None,
        repeat: bool = False,
        **fields: Any,
    ) -> Run:
        """Start a generation at most once, wait for it to end, and return it.

        Pass the fields of `InferenceDraft` as keywords. `max_price` is the highest price that you
        approve, in Creative Units. If Layer's limits are reached, the call waits for up to an hour
        to start the run. `wait_seconds` is how long it then waits for the result.

        Raises:
            InvalidRequestError: a field is unknown, missing or out of range.
            NotFoundError: there is no such model, workspace or file.
            FileError: a local file can't be read or uploaded.
            PriceError: a limit, the balance or a missing approval prevents the run.
            RateLimitError: Layer's limits didn't allow the run in time.
            OutcomeUnknownError: the run was sent and may be charged.
        """
        draft = parse_arguments(InferenceDraft, portable_schema(InferenceDraft), fields)
        plan = await self.prepare([draft], SubmitOptions(max_price, repeat))
        run = await self.submit(plan)
        return await self.follow(run, wait_seconds)

    async def prepare(
        self,
        drafts: Sequence[Draft],
        options: SubmitOptions | None = None,
        budget: CallBudget | None = None,
        *,
        on_upload: OnUpload | None = None,
    ) -> Plan:
        """Plan what a call would start and cost; free of charge and repeatable.

        Uploads local files, looks for runs that already cover a request, and prices the others. All
        drafts run in the first one's workspace. Several drafts are a batch. By default, there is no
        time limit.

        Raises:
            InvalidRequestError: a draft is invalid, or Layer rejects it.
            NotFoundError: there is no such model, workflow, workspace or file.
            PriceError: a limit or the balance doesn't allow the price.
            FileError: a local file can't be read or uploaded.
            SubmissionError: the journal can't be used.
        """
        if not drafts:
            raise LayerError("INVALID_ARGUMENTS", "There is nothing to start: pass a draft.")
        for draft in drafts:
            check_type(draft, (InferenceDraft, WorkflowDraft), "Each draft")
        options = options or SubmitOptions(is_batch=len(drafts) > 1)
        budget = budget or CallBudget.of_a_program()
        requests = await self._planner.resolve(drafts, budget, on_upload)
        if options.is_batch:
            requests = number_requests(requests, repeat=options.repeat)
        deadline = budget.submit_by
        duplicates = [
            await self._planner.find_duplicate(one, options, deadline) for one in requests
        ]
        plan = Plan(requests, duplicates, None, options, budget)
        if not plan.new:
            return plan
        left_seconds = max(deadline - anyio.current_time(), MIN_PREPARING_SECONDS)
        quote = await self._planner.get_quote(plan.new, left_seconds)
        error = price_error(quote, self._limits, options.max_price_creative_units)
        if error is not None:
            raise error
        return replace(plan, quote=quote)

    async def confirmation(self, plan: Plan, *, names: bool = True) -> Confirmation | None:
        """Return what a person has to approve before the plan is submitted, if anything.

        Without `names`, models aren't looked up and are shown by their IDs.

        Raises:
            PriceError: a limit doesn't allow the plan even with a person's approval.
        """
        quote = plan.quote
        if quote is None or not needs_approval(quote, self._limits):
            return None
        # This is checked again on submission. Checking here avoids asking a person for nothing.
        spending = await (await self._open_journal()).spending()
        error = spending_error(quote, self._limits, spending)
        if error is not None:
            raise error
        different = {request.subject_id: request for request in plan.new}
        called = list(different)[:MAX_NAMES]
        if names:
            with anyio.move_on_after(NAME_SECONDS):
                called = [await self._planner.name(different[subject_id]) for subject_id in called]
        return Confirmation(
            describe_requests(plan.new),
            quote,
            tuple(called),
            max(len(different) - MAX_NAMES, 0),
            plan.ignored,
        )

    async def submit(self, plan: Plan, *, approved: bool = False) -> Run:
        """Start the plan's only request at most once, or return the run that it duplicates.

        Raises:
            PriceError: a person has to approve the price, or a limit no longer allows it.
            RateLimitError: Layer's limits didn't allow the run in time.
            InvalidRequestError: Layer rejects the request, or the plan has several.
            SubmissionError: the run can't be recorded.
            OutcomeUnknownError: the run was sent and may be charged.
        """
        if len(plan.requests) != 1:
            sentence = f"submit starts one request, and the plan has {len(plan.requests)}."
            step = "Call submit_batch."
            raise LayerError("INVALID_ARGUMENTS", sentence, next_step=step)
        check_approval(plan, self._limits, approved=approved)
        journal = await self._open_journal()
        [request], [existing], options = plan.requests, plan.duplicates, plan.options
        deadline = plan.budget.submit_by
        while existing is None:
            [reservation] = await journal.reserve(
                [request], plan.quote, self._limits, self._rates, repeat=options.repeat
            )
            run = reservation.run
            if reservation.created:
                sent = await self._send_in_turn(run, deadline, has_slot=reservation.has_slot)
                return sent.with_warnings(*plan_warnings(plan, sent))
            # Another call was faster. If it fails to send, send this one.
            existing = await self._planner.find_duplicate(request, options, deadline, awaited=run)
        return answer_duplicate(existing)

    async def _send_in_turn(self, run: Run, deadline: float, *, has_slot: bool) -> Run:
        """Send a run once it has a slot; if Layer's limits reject it, wait for another slot."""
        while True:
            async with self._sender.not_sent_on_failure(run):
                if not has_slot:
                    await self._queue.acquire_slot(run, deadline=deadline)
                # Don't pay for a caller that has already given up.
                await checkpoint()
            can_wait = anyio.current_time() + MAX_PREPARING_SECONDS < deadline
            try:
                return await self._sender.send(run, requeue_if_limited=can_wait)
            except LayerError as error:
                if error.code != "RATE_LIMITED" or not can_wait:
                    raise
                pause_seconds = max(error.retry_after_seconds or 0.0, PAUSE_AFTER_REFUSAL_SECONDS)
            has_slot = False
            async with self._sender.not_sent_on_failure(run):
                await anyio.sleep(pause_seconds)

    async def submit_batch(self, plan: Plan, *, approved: bool = False) -> list[Run]:
        """Record all requests of a plan, send as many as Layer's limits allow, and queue the rest.

        Returns a run for each request once every queued run has to wait for an earlier run to end,
        or when the call's time runs out. The batch continues in the background.

        Raises:
            PriceError: a person has to approve the price, or a limit no longer allows it.
            SubmissionError: the runs can't be recorded.
        """
        check_approval(plan, self._limits, approved=approved)
        journal = await self._open_journal()
        reservations = (
            await journal.reserve(
                plan.new,
                plan.quote,
                self._limits,
                self._rates,
                repeat=plan.options.repeat,
                batch_id=uuid4().hex[:BATCH_ID_LENGTH],
            )
            if plan.new
            else []
        )
        recorded = iter(reservations)
        taken = [
            (run, False) if run else ((next_one := next(recorded)).run, next_one.created)
            for run in plan.duplicates
        ]
        batch = Batch([run for run, created in taken if created])
        if batch.runs:
            self._background.start_soon(self._sender.send_batch, batch)
            with anyio.move_on_at(plan.budget.submit_by):
                await batch.settled.wait()
        return [
            batch.current(run) if created else replace(run, is_duplicate=True)
            for run, created in taken
        ]

    async def send_queued(self, run: Run) -> Run:
        """Send a queued run once, no matter which process recorded it.

        Raises:
            LayerError: NOT_SENT, if another process sent it or is sending it; or the error that
                prevented it.
        """
        return await self._sender.send(run)

    async def follow(
        self,
        run: Run,
        seconds: float = LONGEST_WAIT_SECONDS,
        *,
        on_progress: OnProgress[RunSnapshot] | None = None,
    ) -> Run:
        """Wait up to `seconds` for a submitted or queued run to end, and record the result.

        A new run is paid for, so a failure while waiting becomes one of its `warnings`.

        Raises:
            LayerError: no state of a duplicate arrived.
        """
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
        workflow_id: str | None = None,
        workspace: str | None = None,
        wait_seconds: float = 0,
        on_progress: OnProgress[RunSnapshot] | None = None,
    ) -> Run:
        """Read a run, waiting up to `wait_seconds` for it to end.

        A workflow run needs its `workflow_id`.

        Raises:
            NotFoundError: Layer has no such run.
            ServiceError: no state arrived.
        """
        check_type(run_id, str, "run_id")
        workspace_id = await self.client.workspace_id(workspace)
        request = (
            RunRequest("workflow", workflow_id.lower(), workspace_id)
            if workflow_id
            else RunRequest("inference", "", workspace_id)
        )
        run = Run(request, IN_PROGRESS, datetime.now(UTC), run_id=run_id.lower())
        await self._account.check_owned(run)
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

    async def wait_many(
        self,
        wanted: RunFilter | None = None,
        wait_for: WaitFor = "all",
        seconds: float = LONGEST_WAIT_SECONDS,
        *,
        on_ended: OnEnded | None = None,
        **filters: Unpack[RunFilters],
    ) -> None:
        """Refresh the active runs among those that match, and wait for any or all of them.

        Each run is read no sooner than Layer asks. The files of ended runs are saved if the
        settings say so. With "any", one of the currently active runs has to end. The filters are
        those of `list`.

        Raises:
            SubmissionError: the journal can't be used.
        """
        wanted = _with_filters(wanted, filters)
        deadline = anyio.current_time() + seconds
        running = replace(wanted, status="running")
        active = await self.list(running, MAX_WATCHED)
        first = {run.key for run in active}
        tried: set[str] = set()
        least_seconds = LOOK_SECONDS
        while True:
            with anyio.move_on_after(max(deadline - anyio.current_time(), least_seconds)):
                await for_each_limited(active, self.refresh)
                unsaved = await self._unsaved(wanted, tried)
                tried |= {run.key for run in unsaved}
                await for_each_limited(unsaved, self.save_once)
            least_seconds = 0.0
            active = await self.list(running, MAX_WATCHED)
            left = {run.key for run in active}
            if on_ended is not None:
                await on_ended(len(first - left), len(first))
            is_enough = not active or (wait_for == "any" and not first <= left)
            left_seconds = deadline - anyio.current_time()
            if wait_for == "none" or is_enough or left_seconds <= 0:
                return
            ids = [run.run_id for run in active if run.run_id]
            pause_seconds = self.polls.seconds_until_due(ids, LONGEST_PAUSE_SECONDS)
            with self._waits.register(ANY_RUN):
                await anyio.sleep(min(max(pause_seconds, FIRST_PAUSE_SECONDS), left_seconds))
            if self._waits.are_stopped:
                return

    async def refresh(self, run: Run) -> Run:
        """Read a run from Layer if it's running and a read is due, and return it.

        If Layer can't be read, the run is returned unchanged.
        """
        if run.run_id is None or not run.is_running or not self.polls.claim(run.run_id):
            return run
        journal = await self._open_journal()
        try:
            state = await wait_for_run(self.client, run, 0)
        except LayerError as error:
            self.polls.note(run.run_id, error.retry_after_seconds)
            if is_missing(run, error):
                await journal.mark_not_found(run.run_id)
            return await journal.reload(run)
        self.polls.note(run.run_id, state.poll_interval_seconds)
        if is_terminal(state.status):
            await journal.mark_ended(run.update(state))
        return await journal.reload(run)

    async def find(self, run_id: str) -> Run | None:
        """Return the run with this ID from Layer, if the journal has it."""
        return await (await self._open_journal()).find(run_id)

    async def find_maker(self, file_id: str) -> Run | None:
        """Return the run that made a file, if its completion was recorded here.

        Raises:
            SubmissionError: the journal can't be used.
        """
        return await (await self._open_journal()).find_maker(file_id)

    async def totals(
        self, wanted: RunFilter | None = None, **filters: Unpack[RunFilters]
    ) -> RunTotals:
        """Return the number and the total prices of all runs that match the filters of `list`.

        Raises:
            SubmissionError: the journal can't be used.
        """
        wanted = _with_filters(wanted, filters)
        return await (await self._open_journal()).totals(wanted)

    def manifest(
        self,
        *,
        since: datetime | None = None,
        workspace_id: str | None = None,
        folder: str | PathLike[str] | None = None,
    ) -> AsyncGenerator[MadeFile]:
        """Yield every file of the account's runs, newest first, and whether it's unchanged.

        With a `folder`, yields the files that have a record in it or below it instead, regardless
        of which account made them.

        Raises:
            FileError: the folder can't be read.
            SubmissionError: the journal can't be used.
        """
        # Imported here because a server starts without it.
        from .manifest.listing import list_made_files  # noqa: PLC0415

        return list_made_files(
            self.list,
            self.folders.private(),
            since=since,
            workspace_id=workspace_id,
            folder=None if folder is None else path_of(folder),
            is_simulated=self.settings.sandbox,
        )

    async def estimate(self, draft: Draft) -> PriceEstimate:
        """Return Layer's price for a run; free of charge and without side effects.

        References count if their contents were uploaded before. `remarks` list the others.

        Raises:
            InvalidRequestError: the draft is invalid, or Layer rejects it.
            NotFoundError: there is no such model, workflow, workspace or file.
            FileError: a local file can't be read.
        """
        check_type(draft, (InferenceDraft, WorkflowDraft), "draft")
        return await self._planner.estimate_draft(draft)

    async def get_model(self, model_id: str, workspace: str | None = None) -> ModelDetail:
        """Return a model with its capabilities, and remember them for its runs.

        Raises:
            NotFoundError: there is no such model.
            ServiceError: Layer can't be reached.
        """
        return await self._models.get(model_id, await self.client.workspace_id(workspace))

    async def upload(
        self,
        paths: str | PathLike[str] | Sequence[str | PathLike[str]],
        workspace: str | None = None,
        *,
        seconds: float = LONGEST_WAIT_SECONDS,
        on_upload: OnUpload | None = None,
    ) -> list[UploadedFile]:
        """Upload one or more local files from the allowed folders; identical content is sent once.

        Raises:
            NotFoundError: there is no such file.
            FileError: a file can't be read or uploaded.
        """
        given = [paths] if isinstance(paths, str | PathLike) else paths
        wanted = [path if isinstance(path, str) else str(path_of(path)) for path in given]
        workspace_id = await self.client.workspace_id(workspace)
        return await self._uploads.upload(
            wanted,
            workspace_id,
            seconds=max(seconds, MIN_UPLOAD_SECONDS),
            on_upload=on_upload,
        )

    async def find_content(self, file_id: str, workspace: str) -> str | None:
        """Return the first file with the content of this one, or None if the content is unknown.

        Raises:
            SubmissionError: the journal can't be used.
        """
        journal = await self._open_journal()
        contents = await journal.files.find_contents(workspace, [file_id])
        if file_id not in contents:
            return None
        return await journal.files.find_upload(workspace, contents[file_id]) or file_id

    async def note_upload(self, file_id: str, workspace: str, *, sha256: str) -> str:
        """Remember the content of a file that came from elsewhere.

        Returns the first file with that content, so that the same content has one file_id.

        Raises:
            SubmissionError: the journal can't be used.
        """
        return await (await self._open_journal()).files.note_upload(workspace, sha256, file_id)

    async def save(
        self,
        run: Run,
        folder: str | PathLike[str] | None = None,
        *,
        numbers: Collection[int] | None = None,
        name: str | None = None,
        seconds: float | None = None,
        on_bytes: OnBytes | None = None,
    ) -> SavedOutputs:
        """Save all outputs of a finished run, or those with these numbers, and remember the folder.

        By default, the folder is where the outputs were saved before, or else the output folder.
        Files that are already saved aren't downloaded again. With a `name`, the files are named
        `sword.png`, or `sword_01.png` and so on. After `seconds` (by default, never), the remaining
        downloads continue in the background, and `arriving` reports their progress. Repeat the call
        to wait for them.

        Raises:
            FileError: the folder can't be used, or the disk is full.
            InvalidRequestError: the name isn't a valid file name.
        """
        check_type(run, Run, "run")
        chosen = None if folder is None else path_of(folder)
        return await self._outputs.save(
            run, chosen, numbers=numbers, name=name, seconds=seconds, on_bytes=on_bytes
        )

    async def save_once(
        self,
        run: Run,
        folder: str | PathLike[str] | None = None,
        *,
        seconds: float | None = None,
        on_bytes: OnBytes | None = None,
    ) -> FilesOnDisk:
        """Save the outputs of a finished run that were never saved; removed files stay removed.

        The folder and the time are the same as for `save`. The run is paid for, so a failure
        becomes one of the `warnings`.
        """
        chosen = None if folder is None else path_of(folder)
        return await self._outputs.save_once(run, chosen, seconds=seconds, on_bytes=on_bytes)

    async def preview(
        self, run: Run, files: FilesOnDisk | None = None, *, tile: bool = False
    ) -> "Preview":
        """Draw the first visible outputs as one small JPEG.

        `files` are the saved files, as `save_once` returns them. `tile` repeats each image 3 x 3 to
        show the seams of a texture. A WAV is shown as its waveform.
        """
        from .preview import make_preview  # noqa: PLC0415  draws, so a server starts without it

        return await make_preview(
            self.client,
            run.outputs,
            files or FilesOnDisk(),
            tile=tile,
            limiter=self._drawing,
            private=self.folders.private(),
        )

    def stop_waiting(self, run_id: str | None = None) -> None:
        """End the waits for a run as if they had timed out; without an ID, all of them."""
        if run_id is None:
            self._waits.stop_all()
        else:
            self._waits.stop(run_id.lower())

    async def record_pending(self) -> None:
        """Write everything the journal couldn't record earlier, before the process ends."""
        await self._account.record_pending()

    async def withdraw_queued(self) -> None:
        """Record that this process won't send its queued runs, and that nobody else should."""
        await self._account.withdraw_queued()

    @property
    def are_idle(self) -> bool:
        """Whether nothing is being sent, saved, or queued, and everything is recorded."""
        is_busy = self._background.are_running or self._submissions.are_out
        return not is_busy and not self._account.has_pending

    @property
    def journal_problem(self) -> str | None:
        """Why runs aren't kept after the process ends, if they should be; known after first use."""
        return self._account.problem

    async def list(
        self,
        wanted: RunFilter | None = None,
        limit: int = 20,
        **filters: Unpack[RunFilters],
    ) -> list[Run]:
        """List the matching runs that were started here, newest first.

        Pass the fields of `RunFilter` as keywords, or a filter as a value.

        Raises:
            SubmissionError: the journal can't be used.
        """
        wanted = _with_filters(wanted, filters)
        return await (await self._open_journal()).list_runs(wanted, limit)

    async def _follow(
        self, run: Run, seconds: float, on_progress: OnProgress[RunSnapshot] | None
    ) -> Run:
        deadline = anyio.current_time() + seconds
        await self._account.check_owned(run)
        if run.run_id is None:
            run = await self._wait_for_id(run, deadline)
            if run.run_id is None:
                return run
            seconds = max(deadline - anyio.current_time(), 0.0)
        if run.has_ended and not run.is_duplicate:
            # Fetch its files or its error, which the response to a submission doesn't have.
            state = await wait_for_run(self.client, run, 0)
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
            self.polls.note(run_id, interval, margin_seconds=FOLLOWED_MARGIN_SECONDS)
            if on_progress is not None:
                await on_progress(read, waited_seconds)

        if known is not None and seconds > 0:
            interval = known.poll_interval_seconds
            self.polls.note(run_id, interval, margin_seconds=FOLLOWED_MARGIN_SECONDS)
        with self._waits.register(run_id):
            state = await wait_for_run(self.client, run, seconds, known=known, on_progress=note)
        state = state or await wait_for_run(self.client, run, 0)
        self.polls.note(run_id, state.poll_interval_seconds)
        return state

    async def _unsaved(self, wanted: RunFilter, tried: set[str]) -> Sequence[Run]:
        """Return the finished runs to save according to the settings, except those tried before."""
        if self.settings.output_dir is None:
            return []
        complete = await self.list(wanted, MAX_WATCHED)
        return [
            run
            for run in complete
            if run.state == "complete"
            and run.key not in tried
            and run.folder is None
            and run.outputs
        ]


def _with_filters(wanted: RunFilter | None, filters: RunFilters) -> RunFilter:
    """Return a filter with these fields.

    Raises:
        LayerError: INVALID_ARGUMENTS.
    """
    if wanted is not None:
        check_type(wanted, RunFilter, "wanted")
    try:
        return replace(wanted or RunFilter(), **filters)
    except TypeError:
        known = ", ".join(RunFilters.__annotations__)
        sentence = f"The filters of runs are {known}."
        raise LayerError("INVALID_ARGUMENTS", sentence) from None


def is_missing(run: Run, error: LayerError) -> bool:
    """Return whether Layer no longer has a run; a new one may not be available everywhere yet."""
    is_old = age_seconds(run) > NOT_FOUND_AFTER_SECONDS
    return is_old and error.code in NOT_FOUND_CODES
