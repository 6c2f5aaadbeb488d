"""Runs: the paid generations of one account, without a protocol.

async with open_runs() as runs:
    run = await runs.generate(model_id="...", prompt="a red potion")
    saved = await runs.save(run)
"""

import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint
from pydantic import ValidationError

from ..api.client import LayerClient
from ..api.models import Inference, PriceEstimate, RunSnapshot, WorkflowRun
from ..api.polling import OnProgress, is_terminal
from ..credentials import TokenSource, token_source
from ..errors import LayerError, one_sentence
from ..files.media_files import MEGABYTE
from ..files.paths import Folders, resolve_below, resolve_output, state_folder
from ..settings import Settings
from . import rules
from .activity import KeyedLocks, PollTimes, Submissions, WaitRegistry
from .journal import Journal, find_account
from .journal.database import Database, DatabaseError
from .journal.sqlite import SqliteDatabase
from .operations import ModelLookup, estimate_price, state_of, wait_for_run
from .outputs import FilesOnDisk, OnBytes, SavedOutputs, find_saved, save_outputs
from .preview import make_preview
from .queue import Batch, SlotQueue, for_each_limited
from .references import Draft, InferenceDraft, OnUpload, Uploads, resolve_drafts
from .sender import Sender
from .types import (
    IN_PROGRESS,
    MIN_PREPARING_SECONDS,
    MIN_UPLOAD_SECONDS,
    NOT_FOUND,
    NOT_SENT,
    CallBudget,
    Confirmation,
    Plan,
    Quote,
    RateLimits,
    Run,
    RunFilter,
    RunRequest,
    RunTotals,
    SubmitOptions,
    UploadedFile,
)

WaitFor = Literal["none", "any", "all"]
OnEnded = Callable[[int, int], Awaitable[None]]
"""Gets how many of the runs that are waited for have ended, and how many there are."""

LONGEST_WAIT_SECONDS = 3_600.0
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
LOOK_SECONDS = 10.0
MAX_WATCHED = 100
MAX_NAMES = 3
NAME_SECONDS = 3.0
NOT_FOUND_CODES = ("INFERENCE_NOT_FOUND", "WORKFLOW_RUN_NOT_FOUND")
NOT_FOUND_AFTER_SECONDS = 600
BATCH_ID_LENGTH = 12

logger = logging.getLogger(__name__)


@asynccontextmanager
async def open_runs(
    settings: Settings | None = None, *, submissions: Submissions | None = None
) -> AsyncGenerator["Runs"]:
    """Open the runs of an account, by default the one of the environment.

    `submissions` lets a caller see which paid requests are out. Paid requests that are out when
    the block ends are waited for and recorded.

    Raises:
        SettingsError: a setting is invalid, or a sandbox is wanted that is none.
    """
    settings = settings or Settings.from_env()
    submissions = submissions or Submissions()
    token = token_source(settings)
    failure: BaseException | None = None
    # What is cancelled in the background still records what it did not send.
    with closing(SqliteDatabase(partial(state_folder, settings))) as database:
        async with (
            LayerClient.from_settings(settings, token) as client,
            anyio.create_task_group() as background,
        ):
            runs = Runs(
                settings, client, database, token, background=background, submissions=submissions
            )
            try:
                yield runs
            except anyio.get_cancelled_exc_class():
                raise
            # The task group would wrap what leaves this block in an ExceptionGroup.
            except BaseException as error:
                failure = error
            finally:
                background.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await submissions.wait()
                    await runs.record_pending()
    if failure is not None:
        raise failure


class Runs:
    """The runs of one account: planned, paid for at most once, followed, saved.

    `client` is for what is free of charge. Use `open_runs` to make one.
    """

    def __init__(
        self,
        settings: Settings,
        client: LayerClient,
        database: Database,
        token: TokenSource,
        *,
        background: TaskGroup,
        submissions: Submissions,
    ) -> None:
        self.settings = settings
        self.client = client
        self.folders = Folders.pin(settings)
        self.polls = PollTimes()
        self._database = database
        self._token = token
        self._background = background
        self._journal: Journal | None = None
        self._opening = anyio.Lock()
        self._limits = rules.spend_limits(settings)
        self._rates = RateLimits()
        self._models = ModelLookup(client)
        self._uploads = Uploads(self.folders, client, self._open_journal)
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
        self._waits = WaitRegistry()
        self._saving = KeyedLocks()
        # Pictures take memory, and Pillow's warnings are off for the whole process meanwhile.
        self._drawing = anyio.CapacityLimiter(1)

    async def generate(
        self,
        *,
        wait_seconds: float = LONGEST_WAIT_SECONDS,
        max_price: float | None = None,
        repeat: bool = False,
        **fields: Any,
    ) -> Run:
        """Start a generation at most once, wait for its end, and return it.

        `fields` are those of `InferenceDraft`: Layer's request, where a reference may be a local
        path, and `workspace_id`. `max_price` agrees to a price in Creative Units.

        Raises:
            LayerError: INVALID_ARGUMENTS; nothing was sent; or OUTCOME_UNKNOWN.
        """
        try:
            draft = InferenceDraft.model_validate(fields)
        except ValidationError as error:
            problem = error.errors()[0]
            place = ".".join(str(part) for part in problem["loc"])
            sentence = one_sentence(f"{place}: {problem['msg']}")
            raise LayerError("INVALID_ARGUMENTS", sentence) from None
        options = SubmitOptions(max_price, repeat)
        plan = await self.prepare([draft], options, CallBudget.begin(LONGEST_WAIT_SECONDS))
        run = await self.submit(plan, approved=False)
        return await self.follow(run, wait_seconds)

    async def prepare(
        self,
        drafts: Sequence[Draft],
        options: SubmitOptions,
        budget: CallBudget,
        *,
        on_upload: OnUpload | None = None,
    ) -> Plan:
        """Plan what a call would start and cost; free of charge, and can be repeated.

        Uploads local files, looks for runs that already cover a request, and prices the others.
        All drafts run in the workspace of the first.

        Raises:
            LayerError: Layer refuses a request, a limit does not allow the price, the balance is
                too low, a file cannot be uploaded, or the journal cannot be used.
        """
        requests = await self._resolve(drafts, budget, on_upload)
        if options.is_batch:
            requests = _number_requests(requests, repeat=options.repeat)
        deadline = budget.submit_by
        duplicates = [await self._find_duplicate(one, options, deadline) for one in requests]
        plan = Plan(requests, duplicates, None, options, budget)
        if not plan.new:
            return plan
        left_seconds = max(deadline - anyio.current_time(), MIN_PREPARING_SECONDS)
        quote = await self._get_quote(plan.new, left_seconds)
        error = rules.price_error(quote, self._limits, options.max_price_creative_units)
        if error is not None:
            raise error
        return replace(plan, quote=quote)

    async def confirmation(self, plan: Plan, *, names: bool = True) -> Confirmation | None:
        """Return what a person has to agree to before the plan is submitted, if anything.

        Without `names` the models are not looked up, and are called by their ids.

        Raises:
            LayerError: a limit does not allow the plan, whatever the person says.
        """
        quote = plan.quote
        if quote is None or not rules.needs_approval(quote, self._limits):
            return None
        # Checked again when the plan is submitted; nobody is asked in vain before.
        spending = await (await self._open_journal()).spending()
        error = rules.spending_error(quote, self._limits, spending)
        if error is not None:
            raise error
        different = {request.subject_id: request for request in plan.new}
        called = list(different)[:MAX_NAMES]
        if names:
            with anyio.move_on_after(NAME_SECONDS):
                called = [await self._name(different[subject_id]) for subject_id in called]
        return Confirmation(
            _describe(plan.new), quote, tuple(called), max(len(different) - MAX_NAMES, 0)
        )

    async def submit(self, plan: Plan, *, approved: bool) -> Run:
        """Start the plan's one request at most once, or return the run that it duplicates.

        Raises:
            LayerError: nothing was sent, or OUTCOME_UNKNOWN.
        """
        rules.check_approval(plan, self._limits, approved=approved)
        journal = await self._open_journal()
        [request], [existing], options = plan.requests, plan.duplicates, plan.options
        deadline = plan.budget.submit_by
        while existing is None:
            [reservation] = await journal.reserve(
                [request], plan.quote, self._limits, self._rates, repeat=options.repeat
            )
            run = reservation.run
            if reservation.created:
                async with self._sender.not_sent_on_failure(run):
                    if not reservation.has_slot:
                        await self._queue.acquire_slot(run, deadline=deadline)
                    # Don't pay for a caller that has already given up.
                    await checkpoint()
                return (await self._sender.send(run)).with_warnings(_price_warning(plan))
            # Another call was faster. If it fails to send, this one does.
            existing = await self._find_duplicate(request, options, deadline, awaited=run)
        return rules.answer_duplicate(existing)

    async def submit_batch(self, plan: Plan, *, approved: bool) -> list[Run]:
        """Record all requests of a plan, send what Layer's limits allow, queue the rest.

        Returns a run for each request once nothing more happens without an earlier run's end, or
        when the time of the call is up; the batch goes on in the background.

        Raises:
            LayerError: nothing was recorded.
        """
        rules.check_approval(plan, self._limits, approved=approved)
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
        """Send a queued run from its row, once, whichever process recorded it.

        Raises:
            LayerError: NOT_SENT, when another process sent it or is sending it; or what kept it
                from Layer.
        """
        return await self._sender.send(run)

    async def follow(
        self, run: Run, seconds: float, *, on_progress: OnProgress[RunSnapshot] | None = None
    ) -> Run:
        """Wait for the end of a submitted run, up to `seconds`, and record it.

        A new run is paid for: what fails while waiting is a warning beside it.

        Raises:
            LayerError: no state of a duplicate arrived.
        """
        try:
            return await self._follow(run, seconds, on_progress)
        except LayerError as error:
            if run.is_duplicate:
                error.facts["duplicate"] = True
                raise
            warning = f"The run was started, but then: {error.message}"
        except anyio.get_cancelled_exc_class():
            logger.warning("The call was cancelled; run %s goes on", run.run_id)
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
        """Read a run, waiting up to `wait_seconds` for its end; `workflow_id` for a workflow's.

        Raises:
            LayerError: no state arrived.
        """
        workspace_id = await self.client.workspace_id(workspace)
        request = (
            RunRequest("workflow", workflow_id.lower(), workspace_id)
            if workflow_id
            else RunRequest("inference", "", workspace_id)
        )
        run = Run(request, IN_PROGRESS, time.time(), run_id=run_id.lower())
        state = await self._wait(run, wait_seconds, None, on_progress)
        # While a run goes on nothing of its start is needed, and a look costs a hop to a thread.
        if not is_terminal(state.status):
            return run.update(state)
        journal = await self._open_journal()
        known = await journal.find(run_id)
        if known is None:
            return replace(run.update(state), folder=await journal.find_folder(run_id))
        ended = known.update(state)
        if not known.has_ended or known.state == NOT_FOUND:
            await journal.mark_ended(ended)
        return ended

    async def wait_many(
        self,
        wanted: RunFilter,
        wait_for: WaitFor = "all",
        seconds: float = 0.0,
        *,
        on_ended: OnEnded | None = None,
    ) -> None:
        """Refresh the running ones among the wanted runs, and wait for any or all of them.

        Each is read no sooner than Layer asks. Files of those that ended are saved where the
        settings say so. With "any" one of those that run now has to end.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """
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
            await anyio.sleep(min(max(pause_seconds, FIRST_PAUSE_SECONDS), left_seconds))

    async def refresh(self, run: Run) -> Run:
        """Return a run after one look at Layer, if it is running and the look is due.

        What keeps Layer from answering leaves the run as it is.
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
        """Return the run that Layer calls so, if the journal has it."""
        return await (await self._open_journal()).find(run_id)

    async def find_maker(self, file_id: str) -> Run | None:
        """Return the run that made a file, if its end was recorded here.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """
        return await (await self._open_journal()).find_maker(file_id)

    async def totals(self, wanted: RunFilter | None = None) -> RunTotals:
        """Return the number and the prices of all runs of a filter.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """
        return await (await self._open_journal()).totals(wanted or RunFilter())

    async def estimate(
        self, draft: Draft, budget: CallBudget, *, on_upload: OnUpload | None = None
    ) -> PriceEstimate:
        """Return Layer's price for a run, with its references; free of charge.

        Raises:
            LayerError: Layer refuses the request, or a file cannot be uploaded.
        """
        [request] = await self._resolve([draft], budget, on_upload)
        return await self._estimate(request)

    async def upload(
        self,
        paths: Sequence[str],
        workspace: str | None = None,
        *,
        seconds: float = LONGEST_WAIT_SECONDS,
        on_upload: OnUpload | None = None,
    ) -> list[UploadedFile]:
        """Upload local files from the allowed folders; the same content is sent once.

        Raises:
            LayerError: what is wrong with a file, what kept it from Layer, or UPLOAD_UNFINISHED.
        """
        workspace_id = await self.client.workspace_id(workspace)
        return await self._uploads.upload(
            list(map(str, paths)),
            workspace_id,
            seconds=max(seconds, MIN_UPLOAD_SECONDS),
            on_upload=on_upload,
        )

    async def save(
        self,
        run: Run,
        folder: Path | None = None,
        *,
        numbers: Collection[int] | None = None,
        on_bytes: OnBytes | None = None,
    ) -> SavedOutputs:
        """Save the outputs of a finished run, all or those with these numbers, and remember where.

        The folder is by default where they were saved before, else the output folder. What is
        saved already is not downloaded again.

        Raises:
            LayerError: FOLDER_NOT_WRITABLE, DISK_FULL or INVALID_FOLDER.
        """
        folder = await self._folder(run, folder)
        run_id = run.run_id or ""
        journal = await self._open_journal()
        async with self._saving.lock(run_id.lower()):
            saved = await save_outputs(
                self.client,
                run,
                folder,
                numbers=numbers,
                max_bytes=self.settings.max_download_mb * MEGABYTE,
                is_simulated=self.settings.sandbox,
                on_bytes=on_bytes,
                private=self.folders.private(),
            )
            await journal.note_folder(run_id, folder)
            for file in saved.fetched:
                # An output is in Layer already: as a reference it needs no upload.
                if run.request.workspace_id and file.file_id:
                    await journal.note_upload(run.request.workspace_id, file.sha256, file.file_id)
        return saved

    async def save_once(
        self, run: Run, folder: Path | None = None, *, on_bytes: OnBytes | None = None
    ) -> FilesOnDisk:
        """Save what was never saved of a finished run; a file that was removed stays removed.

        The folder is the same as for `save`. The run is paid for, so what fails is a warning beside
        the files.
        """
        try:
            saved = await self._save_missing(run, folder, on_bytes)
        except LayerError as error:
            warning = f"The files were not saved: {error.message} {error.next_step}"
            return FilesOnDisk(warnings=[warning])
        except Exception:
            logger.exception("Saving run %s crashed", run.run_id)
            warning = "The files were not saved: saving failed in the server."
            return FilesOnDisk(warnings=[warning])
        paths = await to_thread.run_sync(saved.present)
        return FilesOnDisk(paths, saved.record, saved.describe_failures())

    async def preview(self, run: Run, paths: Mapping[int, Path]) -> bytes | None:
        """Return one small JPEG of the first outputs that can be seen, or None.

        `paths` are those of the saved outputs by their numbers, from 1.
        """
        return await make_preview(
            self.client,
            run.outputs,
            paths,
            limiter=self._drawing,
            private=self.folders.private(),
        )

    def stop_waiting(self, run_id: str) -> None:
        """End the waits for a run, as if their time were up; the run goes on."""
        self._waits.stop(run_id.lower())

    async def record_pending(self) -> None:
        """Write what the journal could not take before; the last chance before a process ends."""
        if self._journal is not None and self._journal.has_pending:
            await self._journal.record_pending()

    @property
    def journal_problem(self) -> str | None:
        """Why nothing outlives the process although it should; known after the first use."""
        return self._database.problem

    async def list(self, wanted: RunFilter | None = None, limit: int = 20) -> list[Run]:
        """List runs that were started here, newest first.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """
        return await (await self._open_journal()).list_runs(wanted or RunFilter(), limit)

    async def _open_journal(self) -> Journal:
        """Return the journal of the account; its token is known at the first use only."""
        if self._journal is not None:
            return self._journal
        async with self._opening:
            # Calls that come together share one: what it could not write yet is kept in it.
            if self._journal is not None:
                return self._journal
            token = await to_thread.run_sync(self._token)
            account = await self._find_account(token) if token else ""
            journal = Journal(
                self._database,
                api_url=self.settings.api_url,
                account=account,
                # A daily limit cannot be kept without a journal.
                is_required=self.settings.journal == "required"
                or self.settings.max_spend_per_day is not None,
            )
            if account:
                self._journal = journal
            return journal

    async def _find_account(self, token: str) -> str:
        """Return the account of the token; empty while the journal cannot say.

        Raises:
            LayerError: Layer cannot be asked for the workspaces of a new token.
        """
        try:
            return await find_account(
                self._database, self.settings.api_url, token, self._list_workspaces
            )
        except DatabaseError as error:
            logger.warning("The journal cannot be used: %s", error)
            return ""

    async def _list_workspaces(self) -> Sequence[str] | None:
        try:
            return [one.workspace_id for one in await self.client.list_workspaces()]
        except LayerError as error:
            if error.transient:
                raise
            return None

    async def _resolve(
        self, drafts: Sequence[Draft], budget: CallBudget, on_upload: OnUpload | None
    ) -> Sequence[RunRequest]:
        workspace_id = await self.client.workspace_id(drafts[0].workspace_id)
        return await resolve_drafts(
            drafts,
            workspace_id,
            self._uploads,
            self.client,
            seconds=budget.upload_seconds,
            on_upload=on_upload,
        )

    async def _estimate(self, request: RunRequest) -> PriceEstimate:
        try:
            return await estimate_price(self.client, request)
        except LayerError as error:
            await self._uploads.forget_lost_files(error, request)
            raise

    async def _get_quote(self, requests: Sequence[RunRequest], seconds: float) -> Quote:
        answers: dict[int, PriceEstimate | LayerError] = {}

        async def estimate(number: int) -> None:
            try:
                answers[number] = await self._estimate(requests[number])
            except LayerError as error:
                error.parts = (requests[number].label, *error.parts)
                answers[number] = error

        with anyio.move_on_after(seconds):
            await for_each_limited(range(len(requests)), estimate)
        found = [answers.get(number) or _late_price() for number in range(len(requests))]
        return rules.make_quote(found, requests[0].workspace_id)

    async def _name(self, request: RunRequest) -> str:
        if request.kind == "workflow":
            return request.subject_name or request.subject_id
        return (await self._models.find(request.subject_id, request.workspace_id)).name

    async def _find_duplicate(
        self,
        request: RunRequest,
        options: SubmitOptions,
        deadline: float,
        awaited: Run | None = None,
    ) -> Run | None:
        """Return the run that already covers a request, or None when it may be sent.

        Waits until `deadline` for the answer to one that is just being sent, unless it is for a
        batch. A running one is looked at, because it may have ended unseen. `awaited` is one that
        was being sent a moment ago.
        """
        journal = await self._open_journal()
        pause_seconds = FIRST_PAUSE_SECONDS
        while True:
            run = await journal.find_duplicate(request, repeat=options.repeat)
            if run is None and awaited is not None and options.repeat:
                # Once answered it covers no later repeat, but this one.
                answered = await journal.reload(awaited)
                return None if answered.state == NOT_SENT else answered
            if run is None:
                return None
            can_wait = run.is_being_sent and not options.is_batch
            if can_wait and anyio.current_time() + pause_seconds < deadline:
                awaited = run
                await anyio.sleep(pause_seconds)
                pause_seconds = min(pause_seconds * 2, LONGEST_PAUSE_SECONDS)
                continue
            if not run.is_running or rules.age_seconds(run) < rules.DUPLICATE_SECONDS:
                return run
            with anyio.move_on_after(deadline - anyio.current_time()):
                if (await self.refresh(run)).has_ended:
                    continue
            return run

    async def _follow(
        self, run: Run, seconds: float, on_progress: OnProgress[RunSnapshot] | None
    ) -> Run:
        if run.has_ended and not run.is_duplicate:
            # With its files or its reason, which the answer to a submission does not have.
            state = await wait_for_run(self.client, run, 0)
        else:
            known = None if run.is_duplicate else state_of(run)
            state = await self._wait(run, seconds, known, on_progress)
        updated = run.update(state)
        if updated.has_ended and run.is_in_journal:
            await (await self._open_journal()).mark_ended(updated)
        return updated

    async def _wait(
        self,
        run: Run,
        seconds: float,
        known: Inference | WorkflowRun | None,
        on_progress: OnProgress[RunSnapshot] | None,
    ) -> Inference | WorkflowRun:
        """Return the last state after a wait that may be ended before its time."""
        run_id = (run.run_id or "").lower()
        state: Inference | WorkflowRun | None = None
        with self._waits.register(run_id):
            state = await wait_for_run(
                self.client, run, seconds, known=known, on_progress=on_progress
            )
        state = state or await wait_for_run(self.client, run, 0)
        self.polls.note(run_id, state.poll_interval_seconds)
        return state

    async def _unsaved(self, wanted: RunFilter, tried: set[str]) -> Sequence[Run]:
        """Return the finished runs that the settings want saved and that were not tried before."""
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

    async def _save_missing(
        self, run: Run, folder: Path | None, on_bytes: OnBytes | None
    ) -> SavedOutputs:
        folder = await self._folder(run, folder)
        private = self.folders.private()
        earlier = await to_thread.run_sync(find_saved, folder, run.run_id or "", private)
        known = {file.number for file in earlier.files} if earlier else set[int]()
        missing = set(range(1, len(run.outputs) + 1)) - known
        if earlier is not None and not missing:
            return earlier
        return await self.save(run, folder, numbers=missing, on_bytes=on_bytes)

    async def _folder(self, run: Run, wanted: Path | None) -> Path:
        """Return the real path of the folder for a run's files.

        It is by default where they are, if that is below the output folder; else that folder.
        """
        if wanted is not None:
            return await to_thread.run_sync(resolve_output, wanted, self.folders.output)
        root = self.folders.output_root()
        if run.folder is None:
            return root
        return await to_thread.run_sync(resolve_below, root, run.folder) or root


def is_missing(run: Run, error: LayerError) -> bool:
    """Return whether Layer does not have a run any more; a new one may not be everywhere yet."""
    is_old = time.time() - run.created_at > NOT_FOUND_AFTER_SECONDS
    return is_old and error.code in NOT_FOUND_CODES


def _number_requests(requests: Sequence[RunRequest], *, repeat: bool) -> Sequence[RunRequest]:
    """Label the requests of a batch, and tell equal ones apart where they are wanted."""
    if not repeat:
        rules.refuse_equal_requests(requests)
    seen: dict[str, int] = {}
    numbered: list[RunRequest] = []
    for number, request in enumerate(requests, 1):
        copy_number = seen.setdefault(request.fingerprint, 0)
        seen[request.fingerprint] += 1
        label = f"request {number}: "
        numbered.append(replace(request, label=label, copy_number=copy_number))
    return numbered


def _late_price() -> LayerError:
    return LayerError("TIMEOUT", "Layer did not send the price in time.", transient=True)


def _price_warning(plan: Plan) -> str | None:
    return rules.unpriced_references(plan.quote.references_refused if plan.quote else None)


def _describe(requests: Sequence[RunRequest]) -> str:
    """Return how many outputs of how many runs would be started, for a person."""
    counts = [one.output_count for one in requests if one.output_count is not None]
    outputs = _count(sum(counts), "output") if counts else "a run"
    runs = f" in {_count(len(requests), 'run')}" if len(requests) > 1 else ""
    return f"{outputs}{runs}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
